"""Who sends wrong data is banned soon; who does not, never."""

import contextlib
import itertools

import pytest
import trio

import torrentlite as tl
from tests.strangers import Stranger, background, session_on, simulated, spoil, until, where
from torrentlite.metainfo.layout import BLOCK_SIZE
from torrentlite.wire import messages as wm

MOST_BAD_PIECES = 5


async def all_events(torrent, into):
    async with torrent.events() as events:
        async for event in events:
            into.append(event)


def banned(events):
    return [event.peer for event in events if isinstance(event, tl.PeerBanned)]


def bad_pieces(events, ip):
    return sum(ip in event.peers for event in events if isinstance(event, tl.PieceFailed))


@contextlib.asynccontextmanager
async def swarm(world, metainfo, data, *, honest, spoilers, extended=True, up=200_000):
    """Somebody who fetches from so many honest seeds and one seed for each of ``spoilers`` (an ``answer`` each)."""
    async with background() as nursery:
        good, bad = [], []
        for answer in [None] * honest + spoilers:
            machine = world.host(up=up, latency=0.02)
            stranger = Stranger(machine, metainfo.info, data, answer=answer, extended=extended)
            (bad if answer else good).append(await stranger.serve(nursery))
        async with session_on(world.host(down=10_000_000)) as session:
            everybody = good + bad
            world.dice.rng("order").shuffle(everybody)
            torrent = session.add(metainfo, peers=[stranger.place for stranger in everybody])
            events: list[tl.Event] = []
            nursery.start_soon(all_events, torrent, events)
            yield torrent, good, bad, events


def check_blame(good, bad, events):
    assert sum(stranger.spoiled for stranger in bad), "the fault happened"
    for stranger in bad:
        ip = stranger.machine.network.ip
        assert bad_pieces(events, ip) <= MOST_BAD_PIECES or not stranger.spoiled
        if bad_pieces(events, ip) == MOST_BAD_PIECES:
            assert ip in banned(events)
    innocent = {stranger.machine.network.ip for stranger in good}
    innocent |= {stranger.machine.network.ip for stranger in bad if not stranger.spoiled}
    assert not innocent & set(banned(events)), "the innocent are never banned"


def always(request, right):
    return spoil(right)


@pytest.mark.parametrize("seed", range(3))
def test_one_corrupting_peer_among_honest_ones(seed):
    @simulated(seed=seed)
    async def run(world):
        metainfo, data = world.torrent(4 << 20)
        async with swarm(world, metainfo, data, honest=5, spoilers=[always]) as (torrent, good, bad, events):
            await torrent.wait_complete()
            await trio.sleep(2)
            before = torrent.stats()
            torrent.recheck()
            await torrent.wait_complete()
            after = torrent.stats()
            assert (before.hash_failures, before.downloaded) == (after.hash_failures, after.downloaded), "in all"
            assert before.hash_failures > 0
        check_blame(good, bad, events)
        assert banned(events) == [bad[0].machine.network.ip]
        assert len(bad[0].talks) == 1, "nobody calls it again"
        assert torrent.stats().hash_failures <= MOST_BAD_PIECES

    run()


@simulated()
async def test_a_corrupting_peer_that_calls_again_is_refused(world):
    metainfo, data = world.torrent(1 << 20)
    async with swarm(world, metainfo, data, honest=1, spoilers=[always], up=50_000) as (torrent, good, bad, events):
        await until(lambda: banned(events))
        assert torrent.stats().left, "not complete yet"
        async with background() as nursery:
            (said,) = good[0].talk.all(wm.ExtendedHandshake)
            talk = await bad[0].call(nursery, (good[0].talk.stream.remote.host, said.port))
            assert talk is not None
            with trio.fail_after(1):
                await talk.wait_ended()
        await torrent.wait_complete()
    check_blame(good, bad, events)


