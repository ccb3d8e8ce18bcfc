"""What a command says, in the one way that was asked for: live lines, plain lines, JSON, or next to nothing."""

from __future__ import annotations

import collections
import contextlib
import logging
import os
import sys
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import trio

from ..metainfo.text import display
from ..stats import Reason
from . import exits, progress
from .progress import Glance, Pulse
from .screen import Frame, FullFrame, Screen
from .terminal import STDERR, STDOUT, Mode, in_foreground, is_terminal, terminal_size

if TYPE_CHECKING:
    from ..session import Session
    from ..swarm.torrent import Torrent
    from ..tui.dashboard import Dashboard
    from ..tui.keyboard import Keyboard
    from ..tui.snapshot import Snapshot
    from .signals import Interrupt

log = logging.getLogger("torrentlite")

_TICK: Final = {"live": 0.25, "plain": 0.25, "json": 0.5, "quiet": 1.0}
"""Seconds between two looks. JSON promises progress once a second at least."""
_FRAME: Final = 0.5
"""Seconds between two frames, each of which costs some milliseconds."""
_EAGER: Final = 1.0
"""Seconds after the start in which one looks more often, until something of a job was shown."""
_SHORT: Final = 0.1
"""What takes no longer than this gets no live lines: they would only flicker."""
_RATES: Final = 240
"""Rates of a job that are kept: two minutes of them."""
_RECENT: Final = 1000
"""Lines that the dashboard's log has."""
_HINT: Final = "d: dashboard"
_AT_ONCE: Final = (Reason.DISK, Reason.ERROR, Reason.INTERFACE, Reason.TRACKERS_FAIL)
"""Reasons that no patience will change. Trackers fail: so it is of a seed, or where nobody else is being asked."""
_STYLES: Final = {"bold": "1", "red": "31", "dim": "2"}
_IMPORTED: Final = time.monotonic()


