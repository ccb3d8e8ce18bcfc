"""What a command says, in the one way that was asked for: live lines, plain lines, JSON, or next to nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

import trio

from ..metainfo.text import display
from ..stats import Reason
from . import exits, progress
from .progress import Glance, Pulse
from .screen import STDERR, STDOUT, Frame, Screen
from .terminal import Mode, is_terminal, terminal_size

_TICK: Final = {"live": 0.25, "plain": 0.25, "json": 0.5, "quiet": 1.0}
"""Seconds between two looks. JSON promises progress once a second at least."""
_FRAME: Final = 0.5
"""Seconds between two frames, each of which costs some milliseconds."""
_SHORT: Final = 0.2
"""What takes no longer than this gets no live lines: they would only flicker."""
_STYLES: Final = {"bold": "1", "red": "31", "dim": "2"}
_IMPORTED: Final = time.time()


class Job:
    """Something that takes time and is worth showing: a torrent, or the hashing of a folder.

    Args:
        look: takes a glance at it; cheap, called up to four times a second.
        info_hash: of the torrent, for JSON; empty where there is none.
        timeout: seconds without progress after which ``scope`` is cancelled and ``given_up`` set.
    """

    def __init__(self, look: Callable[[], Glance], *, info_hash: str = "", timeout: float | None = None) -> None:
        now = trio.current_time()
        self.look = look
        self.info_hash = info_hash
        self.scope = trio.CancelScope()
        self.given_up = False
        self.began = now
        self._timeout = timeout
        self._pulse = Pulse(now)

    def glance(self, now: float) -> Glance:
        """The glance of this moment; its reason only once it matters."""
        glance = self.look()
        idle = self._pulse.idle(glance, now)
        if self._timeout and idle >= self._timeout:
            self.given_up = True
            self.scope.cancel()
        urgent = glance.why.reason in (Reason.DISK, Reason.ERROR)
        return glance if idle >= progress.PATIENCE or urgent else dataclasses.replace(glance, why=progress.FINE)

    def line_due(self, glance: Glance, now: float) -> bool:
        """Whether a plain line should be written now."""
        return self._pulse.line_due(glance, now)


class Output:
    """Says results, notes, events and errors; shows the jobs that are under way.

    Attributes:
        mode: how; notes are for people and say nothing in JSON or quiet mode, events are for JSON only.
        verbosity: 0, 1 (-v) or 2 (-vv: tracebacks).
        colour: whether the terminal gets colours.

    Args:
        one_object: JSON is the answer or an error, with no events around it.
    """

    def __init__(self, mode: Mode, *, verbosity: int = 0, colour: bool = False, one_object: bool = False) -> None:
        self.mode = mode
        self._one_object = one_object
        self.verbosity = verbosity
        self.colour = colour
        self._encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
        self.screen = Screen(lambda: terminal_size()[0], self._encoding)
        self._jobs: dict[Job, None] = {}
        self._asking = trio.Lock()
        self._next_frame = 0.0

    def result(self, line: str) -> None:
        """A line of what the command is for, on stdout."""
        if self.mode is not Mode.JSON:
            self.screen.write(STDOUT, line)

    def note(self, line: str) -> None:
        """A line for people, on stderr."""
        if self.mode in (Mode.LIVE, Mode.PLAIN):
            self.screen.write(STDERR, line)

    def log(self, line: str) -> None:
        """A line that was asked for by -v or that matters in any mode, on stderr."""
        self.screen.write(STDERR, line, droppable=True)

    def answer(self, event: str, info_hash: str = "", **fields: Any) -> None:
        """The JSON object that the command is for, on stdout."""
        if self.mode is Mode.JSON:
            head = {"v": 1, "event": event, "ts": round(time.time(), 3)}
            whose = {"info_hash": info_hash} if info_hash else {}
            # Pure ASCII: a name that is not UTF-8 still makes a line that every reader can parse.
            text = json.dumps(head | whose | fields)
            self.screen.write(STDOUT, text, droppable=event in ("progress", "checking", "hashing", "piece_failed"))

    def event(self, event: str, info_hash: str = "", **fields: Any) -> None:
        """A JSON object on the way there, on stdout; nothing where one object is all that was asked for."""
        if not self._one_object:
            self.answer(event, info_hash, **fields)

    def error(self, error: BaseException, info_hash: str = "") -> exits.Exit:
        """What went wrong, in up to three lines or one event; returns its exit code."""
        if self.verbosity >= 2:
            for line in "".join(traceback.format_exception(error)).splitlines():
                self.screen.write(STDERR, display(line, limit=1000))
        error = exits.unwrap(error)
        if self.mode is Mode.JSON:
            message, hint = exits.message_of(error), exits.hint_of(error)
            self.answer("error", info_hash, kind=exits.kind_of(error), message=message, hint=hint)
        else:
            for line in exits.explain(error):
                self.screen.write(STDERR, line)
        return exits.code_of(error)

    def interrupted(self, what: str, again: str) -> None:
        """A run was ended before its time: how far it was, and the command that goes on."""
        self.event("error", kind="interrupted", message=what, hint=again)
        if self.mode is not Mode.JSON:
            self.screen.write(STDERR, f"{what} Continue with: {again}")

    @contextlib.contextmanager
    def showing(self, job: Job) -> Iterator[Job]:
        """Show this job while the block lasts."""
        self._jobs[job] = None
        self.tick()
        try:
            yield job
        finally:
            del self._jobs[job]
            self.tick()

    def tell(self, job: Job) -> None:
        """Say in JSON how far a job is: its last word, before what follows from it."""
        self._tell(job.look(), job.info_hash)

    @contextlib.asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        """Keep the live lines away while a person is asked something, one question at a time."""
        async with self._asking:
            self.tick()
            yield
        self.tick()

    def style(self, text: str, style: str) -> str:
        """A part of a result in this style, if results go to a terminal in colours."""
        if not (self.colour and is_terminal(STDOUT)):
            return text
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"

    def seconds_so_far(self) -> float:
        """Since the process began."""
        return round(time.time() - process_start(), 3)

    async def run(self, *, stdout_failed: Callable[[], None]) -> None:
        """Look at the jobs and write, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: self.screen.run(stdout_failed=stdout_failed))
            while True:
                await trio.sleep(_TICK[self.mode.value])
                self.tick()

    def tick(self) -> None:
        """Look at every job once."""
        now = trio.current_time()
        shown = []
        for job in self._jobs:
            glance = job.glance(now)
            if now - job.began >= _SHORT:
                shown.append(glance)
            if self.mode is Mode.JSON:
                self._tell(glance, job.info_hash)
            elif self.mode is Mode.PLAIN and job.line_due(glance, now):
                self.note(progress.line(glance))
        if self.mode is Mode.LIVE:
            self._draw([] if self._asking.locked() else shown, now)

    def _draw(self, glances: list[Glance], now: float) -> None:
        if not glances:
            self.screen.draw(None)
            self._next_frame = now
        elif now >= self._next_frame:
            self.screen.draw(lambda: self._frame(glances))
            self._next_frame = now + _FRAME

    def _tell(self, glance: Glance, info_hash: str) -> None:
        event, fields = progress.fields(glance)
        if event == "progress" or glance.total:  # hashing of nobody knows how much yet
            self.event(event, info_hash, **fields)

    def _frame(self, glances: list[Glance]) -> Frame:
        from . import live  # rich takes 50 ms to import: only terminals wait for it, and off the loop

        columns, rows = terminal_size()
        return live.paint(live.view(glances, columns, rows), colour=self.colour, encoding=self._encoding)


def process_start() -> float:
    """When this process began, in Unix seconds: as the system knows it, else when this module was imported."""
    try:
        with open("/proc/self/stat", "rb") as file:
            # The second field is the program's name in brackets, which may hold spaces and brackets itself.
            ticks = int(file.read().rpartition(b")")[2].split()[19])
        return time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError, AttributeError):
        return _IMPORTED
