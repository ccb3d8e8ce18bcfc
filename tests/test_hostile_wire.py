"""Everything that no peer may send, sent to a living session that writes real files.

Whoever sends it is dropped, or it is as if it had not been said; another transfer completes meanwhile, nothing is
written outside of the save folder, and no error of ours comes of it.
"""

from __future__ import annotations

import dataclasses
import os
import struct
from collections.abc import Callable
from typing import NamedTuple

import pytest
import trio

import torrentlite as tl
from tests.strangers import Stranger, Talk, background, session_on, simulated, until, where
from torrentlite.bencode import encode
from torrentlite.limits import (
    HANDSHAKE_TIMEOUT,
    MAX_EXTENSION,
    MAX_MESSAGE,
    MAX_PEX_ENTRIES,
    MAX_PIECES,
    MAX_UNWANTED_BLOCKS,
)
from torrentlite.metainfo.layout import BLOCK_SIZE
from torrentlite.wire import messages as wm
from torrentlite.wire.extensions import UPLOAD_ONLY, UT_METADATA, UT_PEX
from torrentlite.wire.handshake import Handshake
from torrentlite.wire.mse import KEY_SIZE, MAX_PADDING

PIECE = 32 << 10
COUNT = 5  # pieces; the last one is short
SIZE = 4 * PIECE + 20_000
DROPPED, IGNORED = "dropped", "ignored"


