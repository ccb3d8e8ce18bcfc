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
    "session": ("Session", "fetch", "open_session"),
    "making": ("create",),
    "loading": ("load",),
    "settings": ("Settings",),
    "storage.memory": ("CacheStorage", "MemoryStorage"),
    "storage.storage": ("Found", "Stamp", "Storage"),
    "swarm.reader": ("Reader",),
    "swarm.torrent": ("Torrent",),
    "swarm.world": ("World",),
    "verifying": ("BadFile", "Problem", "VerifyReport", "verify"),
    "metainfo.metainfo": ("FileEntry", "Info", "InfoHashes", "Metainfo"),
    "metainfo.magnet": ("Magnet",),
    "metainfo.mutable": ("MutableLink",),
    "stats": (
        "FileStats",
        "LsdStats",
        "DhtStats",
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
        "DiskTroubleError",
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


if not TYPE_CHECKING:  # to a type checker it would mean that there is every name

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
    from .loading import (
        load as load,
    )
    from .making import (
        create as create,
    )
    from .session import (
        Session as Session,
        fetch as fetch,
        open_session as open_session,
    )
    from .swarm.reader import (
        Reader as Reader,
    )
    from .swarm.torrent import (
        Torrent as Torrent,
    )
    from .values import *
    from .verifying import (
        verify as verify,
    )
