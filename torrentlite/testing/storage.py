"""A simulated disk: torrents in memory, and everything that disks do to people."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Sequence

import trio

from ..metainfo.info import Info
from ..storage.faults import fault
from ..storage.memory import MemoryStorage
from ..storage.storage import Buffer, Found, Room, Stamp, Storage, SyncFailure
from ..wire import bitfield
from .trace import Trace


class SimulatedDisk:
    """What the torrents of one machine lie on. It can be slow, full or broken, and be cured again.

    Each time that it fails is recorded in the trace as "disk error".

    Args:
        trace: records what fails.
        last_until: is told until when a call takes (``SimulatedOffload.last_until``).

    Attributes:
        room: bytes that may still be written (the same place twice counts twice), then ENOSPC; None for enough.
        error: the errno with which every call fails, 0 for none.
        fail_at: the errno with which the call of a number fails. The first call is number 1.
        calls: how many there were: everything but reads from the cache.
        cached: whether what was written is read without waiting, and without a call that could fail. Else every read
            is a call.
        seek: seconds that a call takes.
        rate: bytes per second that it reads and writes besides, 0 for unlimited. Calls take turns.
    """

    def __init__(self, *, trace: Trace, last_until: Callable[[float], object]) -> None:
        self.room: int | None = None
        self.error = 0
        self.fail_at: dict[int, int] = {}
        self.calls = 0
        self.cached = True
        self.seek = 0.0
        self.rate = 0.0
        self._trace = trace
        self._last_until = last_until
        self._free_at = 0.0
        self._torrents: dict[bytes, SimulatedStorage] = {}

    def __repr__(self) -> str:
        return f"<SimulatedDisk of {len(self._torrents)} torrents, {self.calls} calls>"

    def storage(self, info: Info) -> SimulatedStorage:
        """A torrent's place on this disk: what is written there stays, whoever asks for it next."""
        return self._torrents.setdefault(info.hashes.wire, SimulatedStorage(info, self))

    def use(self, doing: str, path: str, size: int = 0) -> None:
        """A call begins that reads or writes so many bytes.

        Raises:
            OSError: it fails.
        """
        self.calls += 1
        if self.seek or self.rate:
            now = trio.current_time()
            self._free_at = max(now, self._free_at) + self.seek + (size / self.rate if self.rate else 0)
            self._last_until(self._free_at)
        number = self.fail_at.get(self.calls, self.error)
        if number:
            raise self.failure(number, doing, path)

    def failure(self, number: int, doing: str, path: str) -> OSError:
        """The error to raise, recorded."""
        self._trace.record("disk error", number, doing, self.calls)
        return OSError(number, os.strerror(number), path)


class SimulatedStorage(Storage):
    """One torrent on a simulated disk; a ``Storage`` (see ``storage/storage.py`` for what the methods promise)."""

    read_only = False

    def __init__(self, info: Info, disk: SimulatedDisk) -> None:
        self._info = info
        self._disk = disk
        self._memory = MemoryStorage(info)

    @property
    def finished(self) -> frozenset[int]:
        """The files that were given their final names."""
        return frozenset(self._memory.finished)

    def fill(self, data: bytes) -> None:
        """Put all its bytes there, without a call that could fail.

        Raises:
            ValueError: these are not as many bytes as the torrent has.
        """
        if len(data) != self._info.layout.total:
            raise ValueError(f"a torrent of {self._info.layout.total} bytes cannot be filled with {len(data)}")
        layout = self._info.layout
        for run in layout.unbroken(range(layout.piece_count)):
            start, stop = layout.offset(run.start), layout.offset(run.stop - 1) + layout.piece_size(run.stop - 1)
            self._memory.pwrite(start, data[start:stop])

    def content(self) -> bytes:
        """All its bytes, zeros where nothing was written; without a call that could fail."""
        layout = self._info.layout
        written = self._memory.prepare(frozenset()).maybe
        content = bytearray(layout.total)
        for piece in bitfield.members(written):
            start = layout.offset(piece)
            self._memory.pread_into(start, [memoryview(content)[start : start + layout.piece_size(piece)]])
        return bytes(content)

    def _use(self, doing: str, size: int = 0) -> None:
        try:
            self._disk.use(doing, self.top(), size)
        except OSError as error:
            raise fault(error, self.top(), doing) from error

    def prepare(self, wanted: frozenset[int]) -> Found:
        """See ``Storage.prepare``."""
        self._use("open")
        return self._memory.prepare(wanted)

    def read_cached(self, offset: int, buffers: Sequence[Room]) -> bool:
        """See ``Storage.read_cached``."""
        return self._disk.cached and self._memory.read_cached(offset, buffers)

    def pread_into(self, offset: int, buffers: Sequence[Room], *, aside: bool = False) -> None:
        """See ``Storage.pread_into``."""
        self._use("read", sum(map(len, buffers)))
        self._memory.pread_into(offset, buffers, aside=aside)

    def pwrite(self, offset: int, data: Buffer, *, aside: bool = False) -> None:
        """See ``Storage.pwrite``. What still finds room is written, as real disks do, before it is an error."""
        self._use("write", len(data))
        room = self._disk.room
        fits = len(data) if room is None else min(room, len(data))
        if room is not None:
            self._disk.room = room - fits
        self._memory.pwrite(offset, memoryview(data)[:fits], aside=aside)
        if fits < len(data):
            error = self._disk.failure(errno.ENOSPC, "write", self.top())
            raise fault(error, self.top(), "write") from error

    def sync(self, files: Iterable[int] = ()) -> dict[int, Stamp]:
        """See ``Storage.sync``."""
        try:
            self._disk.use("sync", self.top())
        except OSError as error:
            raise SyncFailure(frozenset(range(len(self._info.files)))) from error
        return self._memory.sync(files)

    def finish(self, files: Iterable[int]) -> list[int]:
        """See ``Storage.finish``."""
        self._use("finish")
        return self._memory.finish(files)

    def select(self, wanted: frozenset[int], have: int, wrong: int = 0) -> None:
        """See ``Storage.select``."""
        self._use("select")
        self._memory.select(wanted, have, wrong)

    def displace(self, file: int, have: int) -> None:
        """See ``Storage.displace``."""
        self._use("displace")
        self._memory.displace(file, have)

    def final(self, file: int) -> bool:
        """See ``Storage.final``."""
        return self._memory.final(file)

    def path(self, file: int) -> str:
        """See ``Storage.path``."""
        return self._memory.path(file)

    def top(self) -> str:
        """See ``Storage.top``."""
        return self._memory.top()

    def close(self) -> None:
        """See ``Storage.close``."""
        self._memory.close()
