from __future__ import annotations

import errno
import os
import pathlib
from typing import Any

import pytest

from torrentlite.storage import platform
from torrentlite.storage.cached import CachedReads, Way

pytestmark = pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="Linux only")


@pytest.fixture
def fd(tmp_path: pathlib.Path) -> Any:
    (tmp_path / "file").write_bytes(b"0123456789")
    fd = os.open(tmp_path / "file", os.O_RDONLY)
    yield fd
    os.close(fd)


def answers(monkeypatch: pytest.MonkeyPatch, error: int, short: int = 0) -> list[int]:
    """Have the system answer to RWF_NOWAIT with an errno, or a short count; returns the flags that were tried."""
    tried: list[int] = []
    real = os.preadv

    def preadv(fd: int, buffers: Any, offset: int, flags: int = 0) -> int:
        tried.append(flags)
        if flags and error:
            raise OSError(error, os.strerror(error))
        count = real(fd, buffers, offset)
        return count - short if flags else count

    monkeypatch.setattr(os, "preadv", preadv)
    return tried


def test_what_is_in_memory_is_read(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = answers(monkeypatch, 0)
    reads, buffers = CachedReads(), [bytearray(3), bytearray(2)]
    assert reads.fill(fd, 1, buffers, 2, 5)
    assert buffers == [b"234", b"56"]
    assert tried == [os.RWF_NOWAIT]


@pytest.mark.parametrize(("error", "short"), [(errno.EAGAIN, 0), (0, 1), (errno.EIO, 0)])
def test_what_is_not_in_memory_is_left_to_a_thread(
    fd: int, monkeypatch: pytest.MonkeyPatch, error: int, short: int
) -> None:
    answers(monkeypatch, error, short)
    reads = CachedReads()
    assert not reads.fill(fd, 1, [bytearray(5)], 2, 5)
    assert reads.way(1) is Way.NOWAIT


@pytest.mark.parametrize("memory", [True, False])
def test_file_systems_that_refuse(fd: int, monkeypatch: pytest.MonkeyPatch, memory: bool) -> None:
    tried = answers(monkeypatch, errno.EOPNOTSUPP)
    asked: list[int] = []

    def in_memory(device: int) -> bool:
        asked.append(device)
        return memory

    monkeypatch.setattr(platform, "in_memory", in_memory)
    reads = CachedReads()
    for _ in range(3):
        assert reads.fill(fd, 7, [bytearray(5)], 2, 5) is memory
    assert asked == [7], "remembered"
    assert tried == [os.RWF_NOWAIT, 0, 0, 0][: 4 if memory else 1]
    assert reads.way(7) is (Way.INLINE if memory else Way.THREAD)
    assert reads.way(8) is Way.NOWAIT, "for this device only"


def test_end_of_file_is_left_to_a_thread(fd: int) -> None:
    assert not CachedReads().fill(fd, 1, [bytearray(5)], 8, 5)


def test_file_systems_in_memory(tmp_path: pathlib.Path) -> None:
    if os.path.isdir("/dev/shm"):
        mounts = pathlib.Path("/proc/self/mountinfo").read_text()
        if " /dev/shm " in mounts and " - tmpfs " in mounts.split(" /dev/shm ")[1].split("\n")[0] + " ":
            assert platform.in_memory(os.stat("/dev/shm").st_dev)
    assert not platform.in_memory(os.stat("/proc").st_dev)
    assert not platform.in_memory(os.makedev(4095, 1048575))
