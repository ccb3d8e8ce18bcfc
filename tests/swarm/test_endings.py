"""How connections end, and what keeps them: time-outs, keep-alives, breaks, seeds among themselves."""

import pytest
import trio

from tests.strangers import Stranger, background, session_on, simulated, until, where
from torrentlite.limits import KEEP_ALIVE, LAST_WORDS, PEER_IDLE_TIMEOUT
from torrentlite.wire import messages as wm


async def seeded(world, *sizes, **torrent):
    metainfo, data = world.torrent(*sizes, **torrent)
    machine = world.host()
    machine.put(metainfo.info, data)
    return metainfo, data, machine


# -- time --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep_alives", [False, True])
@simulated()
async def test_quiet_peers(world, keep_alives):
    """Who says nothing at all is gone after a while; who sends keep-alives may stay; we send them too."""
    metainfo, data, machine = await seeded(world)
    async with background() as nursery, session_on(machine) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        talk = await Stranger(world.host(), metainfo.info, has=0).call(nursery, where(machine, session))
        for _ in range(6):
            await trio.sleep(PEER_IDLE_TIMEOUT / 2)
            if keep_alives:
                await talk.say(wm.KeepAlive())
        assert talk.ended is not keep_alives
        assert len(torrent.peers()) == keep_alives
        assert bool(talk.all(wm.KeepAlive)) or not keep_alives
        sent = len(talk.all(wm.KeepAlive))
        assert sent == (int(3 * PEER_IDLE_TIMEOUT // KEEP_ALIVE) if keep_alives else 1)


@simulated()
async def test_a_peer_whose_cable_was_pulled_goes_too(world):
    metainfo, data = world.torrent(4 << 20)
    async with background() as nursery, session_on(world.host()) as session:
        gone = await Stranger(world.host(up=100_000), metainfo.info, data).serve(nursery)
        torrent = session.add(metainfo, peers=[gone.place])
        await until(lambda: torrent.stats().done)
        gone.machine.network.plugged = False
        other = await Stranger(world.host(up=100_000), metainfo.info, data).serve(nursery)
        torrent.add_peer(*other.place)
        await torrent.wait_complete()
        await trio.sleep(PEER_IDLE_TIMEOUT + 5)
        assert gone.port not in [peer.port for peer in torrent.peers()]


# -- endings -----------------------------------------------------------------------------------------------------------


@simulated()
async def test_a_broken_connection_gives_its_requests_back(world):
    metainfo, data = world.torrent(1 << 20)
    async with background() as nursery, session_on(world.host()) as session:
        breaking = Stranger(world.host(), metainfo.info, data)
        held = []

        async def react(talk, message):
            if isinstance(message, wm.Request):
                held.append(message)
                if len(held) == 12:
                    talk.stream.reset()
                return True
            return False

        breaking._react = react
        torrent = session.add(metainfo, peers=[(await breaking.serve(nursery)).place])
        await until(lambda: len(held) >= 8)
        for request in held[:6]:
            await breaking.send_block(breaking.talk, request)
        await until(lambda: len(held) >= 12)
        await until(lambda: not torrent.peers())
        assert torrent.pieces().in_flight == 0
        other = await Stranger(world.host(), metainfo.info, data).serve(nursery)
        torrent.add_peer(*other.place)
        await torrent.wait_complete()
        assert torrent.stats().downloaded == len(data), "what had come was kept"


@simulated()
async def test_seeds_drop_seeds_unless_told_otherwise(world):
    metainfo, data, one = await seeded(world)
    for stays in (False, True):
        async with background() as nursery, session_on(one, seed_to_seeds=stays) as session:
            torrent = session.add(metainfo)
            await torrent.wait_complete()
            talk = await Stranger(world.host(), metainfo.info, data).call(nursery, where(one, session))
            await trio.sleep(5)
            assert talk.ended is not stays
            slowly = await Stranger(world.host(), metainfo.info, has=0).call(nursery, where(one, session))
            await slowly.say(*map(wm.Have, range(16)))
            await trio.sleep(5)
            assert slowly.ended is not stays, "also who became one"


@simulated()
async def test_who_completes_says_goodbye_to_seeds_and_keeps_the_others(world):
    metainfo, data = world.torrent(256 << 10)
    async with background() as nursery, session_on(world.host()) as session:
        seed = await Stranger(world.host(), metainfo.info, data).serve(nursery)
        leech = await Stranger(world.host(), metainfo.info, data, has=1).serve(nursery)
        torrent = session.add(metainfo, peers=[seed.place, leech.place])
        await torrent.wait_complete()
        await trio.sleep(2)
        assert seed.talk.ended
        assert not leech.talk.ended
        assert leech.talk.all(wm.UploadOnly) == [wm.UploadOnly(True)]
        assert {message.piece for message in leech.talk.all(wm.Have)} == {0, 1, 2, 3}


@simulated()
async def test_who_completes_and_parts_from_a_seed_has_told_it_of_everything(world):
    metainfo, data = world.torrent(1 << 20)
    async with background() as nursery, session_on(world.host()) as session:
        seed = await Stranger(world.host(), metainfo.info, data).serve(nursery)
        await session.add(metainfo, peers=[seed.place]).wait_complete()
        await until(lambda: seed.talk.ended)
        assert {message.piece for message in seed.talk.all(wm.Have)} == set(range(metainfo.info.layout.piece_count))
        assert seed.talk.all(wm.UploadOnly) == [wm.UploadOnly(True)]


@simulated()
async def test_who_has_it_all_waits_a_moment_for_who_does_not_read(world):
    """That moment is LAST_WORDS, and nobody else is kept waiting by it."""
    metainfo, data = world.torrent(1 << 20)
    async with background() as nursery:
        seed = await Stranger(world.host(), metainfo.info, data).serve(nursery)
        deaf = await Stranger(world.host(), metainfo.info, has=0).serve(nursery)
        async with session_on(world.host(), seed_to_seeds=True) as session:
            torrent = session.add(metainfo, peers=[deaf.place, seed.place])
            await until(lambda: len(torrent.peers()) == 2)
            deaf.machine.network.plugged = False
            await torrent.wait_complete()
            for peer in torrent._life.swarm.peers:
                peer.sender.send(wm.encode(wm.KeepAlive()) * (1 << 20))  # more than a connection takes unread
            began = trio.current_time()
        assert trio.current_time() - began == pytest.approx(LAST_WORDS)
        assert len(seed.talk.all(wm.Have)) == metainfo.info.layout.piece_count


@simulated()
async def test_a_seed_that_does_not_read_is_parted_from_all_the_same(world):
    metainfo, data, machine = await seeded(world)
    async with session_on(machine) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        stranger = Stranger(world.host(), metainfo.info)
        deaf = await stranger.dial(where(machine, session))
        await deaf.greet(stranger.hello)
        await until(torrent.peers)
        (peer,) = torrent._life.swarm.peers
        peer.sender.send(wm.encode(wm.KeepAlive()) * (3 << 17))  # more than a connection takes unread
        await trio.sleep(0.1)
        assert peer.sender.stuck_for(trio.current_time()) > 0
        await deaf.say(wm.HaveAll())
        began = trio.current_time()
        await until(lambda: not torrent.peers())
        assert trio.current_time() - began == pytest.approx(LAST_WORDS, abs=0.1)


@simulated()
async def test_a_hostile_name_is_made_fit_to_be_shown(world):
    metainfo, data = world.torrent()
    async with background() as nursery, session_on(world.host()) as session:
        stranger = Stranger(
            world.host(), metainfo.info, has=0,
            opening=lambda talk: talk.extended_handshake(client="\x1b]0;evil\x07\u202e[/]" + "x" * 1000),
        )  # fmt: skip
        torrent = session.add(metainfo, peers=[(await stranger.serve(nursery)).place])
        await until(lambda: torrent.peers())
        await trio.sleep(1)
        (peer,) = torrent.peers()
        assert len(peer.client) <= 64
        assert not any(ord(letter) < 32 or letter == "\u202e" for letter in peer.client)
