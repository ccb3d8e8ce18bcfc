"""Everybody whom the session of a soak meets: peers, trackers, DHT nodes, web servers. A process of its own.

Told what to do by lines of JSON at its standard input, and answers each with one; ``soak.py`` is at the other end. Each
round has torrents and people of its own, who all end with it; only the DHT nodes stay, and every round one of them goes
and another comes. Everything is on addresses 127.0.0.x.
"""

from __future__ import annotations

import base64
import collections
import contextlib
import hashlib
import json
import logging
import os
import pathlib
import random
import sys
import tempfile
import types
from typing import Any

import trio

import torrentlite as tl
from tests.strangers import Stranger, Talk, spoil
from torrentlite.dht import open_node
from torrentlite.dht.node import Node
from torrentlite.errors import NetworkError
from torrentlite.metainfo.build import build_info, build_metainfo
from torrentlite.net.network import Listener, RealNetwork
from torrentlite.testing.swarms import Announce, Swarms
from torrentlite.testing.torrent import made_up_torrent
from torrentlite.testing.trace import Trace
from torrentlite.testing.tracker_http import serve_http
from torrentlite.testing.tracker_udp import UdpFace
from torrentlite.testing.web import SimulatedWebServer
from torrentlite.wire import messages as wm
from torrentlite.wire.address import Address

NODES = 8
HOME = "127.0.0.1"
"""Where the session that is watched is."""


class Loopback(RealNetwork):
    """The system's network, from one address of this machine."""

    def __init__(self, ip: str) -> None:
        super().__init__(ip)
        self.ip = ip

    async def listen(self, host: str, port: int, *, fallback: bool) -> list[Any]:
        return await super().listen(host or self.ip, port, fallback=fallback)


def machine(number: int) -> Any:
    """What a ``Stranger`` asks of a machine."""
    return types.SimpleNamespace(network=Loopback(f"127.0.0.{number}"), secret=os.urandom)


