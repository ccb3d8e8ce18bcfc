"""Targets: whole sessions of a peer, a tracker, a web server and a DHT node, with somebody who says these bytes."""

from __future__ import annotations

import contextlib
import random
import struct
from collections.abc import Callable
from typing import Any

import trio
import trio.testing

from tests.dht.nodes import make_core, stranger
from tests.fuzz.peers import HELLO, SAID, WORDS
from tests.fuzz.services import DHT_WORDS, KRPC
from tests.fuzz.target import Target
from tests.net.memory import MemoryDatagrams, MemoryNetwork, Server, answer, redirect
from tests.strangers import Stranger, Talk, background, session_on, where
from tests.tracker.bad_replies import HTTP, HTTP_RAW, UDP
from torrentlite import limits
from torrentlite.dht.krpc import Query, parse
from torrentlite.errors import NetworkError, ProtocolError, SourceError, TrackerError
from torrentlite.net.http import HttpClient
from torrentlite.net.partial import Part
from torrentlite.net.ranged import RangedHttp
from torrentlite.net.udp import UdpPort
from torrentlite.net.url import parse_url
from torrentlite.testing import run_simulation
from torrentlite.testing.torrent import made_up_torrent
from torrentlite.tracker.announce import AnnounceRequest
from torrentlite.tracker.client import TrackerClient
from torrentlite.wire.address import Address, Scope

_METAINFO, _DATA = made_up_torrent(random.Random("fuzz"), (4 * 32768 + 20_000,), piece_length=32768)
REAL_HELLO = HELLO[:28] + _METAINFO.info.hashes.wire + HELLO[48:]
_CALLER = "8.8.4.4"


_MOST_PARTS = 2000
"""A part is a turn of the simulation on both sides, 70 µs: 20,000 of them would be slow whatever they say."""


def _parts(data: bytes) -> list[bytes]:
    """What comes at once; the first byte says how it is cut. What is left after so many parts comes in one."""
    step = {0: 1 << 20, 1: 1, 2: 7, 3: 1000}.get(data[0] % 8 if data else 0, 1 << 20)
    cut = min(len(data), 1 + step * (_MOST_PARTS - 1))
    parts = [data[at : at + step] for at in range(1, cut, step)]
    return [*parts, data[cut:]] if cut < len(data) else parts


async def _session(world: Any, data: bytes, situation: str) -> None:
    machine = world.host()
    async with background() as nursery, session_on(machine) as session:
        if situation == "seed":
            machine.put(_METAINFO.info, _DATA)
        torrent = session.add(_METAINFO.magnet if situation == "magnet" else _METAINFO)
        if situation != "magnet":
            await torrent.wait_checked()
        hostile = Stranger(world.host(), _METAINFO.info, _DATA, opening=lambda talk: b"")
        if situation == "dialled":
            (listener,) = await hostile.machine.network.listen("", 0, fallback=False)
            torrent.add_peer(hostile.machine.network.ip, listener.address.port)
            talk = Talk(await listener.accept(), _METAINFO.info)
            listener.close()
        else:
            talk = await hostile.dial(where(machine, session))
        if situation in ("leecher", "seed", "magnet"):
            await talk.say(REAL_HELLO)
        nursery.start_soon(_hear, talk)
        for part in _parts(data):
            await talk.say(part)
            await trio.sleep(0.01)
        await trio.sleep(2)
        assert session.stats().peers <= 1
        assert torrent.error is None, torrent.error
        assert torrent.stats().hash_failures == 0 or situation != "seed"
        # Whatever was said: the next one is served as if nothing had been.
        if data and data[0] & 0x80:
            honest = await Stranger(world.host(), _METAINFO.info, _DATA).serve(nursery)
            torrent.add_peer(*honest.place)
            with trio.fail_after(900):
                await torrent.wait_complete()
            assert machine.disk.storage(_METAINFO.info).content() == _DATA


async def _hear(talk: Talk) -> None:
    """Read what comes and make nothing of it."""
    buffer = memoryview(bytearray(65536))
    try:
        while await talk.stream.receive_into(buffer):
            pass
    except NetworkError:
        pass


def _peer(situation: str) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        run_simulation(_session, data, situation, seed=1, time_limit=3600)

    return run


