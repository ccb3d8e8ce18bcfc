"""The network, a seed, or the wish for more comes back after hours: whom nobody could reach, or needed, is dialled soon."""

import functools
import itertools

import pytest
import trio

import torrentlite as tl
import torrentlite.testing
from tests.strangers import Stranger, background, session_on, until
from tests.swarm.dhtworld import dht
from torrentlite.errors import NetworkError
from torrentlite.limits import (
    DHT_JOIN_RETRY,
    DHT_VOTERS,
    MIN_ANNOUNCE_INTERVAL,
    OUTAGE,
    OUTAGE_PAUSE,
    RETRY_FIRST,
    RETRY_MAX,
    ROUTE_CHECK,
)
from torrentlite.strategy.peerlist import RETRY_ANEW
from torrentlite.swarm.outage import Outage
from torrentlite.swarm.world import seconds_asleep
from torrentlite.testing.swarms import Announce
from torrentlite.wire.address import Address

simulated = functools.partial(torrentlite.testing.simulated, time_limit=86_400)
OUT = 2 * 3600 + 331
HOUR = 3600


async def fetching(world, **settings):
    """A torrent on a tracker with one slow seed, and the machine to fetch it."""
    tracker = world.tracker()
    metainfo, data = world.torrent(2_000_000, trackers=[tracker.url], **settings)
    seed, machine = world.host(up=100_000), world.host()
    seed.put(metainfo.info, data)
    return tracker, metainfo, seed, machine


async def under_way(sharing, session, metainfo):
    """The seed is there first, so that it is called, and known."""
    shared = sharing.add(metainfo)
    await until(lambda: shared.trackers()[0].state == "ok")
    torrent = session.add(metainfo)
    await until(lambda: torrent.stats().done)
    return torrent


def names_nobody(tracker):
    """From now on: some trackers tell of others each time."""
    answer = tracker.announce
    tracker.announce = lambda announce: answer(announce)._replace(peers=[])


async def first(condition):
    """Seconds until it is so; looked at once a second, for it may take hours."""
    began = trio.current_time()
    while not condition():
        await trio.sleep(1)
    return trio.current_time() - began


async def first_bytes(torrent):
    done = torrent.stats().done
    return await first(lambda: torrent.stats().done > done)


@pytest.mark.parametrize("wish", ["announce", "pause and resume"])
@simulated()
async def test_our_network_is_back_and_a_person_says_so(world, wish):
    tracker, metainfo, seed, machine = await fetching(world)
    async with session_on(seed) as sharing, session_on(machine) as session:
        torrent = await under_way(sharing, session, metainfo)
        names_nobody(tracker)
        machine.network.plugged = False
        await trio.sleep(OUT)
        (peer,) = torrent._life.swarm.peerlist
        assert peer.failures > 5, "it waits for an hour"
        machine.network.plugged = True
        if wish == "announce":
            torrent.announce()
        else:
            torrent.pause()
            torrent.resume()
        assert await first_bytes(torrent) < 5


@pytest.mark.parametrize("wish", ["announce", "pause and resume"])
@simulated()
async def test_a_web_seed_is_back_and_a_person_says_so(world, wish):
    metainfo, data = world.torrent(200_000)
    server = world.web_server({}, name="web.example")
    async with session_on(world.host()) as session:
        torrent = session.add(metainfo, web_seeds=["http://web.example/made-up"])
        await trio.sleep(OUT - 300)
        (row,) = torrent.web_seeds()
        assert row.retry_in > 2 * 60
        server.files["/made-up"] = data
        if wish == "announce":
            torrent.announce()
        else:
            torrent.pause()
            torrent.resume()
        began = trio.current_time()
        await torrent.wait_complete()
        assert trio.current_time() - began < 5


