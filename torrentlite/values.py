"""What is the same in Trio, in asyncio and without a loop: values, snapshots, events, settings, errors.

``torrentlite``, ``torrentlite.aio`` and ``torrentlite.blocking`` all have these names; what a new one is called is said
here, and in the table of ``torrentlite/__init__.py``.
"""

from __future__ import annotations

from .errors import (
    BencodeError as BencodeError,
    DhtError as DhtError,
    DiskFullError as DiskFullError,
    DiskTroubleError as DiskTroubleError,
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
from .metainfo.mutable import (
    MutableLink as MutableLink,
)
from .settings import (
    Settings as Settings,
)
from .stats import (
    DhtStats as DhtStats,
    FileStats as FileStats,
    LsdStats as LsdStats,
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
from .swarm.world import (
    World as World,
)
from .verifying import (
    BadFile as BadFile,
    Problem as Problem,
    VerifyReport as VerifyReport,
)

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
    "Reason",
    "SessionStats",
    "Settings",
    "SourceError",
    "SourceStats",
    "Stamp",
    "State",
    "StateChanged",
    "Storage",
    "StorageError",
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
]
