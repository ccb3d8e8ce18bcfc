"""``tl seed PATH…``: share files and folders until Ctrl-C."""

from __future__ import annotations

import argparse
import dataclasses
import os
import pathlib
import shlex

import trio

from .. import Magnet, Metainfo, Session, State, Torrent, open_session
from ..errors import (
    DhtError,
    DuplicateTorrentError,
    FileInTheWayError,
    SourceError,
    StorageError,
    TorrentError,
    VerifyError,
)
from ..metainfo.link import is_mutable
from ..metainfo.paths import system_path
from ..metainfo.text import display
from ..storage.original import OriginalStorage, find_originals
from ..wire.address import Scope, scope_of
from . import progress, qr, sessions, sharing, sources
from .addresses import reachable_at
from .exits import UsageError
from .files import full_path
from .hashing import hash_path
from .keys import Key
from .listing import note_warnings, warnings_of
from .output import Job, Output
from .signals import Interrupt
from .telling import tell_events

_NO_LINK = "seed takes a path or a .torrent, and this is a link"
_PUBLISH_AGAIN = 60.0
"""Seconds until nodes that did not take the link are told again."""
_PUBLISH_LATE = 20.0
"""Seconds after which it is said that there are no nodes yet."""


async def run(args: argparse.Namespace, output: Output, interrupt: Interrupt) -> int:
    """Hash, print the magnets, share. Ctrl-C is an ordinary end; a path that fails holds up none of the others."""
    if args.qr:
        qr.require_qr()
    key = _key_of(args) if args.publish is not None else None
    codes: list[int] = []
    state = sessions.state_dir(args, output)
    async with open_session(sessions.settings(args, state)) as session:
        sessions.announce_listening(session, output)
        with interrupt.scope:
            async with trio.open_nursery() as nursery:
                for path in args.path:
                    seed = _Seed(path, session, state, key, args, output)
                    nursery.start_soon(seed.run, codes)
                    # One after the other: two that hash at once only fight over the disk.
                    await seed.ready.wait()
                    nursery.start_soon(seed.publish)
    return next(iter(codes), interrupt.ordinary_code)


class _Seed:
    """One path that is shared.

    Attributes:
        ready: it is being shared, or has failed.
    """

    def __init__(
        self,
        path: str,
        session: Session,
        state: pathlib.Path | None,
        key: Key | None,
        args: argparse.Namespace,
        output: Output,
    ) -> None:
        self.ready = trio.Event()
        self._path = path
        self._session = session
        self._state = state
        self._key = key
        self._args = args
        self._output = output
        self._link = ""
        self._torrent: Torrent | None = None
        self._publishing = trio.CancelScope()
        self._unpublished = ""

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
        if self._key is not None:
            _check_publishable(metainfo)
            _check_outside(self._args.publish, os.path.join(folder, metainfo.name))
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
        hosts = reachable_at(address.host for address in self._session.addresses)
        # Peers of a private torrent come from its trackers alone (BEP 27).
        peers = [] if metainfo.private else [(host, self._session.port) for host in hosts]
        magnet = self._link = metainfo.to_magnet(peers=peers)
        lasting = {"link": str(self._key.link)} if self._key is not None else {}
        self._output.event(
            "seeding",
            metainfo.info_hash,
            magnet=magnet,
            **lasting,
            name=metainfo.name,
            total=metainfo.total,
            warnings=warnings_of(metainfo),
        )
        self._output.result(magnet)
        for link in lasting.values():
            self._output.result(link)
        if self._args.qr:
            qr.show(magnet, self._output)
        sessions.note_private(metainfo, self._output)
        alone = bool(hosts) and all(scope_of(host) is Scope.LOOPBACK for host in hosts)
        if alone:  # a link may lead to this machine itself only where the session is bound to it
            self._output.note(f"In another terminal: tl fetch '{magnet}' --listen {hosts[0]}:0")
        else:
            self._output.note(f"On the other computer: tl fetch '{magnet}'")

    async def _share(self, torrent: Torrent) -> None:
        self._torrent = torrent
        self.ready.set()
        try:
            with self._output.showing(_job(torrent, self._link)):
                await sharing.share(torrent, self._session, self._args, self._output)
        finally:
            self._publishing.cancel()

    async def publish(self) -> None:
        """Let the link that stays lead here, once it is shared; from then on the torrent sees to it."""
        torrent, key = self._torrent, self._key
        if torrent is None or key is None:
            return
        with self._publishing:
            with trio.move_on_after(_PUBLISH_LATE):
                while self._session.stats().dht.state != "joined":  # noqa: ASYNC110  nobody else waits for that
                    await trio.sleep(0.1)
            while True:
                if (dht := self._session.stats().dht).state != "joined":
                    self._say_unpublished(f"does not lead here yet: DHT: {dht.message}")
                try:
                    await torrent.publish(key.secret)
                    break
                except DhtError as error:
                    self._say_unpublished(f"does not lead here yet: {error}; that is tried again")
                except TorrentError:
                    return  # who shares it says so
                await trio.sleep(_PUBLISH_AGAIN)
            self._output.event("published", torrent.info_hash, link=str(key.link))
            self._output.note(f"the link that stays leads to {display(torrent.name)} now")
        if self._publishing.cancelled_caught:
            self._unpublished = ""
            self._say_unpublished("never led here")

    def _say_unpublished(self, what: str) -> None:
        """Once, while it is the same."""
        if what != self._unpublished and self._torrent is not None and self._key is not None:
            self._unpublished = what
            self._output.event("unpublished", self._torrent.info_hash, link=str(self._key.link), message=what)
            self._output.note(f"the link that stays {what}")


def _key_of(args: argparse.Namespace) -> Key:
    """The key of ``--publish``.

    Raises:
        UsageError: the link could not lead here.
        SourceError: the file is no key. DhtError: nothing can be signed here.
    """
    if len(args.path) > 1:
        raise UsageError("--publish lets a link lead to one PATH, and these are several")
    if args.no_dht:
        raise UsageError("--publish tells the DHT, and --no-dht forbids that")
    (path,) = args.path
    _check_outside(args.publish, path)
    return Key.read(args.publish)


def _check_outside(key: str, shared: str) -> None:
    """Raises UsageError where the key would be shared too: whoever has it owns the link."""
    inner, outer = os.path.realpath(key), os.path.realpath(shared)
    if inner == outer or inner.startswith(os.path.join(outer, "")):
        raise UsageError(f"--publish {display(key)}: the key would be shared too, and whoever has it owns the link")


def _check_publishable(metainfo: Metainfo) -> None:
    """Raises SourceError where no link that stays can lead to it."""
    if metainfo.private or metainfo.info.hashes.only_v2:
        why = "private, and the DHT is not told of it" if metainfo.private else "of version 2 alone"
        raise SourceError(f"no link that stays can lead to {display(metainfo.name)}: it is {why}")


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
