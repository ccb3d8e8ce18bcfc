"""torrentlite for scripts, threads and notebooks: the same names, without ``await``.

    from torrentlite import blocking as tl

    paths = tl.fetch("debian.torrent", "downloads", progress=lambda stats: print(f"{stats.progress:.0%}"))

    with tl.open_session() as session:
        torrent = session.add(tl.load("debian.torrent"), save_to="downloads")
        torrent.wait_complete(timeout=3600)

The engine is Trio in a thread of its own, which ends with the call or the block. Ctrl-C is raised where the caller
waits, after what it waited for has been left in good order.
"""

from __future__ import annotations

from ..values import *
from .calls import create as create, fetch as fetch, load as load, verify as verify
from .reader import Reader as Reader
from .session import Events as Events, Session as Session, Torrent as Torrent, open_session as open_session

# In full: type checkers read no list that is put together, and `import *` would give this package's modules too.
__all__ = [
    "BadFile",
    "BencodeError",
    "CacheStorage",
    "Completed",
    "DhtError",
    "DhtStats",
    "DiskFullError",
    "DiskTroubleError",
    "DuplicateTorrentError",
    "Event",
    "Events",
    "FileEntry",
    "FileInTheWayError",
    "FileStats",
    "ForbiddenAddressError",
    "Found",
    "Info",
    "InfoHashes",
    "ListenError",
    "LsdStats",
    "Magnet",
    "MagnetError",
    "MemoryStorage",
    "MetadataReceived",
    "Metainfo",
    "MetainfoError",
    "MutableLink",
    "NetworkError",
    "NoPeersError",
    "NoSuchFileError",
    "PeerBanned",
    "PeerStats",
    "PeersFound",
    "PieceFailed",
    "PieceStats",
    "PieceVerified",
    "PortMapStats",
    "Problem",
    "Progress",
    "ProtocolError",
    "Reader",
    "Reason",
    "Session",
    "SessionStats",
    "Settings",
    "SourceError",
    "SourceStats",
    "Stamp",
    "State",
    "StateChanged",
    "Storage",
    "StorageError",
    "Torrent",
    "TorrentError",
    "TorrentPausedError",
    "TorrentRemovedError",
    "TorrentStats",
    "TrackerError",
    "TrackerReplied",
    "TrackerStats",
    "UnsupportedTorrentError",
    "VerifyError",
    "VerifyReport",
    "WebSeedFailed",
    "WebSeedStats",
    "Why",
    "World",
    "create",
    "fetch",
    "load",
    "open_session",
    "verify",
]
