"""``tl seed PATH…``: share files and folders until Ctrl-C."""

from __future__ import annotations

import argparse
import dataclasses
import os
import pathlib
import shlex

import trio

from .. import Magnet, Metainfo, Session, State, Torrent, open_session
from ..errors import DuplicateTorrentError, FileInTheWayError, SourceError, StorageError, VerifyError
from ..metainfo.link import is_mutable
from ..metainfo.paths import system_path
from ..metainfo.text import display
from ..net.addresses import reachable_at
from ..storage.original import OriginalStorage, find_originals
from ..wire.address import Scope, scope_of
from . import progress, qr, sessions, sharing, sources
from .files import full_path
from .hashing import hash_path
from .lasting import Lasting, key_of
from .listing import note_warnings, warnings_of
from .output import Job, Output
from .signals import Interrupt
from .telling import tell_events

_NO_LINK = "seed takes a path or a .torrent, and this is a link"


async def run(args: argparse.Namespace, output: Output, interrupt: Interrupt) -> int:
    """Hash, print the magnets, share. Ctrl-C is an ordinary end; a path that fails holds up none of the others."""
    if args.qr:
        qr.require_qr()
    key = key_of(args)
    codes: list[int] = []
    state = sessions.state_dir(args, output)
    async with open_session(sessions.settings(args, state)) as session:
        sessions.announce_listening(session, output)
        lasting = Lasting(args, session, output, key) if key is not None else None
        with interrupt.scope:
            async with trio.open_nursery() as nursery:
                for path in args.path:
                    seed = _Seed(path, session, state, lasting, args, output)
                    nursery.start_soon(seed.run, codes)
                    # One after the other: two that hash at once only fight over the disk.
                    await seed.ready.wait()
                    if lasting is not None and seed.torrent is not None:
                        nursery.start_soon(lasting.lead_to, seed.torrent)
    return next(iter(codes), interrupt.ordinary_code)


