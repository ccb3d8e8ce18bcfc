"""A torrent's bytes for the swarm: pieces in, blocks out, and what of it is known to be right.

The order of things is the promise: journal "written", data; data flushed, journal "synced" flushed, final name, folder.
What is known is kept in the ``Ledger``: pieces are booked in the loop, and how files look by the one commit at a time,
in its thread.
"""

from __future__ import annotations

import enum
import itertools
import logging
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar, TypeVarTuple

import trio

from .. import limits
from ..errors import DiskFullError, StorageError
from ..metainfo import merkle
from ..metainfo.info import Info
from ..metainfo.layout import Block
from ..wire import bitfield
from .adoption import Adoption
from .check import block_digests, check_pieces
from .faults import fault
from .journal import Journal, Resume
from .ledger import Batch, Ledger
from .offload import Offload
from .reader import join
from .resume import sort_pieces
from .room import check_room
from .runs import bytes_of_files
from .spilled import Spilled
from .storage import NO_STAMP, Buffer, Found, InTheWay, Room, Storage, SyncFailure
from .turns import Turns

log = logging.getLogger("torrentlite")

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Verdict(enum.Enum):
    """Whether a piece is right."""

    RIGHT = enum.auto()
    WRONG = enum.auto()


class Disk:
    """One torrent's storage, its journal, and the threads to use them in.

    Args:
        info: what is stored.
        storage: where.
        offload: threads.
        journal: resume data; None keeps none, so that everything is hashed at the start.
        adoption: brings what lies elsewhere; None for nothing.

    Attributes:
        reused: bytes of that which were right.
        lay_there: the files that had their final names when it was opened, and have the same bytes.
    """

    def __init__(
        self,
        info: Info,
        storage: Storage,
        offload: Offload,
        journal: Journal | None = None,
        adoption: Adoption | None = None,
    ) -> None:
        self._info = info
        self._layout = info.layout
        self._storage = storage
        self._offload = offload
        self._journal = journal
        self._adoption = adoption
        self._opened = False
        self._wanted: frozenset[int] = frozenset()
        self._ledger = Ledger(info)
        self.lay_there: set[int] = set()
        self.reused = 0
        self._spilled = Spilled(info, storage, journal)
        self._sync_failures = 0
        self._turns = Turns()

    # -- the beginning -----------------------------------------------------------------------------------------------

    async def open(
        self,
        *,
        wanted: Iterable[int],
        recheck: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> int:
        """Find out what is there; returns the verified pieces (bit ``i`` is piece ``i``).

        Hashes only what neither the journal nor the files' origin vouch for, and does not write before it knows that
        there is room. Files that are whole have their final names afterwards. May be called again, to check again.

        Args:
            wanted: numbers of the files to be fetched.
            recheck: hash everything.
            progress: called with the bytes hashed and to hash.

        Raises:
            FileInTheWayError: a different finished file, and no leave to overwrite.
            StorageError: not enough space, no permission, not files, in use by another process.
        """
        async with self._turns.alone():
            self._opened = False
            self._wanted = self._real(wanted)
            have = await self._look(recheck, progress)
            if self._ledger.changed:
                log.warning("'%s' was changed while it was checked; checked again", self._storage.top())
                have = await self._look(False, progress)
            self._opened = True
            return have

    async def _look(self, recheck: bool, progress: Callable[[int, int], None] | None) -> int:
        resume, unread = await self._load_journal()
        found = await self._offload.run(self._storage.prepare, self._wanted)
        if unread is not None and not (self._wanted and self._wanted <= found.finished):
            raise unread
        if not self._storage.read_only:
            check_room(found.needed, found.free, str(self.top().parent))
        adopted, before = await self._adopt(resume, found, progress)
        if before and progress is not None:
            progress = _after(before, progress)
        if adopted:
            found = await self._offload.run(self._storage.prepare, self._wanted)
        trusted, doubtful = sort_pieces(self._layout, resume, found, recheck=recheck)
        right = await check_pieces(self._info, self._storage, doubtful, self._offload, progress)
        have = trusted | right
        if adopted:
            self.reused += await self._offload.run(sum, bytes_of_files(adopted, have, self._layout))
        await self._offload.run(self._storage.select, self._wanted, have, doubtful & ~right)
        self._ledger = Ledger(self._info, trusted, right, found.stamps)
        self._spilled.clear()
        for file in itertools.filterfalse(self._storage.final, sorted(found.finished)):
            self._ledger.forget(file)
        self.lay_there = set(filter(self._storage.final, found.finished))
        if not self._storage.read_only:
            await self._save(have, resume, found)
        return have

    async def _adopt(
        self, resume: Resume, found: Found, progress: Callable[[int, int], None] | None
    ) -> tuple[Sequence[int], int]:
        """Bring what lies elsewhere of files that are not here; returns which there was something of, and the work."""
        if self._adoption is None or not (files := await self._offload.run(self._adoption.absent)):
            return (), 0
        gone = [file for file in files if file in resume.stamps]
        if self._journal and gone:
            # They were here, and removed. What comes may have their inodes, and is not what the journal vouches for.
            await self._offload.run(self._journal.synced, 0, dict.fromkeys(gone, NO_STAMP))
        have = found.maybe & (resume.synced | bitfield.of(resume.written))
        return await self._adoption.run(files, have, self._offload, progress)

    async def _load_journal(self) -> tuple[Resume, DiskFullError | None]:
        """What it says, or why there is no room for it: files that are all there need none."""
        if self._journal is not None:
            try:
                return await self._offload.run(self._journal.load), None
            except DiskFullError as error:
                return Resume(), error
        return Resume(), None

    async def _save(self, have: int, resume: Resume, found: Found) -> None:
        """Write down what was found, and give final names to files that turned out to be whole."""
        ledger, known = self._ledger, sorted(found.finished)
        if self._journal:
            known = [file for file in known if resume.stamps.get(file) == found.stamps[file]]
            ledger.flush_found()
        ledger.found_finished(known)
        same = resume.clean and resume.synced == have and resume.stamps == ledger.stamps
        await self._commit(have, rewrite=not same)

    # -- pieces ------------------------------------------------------------------------------------------------------

    async def write_pieces(self, pieces: Sequence[tuple[int, Buffer]]) -> list[Verdict]:
        """Hash these whole pieces, and write those that are right, in one thread hop.

        Cancellation takes effect afterwards. After an error all of them can be tried again.

        Raises:
            DiskTroubleError: the disk refuses for now.
            StorageError: it refuses for good.
        """
        verdicts = await self._for_sure(self._write, pieces)
        self._got_right(piece for (piece, _), verdict in zip(pieces, verdicts, strict=True) if verdict is Verdict.RIGHT)
        return verdicts

    async def block_digests(self, data: Buffer) -> list[bytes]:
        """The SHA-1 digest of each block of a piece, to find out who sent a wrong one."""
        return await self._offload.run(block_digests, data, abandon=True)

    async def leaves(self, piece: int) -> bytes:
        """The hashes of the blocks of a verified piece (BEP 52).

        Raises:
            StorageError: a file was changed or removed, or the disk failed.
        """
        async with self._turns.using():
            return await self._offload.run(self._leaves, piece, abandon=True)

    def _leaves(self, piece: int) -> bytes:
        position, found = self._layout.offset(piece), []
        stop = position + self._layout.piece_size(piece)
        buffer = memoryview(bytearray(limits.READ_CHUNK))
        while position < stop:
            view = buffer[: stop - position]
            self._storage.pread_into(position, [view])
            found.append(merkle.leaves(view))
            position += len(view)
        return b"".join(found)

    async def spill(self, piece: int, runs: Sequence[tuple[int, Buffer]]) -> None:
        """Write parts of an unfinished piece, as (begin, data), to have their memory back. Nothing is verified."""
        self._spilled.place(piece)
        async with self._turns.using():
            await self._offload.run(self._spilled.write, piece, runs)

    async def check_spilled(self, piece: int) -> Verdict:
        """Hash a piece that was written with ``spill``."""
        right = await self._for_sure(self._spilled.check, piece)
        if right:
            self._got_right([piece])
        return Verdict.RIGHT if right else Verdict.WRONG

    async def read_back(self, piece: int, begin: int, buffer: Room) -> None:
        """Read bytes of a piece that need not be verified. Not abandoned: the buffer is free again in any case."""
        async with self._turns.using():
            await self._offload.run(self._spilled.read, piece, begin, buffer)

    async def _for_sure(self, write: Callable[[*Ts], T], *args: *Ts) -> T:
        """Write in a thread what is right: again where a file was in the way, or meanwhile a flush failed.

        Then the system may have lost what was just written, and here it still is.
        """
        while True:
            failures = self._sync_failures
            try:
                async with self._turns.using():
                    result = await self._offload.run(write, *args)
            except InTheWay as blocked:
                await self._make_way(blocked.file)
                continue
            if failures == self._sync_failures:
                return result

    def _got_right(self, pieces: Iterable[int]) -> None:
        pieces = list(pieces)
        self._spilled.forget(pieces)
        self._ledger.got_right(pieces)

    async def _make_way(self, file: int) -> None:
        async with self._turns.alone():
            await self._offload.run(self._storage.displace, file, self._ledger.here)
            self.lay_there.discard(file)
            self._ledger.displaced(file)

    # -- in threads --------------------------------------------------------------------------------------------------

    def _write(self, pieces: Sequence[tuple[int, Buffer]]) -> list[Verdict]:
        digest = self._info.hashing.of
        right = {piece: data for piece, data in pieces if digest(data) == self._info.piece_hash(piece)}
        if self._journal:
            self._journal.written(right)
        for piece, data in right.items():
            self._storage.pwrite(self._layout.offset(piece), data)
        return [Verdict.RIGHT if piece in right else Verdict.WRONG for piece, _ in pieces]

    # -- letting go ---------------------------------------------------------------------------------------------------

    @property
    def capacity(self) -> int | None:
        """Bytes that fit in here; None where the whole torrent does."""
        capacity = self._storage.capacity
        return None if capacity is None or capacity >= self._layout.stored else capacity

    async def discard(self, pieces: Sequence[int]) -> None:
        """Forget these pieces, which nobody may count as had any more."""
        self._ledger.discard(bitfield.of(pieces))
        async with self._turns.alone():  # whoever reads one of them reads to the end
            here = self._ledger.here  # fetched again meanwhile
            await self._offload.run(self._storage.discard, [piece for piece in pieces if not here >> piece & 1])

    # -- blocks ------------------------------------------------------------------------------------------------------

    def read_now(self, blocks: Sequence[Block], buffers: Sequence[Room]) -> bool:
        """Read blocks, each into its buffer, if none has to wait for a disk; else False, and ``read`` has to do it.

        The blocks have to lie in the torrent (``Layout.holds``) and in verified pieces.
        """
        if self._turns.reserved:
            return False
        runs = join(blocks, buffers, self._layout.piece_length)
        return all(self._storage.read_cached(offset, views) for offset, views in runs)

    async def read(self, blocks: Sequence[Block], buffers: Sequence[Room]) -> None:
        """Read blocks, each into its buffer, in a thread.

        When this is cancelled the thread goes on: throw the buffers away then, they may still be written to.

        Raises:
            StorageError: a file was changed or removed, or the disk failed.
        """
        async with self._turns.using():
            await self._offload.run(self._read, blocks, buffers, abandon=True)

    def _read(self, blocks: Sequence[Block], buffers: Sequence[Room]) -> None:
        for offset, views in join(blocks, buffers, self._layout.piece_length):
            self._storage.pread_into(offset, views)

    # -- making it last ----------------------------------------------------------------------------------------------

    @property
    def dirty(self) -> int:
        """Bytes that a power cut would take."""
        return self._ledger.dirty

    def unsure(self) -> int:
        """Pieces that were right and that a failed flush may have lost. Take them out of what you have."""
        return self._ledger.unsure

    async def commit(self, have: int) -> list[int]:
        """Make verified pieces last, and give final names to files that are whole; returns the numbers of those.

        Cancellation takes effect afterwards. After an error it can be called again.

        Args:
            have: the pieces that the caller counts as verified.

        Raises:
            DiskTroubleError: the disk refuses for now, or failed to flush: look at ``unsure``.
            StorageError: it refuses for good.
        """
        async with self._turns.lock:
            return await self._commit(have)

    async def _commit(self, have: int, *, rewrite: bool = False, clean: bool = False) -> list[int]:
        ledger = self._ledger
        batch = ledger.batch(have)
        try:
            await self._offload.run(self._make_last, batch, rewrite, clean)
        except SyncFailure as failure:
            self._sync_failures += 1
            ledger.lose(failure.files)
            raise self._failed(failure) from None
        ledger.synced_now()
        # Not in the same call: what is synced cannot be lost any more, whatever comes of the names.
        with trio.CancelScope(shield=True):
            finished = await self._offload.run(self._storage.finish, batch.whole)
        ledger.named(finished)
        return finished

    def _make_last(self, batch: Batch, rewrite: bool, clean: bool) -> None:
        """In a thread, and before names are given: the order of these lines is what a power cut cannot break."""
        ledger = self._ledger
        ledger.flushed(self._storage.sync(batch.flush), self._final)
        synced = ledger.synced | batch.pieces
        try:
            if self._journal and rewrite:
                self._journal.rewrite(synced, ledger.stamps, clean=clean)
            elif self._journal and (batch.pieces or ledger.news):
                self._journal.synced(batch.pieces, ledger.news)
        except DiskFullError as error:
            # With pieces still to come it is waited for: after a kill, what it does not tell of is fetched again. When
            # all are here it only saves hashing them at the next start, and must not keep the files from their names.
            # Not so where the disk fails: what that does not take may not outlive it either.
            here = ledger.whole(self._wanted, synced)
            if not here or len(here) < len(self._wanted):
                raise
            log.warning("nothing is remembered for the next start: %s", error)
        ledger.news.clear()

    def _final(self, file: int) -> bool:
        return file < len(self._layout.file_lengths) and self._storage.final(file)

    def _failed(self, failure: SyncFailure) -> StorageError:
        cause = failure.__cause__
        if isinstance(cause, OSError):
            return fault(cause, self._storage.top(), "flush")
        return cause if isinstance(cause, StorageError) else StorageError(str(failure), path=self._storage.top())

    # -- files -------------------------------------------------------------------------------------------------------

    async def select(self, wanted: Iterable[int]) -> None:
        """From now on these files are wanted. ``commit`` then gives final names to those that are whole already.

        Raises:
            FileInTheWayError: a different finished file, and no leave to overwrite.
            StorageError: not enough space, or the disk refuses.
        """
        async with self._turns.alone():
            files = self._real(wanted)
            await self._offload.run(self._storage.select, files, self._ledger.here)
            self._ledger.touch(files)
            self._wanted = files

    @property
    def wanted(self) -> frozenset[int]:
        """The files that the storage was last told to want."""
        return self._wanted

    def _real(self, files: Iterable[int]) -> frozenset[int]:
        return frozenset(self._info.wanted_files).intersection(files)

    def paths(self) -> tuple[str, ...]:
        """The final paths of the wanted files."""
        return tuple(self._storage.path(file) for file in sorted(self._wanted))

    def top(self) -> pathlib.Path:
        """The file, or the folder, that is the torrent."""
        return pathlib.Path(self._storage.top())

    async def close(self, have: int) -> None:
        """Make verified pieces last, and let go of everything; after that, the next ``open`` hashes nothing.

        Raises:
            StorageError: something could not be saved; everything is closed nevertheless.
        """
        async with self._turns.alone():
            try:
                if self._opened and not self._storage.read_only:
                    await self._commit(have, rewrite=True, clean=True)
            finally:
                self._opened = False
                self._storage.close()
                if self._journal:
                    self._journal.close()


def _after(before: int, progress: Callable[[int, int], None]) -> Callable[[int, int], None]:
    """Goes on from there: what began anew would look as if it stood still."""
    return lambda done, total: progress(before + done, before + total)
