"""The two streams of one run, written off the Trio loop: a stuck terminal or pipe must not stop a transfer.

Results go to stdout and everything else to stderr. On a terminal the last few lines of stderr are *live*: the progress,
redrawn in place, with other lines scrolling past above it. Nothing of that needs to be put back at the end: the cursor
is not hidden, and each frame ends in plain colours on a fresh line.

A *full* frame (the dashboard) takes the terminal's second screen. What is said meanwhile is held back and comes when it
has been left, so that the first screen looks as if there had never been a second. However a run ends, ``finish`` or
``restore_now`` leaves it.
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

from .exits import lacks_threads
from .terminal import STDERR, STDOUT, release

_QUEUE: Final = 10_000
"""Lines that may wait for a reader that does not read; then those that can be missed are."""
_ASCII: Final = str.maketrans("━╸─↓↑…—×–·│╭╮╰╯├┤┬┴┼▸█▓▒░▚▖▁▂▃▄▅▆▇←→", "##-v^~-x-.|+++++++++>#%+:*,_..--==<>")


class FullFrame(NamedTuple):
    """All rows of a window of this width."""

    rows: Sequence[bytes]
    width: int


class Frame(NamedTuple):
    """Live lines, ready to be written, and how many columns each takes."""

    lines: Sequence[bytes]
    widths: Sequence[int]


_NOTHING: Final = Frame((), ())
_NO_WINDOW: Final = FullFrame((), 0)
_ENTER: Final = b"\x1b[?1049h\x1b[?25l\x1b[?7l"
"""The second screen, no cursor, and no wrapping: a line that a terminal takes for longer than it is moves nothing."""
_LEAVE: Final = b"\x1b[H\x1b[2J\x1b[?7h\x1b[?25h\x1b[?1049l"
"""Emptied first: tmux leaves some rows of a second screen behind that was resized."""
_LONGEST_LEAVE: Final = 3.0
"""Seconds that a terminal gets to take the frame that it is at, and to go back to its first screen."""
_BRIEFLY: Final = 0.2
"""Seconds that ``restore_now`` waits for a frame that is just being written."""
_AGAIN: Final = 1.0
"""Seconds after which is tried again to start a thread, where the system has refused one."""


class Screen:
    """Where a run writes.

    ``write`` and ``draw`` only remember, from the Trio thread; ``run`` brings it out, and ``finish`` what is left.

    Args:
        columns: how wide the terminal is now; asked for at each frame, so that a resize is seen.
        encoding: of stderr.
        write: writes all of something to a descriptor.
        same: whether stdout goes to the terminal that shows the frames.

    Attributes:
        stdout_error: why results cannot be written any more, or None.
    """

    def __init__(
        self,
        columns: Callable[[], int] = lambda: 80,
        encoding: str = "utf-8",
        write: Callable[[int, bytes], None] | None = None,
        *,
        same: bool = True,
    ) -> None:
        self.stdout_error: OSError | None = None
        self._write = write or write_all
        self._encoding = encoding
        self._columns = columns
        self._queue: collections.deque[tuple[int, bytes]] = collections.deque()  # safe to use from both threads
        self._held: collections.deque[tuple[int, bytes]] = collections.deque()
        self._same = same
        self._frame: Callable[[], Frame | FullFrame] | None = None
        self._shown = _NOTHING
        self._window: FullFrame | None = None  # what the second screen shows, while it is there
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

    @property
    def busy(self) -> bool:
        """Whether something is just being written: a new frame would only wait."""
        return self._writing.locked()

    def draw(self, frame: Callable[[], Frame | FullFrame] | None) -> None:
        """Show this frame from now on; it is made in the writing thread, and skipped while that one is busy."""
        self._frame = frame
        self._wake.set()

    async def run(self, *, stdout_failed: Callable[[], None]) -> None:
        """Write what comes until cancelled; ``stdout_failed`` is called once results cannot be written any more."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            try:
                await trio.to_thread.run_sync(self._flush, limiter=self._limiter, abandon_on_cancel=True)
            except RuntimeError as error:
                if not lacks_threads(error):
                    raise
                await trio.sleep(_AGAIN)
                self._wake.set()
            if self.stdout_error:
                stdout_failed()

    def finish(self, patience: float | None = None) -> None:
        """Take the live lines away and write what is left, waiting for a slow reader no longer than ``patience``."""
        self._frame = None
        writer = threading.Thread(target=self._flush, daemon=True)
        try:
            writer.start()
        except RuntimeError:
            self._flush()  # the last words are worth a wait, where no thread may be started
            return
        writer.join(patience)
        if writer.is_alive() and self._window is not None:
            # Held by a Ctrl-S, most likely: leaving the second screen behind would be worse than to override it.
            release(STDERR)
            writer.join(_LONGEST_LEAVE)

    def restore_now(self) -> None:
        """Leave the second screen and the live lines as they are, in the middle of anything: before the process stops
        or ends at once. Waits for a stuck terminal no longer than a moment."""
        if self._window is not None:
            release(STDERR)
        if not self._writing.acquire(timeout=_BRIEFLY):
            return
        try:
            if self._window is not None and select.select([], [STDERR], [], 0)[1]:
                self._put(STDERR, self._leave())
            self._shown = _NOTHING
        finally:
            self._writing.release()

    def _flush(self) -> None:
        with self._writing:
            frame = self._frame() if self._frame else _NOTHING
            lines: list[tuple[int, bytes]] = []
            if isinstance(frame, FullFrame):
                while self._queue:
                    self._hold(self._queue.popleft(), lines)
                lines.append((STDERR, self._fill(frame)))
            elif self._queue or self._window is not None or frame != self._shown:
                lines = [(STDERR, self._leave() if self._window is not None else self._clear()), *self._held]
                self._held.clear()
                while self._queue:
                    lines.append(self._queue.popleft())
                lines.append((STDERR, b"".join(line + b"\x1b[K\n" for line in frame.lines)))
                self._shown = frame
            # One write for all that goes the same way: half a frame would flicker.
            for stream, run in itertools.groupby(lines, key=lambda line: line[0]):
                data = b"".join(data for _, data in run)
                if data:
                    self._put(stream, data)

    def _hold(self, line: tuple[int, bytes], now: list[tuple[int, bytes]]) -> None:
        """Keep a line for later, unless it does not go to the terminal."""
        if line[0] == STDOUT and not self._same:
            now.append(line)
            return
        self._held.append(line)
        if len(self._held) > _QUEUE:
            del self._held[next((i for i, held in enumerate(self._held) if held[0] == STDERR), 0)]

    def _fill(self, frame: FullFrame) -> bytes:
        """What makes the window show this frame: the rows that have changed."""
        before, start = self._window, b""
        if before is None:
            # The live lines are taken away first: they would be there again afterwards.
            start, self._shown = self._clear() + _ENTER, _NOTHING
        if before is None or (before.width, len(before.rows)) != (frame.width, len(frame.rows)):
            start, before = start + b"\x1b[2J", _NO_WINDOW
        changed = (
            b"\x1b[%d;1H%b" % (number + 1, row)
            for number, row in enumerate(frame.rows)
            if not before.rows or before.rows[number] != row
        )
        self._window = frame
        return start + b"".join(changed)

    def _leave(self) -> bytes:
        self._window = None
        return _LEAVE

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