def _run(async_fn: Callable[[bytes], Any]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        async def main() -> None:
            with trio.fail_after(3600):
                await async_fn(data)

        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))

    return run


# -- HTTP and trackers -------------------------------------------------------------------------------------------------


async def _fetch(data: bytes) -> None:
    async with background() as nursery:
        network = MemoryNetwork(nursery)
        network.names = {"t.example": ["9.9.9.9"], "local.example": ["127.0.0.1"], "other.example": ["8.8.8.8"]}
        network.serve("9.9.9.9", 80, Server(*_parts(data)))
        for host in ("127.0.0.1", "8.8.8.8"):
            network.serve(host, 80, Server(answer(b"reached")))
        client = HttpClient(network, user_agent="fuzz")
        try:
            reply = await client.get("http://t.example/", max_bytes=2000, within=Scope.PUBLIC)
            assert len(reply.body) <= 2000
        finally:
            await client.aclose()
            assert all(address.scope is Scope.PUBLIC for address in network.connects)
            assert len(network.connects) <= limits.MAX_REDIRECTS + 1


async def _ranged(data: bytes) -> None:
    """Two ranges of a file, one after the other, from a server that says these bytes to each request."""
    async with background() as nursery:
        network = MemoryNetwork(nursery)
        network.names = {"w.example": ["9.9.9.9"], "local.example": ["127.0.0.1"], "other.example": ["8.8.8.8"]}
        network.serve("9.9.9.9", 80, Server(*_parts(data)))
        for host in ("127.0.0.1", "8.8.8.8"):
            network.serve(host, 80, Server(answer(b"reached")))
        client = RangedHttp(network, user_agent="fuzz")
        buffer = memoryview(bytearray(1000))
        try:
            for asked in (Part(100, 200), Part(0, 5000)):
                part = await client.get(_WEB, asked, 5000, within=Scope.PUBLIC)
                assert part == Part(0, 5000) or (part.offset == asked.offset and part.length <= asked.length)
                got = 0
                while count := await client.receive_into(buffer):
                    got += count
                assert got == part.length
        finally:
            client.close()
            assert all(address.scope is Scope.PUBLIC for address in network.connects)
            assert len(network.connects) <= 2 * (limits.MAX_REDIRECTS + 2)


async def _web_seed(world: Any, data: bytes) -> None:
    """A session, a web server that says these bytes to everybody, and an honest one."""
    hostile, machine = world.host(), world.host()
    (listener,) = await hostile.network.listen("", 80, fallback=False)
    honest = world.web_server({"/file": _DATA}, up=200_000)

    async def say(stream: Any) -> None:
        with contextlib.closing(stream), contextlib.suppress(NetworkError):
            for part in _parts(data):
                await stream.send_vectored([part])
                await trio.sleep(0.01)
            await stream.receive_into(memoryview(bytearray(1000)))

    async with background() as nursery, session_on(machine) as session:

        async def serve() -> None:
            with contextlib.closing(listener):
                while True:
                    nursery.start_soon(say, await listener.accept())

        nursery.start_soon(serve)
        urls = [f"http://{hostile.network.ip}/file", f"{honest.url}file"]
        torrent = session.add(_METAINFO, web_seeds=urls)
        with trio.fail_after(900):
            await torrent.wait_complete()
        assert machine.disk.storage(_METAINFO.info).content() == _DATA
        assert torrent.web_seeds()[1].state != "dropped"


_WEB = parse_url("http://w.example/file")
_REQUEST = AnnounceRequest(info_hash=b"h" * 20, peer_id=b"p" * 20, port=6881, event="started")


async def _http_tracker(data: bytes) -> None:
    async with background() as nursery:
        network = MemoryNetwork(nursery)
        network.names = {"t.example": ["9.9.9.9"]}
        network.serve("9.9.9.9", 80, Server(*_parts(data)))
        client = HttpClient(network, user_agent="fuzz")
        try:
            reply = await TrackerClient(network, client, None).announce("http://t.example/announce", _REQUEST)
            assert len(reply.peers) <= limits.MAX_TRACKER_PEERS
        finally:
            await client.aclose()