class Round:
    """The people of one round.

    Args:
        nursery: theirs.
        nodes: of the DHT.
        rng: makes the torrents.
        folder: for those who keep files.
        port: of the session that is watched.
        speed: bytes per second of an honest peer.

    Attributes:
        counts: what happened, by name.
    """

    def __init__(
        self, nursery: trio.Nursery, nodes: list[Node], rng: random.Random, folder: pathlib.Path, port: int, speed: int
    ) -> None:
        self.counts: collections.Counter[str] = collections.Counter()
        self._nursery = nursery
        self._nodes = nodes
        self._rng = rng
        self._folder = folder
        self._home = HOME, port
        self._speed = speed
        self._made: dict[str, tuple[tl.Metainfo, bytes]] = {}

    async def offers(self) -> list[dict[str, Any]]:
        """Open everything, and tell where it is."""
        return [
            await self._crowd(),
            await self._magnet(),
            await self._in_dht(),
            await self._web(),
            await self._nobody(),
        ]

    # -- torrents ----------------------------------------------------------------------------------------------------

    async def _crowd(self) -> dict[str, Any]:
        """A .torrent with peers of all manners, named by hand and by two trackers; others refuse, fail or hang."""
        metainfo, data = self._make("crowd", (2_000_000, 5, 1_000_000))
        info = metainfo.info
        speed = self._speed
        honest = [await self._serve(20 + each, info, data, delay=16384 / speed) for each in range(2)]
        slow = await self._serve(22, info, data, delay=40 * 16384 / speed)
        # The first goes as soon as it is asked for anything: the others would be asked too little to go, now and then.
        vanishing = [await self._serve(23 + each, info, data, react=self._vanish(1 + 4 * each)) for each in range(3)]
        wrong = Stranger(machine(26), info, data, answer=self._spoil, delay=8192 / speed)
        await wrong.serve(self._nursery)
        mute = await self._mute(27)
        good, *others = await self._trackers(metainfo, [honest[0], vanishing[2]])
        return self._offer(
            metainfo,
            base64.b64encode(metainfo.encode()).decode(),
            peers=[each.place for each in (wrong, honest[1], slow, *vanishing[:2])] + [mute, ("127.0.0.28", 1)],
            trackers=[good, *others],
        )

    async def _magnet(self) -> dict[str, Any]:
        """A link: one peer goes in the middle of the metadata, a session of ours has everything."""
        metainfo, data = self._make("magnet", (600_000,), padding=40_000)
        # The session shares nothing before that: else it may have given all of the metadata already.
        vanished = trio.Event()
        place = await self._session(30, metainfo, data, after=vanished)
        gone = await self._serve(31, metainfo.info, data, react=self._vanish_with_metadata(vanished))
        good, *_ = await self._trackers(metainfo, [gone])
        return self._offer(metainfo, metainfo.magnet, peers=[place, gone.place], trackers=[good])

    async def _in_dht(self) -> dict[str, Any]:
        """A link and nothing else: the peer is to be found in the DHT."""
        metainfo, data = self._make("in the dht", (400_000,))
        node = self._nodes[-1]
        ip = int(node.addresses[0].host.rpartition(".")[2])
        peer = await self._serve(ip, metainfo.info, data, delay=16384 / self._speed)
        with trio.fail_after(60):
            announced = await node.announce_peer(metainfo.info.hashes.wire, peer.port)
        self.counts["DHT nodes that stored a peer"] += announced.nodes
        return self._offer(metainfo, metainfo.magnet)

    async def _web(self) -> dict[str, Any]:
        """Two web seeds: one has the files, one has nothing."""
        metainfo, data = self._make("web", (300_000, 200_000))
        files, start = {}, 0
        for entry in metainfo.files:
            files["/" + "/".join(entry.path)] = data[start : start + entry.length]
            start += entry.length
        urls = [(await self._web_server(40, files)), (await self._web_server(41, {}))]
        return self._offer(metainfo, base64.b64encode(metainfo.encode()).decode(), web_seeds=urls)

    async def _nobody(self) -> dict[str, Any]:
        """A link that nobody answers."""
        metainfo, _ = self._make("nobody", (100_000,))
        _, refused, failing, hanging, silent = await self._trackers(metainfo, [])
        offer = self._offer(
            metainfo,
            metainfo.magnet,
            peers=[await self._mute(45), ("127.0.0.46", 1)],
            trackers=[refused, failing, hanging, silent],
        )
        return {**offer, "complete": False}

    def _make(self, name: str, sizes: tuple[int, ...], padding: int = 0) -> tuple[tl.Metainfo, bytes]:
        """A torrent, its metadata made longer by so many bytes."""
        full = f"{name} {self._rng.randrange(1 << 30)}"
        metainfo, data = made_up_torrent(self._rng, sizes, name=full, piece_length=32768)
        if padding:
            pieces = metainfo.info.pieces
            info = build_info(full, [((), len(data))], piece_length=32768, pieces=pieces, source="x" * padding)
            metainfo = build_metainfo(info)
        self._made[name] = metainfo, data
        return metainfo, data

    def _offer(
        self, metainfo: tl.Metainfo, source: str, peers: Any = (), trackers: Any = (), web_seeds: Any = ()
    ) -> dict[str, Any]:
        name = next(name for name, made in self._made.items() if made[0] is metainfo)
        return {
            "name": name,
            "source": source,
            "peers": list(peers),
            "trackers": list(trackers),
            "web_seeds": list(web_seeds),
            "sha256": hashlib.sha256(self._made[name][1]).hexdigest(),
            "complete": True,
        }

    # -- people ------------------------------------------------------------------------------------------------------

    async def _serve(self, number: int, info: tl.Info, data: bytes, **manners: Any) -> Stranger:
        return await Stranger(machine(number), info, data, **manners).serve(self._nursery)

    def _vanish(self, after: int) -> Any:
        left = after

        async def react(talk: Talk, message: Any) -> bool:
            nonlocal left
            left -= isinstance(message, wm.Request)
            if left > 0:
                return False
            left = after
            self.counts["peers that vanished"] += 1
            talk.stream.close()
            return True

        return react

    def _vanish_with_metadata(self, vanished: trio.Event) -> Any:
        async def react(talk: Talk, message: Any) -> bool:
            if not isinstance(message, wm.MetadataRequest) or not message.piece:
                return False
            self.counts["peers that vanished with the metadata"] += 1
            vanished.set()
            talk.stream.close()
            return True

        return react

    def _spoil(self, request: wm.Request, right: bytes) -> bytes:
        self.counts["blocks that were spoiled"] += 1
        return spoil(right)

    async def _listen(self, number: int) -> Listener:
        (listener,) = await Loopback(f"127.0.0.{number}").listen("", 0, fallback=False)
        return listener

    async def _mute(self, number: int) -> tuple[str, int]:
        """Takes calls and never says hello."""
        listener = await self._listen(number)
        held = []

        async def accept() -> None:
            with contextlib.closing(listener):
                while True:
                    held.append(await listener.accept())
                    self.counts["calls to who says nothing"] += 1

        self._nursery.start_soon(accept)
        return listener.address.host, listener.address.port

    async def _session(self, number: int, metainfo: tl.Metainfo, data: bytes, *, after: trio.Event) -> tuple[str, int]:
        """A session of ours that has a torrent, and shares it after something."""
        folder = self._folder / metainfo.name
        start = 0
        for entry in metainfo.files:
            path = self._folder.joinpath(*entry.path)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data[start : start + entry.length])
            start += entry.length
        assert folder.exists()
        session = await self._nursery.start(self._keep_session, number, self._speed)
        torrent = session.add(metainfo, self._folder)
        await torrent.wait_complete()
        torrent.pause()

        async def share() -> None:
            await after.wait()
            torrent.resume()

        self._nursery.start_soon(share)
        return session.addresses[0].host, session.port

    async def _keep_session(self, number: int, rate: int, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
        settings = tl.Settings(host=f"127.0.0.{number}", dht=False, upload_limit=rate)
        async with tl.open_session(settings) as session:
            task_status.started(session)
            await trio.sleep_forever()

    async def _web_server(self, number: int, files: dict[str, bytes]) -> str:
        listener = await self._listen(number)
        place = f"{listener.address.host}:{listener.address.port}"

        async def listen(*_: object, **__: object) -> list[Any]:
            return [listener]

        host: Any = types.SimpleNamespace(addresses=[listener.address.host], listen=listen)
        server = SimulatedWebServer(host, files, name=place, trace=Trace())

        def noted(request: object, answer: Any) -> Any:
            self.counts[f"web requests answered {answer.status}"] += 1
            answer.rate = self._speed
            return answer

        server.fault = noted
        self._nursery.start_soon(server.run)
        return server.url

    async def _trackers(self, metainfo: tl.Metainfo, peers: list[Stranger]) -> list[str]:
        """Answers (HTTP and UDP are one), refuses the connection, fails, hangs (HTTP), hangs (UDP)."""
        swarms = [Swarms(rng=self._rng, trace=Trace()) for _ in range(3)]
        swarms[0].interval = 60
        swarms[1].failure = "not here"
        swarms[2].silent = True
        for peer in peers:
            swarms[0].announce(
                Announce(0.0, Address(*peer.place), peer.peer_id, metainfo.info.hashes.wire, "", 0, 0, 0, 0, "http")
            )
            swarms[0].announces.clear()
        urls = []
        for each, kind in zip(swarms, ("that answered", "that failed", "that hung"), strict=True):
            listener: Any = await self._listen(50)
            self._nursery.start_soon(self._count, f"announces {kind}", each, listener)
            urls.append(f"http://{listener.address.host}:{listener.address.port}/announce")
        (socket,) = await Loopback("127.0.0.51").open_datagrams("127.0.0.51", 0)
        self._nursery.start_soon(self._udp, UdpFace(swarms[0] if peers else swarms[2], self._rng), socket)
        return [
            urls[0],
            "http://127.0.0.52:1/announce",
            urls[1],
            urls[2],
            f"udp://127.0.0.51:{socket.address.port}/announce",
        ]

    async def _count(self, what: str, swarms: Swarms, listener: Any) -> None:
        round_ = self

        class Counting:
            address = listener.address

            async def accept(self) -> Any:
                stream = await listener.accept()
                round_.counts[what] += 1
                return stream

        with contextlib.closing(listener):
            await serve_http(swarms, Counting())  # type: ignore[arg-type]

    async def _udp(self, face: UdpFace, socket: Any) -> None:
        with contextlib.closing(socket):
            face.sockets = [socket]
            while True:
                for data, sender in await socket.receive():
                    self.counts["datagrams to trackers"] += 1
                    face.got_datagram(bytes(data), sender)

    # -- those who call ----------------------------------------------------------------------------------------------

    async def leech(self, names: list[str]) -> None:
        """Call the session, well and badly, and fetch what it has."""
        async with trio.open_nursery() as nursery:
            for hello in (b"", b"", b"\x13BitTorrent protocol", b"GET / HTTP/1.1\r\n\r\n", self._rng.randbytes(68)):
                self._nursery.start_soon(self._knock, hello)
            with trio.fail_after(120):
                async with tl.open_session(tl.Settings(host="127.0.0.60", dht=False)) as session:
                    for number, name in enumerate(names):
                        metainfo, data = self._made[name]
                        nursery.start_soon(self._leave, 61 + number, metainfo.info, data)
                        source = metainfo if number % 2 else metainfo.magnet
                        torrent = session.add(source, storage=tl.MemoryStorage, peers=[self._home])
                        await torrent.wait_complete()
                        async with torrent.open(0) as file:
                            assert await file.read() == data[: torrent.files()[0].size]
                        self.counts["torrents fetched from it"] += 1

    async def _knock(self, hello: bytes) -> None:
        with contextlib.suppress(NetworkError):
            stream = await Loopback("127.0.0.70").connect(Address(*self._home))
            self.counts["calls without a handshake"] += 1
            with contextlib.closing(stream):
                if hello:
                    await stream.send_vectored([hello])
                while await stream.receive_into(memoryview(bytearray(1000))):
                    pass

    async def _leave(self, number: int, info: tl.Info, data: bytes) -> None:
        """Asks for everything, takes a few blocks, and goes."""
        taken = 0

        async def react(talk: Talk, message: Any) -> bool:
            nonlocal taken
            if isinstance(message, wm.Bitfield | wm.HaveAll):
                await talk.say(wm.Interested())
            elif isinstance(message, wm.Unchoke):
                await talk.say(*(wm.Request(piece, 0, 16384) for piece in range(info.layout.piece_count - 1)))
            elif isinstance(message, wm.Piece):
                taken += 1
                if taken == 5:
                    self.counts["callers that left in the middle"] += 1
                    talk.stream.close()
            return True

        leecher = Stranger(machine(number), info, data, has=0, react=react)
        with contextlib.suppress(NetworkError), trio.move_on_after(20):
            talk = await leecher.dial(self._home)
            if await talk.greet(leecher.hello) is not None:
                await talk.say(wm.HaveNone())
                await talk.listen(lambda message: react(talk, message))  # type: ignore[arg-type]


async def _keep_node(number: int, first: list[tuple[str, int]], task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
    with trio.CancelScope() as scope:
        async with open_node(host=f"127.0.0.{number}", nodes=first, routers=()) as node:
            task_status.started((node, scope))
            await trio.sleep_forever()


async def main(seed: int, speed: int) -> None:
    """Serve whoever is at the other end of our standard input and output, until it is closed."""

    def say(answer: object) -> None:
        print(json.dumps(answer), flush=True)

    with tempfile.TemporaryDirectory(prefix="tl-passersby-") as name:
        async with trio.open_nursery() as nursery:
            nodes: list[tuple[Node, trio.CancelScope]] = []
            for number in range(NODES):
                first = [(nodes[0][0].addresses[0].host, nodes[0][0].addresses[0].port)] if nodes else []
                nodes.append(await nursery.start(_keep_node, 11 + number, first))
            say([list(node.addresses[0][:2]) for node, _ in nodes[:2]])
            rounds = trio.CancelScope()
            round_: Round | None = None
            number = 0
            lines = trio.wrap_file(sys.stdin)
            async for line in lines:
                order = json.loads(line)
                if "round" in order:
                    number = order["round"]
                    at = 2 + number % (NODES - 2)  # the first two are the session's way in
                    old, scope = nodes.pop(2)
                    scope.cancel()
                    first = [(node.addresses[0].host, node.addresses[0].port) for node, _ in nodes[:2]]
                    nodes.append(await nursery.start(_keep_node, 11 + at, first))
                    await nodes[-1][0].wait_joined()
                    folder = pathlib.Path(name, str(number))
                    folder.mkdir()
                    rounds = trio.CancelScope()
                    round_ = await nursery.start(_round, rounds, [node for node, _ in nodes], random.Random(f"{seed} {number}"), folder, order["port"], speed)  # fmt: skip
                    say(await round_.offers())
                elif "leech" in order and round_ is not None:
                    await round_.leech(order["leech"])
                    say(None)
                elif "end" in order and round_ is not None:
                    say(round_.counts)
                    rounds.cancel()
            nursery.cancel_scope.cancel()


async def _round(scope: trio.CancelScope, *words: Any, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
    with scope:
        async with trio.open_nursery() as nursery:
            task_status.started(Round(nursery, *words))
            await trio.sleep_forever()


if __name__ == "__main__":
    logging.getLogger("torrentlite").setLevel(logging.CRITICAL)
    trio.run(main, int(sys.argv[1]), int(sys.argv[2]))
