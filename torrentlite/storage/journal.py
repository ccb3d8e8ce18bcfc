"""Resume data: what of a torrent is known to be on the disk, as an append-only log.

One file for each pair of info-hash and save folder, locked while it is in use. It begins with a header (whose torrent,
which folder) and goes on with records. Each has a CRC-32 that also covers all bytes before it, so a record is right
only in its place. What the records say:

- ``WRITTEN``: these pieces are about to be written. Appended before the data, so that whatever was written when the
  process was killed is hashed, and not fetched again.
- ``SYNCED``: these pieces are on the disk. Appended after their data was flushed, and flushed itself.
- ``STAMPS``: how the files looked then; a file that looks different was changed by somebody else.
- ``HAVE``: all synced pieces, as a bitfield; stands at the beginning.
- ``CLEAN``: nothing was written since. The last record of a proper end.

Records only ever add to what is synced, except that ``WRITTEN`` takes away; whatever else has to be taken back is done
by writing the file anew. So every beginning of a journal is true, and a torn end does no harm. Anything else that is
wrong with it makes it worthless, and the torrent is hashed.

All integers are little-endian. Raises StorageError where the state folder cannot be used. A file in it that is somebody
else's (root's, after a ``sudo tl``) is left alone, and done without.
"""

from __future__ import annotations

import contextlib
import enum
import hashlib
import logging
import os
import struct
import threading
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from .. import limits
from ..errors import StorageError
from ..wire import bitfield
from . import platform
from .faults import PASSING, about, fault
from .runs import runs
from .storage import Stamp

log = logging.getLogger("torrentlite")

VERSION: Final = 1
_MAGIC: Final = b"tl-resume\n"
_HEADER: Final = struct.Struct("<10sH20sI")  # magic, version, info-hash, bytes of the folder's path
_HEAD: Final = struct.Struct("<IBI")  # checksum, kind, bytes of the payload
_CRC: Final = struct.Struct("<I")
_RUN: Final = struct.Struct("<II")  # first piece, pieces
_STAMP: Final = struct.Struct("<IQQQ")  # file, size, mtime_ns, inode


class Kind(enum.IntEnum):
    """What a record says."""

    HAVE = 1
    WRITTEN = 2
    SYNCED = 3
    STAMPS = 4
    CLEAN = 5


@dataclass(slots=True)
class Resume:
    """What a journal says.

    Attributes:
        known: False: it says nothing (there was none, or it was damaged, or of another version), and so do the rest.
        torn: its end is missing, so pieces may have been written of which it does not tell.
        clean: the last process ended properly: also unfinished files look as ``stamps`` say.
        synced: pieces on the disk.
        written: pieces that were being written and may be right.
        stamps: files, by number, when they were last flushed.
    """

    known: bool = False
    torn: bool = False
    clean: bool = False
    synced: int = 0
    written: set[int] = field(default_factory=set)
    stamps: dict[int, Stamp] = field(default_factory=dict)


class _DamagedError(Exception):
    """This record was not written like that."""


