"""``tl demo``: two sessions share a generated file over loopback, in a folder that is gone afterwards.

They know nothing of each other, and meet through a DHT of three nodes, which is started for them.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

import trio

from .. import Metainfo, PeersFound, Settings, open_session
from ..dht import open_node
from ..errors import NetworkError, StorageError, VerifyError
from . import progress, units
from .exits import Exit
from .hashing import Tally, hash_path
from .output import Job, Output
from .signals import Interrupt
from .telling import tell_events

Tell = Callable[[int, int], None]

_STEP = 1 << 20
_HERE = "127.0.0.1"
_PATIENCE: Final = 20.0
"""Seconds for what takes a moment on loopback: to be announced, and to get the metadata."""


async def run(args: argparse.Namespace, output: Output, interrupt: Interrupt) -> int:
    """Generate, share, fetch, compare, and say how fast it was."""
    with tempfile.TemporaryDirectory(prefix="tl-demo-", ignore_cleanup_errors=True) as folder, interrupt.scope:
        _check_room(folder, args.size)
        here, there = pathlib.Path(folder, "here"), pathlib.Path(folder, "there")
        original = here / "demo.bin"
        digest = await _shown("generating", output, lambda tell: _generate(original, args.size, tell))
        metainfo = await hash_path(str(original), output, state_dir=None)
        seconds, uploaded = await _transfer(metainfo, here, there, output)
        if await _shown("checking", output, lambda tell: _digest(there / "demo.bin", tell)) != digest:
            raise VerifyError("what came is not what was sent")
        speed = args.size / seconds
        output.event(
            "demo", metainfo.info_hash, total=args.size, seconds=round(seconds, 3), bps=round(speed), uploaded=uploaded
        )
        output.result(
            f"shared and fetched {units.size(args.size)} over loopback in {units.duration(seconds)} "
            f"({units.rate(speed)}); SHA-256 matches"
        )
        return Exit.DONE
    return interrupt.code


async def _shown(stage: str, output: Output, work: Callable[[Tell], bytes]) -> bytes:
    """What a thread works out, shown while it does."""
    tally = Tally("demo.bin", stage)
    job = Job(tally.glance)
    with output.showing(job):
        found = await trio.to_thread.run_sync(work, tally)
        output.tell(job)
    return found


async def _transfer(metainfo: Metainfo, here: pathlib.Path, there: pathlib.Path, output: Output) -> tuple[float, int]:
    """Seconds from knowing the torrent to having it whole, and the bytes that were sent."""
    async with (
        _dht() as bootstrap,
        open_session(Settings(host=_HERE, bootstrap=bootstrap)) as giver,
        open_session(Settings(host=_HERE, bootstrap=bootstrap)) as taker,
    ):
        shared = giver.add(metainfo, here)
        async with shared.events() as events:
            await shared.wait_checked()
            announcing = Job(lambda: progress.Glance(metainfo.name, "announcing"), info_hash=shared.info_hash)
            with output.showing(announcing), _prompt():
                async for event in events:  # until the DHT knows of it; else the first search comes too early
                    if isinstance(event, PeersFound):
                        break
        fetched = taker.add(f"magnet:?xt=urn:btih:{metainfo.info_hash}", there)
        job = Job(lambda: progress.look(fetched.stats(), fetched.why()), info_hash=fetched.info_hash)
        async with tell_events(fetched, output):
            with output.showing(job):
                with _prompt():
                    await fetched.wait_metadata()
                began = trio.current_time()
                paths = await fetched.wait_complete()
                seconds = trio.current_time() - began
                output.tell(job)
        output.event(
            "complete",
            fetched.info_hash,
            path=str(paths[0]),
            total=metainfo.total,
            seconds=output.seconds_so_far(),
        )
        return seconds, shared.stats().uploaded


@contextlib.contextmanager
def _prompt() -> Iterator[None]:
    """What comes from the other session comes soon, or never.

    Raises:
        NetworkError: it did not come.
    """
    with trio.move_on_after(_PATIENCE) as waiting:
        yield
    if waiting.cancelled_caught:
        hint = "is the loopback interface up (ip link set lo up), or a firewall in between?"
        raise NetworkError(f"nothing comes through on {_HERE}", hint=hint)


@contextlib.asynccontextmanager
async def _dht() -> AsyncIterator[tuple[tuple[str, int], ...]]:
    """Three nodes that know each other; where to join them."""
    nodes: list[tuple[str, int]] = []
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(3):
            node = await stack.enter_async_context(open_node(host=_HERE, nodes=tuple(nodes), routers=()))
            nodes.append((_HERE, node.addresses[0].port))
        yield tuple(nodes)


def _check_room(folder: str, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < 2 * size + (16 << 20):
        raise StorageError(
            f"the demo needs {units.size(2 * size)} in {tempfile.gettempdir()}, and {units.size(free)} are free",
            hint="--size makes it smaller; TMPDIR puts it elsewhere",
        )


def _generate(path: pathlib.Path, size: int, tell: Tell) -> bytes:
    """Write random bytes; returns their SHA-256."""
    path.parent.mkdir()
    digest = hashlib.sha256()
    with open(path, "wb") as file:
        for start in range(0, size, _STEP):
            trio.from_thread.check_cancelled()  # Ctrl-C: the rest is in vain
            block = os.urandom(min(_STEP, size - start))
            digest.update(block)
            file.write(block)
            tell(start + len(block), size)
    return digest.digest()


def _digest(path: pathlib.Path, tell: Tell) -> bytes:
    digest = hashlib.sha256()
    size = path.stat().st_size
    with open(path, "rb") as file:
        while block := file.read(_STEP):
            trio.from_thread.check_cancelled()
            digest.update(block)
            tell(file.tell(), size)
    return digest.digest()