@pytest.mark.parametrize("every", [5, 20])
@pytest.mark.parametrize("seed", range(2))
def test_a_peer_that_lies_now_and_then(seed, every):
    requests = itertools.count(1)

    @simulated(seed=seed)
    async def run(world):
        metainfo, data = world.torrent(6 << 20, piece_length=128 << 10)
        seldom = [lambda request, right: spoil(right) if next(requests) % every == 0 else right]
        async with swarm(world, metainfo, data, honest=4, spoilers=seldom) as (torrent, good, bad, events):
            await torrent.wait_complete()
            await trio.sleep(2)
        check_blame(good, bad, events)

    run()


@pytest.mark.parametrize("seed", range(3))
def test_colluders_who_spoil_one_block_each(seed):
    """Ten of them, each at another address, and each lies once: the torrent completes, and all of them are found."""

    class Once:
        def __init__(self):
            self.lied = False

        def __call__(self, request, right):
            if self.lied:
                return right
            self.lied = True
            return spoil(right)

    @simulated(seed=seed)
    async def run(world):
        metainfo, data = world.torrent(6 << 20, piece_length=256 << 10)
        async with swarm(world, metainfo, data, honest=5, spoilers=[Once() for _ in range(10)]) as (
            torrent, good, bad, events,
        ):  # fmt: skip
            await torrent.wait_complete()
            await trio.sleep(2)
        check_blame(good, bad, events)
        guilty = {stranger.machine.network.ip for stranger in bad if stranger.spoiled}
        assert len(guilty) >= 5
        assert set(banned(events)) == guilty

    run()


@simulated()
async def test_the_only_source_lies_and_a_right_one_comes_later(world):
    metainfo, data = world.torrent(512 << 10)
    async with swarm(world, metainfo, data, honest=0, spoilers=[always]) as (torrent, good, bad, events):
        await trio.sleep(30)
        assert banned(events) == [bad[0].machine.network.ip]
        assert torrent.stats().pieces_done == 0
        async with background() as nursery:
            honest = await Stranger(world.host(), metainfo.info, data).serve(nursery)
            torrent.add_peer(*honest.place)
            await torrent.wait_complete()


@simulated()
async def test_behind_one_private_address_only_the_liar_is_banned(world):
    """A NAT, or machines of one household: there an address is blamed with its port."""
    metainfo, data = world.torrent(1 << 20)
    machine = world.host("192.168.1.2")
    async with background() as nursery, session_on(world.host("192.168.1.3")) as session:
        liar = await Stranger(machine, metainfo.info, data, answer=always).serve(nursery)
        honest = await Stranger(machine, metainfo.info, data).serve(nursery)
        torrent = session.add(metainfo, peers=[liar.place, honest.place])
        await torrent.wait_complete()
        assert liar.spoiled
        await trio.sleep(1)
        assert torrent._life.swarm.peerlist.banned(f"192.168.1.2:{liar.port}")
        assert not torrent._life.swarm.peerlist.banned(f"192.168.1.2:{honest.port}")


@simulated()
async def test_a_real_session_with_a_rotten_disk_is_banned_too(world):
    """Not a script: a session whose disk lies serves what it believes to be right."""
    metainfo, data = world.torrent(2 << 20)
    machines = [world.host(up=300_000) for _ in range(4)]
    async with contextlib.AsyncExitStack() as stack:
        places = []
        for machine in machines:
            machine.put(metainfo.info, data)
            session = await stack.enter_async_context(session_on(machine))
            await session.add(metainfo).wait_complete()
            places.append(where(machine, session))
        rotten = bytearray(data)
        for start in range(0, len(data), BLOCK_SIZE):
            rotten[start] ^= 1
        machines[0].disk.storage(metainfo.info).fill(bytes(rotten))
        fetching = world.host()
        session = await stack.enter_async_context(session_on(fetching))
        torrent = session.add(metainfo, peers=places)
        events: list[tl.Event] = []
        async with background() as nursery:
            nursery.start_soon(all_events, torrent, events)
            await torrent.wait_complete()
            await trio.sleep(1)
        assert banned(events) == [machines[0].network.ip]
        assert bad_pieces(events, machines[0].network.ip) <= MOST_BAD_PIECES
        assert fetching.disk.storage(metainfo.info).content() == data
