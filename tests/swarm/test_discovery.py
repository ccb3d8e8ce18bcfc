"""Where peers come from: trackers over HTTP and UDP, names, links. What they are told, and when."""

import pytest
import trio

import torrentlite as tl
from tests.strangers import Stranger, background, session_on, simulated, until, where
from torrentlite import bencode
from torrentlite.limits import (
    HAND_NAMES_AT_ONCE,
    MIN_ANNOUNCE_INTERVAL,
    NAMES_AT_ONCE,
    SLOW_TRACKER,
    STOP_TIMEOUT,
    TICK,
)
from torrentlite.testing import run_simulation
from torrentlite.wire.address import Scope


def told(tracker):
    return [(announce.event, announce.left) for announce in tracker.announces]


@pytest.mark.parametrize("scheme", ["url", "udp_url"])
@simulated()
async def test_what_a_tracker_is_told_during_a_life(world, scheme):
    tracker = world.tracker()
    metainfo, data = world.torrent(300_000, trackers=[getattr(tracker, scheme)])
    seed, machine = world.host(up=100_000), world.host()
    seed.put(metainfo.info, data)
    async with session_on(seed) as sharing:
        shared = sharing.add(metainfo)
        await shared.wait_complete()
        await until(lambda: len(tracker.announces) == 1)
        async with session_on(machine) as session:
            torrent = session.add(metainfo)
            assert torrent.trackers()[0].state in ("waiting", "announcing")
            await torrent.wait_complete()
            await trio.sleep(1)
            (row,) = torrent.trackers()
            assert (row.state, row.seeders, row.leechers, row.failures) == ("ok", 2, 0, 0)
            assert row.next_announce > 100
            (peer,) = torrent._life.swarm.peerlist
            assert (peer.source, str(peer.address)) == ("tracker", f"{seed.network.ip}:{sharing.port}")
            torrent.pause()
            await trio.sleep(1)
            torrent.resume()
            await trio.sleep(2)
    mine = [announce for announce in tracker.announces if announce.peer.host == machine.network.ip]
    assert [(a.event, a.left) for a in mine] == [
        ("started", 300_000), ("completed", 0), ("stopped", 0), ("started", 0), ("stopped", 0),
    ]  # fmt: skip
    assert mine[1].downloaded == 300_000
    assert mine[1].uploaded == 0
    assert all(announce.peer.port == session.port for announce in mine)
    first = [announce for announce in tracker.announces if announce.peer.host == seed.network.ip]
    assert [(a.event, a.left) for a in first] == [("started", 0), ("stopped", 0)]
    assert first[1].uploaded == 300_000


@pytest.mark.parametrize("scheme", ["url", "udp_url"])
@pytest.mark.parametrize("wish", ["pause", "remove", "leave"])
def test_who_goes_while_an_announce_is_under_way_says_so(wish, scheme):
    """A tracker that still counted us might say that we fetch it elsewhere."""

    async def run(world, moment):
        tracker = world.tracker()
        metainfo, _ = world.torrent(100_000, trackers=[getattr(tracker, scheme)])
        async with session_on(world.host(latency=0.4)) as session:
            torrent = session.add(metainfo)
            await trio.sleep(moment)
            if wish == "pause":
                torrent.pause()
                await trio.sleep(10)
                assert torrent.trackers()[0].state == "waiting"
            elif wish == "remove":
                await session.remove(torrent)
        await trio.sleep(10)
        assert tracker.peers(metainfo.info.hashes.wire) == ()
        return [event for event, _ in told(tracker)]

    said = [run_simulation(run, number * 0.2) for number in range(15)]
    assert ["started", "stopped"] in said
    assert all(events in ([], ["started", "stopped"], ["stopped"]) for events in said)


@simulated()
async def test_who_leaves_does_not_wait_for_a_tracker_that_has_never_answered(world):
    tracker = world.tracker()
    tracker.silent = True
    metainfo, _ = world.torrent(trackers=[tracker.url])
    async with session_on(world.host()) as session:
        torrent = session.add(metainfo)
        await trio.sleep(SLOW_TRACKER + 2)
        assert torrent.trackers()[0].state == "announcing"
        began = trio.current_time()
    assert trio.current_time() - began < 1


@pytest.mark.parametrize("gap", [0, 1, 100])
@pytest.mark.parametrize("stay", [0.1, 5])
@simulated()
async def test_after_a_pause_those_are_called_at_once_who_were_here(world, stay, gap):
    metainfo, data = world.torrent(3_000_000)
    seed, machine = world.host(up=100_000), world.host()
    seed.put(metainfo.info, data)
    async with session_on(seed) as sharing, session_on(machine) as session:
        await sharing.add(metainfo).wait_complete()
        torrent = session.add(metainfo, peers=[where(seed, sharing)])
        await until(torrent.peers)
        await trio.sleep(stay)
        torrent.pause()
        await trio.sleep(gap)
        torrent.resume()
        await trio.sleep(2 * TICK)
        assert len(torrent.peers()) == 1


