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
    "storage.memory": ("CacheStorage", "MemoryStorage"),
    "storage.storage": ("Found", "Stamp", "Storage"),
    "swarm.reader": ("Reader",),
    "swarm.torrent": ("Torrent",),
    "swarm.world": ("World",),
    "verifying": ("BadFile", "Problem", "VerifyReport", "verify"),
    "metainfo.metainfo": ("FileEntry", "Info", "InfoHashes", "Metainfo"),
    "metainfo.magnet": ("Magnet",),
    "stats": (
        "FileStats",
        "LsdStats",
        "NodeStats",
        "PeerStats",
        "PieceStats",
        "PortMapStats",
        "Reason",
        "SessionStats",
        "SourceStats",
        "State",
        "TorrentStats",
        "TrackerStats",
        "WebSeedStats",
        "Why",
    ),
    "events": (
        "Completed",
        "Event",
        "MetadataReceived",
        "PeerBanned",
        "PeersFound",
        "PieceFailed",
        "PieceVerified",
        "Progress",
        "StateChanged",
        "TrackerReplied",
        "WebSeedFailed",
    ),
    "errors": (
        "BencodeError",
        "DhtError",
        "DiskFullError",
        "DuplicateTorrentError",
        "FileInTheWayError",
        "ForbiddenAddressError",
        "ListenError",
        "MagnetError",
        "MetainfoError",
        "NetworkError",
        "NoPeersError",
        "NoSuchFileError",
        "ProtocolError",
        "SourceError",
        "StorageError",
        "TorrentError",
        "TorrentPausedError",
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
        DhtError as DhtError,
        DiskFullError as DiskFullError,
        DuplicateTorrentError as DuplicateTorrentError,
        FileInTheWayError as FileInTheWayError,
        ForbiddenAddressError as ForbiddenAddressError,
        ListenError as ListenError,
        MagnetError as MagnetError,
        MetainfoError as MetainfoError,
        NetworkError as NetworkError,
        NoPeersError as NoPeersError,
        NoSuchFileError as NoSuchFileError,
        ProtocolError as ProtocolError,
        SourceError as SourceError,
        StorageError as StorageError,
        TorrentError as TorrentError,
        TorrentPausedError as TorrentPausedError,
        TorrentRemovedError as TorrentRemovedError,
        TrackerError as TrackerError,
        UnsupportedTorrentError as UnsupportedTorrentError,
        VerifyError as VerifyError,
    )
    from .events import (
        Completed as Completed,
        Event as Event,
        MetadataReceived as MetadataReceived,
        PeerBanned as PeerBanned,
        PeersFound as PeersFound,
        PieceFailed as PieceFailed,
        PieceVerified as PieceVerified,
        Progress as Progress,
        StateChanged as StateChanged,
        TrackerReplied as TrackerReplied,
        WebSeedFailed as WebSeedFailed,
    )
    from .metainfo.magnet import (
        Magnet as Magnet,
    )
    from .metainfo.metainfo import (
        FileEntry as FileEntry,
        Info as Info,
        InfoHashes as InfoHashes,
        Metainfo as Metainfo,
    )
    from .session import (
        Session as Session,
        create as create,
        fetch as fetch,
        load as load,
        open_session as open_session,
    )
    from .settings import (
        Settings as Settings,
    )
    from .stats import (
        FileStats as FileStats,
        LsdStats as LsdStats,
        NodeStats as NodeStats,
        PeerStats as PeerStats,
        PieceStats as PieceStats,
        PortMapStats as PortMapStats,
        Reason as Reason,
        SessionStats as SessionStats,
        SourceStats as SourceStats,
        State as State,
        TorrentStats as TorrentStats,
        TrackerStats as TrackerStats,
        WebSeedStats as WebSeedStats,
        Why as Why,
    )
    from .storage.memory import (
        CacheStorage as CacheStorage,
        MemoryStorage as MemoryStorage,
    )
    from .storage.storage import (
        Found as Found,
        Stamp as Stamp,
        Storage as Storage,
    )
    from .swarm.reader import (
        Reader as Reader,
    )
    from .swarm.torrent import (
        Torrent as Torrent,
    )
    from .swarm.world import (
        World as World,
    )
    from .verifying import (
        BadFile as BadFile,
        Problem as Problem,
        VerifyReport as VerifyReport,
        verify as verify,
    )