@simulated()
async def test_a_person_says_so_a_little_too_early(world):
    """Then the next attempts come as soon as after a first failure."""
    _, metainfo, seed, machine = await fetching(world)
    async with session_on(seed) as sharing, session_on(machine) as session:
        torrent = await under_way(sharing, session, metainfo)
        machine.network.plugged = False
        await trio.sleep(OUT)
        torrent.announce()
        await trio.sleep(20)
        machine.network.plugged = True
        assert await first_bytes(torrent) < 2 * RETRY_ANEW


@pytest.mark.parametrize("private", [False, True])
@simulated()
async def test_our_network_is_back_and_a_tracker_answers(world, private):
    tracker, metainfo, seed, machine = await fetching(world, private=private)
    async with session_on(seed) as sharing, session_on(machine) as session:
        torrent = await under_way(sharing, session, metainfo)
        names_nobody(tracker)
        machine.network.plugged = False
        await trio.sleep(OUT)
        assert torrent.trackers()[0].failures
        machine.network.plugged = True
        await first(lambda: torrent.trackers()[0].state == "ok")
        assert torrent.trackers()[0].peers == 0
        assert await first_bytes(torrent) < 5


async def all_night(world, machine, session, *, fails=True):
    """Private torrents with a tracker each, all of which fail for hours, or answer."""
    torrents = []
    for number in range(3):
        tracker = world.tracker()
        metainfo, _ = world.torrent(100_000, name=f"number {number}", trackers=[tracker.url], private=True)
        torrents.append((session.add(metainfo), tracker))
    await until(lambda: all(torrent.trackers()[0].state == "ok" for torrent, _ in torrents))
    machine.network.plugged = not fails
    await trio.sleep(OUT)
    assert all((torrent.trackers()[0].failures > 5) is fails for torrent, _ in torrents)
    return torrents


@simulated()
async def test_our_network_is_back_and_the_tracker_of_another_torrent_answers(world):
    machine = world.host()
    async with session_on(machine) as session:
        torrents = await all_night(world, machine, session)
        machine.network.plugged = True
        assert await first(lambda: any(tracker.announces[-1].moment > OUT for _, tracker in torrents)) < RETRY_MAX * 1.2
        assert (
            await first(lambda: all(torrent.trackers()[0].state == "ok" for torrent, _ in torrents)) <= RETRY_FIRST + 2
        )


@simulated()
async def test_our_network_is_back_and_a_node_answers(world):
    """No tracker waits for its turn, which comes in half an hour."""
    machine = world.host()
    async with dht(world) as nodes, session_on(machine, bootstrap=nodes.bootstrap) as session:
        torrents = await all_night(world, machine, session)
        machine.network.plugged = True
        took = await first(lambda: all(torrent.trackers()[0].state == "ok" for torrent, _ in torrents))
        assert took < DHT_JOIN_RETRY[-1] * 1.2 + RETRY_FIRST


@pytest.mark.parametrize("change", ["a way out", "another address", "awake"])
@simulated()
async def test_our_network_is_there_again_and_the_system_tells(world, change):
    """With or without a failure: who knows our old address cannot call us, and who has not heard of us has forgotten."""
    machine, slept = world.host(), 0.0
    way_out = machine.network.source_for

    def source_for(to):
        if not machine.network.plugged:
            raise NetworkError("Network is unreachable")
        return "11.99.9.9" if change == "another address" and not to.is_ipv6 else way_out(to)

    machine.asleep = lambda: slept
    async with session_on(machine) as session:
        if change == "a way out":
            machine.network.source_for = source_for
        torrents = await all_night(world, machine, session, fails=change == "a way out")
        due = [len(tracker.announces) + 1 for _, tracker in torrents]
        machine.network.plugged = True
        machine.network.source_for = source_for
        slept = OUTAGE if change == "awake" else 0.0
        took = await first(lambda: [len(tracker.announces) for _, tracker in torrents] == due)
        assert took <= ROUTE_CHECK + 2
        await trio.sleep(5 * ROUTE_CHECK)
        assert [len(tracker.announces) for _, tracker in torrents] == due, "once"


def test_this_machine_does_not_sleep_while_it_runs_tests():
    before = seconds_asleep()
    assert before >= 0
    assert seconds_asleep() - before < 1