@pytest.mark.parametrize("gap", [0, 0.03])
@simulated()
async def test_a_tracker_hears_started_after_stopped(world, gap):
    tracker = world.tracker()
    metainfo, _ = world.torrent(trackers=[tracker.url])
    async with session_on(world.host()) as session:
        torrent = session.add(metainfo)
        await trio.sleep(2 * MIN_ANNOUNCE_INTERVAL)
        torrent.pause()
        await trio.sleep(gap)
        torrent.resume()
        await trio.sleep(2 * MIN_ANNOUNCE_INTERVAL)
        assert [event for event, _ in told(tracker)] == ["started", "stopped", "started"]


@simulated()
async def test_a_tracker_added_later_and_asked_by_hand(world):
    one, two = world.tracker(), world.tracker()
    metainfo, data = world.torrent(trackers=[one.url])
    async with session_on(world.host()) as session:
        torrent = session.add(metainfo)
        await until(lambda: one.announces)
        assert two.announces == []
        torrent.add_tracker(two.udp_url)
        torrent.add_tracker(two.udp_url)
        await until(lambda: two.announces)
        assert len(torrent.trackers()) == 2
        await trio.sleep(5)
        torrent.announce()
        await trio.sleep(5)
        assert len(one.announces) == 1, "not more often than it allows"
        await trio.sleep(MIN_ANNOUNCE_INTERVAL)
        assert (len(one.announces), len(two.announces)) == (2, 2)


@simulated()
async def test_a_tracker_that_refuses_and_one_that_is_silent(world):
    bad, mute, good = world.tracker(), world.tracker(), world.tracker()
    bad.failure = "go away \x1b[31mnow"
    mute.silent = True
    metainfo, data = world.torrent(100_000, trackers=[[bad.url], [mute.url], [good.url]])
    seed = world.host()
    seed.put(metainfo.info, data)
    got = []
    async with background() as nursery, session_on(seed) as sharing, session_on(world.host()) as session:
        sharing.add(metainfo, trackers=[good.url])
        torrent = session.add(metainfo)

        async def read():
            async with torrent.events() as events:
                got.extend([event async for event in events])

        nursery.start_soon(read)
        with trio.fail_after(20):
            await torrent.wait_complete()
        rows = {row.state: row for row in torrent.trackers()}
        assert "go away" in rows["failed"].message
        assert "\x1b" not in rows["failed"].message
        await trio.sleep(60)
        left_at = trio.current_time()
    assert trio.current_time() - left_at <= STOP_TIMEOUT + 1, "who is silent does not hold us up"
    await trio.sleep(1)
    replies = [event for event in got if isinstance(event, tl.TrackerReplied)]
    assert {reply.ok for reply in replies} == {True, False}


@simulated()
async def test_all_trackers_fail_and_why(world):
    tracker = world.tracker()
    tracker.failure = "not registered"
    metainfo, data = world.torrent(trackers=[tracker.url])
    async with session_on(world.host()) as session:
        torrent = session.add(metainfo)
        await trio.sleep(30)
        why = torrent.why()
        assert why.reason is tl.Reason.TRACKERS_FAIL
        assert "not registered" in why.message


@simulated()
async def test_a_refusal_is_said_at_once_where_nobody_else_is_asked(world):
    tracker = world.tracker()
    tracker.failure = "not registered"
    metainfo, data = world.torrent(trackers=[tracker.url])
    async with session_on(world.host()) as session:
        torrent = session.add(metainfo)
        await until(lambda: torrent.why().reason is tl.Reason.TRACKERS_FAIL, within=3)
        assert torrent.why().message == "the tracker fails: not registered"


@simulated()
async def test_who_has_not_answered_yet_did_not_say_that_he_knows_nobody(world):
    # A UDP tracker that is not there is silent, and asked again for a minute (BEP 15).
    metainfo, data = world.torrent(trackers=["udp://11.200.0.1:6969/announce"])
    async with session_on(world.host()) as session:
        torrent = session.add(metainfo)
        await trio.sleep(21)
        why = torrent.why()
        assert (why.reason, why.message) == (tl.Reason.NO_PEERS, "the tracker has not answered yet")
    tracker = world.tracker()
    metainfo, data = world.torrent(trackers=[tracker.url])
    async with session_on(world.host()) as session:
        torrent = session.add(metainfo)
        await trio.sleep(21)
        assert torrent.why().message == "nobody who was asked knows a peer"