async def _udp_tracker(data: bytes) -> None:
    """Datagrams with two bytes of length before each; a bit of it says whether the transaction id is put right."""
    datagrams = []
    at = 0
    while at + 2 <= len(data):
        size = int.from_bytes(data[at : at + 2], "big")
        datagrams.append((data[at] & 0x80, data[at + 2 : at + 2 + size % 0x2000]))
        at += 2 + size % 0x2000

    def server(asked: bytes, to: Address) -> list[tuple[bytes, Address]]:
        if not datagrams:
            return []
        as_is, reply = datagrams.pop(0)
        return [(reply if as_is else reply[:4] + asked[12:16] + reply[8:], to)]

    async with background() as nursery:
        port = UdpPort([MemoryDatagrams(server)])
        await nursery.start(port.run)
        network = MemoryNetwork(nursery)
        network.names = {"t.example": ["9.9.9.9"]}
        client = TrackerClient(network, HttpClient(network, user_agent="fuzz"), port)
        reply = await client.announce("udp://t.example:6969/announce", _REQUEST)
        assert len(reply.peers) <= limits.MAX_TRACKER_PEERS
        await client.scrape("udp://t.example:6969/announce", [b"h" * 20, b"i" * 20])


def _datagrams(*datagrams: bytes) -> bytes:
    return b"".join(len(datagram).to_bytes(2, "big") + datagram for datagram in datagrams)


_CONNECT = struct.pack(">IIQ", 0, 0, 99)
_UDP = [_datagrams(_CONNECT, struct.pack(">II", action, 0) + rest[:4000]) for action, rest, _ in UDP.values()]
_UDP += [
    _datagrams(_CONNECT, struct.pack(">IIIII", 1, 0, 60, 1, 2), struct.pack(">IIIII", 2, 0, 1, 2, 3)),
    _datagrams(b"abc", _CONNECT),
]
_HTTP = [b"\0" + answer(body) for body, _ in HTTP.values() if len(body) < 3000]
_HTTP += [b"\1" + raw for raw, _ in HTTP_RAW.values() if len(raw) < 3000]
_FETCH = [
    b"\0" + answer(), b"\2" + redirect("http://local.example/"), b"\0" + redirect("http://other.example/"), b"\0" + redirect("/"),
    b"\0" + redirect("http://127.0.0.1/"), b"\0" + redirect("http://[::1]/x"), b"\0" + redirect("file:///etc/passwd"),
    b"\3HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nto the\r\n4\r\n end\r\n0\r\n\r\n", *_HTTP[:10],
]  # fmt: skip
_HEAD = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes %d-%d/%d\r\nContent-Length: %d\r\n\r\n"
_RANGED = [
    b"\0" + _HEAD % (100, 299, 5000, 200) + bytes(200), b"\2" + _HEAD % (100, 299, 5000, 100) + bytes(100),
    b"\0HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + bytes(5000), b"\0HTTP/1.0 200 OK\r\n\r\n" + bytes(5000),
    b"\3HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n" + bytes(5000) + b"\r\n0\r\n\r\n", *_FETCH,
    b"\0HTTP/1.1 416 No\r\nContent-Range: bytes */7\r\n\r\n", b"\0HTTP/1.1 503 Busy\r\nRetry-After: 3\r\n\r\n",
]  # fmt: skip
_SIZE = len(_DATA)
_SERVED = [
    b"\0" + _HEAD % (0, 98303, _SIZE, 98304) + _DATA[:98304], b"\0" + _HEAD % (0, 98303, _SIZE, 98304) + bytes(98304),
    b"\3HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % _SIZE + _DATA, b"\0HTTP/1.1 404 No\r\n\r\n",
]  # fmt: skip
_RANGED_WORDS = [
    b"HTTP/1.1 206 ",
    b"Content-Range: bytes ",
    b"0-98303/",
    b"100-299/5000",
    b"*/",
    b"Retry-After: ",
    b"Content-Encoding: ",
]
_HTTP_WORDS = [b"\r\n", b"\r\n\r\n", b"Content-Length: ", b"Transfer-Encoding: chunked\r\n", b"Content-Encoding: gzip\r\n", b"HTTP/1.1 302 x\r\nLocation: ",
               b"http://local.example/", b"http://127.0.0.1/", b"0\r\n\r\n", b"ffffffffffffffff\r\n", b"HTTP/1.0 ", b"HTTP/1.1 100 Continue\r\n\r\n"]  # fmt: skip


# -- DHT ---------------------------------------------------------------------------------------------------------------


