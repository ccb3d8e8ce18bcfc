"""Results of hashing, kept so that sharing the same files again begins at once.

A file each, named after the path, the piece length and the kind of hash. It holds a fingerprint of all files (name,
size, time, inode) and the digests of all pieces, and is worth something only if the fingerprint fits. It is a cache:
whatever is wrong with it or its folder, the answer is to hash.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import struct
import time
from typing import Final

from .. import limits
from ..metainfo.digest import SHA1, Hashing
from . import platform
from .walk import Listing

log = logging.getLogger("torrentlite")
log.addHandler(logging.NullHandler())  # else Python itself prints warnings

_MAGIC: Final = b"tl-hashes 1\n"
_ENTRY: Final = struct.Struct("<QQQ")
_SUFFIX: Final = ".hashes"
_DIGEST: Final = hashlib.sha256().digest_size


class HashCache:
    """The remembered digests below a state folder."""

    def __init__(self, state_dir: str | os.PathLike[str]) -> None:
        self._folder = os.path.join(os.fspath(state_dir), "hashes")

    def load(self, listing: Listing, piece_length: int, hashing: Hashing, count: int) -> bytes | None:
        """The digests of all pieces (``count`` of them), or None."""
        path = self._path(listing, piece_length, hashing)
        expected = len(_MAGIC) + _DIGEST + count * hashing.size + _DIGEST
        try:
            with open(path, "rb") as file:
                if os.fstat(file.fileno()).st_size != expected:
                    return None
                data = file.read(expected)
            os.utime(path)  # the oldest go first
        except OSError:
            return None
        body, checksum = data[:-_DIGEST], data[-_DIGEST:]
        head = _MAGIC + _fingerprint(listing, piece_length)
        if hashlib.sha256(body).digest() != checksum or not body.startswith(head):
            return None
        return body[len(head) :]

    def save(self, listing: Listing, piece_length: int, hashing: Hashing, digests: bytes) -> None:
        """Remember them, unless a file was changed so lately that another change could go unnoticed."""
        now = time.time_ns()
        doubt = int(limits.HASH_CACHE_DOUBT * 1e9)
        if any(file is not None and abs(now - file.mtime_ns) < doubt for file in listing.origin.files):
            return
        body = _MAGIC + _fingerprint(listing, piece_length) + digests
        path = self._path(listing, piece_length, hashing)
        temporary = f"{path}.{os.getpid()}.new"
        try:
            os.makedirs(self._folder, exist_ok=True)
            try:
                with open(temporary, "wb") as file:
                    file.write(body + hashlib.sha256(body).digest())
                    file.flush()
                    platform.flush(file.fileno())
                os.replace(temporary, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
                raise
            self._shrink()
        except OSError as error:
            log.warning("cannot remember hashes in %s: %s", self._folder, error)

    def _shrink(self) -> None:
        with os.scandir(self._folder) as entries:
            files = [(entry.stat().st_mtime_ns, entry.path) for entry in entries if entry.name.endswith(_SUFFIX)]
        for _, path in sorted(files)[: -limits.MAX_HASH_CACHE]:
            os.unlink(path)

    def _path(self, listing: Listing, piece_length: int, hashing: Hashing) -> str:
        root = os.fsencode(os.path.realpath(listing.origin.root))
        kind = b"" if hashing is SHA1 else hashing.name.encode() + b" "
        name = hashlib.sha256(kind + b"%d:" % piece_length + root).hexdigest()
        return os.path.join(self._folder, name[:32] + _SUFFIX)


def _fingerprint(listing: Listing, piece_length: int) -> bytes:
    sha = hashlib.sha256(b"%d\n" % piece_length)
    for parts, file in zip(listing.paths, listing.origin.files, strict=True):
        if file is not None:
            sha.update(b"/".join(parts) + b"\0" + os.fsencode(file.path) + b"\0")
            sha.update(_ENTRY.pack(file.size, file.mtime_ns, file.inode))
    return sha.digest()
