"""What a torrent is about, on this machine: its files, which of them are wanted, and how much of them is here."""

from __future__ import annotations

import logging
import pathlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

import trio

from ..errors import StorageError
from ..metainfo.metainfo import Info, Metainfo
from ..metainfo.paths import system_path
from ..stats import FileStats, PieceStats
from ..storage.disk import Disk
from ..wire import bitfield
from .commons import Commons
from .pieces import Pieces, PiecesOwner
from .reading import Reading
from .selection import Selection

log = logging.getLogger("torrentlite")

DiskFactory = Callable[[Metainfo], Disk]
"""Makes a torrent's disk."""


class Totals(NamedTuple):
    """Bytes of blocks received and sent, and pieces that were wrong."""

    downloaded: int = 0
    uploaded: int = 0
    hash_failures: int = 0


class Content:
    """A torrent's files from opening to closing.

    Attributes:
        selection: which files are wanted.
        reading: who reads from them meanwhile, and the order in which pieces are fetched.
        pieces: blocks on their way in and out; None while the files are closed or being checked.
        closing: whether ``pieces`` is on its way out, and no more to be used.
        left: wanted bytes that are not verified.
        lay_there: files that had their final names before anything was done; None until that is known.
        checked: bytes looked at by the check under way, of ``check_total``.
        reused: bytes that were right in what was copied from elsewhere.
    """

    def __init__(
        self,
        owner: PiecesOwner,
        metainfo: Metainfo,
        make_disk: DiskFactory,
        save_to: pathlib.Path,
        commons: Commons,
        reading: Reading,
        *,
        select: Iterable[int] | None,
    ) -> None:
        self._owner = owner
        self._metainfo = metainfo
        self._make_disk = make_disk
        self._save_to = save_to
        self._commons = commons
        self._crew = commons.crew()
        self._disk: Disk | None = None
        self._opening = trio.Lock()
        self._before = Totals()
        self._kept = 0
        self.selection = Selection(metainfo.info, select)
        self.reading = reading
        self.reading.select(self.selection.pieces)
        self.pieces: Pieces | None = None
        self.closing = False
        self.lay_there: set[int] | None = None
        self.left = self.selection.total
        self.checked = self.check_total = self.reused = 0

    @property
    def info(self) -> Info:
        """Its info dictionary."""
        return self._metainfo.info

    @property
    def have(self) -> int:
        """The verified pieces, as bits: what was here in the end where it is closed, none while it is looked at."""
        return self.pieces.picker.have if self.pieces is not None else self._kept

    @property
    def busy(self) -> bool:
        """Whether the disk, or a piece on its way there, may need something at the next tick."""
        return bool(len(self._crew) or (self.pieces is not None and self.pieces.busy))

    # -- life --------------------------------------------------------------------------------------------------------

    async def open(self, *, recheck: bool) -> Pieces:
        """Look at what lies there; what is right is kept.

        Raises:
            StorageError: no permission, no room, another file in the way.
        """
        async with self._opening:  # whoever was here before has gone, or is done
            try:
                await self.close()
            except StorageError as error:  # what it could not save is not claimed, and is looked at now
                log.warning("%s", error)
            self._kept = 0  # whatever comes of it, nothing is claimed that was not found
            self.recount()
            await self._commons.wait_gone(self.info.hashes.wire)
            disk = self._disk = self._make_disk(self._metainfo)
            self.checked = self.check_total = 0
            self._bound(disk.capacity)
            wanted = self.selection.files
            have = await disk.open(wanted=wanted, recheck=recheck, progress=self._check_progress)
            self.reused += disk.reused
            if self.lay_there is not None:  # what has its final name since then was fetched
                disk.lay_there &= self.lay_there
            self.lay_there = disk.lay_there
            while wanted != self.selection.files:  # it was changed meanwhile
                wanted = self.selection.files
                await disk.select(wanted)
            self.pieces = Pieces(
                self._owner,
                self.info,
                disk,
                have,
                self.reading.wanted,
                self._commons,
                self._crew,
                self.reading,
            )
            self.left = self.selection.left(have)
            self.reading.begin(self.pieces)
            return self.pieces

    def _bound(self, capacity: int | None) -> None:
        """Where not all of it fits in, nothing is fetched but what is read."""
        self.reading.capacity = capacity
        if capacity is not None:
            self.select(())

    def _check_progress(self, done: int, total: int) -> None:
        self.checked, self.check_total = done, total

    async def close(self) -> None:
        """Save, and let go of the files. Writes under way are waited for, also when cancelled."""
        pieces, disk, have = self.pieces, self._disk, self.have
        self.reading.end()
        self.closing = True
        with trio.CancelScope(shield=True):
            await self._crew.dismiss()
            self.pieces, self._disk, self.closing = None, None, False
            if pieces is not None:
                have = self._kept = pieces.picker.have
                self._before = self.totals(pieces)
                pieces.close()
            if disk is not None:
                await disk.close(have)

    async def finish(self) -> None:
        """Sync everything and give finished files their names: those that are wanted at the end of it.

        Raises:
            StorageError: the disk could not. What was not synced is then not here any more.
        """
        while self.pieces is not None and self._disk is not None and not self.left:
            pieces, disk, files = self.pieces, self._disk, self.selection.files
            if disk.wanted != files:
                await disk.select(files)
            await pieces.commit()
            # Meanwhile others may be wanted, what a failed flush lost has come again, or all is looked at anew.
            if pieces is self.pieces and files == self.selection.files and not disk.dirty:
                break

    # -- selection ---------------------------------------------------------------------------------------------------

    def select(self, indexes: Iterable[int] | None) -> None:
        """Want these files; ``reselect`` tells the disk."""
        self.selection = Selection(self.info, indexes if self.reading.capacity is None else ())
        self.reading.select(self.selection.pieces)
        if self.pieces is not None:
            self.pieces.want(self.reading.wanted)
        self.left = self.selection.left(self.have)

    async def reselect(self) -> None:
        """Make the disk follow the selection.

        Raises:
            StorageError: it could not.
        """
        if self._disk is not None:
            await self._disk.select(self.selection.files)

    def verified(self, pieces: list[int]) -> None:
        """Count these pieces as here."""
        wanted = self.selection.pieces
        for piece in pieces:
            if wanted >> piece & 1:
                self.left -= self.selection.bytes_of(piece)

    def recount(self) -> None:
        """What is here is not what it was: count again."""
        self.left = self.selection.left(self.have)

    @property
    def missing(self) -> int:
        """Bytes that are not here, wanted or not."""
        return self.info.layout.bytes_of_pieces(bitfield.full(self.info.layout.piece_count) & ~self.have)

    # -- looks -------------------------------------------------------------------------------------------------------

    def totals(self, pieces: Pieces | None = None) -> Totals:
        """What has happened since the torrent was added, however often its files were closed."""
        pieces, before = pieces or self.pieces, self._before
        if pieces is None:
            return before
        return Totals(
            before.downloaded + pieces.down_meter.total,
            before.uploaded + pieces.up_meter.total,
            before.hash_failures + pieces.hash_failures,
        )

    def files(self) -> tuple[FileStats, ...]:
        """The files, and how far they are."""
        return tuple(self.selection.file_stats(self.have))

    def piece_stats(self) -> PieceStats:
        """All pieces at once."""
        if self.pieces is None:
            return PieceStats(self.info.layout.piece_count, self.have, 0, 0, self.selection.pieces, ())
        picker = self.pieces.picker
        return PieceStats(
            count=self.info.layout.piece_count,
            have=picker.have,
            in_flight=picker.partials.in_flight,
            partial=picker.partials.received,
            wanted=picker.wanted,
            availability=tuple(picker.availability.counts()),
        )

    def top(self) -> pathlib.Path:
        """The file, or the folder of a multi-file torrent, under its final name."""
        if self._disk is not None:
            return pathlib.Path(self._disk.top())
        return self._save_to.joinpath(*system_path((self.info.name,)))
