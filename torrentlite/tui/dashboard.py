"""The dashboard of one run: what it shows, and what its keys do. The output asks it for frames."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from ..stats import State
from .choices import Choices, Page, press
from .snapshot import NO_PIECES, Detail, Shown, Snapshot

if TYPE_CHECKING:
    from ..cli.output import Job
    from ..cli.progress import Glance
    from ..cli.screen import FullFrame
    from ..session import Session
    from ..swarm.torrent import Torrent

_SHARE: Final = 100
"""A look at all pieces or files is taken again after 100 times as long as it took: a million of them may not slow down
what it shows."""


class Dashboard:
    """Whether it is open, what is chosen, and the frame of a moment.

    Attributes:
        open: whether it is shown; without it there are the live lines.
        session: whose port and DHT are shown, once there is one.

    Args:
        title: the command.
        quit: ends the run, as Ctrl-C does.
        redraw: asks for a frame now.
    """

    def __init__(self, title: str, *, open: bool, quit: Callable[[], None], redraw: Callable[[], None]) -> None:
        self.open = open
        self.session: Session | None = None
        self._title = title
        self._quit = quit
        self._redraw = redraw
        self._chosen = Choices()
        self._torrents: list[Torrent | None] = []
        self._rows = self._room = 0
        self._slow: dict[tuple[str, str], tuple[float, Any]] = {}

    def pressed(self, key: str) -> None:
        """A key: what is not for the torrent or the run changes what is shown. Without the dashboard only ``d`` counts:
        who types ahead for the shell shall not pause anything."""
        if key == "d":
            self.open = not self.open
        elif not self.open:
            return
        elif key == "q":
            self._quit()
        elif key == "p":
            self._pause()
        else:
            self._chosen = press(key, self._chosen, torrents=len(self._torrents), rows=self._rows, room=self._room)
        self._redraw()

    def take(self, jobs: Sequence[tuple[Job, Glance]], log: Sequence[str], now: float) -> Snapshot:
        """What there is to be seen now; in the loop, so cheap."""
        self._torrents = [job.torrent for job, _ in jobs]
        linked = self._chosen.page is Page.LINK
        shown = tuple(
            Shown(
                glance,
                job.torrent.stats() if job.torrent is not None else None,
                tuple(job.down),
                tuple(job.up),
                now - job.began,
                job.link or (job.torrent.link() if linked and job.torrent is not None else ""),
            )
            for job, glance in jobs
        )
        torrent = self._torrent()
        session = self.session.stats() if self.session is not None else None
        return Snapshot(shown, self._detail(torrent) if torrent else Detail(), session, tuple(log), self._title)

    def frame(self, snapshot: Snapshot, size: tuple[int, int], *, colour: bool, encoding: str) -> FullFrame:
        """The frame of a snapshot, in a window of (columns, rows). Called in the writing thread, which is the one that
        waits for rich to be imported."""
        from .paint import paint
        from .views import view

        seen = view(snapshot, self._chosen, *size)
        self._rows, self._room = seen.rows, seen.room
        return paint(seen.lines, size[0], colour=colour, encoding=encoding)

    def _torrent(self) -> Torrent | None:
        if not self._torrents:
            return None
        return self._torrents[min(self._chosen.torrent, len(self._torrents) - 1)]

    def _pause(self) -> None:
        torrent = self._torrent()
        if torrent is not None:
            (torrent.resume if torrent.state in (State.PAUSED, State.ERROR) else torrent.pause)()

    def _detail(self, torrent: Torrent) -> Detail:
        page = self._chosen.page
        if page in (Page.LOG, Page.LINK, Page.HELP):
            return Detail()
        return Detail(
            peers=torrent.peers() if page is Page.OVERVIEW else (),
            files=self._slowly("files", torrent, torrent.files) if page is not Page.TRACKERS else (),
            pieces=self._slowly("pieces", torrent, torrent.pieces) if page is Page.OVERVIEW else NO_PIECES,
            trackers=torrent.trackers() if page is not Page.FILES else (),
            sources=torrent.sources() if page is not Page.FILES else (),
            web_seeds=torrent.web_seeds() if page is not Page.FILES else (),
        )

    def _slowly(self, what: str, torrent: Torrent, look: Callable[[], Any]) -> Any:
        """What this look returns, or what it returned before, if it takes long and was taken not long ago."""
        key = what, torrent.info_hash
        began = time.perf_counter()
        due, value = self._slow.get(key, (0.0, None))
        if began >= due:
            value = look()
            took = time.perf_counter() - began
            self._slow[key] = began + took * _SHARE, value
        return value