def _dht(data: bytes) -> None:
    """A node with a few neighbours, a search under way, and datagrams from them, from strangers and from itself.

    Each datagram has three bytes before it: who sends it, and its length. ``tttt`` in it becomes the transaction id of
    the last query to the one who sends it.
    """
    core = make_core((False, True))
    neighbours = [stranger(index) for index in range(12)]
    for contact in neighbours:
        core.sides[False].table.answered(contact, 0.0)
    found: list[Any] = []
    core.search(b"t" * 20, b"get_peers", {b"info_hash": b"t" * 20}, 0.0, found=lambda *what: found.append(what))
    senders = [contact.address for contact in neighbours] + [
        Address("7.7.7.7", 9),
        Address("127.0.0.1", 1),
        Address("2001:db8::1", 6),
        Address("224.0.0.1", 7),
        Address("9.9.9.9", 0),
    ]
    asked: dict[Address, bytes] = {}
    now, at, sent, heard = 0.0, 0, 0, 0
    while at + 3 <= len(data):
        for datagram, to in core.outgoing():
            assert to.scope is not Scope.FORBIDDEN
            sent += len(datagram)
            message = parse(datagram)
            if isinstance(message, Query):
                asked[to] = message.transaction
        who, size = data[at], int.from_bytes(data[at + 1 : at + 3], "big") % 0x1800
        datagram = data[at + 3 : at + 3 + size]
        at += 3 + size
        sender = senders[who % len(senders)]
        core.got_datagram(datagram.replace(b"tttt", asked.get(sender, b"tttt")), sender, now)
        heard += 1
        now += (who >> 5) * 1.7
        core.tick(now)
    for datagram, to in core.outgoing():
        sent += len(datagram)
        assert to.scope is not Scope.FORBIDDEN
    for _ in range(100):
        now = max(now + 0.5, core.next_wake())
        core.tick(now)
        for datagram, to in core.outgoing():
            assert to.scope is not Scope.FORBIDDEN
            assert len(datagram) <= 2000
    core.stats()
    assert core.pending <= limits.DHT_MAX_PENDING
    for side in core.sides.values():
        assert len(list(side.table)) <= len(neighbours) + heard


def _from(who: int, *datagrams: bytes) -> bytes:
    return b"".join(bytes([who]) + len(datagram).to_bytes(2, "big") + datagram for datagram in datagrams)


_PEER_SEEDS = [bytes([first]) + said for said in SAID for first in (0x80,)]
_ERRORS = (NetworkError, ProtocolError)

TARGETS = [
    Target("session.leecher", _peer("leecher"), _PEER_SEEDS, (), 20_000, WORDS),
    Target("session.seed", _peer("seed"), _PEER_SEEDS, (), 20_000, WORDS),
    Target("session.magnet", _peer("magnet"), _PEER_SEEDS, (), 20_000, WORDS),
    Target("session.called", _peer("called"), [b"\0" + REAL_HELLO + said for said in SAID[::5]] + [b"\1" + REAL_HELLO, b"\0GET / HTTP/1.1\r\n\r\n"], (), 20_000, WORDS),
    Target("session.dialled", _peer("dialled"), [b"\0" + REAL_HELLO + said for said in SAID[::5]] + [b"\1" + REAL_HELLO, b"\0" + HELLO], (), 20_000, WORDS),
    Target("session.http", _run(_fetch), _FETCH, (NetworkError, SourceError), 6000, _HTTP_WORDS),
    Target("session.ranged", _run(_ranged), _RANGED, (NetworkError, SourceError), 12_000, _HTTP_WORDS + _RANGED_WORDS),
    Target("session.web-seed", lambda data: run_simulation(_web_seed, data, seed=1, time_limit=3600), _SERVED, (), 170_000, _HTTP_WORDS + _RANGED_WORDS),
    Target("session.http-tracker", _run(_http_tracker), _HTTP, (NetworkError, TrackerError), 6000, _HTTP_WORDS),
    Target("session.udp-tracker", _run(_udp_tracker), _UDP, (NetworkError, TrackerError), 6000),
    Target("session.dht", _dht, [_from(index, message) for index, message in enumerate(KRPC)] + [_from(0, *KRPC), b"".join(_from(n, KRPC[7]) for n in range(12))], (), 8000, DHT_WORDS),
]  # fmt: skip
