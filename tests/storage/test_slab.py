from __future__ import annotations

import gc
import mmap
import resource

import pytest

from torrentlite.storage import slab
from torrentlite.storage.slab import SLAB, fresh_buffers


@pytest.mark.parametrize("size", [16 << 10, 48 << 10, 1 << 20, SLAB, 5 << 20])
def test_as_many_as_fit_into_a_slab(size: int) -> None:
    assert len(fresh_buffers(size)) == max(1, SLAB // size)


@pytest.mark.parametrize("size", [1, 100, 16_383, 16_385, 300_000, SLAB - 1, SLAB + 1])
def test_of_short_pieces_there_is_one(size: int) -> None:
    assert len(fresh_buffers(size)) == 1


@pytest.mark.parametrize("size", [1, 100, 16 << 10, 300_000, 1 << 20, SLAB - 1, SLAB, SLAB + 1, 5 << 20])
def test_buffers_are_writable_and_apart(size: int) -> None:
    buffers = fresh_buffers(size)
    some = buffers if len(buffers) < 100 else [*buffers[:3], *buffers[-3:]]
    assert all(bytes(buffer) == bytes(size) for buffer in some)
    for number, buffer in enumerate(some):
        buffer[:] = bytes([number + 1]) * size
    for number, buffer in enumerate(some):
        assert bytes(buffer) == bytes([number + 1]) * size


def test_it_goes_back_to_the_system() -> None:
    def in_use() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    before = in_use()
    buffers = [buffer for _ in range(16) for buffer in fresh_buffers(1 << 20)]
    for buffer in buffers:
        buffer[:] = bytes(1 << 20)
    assert in_use() - before > 28 << 20
    del buffers, buffer
    gc.collect()
    assert in_use() - before < 8 << 20


@pytest.mark.parametrize("missing", ["MAP_PRIVATE", "MADV_HUGEPAGE"])
def test_elsewhere_it_is_ordinary_memory(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(mmap, missing)
    (buffer,) = fresh_buffers(16 << 10)
    buffer[:] = b"x" * (16 << 10)


def test_a_system_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(12, "no memory")

    monkeypatch.setattr(slab.mmap, "mmap", refuse)
    (buffer,) = fresh_buffers(16 << 10)
    assert len(buffer) == 16 << 10