@simulated()
async def test_what_is_no_outage(world):
    """Somebody who used to answer has to be missed, and nobody else to be heard of, for long enough."""
    machine = world.host()
    for missed, silent, over in ((True, OUTAGE, True), (True, OUTAGE - 1, False), (False, 10 * OUTAGE, False)):
        outage = Outage(machine, 100.0)
        outage.heard(105.0)
        if missed:
            outage.missed(105.0)
        outage.heard(105.0)  # as before
        outage.heard(105.0 + silent)
        assert (outage.over(), outage.over()) == (over, False)
        outage.heard(1000.0 + silent)
        assert not outage.over()


@simulated()
async def test_a_line_that_comes_and_goes_counts_seldomer_each_time(world):
    machine, turn = world.host(), 0
    outage = Outage(machine, 0.0)
    machine.network.source_for = lambda to: f"11.99.9.{turn}"
    said = []
    for turn in range(1, int(4 * HOUR / ROUTE_CHECK)):
        if outage.moved(turn * ROUTE_CHECK):
            said.append(turn * ROUTE_CHECK)
    pauses = [later - earlier for earlier, later in itertools.pairwise(said)]
    assert pauses[:3] == [OUTAGE, 2 * OUTAGE, 4 * OUTAGE]
    assert max(pauses) == OUTAGE_PAUSE
    last = said[-1] + OUTAGE_PAUSE
    assert outage.moved(last), "the change that waited"
    assert not outage.moved(last + 9 * OUTAGE_PAUSE)
    turn += 1
    last += 10 * OUTAGE_PAUSE
    assert outage.moved(last), "it was calm"
    turn += 1
    assert not outage.moved(last + OUTAGE - 1)
    assert outage.moved(last + OUTAGE + ROUTE_CHECK), "and is not forgotten"


@simulated()
async def test_the_dead_who_are_still_connected_are_not_heard_of(world):
    """A tracker fails while the system has not given up the connections: the outage is one all the same."""
    tracker = world.tracker()
    metainfo, data = world.torrent(200_000, trackers=[tracker.url])
    tracker.interval = 60  # so that it is missed before the connections are
    seed, machine = world.host(), world.host()
    seed.put(metainfo.info, data)
    async with session_on(seed, dht=False) as sharing, session_on(machine, dht=False, download_limit=1) as session:
        shared = sharing.add(metainfo)
        await until(lambda: shared.trackers()[0].state == "ok")
        torrent = session.add(metainfo)
        await until(torrent.peers)
        names_nobody(tracker)
        machine.network.plugged = False
        await until(lambda: torrent.trackers()[0].failures, within=120)
        assert torrent.peers(), "or this shows nothing"
        await trio.sleep(2 * HOUR)
        machine.network.plugged = True
        await first(lambda: torrent.trackers()[0].state == "ok")
        assert await first(torrent.peers) < 5


@simulated()
async def test_a_seed_is_back_and_a_tracker_names_it_again(world):
    """All the while the tracker has answered, so nothing was wrong here."""
    tracker = world.tracker()
    metainfo, data = world.torrent(2_000_000, trackers=[tracker.url])
    async with background() as nursery, session_on(world.host()) as session:
        seed = await Stranger(world.host(up=100_000), metainfo.info, data).serve(nursery)
        here = Address(*seed.place), seed.peer_id, metainfo.info.hashes.wire, "", 0, 0, 0, 0, "http"
        tracker.announce(Announce(trio.current_time(), *here))
        torrent = session.add(metainfo)
        await until(lambda: torrent.stats().done)
        seed.machine.network.plugged = False
        await trio.sleep(OUT)
        assert torrent.trackers()[0].peers == 0
        (peer,) = torrent._life.swarm.peerlist
        assert peer.failures > 5
        seed.machine.network.plugged = True
        tracker.announce(Announce(trio.current_time(), *here))
        await first(lambda: torrent.trackers()[0].peers)
        assert await first_bytes(torrent) < 5


