"""The errors that leave the library: plain exceptions, never an ExceptionGroup.

Every error says what happened in its text; ``hint`` may add what to do about it.
"""

from __future__ import annotations

import copy
import pathlib
from os import PathLike


class TorrentError(Exception):
    """Anything that torrentlite reports to its caller.

    Attributes:
        hint: what the reader could do about it, or an empty string.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class BencodeError(TorrentError):
    """These bytes are not one strict bencoded value (BEP 3, "bencoding")."""


class MetainfoError(TorrentError):
    """A .torrent, or the info dictionary of one, that cannot be used."""


class UnsupportedTorrentError(MetainfoError):
    """A valid torrent of a kind that torrentlite does not speak (v2 only, BEP 52; Merkle, BEP 30)."""


class MagnetError(TorrentError):
    """A magnet link or info-hash that cannot be used (BEP 9)."""


class SourceError(TorrentError):
    """A source (path, URL, link) that could not be read: not found, not allowed, HTTP 4xx."""


class ProtocolError(TorrentError):
    """The other side broke the peer protocol; its connection is closed."""


class NetworkError(TorrentError):
    """Nothing could be reached: refused, unreachable, no name, no answer, HTTP 5xx."""


class ForbiddenAddressError(NetworkError):
    """A remote source named an address of narrower scope than its own (or one never allowed)."""


class ListenError(NetworkError):
    """The listening port could not be had."""


class TrackerError(TorrentError):
    """A tracker refused, answered nonsense, or did not answer."""


class DhtError(TorrentError):
    """The DHT could not do it: nobody answered, or refused; a value that it cannot hold."""


class StorageError(TorrentError):
    """The disk said no: permission, wrong file type, a different file in the way.

    Attributes:
        errno: the system's number, or 0.
        path: the file it is about, or None.
    """

    def __init__(
        self, message: str, *, errno: int = 0, path: str | PathLike[str] | None = None, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.errno = errno
        self.path = pathlib.Path(path) if path else None


class DiskTroubleError(StorageError):
    """A fault of the disk that may pass (EIO, EROFS, EINTR, EMFILE, ENFILE; DiskFullError): wait and try again.

    It is the same where no thread may be started to use it in (EAGAIN). A disk that is read-only (EROFS) from the start
    is a StorageError: only one that becomes so may be mended.
    """


class DiskFullError(DiskTroubleError):
    """There is no room (ENOSPC), or the quota is used up (EDQUOT); once there is room it goes on by itself."""


class FileInTheWayError(StorageError):
    """A different finished file of that name exists and ``overwrite`` was not given."""


class VerifyError(TorrentError):
    """Data that does not match its hashes."""


class NoPeersError(TorrentError, TimeoutError):
    """No peers, no metadata or no progress in the time allowed; a TimeoutError, as other waits raise it."""


class NoSuchFileError(TorrentError, ValueError):
    """The torrent has no such file; a ValueError, as other wishes that make no sense raise it."""


class TorrentPausedError(TorrentError):
    """The torrent is paused, so what is asked for is not going to come."""


class DuplicateTorrentError(TorrentError):
    """This info-hash is in the session already."""


class TorrentRemovedError(TorrentError):
    """The torrent was removed, or its session left, while somebody waited for it."""


def again(error: TorrentError) -> TorrentError:
    """The same error for one more who waits: one object raised twice would keep the frames of all who caught it."""
    fresh = copy.copy(error)
    fresh.__cause__ = error.__cause__
    return fresh