class Journal:
    """The journal of one torrent in one save folder. Threads may share it.

    Args:
        state_dir: the session's state folder.
        info_hash: v1, 20 bytes.
        folder: the save folder.
        piece_count: pieces of the torrent.
    """

    def __init__(
        self, state_dir: str | os.PathLike[str], info_hash: bytes, folder: str | os.PathLike[str], piece_count: int
    ) -> None:
        place = os.fsencode(os.path.realpath(folder))
        digest = hashlib.sha256(place).hexdigest()[:16]
        self._folder = os.path.join(os.fspath(state_dir), "resume")
        self.path = os.path.join(self._folder, f"{info_hash.hex()}-{digest}.journal")
        self._count = piece_count
        header = _HEADER.pack(_MAGIC, VERSION, info_hash, len(place)) + place
        self._header = header + _CRC.pack(zlib.crc32(header))
        self._lock = threading.Lock()
        self._fd = -1
        self._barred = False  # the file is there, and is not for us: nothing is said of this torrent
        self._end = self._crc = self._compact_size = 0
        self._state = Resume()
        self._stale = False  # the file does not say all of that: it could not be written

    # -- the beginning -----------------------------------------------------------------------------------------------

    def load(self) -> Resume:
        """Lock the journal and read it. May be called again.

        Raises:
            StorageError: another process has it, or the state folder cannot be used.
        """
        with self._lock, about(self.path, "read"):
            if self._fd < 0 and not self._open():
                return Resume()
            size = os.fstat(self._fd).st_size
            data = bytearray(size if size <= limits.MAX_JOURNAL else 0)
            platform.pread_full(self._fd, [data], 0)
            self._state, self._stale = self._parse(bytes(data)), False
            return self._state

    def _open(self) -> bool:
        """Open and lock it; False where it is not for us. Put another in its place? Who has it may be using it."""
        try:
            self._fd, self._barred = self._open_locked(), False
        except PermissionError as error:
            if not os.path.lexists(self.path):
                raise
            if not self._barred:
                log.warning("nothing is remembered for the next start: %s", fault(error, self.path, "use"))
            self._barred = True
        return not self._barred

    def _open_locked(self) -> int:
        try:
            platform.make_folders(self._folder)
        except OSError as error:
            hint = "" if error.errno in PASSING else "choose another state folder (Settings.state_dir, --state-dir)"
            raise fault(error, self._folder, "make the state folder", hint=hint) from error
        while True:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o600)
            try:
                if not platform.lock(fd):
                    raise StorageError(
                        "this torrent is being saved to the same folder by another session or process",
                        path=self.path,
                        hint="wait for it, or choose another folder",
                    )
                # Whoever had the lock may have put a new file in its place meanwhile.
                if os.path.samestat(os.fstat(fd), os.stat(self.path)):
                    return fd
            except FileNotFoundError:
                pass
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)

    def _parse(self, data: bytes) -> Resume:
        state = Resume()
        if not data.startswith(self._header):
            return state
        position, crc = len(self._header), zlib.crc32(self._header)
        try:
            while position < len(data):
                if len(data) - position < _HEAD.size:
                    state.torn = True
                    break
                checksum, kind, size = _HEAD.unpack_from(data, position)
                stop = position + _HEAD.size + size
                if stop > len(data):
                    state.torn = True
                    break
                new_crc = zlib.crc32(data[position + _CRC.size : stop], crc)
                if new_crc != checksum:
                    if any(data[position:]):
                        raise _DamagedError
                    state.torn = True  # after a power cut, a file's size may have outlived its data
                    break
                crc = new_crc
                self._apply(state, kind, data[position + _HEAD.size : stop])
                position = stop
        except _DamagedError:
            return Resume()
        state.clean = state.clean and not state.torn
        self._end, self._crc = position, crc
        self._compact_size = 0
        return state

    def _apply(self, state: Resume, kind: int, payload: bytes) -> None:
        if not state.known and kind != Kind.HAVE:
            raise _DamagedError
        state.clean = False
        match kind:
            case Kind.HAVE:
                state.known = True
                state.synced = int.from_bytes(payload, "little")
                if state.synced >> self._count:
                    raise _DamagedError
            case Kind.WRITTEN:
                for piece, count in self._unpack(_RUN, payload):
                    self._check(piece, count)
                    state.written.update(range(piece, piece + count))
                    state.synced &= ~bitfield.span(range(piece, piece + count))
            case Kind.SYNCED:
                for piece, count in self._unpack(_RUN, payload):
                    self._check(piece, count)
                    state.written.difference_update(range(piece, piece + count))
                    state.synced |= bitfield.span(range(piece, piece + count))
            case Kind.STAMPS:
                for file, *stamp in self._unpack(_STAMP, payload):
                    state.stamps[file] = Stamp(*stamp)
            case Kind.CLEAN:
                state.clean = True
            case _:
                raise _DamagedError

    def _unpack(self, form: struct.Struct, payload: bytes) -> Iterator[tuple[int, ...]]:
        if len(payload) % form.size:
            raise _DamagedError
        return form.iter_unpack(payload)

    def _check(self, piece: int, count: int) -> None:
        if piece + count > self._count:
            raise _DamagedError

    # -- the life ----------------------------------------------------------------------------------------------------

    def written(self, pieces: Iterable[int]) -> None:
        """These are about to be written, or written to. Not flushed: a killed process leaves it to the system."""
        with self._lock, about(self.path, "write to"):
            if self._barred:
                return
            fresh = [piece for piece in pieces if piece not in self._state.written]
            if fresh:
                self._append(Kind.WRITTEN, b"".join(_RUN.pack(piece, 1) for piece in fresh))
                self._state.written.update(fresh)
                synced = bitfield.of(fresh) & self._state.synced
                if synced:
                    self._state.synced ^= synced

    def synced(self, pieces: int, stamps: Mapping[int, Stamp]) -> None:
        """The data of these pieces is on the disk, and these files looked like that afterwards. Flushed."""
        with self._lock, about(self.path, "write to"):
            if self._barred:
                return
            if stamps:
                self._append(Kind.STAMPS, _pack_stamps(stamps))
                self._state.stamps.update(stamps)
            if pieces:
                self._append(Kind.SYNCED, _pack_runs(pieces))
                self._state.synced |= pieces
                self._state.written.difference_update(bitfield.members(pieces))
            platform.flush(self._fd)
            if self._end > limits.JOURNAL_SLACK + 2 * self._compact_size:
                self._replace(clean=False)

    def rewrite(self, synced: int, stamps: Mapping[int, Stamp], *, clean: bool) -> None:
        """From now on exactly this is true. Flushed. If that fails, it is done before anything else is written.

        Args:
            synced: pieces on the disk.
            stamps: how the files look.
            clean: it is the end, nothing more will be written.
        """
        with self._lock, about(self.path, "write to"):
            if self._barred:
                return
            self._state, self._stale = Resume(known=True, synced=synced, stamps=dict(stamps)), True
            self._replace(clean=clean)

    def close(self) -> None:
        """Unlock it. Does not raise."""
        with self._lock:
            if self._fd >= 0:
                with contextlib.suppress(OSError):
                    os.close(self._fd)
            self._fd = -1

    def _append(self, kind: Kind, payload: bytes) -> None:
        if self._stale:
            self._replace(clean=False)
        record, crc = _record(kind, payload, self._crc)
        try:
            platform.pwrite_all(self._fd, record, self._end)
        except BaseException:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._end)  # half a record before the next one would spoil both
            raise
        self._end += len(record)
        self._crc = crc

    def _replace(self, *, clean: bool) -> None:
        """Put a compact file in the place of this one. A crash leaves one or the other."""
        if self._fd < 0:  # it could not be opened before
            self._fd = self._open_locked()
        data, crc = self._compact(clean=clean)
        temporary = f"{self.path}.new"
        fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | _FLAGS, 0o600)
        try:
            platform.lock(fd)
            platform.pwrite_all(fd, data, 0)
            platform.flush(fd)
            if os.name == "nt":
                os.close(self._fd)  # Windows replaces no open file
                self._fd = -1
            os.replace(temporary, self.path)
        except BaseException:
            os.close(fd)
            raise
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._crc, self._end, self._stale = fd, crc, len(data), False
        self._compact_size = len(data)
        folder = platform.open_root(self._folder)
        try:
            platform.flush_folder(folder)
        finally:
            platform.close_folder(folder)

    def _compact(self, *, clean: bool) -> tuple[bytes, int]:
        """A file that says what is true now, and its checksum."""
        state = self._state
        records = [(Kind.HAVE, state.synced.to_bytes((state.synced.bit_length() + 7) // 8, "little"))]
        if state.written:
            records.append((Kind.WRITTEN, _pack_runs(bitfield.of(state.written))))
        if state.stamps:
            records.append((Kind.STAMPS, _pack_stamps(state.stamps)))
        if clean:
            records.append((Kind.CLEAN, b""))
        parts = [self._header]
        crc = zlib.crc32(self._header)
        for kind, payload in records:
            record, crc = _record(kind, payload, crc)
            parts.append(record)
        return b"".join(parts), crc


_FLAGS: Final = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def _record(kind: Kind, payload: bytes, crc: int) -> tuple[bytes, int]:
    """A record and the checksum of everything up to its end."""
    body = _HEAD.pack(0, kind, len(payload))[_CRC.size :] + payload
    crc = zlib.crc32(body, crc)
    return _CRC.pack(crc) + body, crc


def _pack_runs(pieces: int) -> bytes:
    return b"".join(_RUN.pack(run.start, len(run)) for run in runs(pieces))


def _pack_stamps(stamps: Mapping[int, Stamp]) -> bytes:
    return b"".join(_STAMP.pack(file, *stamp) for file, stamp in stamps.items())