@pytest.mark.parametrize("more", ["select", "read", "recheck"])
@simulated()
async def test_a_complete_torrent_wants_more_after_hours(world, more):
    """Seeds were of no use to it, and sent away each time."""
    tracker = world.tracker()
    metainfo, data = world.torrent(100_000, 200_000, trackers=[tracker.url])
    seed, machine = world.host(), world.host()
    seed.put(metainfo.info, data)
    async with session_on(seed) as sharing, session_on(machine) as session:
        sharing.add(metainfo)
        torrent = session.add(metainfo, select=[0])
        await torrent.wait_complete()
        await trio.sleep(OUT)
        (peer,) = torrent._life.swarm.peerlist
        assert peer.retry_at - trio.current_time() > 5 * 60
        began = trio.current_time()
        if more == "select":
            torrent.select_files(None)
            await torrent.wait_complete()
        elif more == "read":
            async with torrent.open(1) as file:
                file.seek(100_000)
                assert await file.read(1000) == data[200_000:201_000]
        else:
            machine.disk.storage(metainfo.info).fill(bytes(len(data)))
            torrent.recheck()
            await torrent.wait_complete()
        assert trio.current_time() - began < 5


@simulated()
async def test_the_dead_are_not_hammered(world):
    """A tracker names them each time, and a program wishes all the time."""
    tracker = world.tracker()
    metainfo, _ = world.torrent(100_000, trackers=[tracker.url])
    machine, dead = world.host(), Address("11.9.9.9", 6881)
    dial, dialled = machine.network.connect, []

    async def connect(address, **kinds):
        dialled.extend([address] if address == dead else [])
        return await dial(address, **kinds)

    machine.network.connect = connect
    hash_ = metainfo.info.hashes.wire
    async with session_on(machine) as session:
        torrent = session.add(metainfo)
        for _ in range(HOUR):
            tracker.announce(Announce(trio.current_time(), dead, bytes(20), hash_, "", 0, 0, 0, 0, "http"))
            torrent.announce()
            await trio.sleep(1)
        asked = [announce for announce in tracker.announces if announce.peer != dead]
        assert torrent.trackers()[0].peers == 1
        assert torrent.why().reason is tl.Reason.UNREACHABLE
    assert len(asked) <= HOUR / MIN_ANNOUNCE_INTERVAL + 2
    assert 10 < len(dialled) <= HOUR / RETRY_ANEW + 2


@simulated()
async def test_our_router_has_dialled_in_anew_and_nodes_tell(world):
    """Our own address is the same, and nobody failed: but trackers would send others to the old one for half an hour."""
    router = world.network.router("12.1.1.1")
    machine = world.host(router=router)
    async with dht(world, DHT_VOTERS + 1) as nodes, session_on(machine, bootstrap=nodes.bootstrap) as session:
        torrents = await all_night(world, machine, session, fails=False)
        assert session.stats().dht.external_hosts == ("12.1.1.1",)
        await first(lambda: all(tracker.announces[-1].moment > OUT for _, tracker in torrents))  # none is due
        router.renumber("12.2.2.2")
        await first(lambda: session.stats().dht.external_hosts == ("12.2.2.2",))
        took = await first(lambda: all(tracker.announces[-1].peer.host == "12.2.2.2" for _, tracker in torrents))
        assert took <= ROUTE_CHECK + MIN_ANNOUNCE_INTERVAL


@simulated()
async def test_who_says_what_address_we_have(world):
    outage, now = Outage(world.host(), 0.0), 0.0

    def moved(*said):
        nonlocal now
        now += 11 * OUTAGE
        for teller, host in said:
            outage.seen_as(teller, host)
        return outage.moved(now)

    assert not moved(("gateway", "12.1.1.1"), ("4", "12.1.1.1"), ("6", "2a00::1")), "the first is no news"
    assert not moved(("gateway", "12.1.1.1"))
    assert moved(("4", "12.2.2.2"))
    assert not moved(("gateway", "12.2.2.2")), "told already"
