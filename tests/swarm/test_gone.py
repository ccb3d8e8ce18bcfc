"""Storages other than files, and pieces that come and go (BEP 54)."""

import functools
import random

import pytest
import trio
import trio.lowlevel

import torrentlite as tl
from tests.strangers import Stranger, background, session_on, simulated, until, where
from torrentlite import limits
from torrentlite.wire import messages as wm

PIECE = 64 << 10
cached = functools.partial(tl.CacheStorage, limit=16 * PIECE)


def made(world, size, up=0):
    metainfo, data = world.torrent(size, name="film", piece_length=PIECE)
    seed = world.host(up=up)
    seed.put(metainfo.info, data)
    return metainfo, data, seed, world.host()


@simulated()
async def test_all_in_memory(world):
    metainfo, data, seed, machine = made(world, 1 << 20)
    async with session_on(seed) as sharing, session_on(machine) as session:
        await sharing.add(metainfo).wait_complete()
        torrent = session.add(metainfo.magnet, storage=tl.MemoryStorage, peers=[where(seed, sharing)])
        await torrent.wait_complete()
        async with torrent.open() as file:
            assert await file.read() == data
        torrent.recheck()
        await trio.lowlevel.checkpoint()
        await torrent.wait_complete()
        assert torrent.stats().pieces_done == 16, "the same storage is used again"
    assert machine.disk.calls == 0


@simulated()
async def test_something_larger_is_read_through_a_cache(world):
    metainfo, data, seed, machine = made(world, 200 * PIECE, up=4 << 20)
    storage = []

    def factory(info):
        storage.append(cached(info))
        return storage[0]

    rng = random.Random(4)
    async with session_on(seed) as sharing, session_on(machine) as session:
        await sharing.add(metainfo).wait_complete()
        torrent = session.add(metainfo, storage=factory, peers=[where(seed, sharing)])
        await torrent.wait_complete()
        await trio.sleep(5)
        assert torrent.stats().downloaded == 0, "nothing is fetched that is not read"
        most = 0
        async with torrent.open() as file:
            got = bytearray()
            async for part in file:
                got += part
                most = max(most, len(storage[0]._pieces))
            assert got == data
        assert 12 <= most <= 16
        assert torrent.stats().downloaded <= 1.02 * len(data)
        assert torrent.stats().wasted <= 0.02 * len(data)

        async def jump(start):
            async with torrent.open() as file:
                for _ in range(12):
                    at = rng.randrange(len(data))
                    file.seek(at)
                    assert await file.read(5 * PIECE) == data[at : at + 5 * PIECE]
                    most = len(storage[0]._pieces)
                    assert most <= 16

        async with trio.open_nursery() as nursery:
            for number in range(4):
                nursery.start_soon(jump, number)
        with pytest.raises(tl.StorageError, match="too small"):
            tl.CacheStorage(metainfo.info, limit=3 * PIECE)


@simulated()
async def test_who_understands_is_told_what_comes_and_what_goes(world):
    metainfo, data, seed, machine = made(world, 100 * PIECE, up=4 << 20)
    async with background() as nursery, session_on(seed) as sharing, session_on(machine) as session:
        await sharing.add(metainfo).wait_complete()
        torrent = session.add(metainfo, storage=cached, peers=[where(seed, sharing)])
        async with torrent.open() as file:
            await file.read(PIECE)
            talks = [
                await Stranger(world.host(), metainfo.info, has=0, extended=extended).call(
                    nursery, where(machine, session)
                )
                for extended in (True, False)
            ]
            await until(lambda: talks[0].all(wm.Have))
            await talks[0].say(wm.Interested())
            await talks[0].hear(wm.Unchoke)
            while await file.receive_some():
                pass
            await trio.sleep(1)
            have = set()
            for message in talks[0].heard:
                match message:
                    case wm.Have(piece):
                        have.add(piece)
                    case wm.DontHave(piece):
                        have.remove(piece)
            assert have == {piece for piece in range(100) if torrent.pieces().have >> piece & 1}
            assert 8 <= len(have) <= 16
            assert wm.HaveNone() in talks[1].heard
            assert not talks[1].all(wm.Have)
            here = max(have)
            await talks[0].say(wm.Request(here, 0, 16384), wm.Request(0, 0, 16384))
            assert (await talks[0].hear(wm.Piece)).data == data[here * PIECE :][:16384]
            await talks[0].hear(wm.RejectRequest)


@pytest.mark.parametrize("fast", [True, False])
@simulated()
async def test_a_peer_that_lets_go_of_a_piece_is_not_asked_for_it(world, fast):
    metainfo, _, _, machine = made(world, 10 * PIECE)
    async with background() as nursery, session_on(machine) as session:
        torrent = session.add(metainfo)
        await torrent.wait_checked()
        stranger = Stranger(world.host(), metainfo.info, fast=fast, answer=lambda request, data: None)
        talk = await stranger.call(nursery, where(machine, session))
        await talk.hear(wm.ExtendedHandshake)
        dont_have = talk.wire.encode_dont_have
        await until(lambda: torrent.pieces().availability == (1,) * 10)
        for piece in range(9):
            await talk.say(dont_have(piece))
        await until(lambda: torrent.pieces().availability == (0,) * 9 + (1,))
        await talk.say(wm.Unchoke())
        await talk.hear(wm.Request)
        assert {message.piece for message in talk.all(wm.Request)} == {9}
        await talk.say(dont_have(9), dont_have(9))
        await talk.hear(wm.NotInterested)
        peer = next(iter(torrent._life.swarm.peers))
        assert peer.pipeline.outstanding == (4 if fast else 0), "with the fast extension each is still answered"
        await talk.say(wm.Have(3))
        await until(lambda: torrent.pieces().availability[3] == 1)
        await talk.say(dont_have(10))
        await until(lambda: talk.ended)


@simulated()
async def test_who_has_everything_and_has_not_again_and_again_is_dropped(world):
    metainfo, _, _, machine = made(world, 10 * PIECE)
    async with background() as nursery, session_on(machine) as session:
        torrent = session.add(metainfo)
        await torrent.wait_checked()
        talk = await Stranger(world.host(), metainfo.info, unchokes=False).call(nursery, where(machine, session))
        await talk.hear(wm.ExtendedHandshake)
        for _ in range(limits.MAX_RENOUNCED):
            await talk.say(talk.wire.encode_dont_have(3), wm.Have(3))
        await trio.sleep(1)
        assert not talk.ended
        await talk.say(talk.wire.encode_dont_have(3))
        await until(lambda: talk.ended)
