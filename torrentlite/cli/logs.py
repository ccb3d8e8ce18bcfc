"""The library's log, shown by ``-v`` above the progress and written by ``--log-file``."""

from __future__ import annotations

import argparse
import contextlib
import copy
import logging
import sys
import threading
from collections.abc import Callable, Iterator

import trio

from ..errors import StorageError
from ..metainfo.text import display
from . import exits, units
from .output import Output

_LONGEST = 1000


def _from_any_thread(output: Output) -> Callable[[str], None]:
    """Says a line, which is for the Trio thread to do: what uses the disk has a thread of its own, and logs too."""
    ours, token = threading.get_ident(), trio.lowlevel.current_trio_token()

    def say(line: str) -> None:
        if threading.get_ident() == ours:
            output.log(line)
        else:
            with contextlib.suppress(trio.RunFinishedError):  # a call that nobody waits for any more
                token.run_sync_soon(output.log, line)

    return say


class _OutputHandler(logging.Handler):
    """Hands records to the output, which never blocks."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        """Say one record, a safe line at a time."""
        for line in self.format(record).splitlines():
            self._say(display(line, limit=_LONGEST))


class _SafeFormatter(logging.Formatter):
    """For the file: what peers and trackers say must not draw on the terminal of whoever reads it."""

    def format(self, record: logging.LogRecord) -> str:
        """One record; only a traceback has more than one line."""
        return "\n".join(display(line, limit=_LONGEST) for line in super().format(record).splitlines())


class _BriefFormatter(logging.Formatter):
    """For -v: an exception in a few words, and not its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """One record in one line."""
        error = record.exc_info[1] if record.exc_info else None
        record = copy.copy(record)
        record.exc_info = record.exc_text = record.stack_info = None
        return super().format(record) + (f": {exits.message_of(error)}" if error is not None else "")


class _LogFile(logging.FileHandler):
    """A log that its disk does not take any more is said once; Python would print a traceback for each record."""

    def __init__(self, path: str, say: Callable[[str], None]) -> None:
        super().__init__(path, encoding="utf-8", errors="backslashreplace")
        self._say = say
        self._failed = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        """Say it. The next record is tried all the same: there may be room again."""
        if not self._failed:
            self._failed = True
            error = sys.exc_info()[1]
            why = exits.message_of(error) if error is not None else "unknown error"
            self._say(f"tl: --log-file is not written any more: {why}")

    def close(self) -> None:
        """Close it; what is left goes with it."""
        with contextlib.suppress(OSError):
            super().close()


class _Faults(logging.Handler):
    """Counts the bugs of ours that were contained: each of them is logged as an error, with its traceback."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Count one."""
        self.count += record.exc_info is not None


@contextlib.contextmanager
def logging_to(output: Output, args: argparse.Namespace) -> Iterator[None]:
    """Log as the flags say while the block lasts: nothing, -v: what happens, -vv: everything.

    Raises:
        StorageError: the log file cannot be written.
    """
    logger = logging.getLogger("torrentlite")
    before = logger.level, logger.propagate
    handlers: list[logging.Handler] = []
    say = _from_any_thread(output)
    if args.verbose:
        shown = _OutputHandler(say)
        form = logging.Formatter if args.verbose >= 2 else _BriefFormatter
        shown.setFormatter(form("%(levelname).1s %(message)s"))
        handlers.append(shown)
    if args.log_file:
        try:
            file = _LogFile(args.log_file, say)
        except OSError as error:
            raise StorageError(f"cannot write --log-file '{args.log_file}': {error.strerror}") from error
        file.setFormatter(_SafeFormatter("%(asctime)s %(levelname)-7s %(message)s"))
        handlers.append(file)
    faults = _Faults()
    handlers.append(faults)
    logger.setLevel(logging.DEBUG if args.verbose >= 2 else logging.INFO)
    logger.propagate = False
    # The root too: without a handler there, Python would print others' warnings on stderr, across the progress.
    root = logging.getLogger()
    for handler in handlers:
        logger.addHandler(handler)
        root.addHandler(handler)
    try:
        with _stray_errors_to(logger):
            yield
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
            root.removeHandler(handler)
            handler.close()
        logger.setLevel(before[0])
        logger.propagate = before[1]
    if faults.count and args.verbose < 2:
        what = units.plural(faults.count, "fault")
        output.note(f"{what} of tl itself did no harm to the rest; -vv shows where, please report it")


@contextlib.contextmanager
def _stray_errors_to(logger: logging.Logger) -> Iterator[None]:
    """Log what Python else prints by itself: errors of finalizers, and of threads that nobody waits for."""

    def unraisable(args: sys.UnraisableHookArgs) -> None:
        logger.error("a bug of ours, while cleaning up", exc_info=args.exc_value)

    def of_thread(args: threading.ExceptHookArgs) -> None:
        logger.error("a bug of ours, in a thread", exc_info=args.exc_value)

    ours = sys.unraisablehook is sys.__unraisablehook__  # else somebody (a test) wants to know of them
    before = sys.unraisablehook, threading.excepthook
    if ours:
        sys.unraisablehook, threading.excepthook = unraisable, of_thread
    try:
        yield
    finally:
        if ours:
            sys.unraisablehook, threading.excepthook = before