@simulated()
async def test_who_answers_and_does_not_share_this_was_reached(world):
    metainfo, data = world.torrent()
    other = world.host()
    async with session_on(other) as sharing, session_on(world.host()) as session:
        torrent = session.add(metainfo, peers=[where(other, sharing)])
        await trio.sleep(21)
        why = torrent.why()
        assert why.reason is tl.Reason.UNREACHABLE
        assert why.message == "1 peer known; it was reached, and gave no handshake: it may not share this"
        assert dict(why.evidence)["reached"] == 1
        other.network.plugged = False
        await trio.sleep(300)
        assert torrent.why().message.startswith("1 peer known, none could be reached")


@simulated()
async def test_peers_by_name(world):
    metainfo, data = world.torrent(100_000)
    seed = world.host()
    seed.put(metainfo.info, data)
    world.network.names["seed.example"] = (seed.network.ip,)
    async with session_on(seed) as sharing, session_on(world.host()) as session:
        sharing.add(metainfo)
        torrent = session.add(metainfo, peers=[("nowhere.example", 5), ("seed.example", sharing.port)])
        await torrent.wait_complete()


@simulated()
async def test_names_without_end(world):
    """A person may name as many as he likes, and again: each is looked up, in its turn, and not twice at a time."""
    looked_up, under_way, most = [], 0, 0
    metainfo, data = world.torrent(100_000)
    seed = world.host()
    seed.put(metainfo.info, data)
    async with session_on(seed) as sharing, session_on(machine := world.host()) as session:
        sharing.add(metainfo)
        real = machine.network.resolve

        async def resolve(host, port, *, within):
            nonlocal under_way, most
            looked_up.append(host)
            under_way += 1
            most = max(most, under_way)
            try:
                return await real(host, port, within=within)
            finally:
                under_way -= 1

        machine.network.resolve = resolve
        torrent = session.add(metainfo)
        names = [f"host{number}.example" for number in range(600)]
        for host in names * 2:
            torrent.add_peer(host, 80)
        await trio.sleep(5)
        assert set(looked_up) == set(names)
        assert most == HAND_NAMES_AT_ONCE
        world.network.names["host0.example"] = (seed.network.ip,)
        torrent.add_peer("host0.example", sharing.port)
        await torrent.wait_complete()


@simulated()
async def test_the_names_of_a_link_are_looked_up_each_time_it_is_resumed(world):
    """The machine behind a name may have moved meanwhile, and no number of pauses uses them up."""
    metainfo, data = world.torrent(100_000)
    seed = world.host()
    seed.put(metainfo.info, data)
    link = metainfo.magnet + "".join(f"&x.pe=host{number}.example:6881" for number in range(100))
    async with session_on(seed, port=6881) as sharing, session_on(world.host()) as session:
        sharing.add(metainfo)
        torrent = session.add(link)
        for _ in range(3):
            await trio.sleep(5)
            torrent.pause()
            torrent.resume()
        world.network.names["host99.example"] = (seed.network.ip,)
        torrent.pause()
        torrent.resume()
        await torrent.wait_complete()


@pytest.mark.parametrize("what", ["peers of a link", "nodes of a .torrent"])
@simulated()
async def test_few_names_of_a_link_or_a_torrent_are_looked_up_at_once(world, what):
    """Each holds a thread as long as a name server is silent; what the user names, and trackers, do not wait for them."""
    metainfo, _ = world.torrent(100_000, trackers=["http://tracker.example/announce"])
    world.network.name_delay = 30
    machine = world.host()
    under_way, most, looked_up = 0, 0, {}
    real = machine.network.resolve

    async def resolve(host, port, *, within):
        nonlocal under_way, most
        looked_up[host] = trio.current_time()
        evil = host.endswith("evil.example")
        under_way += evil
        most = max(most, under_way)
        try:
            return await real(host, port, within=within)
        finally:
            under_way -= evil

    machine.network.resolve = resolve
    names = [(f"{number}.evil.example", 80) for number in range(20)]
    async with session_on(machine, bootstrap=(("11.5.5.5", 6881),)) as session:
        if what == "peers of a link":
            session.add("magnet:?xt=urn:btih:" + "ab" * 20 + "".join(f"&x.pe={host}:{port}" for host, port in names))
        else:
            evil, _ = world.torrent(100_000, name="evil")
            raw = bencode.decode(evil.encode())
            session.add(bencode.encode({**raw, b"nodes": [list(name) for name in names]}))
        await trio.sleep(5)
        began = trio.current_time()
        torrent = session.add(metainfo)
        await torrent.wait_checked()
        torrent.add_peer("friend.example", 80)
        await trio.sleep(5)
        assert max(looked_up["tracker.example"], looked_up["friend.example"]) < began + 5
        await trio.sleep(30 * len(names))
    assert most == NAMES_AT_ONCE
    assert {host for host, _ in names} <= set(looked_up)


