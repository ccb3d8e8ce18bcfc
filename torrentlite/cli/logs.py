"""The library's log, shown by ``-v`` above the progress and written by ``--log-file``."""

from __future__ import annotations

import argparse
import contextlib
import logging
from collections.abc import Iterator

from ..errors import StorageError
from ..metainfo.text import display
from .output import Output

_LONGEST = 1000


class _OutputHandler(logging.Handler):
    """Hands records to the output, which never blocks."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        """Say one record, a safe line at a time."""
        for line in self.format(record).splitlines():
            self._output.log(display(line, limit=_LONGEST))


class _SafeFormatter(logging.Formatter):
    """For the file: what peers and trackers say must not draw on the terminal of whoever reads it."""

    def format(self, record: logging.LogRecord) -> str:
        """One record; only a traceback has more than one line."""
        return "\n".join(display(line, limit=_LONGEST) for line in super().format(record).splitlines())


@contextlib.contextmanager
def logging_to(output: Output, args: argparse.Namespace) -> Iterator[None]:
    """Log as the flags say while the block lasts: nothing, -v: what happens, -vv: everything.

    Raises:
        StorageError: the log file cannot be written.
    """
    logger = logging.getLogger("torrentlite")
    before = logger.level, logger.propagate
    handlers: list[logging.Handler] = []
    if args.verbose:
        shown = _OutputHandler(output)
        shown.setFormatter(logging.Formatter("%(levelname).1s %(message)s"))
        handlers.append(shown)
    if args.log_file:
        try:
            file = logging.FileHandler(args.log_file, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise StorageError(f"cannot write --log-file '{args.log_file}': {error.strerror}") from error
        file.setFormatter(_SafeFormatter("%(asctime)s %(levelname)-7s %(message)s"))
        handlers.append(file)
    # Without a handler of its own, Python would print warnings on stderr, across the progress.
    handlers = handlers or [logging.NullHandler()]
    logger.setLevel(logging.DEBUG if args.verbose >= 2 else logging.INFO)
    logger.propagate = False
    for handler in handlers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()
        logger.level, logger.propagate = before
