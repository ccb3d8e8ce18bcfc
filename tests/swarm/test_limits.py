"""How many connections there are: caps, duplicates, ourselves."""

import contextlib

import pytest
import trio

from tests.strangers import Stranger, background, session_on, simulated, until, where
from torrentlite.limits import CONNECT_TIMEOUT, HANDSHAKE_TIMEOUT, MAX_OWN_ADDRESSES
from torrentlite.wire import messages as wm
from torrentlite.wire.address import Address


async def sharing(world, *hosts, size=300_000, name="made-up"):
    metainfo, data = world.torrent(size, name=name)
    machines = [world.host(*([host] if host else [])) for host in hosts]
    for machine in machines:
        machine.put(metainfo.info, data)
    return metainfo, data, *machines


async def settled(torrent, seconds=3):
    await trio.sleep(seconds)
    return len(torrent.peers())


@pytest.mark.parametrize("which", ["connections_per_torrent", "connections"])
@simulated()
async def test_no_more_connections_than_allowed(world, which):
    metainfo, data, machine = await sharing(world, "")
    async with background() as nursery, session_on(machine, **{which: 5}) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        talks = []
        for _ in range(9):
            talk = await Stranger(world.host(), metainfo.info, has=0).call(nursery, where(machine, session))
            talks.append(talk)
        assert await settled(torrent) == 5
        assert sum(not talk.ended for talk in talks) == 5
        next(talk for talk in talks if not talk.ended).stream.close()
        await until(lambda: len(torrent.peers()) == 4)
        await Stranger(world.host(), metainfo.info, has=0).call(nursery, where(machine, session))
        assert await settled(torrent) == 5


@simulated()
async def test_the_cap_of_a_session_is_shared_by_its_torrents(world):
    one, _, machine = await sharing(world, "", name="one")
    two, data = world.torrent(300_000, name="two")
    machine.put(two.info, data)
    async with background() as nursery, session_on(machine, connections=6, connections_per_torrent=4) as session:
        torrents = [session.add(one), session.add(two)]
        for torrent in torrents:
            await torrent.wait_complete()
        for metainfo in (one, two):
            for _ in range(6):
                await Stranger(world.host(), metainfo.info, has=0).call(nursery, where(machine, session))
        await trio.sleep(3)
        assert [len(torrent.peers()) for torrent in torrents] == [4, 2]
        assert session.stats().peers == 6


@pytest.mark.parametrize(("ip", "allowed"), [("11.7.7.7", 3), ("10.7.7.7", 8), ("2a01:db8:7::7", 3), ("fd00::7", 8)])
@simulated()
async def test_connections_of_one_address_are_counted_if_it_is_public(world, ip, allowed):
    metainfo, _, machine = await sharing(world, "")
    both = world.host("11.9.9.9", "2a01:db8:9::9")
    both.put(metainfo.info, _)
    crowd = world.host(ip)
    async with background() as nursery, session_on(both) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        place = both.network.addresses[":" in ip], session.port
        for _ in range(8):
            await Stranger(crowd, metainfo.info, has=0).call(nursery, place)
        assert await settled(torrent) == allowed
        other = Stranger(world.host(*["2a01:db8:8::8" if ":" in ip else "11.8.8.8"]), metainfo.info, has=0)
        await other.call(nursery, place)
        assert await settled(torrent) == allowed + 1, "somebody else is not concerned"


@simulated()
async def test_attempts_under_way_are_bounded_and_given_up(world):
    metainfo, _ = world.torrent()
    dead = [(f"11.66.{number}.1", 6881) for number in range(40)]
    async with session_on(world.host(), half_open=7) as session:
        torrent = session.add(metainfo, peers=dead)
        most = 0
        for _ in range(int(CONNECT_TIMEOUT * 8)):
            await trio.sleep(1)
            most = max(most, session.stats().half_open)
            assert torrent.stats().half_open == session.stats().half_open
        assert most == 7
        tried = world.trace.counts["unanswered"]
        assert tried >= 40, "all of them were tried"
        torrent.pause()
        await trio.sleep(CONNECT_TIMEOUT + 1)
        assert session.stats().half_open == 0


