"""Who connects to us and has not said hello yet."""

import pytest
import trio

from tests.strangers import Stranger, background, session_on, simulated, until, where
from torrentlite.limits import HANDSHAKE_TIMEOUT, MAX_PENDING_HANDSHAKES, MAX_PENDING_PER_IP
from torrentlite.wire.handshake import Handshake


async def sharing(world, host=""):
    metainfo, data = world.torrent(300_000)
    machine = world.host(*([host] if host else []))
    machine.put(metainfo.info, data)
    return metainfo, data, machine


@simulated()
async def test_the_silent_are_gone_after_the_handshake_time(world):
    metainfo, data, machine = await sharing(world)
    async with background() as nursery, session_on(machine) as session:
        await session.add(metainfo).wait_complete()
        silent = [await Stranger(world.host(), metainfo.info).dial(where(machine, session)) for _ in range(5)]
        for talk in silent:
            nursery.start_soon(talk.listen)
        half = await Stranger(world.host(), metainfo.info).dial(where(machine, session))
        await half.say(Handshake(metainfo.info.hashes.wire, bytes(20)).encode()[:60])
        await trio.sleep(HANDSHAKE_TIMEOUT - 1)
        assert session.stats().pending_handshakes == 6
        assert not any(talk.ended for talk in silent)
        await trio.sleep(2)
        assert session.stats().pending_handshakes == 0
        assert all(talk.ended for talk in silent)


@simulated()
async def test_a_slow_hello_does_not_buy_more_time(world):
    metainfo, data, machine = await sharing(world)
    async with session_on(machine) as session:
        await session.add(metainfo).wait_complete()
        stranger = Stranger(world.host(), metainfo.info)
        talk = await stranger.dial(where(machine, session))
        started = trio.current_time()
        for byte in stranger.hello.encode():
            await talk.say(bytes([byte]))
            if talk.ended:
                break
            await trio.sleep(0.5)
        assert talk.ended
        assert trio.current_time() - started <= HANDSHAKE_TIMEOUT + 1


@simulated()
async def test_the_answer_comes_before_the_peer_id(world):
    """Some wait for it: after 48 bytes the session knows what it is about."""
    metainfo, data, machine = await sharing(world)
    async with background() as nursery, session_on(machine) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        stranger = Stranger(world.host(), metainfo.info, has=0)
        talk = await stranger.dial(where(machine, session))
        hello = stranger.hello.encode()
        await talk.say(hello[:48])
        assert (await talk.greet(None)).info_hash == metainfo.info.hashes.wire
        assert not torrent.peers()
        await talk.say(hello[48:])
        nursery.start_soon(talk.listen)
        await until(lambda: torrent.peers())


@pytest.mark.parametrize(("ip", "kept"), [("11.5.5.5", MAX_PENDING_PER_IP), ("10.5.5.5", 20)])
@simulated()
async def test_of_one_public_address_only_a_few_may_be_silent(world, ip, kept):
    metainfo, data, machine = await sharing(world)
    crowd = world.host(ip)
    async with background() as nursery, session_on(machine) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        for _ in range(20):
            await Stranger(crowd, metainfo.info).dial(where(machine, session))
        await trio.sleep(1)
        assert session.stats().pending_handshakes == kept
        await Stranger(world.host(), metainfo.info, has=0).call(nursery, where(machine, session))
        await until(lambda: len(torrent.peers()) == 1, 1)


@simulated()
async def test_when_there_are_too_many_the_oldest_goes_and_a_real_peer_gets_in(world):
    metainfo, data, machine = await sharing(world)
    crowd = world.host("10.5.5.5", latency=0)
    async with background() as nursery, session_on(machine) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        silent = []
        for _ in range(MAX_PENDING_HANDSHAKES + 50):
            talk = await Stranger(crowd, metainfo.info).dial(where(machine, session))
            nursery.start_soon(talk.listen)
            silent.append(talk)
        assert await Stranger(world.host(), metainfo.info, has=0).call(nursery, where(machine, session))
        assert session.stats().pending_handshakes <= MAX_PENDING_HANDSHAKES
        assert len(torrent.peers()) == 1
        await trio.sleep(1)
        assert all(talk.ended for talk in silent[:50])
        assert not any(talk.ended for talk in silent[60:])
        await trio.sleep(HANDSHAKE_TIMEOUT)
        assert session.stats().pending_handshakes == 0
        assert len(torrent.peers()) == 1, "who had said hello stays"


@simulated()
async def test_unknown_paused_and_removed_torrents_are_not_answered(world):
    metainfo, data, machine = await sharing(world)
    async with background() as nursery, session_on(machine) as session:
        stranger = Stranger(world.host(), metainfo.info, has=0)
        assert await stranger.call(nursery, where(machine, session)) is None
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        assert await stranger.call(nursery, where(machine, session)) is not None
        await session.remove(torrent)
        await until(lambda: stranger.talk.ended)
        assert await stranger.call(nursery, where(machine, session)) is None


@simulated()
async def test_leaving_while_somebody_says_hello(world):
    metainfo, data, machine = await sharing(world)
    async with session_on(machine) as session:
        await session.add(metainfo).wait_complete()
        for size in (0, 1, 20, 48, 67, 68):
            stranger = Stranger(world.host(), metainfo.info)
            talk = await stranger.dial(where(machine, session))
            await talk.say(stranger.hello.encode()[:size])
        await trio.sleep(0.02)
        assert session.stats().pending_handshakes >= 5
        left_at = trio.current_time()
    assert trio.current_time() - left_at < 1