def framed(kind: int, body: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack(">IB", 1 + len(body) if length is None else length, kind) + body


def numbers(kind: int, *values: int) -> bytes:
    return framed(kind, struct.pack(f">{len(values)}I", *values))


def extended(number: int, said: object, after: bytes = b"") -> bytes:
    return framed(20, bytes([number]) + (said if isinstance(said, bytes) else encode(said)) + after)


def block(piece: int, begin: int, size: int) -> bytes:
    return wm.piece_header(piece, begin, size) + bytes(size)


BITFIELD, HAVE_ALL, HAVE_NONE = framed(5, b"\x80"), framed(14), framed(15)


class Row(NamedTuple):
    """What is said after the handshakes (which here say nothing of pieces), and what comes of it."""

    name: str
    said: bytes | Callable[[], bytes]
    outcome: str


ROWS = [
    Row("length 0xffffffff", b"\xff\xff\xff\xff", DROPPED),
    Row("length above any message", struct.pack(">I", MAX_MESSAGE + 1), DROPPED),
    Row("length 2^31 of an extension", struct.pack(">IB", 1 << 31, 20), DROPPED),
    Row("a second handshake", Handshake(bytes(20), bytes(20)).encode(), DROPPED),
    Row("thousands of keep-alives", bytes(40_000), IGNORED),
    Row("choke with a body", framed(0, b"1234"), DROPPED),
    Row("unchoke nobody asked for", framed(1), IGNORED),
    Row("interest to and fro", (framed(2) + framed(3)) * 5000, IGNORED),
    Row("have without a number", framed(4), DROPPED),
    Row("have behind the end", numbers(4, COUNT), DROPPED),
    Row("have 0xffffffff", numbers(4, 0xFFFFFFFF), DROPPED),
    Row("have of too many pieces", numbers(4, MAX_PIECES), DROPPED),
    Row("the same have again and again", numbers(4, 1) * 5000, IGNORED),
    Row("hashes asked for, and there are none", framed(21, bytes(48)) * 500, IGNORED),
    Row("hashes that nobody asked for", framed(22, bytes(43) + b"\2" + bytes(4 + 64)) * 500, IGNORED),
    Row("hashes that nobody asked for refused", framed(23, bytes(48)) * 500, IGNORED),
    Row("hashes that are fewer than they say", framed(22, b"\xff" * 48 + bytes(64)), DROPPED),
    Row("hashes of 200 KB", struct.pack(">IB", 200_000, 22), DROPPED),
    Row("bitfield of no bytes", framed(5), DROPPED),
    Row("bitfield too long", framed(5, b"\x00\x00"), DROPPED),
    Row("bitfield with spare bits", framed(5, b"\xff"), DROPPED),
    Row("bitfield a thousand times", BITFIELD * 1000, IGNORED),
    Row("bitfield after have", numbers(4, 0) + BITFIELD, IGNORED),
    Row("bitfields of something and nothing by turns", (BITFIELD + framed(5, b"\x00")) * 500, IGNORED),
    Row("have none twice", HAVE_NONE * 2, DROPPED),
    Row("have all with a body", framed(14, b"\x00"), DROPPED),
    Row("bitfield that never comes whole", framed(5, b"", 2), IGNORED),
    Row("request of no such piece", numbers(6, COUNT, 0, BLOCK_SIZE), DROPPED),
    Row("request of piece 2^32-1", numbers(6, 0xFFFFFFFF, 0, BLOCK_SIZE), DROPPED),
    Row("request of nothing", numbers(6, 0, 0, 0), DROPPED),
    Row("request of 2^31 bytes", numbers(6, 0, 0, 1 << 31), DROPPED),
    Row("request of 2^32-1 bytes", numbers(6, 0, 0, 0xFFFFFFFF), DROPPED),
    Row("request behind the piece", numbers(6, 0, PIECE, BLOCK_SIZE), DROPPED),
    Row("request across its end", numbers(6, 0, PIECE - 1, 2), DROPPED),
    Row("request across the end of the last", numbers(6, COUNT - 1, 16384, 16384), DROPPED),
    Row("request from 2^32-1 on", numbers(6, 0, 0xFFFFFFFF, 1), DROPPED),
    Row("request cut short", framed(6, bytes(11)), DROPPED),
    Row("requests while choked", numbers(6, 0, 0, BLOCK_SIZE) * 3000, IGNORED),
    Row("block of no such piece", block(COUNT, 0, BLOCK_SIZE), DROPPED),
    Row("block outside of its piece", block(0, PIECE + 5, BLOCK_SIZE), IGNORED),
    Row("block at 2^32-1", block(0, 0xFFFFFFFF, 5), IGNORED),
    Row("block that nobody asked for", block(0, 0, BLOCK_SIZE), IGNORED),
    Row("block across the end of the torrent", block(COUNT - 1, 16384, BLOCK_SIZE), IGNORED),
    Row("block of no bytes", framed(7, bytes(8)), DROPPED),
    Row("block too large", block(0, 0, BLOCK_SIZE + 1), DROPPED),
    Row("blocks without end", lambda: block(1, 0, 100) * (MAX_UNWANTED_BLOCKS + 1), DROPPED),
    Row("cancel of no such piece", numbers(8, COUNT, 0, BLOCK_SIZE), DROPPED),
    Row("cancel of nothing requested", numbers(8, 0, 7, 9) * 1000, IGNORED),
    Row("port 0", framed(9, b"\x00\x00"), IGNORED),
    Row("port of three bytes", framed(9, b"\x00\x00\x00"), DROPPED),
    Row("suggest of no such piece", numbers(13, COUNT), DROPPED),
    Row("allowed fast 2^32-1", numbers(17, 0xFFFFFFFF), DROPPED),
    Row("reject of nothing requested", numbers(16, 0, 0, BLOCK_SIZE) * 1000, IGNORED),
    Row("reject of no such piece", numbers(16, COUNT, 0, BLOCK_SIZE), DROPPED),
    Row("a message of no known kind", framed(99, b"whatever") * 100, IGNORED),
    Row("a large one of no known kind", framed(99, bytes(MAX_EXTENSION + 1)), DROPPED),
    Row("extended of no known number", extended(200, b"x") * 100, IGNORED),
    Row("extended without a number", framed(20), DROPPED),
    Row("extension handshake of garbage", extended(0, b"\xff\xfe"), DROPPED),
    Row("extension handshake cut short", extended(0, b"d1:md"), DROPPED),
    Row("extension handshake that is a list", extended(0, []), DROPPED),
    Row("extension handshake 10,000 deep", extended(0, b"l" * 5000 + b"e" * 5000), DROPPED),
    Row("extension handshake too large", extended(0, {"v": "x" * 20_000}), DROPPED),
    Row("fifty extension handshakes", extended(0, {"p": 7}) * 50, IGNORED),
    Row(
        "extension handshake of nonsense",
        extended(
            0,
            {
                "m": {"ut_metadata": -1, "ut_pex": "x", "y": 999},
                "v": b"\xff\x1b[2J\x00",
                "reqq": -1,
                "p": 0,
                "yourip": b"123",
                "metadata_size": 1 << 40,
                "upload_only": [],
                "ipv6": 5,
            },
        ),
        IGNORED,
    ),
    Row(
        "metadata of 2^40 bytes, then of 5",
        extended(0, {"metadata_size": 1 << 40}) + extended(0, {"metadata_size": 5}),
        IGNORED,
    ),
    Row("metadata message of garbage", extended(UT_METADATA, b"zzz"), DROPPED),
    Row("metadata message without a type", extended(UT_METADATA, {"piece": 0}), DROPPED),
    Row("metadata message of a new type", extended(UT_METADATA, {"msg_type": 77, "piece": 0}), IGNORED),
    Row("metadata request of piece -1", extended(UT_METADATA, {"msg_type": 0, "piece": -1}), DROPPED),
    Row("metadata request of piece 2^40", extended(UT_METADATA, {"msg_type": 0, "piece": 1 << 40}), DROPPED),
    Row("metadata request behind the end", extended(UT_METADATA, {"msg_type": 0, "piece": 1000}), IGNORED),
    Row(
        "metadata that nobody asked for",
        extended(UT_METADATA, {"msg_type": 1, "piece": 0, "total_size": 10}, bytes(10)),
        IGNORED,
    ),
    Row(
        "metadata of another size",
        extended(UT_METADATA, {"msg_type": 1, "piece": 0, "total_size": 10}, bytes(11)),
        DROPPED,
    ),
    Row("metadata refused unasked", extended(UT_METADATA, {"msg_type": 2, "piece": 0}), IGNORED),
    Row("peer exchange of garbage", extended(UT_PEX, b"\x00"), DROPPED),
    Row(
        "peer exchange of odd lengths",
        extended(UT_PEX, {"added": b"12345", "added6": b"6" * 19, "added.f": 5}),
        IGNORED,
    ),
    Row(
        "peer exchange of ten thousand",
        extended(UT_PEX, {"added": b"".join(bytes([11, 99, n >> 8, n & 255, 1, 1]) for n in range(10_000))}),
        IGNORED,
    ),
    Row(
        "peer exchange of what is inside",
        extended(UT_PEX, {"added": b"\x7f\0\0\1\0\x50\x0a\0\0\1\0\x50\xa9\xfe\xa9\xfe\0\x50\xe0\0\0\1\0\x50"}),
        IGNORED,
    ),
    Row("upload only of two bytes", extended(UPLOAD_ONLY, b"11"), IGNORED),
]


def tree(folder):
    return {os.path.relpath(os.path.join(root, name), folder) for root, _, names in os.walk(folder) for name in names}


class Attacked:
    """A session with two torrents: one under attack, and one that is being fetched from an honest peer meanwhile."""

    def __init__(self, world, folder, nursery):
        self.world = world
        self.folder = folder
        self.nursery = nursery
        self.target, self.data = world.torrent(SIZE, name="target", piece_length=PIECE)
        self.other, self.more = world.torrent(60_000, name="other", piece_length=16 << 10)
        self.machine = dataclasses.replace(world.host(), storage=None)
        self.outside = {"elsewhere.txt"}
        (folder / "elsewhere.txt").write_text("not yours")
        (folder / "save").mkdir()

    async def begin(self, session, situation):
        self.session = session
        save = self.folder / "save"
        if situation == "seeding":
            (save / "target").write_bytes(self.data)
        source = self.target.magnet if situation == "metadata" else self.target
        self.torrent = session.add(source, save)
        if situation != "metadata":
            await self.torrent.wait_checked()
        honest = await Stranger(self.world.host(up=200_000), self.other.info, self.more).serve(self.nursery)
        self.transfer = session.add(self.other, save, peers=[honest.place])

    async def end(self):
        """Everything else completes, and everything is where it belongs."""
        with trio.fail_after(60):
            await self.transfer.wait_complete()
            if self.torrent.state is not tl.State.SEEDING:
                honest = await Stranger(self.world.host(), self.target.info, self.data).serve(self.nursery)
                self.torrent.add_peer(*honest.place)
                await self.torrent.wait_complete()
        assert self.torrent.stats().hash_failures == 0
        assert (self.folder / "save" / "target").read_bytes() == self.data
        assert (self.folder / "save" / "other").read_bytes() == self.more
        assert tree(self.folder) == {"elsewhere.txt", "save/target", "save/other"}
        assert (self.folder / "elsewhere.txt").read_text() == "not yours"
        forbidden = {f"{host}:80" for host in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "224.0.0.1")}
        assert not forbidden & {str(known.address) for known in self.torrent._life.swarm.peerlist}
        assert len(self.torrent._life.swarm.peerlist) <= MAX_PEX_ENTRIES + len(ROWS) + 2


