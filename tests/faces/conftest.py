"""Something to share, the loops in which it is fetched, and a look at what they leave behind."""

import asyncio
import gc
import os
import pathlib
import random
import threading
from collections.abc import Callable, Iterator

import psutil
import pytest
import trio
import uvloop

import torrentlite as tl
from tests.strangers import on_loopback, without_hashes

LOCAL = tl.Settings(host="127.0.0.1")


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable:
    """Runs a coroutine function in a loop of its own."""
    return lambda function, *args: request.param(function(*args))


@pytest.fixture
def shared(tmp_path: pathlib.Path) -> tuple[tl.Metainfo, pathlib.Path]:
    """A file of 3 MB in its folder, and its metainfo."""
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "data.bin").write_bytes(random.Random(5).randbytes(3_000_000))
    metainfo = trio.run(lambda: tl.create(folder / "data.bin", piece_length=1 << 16))
    (tmp_path / "data.torrent").write_bytes(metainfo.encode())
    return metainfo, folder


@pytest.fixture
def unhashed(shared: tuple[tl.Metainfo, pathlib.Path]) -> Iterator[tuple[tl.Metainfo, str, int]]:
    """The same of v2: its metainfo, a link to who gives the metadata and no hashes, and a port of who gives all."""
    _, folder = shared
    metainfo = trio.run(lambda: tl.create(folder / "data.bin", piece_length=1 << 16, version="v2"))
    data = (folder / "data.bin").read_bytes()
    with on_loopback(metainfo.info, react=without_hashes) as silent, on_loopback(metainfo.info, data) as seed:
        yield metainfo, metainfo.to_magnet([silent.place]), seed.port


def holdings() -> tuple[int, int, int]:
    """Descriptors, sockets and threads of this process."""
    gc.collect()
    return len(os.listdir("/proc/self/fd")), len(psutil.Process().net_connections()), threading.active_count()


def no_more(now: tuple[int, ...], before: tuple[int, ...]) -> bool:
    """Whether there is no more of any kind: what other tests left to a thread of theirs may have gone meanwhile."""
    return all(one <= other for one, other in zip(now, before, strict=True))


@pytest.fixture
def short_lived_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Trio keeps idle threads for ten seconds; here for a moment, so that what is left behind can be seen."""
    monkeypatch.setattr("trio._core._thread_cache.IDLE_TIMEOUT", 0.02)
    return
