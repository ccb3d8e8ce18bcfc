"""``tl seed PATH…``: share files and folders until Ctrl-C."""

from __future__ import annotations

import argparse
import dataclasses
import os
import pathlib
import shlex

import trio

from .. import Magnet, Metainfo, Session, State, Torrent, open_session
from ..errors import FileInTheWayError, SourceError, StorageError, VerifyError
from ..metainfo.text import display
from ..wire.address import Scope, scope_of
from . import progress, sessions, sources
from .addresses import reachable_at
from .exits import Exit
from .files import full_path
from .hashing import hash_path
from .output import Job, Output
from .signals import Interrupt
from .telling import tell_events


async def run(args: argparse.Namespace, output: Output, interrupt: Interrupt) -> int:
    """Hash, print the magnets, share. Ctrl-C is the ordinary end; a path that fails holds up none of the others."""
    codes: list[int] = []
    state = sessions.state_dir(args, output)
    async with open_session(sessions.settings(args, state)) as session:
        sessions.announce_listening(session, output)
        with interrupt.scope:
            async with trio.open_nursery() as nursery:
                # One after the other: two that hash at once only fight over the disk.
                for path in args.path:
                    try:
                        if _is_torrent(path):
                            torrent = await _open_torrent(path, session, args, output)
                        else:
                            torrent = await _open_path(path, session, state, args, output)
                        nursery.start_soon(_share, torrent, output, codes)
                    except Exception as error:
                        codes.append(output.error(error))
    return next(iter(codes), Exit.DONE)


def _is_torrent(path: str) -> bool:
    return path == "-" or sources.is_link(path) or (path.endswith(".torrent") and not os.path.isdir(path))


async def _open_path(
    path: str, session: Session, state: pathlib.Path | None, args: argparse.Namespace, output: Output
) -> Torrent:
    """Hash a file or folder, say its link, and then share it."""
    metainfo = await hash_path(path, output, state_dir=state, trackers=args.tracker)
    # Said before the torrent is added, so before any announce: a dead tracker must not hold the link back.
    _say_magnet(metainfo, session, output)
    parent = os.path.dirname(full_path(path))
    # The trackers again, as typed by hand: unlike those of a .torrent they may be anywhere.
    torrent = session.add(metainfo, parent, peers=args.peer, trackers=args.tracker)
    await _check(torrent, session, f"tl seed {shlex.quote(path)}", output)
    return torrent


async def _open_torrent(path: str, session: Session, args: argparse.Namespace, output: Output) -> Torrent:
    """Share what a .torrent describes, from the folder where its data is."""
    metainfo = await sources.read(path)
    if isinstance(metainfo, Magnet):
        again = shlex.join(["tl", "fetch", path, "-o", args.output, "--seed"])
        raise SourceError("seed takes a path or a .torrent, and this is a link", hint=f"to fetch and share: {again}")
    fetch = shlex.join(["tl", "fetch", path, "-o", args.output])
    _check_sizes(metainfo, pathlib.Path(args.output), f"to get what is missing: {fetch}")
    torrent = session.add(metainfo, args.output, peers=args.peer, trackers=args.tracker)
    await _check(torrent, session, shlex.join(["tl", "verify", path, args.output]), output)
    added = tuple((url,) for url in args.tracker)
    _say_magnet(dataclasses.replace(metainfo, trackers=metainfo.trackers + added), session, output)
    return torrent


def _check_sizes(metainfo: Metainfo, folder: pathlib.Path, hint: str) -> None:
    """Look whether every file is there, before anything is opened: seeding must change nothing.

    Raises:
        StorageError: one is missing.
        VerifyError: one has another size.
    """
    for index in metainfo.info.wanted_files:
        entry = metainfo.files[index]
        path = folder.joinpath(*entry.path)
        try:
            size = path.stat().st_size
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise StorageError(f"cannot share '{path}': {why}", path=str(path), hint=hint) from error
        if size != entry.length:
            raise VerifyError(f"'{path}' has {size:,} bytes, and should have {entry.length:,}", hint=hint)


async def _check(torrent: Torrent, session: Session, look: str, output: Output) -> None:
    """Wait until the data has been looked at.

    Raises:
        VerifyError: it is not what the torrent says.
    """
    job = Job(lambda: progress.look(torrent.stats(), torrent.why(), sharing=True), info_hash=torrent.info_hash)
    wrong = False
    with output.showing(job):
        try:
            await torrent.wait_checked()
        except FileInTheWayError:
            wrong = True
    if wrong or torrent.state is not State.SEEDING:
        stats = torrent.stats()
        await session.remove(torrent)
        missing = stats.pieces - stats.pieces_done
        raise VerifyError(
            f"{display(torrent.name)}: {missing:,} of {stats.pieces:,} pieces do not match",
            hint=f"to see which: {look}",
        )


def _say_magnet(metainfo: Metainfo, session: Session, output: Output) -> None:
    hosts = reachable_at(address.host for address in session.addresses)
    magnet = metainfo.to_magnet(peers=[(host, session.port) for host in hosts])
    output.event("seeding", metainfo.info_hash, magnet=magnet, name=metainfo.name, total=metainfo.total)
    output.result(magnet)
    alone = bool(hosts) and all(scope_of(host) is Scope.LOOPBACK for host in hosts)
    output.note(f"{'In another terminal' if alone else 'On the other computer'}: tl fetch '{magnet}'")


async def _share(torrent: Torrent, output: Output, codes: list[int]) -> None:
    """Share until cancelled, or until the disk fails."""
    job = Job(lambda: progress.look(torrent.stats(), torrent.why(), sharing=True), info_hash=torrent.info_hash)
    try:
        async with tell_events(torrent, output):
            with output.showing(job):
                await sessions.share(torrent)
    except Exception as error:
        codes.append(output.error(error, torrent.info_hash))