@pytest.mark.parametrize("situation", ["downloading", "seeding", "metadata"])
@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
@simulated()
async def test_after_the_handshake(world, tmp_path, row, situation):
    async with background() as nursery:
        attacked = Attacked(world, tmp_path, nursery)
        async with session_on(attacked.machine) as session:
            await attacked.begin(session, situation)
            said = row.said() if callable(row.said) else row.said
            hostile = Stranger(world.host(), attacked.target.info, opening=lambda talk: said, unchokes=False)
            talk = await hostile.call(nursery, where(attacked.machine, session))
            assert talk is not None
            await trio.sleep(3)
            if situation != "metadata":  # before the metadata some of it may still be right
                assert talk.ended is (row.outcome is DROPPED), row
            await attacked.end()


async def cut_off(talk: Talk, hello: bytes) -> None:
    await talk.say(hello[:30])
    talk.stream.send_eof()


async def drip(talk: Talk, hello: bytes) -> None:
    for byte in hello:
        await talk.say(bytes([byte]))
        await trio.sleep(0.01)


async def reset_within(talk: Talk, hello: bytes) -> None:
    await talk.say(hello + framed(7, bytes(5), 1000))
    await trio.sleep(0.1)
    talk.stream.reset()


async def end_within(talk: Talk, hello: bytes) -> None:
    await talk.say(hello + framed(7, bytes(5), 1000))
    talk.stream.send_eof()


