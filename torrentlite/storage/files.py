"""A torrent in a save folder.

A file is ``NAME.<hash8>.part`` until it is whole, and has its final name for good then. Bytes of files that nobody
wants, but which border on wanted pieces, lie in one sparse ``.<name>.<hash8>.parts`` beside them, each at its offset in
the torrent. Folders and files come into being with the first byte that goes into them.

Who may do what when is the disk's business (``disk.py``): reads, writes, ``sync`` and ``finish`` come from several
threads at once, what moves bytes from place to place comes alone.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence

from .. import limits
from ..errors import StorageError
from ..metainfo.info import Info
from ..metainfo.text import display
from . import platform
from .beneath import Beneath, Opened
from .faults import about, fault
from .pool import FilePool, Key
from .reader import Home, SpanReader
from .room import check_room
from .runs import ranges_of_file
from .storage import Buffer, Found, InTheWay, Room, Stamp, Storage, SyncFailure
from .survey import Names, Place, in_the_way, survey, suspects
from .whereabouts import Whereabouts


class FileStorage(Storage):
    """See ``Storage``.

    Args:
        info: what is stored.
        folder: the save folder; made when the first byte is written.
        overwrite: a different finished file may be replaced, once the right one is whole.
        pool: of open files, one for the whole session; by default one of its own.
    """

    read_only = False

    def __init__(
        self,
        info: Info,
        folder: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        pool: FilePool | None = None,
    ) -> None:
        self._info = info
        self._layout = info.layout
        self._overwrite = overwrite
        self._pool = FilePool() if pool is None else pool
        self._beneath = Beneath(os.fspath(folder))
        self._names = Names(info)
        self._aside = len(info.files)  # the number of the file beside the others
        self._wanted: frozenset[int] = frozenset()
        self._where = Whereabouts(info, self._beneath, self._names, self._pool, owner=self)
        self._resized, self._doubled = set[int](), set[int]()  # see ``Survey``
        self._dirty: dict[int, Stamp | None] = {}  # with its stamp where nothing has to be flushed
        self._dirty_lock = threading.Lock()
        self._written = False
        opener, failed = functools.partial(self._where.open, write=False), functools.partial(self._fault, doing="read")
        self._reader = SpanReader(self._layout, self._pool, self._home, opener, failed, self._beneath.holding)

    # -- looking -----------------------------------------------------------------------------------------------------

    def prepare(self, wanted: frozenset[int]) -> Found:
        """See ``Storage.prepare``."""
        self._pool.discard_all(self)
        with about(self._beneath.root), self._beneath.holding():
            seen = survey(self._info, self._names, self._beneath, wanted, overwrite=self._overwrite)
            if not self._written and any(seen.places[file] is not Place.FINAL for file in wanted):
                self._require_writable()
        self._wanted = wanted
        self._where.begin(seen)
        self._resized, self._doubled = seen.resized, seen.doubled
        return seen.found

    def _require_writable(self) -> None:
        """Look whether it is in vain to begin. A disk that becomes read-only later may be mended, and is waited for."""
        root = self._beneath.root
        if platform.is_read_only(root):
            message = f"cannot save into '{display(root)}': it is on a read-only disk"
            hint = "choose another folder, or mount it writable"
            raise StorageError(message, errno=errno.EROFS, path=root, hint=hint)

    def absent(self) -> list[int]:
        """Wanted files, but for empty ones, that are not here: of some, bytes may lie beside the others."""
        here = self._where.exist | {file for file, place in enumerate(self._where.places) if place is Place.FINAL}
        return [file for file in sorted(self._wanted - here) if self._layout.file_lengths[file]]

    def final(self, file: int) -> bool:
        """See ``Storage.final``."""
        return self._where.places[file] is Place.FINAL

    def path(self, file: int) -> str:
        """See ``Storage.path``."""
        return self._beneath.name(self._names.final(file))

    def top(self) -> str:
        """See ``Storage.top``."""
        return self._beneath.name(self._names.top)

    # -- reading -----------------------------------------------------------------------------------------------------

    def read_cached(self, offset: int, buffers: Sequence[Room]) -> bool:
        """See ``Storage.read_cached``."""
        return self._reader.read_cached(offset, buffers)

    def pread_into(self, offset: int, buffers: Sequence[Room], *, aside: bool = False) -> None:
        """See ``Storage.pread_into``."""
        if not aside:
            with about(self._beneath.root, "read"), self._beneath.holding():
                self._reader.pread_into(offset, buffers)
            return
        with self._borrow(Key(self, self._aside, write=False)) as fd:
            if platform.pread_full(fd, buffers, offset) < sum(map(len, buffers)):
                raise OSError(errno.ENODATA, "the file is shorter than it was")

    def _home(self, file: int) -> Home | None:
        place = self._where.places[file]
        if place is Place.NOWHERE:
            return None
        if place is Place.ASIDE:
            return Home(Key(self, self._aside, write=False), self._layout.file_offsets[file])
        return Home(Key(self, file, write=False))

    def _fault(self, file: int, error: OSError, doing: str) -> StorageError:
        return fault(error, self._beneath.name(self._where.path(file)), doing)

    @contextlib.contextmanager
    def _borrow(self, key: Key) -> Iterator[int]:
        try:
            with self._pool.borrow(key, lambda: self._open_for_pool(key)) as fd:
                yield fd
        except OSError as error:
            raise self._fault(key.file, error, "write to" if key.write else "read") from error

    def _open_for_pool(self, key: Key) -> int:
        return self._where.open_to_write(key.file) if key.write else self._where.open(key.file, write=False).fd

    # -- writing -----------------------------------------------------------------------------------------------------

    def pwrite(self, offset: int, data: Buffer, *, aside: bool = False) -> None:
        """See ``Storage.pwrite``."""
        rest = memoryview(data)
        if aside:
            self._write(self._aside, rest, offset)
            return
        with about(self._beneath.root, "write to"), self._beneath.holding():
            for span in self._layout.spans(offset, len(rest)):
                view, rest = rest[: span.length], rest[span.length :]
                match self._where.places[span.file]:
                    case Place.NOWHERE:
                        if view.tobytes().count(0) != len(view):
                            raise StorageError("the torrent's padding is not made of zeros, so it cannot be stored")
                    case Place.FINAL:
                        if not self._holds(span.file, span.offset, view):
                            raise InTheWay(span.file)
                    case Place.PART if self._layout.file_lengths[span.file] <= self._layout.piece_length:
                        self._write_once(span.file, view, span.offset)
                    case Place.PART:
                        self._write(span.file, view, span.offset)
                    case Place.ASIDE:
                        self._write(self._aside, view, offset)
                offset += span.length

    def _write(self, file: int, view: memoryview, offset: int) -> None:
        key = Key(self, file, write=True)
        try:
            opened = self._pool.take(key, lambda: self._where.open_to_write(file))
            try:
                self._where.check_size(file, os.fstat(opened.fd))
                platform.pwrite_all(opened.fd, view, offset)
            finally:
                self._pool.give_back(opened)
        except OSError as error:
            raise self._fault(file, error, "write to") from error
        finally:
            self._wrote(file, None)

    def _write_once(self, file: int, view: memoryview, offset: int) -> None:
        """Write to a file that is written to once, or twice: nothing is kept open for others to use."""
        stamp = None
        whole = len(view) == self._layout.file_lengths[file]
        try:
            fd = self._pool.scarce(lambda: self._where.create(file))
            created = fd is not None
            if fd is None:
                fd = self._pool.scarce(lambda: self._where.open_to_write(file))
            try:
                try:
                    if created and not whole:
                        os.ftruncate(fd, self._layout.file_lengths[file])
                    platform.pwrite_all(fd, view, offset)
                finally:
                    status = os.fstat(fd)
                    if created:
                        self._where.know(file, status)
            finally:
                os.close(fd)
            self._where.sized.add(file)
            if whole and self._pool.cached.in_memory(status.st_dev):
                stamp = platform.stamp(status)
        except OSError as error:
            raise self._fault(file, error, "write to") from error
        finally:
            self._wrote(file, stamp)

    def _wrote(self, file: int, stamp: Stamp | None) -> None:
        """Not called before the write: a sync in between would take the mark away, and leave the data."""
        with self._dirty_lock:
            self._dirty[file] = stamp
            self._written = True

    def _holds(self, file: int, offset: int, data: memoryview) -> bool:
        """Whether a finished file has these bytes there."""
        buffer = bytearray(min(len(data), limits.READ_CHUNK))
        with self._borrow(Key(self, file, write=False)) as fd:
            while data:
                head, data = data[: len(buffer)], data[len(buffer) :]
                view = memoryview(buffer)[: len(head)]
                if platform.pread_full(fd, [view], offset) < len(head) or view.tobytes() != head.tobytes():
                    return False
                offset += len(head)
        return True

    # -- making it last ----------------------------------------------------------------------------------------------

    def sync(self, files: Iterable[int] = ()) -> dict[int, Stamp]:
        """See ``Storage.sync``."""
        with self._dirty_lock:
            dirty, self._dirty = self._dirty, {}
        for file in files:
            dirty.setdefault(self._aside if self._where.places[file] is Place.ASIDE else file, None)
        # Nothing was ever written to those that do not exist.
        todo = [file for file in sorted(dirty) if file in self._where.exist or self._where.place(file) is Place.FINAL]
        stamps: dict[int, Stamp] = {}
        if len(todo) >= limits.FLUSH_TOGETHER:
            # Four calls for each, of thousands, and none that does anything. They are looked at when they are named.
            stamps = {file: stamp for file in todo if (stamp := dirty[file]) is not None}
            todo = [file for file in todo if file not in stamps]
        failed: dict[int, Exception] = {}
        try:
            with self._beneath.holding():
                for start in range(0, len(todo), self._pool.limit):  # so many descriptors more than the pool has
                    self._flush(todo[start : start + self._pool.limit], stamps, failed)
            if not failed:
                self._beneath.flush_names()
        except OSError as error:
            failed = dict.fromkeys(dirty, error)
        if failed:
            cause = next(iter(failed.values()))
            with self._dirty_lock:
                self._dirty.update(dict.fromkeys(dirty))  # their stamps are out of date: the next one tries them all
            if self._aside in failed:
                failed.update((file, cause) for file, place in enumerate(self._where.places) if place is Place.ASIDE)
            raise SyncFailure(frozenset(failed.keys() - {self._aside})) from cause
        return stamps

    def _flush(self, files: Sequence[int], stamps: dict[int, Stamp], failed: dict[int, Exception]) -> None:
        """Opened by their names, so that nobody has put others in their places."""
        opened: dict[int, Opened] = {}
        try:
            for file in files:
                try:
                    opened[file] = self._pool.scarce(lambda: self._where.open(file, write=False))  # noqa: B023  now
                    self._where.check_size(file, opened[file].status)
                except OSError as error:
                    failed[file] = self._fault(file, error, "flush")
            outcomes = platform.flush_all([fd for fd, _ in opened.values()], self._flushers(opened))
            for (file, (fd, status)), failure in zip(opened.items(), outcomes, strict=True):
                if failure is None:
                    # As it was opened: a file that is whole is not written to any more, of others the inode counts.
                    stamps[file] = platform.stamp(status)
                    continue
                # The system may now take the pages it failed to write for clean. Reads must not be answered from them.
                platform.forget_cached(fd)
                failed[file] = self._fault(file, failure, "flush")
        finally:
            for fd, _ in opened.values():
                os.close(fd)

    def _flushers(self, opened: Mapping[int, Opened]) -> int:
        if len(opened) < limits.FLUSH_TOGETHER:
            return 1
        device = next(iter(opened.values())).status.st_dev
        # In memory flushing waits for nothing, and threads would only be in each other's way.
        return 1 if self._pool.cached.in_memory(device) else limits.FLUSH_THREADS

    def finish(self, files: Iterable[int]) -> list[int]:
        """See ``Storage.finish``."""
        done = []
        with about(self._beneath.root), self._beneath.holding():
            for file in files:
                if self._where.places[file] is Place.PART:
                    try:
                        self._give_final_name(file)
                    except FileExistsError as error:
                        raise in_the_way(self.path(file)) from error
                    except OSError as error:
                        raise fault(error, self.path(file), "create") from error
                if self._where.places[file] is Place.FINAL:
                    done.append(file)
            others = (Place.PART, Place.ASIDE)
            if self._aside in self._where.exist and not any(place in others for place in self._where.places):
                self._where.exist.discard(self._aside)
                self._where.inodes.pop(self._aside, None)
                self._pool.discard(self, self._aside)
                with about(self._beneath.name(self._names.aside), "remove"):
                    self._beneath.remove(self._names.aside)
        with about(self._beneath.root):
            self._beneath.flush_names()
        return done

    def _give_final_name(self, file: int) -> None:
        part, final = self._names.part(file), self._names.final(file)
        status = self._beneath.stat(part) if file in self._where.exist else None
        interrupted = status is not None and status.st_nlink > 1 and self._beneath.same(part, final)
        if not interrupted and not self._where.is_whole(file, status):
            with self._borrow(Key(self, file, write=True)) as fd:  # an empty file comes into being here
                self._where.check_name(file, fd)
                if os.fstat(fd).st_size != self._layout.file_lengths[file]:
                    os.ftruncate(fd, self._layout.file_lengths[file])
                    platform.flush(fd)
        with self._where.moving:
            try:
                if interrupted:
                    self._beneath.remove(part)
                else:
                    self._beneath.rename(part, final, replace=self._overwrite)
            except OSError:
                if not self._has_final_name(file):
                    raise
            self._where.places[file] = Place.FINAL
            self._where.exist.discard(file)
        self._pool.discard(self, file)

    def _has_final_name(self, file: int) -> bool:
        """Whether a renaming that was interrupted (EINTR) has been done nevertheless."""
        part, final = self._beneath.stat(self._names.part(file)), self._beneath.stat(self._names.final(file))
        return part is None and final is not None and platform.inode(final) == self._where.inodes.get(file)

    # -- changing places (alone) -------------------------------------------------------------------------------------

    def select(self, wanted: frozenset[int], have: int, wrong: int = 0) -> None:
        """See ``Storage.select``."""
        with about(self._beneath.root):  # what a process that was killed has left behind
            if self._beneath.stat(self._names.temporary) is not None:  # a read-only disk refuses this of nothing, too
                self._beneath.remove(self._names.temporary)
            for file in sorted(self._doubled):
                self._beneath.remove(self._names.part(file))
        self._doubled.clear()
        places = self._where.places
        newly = [file for file in self._info.wanted_files if file in wanted and places[file] is Place.ASIDE]
        for file in newly if not self._overwrite else ():
            with about(self.path(file), "look at"):
                if self._beneath.stat(self._names.final(file)) is not None:
                    raise in_the_way(self.path(file))
        self._wanted = wanted
        different = set(self._resized)
        for group in suspects(self._layout, places, wrong):
            # Which one of several it is shows when the right piece is here. Unless nobody may touch any of them.
            if len(group) == 1 or (group <= wanted and not self._overwrite):
                different |= group
        for file in sorted(different):
            self.displace(file, have)
        if newly:
            self._check_room(newly)
        for file in newly:
            self._take_back(file, have)
        for file in self._info.wanted_files:
            if file not in wanted and places[file] is Place.PART and file not in self._where.exist:
                places[file] = Place.ASIDE

    def displace(self, file: int, have: int) -> None:
        """See ``Storage.displace``."""
        if self._where.places[file] is not Place.FINAL:
            return
        keep = list(ranges_of_file(have, file, self._layout))
        if file not in self._wanted:
            self._put_aside(file, keep)
        elif self._overwrite:
            self._check_room([file])
            self._put_into_part(file, keep)
        else:
            raise in_the_way(self.path(file))
        self._resized.discard(file)

    def _check_room(self, files: Iterable[int]) -> None:
        """Whether these files fit, beside what others of the torrent are still to become."""
        lengths = self._layout.file_lengths
        needed = sum(lengths[file] for file in files)
        with about(self._beneath.root):
            for file in self._wanted:
                if self._where.places[file] is Place.PART:
                    status = self._beneath.stat(self._names.part(file)) if file in self._where.exist else None
                    needed += max(0, lengths[file] - (platform.allocated(status) if status else 0))
            free = platform.free_space(self._beneath.root)
        check_room(needed, free, self._beneath.root)

    def _take_back(self, file: int, have: int) -> None:
        """A file is wanted after all: what is kept of it beside the others goes into its own ``.part``."""
        keep = list(ranges_of_file(have, file, self._layout)) if self._aside in self._where.exist else []
        part = self._names.part(file)
        with about(self._beneath.name(part), "look at"):
            self._where.claim(file)
            self._where.exist.update([file] if self._beneath.stat(part) else [])
        self._put_into_part(file, keep)

    def _put_aside(self, file: int, ranges: Sequence[tuple[int, int]]) -> None:
        """Keep these ranges of a file beside the others."""
        source, target = Key(self, file, write=False), Key(self, self._aside, write=True)
        for offset, length in ranges:
            with self._borrow(source) as here, self._borrow(target) as there:
                platform.copy_range(here, offset, there, self._layout.file_offsets[file] + offset, length)
        self._move(file, Place.ASIDE)

    def _put_into_part(self, file: int, ranges: Sequence[tuple[int, int]]) -> None:
        """Keep these ranges of a file in its ``.part``. It appears at once: a crash leaves them here or there."""
        home = self._home(file)
        if ranges and home is not None:
            with about(self._beneath.name(self._names.temporary), "write to"):
                with self._new_part(file) as target:
                    self._bring(home, ranges, target)
                    platform.flush(target)
                self._beneath.flush_names()
            self._where.exist.add(file)
        self._move(file, Place.PART)

    def _bring(self, home: Home, ranges: Iterable[tuple[int, int]], target: int) -> None:
        for offset, length in ranges:
            with self._borrow(home.key) as source:
                platform.copy_range(source, offset + home.shift, target, offset, length)

    @contextlib.contextmanager
    def adopting(self, file: int, have: int) -> Iterator[int]:
        """An absent file, to be filled with what may be its first bytes: after the block, and a new look, it is there.

        What is kept beside the others of pieces that are here (``have``) goes over it. Nothing is flushed: what
        turns out right is flushed with the next ``sync``.
        """
        with about(self.path(file), "write to"):
            self._where.claim(file)
            self._beneath.remove(self._names.temporary)  # a process that was killed may have left one
            with self._new_part(file) as target:
                yield target
                home = self._home(file)
                if home is not None and self._where.places[file] is Place.ASIDE:
                    self._bring(home, ranges_of_file(have, file, self._layout), target)
                if self._beneath.stat(self._names.part(file)) is not None:
                    raise OSError(errno.EEXIST, "another program has made it meanwhile")

    @contextlib.contextmanager
    def _new_part(self, file: int) -> Iterator[int]:
        """A file that is a ``.part`` after the block, or goes away where that fails."""
        temporary = self._names.temporary
        target = self._beneath.create(temporary, executable=self._info.files[file].executable)
        try:
            try:
                os.ftruncate(target, self._layout.file_lengths[file])
                yield target
            finally:
                os.close(target)
            self._beneath.rename(temporary, self._names.part(file), replace=True)
        except BaseException:
            with contextlib.suppress(OSError):
                self._beneath.remove(temporary)  # the disk may be full because of it
            raise

    def _move(self, file: int, place: Place) -> None:
        with self._where.moving:
            self._where.places[file] = place
            self._where.inodes.pop(file, None)
            self._where.sized.discard(file)
        with self._dirty_lock:
            self._dirty[self._aside if place is Place.ASIDE else file] = None
        self._pool.discard(self, file)

    def close(self) -> None:
        """See ``Storage.close``."""
        with self._where.moving:
            self._where.closed = True
        self._pool.discard_all(self)
        self._pool.release(self)
