"""Hashes of BEP 52 from libtorrent: what it answers, refuses, and how it asks."""

from __future__ import annotations

import contextlib
import os
import pathlib
import warnings
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio

from tests.interop.clients import DEADLINE, Libtorrent, missing
from tests.scripted import read_exactly
from torrentlite import bencode
from torrentlite.limits import METADATA_PIECE
from torrentlite.metainfo import merkle
from torrentlite.metainfo.layout import BLOCK_SIZE
from torrentlite.metainfo.merkle import DIGEST
from torrentlite.metainfo.metainfo import Metainfo
from torrentlite.swarm.hashes import HashExchange
from torrentlite.swarm.hashserving import HashServer
from torrentlite.wire import messages as wm
from torrentlite.wire.extensions import OUR_IDS
from torrentlite.wire.handshake import HANDSHAKE_SIZE, Handshake
from torrentlite.wire.peerwire import PeerWire

pytestmark = pytest.mark.interop


def v2_torrent(root: pathlib.Path, piece_length: int) -> Metainfo:
    """A .torrent of v2 alone for what is there, made by libtorrent."""
    try:
        import libtorrent as lt
    except ImportError:
        missing("libtorrent")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        files = lt.file_storage()
        lt.add_files(files, str(root))
        made: Any = lt.create_torrent(files, piece_length, lt.create_torrent.v2_only)
        lt.set_piece_hashes(made, str(root.parent))
    metainfo = Metainfo.from_bytes(bencode.encode(made.generate()))
    (root.parent / "made.torrent").write_bytes(metainfo.encode())
    return metainfo


def write_files(folder: pathlib.Path, pieces: list[int], piece_length: int) -> None:
    """Files of so many pieces, nearly all of them holes."""
    folder.mkdir()
    for count in pieces:
        with (folder / f"{count:05}").open("wb") as file:
            file.truncate((count - 1) * piece_length + 1000)
            for at in range(0, count, 50):
                file.seek(at * piece_length)
                file.write(b"%d of %d" % (at, count))


class HungUpError(Exception):
    """Libtorrent has closed the connection."""


class Talk:
    """A connection to a libtorrent, or from it, after the handshakes."""

    def __init__(self, stream: trio.SocketStream, piece_count: int | None) -> None:
        self.stream = stream
        self.wire = PeerWire(fast=True, extended=True, piece_count=piece_count)

    async def say(self, *messages: wm.PlainMessage) -> None:
        await self.stream.send_all(b"".join(map(wm.encode, messages)))

    async def hear(self) -> list[wm.Message]:
        """Some messages."""
        room = self.wire.free()
        part = await self.stream.receive_some(min(len(room), 65536))
        if not part:
            raise HungUpError
        room[: len(part)] = part
        return self.wire.received(len(part))

    async def answers(self, *requests: wm.HashRequest) -> list[wm.Hashes | wm.HashReject]:
        await self.say(*requests)
        found: list[wm.Hashes | wm.HashReject] = []
        while len(found) < len(requests):
            found += [m for m in await self.hear() if isinstance(m, wm.Hashes | wm.HashReject)]
        return found


def reject(request: wm.HashRequest) -> wm.HashReject:
    return wm.HashReject(request.root, request.base, request.index, request.length, request.proofs)


def hello(metainfo: Metainfo) -> Handshake:
    return Handshake(metainfo.info.hashes.wire, b"-XX0001-" + os.urandom(12), fast=True, extended=True, v2=True)


@contextlib.asynccontextmanager
async def called(metainfo: Metainfo, port: int) -> AsyncIterator[Talk]:
    with trio.fail_after(DEADLINE):
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(hello(metainfo).encode())
            theirs = Handshake.parse(await read_exactly(stream, HANDSHAKE_SIZE))
            assert theirs.info_hash == metainfo.info.hashes.wire
            yield Talk(stream, metainfo.info.layout.piece_count)


def layers_of(metainfo: Metainfo) -> dict[bytes, bytes]:
    layers = {root: metainfo.info.layer(root) for root in metainfo.info.layers_needed}
    return {root: layer for root, layer in layers.items() if layer is not None}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("seed")