A_KEY = "might be a key"
"""Of an encrypted handshake that they begin, which looks like anything."""
HELLOS = {
    "http": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", A_KEY),
    "tls": (bytes.fromhex("16030100c8010000c40303") + bytes(100), A_KEY),
    "zeros": (bytes(68), A_KEY),
    "zeros for a key": (bytes(96), DROPPED),
    "no end of the padding": (b"\1" * (KEY_SIZE + MAX_PADDING + 20), DROPPED),
    "one byte": (b"\x13", "in time"),
    "another protocol": (lambda hello: hello[:19] + b"x" + hello[20:], A_KEY),
    "a length of 255": (lambda hello: b"\xff" + hello[1:], A_KEY),
    "another torrent": (lambda hello: hello[:28] + bytes(20) + hello[48:], DROPPED),
    "every reserved bit": (lambda hello: hello[:20] + b"\xff" * 8 + hello[28:], IGNORED),
    "a peer id of control characters": (lambda hello: hello[:48] + b"\x1b[2J\x00\xff" + bytes(14), IGNORED),
    "half, then the end": (cut_off, DROPPED),
    "half, then silence": (lambda hello: hello[:50], "in time"),
    "byte by byte": (drip, IGNORED),
    "a reset within a message": (reset_within, DROPPED),
    "the end within a message": (end_within, DROPPED),
    "a megabyte of noise": (b"\x13BitTorrent protocol" + bytes(range(256)) * 4096, DROPPED),
}


