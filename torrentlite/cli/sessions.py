"""What the flags mean for a session: its settings, its state folder, its kept port."""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import pathlib
import random
import shutil
import tempfile
from typing import Final

from .. import Magnet, Metainfo, Session, Settings, Torrent, open_session
from ..errors import NetworkError, NoPeersError, StorageError, TorrentError
from ..metainfo.text import display
from ..net.interface import interface_trouble
from ..stats import Reason
from ..storage.platform import may_use
from ..wire.address import Scope, scope_of
from . import progress, units
from .exits import UsageError, require_extra
from .files import check_writable, write_whole
from .output import Job, Output
from .terminal import STDERR, is_terminal

_PORTS: Final = range(49152, 65536)
"""The ports that belong to nobody (RFC 6335, section 6)."""
_PATIENCE: Final = 30 * 60.0
"""Seconds without progress after which a run that nobody watches gives up: a CI job must not hang."""

_LEAST_ROOM: Final = 4096
"""Bytes that any file takes."""


def state_dir(args: argparse.Namespace, output: Output) -> pathlib.Path | None:
    """The state folder, made if need be; None, with a note, where the platform's own cannot be had.

    Raises:
        StorageError: the folder that was asked for cannot be made or written.
    """
    try:
        if args.state_dir:
            folder = pathlib.Path(args.state_dir).expanduser()
        else:
            import platformdirs

            folder = platformdirs.user_state_path("torrentlite", appauthor=False)
    except RuntimeError as error:  # who has no home
        if args.state_dir:
            raise StorageError(f"cannot use --state-dir '{args.state_dir}': no home folder") from error
        output.note("nothing is remembered for next time: no home folder")
        return None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for each in folder, folder / "resume":  # root's, after a sudo tl
            if each.is_dir():
                check_writable(each)
    except OSError as error:
        if args.state_dir:
            raise StorageError(f"cannot use --state-dir '{folder}': {error.strerror}", path=str(folder)) from error
        output.note(f"nothing is remembered for next time: {error.strerror}: {error.filename or folder}")
        return None
    if (barred := _not_ours(folder / "resume")) is not None:
        output.note(f"nothing is remembered of a torrent for next time: {os.strerror(errno.EACCES)}: {barred}")
    with contextlib.suppress(OSError):
        if shutil.disk_usage(folder).free < _LEAST_ROOM:
            output.note(f"nothing is remembered for next time: no room in {folder}")
    return folder


def _not_ours(folder: pathlib.Path) -> pathlib.Path | None:
    """A file in this folder that may not be read and written: root's, after a ``sudo tl``."""
    try:
        return next((path for path in folder.iterdir() if not may_use(path, os.R_OK | os.W_OK)), None)
    except OSError:
        return None


def settings(args: argparse.Namespace, state: pathlib.Path | None) -> Settings:
    """The settings of these flags; without ``--listen`` the kept port, or a free one where that is in use.

    Raises:
        UsageError: they ask for what is not installed.
    """
    if args.encryption == "require":
        require_extra("--encryption require", "cryptography", "crypto")
    host, port = args.listen or ("", kept_port(state))
    return Settings(
        host=host,
        port=port,
        port_fallback=args.listen is None,
        upload_limit=getattr(args, "up", 0),
        download_limit=getattr(args, "down", 0),
        overwrite=getattr(args, "overwrite", False),
        state_dir=state,
        dht=not args.no_dht,
        bootstrap=tuple(args.bootstrap) or None,
        lsd=not args.no_lsd,
        pex=not args.no_pex,
        port_map=not args.no_port_map,
        encryption=args.encryption,
        utp=args.utp,
        interface=args.interface,
        proxy=args.proxy,
    )


def refuse_proxy(args: argparse.Namespace, what: str) -> None:
    """Raise UsageError where all has to go through a proxy, for what none can carry."""
    if args.proxy:
        raise UsageError(f"no proxy carries {what}", hint="--proxy '' does without it for once")


def check_interface(args: argparse.Namespace) -> None:
    """Raise NetworkError where nothing can leave by the interface by which all has to go: that explains what failed."""
    if args.interface and (trouble := interface_trouble(args.interface, args.listen[0] if args.listen else "")):
        raise NetworkError(trouble, hint="nothing goes another way until then; --interface '' does without it for once")


def kept_port(state: pathlib.Path | None) -> int:
    """The port of this user's runs: drawn once, so that a firewall or router can be told of it."""
    drawn = random.SystemRandom().choice(_PORTS)
    if state is None:
        return drawn
    file = state / "port"
    try:
        port = int(file.read_text("ascii"))
    except (OSError, ValueError):
        port = 0
    if port not in _PORTS:
        port = drawn
        with contextlib.suppress(OSError):
            write_whole(file, f"{port}\n".encode())
    return port