@pytest.mark.parametrize(
    ("ip", "dialled"), [("11.3.3.3", True), ("10.3.3.3", False), ("169.254.169.254", False), ("127.0.0.1", False)]
)
@simulated()
async def test_what_a_public_tracker_may_name(world, ip, dialled):
    """Nobody outside can point us at what is inside."""
    tracker = world.tracker()
    metainfo, data = world.torrent(trackers=[tracker.url])
    async with session_on(world.host()) as session:
        torrent = session.add(metainfo)
        await until(lambda: torrent.trackers()[0].state == "ok")
        torrent._life.swarm.owner.peers_found((tl.session.Address(ip, 80),), "tracker", Scope.PUBLIC)
        await trio.sleep(5)
    assert bool(world.trace.counts["unanswered"] + world.trace.counts["refused"]) is dialled


@simulated()
async def test_peers_of_a_link_may_be_at_home_but_not_in_this_machine(world):
    metainfo, data = world.torrent(100_000)
    seed = world.host("10.4.4.4")
    seed.put(metainfo.info, data)
    machine = world.host("10.4.4.5")
    async with session_on(seed) as sharing, session_on(machine) as session:
        sharing.add(metainfo)
        (listener,) = await machine.network.listen("127.0.0.1", 4000, fallback=False)
        link = f"{metainfo.magnet}&x.pe=127.0.0.1:4000&x.pe=10.4.4.4:{sharing.port}"
        torrent = session.add(link)
        await torrent.wait_complete()
        assert torrent.peers() == () or {peer.source for peer in torrent.peers()} == {"magnet"}
        assert not listener._queue
        listener.close()


@simulated()
async def test_an_announce_that_meets_a_bug_of_ours_is_contained(world):
    tracker, other = world.tracker(), world.tracker()
    metainfo, data = world.torrent(100_000, trackers=[tracker.url])
    seed = world.host()
    seed.put(metainfo.info, data)
    async with session_on(seed) as sharing, session_on(world.host(), bugs=2) as session:
        sharing.add(metainfo)
        torrent = session.add(metainfo, trackers=[other.url])
        client = torrent._life.swarm.commons.trackers
        await until(lambda: tracker.announces and other.announces)
        await trio.sleep(1)
        real = client.announce

        async def announce(url, request, *, within):
            if url == tracker.url:
                raise ZeroDivisionError("planted")
            return await real(url, request, within=within)

        client.announce = announce
        await trio.sleep(MIN_ANNOUNCE_INTERVAL)
        torrent.announce()
        await trio.sleep(5)
        assert session.stats().internal_errors == 1
        torrent.add_peer(*where(seed, sharing))
        await torrent.wait_complete()
        await session.remove(torrent)
        assert session.stats().internal_errors == 2
    assert other.announces[-2].event == "stopped" or other.announces[-1].event == "stopped"


@simulated()
async def test_a_private_torrent_gives_nobody_away(world):
    """BEP 27: its peers come from its trackers."""
    tracker = world.tracker()
    metainfo, data = world.torrent(100_000, private=True, trackers=[tracker.url])
    seed = world.host()
    seed.put(metainfo.info, data)
    async with background() as nursery, session_on(seed) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        talks = [
            await Stranger(world.host(), metainfo.info, has=0).call(nursery, where(seed, session)) for _ in range(3)
        ]
        await trio.sleep(200)
        assert torrent.stats().private
        names = {type(message).__name__ for talk in talks for message in talk.heard}
        assert "Pex" not in names


@pytest.mark.parametrize("named", ["hand", "link"])
@simulated()
async def test_a_named_peer_that_is_started_a_little_later(world, named):
    metainfo, data = world.torrent(100_000)
    seed = world.host()
    seed.put(metainfo.info, data)
    place = (seed.network.ip, 6881)
    async with session_on(world.host()) as session:
        if named == "hand":
            torrent = session.add(metainfo, peers=[place])
        else:
            torrent = session.add(tl.Magnet.parse(metainfo.to_magnet(peers=[place])))
        await trio.sleep(7)
        assert torrent.stats().peers == 0
        assert [peer.failures for peer in torrent._life.swarm.peerlist] == [3], "it was tried, and was not there"
        async with session_on(seed, port=6881) as sharing:
            sharing.add(metainfo)
            began = trio.current_time()
            await torrent.wait_complete()
            assert trio.current_time() - began < 5