class _Seed:
    """One path that is shared.

    Attributes:
        ready: it is being shared, or has failed.
        torrent: what is shared; None before, and where it has failed.
    """

    def __init__(
        self,
        path: str,
        session: Session,
        state: pathlib.Path | None,
        lasting: Lasting | None,
        args: argparse.Namespace,
        output: Output,
    ) -> None:
        self.ready = trio.Event()
        self._path = path
        self._session = session
        self._state = state
        self._lasting = lasting
        self._args = args
        self._output = output
        self._link = ""
        self.torrent: Torrent | None = None

    async def run(self, codes: list[int]) -> None:
        """Share until cancelled or until it is enough; errors are said here, and their codes kept."""
        try:
            if self._path == "-" or sources.is_link(self._path) or _is_torrent_file(self._path):
                await self._share_torrent()
            else:
                await self._share_path()
        except DuplicateTorrentError:
            self._output.note(f"{display(sources.shown(self._path))}: named twice, shared once")
        except Exception as error:
            codes.append(self._output.error(error))
        finally:
            self.ready.set()

    async def _share_path(self) -> None:
        """Hash a file or folder, say its link, and then share it."""
        trackers = self._args.tracker
        metainfo = await hash_path(self._path, self._output, state_dir=self._state, trackers=trackers)
        # Said before the torrent is added, so before any announce: a dead tracker must not hold the link back.
        self._say_magnet(metainfo)
        parent = os.path.dirname(full_path(self._path))
        # The trackers again, as typed by hand: unlike those of a .torrent they may be anywhere.
        torrent = self._session.add(metainfo, parent, peers=self._args.peer, trackers=trackers)
        async with tell_events(torrent, self._output):
            await self._check(torrent, f"tl seed {shlex.quote(self._path)}")
            await self._share(torrent)

    async def _share_torrent(self) -> None:
        """Share what a .torrent describes, from the folder where its data is."""
        folder, trackers = self._args.output, self._args.tracker
        if is_mutable(self._path):
            raise SourceError(_NO_LINK, hint=f"to fetch and share: tl fetch {shlex.quote(self._path)} --seed")
        metainfo = await sources.read(self._path, self._args, self._output)
        fetch = shlex.join(["tl", "fetch", self._path, "-o", folder])
        if isinstance(metainfo, Magnet):
            hint = f"to fetch and share: {fetch} --seed"
            raise SourceError(_NO_LINK, hint=hint)
        if self._lasting is not None:
            self._lasting.check(metainfo, os.path.join(folder, metainfo.name))
        originals = await trio.to_thread.run_sync(find_originals, metainfo.info, folder)
        if originals is None:
            _check_sizes(metainfo, pathlib.Path(folder), f"to get what is missing: {fetch}")
        named = dataclasses.replace(metainfo, trackers=metainfo.trackers + tuple((url,) for url in trackers))
        try:
            torrent = self._session.add(
                metainfo,
                folder,
                peers=self._args.peer,
                trackers=trackers,
                storage=None if originals is None else lambda info: OriginalStorage(info, folder, originals),
            )
        except DuplicateTorrentError:
            self._say_magnet(named)  # a line for each that was typed
            raise
        async with tell_events(torrent, self._output):
            await self._check(torrent, shlex.join(["tl", "verify", self._path, folder]))
            note_warnings(metainfo, self._output)
            self._say_magnet(named)
            await self._share(torrent)

    async def _check(self, torrent: Torrent, look: str) -> None:
        """Wait until the data has been looked at.

        Raises:
            VerifyError: it is not what the torrent says.
        """
        wrong = False
        with self._output.showing(_job(torrent)):
            try:
                await torrent.wait_checked()
            except FileInTheWayError:
                wrong = True
        if wrong or torrent.state is not State.SEEDING:
            stats = torrent.stats()
            await self._session.remove(torrent)
            missing = stats.pieces - stats.pieces_done
            what = "the data does not match" if wrong else f"{missing:,} of {stats.pieces:,} pieces do not match"
            raise VerifyError(f"{display(torrent.name)}: {what}", hint=f"to see which: {look}")

    def _say_magnet(self, metainfo: Metainfo) -> None:
        hosts = reachable_at((address.host for address in self._session.addresses), self._args.interface)
        # Peers of a private torrent come from its trackers alone (BEP 27).
        peers = [] if metainfo.private else [(host, self._session.port) for host in hosts]
        magnet = self._link = metainfo.to_magnet(peers=peers)
        links = {"magnet": magnet} | ({"link": self._lasting.link} if self._lasting is not None else {})
        self._output.event(
            "seeding",
            metainfo.info_hash,
            **links,
            name=metainfo.name,
            total=metainfo.total,
            warnings=warnings_of(metainfo),
        )
        for link in links.values():
            self._output.result(link)
        if self._args.qr:
            qr.show(magnet, self._output)
        sessions.note_private(metainfo, self._output)
        alone = bool(hosts) and all(scope_of(host) is Scope.LOOPBACK for host in hosts)
        if alone:  # a link may lead to this machine itself only where the session is bound to it
            self._output.note(f"In another terminal: tl fetch '{magnet}' --listen {hosts[0]}:0")
        elif peers or metainfo.trackers or self._args.peer:
            self._output.note(f"On the other computer: tl fetch '{links.get('link', magnet)}'")
        elif self._args.proxy:
            self._output.note("nobody can call us, and no tracker tells us whom to call: -t URL names one")
        elif metainfo.private:
            self._output.note(
                "no other computer can find this: it is private, and no tracker knows of it: -t URL names one"
            )
        else:
            self._output.note("no other computer can find this: this one has no address in any network")

    async def _share(self, torrent: Torrent) -> None:
        self.torrent = torrent
        self.ready.set()
        try:
            with self._output.showing(_job(torrent, self._link)):
                await sharing.share(torrent, self._session, self._args, self._output)
        finally:
            if self._lasting is not None:
                self._lasting.end()


def _is_torrent_file(path: str) -> bool:
    return path.endswith(".torrent") and not os.path.isdir(path)


def _job(torrent: Torrent, link: str = "") -> Job:
    return Job(lambda: progress.look(torrent.stats(), torrent.why(), sharing=True), torrent=torrent, link=link)


def _check_sizes(metainfo: Metainfo, folder: pathlib.Path, hint: str) -> None:
    """Look whether every file is there, before anything is opened: seeding must change nothing.

    Raises:
        StorageError: one is missing.
        VerifyError: one has another size.
    """
    for index in metainfo.info.wanted_files:
        entry = metainfo.files[index]
        path = folder.joinpath(*system_path(entry.path))
        try:
            size = path.stat().st_size
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise StorageError(f"cannot share '{path}': {why}", path=str(path), hint=hint) from error
        if size != entry.length:
            raise VerifyError(f"'{path}' has {size:,} bytes, and should have {entry.length:,}", hint=hint)
