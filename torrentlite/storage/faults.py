"""What the operating system says, in the library's words."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from typing import Final

from ..errors import DiskFullError, DiskTroubleError, StorageError
from ..metainfo.text import display

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Faults that pass when somebody makes room."""

PASSING: Final = FULL | {errno.EIO, errno.EROFS, errno.EINTR, errno.EMFILE, errno.ENFILE}
"""Faults that may pass without anybody changing the torrent: a torrent waits for that.

EINTR comes from calls about names (mkdir, link, unlink, rename) on FUSE and network file systems. Python makes reads,
writes, opens and flushes again by itself (PEP 475), and leaves these alone, rightly: one that was interrupted may have
been done. So it is for us to look again, and not to ask again.
"""

_HINTS: Final = {
    errno.ENOSPC: "free some space; it goes on by itself",
    errno.EDQUOT: "your disk quota is used up; it goes on by itself when there is room",
    errno.EIO: "the disk or its cable may be failing; look at the system's log",
    errno.EINTR: "a signal interrupted it; it goes on by itself",
    errno.EROFS: "the file system is mounted read-only",
    errno.EACCES: "look at the permissions of the file and its folder",
    errno.EPERM: "look at the permissions of the file and its folder",
    errno.ENOENT: "it was moved or removed meanwhile",
    errno.ESTALE: "start it again: it is checked, and what is still right is kept",
    errno.ENOTDIR: "something on the way to it is not a folder; links are not followed",
    errno.ELOOP: "it is a link, and links are not followed",
    errno.EISDIR: "there is a folder of that name",
    errno.ENXIO: "it is not a regular file",
    errno.EFBIG: "the file system cannot hold files of this size",
    errno.ENAMETOOLONG: "choose a save folder with a shorter path",
    errno.EMFILE: "it goes on by itself when files are closed; or raise the limit of open files (ulimit -n)",
    errno.ENFILE: "the system has too many files open; it goes on by itself when some are closed",
    errno.EXDEV: "a folder inside the save folder is on another file system",
}


def fault(error: OSError, path: str, doing: str = "use", *, hint: str = "") -> StorageError:
    """The error to raise for ``error``, met while ``doing`` something with ``path``; ``hint`` instead of the usual."""
    number = error.errno or 0
    kind = StorageError if number not in PASSING else DiskFullError if number in FULL else DiskTroubleError
    words = error.strerror or str(error) or "unknown error"
    what = f"cannot {doing} '{display(path)}'"
    # What a torrent waits for is read in a live line, which a long path would fill.
    message = f"{words}: {what}" if number in PASSING else f"{what}: {words}"
    return kind(message, errno=number, path=path, hint=hint or _HINTS.get(number, ""))


@contextlib.contextmanager
def about(path: str | os.PathLike[str], doing: str = "use") -> Iterator[None]:
    """Turn OSErrors of the block into StorageErrors about this path."""
    try:
        yield
    except OSError as error:
        raise fault(error, os.fspath(path), doing) from error