def timeout(args: argparse.Namespace) -> float | None:
    """Seconds without progress after which to give up, or None."""
    if args.timeout is not None:
        return float(args.timeout) or None
    return None if is_terminal(STDERR) else _PATIENCE


def announce_listening(session: Session, output: Output) -> None:
    """Say where the session listens, or that it does not."""
    if session.settings.proxy:
        output.note("all through the proxy: no DHT, no UDP trackers, and nobody can call us")
        output.watch(session)
        return
    host = session.addresses[0].host if session.addresses else ""
    output.event("listening", host=host, port=session.port)
    output.watch(session)


def note_private(metainfo: Metainfo, output: Output) -> None:
    """Say what is different with a private torrent (BEP 27): people wonder why nobody else is found."""
    if metainfo.private:
        output.note(f"{display(metainfo.name)} is private: peers come from its trackers only (no DHT, LSD or PEX)")


async def with_metadata(
    found: Metainfo | Magnet, args: argparse.Namespace, output: Output, *, shown: bool = False
) -> Metainfo:
    """The metainfo itself, for a magnet fetched from its peers by a session of its own that keeps nothing.

    Args:
        shown: as in ``metadata_in``.

    Raises:
        NoPeersError: not within ``--timeout``.
    """
    if isinstance(found, Metainfo):
        return found
    async with open_session(settings(args, None)) as session:
        announce_listening(session, output)
        return await metadata_in(session, found, args, output, shown=shown)


async def metadata_in(
    session: Session, magnet: Magnet, args: argparse.Namespace, output: Output, *, shown: bool = False
) -> Metainfo:
    """A magnet's metainfo by way of this session, which forgets the torrent again.

    Args:
        shown: it is to be looked at, and no more: of v2 it may lack the hashes of its pieces, which can take long.

    Raises:
        NoPeersError: not within ``--timeout``.
    """
    with tempfile.TemporaryDirectory(prefix="tl-") as nowhere:
        torrent = session.add(magnet, nowhere, select=(), peers=args.peer, trackers=args.tracker)
        job = Job(lambda: progress.look(torrent.stats(), torrent.why()), torrent=torrent, timeout=timeout(args))
        try:
            with output.showing(job), job.scope:
                if not shown:
                    return await torrent.wait_metadata()
                trackers = tuple((url,) for url in magnet.trackers)
                return Metainfo(await torrent.wait_info(), trackers=trackers, web_seeds=magnet.web_seeds)
            raise gave_up(torrent, job, args)  # while the torrent still knows
        finally:
            await session.remove(torrent)


def gave_up(torrent: Torrent, job: Job, args: argparse.Namespace) -> TorrentError:
    """The error of a job that stood still for ``--timeout``: what it waited for."""
    stats, why = torrent.stats(), job.why
    if why.reason is Reason.DISK:
        return torrent.error or StorageError(why.message)
    able = stats.peers or (torrent.web_seeds() and torrent.metainfo is not None)
    message = f"no {'progress' if able else 'peers'} for {units.duration(timeout(args) or 0)}"
    if why.reason is Reason.NO_METADATA:
        message = display(why.message)  # "no hashes of the pieces from 2 peers for 30 s" says it all
    elif why.reason is not Reason.FINE:
        message += f": {display(why.message)}"
    flag = {Reason.INTERFACE: "--interface", Reason.PROXY: "--proxy"}.get(why.reason)
    hint = f"look at {flag}: nothing goes another way" if flag else no_peers_hint(args)
    if why.reason is Reason.UNREACHABLE and "reached" in dict(why.evidence):
        hint = "is it shared there just now, and is that its port?"  # somebody answers: the network is not at fault
    return NoPeersError(f"{display(torrent.name)}: {message}", hint=hint)


def no_peers_hint(args: argparse.Namespace) -> str:
    """What to do where nobody has it, or nobody can be reached."""
    if args.proxy:  # tl doctor would look past it
        return "is somebody sharing it just now? -t URL names an http(s) tracker, --peer IP:PORT somebody who has it"
    if args.peer or args.tracker or getattr(args, "web_seed", None):
        return "is somebody sharing it just now? tl doctor looks for what keeps peers away"
    return "--peer HOST:PORT names somebody who has it, -t URL a tracker; tl doctor looks for what keeps peers away"


def names_this_machine(magnet: Magnet) -> bool:
    """Whether a peer in the link is at a loopback address."""
    return any(scope_of(host) is Scope.LOOPBACK for host, _ in magnet.peers)


def on_loopback(session: Session) -> bool:
    """Whether the session listens on loopback only."""
    return all(scope_of(address.host) is Scope.LOOPBACK for address in session.addresses)
