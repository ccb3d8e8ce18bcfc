"""torrentlite: a BitTorrent client library on Trio.

    async with torrentlite.open_session() as session:
        torrent = session.add(await torrentlite.load("debian.torrent"), save_to="downloads")
        await torrent.wait_complete()

The names are loaded when they are first used (PEP 562), so that ``import torrentlite`` and ``tl --version`` cost
nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "session": ("Session", "create", "fetch", "load", "open_session"),
    "settings": ("Settings",),
    "swarm.torrent": ("Torrent",),
    "swarm.world": ("World",),
    "verifying": ("BadFile", "Problem", "VerifyReport", "verify"),
    "metainfo.metainfo": ("FileEntry", "Info", "InfoHashes", "Metainfo"),
    "metainfo.magnet": ("Magnet",),
    "stats": (
        "FileStats",
        "PeerStats",
        "PieceStats",
        "Reason",
        "SessionStats",
        "State",
        "TorrentStats",
        "TrackerStats",
        "Why",
    ),
    "events": (
        "Completed",
        "Event",
        "MetadataReceived",
        "PeerBanned",
        "PieceFailed",
        "PieceVerified",
        "Progress",
        "StateChanged",
        "TrackerReplied",
    ),
    "errors": (
        "BencodeError",
        "DiskFullError",
        "DuplicateTorrentError",
        "FileInTheWayError",
        "ForbiddenAddressError",
        "ListenError",
        "MagnetError",
        "MetainfoError",
        "NetworkError",
        "NoPeersError",
        "ProtocolError",
        "SourceError",
        "StorageError",
        "TorrentError",
        "TorrentRemovedError",
        "TrackerError",
        "UnsupportedTorrentError",
        "VerifyError",
    ),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["__version__", *_MODULE_OF]


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{module}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


if TYPE_CHECKING:
    from .errors import (
        BencodeError as BencodeError,
    )
    from .errors import (
        DiskFullError as DiskFullError,
    )
    from .errors import (
        DuplicateTorrentError as DuplicateTorrentError,
    )
    from .errors import (
        FileInTheWayError as FileInTheWayError,
    )
    from .errors import (
        ForbiddenAddressError as ForbiddenAddressError,
    )
    from .errors import (
        ListenError as ListenError,
    )
    from .errors import (
        MagnetError as MagnetError,
    )
    from .errors import (
        MetainfoError as MetainfoError,
    )
    from .errors import (
        NetworkError as NetworkError,
    )
    from .errors import (
        NoPeersError as NoPeersError,
    )
    from .errors import (
        ProtocolError as ProtocolError,
    )
    from .errors import (
        SourceError as SourceError,
    )
    from .errors import (
        StorageError as StorageError,
    )
    from .errors import (
        TorrentError as TorrentError,
    )
    from .errors import (
        TorrentRemovedError as TorrentRemovedError,
    )
    from .errors import (
        TrackerError as TrackerError,
    )
    from .errors import (
        UnsupportedTorrentError as UnsupportedTorrentError,
    )
    from .errors import (
        VerifyError as VerifyError,
    )
    from .events import (
        Completed as Completed,
    )
    from .events import (
        Event as Event,
    )
    from .events import (
        MetadataReceived as MetadataReceived,
    )
    from .events import (
        PeerBanned as PeerBanned,
    )
    from .events import (
        PieceFailed as PieceFailed,
    )
    from .events import (
        PieceVerified as PieceVerified,
    )
    from .events import (
        Progress as Progress,
    )
    from .events import (
        StateChanged as StateChanged,
    )
    from .events import (
        TrackerReplied as TrackerReplied,
    )
    from .metainfo.magnet import Magnet as Magnet
    from .metainfo.metainfo import (
        FileEntry as FileEntry,
    )
    from .metainfo.metainfo import (
        Info as Info,
    )
    from .metainfo.metainfo import (
        InfoHashes as InfoHashes,
    )
    from .metainfo.metainfo import (
        Metainfo as Metainfo,
    )
    from .session import (
        Session as Session,
    )
    from .session import (
        create as create,
    )
    from .session import (
        fetch as fetch,
    )
    from .session import (
        load as load,
    )
    from .session import (
        open_session as open_session,
    )
    from .settings import Settings as Settings
    from .stats import (
        FileStats as FileStats,
    )
    from .stats import (
        PeerStats as PeerStats,
    )
    from .stats import (
        PieceStats as PieceStats,
    )
    from .stats import (
        Reason as Reason,
    )
    from .stats import (
        SessionStats as SessionStats,
    )
    from .stats import (
        State as State,
    )
    from .stats import (
        TorrentStats as TorrentStats,
    )
    from .stats import (
        TrackerStats as TrackerStats,
    )
    from .stats import (
        Why as Why,
    )
    from .swarm.torrent import Torrent as Torrent
    from .swarm.world import World as World
    from .verifying import BadFile as BadFile
    from .verifying import Problem as Problem
    from .verifying import VerifyReport as VerifyReport
    from .verifying import verify as verify