@simulated()
async def test_who_accepts_and_says_nothing_costs_no_more_than_the_handshake_time(world):
    metainfo, data = world.torrent()
    async with background() as nursery, session_on(world.host(), half_open=1) as session:
        mute = world.host()
        (listener,) = await mute.network.listen("", 0, fallback=False)
        torrent = session.add(metainfo, peers=[(mute.network.ip, listener.address.port)])
        await listener.accept()
        honest = await Stranger(world.host(), metainfo.info, data).serve(nursery)
        torrent.add_peer(*honest.place)
        with trio.fail_after(HANDSHAKE_TIMEOUT + 5):
            await torrent.wait_complete()
        listener.close()


@pytest.mark.parametrize("seed", range(4))
def test_both_dial_at_once_and_exactly_one_connection_stays(seed):
    @simulated(seed=seed)
    async def run(world):
        metainfo, data = world.torrent(2 << 20)
        one, two = world.host(up=100_000), world.host(up=100_000)
        async with session_on(one) as a, session_on(two) as b:
            first, second = a.add(metainfo), b.add(metainfo)
            await first.wait_checked()
            await second.wait_checked()
            first.add_peer(*where(two, b))
            second.add_peer(*where(one, a))
            await trio.sleep(2)
            assert world.trace.counts["connected"] == 2, "both did dial"
            assert (len(first.peers()), len(second.peers())) == (1, 1)
            (mine,), (yours,) = first._life.swarm.peers, second._life.swarm.peers
            assert (mine.stream.local, mine.stream.remote) == (yours.stream.remote, yours.stream.local)
            await trio.sleep(300)
            assert (len(first.peers()), len(second.peers())) == (1, 1)
            assert first._life.swarm.peers == {mine: None}, "and it stays"

    run()


@simulated()
async def test_who_is_connected_is_not_dialled(world):
    """Also when it was the other side that called: its extension handshake says where it listens."""
    metainfo, data = world.torrent(2 << 20)
    machines = [world.host() for _ in range(6)]
    async with background() as nursery:
        sessions = []

        async def run(machine, task_status):
            async with session_on(machine) as session:
                task_status.started((session, session.add(metainfo)))
                await trio.sleep_forever()

        for machine in machines:
            sessions.append(await nursery.start(run, machine))
        for number, (_, torrent) in enumerate(sessions):
            for machine, (session, _) in list(zip(machines, sessions, strict=True))[:number]:
                torrent.add_peer(*where(machine, session))
        await trio.sleep(10)
        assert [len(torrent.peers()) for _, torrent in sessions] == [5] * 6
        dialled = world.trace.counts["connected"]
        assert 15 <= dialled <= 30, "one for each pair, two where both did at once"
        await trio.sleep(600)
        assert [len(torrent.peers()) for _, torrent in sessions] == [5] * 6
        assert world.trace.counts["connected"] <= dialled + 6, "but for itself, of which others may tell it, once"


@simulated()
async def test_a_session_that_is_told_of_itself(world):
    metainfo, data, machine = await sharing(world, "")
    other, more = world.torrent(300_000, name="other")
    async with background() as nursery, session_on(machine) as session:
        torrent = session.add(other)
        await torrent.wait_checked()
        torrent.add_peer(*where(machine, session))
        torrent.add_peer("127.0.0.1", session.port)
        await trio.sleep(2000)
        assert torrent.peers() == ()
        assert world.trace.counts["connected"] == 2, "once for each address, and never again"
        honest = await Stranger(world.host(), other.info, more).serve(nursery)
        torrent.add_peer(*honest.place)
        await torrent.wait_complete()


