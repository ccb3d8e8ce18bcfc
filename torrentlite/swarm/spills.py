"""Pieces that give up their memory before they are whole: their blocks on the way to the disk.

A piece that was parted from its memory has two things here: its blocks that wait to be written, those that came before
the parting and those that come after it; and, until the former are written, the memory itself.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Generic, Protocol, TypeVar

import trio

from ..errors import DiskTroubleError, StorageError
from ..storage.disk import Disk
from ..strategy.download import PieceDownload
from ..strategy.partials import Partials
from .crew import Crew
from .trouble import FailureOwner, Trouble, bugs_stop

P = TypeVar("P", bound=Hashable)


class SpillsOwner(FailureOwner, Protocol):
    """What is told of them."""

    def want_requests(self) -> None:
        """There may be something new to ask for."""


class Spills(Generic[P]):
    """Spilled blocks of one torrent. One piece is written at a time. True while some wait."""

    def __init__(self, partials: Partials[P], disk: Disk, crew: Crew, trouble: Trouble, owner: SpillsOwner) -> None:
        self._partials = partials
        self._disk = disk
        self._crew = crew
        self._trouble = trouble
        self._owner = owner
        self._waiting: dict[int, list[tuple[int, bytes | memoryview]]] = {}  # blocks as (begin, data), by piece
        self._leaving: dict[int, PieceDownload[P]] = {}  # of those, the pieces whose memory is then free
        self._writing = -1  # the piece that is being written
        self._lock = trio.Lock()
        self._runs = False

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, piece: int, begin: int, data: bytes) -> None:
        """A block came for a piece that has no memory any more."""
        self._waiting.setdefault(piece, []).append((begin, data))

    def forget(self) -> None:
        """Forget the blocks of pieces that were given up, and give their memory back.

        Written later they might meet a new copy. Those of a piece that is being checked belong to it.
        """
        for piece in list(self._waiting):
            if self._partials.parted(piece) is None:
                del self._waiting[piece]
                leaving = self._leaving.pop(piece, None)
                if leaving is not None:
                    self._partials.spilled(leaving)

    async def settled(self, pieces: Collection[int]) -> None:
        """Wait while one of these is being written: for a download of it that was given up, so that comes first."""
        if self._writing in pieces:
            async with self._lock:
                pass

    async def write(self, piece: int) -> None:
        """Write the blocks of a piece that wait.

        Raises:
            StorageError: the disk refuses; then they wait on, with their memory.
        """
        async with self._lock:
            download = self._partials.parted(piece)
            blocks, leaving = self._waiting.pop(piece, []), self._leaving.pop(piece, None)
            self._writing = piece
            try:
                if blocks:
                    await self._disk.spill(piece, blocks)
            except BaseException:
                if download is not None and self._partials.parted(piece) is download:  # received is received
                    self._waiting[piece] = blocks + self._waiting.get(piece, [])
                    if leaving is not None:
                        self._leaving[piece] = leaving
                elif leaving is not None:  # it was given up meanwhile
                    self._partials.spilled(leaving)
                raise
            finally:
                self._writing = -1
            if leaving is not None:
                self._partials.spilled(leaving)
                self._owner.want_requests()

    def start(self) -> None:
        """Part the most stalled partial piece from its memory, so that others can begin; write what waits."""
        if not self._runs:
            self._runs = self._crew.start(self._run, name="spill") is not None

    async def _run(self) -> None:
        try:
            download = self._partials.candidate_to_spill(trio.current_time())
            if download is not None:
                self._waiting[download.piece] = list(self._partials.spill(download))
                self._leaving[download.piece] = download
            while self._waiting:
                try:
                    with bugs_stop(self._owner):
                        await self.write(next(iter(self._waiting)))
                except DiskTroubleError as error:
                    await self._trouble.wait(error)
                else:
                    self._trouble.over()
        except StorageError as error:
            self._owner.storage_failed(error)
        finally:
            self._runs = False
