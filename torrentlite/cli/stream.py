"""``tl stream SRC [FILE]``: a file over HTTP on this computer while it downloads, for a player."""

from __future__ import annotations

import argparse
import contextlib
import errno
import logging
import shlex
import subprocess
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import trio

from .. import CacheStorage, Info, Magnet, Metainfo, Session, Storage, Torrent, open_session
from ..errors import ListenError
from ..httpfiles import HttpFiles
from ..metainfo.text import display
from . import progress, sessions, sources, units
from .exits import Exit, UsageError
from .files import require_folder
from .output import Job, Output
from .selection import choose_files, linked_files
from .signals import Interrupt
from .telling import tell_events

PickT = TypeVar("PickT")

log = logging.getLogger("torrentlite")

_HOST = "127.0.0.1"


async def run(args: argparse.Namespace, output: Output, interrupt: Interrupt) -> int:
    """Serve until Ctrl-C, or until the player has ended."""
    if args.output is not None:
        require_folder(args.output)
    found = await sources.read(args.source, args, output)
    async with open_session(sessions.settings(args, sessions.state_dir(args, output))) as session:
        sessions.announce_listening(session, output)
        with interrupt.scope:
            torrent = add(session, found, args, args.cache, args.output)
            async with tell_events(torrent, output):
                metainfo, file = await wait_metadata(
                    torrent, lambda info: which_file(args.file, info, found), args, output
                )
                return await _stream(torrent, metainfo, file, args, output)
    return interrupt.ordinary_code


def add(
    session: Session, found: Metainfo | Magnet, args: argparse.Namespace, cache: int, folder: str | None
) -> Torrent:
    """Add what is only to be read: nothing of it is fetched yet. Without a folder it is kept in a cache, for now."""

    def storage(info: Info) -> Storage:
        return CacheStorage(info, limit=max(cache, 8 * info.piece_length))

    return session.add(
        found,
        folder if folder is not None else ".",
        select=(),
        peers=args.peer,
        trackers=args.tracker,
        web_seeds=args.web_seed,
        storage=storage if folder is None else None,
    )


async def wait_metadata(
    torrent: Torrent, pick: Callable[[Info], PickT], args: argparse.Namespace, output: Output
) -> tuple[Metainfo, PickT]:
    """Wait for what is in it; gives that, and what was picked of it.

    Args:
        pick: called as soon as its files are known, maybe long before the hashes: nobody waits for a wrong name.

    Raises:
        UsageError: of ``pick``.
        NoPeersError: not within ``--timeout``.
        StorageError: the disk refuses.
    """
    job = Job(lambda: progress.look(torrent.stats(), torrent.why()), torrent=torrent, timeout=sessions.timeout(args))
    with output.showing(job), job.scope:
        picked = pick(await torrent.wait_info())
        metainfo = await torrent.wait_metadata()
        files = len(metainfo.info.wanted_files)
        output.event("metadata", torrent.info_hash, name=metainfo.name, total=metainfo.total, files=files)
        sessions.note_private(metainfo, output)
        return metainfo, picked
    raise sessions.gave_up(torrent, job, args)


def which_file(wish: str | None, info: Info, found: Metainfo | Magnet) -> int:
    """The index of the file that is meant; without a wish the largest, of those that the link names if it does.

    Raises:
        UsageError: none, or several.
    """
    if wish is None:
        return max(linked_files(found, info), key=lambda index: info.files[index].length)
    fitting = choose_files([wish], info, "FILE ")
    if len(fitting) > 1:
        raise UsageError(f"{display(wish)} fits {len(fitting)} files", hint="tl fetch SRC --list shows their numbers")
    return fitting[0]


async def _stream(torrent: Torrent, metainfo: Metainfo, file: int, args: argparse.Namespace, output: Output) -> int:
    size = metainfo.files[file].length
    if args.output is not None:
        torrent.select_files([file])
    files = HttpFiles(torrent, metainfo)
    async with _listening(files, args.port) as port:
        url = f"http://{_HOST}:{port}{files.path(file)}"
        output.event("serving", torrent.info_hash, url=url, path="/".join(metainfo.files[file].path), size=size)
        output.result(url)
        output.note(f"{display(metainfo.files[file].path[-1])} ({units.size(size)}) is served until Ctrl-C")
        job = Job(lambda: _glance(torrent, files), torrent=torrent, timeout=sessions.timeout(args))
        with output.showing(job), job.scope:
            if args.player is None:
                await trio.sleep_forever()
            return await _play(args.player, url, output)
        raise sessions.gave_up(torrent, job, args)


def _glance(torrent: Torrent, files: HttpFiles) -> progress.Glance:
    now = progress.look(torrent.stats(), torrent.why(), sharing=True)
    incomplete = now.done < now.total  # with -o: of the file that is kept, whether it is read or not
    stage = now.stage if incomplete else "streaming" if files.connections else "waiting"
    return now._replace(
        stage=stage,
        steady=not files.connections and not incomplete,
        # A player that is paused, or has enough for now, may stand still as long as it likes.
        held=now.held or (files.connections > 0 and not files.waiting),
        moved=now.moved + files.sent,
    )


@contextlib.asynccontextmanager
async def _listening(files: HttpFiles, port: int) -> AsyncIterator[int]:
    """Answer on loopback for as long as the block lasts; gives the port."""
    try:
        listeners = await trio.open_tcp_listeners(port, host=_HOST)
    except OSError as error:
        hint = "--port 0 takes a free one" if error.errno in (errno.EADDRINUSE, errno.EACCES) else ""
        if error.errno == errno.EADDRNOTAVAIL:
            hint = "the loopback interface has no IPv4: ip addr add 127.0.0.1/8 dev lo"
        raise ListenError(f"cannot listen on port {port} of {_HOST}: {error.strerror}", hint=hint) from error
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, files.serve, listeners)
        try:
            yield listeners[0].socket.getsockname()[1]
        except Exception as error:  # as itself, not in an ExceptionGroup
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _play(player: str, url: str, output: Output) -> int:
    """Run the player and wait for its end; it is ended when we are."""
    words = [*shlex.split(player), url]
    try:
        process = await trio.lowlevel.open_process(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    except OSError as error:
        raise UsageError(f"cannot run {words[0]!r}: {error.strerror}", hint="--player takes a command") from error
    try:
        code = await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 2):
                await process.wait()
    if code:
        output.note(f"the player left with {code}")
    return Exit.DONE