@pytest.mark.parametrize("who_calls", ["they", "we"])
@pytest.mark.parametrize("name", HELLOS)
@simulated()
async def test_handshakes(world, tmp_path, name, who_calls):
    words, outcome = HELLOS[name]
    async with background() as nursery:
        attacked = Attacked(world, tmp_path, nursery)
        async with session_on(attacked.machine) as session:
            await attacked.begin(session, "downloading")
            hostile = Stranger(world.host(), attacked.target.info, has=0)
            if who_calls == "they":
                talk = await hostile.dial(where(attacked.machine, session))
            else:
                (listener,) = await hostile.machine.network.listen("", 0, fallback=False)
                attacked.torrent.add_peer(hostile.machine.network.ip, listener.address.port)
                talk = Talk(await listener.accept(), attacked.target.info)
                listener.close()

            async def speak():
                hello = hostile.hello.encode()
                if callable(words) and words.__name__ != "<lambda>":
                    await words(talk, hello)
                else:
                    await talk.say(words(hello) if callable(words) else words)

            async def hear():
                buffer = memoryview(bytearray(65536))
                try:
                    while await talk.stream.receive_into(buffer):
                        pass
                except tl.NetworkError:
                    pass
                talk.ended = True

            nursery.start_soon(hear)
            nursery.start_soon(speak)
            await trio.sleep(2)
            if outcome == "in time" or (outcome is A_KEY and who_calls == "they"):
                assert not talk.ended
                await until(lambda: talk.ended, HANDSHAKE_TIMEOUT)
            else:
                assert talk.ended is (outcome in (DROPPED, A_KEY))
            await attacked.end()


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("kind", range(13, 21))
@simulated()
async def test_extensions_that_were_not_agreed_on(world, tmp_path, kind, fast):
    """Message kinds of BEP 6 and BEP 10 from somebody whose handshake did not offer them."""
    async with background() as nursery:
        attacked = Attacked(world, tmp_path, nursery)
        async with session_on(attacked.machine) as session:
            await attacked.begin(session, "downloading")
            said = {13: numbers(13, 0), 14: HAVE_ALL, 15: HAVE_NONE, 16: numbers(16, 0, 0, 1), 17: numbers(17, 0),
                    20: extended(0, {})}.get(kind, framed(kind))  # fmt: skip
            offered = fast and kind < 20
            hostile = Stranger(
                world.host(), attacked.target.info, fast=fast, extended=False, unchokes=False, opening=lambda _: said
            )
            talk = await hostile.call(nursery, where(attacked.machine, session))
            await trio.sleep(2)
            assert talk.ended is not (offered or kind in (18, 19))
            await attacked.end()


@simulated()
async def test_all_of_them_at_once(world, tmp_path):
    """The whole table in one swarm, again and again, while one honest peer serves."""
    async with background() as nursery:
        attacked = Attacked(world, tmp_path, nursery)
        async with session_on(attacked.machine) as session:
            await attacked.begin(session, "downloading")
            for row in ROWS:
                said = row.said() if callable(row.said) else row.said
                hostile = Stranger(world.host(), attacked.target.info, opening=lambda talk, said=said: said)
                await hostile.serve(nursery)
                attacked.torrent.add_peer(*hostile.place)
            await trio.sleep(5)
            assert world.trace.counts["connected"] > len(ROWS)
            await attacked.end()
