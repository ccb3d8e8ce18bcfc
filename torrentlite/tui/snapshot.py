"""All that one frame shows, frozen: taken in the loop, drawn in another thread."""

from __future__ import annotations

import dataclasses
from typing import Final

from ..cli.progress import Glance
from ..stats import (
    FileStats,
    PeerStats,
    PieceStats,
    SessionStats,
    SourceStats,
    TorrentStats,
    TrackerStats,
    WebSeedStats,
)

NO_PIECES: Final = PieceStats(0, 0, 0, 0, 0, ())


@dataclasses.dataclass(frozen=True, slots=True)
class Shown:
    """One job: a torrent, or the hashing of a folder, which has no ``stats``.

    Attributes:
        down, up: its rates, twice a second, the last one now.
        elapsed: seconds since it began.
        link: to it; a magnet.
    """

    glance: Glance
    stats: TorrentStats | None = None
    down: tuple[float, ...] = ()
    up: tuple[float, ...] = ()
    elapsed: float = 0.0
    link: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Detail:
    """What is shown of the chosen torrent alone."""

    peers: tuple[PeerStats, ...] = ()
    files: tuple[FileStats, ...] = ()
    pieces: PieceStats = NO_PIECES
    trackers: tuple[TrackerStats, ...] = ()
    sources: tuple[SourceStats, ...] = ()
    web_seeds: tuple[WebSeedStats, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything. ``log`` holds its newest lines, the newest last, safe to show."""

    jobs: tuple[Shown, ...]
    detail: Detail = Detail()
    session: SessionStats | None = None
    log: tuple[str, ...] = ()
    title: str = "tl"
