"""``tl fetch SRC -o -``: to stdout, in order and verified; a folder as a tar. Nothing is kept."""

from __future__ import annotations

import argparse
import os
import sys
import tarfile

import trio

from .. import Info, Magnet, Metainfo, Torrent, open_session
from ..errors import StorageError
from ..metainfo.text import display
from . import progress, sessions, sharing, sources, stream, units
from .exits import Exit, UsageError
from .output import Job, Output
from .selection import choose_files, linked_files
from .signals import Interrupt
from .terminal import STDOUT, Mode, is_terminal

_CHUNK = 1 << 20
_CACHE = 64 << 20


async def run(args: argparse.Namespace, output: Output, interrupt: Interrupt) -> int:
    """Write one file, or a tar of several, to stdout."""
    _check(args, output)
    found = await sources.read(args.source[0], args, output)
    async with open_session(sessions.settings(args, sessions.state_dir(args, output))) as session:
        sessions.announce_listening(session, output)
        with interrupt.scope:
            torrent = stream.add(session, found, args, _CACHE, None)
            metainfo, files = await stream.wait_metadata(
                torrent, lambda info: _which(args.select, info, found), args, output
            )
            try:
                done = await _write(torrent, metainfo, files, args, output)
            except BrokenPipeError:  # … | head: quietly
                interrupt.stop()
                return interrupt.code
            output.note(f"{display(metainfo.name)}: {units.size(done)} written")
            return Exit.DONE
    return interrupt.code


def _which(wishes: list[str], info: Info, found: Metainfo | Magnet) -> list[int]:
    return choose_files(wishes, info) if wishes else linked_files(found, info)


def _check(args: argparse.Namespace, output: Output) -> None:
    """Look whether the flags make sense together.

    Raises:
        UsageError: they do not.
    """
    if len(args.source) > 1:
        raise UsageError("-o - writes one thing, and there are several SRC")
    if output.mode is Mode.JSON:
        raise UsageError("-o - and --json both want stdout", hint="progress goes to stderr")
    for flag in ("list", "seed", "sha256", "overwrite", "reuse"):
        if getattr(args, flag):
            raise UsageError(f"-o - does not go with --{flag.replace('_', '-')}")
    if sharing.wanted(args):
        raise UsageError("-o - keeps nothing that could be shared")
    if sys.__stdout__ is None:  # what stands in for it takes everything
        raise UsageError("-o - writes to stdout, and that is closed")
    if is_terminal(STDOUT):
        raise UsageError("-o - would write bytes to the terminal", hint="… -o - | tar x, or > FILE")


async def _write(
    torrent: Torrent, metainfo: Metainfo, files: list[int], args: argparse.Namespace, output: Output
) -> int:
    """Read the files one after the other, and write them."""
    total = sum(metainfo.files[file].length for file in files)
    pipe = _Pipe()

    def glance() -> progress.Glance:
        stats, why = torrent.stats(), torrent.why()
        now = progress.look(stats, why)
        eta = (total - pipe.written) / now.down_rate if now.down_rate > 1 and progress.flows(stats, why) else None
        stage = now.stage if now.stage != "done" else "downloading"
        return now._replace(stage=stage, done=pipe.done, total=total, eta=eta, steady=False, held=pipe.blocked)

    as_tar = metainfo.info.multi and len(files) != 1
    job = Job(
        glance,
        torrent=torrent,
        timeout=sessions.timeout(args),
    )
    with output.showing(job), job.scope:
        for file in files:
            if as_tar:
                await pipe.write(_head(metainfo, file))
            async with torrent.open(file) as reader:
                while data := await reader.receive_some(_CHUNK):
                    await pipe.write(data)
                    pipe.done += len(data)
            if as_tar:
                await pipe.write(bytes(-metainfo.files[file].length % tarfile.BLOCKSIZE))
        if as_tar:
            await pipe.write(bytes(2 * tarfile.BLOCKSIZE))
            await pipe.write(bytes(-pipe.written % tarfile.RECORDSIZE))
        return pipe.done
    raise sessions.gave_up(torrent, job, args)


def _head(metainfo: Metainfo, file: int) -> bytes:
    """What stands before a file in a tar. It depends on the torrent alone: no owner, no date, no machine."""
    entry = metainfo.files[file]
    info = tarfile.TarInfo("/".join(entry.path))
    info.size = entry.length
    info.mode = 0o755 if entry.executable else 0o644
    return info.tobuf(tarfile.PAX_FORMAT)


class _Pipe:
    """Stdout, written in a thread.

    Attributes:
        done: bytes of files that were written.
        written: bytes in all.
        blocked: nobody reads at the moment.
    """

    def __init__(self) -> None:
        self.done = self.written = 0
        self.blocked = False

    async def write(self, data: bytes) -> None:
        """Write all of it, however slowly it is read.

        Raises:
            BrokenPipeError: nobody reads any more.
            StorageError: what stdout leads to does not take it: a full disk.
        """
        view = memoryview(data)
        self.blocked = True
        try:
            while view:
                count = await trio.to_thread.run_sync(os.write, STDOUT, view, abandon_on_cancel=True)
                self.written += count
                view = view[count:]
        except BrokenPipeError:
            raise
        except OSError as error:
            raise StorageError(f"cannot write the results: {error.strerror}", errno=error.errno or 0) from error
        finally:
            self.blocked = False