class Job:
    """Something that takes time and is worth showing: a torrent, or the hashing of a folder.

    Args:
        look: takes a glance at it; cheap, called up to four times a second.
        info_hash: of the torrent, for JSON; empty where there is none.
        timeout: seconds without progress after which ``scope`` is cancelled and ``given_up`` set.
        torrent: of which the dashboard shows more, where it is one.
        link: to it, as it was said; empty for the torrent's own.

    Attributes:
        down, up: the rates of the last minutes, twice a second.
        why: what it waited for when it was given up.
    """

    def __init__(
        self,
        look: Callable[[], Glance],
        *,
        info_hash: str = "",
        timeout: float | None = None,
        torrent: Torrent | None = None,
        link: str = "",
    ) -> None:
        now = trio.current_time()
        self.look = look
        self.info_hash = info_hash or (torrent.info_hash if torrent is not None else "")
        self.torrent = torrent
        self.link = link
        self.down: collections.deque[float] = collections.deque(maxlen=_RATES)
        self.up: collections.deque[float] = collections.deque(maxlen=_RATES)
        self.scope = trio.CancelScope()
        self.given_up = False
        self.why = progress.FINE
        self.began = now
        self._timeout = timeout
        self._pulse = Pulse(now)
        self._check: tuple[float, int] | None = None  # when it began, and how far it was then

    def glance(self, now: float) -> Glance:
        """The glance of this moment; its reason only once it matters."""
        glance = self._timed(self.look(), now)
        idle = self._pulse.idle(glance, now)
        if self._timeout and idle >= self._timeout and not self.given_up:
            self.given_up = True
            # Now: when the scope has ended, nobody reads or waits any more, and all is well.
            self.why = self.torrent.why(patience=0) if self.torrent is not None else glance.why
            self.scope.cancel()
        urgent = glance.why.reason in _AT_ONCE or glance.steady
        return glance if idle >= progress.PATIENCE or urgent else glance._replace(why=progress.FINE)

    def _timed(self, glance: Glance, now: float) -> Glance:
        """With the rate and the time left of a check, of which nobody else keeps count."""
        if glance.stage != "checking" or glance.eta is not None:
            self._check = None
            return glance
        began, done = self._check = self._check or (now, glance.done)
        if now - began < 1 or glance.done <= done:
            return glance
        rate = (glance.done - done) / (now - began)
        return glance._replace(down_rate=rate, eta=(glance.total - glance.done) / rate)

    def remember(self, glance: Glance) -> None:
        """Keep its rates of this moment."""
        self.down.append(glance.down_rate)
        self.up.append(glance.up_rate)

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
        self.screen = Screen(lambda: terminal_size()[0], self._encoding, same=is_terminal(STDOUT))
        self._dashboard: Dashboard | None = None
        self._keyboard: Keyboard | None = None
        self._recent: collections.deque[str] = collections.deque(maxlen=_RECENT)
        self._jobs: dict[Job, None] = {}
        self._spoke = (
            mode is Mode.PLAIN
        )  # something of a job has been shown; plain lines come with progress, not at once
        self._asking = trio.Lock()
        self._next_frame = self._next_rates = 0.0
        self._broken = False  # no frame can be drawn
        self._session: Session | None = None
        self._told: dict[str, object] = {}
        self._interrupted = False

    def have_dashboard(self, title: str, interrupt: Interrupt, *, open: bool, keys: bool) -> None:
        """Let there be a dashboard, at once or when its key is pressed.

        Args:
            title: the command.
            interrupt: what ``q`` does, and what puts the terminal back.
            open: whether it is shown at once.
            keys: whether stdin is ours to read.
        """
        from ..tui.dashboard import Dashboard
        from ..tui.keyboard import Keyboard

        if not Keyboard.usable():
            keys = False
        if not (open or keys):
            return
        self._dashboard = Dashboard(title, open=open, quit=interrupt.ask, redraw=self.redraw)
        keyboard = Keyboard()
        if keys:
            self._keyboard = keyboard

        def put_back() -> None:
            keyboard.detach()
            self.screen.restore_now()

        interrupt.put_back = put_back
        interrupt.came_back = self.redraw

    def watch(self, session: Session) -> None:
        """The session whose state is told, or shown by the dashboard."""
        self._session = session
        if self._dashboard is not None:
            self._dashboard.session = session

    def result(self, line: str) -> None:
        """A line of what the command is for, on stdout."""
        if self.mode is not Mode.JSON:
            self.screen.write(STDOUT, line)
            self.remember(display(line))

    def note(self, line: str) -> None:
        """A line for people, on stderr."""
        if self.mode in (Mode.LIVE, Mode.PLAIN):
            self.screen.write(STDERR, line)
            self.remember(line)

    def log(self, line: str) -> None:
        """A line that was asked for by -v or that matters in any mode, on stderr."""
        self.screen.write(STDERR, line, droppable=True)
        self.remember(line)

    def answer(self, event: str, info_hash: str = "", **fields: Any) -> None:
        """The JSON object that the command is for, on stdout."""
        if self.mode is Mode.JSON:
            head = {"v": 1, "event": event, "ts": round(time.time(), 3)}
            whose = {"info_hash": info_hash} if info_hash else {}
            # Pure ASCII: a name that is not UTF-8 still makes a line that every reader can parse.
            import json

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
                self.remember(line)
        return exits.code_of(error)

    def interrupted(self, what: str, again: str) -> None:
        """A run was ended before its time: how far it was, and the command that goes on. Said once."""
        if self._interrupted:
            return
        self._interrupted = True
        self.answer("error", kind="interrupted", message=what, hint=again)
        if self.mode is not Mode.JSON and again:
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

    def showing_live(self, job: Job) -> contextlib.AbstractContextManager[object]:
        """The same where it is redrawn in place: a wait that is worth no line, and no JSON."""
        return self.showing(job) if self.mode is Mode.LIVE else contextlib.nullcontext()

    def tell(self, job: Job) -> None:
        """Say in JSON how far a job is: its last word, before what follows from it."""
        self._tell(job.look(), job.info_hash)

    @contextlib.asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        """Keep the live lines away while a person is asked something, one question at a time."""
        with self._keyboard.released() if self._keyboard is not None else contextlib.nullcontext():
            async with self._asking:
                self.tick()
                yield
        self.tick()

    def remember(self, line: str) -> None:
        """A line of the dashboard's log alone: what happened, and need not be said to everybody."""
        if "\x1b" in line:
            return  # a picture, such as a QR code
        line = display(line)
        self._recent.append(f"{time.strftime('%H:%M:%S')} {line}")

    def style(self, text: str, style: str) -> str:
        """A part of a result in this style, if results go to a terminal in colours."""
        if not (self.colour and is_terminal(STDOUT)):
            return text
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"

    def seconds_so_far(self) -> float:
        """Since the process began."""
        return round(process_age(), 3)

    async def run(self, *, stdout_failed: Callable[[], None]) -> None:
        """Look at the jobs and write, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: self.screen.run(stdout_failed=stdout_failed))
            if self._keyboard is not None and self._dashboard is not None:
                nursery.start_soon(self._keyboard.run, self._dashboard.pressed)
            began = trio.current_time()
            while True:
                # Who has just typed a command looks at the screen: the first word of a job must not wait for a tick.
                eager = not self._spoke and trio.current_time() - began < _EAGER
                await trio.sleep(_SHORT / 2 if eager else _TICK[self.mode.value])
                self.tick()

    def tick(self) -> None:
        """Look at every job once."""
        now = trio.current_time()
        looks = [(job, job.glance(now)) for job in self._jobs]
        behind = self.mode is Mode.LIVE and not in_foreground()
        for job, glance in looks:
            if self.mode is Mode.JSON:
                self._tell(glance, job.info_hash)
            # A background job may not draw, so it says a line now and then (so does one under timeout(1)).
            elif (self.mode is Mode.PLAIN or behind) and job.line_due(glance, now):
                self.note(progress.line(glance))
        if self.mode is Mode.JSON:
            self._tell_session()
        if self.mode is Mode.LIVE:
            self._draw(looks, now, behind=behind)

    def redraw(self) -> None:
        """Show a new frame at once: a key was pressed, or the window has another size."""
        self._next_frame = 0.0
        self.tick()

    def _draw(self, looks: list[tuple[Job, Glance]], now: float, *, behind: bool) -> None:
        if now < self._next_frame and looks:
            return
        dashboard = self._dashboard if self._dashboard is not None and self._dashboard.open else None
        shown = [(job, glance) for job, glance in looks if dashboard or now - job.began >= _SHORT]
        self._next_frame = now + _FRAME if shown else now
        self._spoke = self._spoke or bool(shown)
        if now >= self._next_rates:
            self._next_rates = now + _FRAME * 0.9
            for job, glance in looks:
                job.remember(glance)
        if self._asking.locked() or behind:
            self.screen.draw(None)
        elif not shown:
            if dashboard is None:  # it stays between two jobs
                self.screen.draw(None)
        elif self.screen.busy:
            return  # stuck, or slow: what it would show is old when it gets there
        elif dashboard is not None:
            snapshot = dashboard.take(shown, self._recent, now)
            self.screen.draw(lambda: self._safely(lambda: self._full_frame(dashboard, snapshot)))
        else:
            glances = [glance for _, glance in shown]
            self.screen.draw(lambda: self._safely(lambda: self._frame(glances)))

    def _safely(self, make: Callable[[], Frame | FullFrame]) -> Frame | FullFrame:
        """The frame; a bug of ours in it costs the picture, and not the transfer."""
        if not self._broken:
            try:
                return make()
            except Exception as error:
                log.exception("a frame could not be drawn")
                self._broken = True
                self.screen.write(STDERR, f"tl: nothing is drawn any more ({display(repr(error))}), and all goes on")
        return Frame((), ())

    def _tell_session(self) -> None:
        """How it stands with the DHT and the gateway, where that has changed."""
        if self._session is None:
            return
        stats = self._session.stats()
        dht, mapped = stats.dht, stats.port_map
        told: dict[str, dict[str, Any]] = {
            "dht": {"nodes": dht.nodes + dht.nodes6, "state": dht.state},
            "port_map": {
                "state": mapped.state,
                "message": display(mapped.message),
                "protocol": mapped.protocol,
                "external_host": mapped.external_host,
                "port": mapped.tcp_port,
            },
        }
        for event, fields in told.items():
            if fields["state"] != "off" and fields != self._told.get(event):
                self._told[event] = fields
                self.event(event, **fields)

    def _tell(self, glance: Glance, info_hash: str) -> None:
        event, fields = progress.fields(glance)
        if event == "progress" or glance.total:  # hashing of nobody knows how much yet
            self._spoke = True
            self.event(event, info_hash, **fields)

    def _full_frame(self, dashboard: Dashboard, snapshot: Snapshot) -> FullFrame:
        return dashboard.frame(snapshot, terminal_size(), colour=self.colour, encoding=self._encoding)

    def _frame(self, glances: list[Glance]) -> Frame:
        from . import live  # rich takes 50 ms to import: only terminals wait for it, and off the loop

        columns, rows = terminal_size()
        return live.paint(
            live.view(glances, columns, rows, _HINT if self._keyboard else ""),
            colour=self.colour,
            encoding=self._encoding,
        )


def process_age() -> float:
    """Seconds since this process began: as the system knows it, else since this module was imported.

    By clocks that stay as they are when somebody sets the date.
    """
    try:
        with open("/proc/self/stat", "rb") as file:
            # The second field is the program's name in brackets, which may hold spaces and brackets itself.
            ticks = int(file.read().rpartition(b")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return time.monotonic() - _IMPORTED
