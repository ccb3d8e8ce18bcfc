"""torrentlite for asyncio: the same names, awaited from any asyncio program (uvloop too).

    from torrentlite import aio as tl

    async with tl.open_session() as session:
        torrent = session.add(await tl.load("debian.torrent"), save_to="downloads")
        async with asyncio.timeout(3600):
            await torrent.wait_complete()

What is sync in ``torrentlite`` is sync here, what is awaited is awaited; time limits and cancellation are asyncio's.
The engine is Trio as a guest in the running loop (docs/asyncio.md): all calls belong into the loop's own thread.
"""

from __future__ import annotations

from ..values import *
from .calls import create as create, fetch as fetch, load as load, verify as verify
from .reader import Reader as Reader
from .session import EventStream as EventStream, Session as Session, Torrent as Torrent, open_session as open_session

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
    "EventStream",
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