@simulated()
async def test_who_repeats_our_handshake_from_many_addresses(world):
    """Each looks like ourselves. They push out each other, and not what the system and the gateway told us."""
    metainfo, data = world.torrent()
    echoes = [world.host() for _ in range(MAX_OWN_ADDRESSES + 10)]
    async with background() as nursery, session_on(world.host()) as session:
        torrent = session.add(metainfo)
        await torrent.wait_checked()
        commons = session._commons
        commons.mapped_address = Address("50.5.5.5", 5000)

        async def echo(machine):
            (listener,) = await machine.network.listen("", 7000, fallback=False)
            with contextlib.closing(listener):
                stream = await listener.accept()
                with contextlib.closing(stream):
                    buffer = memoryview(bytearray(68))
                    await stream.send_vectored([buffer[: await stream.receive_into(buffer)]])

        for machine in echoes:
            nursery.start_soon(echo, machine)
        await trio.sleep(1)
        for machine in echoes:
            torrent.add_peer(machine.network.ip, 7000)
        await trio.sleep(60)
        known = [machine for machine in echoes if commons.is_ours(Address(machine.network.ip, 7000))]
        assert len(known) == MAX_OWN_ADDRESSES
        assert all(commons.is_ours(address) for address in (*session.addresses, commons.mapped_address))


@simulated()
async def test_the_same_peer_twice(world):
    """A second connection with the same peer id is refused, whoever makes it, until the first has gone."""
    metainfo, data, machine = await sharing(world, "10.1.1.1")
    async with background() as nursery, session_on(machine) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        stranger = Stranger(world.host("10.1.1.2"), metainfo.info, has=0)
        first = await stranger.call(nursery, where(machine, session))
        second = await stranger.call(nursery, where(machine, session))
        await second.wait_ended()
        assert not first.ended
        assert await settled(torrent) == 1
        first.stream.close()
        await until(lambda: not torrent.peers())
        third = await stranger.call(nursery, where(machine, session))
        assert await settled(torrent) == 1
        assert not third.ended


@simulated()
async def test_upload_slots(world):
    metainfo, data, machine = await sharing(world, "", size=2 << 20)
    async with background() as nursery, session_on(machine, upload_slots=2, upload_limit=10_000) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        talks = []
        for _ in range(6):
            talk = await Stranger(world.host(), metainfo.info, has=0).call(nursery, where(machine, session))
            await talk.say(wm.Interested())
            talks.append(talk)
        await trio.sleep(1)
        assert sum(not peer.am_choking for peer in torrent.peers()) == 2
        for _ in range(60):
            for talk in talks:
                await talk.say(*[wm.Request(piece, 0, 16384) for piece in range(32)])
            await trio.sleep(10)
            assert sum(not peer.am_choking for peer in torrent.peers()) <= 4, "the limit leaves nothing for more"
        assert all(talk.all(wm.Unchoke) for talk in talks), "everybody has a turn"


@pytest.mark.parametrize("done", ["not interested", "gone"])
@simulated()
async def test_the_slot_of_who_is_done_is_anothers_at_once(world, done):
    metainfo, data, machine = await sharing(world, "", size=2 << 20)
    async with background() as nursery, session_on(machine, upload_slots=1) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        talks = []
        for _ in range(8):
            talk = await Stranger(world.host(), metainfo.info, has=0).call(nursery, where(machine, session))
            await talk.say(wm.Interested())
            talks.append(talk)
        while talks:
            await until(lambda: any(talk.all(wm.Unchoke) for talk in talks))
            (served,) = [talk for talk in talks if talk.all(wm.Unchoke)]
            talks.remove(served)
            await trio.sleep(0.13)  # so that the session's tick is now near and now far
            if done == "gone":
                served.stream.close()
            else:
                await served.say(wm.NotInterested())
            await trio.sleep(0.1)
            assert sum(bool(talk.all(wm.Unchoke)) for talk in talks) == bool(talks)


@simulated()
async def test_no_slots_no_upload(world):
    metainfo, data, machine = await sharing(world, "")
    async with background() as nursery, session_on(machine, upload_slots=0) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        talk = await Stranger(world.host(), metainfo.info, has=0).call(nursery, where(machine, session))
        await talk.say(wm.Interested())
        await trio.sleep(100)
        assert talk.all(wm.Unchoke) == []