@pytest.fixture(scope="module", params=[16_384, 65_536])
def seed(request, folder):
    """A libtorrent that seeds files of 1 to 1500 pieces, their metainfo, and its port."""
    length = request.param
    folder = folder / str(length)
    folder.mkdir()
    write_files(folder / "top", [1, 2, 3, 5, 600, 513, 1500], length)
    metainfo = v2_torrent(folder / "top", length)
    with Libtorrent() as theirs:
        theirs.add(folder / "made.torrent", folder)
        yield metainfo, theirs.port


async def test_it_gives_all_layers(seed):
    metainfo, port = seed
    info = metainfo.info
    needed = {root: len(layer) // DIGEST for root, layer in layers_of(metainfo).items()}
    assert sorted(needed.values()) == [2, 3, 5, 513, 600, 1500]
    exchange = HashExchange(needed, merkle.height(info.piece_length // BLOCK_SIZE))
    exchange.joined("libtorrent")
    async with called(metainfo, port) as talk:
        done = False
        while not done:
            await talk.say(*[request for _, request in exchange.requests(trio.current_time())])
            for message in await talk.hear():
                assert not isinstance(message, wm.HashReject), message
                if isinstance(message, wm.Hashes):
                    done = exchange.got_hashes("libtorrent", message, trio.current_time())
    assert exchange.layers == layers_of(metainfo)


async def test_it_answers_as_we_do(seed):
    """Any part that may be asked for, with any number of proof layers; and what it refuses, we refuse."""
    metainfo, port = seed
    base = merkle.height(metainfo.info.piece_length // BLOCK_SIZE)
    layers = layers_of(metainfo)
    ours = HashServer(layers.get, base)
    requests = []
    for root, layer in layers.items():
        top = merkle.height(len(layer) // DIGEST)
        for rise in range(1, min(9, top) + 1):
            length = 1 << rise
            for index in {0, length, ((1 << top) - 1) // length * length, len(layer) // DIGEST // length * length}:
                requests += [wm.HashRequest(root, base, index, length, proofs) for proofs in {0, 1, top - 1, top}]
    assert len(requests) > 300
    async with called(metainfo, port) as talk:
        for start in range(0, len(requests), 50):
            asked = requests[start : start + 50]
            for request, answer in zip(asked, await talk.answers(*asked), strict=True):
                assert answer.request == request
                own = ours.answer(request)
                assert (own or reject(request)) == answer


def content(metainfo: Metainfo, folder: pathlib.Path, piece: int) -> bytes:
    """A piece of the torrent."""
    info = metainfo.info
    start = piece * info.piece_length
    entry = next(file for file in info.files if not file.pad and file.offset <= start < file.offset + file.length)
    with folder.joinpath(*entry.path).open("rb") as file:
        file.seek(start - entry.offset)
        return file.read(info.piece_length)


def first_piece(metainfo: Metainfo, root: bytes) -> int:
    """Where a file begins that is larger than a piece; no two are of as many."""
    count = metainfo.info.layers_needed[root]
    (entry,) = [file for file in metainfo.info.files if file.path[-1] == f"{count:05}"]
    return entry.offset // metainfo.info.piece_length


async def test_the_blocks_of_a_piece(seed, folder):
    """It has their hashes once it has read the piece, and not before."""
    metainfo, port = seed
    info = metainfo.info
    base = merkle.height(info.piece_length // BLOCK_SIZE)
    if not base:
        return  # they are the piece layer
    ours = HashServer(layers_of(metainfo).get, base)
    async with called(metainfo, port) as talk:
        await talk.say(wm.Interested())
        while not any(isinstance(message, wm.Unchoke) for message in await talk.hear()):
            pass
        for root, count in info.layers_needed.items():
            top = base + merkle.height(count)
            for piece in (0, count - 1):
                number = first_piece(metainfo, root) + piece
                await talk.say(wm.Request(number, 0, 1000))
                while not any(isinstance(message, wm.Piece) for message in await talk.hear()):
                    pass
                leaves = merkle.leaves(content(metainfo, folder / str(info.piece_length), number))
                for proofs in (0, 1, base, top - 1, top):
                    request = wm.HashRequest(root, 0, piece << base, 1 << base, proofs)
                    (answer,) = await talk.answers(request)
                    assert (ours.leaf_answer(request, leaves) or reject(request)) == answer


# -- libtorrent asks ---------------------------------------------------------------------------------------------------


class Peer:
    """Serves metadata, hashes and blocks to a libtorrent that calls, and notes which hashes it asks for."""

    def __init__(self, metainfo: Metainfo, folder: pathlib.Path) -> None:
        self.metainfo = metainfo
        self.folder = folder
        self.asked: list[wm.HashRequest] = []
        self.refused: list[wm.HashRequest] = []
        self._server = HashServer(layers_of(metainfo).get, merkle.height(metainfo.info.piece_length // BLOCK_SIZE))

    async def serve(self, stream: trio.SocketStream) -> None:
        with contextlib.suppress(trio.BrokenResourceError, EOFError, HungUpError):
            Handshake.parse(await read_exactly(stream, HANDSHAKE_SIZE))
            await stream.send_all(hello(self.metainfo).encode())
            talk = Talk(stream, self.metainfo.info.layout.piece_count)
            raw = self.metainfo.info.raw
            said = wm.ExtendedHandshake(extensions=dict(OUR_IDS), metadata_size=len(raw))
            await stream.send_all(talk.wire.encode_extended_handshake(said))
            await talk.say(wm.HaveAll(), wm.Unchoke())
            while True:
                for message in await talk.hear():
                    if isinstance(message, wm.MetadataRequest):
                        part = raw[message.piece * METADATA_PIECE :][:METADATA_PIECE]
                        answer = talk.wire.encode_metadata_data(message.piece, len(raw), part)
                        assert answer is not None
                        await stream.send_all(answer)
                    elif isinstance(message, wm.HashRequest):
                        await talk.say(self._hashes(message))
                    elif isinstance(message, wm.Request):
                        await talk.say(wm.Piece(message.piece, message.begin, memoryview(self._block(message))))

    def _block(self, request: wm.Request) -> bytes:
        return content(self.metainfo, self.folder, request.piece)[request.begin :][: request.length]

    def _hashes(self, request: wm.HashRequest) -> wm.Hashes | wm.HashReject:
        self.asked.append(request)
        answer = self._server.answer(request)
        if answer is None:
            self.refused.append(request)
            return reject(request)
        return answer


async def fetch(peer: Peer, to: pathlib.Path) -> None:
    """Let a libtorrent that knows the magnet link alone fetch everything from this peer."""
    with trio.fail_after(DEADLINE), Libtorrent(enable_outgoing_utp=False, out_enc_policy=2) as theirs:
        async with trio.open_nursery() as nursery:
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            nursery.start_soon(trio.serve_listeners, peer.serve, [listener])
            handle = theirs.add(peer.metainfo.magnet, to, listener.socket.getsockname()[1])
            while not handle.status().is_seeding:
                await trio.sleep(0.05)
            nursery.cancel_scope.cancel()


async def test_it_fetches_with_our_hashes(tmp_path):
    """Of 513 and 1025 pieces it asks for a single hash at the end, against BEP 52, and wants its sibling too."""
    write_files(tmp_path / "top", [1, 2, 3, 513, 600, 1025], BLOCK_SIZE)
    metainfo = v2_torrent(tmp_path / "top", BLOCK_SIZE)
    peer = Peer(metainfo, tmp_path)
    await fetch(peer, tmp_path / "out")
    assert not peer.refused
    asked = {(metainfo.info.layers_needed[r.root], r.index, r.length) for r in peer.asked}
    assert asked == {
        *((2, 0, 2), (3, 0, 4), (513, 0, 512), (513, 512, 1), (600, 0, 512), (600, 512, 128)),
        *((1025, 0, 512), (1025, 512, 512), (1025, 1024, 1)),
    }
