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

from .. import (
    BadFile as BadFile,
    BencodeError as BencodeError,
    Completed as Completed,
    DhtError as DhtError,
    DiskFullError as DiskFullError,
    DuplicateTorrentError as DuplicateTorrentError,
    Event as Event,
    FileEntry as FileEntry,
    FileInTheWayError as FileInTheWayError,
    FileStats as FileStats,
    ForbiddenAddressError as ForbiddenAddressError,
    Info as Info,
    InfoHashes as InfoHashes,
    ListenError as ListenError,
    LsdStats as LsdStats,
    Magnet as Magnet,
    MagnetError as MagnetError,
    MetadataReceived as MetadataReceived,
    Metainfo as Metainfo,
    MetainfoError as MetainfoError,
    NetworkError as NetworkError,
    NodeStats as NodeStats,
    NoPeersError as NoPeersError,
    NoSuchFileError as NoSuchFileError,
    PeerBanned as PeerBanned,
    PeersFound as PeersFound,
    PeerStats as PeerStats,
    PieceFailed as PieceFailed,
    PieceStats as PieceStats,
    PieceVerified as PieceVerified,
    PortMapStats as PortMapStats,
    Problem as Problem,
    Progress as Progress,
    ProtocolError as ProtocolError,
    Reason as Reason,
    SessionStats as SessionStats,
    Settings as Settings,
    SourceError as SourceError,
    SourceStats as SourceStats,
    State as State,
    StateChanged as StateChanged,
    StorageError as StorageError,
    TorrentError as TorrentError,
    TorrentPausedError as TorrentPausedError,
    TorrentRemovedError as TorrentRemovedError,
    TorrentStats as TorrentStats,
    TrackerError as TrackerError,
    TrackerReplied as TrackerReplied,
    TrackerStats as TrackerStats,
    UnsupportedTorrentError as UnsupportedTorrentError,
    VerifyError as VerifyError,
    VerifyReport as VerifyReport,
    WebSeedFailed as WebSeedFailed,
    WebSeedStats as WebSeedStats,
    Why as Why,
    World as World,
)
from .calls import create as create, fetch as fetch, load as load, verify as verify
from .reader import Reader as Reader
from .session import Events as Events, Session as Session, Torrent as Torrent, open_session as open_session
