"""``tl peers SRC``: who has it. Each tracker and the DHT are asked once, and nobody is called."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterable

import trio

from .. import Magnet, Metainfo, NetworkError, NoPeersError, TrackerError, __version__
from ..metainfo.text import display
from ..net.http import HttpClient
from ..net.udp import UdpPort
from ..settings import USER_AGENT
from ..swarm.discovery import NO_PORT
from ..swarm.world import real_world
from ..tracker.announce import AnnounceRequest
from ..tracker.client import TrackerClient
from ..tracker.redact import redact
from ..tracker.tiers import scope_of_url
from ..wire.address import Address, Scope
from ..wire.clients import make_peer_id
from . import dht, sessions, sources, units
from .exits import Exit
from .output import Job, Output
from .progress import Glance
from .signals import Interrupt


async def run(args: argparse.Namespace, output: Output, interrupt: Interrupt) -> int:
    """Ask everybody at once, say what each says, and list the peers."""
    with interrupt.scope:
        found = await sources.read(args.source, args, output)
        asking = _Asking(found, args, output)
        name = display(found.name) or asking.info_hash.hex()
        job = Job(lambda: Glance(name, "asking", peers=len(asking.peers)))
        with output.showing_live(job):
            await asking.ask()
        asking.say()
        if not asking.peers:
            sessions.check_interface(args)
            if not asking.asked:
                message = "no tracker is known and the DHT is not asked, so there is nobody to ask"
                raise NoPeersError(f"{name}: {message}", hint="-t URL names a tracker")
            knows = "knows a peer" if asking.answered else "answers"
            raise NoPeersError(f"{name}: nobody who was asked {knows}")
        return Exit.DONE
    return interrupt.code


class _Asking:
    """One torrent, and who names peers of it.

    Attributes:
        peers: who named each of them.
        asked, answered: how many were, and did.
    """

    def __init__(self, found: Metainfo | Magnet, args: argparse.Namespace, output: Output) -> None:
        self.info_hash = found.hashes.wire
        self.peers: dict[Address, list[str]] = {}
        for host, port in found.peers if isinstance(found, Magnet) else ():
            self._add([Address(host, port)], "magnet")
        self.asked = self.answered = 0
        self._args = args
        self._output = output
        self._rows: list[tuple[str, str]] = []
        self._private = isinstance(found, Metainfo) and found.private
        tiers = found.trackers if isinstance(found, Metainfo) else [[url] for url in found.trackers]
        self._trackers = {url: scope_of_url(url) for tier in tiers for url in tier}
        self._trackers.update(dict.fromkeys(args.tracker, Scope.LOOPBACK))
        self._nodes = found.nodes if isinstance(found, Metainfo) and not self._private else ()

    async def ask(self) -> None:
        """Ask all trackers and the DHT at once."""
        host = (self._args.listen or ("", 0))[0]
        world = real_world(host, self._args.interface).behind(self._args.proxy)
        network = world.network
        datagrams = await network.open_datagrams(host, 0)
        udp = UdpPort(datagrams)
        http = HttpClient(network, user_agent=USER_AGENT, proxies=world.proxies)
        try:
            async with trio.open_nursery() as receiving:
                receiving.start_soon(udp.run)
                trackers = TrackerClient(network, http, udp if datagrams else None, secret=os.urandom)
                async with trio.open_nursery() as nursery:
                    for url, within in self._trackers.items():
                        nursery.start_soon(self._ask_tracker, trackers, url, within)
                    if self._private:
                        self._rows.append(("DHT", "not asked: the torrent is private"))
                    elif self._args.proxy:
                        self._rows.append(("DHT", "not asked: no proxy carries that"))
                    elif not self._args.no_dht:
                        nursery.start_soon(self._ask_dht)
                receiving.cancel_scope.cancel()
        finally:
            udp.close()
            with trio.CancelScope(shield=True):
                await http.aclose()

    def say(self) -> None:
        """The table: who said what, then the peers."""
        output = self._output
        for source, said in self._rows:
            output.result(f"{output.style(source, 'bold')}  {said}")
        if self.peers:
            wide = max(len(str(peer)) for peer in self.peers)
            for peer, names in self.peers.items():
                output.answer("peer", self.info_hash.hex(), host=peer.host, port=peer.port, sources=names)
                output.result(f"{peer!s:<{wide}}  {', '.join(names)}")

    async def _ask_tracker(self, trackers: TrackerClient, url: str, within: Scope) -> None:
        self.asked += 1
        shown = display(redact(url))
        peer_id = make_peer_id(__version__, os.urandom(12))
        key = int.from_bytes(os.urandom(4), "big")

        def request(event: str) -> AnnounceRequest:
            return AnnounceRequest(info_hash=self.info_hash, peer_id=peer_id, port=NO_PORT, event=event, key=key)

        try:
            reply = await trackers.announce(url, request("started"), within=within)
        except TrackerError as error:
            self._rows.append((shown, f"fails: {display(str(error))}"))
            self._tell_tracker(shown, ok=False, message=str(error))
            return
        self.answered += 1
        others = [peer for peer in reply.peers if peer.port != NO_PORT and peer.scope >= reply.scope]
        self._add(others, "tracker")
        counts = [
            units.plural(count, noun)
            for count, noun in ((reply.seeders, "seed"), (reply.leechers - (reply.leechers > 0), "leecher"))
            if count >= 0
        ]
        self._rows.append((shown, ", ".join([f"names {units.plural(len(others), 'peer')}", *counts])))
        self._tell_tracker(shown, ok=True, message=reply.warning, peers=len(others))
        with contextlib.suppress(TrackerError):  # then it forgets us by itself
            await trackers.announce(url, request("stopped"), within=within)

    def _tell_tracker(self, url: str, *, ok: bool, message: str, peers: int = 0) -> None:
        self._output.event("tracker", self.info_hash.hex(), url=url, ok=ok, message=display(message), peers=peers)

    async def _ask_dht(self) -> None:
        self.asked += 1
        async with dht.node_of(self._args, self._output) as node:
            for host, port in self._nodes:
                with trio.move_on_after(dht.PATIENCE):
                    with contextlib.suppress(NetworkError):
                        await node.add_host(host, port)
            try:
                await dht.joined(node, self._args, None)
            except NetworkError as error:
                self._rows.append(("DHT", str(error)))
                self._output.event("dht", self.info_hash.hex(), nodes=0, peers=0)
                return
            self.answered += 1
            found = await node.get_peers(self.info_hash)
            self._add(found, "dht")
            scrape = await node.scrape(self.info_hash)
            nodes = node.stats().nodes
            about = f"about {units.plural(scrape.seeds, 'seed')} and {units.plural(scrape.peers, 'leecher')}"
            self._rows.append(("DHT", f"names {units.plural(len(found), 'peer')}, {about}, of {nodes:,} nodes"))
            self._output.event("dht", self.info_hash.hex(), nodes=nodes, peers=len(found), seeds=scrape.seeds)

    def _add(self, peers: Iterable[Address], source: str) -> None:
        for peer in peers:
            named = self.peers.setdefault(peer, [])
            if source not in named:
                named.append(source)
