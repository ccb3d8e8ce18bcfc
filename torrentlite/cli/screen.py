"""The two streams of one run, written off the Trio loop: a stuck terminal or pipe must not stop a transfer.

Results go to stdout and everything else to stderr. On a terminal the last few lines of stderr are *live*: the progress,
redrawn in place, with other lines scrolling past above it. Nothing needs to be put back at the end, whatever happens:
the cursor is never hidden, there is no second screen and no raw mode, and each frame ends in plain colours on a fresh
line.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import os
import select
import threading
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import trio

_QUEUE: Final = 10_000
"""Lines that may wait for a reader that does not read; then those that can be missed are."""
STDOUT: Final = 1
STDERR: Final = 2
_ASCII: Final = str.maketrans("━╸─↓↑…—×", "##-v^~-x")


class Frame(NamedTuple):
    """Live lines, ready to be written, and how many columns each takes."""

    lines: Sequence[bytes]
    widths: Sequence[int]


_NOTHING: Final = Frame((), ())


class Screen:
    """Where a run writes.

    ``write`` and ``draw`` only remember, from the Trio thread; ``run`` brings it out, and ``finish`` what is left.

    Args:
        columns: how wide the terminal is now; asked for at each frame, so that a resize is seen.
        encoding: of stderr.
        write: writes all of something to a descriptor.

    Attributes:
        stdout_error: why results cannot be written any more, or None.
    """

    def __init__(
        self,
        columns: Callable[[], int] = lambda: 80,
        encoding: str = "utf-8",
        write: Callable[[int, bytes], None] | None = None,
    ) -> None:
        self.stdout_error: OSError | None = None
        self._write = write or write_all
        self._encoding = encoding
        self._columns = columns
        self._queue: collections.deque[tuple[int, bytes]] = collections.deque()  # safe to use from both threads
        self._frame: Callable[[], Frame] | None = None
        self._shown = _NOTHING
        self._wake = trio.Event()
        self._limiter = trio.CapacityLimiter(1)
        self._writing = threading.Lock()

    def write(self, stream: int, line: str, *, droppable: bool = False) -> None:
        """Add a line to STDOUT or STDERR; a droppable one is forgotten when nobody reads."""
        if droppable and len(self._queue) >= _QUEUE:
            return
        data = to_program(line) if stream == STDOUT else to_terminal(line, self._encoding)
        self._queue.append((stream, data + b"\n"))
        self._wake.set()

    def draw(self, frame: Callable[[], Frame] | None) -> None:
        """Show this frame from now on; it is made in the writing thread, and skipped while that one is busy."""
        self._frame = frame
        self._wake.set()

    async def run(self, *, stdout_failed: Callable[[], None]) -> None:
        """Write what comes until cancelled; ``stdout_failed`` is called once results cannot be written any more."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            await trio.to_thread.run_sync(self._flush, limiter=self._limiter, abandon_on_cancel=True)
            if self.stdout_error:
                stdout_failed()

    def finish(self, patience: float | None = None) -> None:
        """Take the live lines away and write what is left, waiting for a slow reader no longer than ``patience``."""
        self._frame = None
        writer = threading.Thread(target=self._flush, daemon=True)
        writer.start()
        writer.join(patience)

    def _flush(self) -> None:
        with self._writing:
            frame = self._frame() if self._frame else _NOTHING
            if not self._queue and frame == self._shown:
                return
            lines = [(STDERR, self._clear())]
            while self._queue:
                lines.append(self._queue.popleft())
            lines.append((STDERR, b"".join(line + b"\x1b[K\n" for line in frame.lines)))
            self._shown = frame
            # One write for all that goes the same way: half a frame would flicker.
            for stream, run in itertools.groupby(lines, key=lambda line: line[0]):
                self._put(stream, b"".join(data for _, data in run))

    def _clear(self) -> bytes:
        if not self._shown.lines:
            return b""
        # Terminals wrap the old lines anew when they get narrower, so each may take several rows by now.
        columns = max(1, self._columns())
        rows = sum(max(1, -(-width // columns)) for width in self._shown.widths)
        return f"\r\x1b[{rows}A\x1b[J".encode()

    def _put(self, stream: int, data: bytes) -> None:
        if stream == STDOUT and self.stdout_error:
            return
        try:
            self._write(stream, data)
        except OSError as error:
            # Whoever closed stderr, or hung up the terminal, does not want to be told.
            if stream == STDOUT:
                self.stdout_error = error


def to_program(line: str) -> bytes:
    """A result as bytes: a path leaves exactly as the file system has it."""
    try:
        return os.fsencode(line)
    except UnicodeEncodeError:
        return line.encode("utf-8", "backslashreplace")


def to_terminal(text: str, encoding: str) -> bytes:
    """Text as bytes of the same width, with ASCII in place of what the encoding does not have."""
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_ASCII).encode(encoding, "replace")


def write_all(descriptor: int, data: bytes) -> None:
    """Write everything to a descriptor, also to one that somebody else has set to non-blocking.

    ``os.write`` and not ``sys.stderr``: a thread that hangs in there holds no lock that the end of the process needs.
    """
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            with contextlib.suppress(ValueError):
                select.select([], [descriptor], [])
