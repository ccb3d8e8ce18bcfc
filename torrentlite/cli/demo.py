"""``tl demo``: two sessions share a generated file over loopback, in a folder that is gone afterwards."""

from __future__ import annotations

import argparse
import hashlib
import os
import pathlib
import shutil
import tempfile

import trio

from .. import Metainfo, Settings, open_session
from ..errors import StorageError, VerifyError
from . import progress, units
from .exits import Exit
from .hashing import hash_path
from .output import Job, Output
from .signals import Interrupt
from .telling import tell_events

_STEP = 1 << 20


async def run(args: argparse.Namespace, output: Output, interrupt: Interrupt) -> int:
    """Generate, share, fetch, compare, and say how fast it was."""
    with tempfile.TemporaryDirectory(prefix="tl-demo-", ignore_cleanup_errors=True) as folder, interrupt.scope:
        _check_room(folder, args.size)
        here, there = pathlib.Path(folder, "here"), pathlib.Path(folder, "there")
        original = here / "demo.bin"
        digest = await trio.to_thread.run_sync(_generate, original, args.size)
        metainfo = await hash_path(str(original), output, state_dir=None)
        seconds, uploaded = await _transfer(metainfo, here, there, output)
        if await trio.to_thread.run_sync(_digest, there / "demo.bin") != digest:
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


async def _transfer(metainfo: Metainfo, here: pathlib.Path, there: pathlib.Path, output: Output) -> tuple[float, int]:
    """Seconds from knowing the torrent to having it whole, and the bytes that were sent."""
    settings = Settings(host="127.0.0.1")
    async with open_session(settings) as giver, open_session(settings) as taker:
        shared = giver.add(metainfo, here)
        await shared.wait_checked()
        began = trio.current_time()
        fetched = taker.add(Metainfo.from_bytes(metainfo.encode()), there, peers=[("127.0.0.1", giver.port)])
        job = Job(lambda: progress.look(fetched.stats(), fetched.why()), info_hash=fetched.info_hash)
        async with tell_events(fetched, output):
            with output.showing(job):
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


def _check_room(folder: str, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < 2 * size + (16 << 20):
        raise StorageError(
            f"the demo needs {units.size(2 * size)} in {tempfile.gettempdir()}, and {units.size(free)} are free",
            hint="--size makes it smaller; TMPDIR puts it elsewhere",
        )


def _generate(path: pathlib.Path, size: int) -> bytes:
    """Write random bytes; returns their SHA-256."""
    path.parent.mkdir()
    digest = hashlib.sha256()
    with open(path, "wb") as file:
        for start in range(0, size, _STEP):
            block = os.urandom(min(_STEP, size - start))
            digest.update(block)
            file.write(block)
    return digest.digest()


def _digest(path: pathlib.Path) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
