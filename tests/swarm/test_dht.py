"""Sessions that meet through the DHT (BEP 5), with nothing but an info-hash."""

import dataclasses

import pytest
import trio

import torrentlite as tl
from tests.strangers import session_on, simulated, until, where
from tests.swarm.dhtworld import dht
from torrentlite.limits import DHT_ANNOUNCE_INTERVAL, DHT_LONELY, DHT_LONELY_FOR, DHT_LONELY_LATER
from torrentlite.stats import PortMapStats


@pytest.mark.parametrize("ipv6", [False, True])
@simulated()
async def test_a_bare_magnet_is_enough(world, ipv6):
    metainfo, data = world.torrent(300_000)
    hosts = ("2b00:1::1", "2b00:2::1") if ipv6 else ("40.0.0.1", "41.0.0.1")
    giver, taker = world.host(hosts[0]), world.host(hosts[1])
    giver.put(metainfo.info, data)
    async with (
        dht(world, ipv6=ipv6) as nodes,
        session_on(giver, bootstrap=nodes.bootstrap) as sharing,
        session_on(taker, bootstrap=nodes.bootstrap) as session,
    ):
        shared = sharing.add(metainfo)
        await until(lambda: nodes.stored(metainfo.info.hashes.wire))
        fetched = session.add(f"magnet:?xt=urn:btih:{metainfo.info_hash}")
        async with fetched.events() as events:
            with trio.fail_after(20):
                await fetched.wait_complete()
            (found,) = [event async for event in take(events, tl.PeersFound, 1)]
        assert found.source == "dht"
        assert [peer.source for peer in fetched.peers()] in (["dht"], [])
        (known,) = fetched._life.swarm.peerlist
        assert (known.source, known.address.host) == ("dht", hosts[0])
        row = fetched.sources()[0]
        assert row.source == "dht"
        stats = session.stats().dht
        assert stats.state == "joined"
        assert (stats.nodes6 if ipv6 else stats.nodes) >= 4
        assert f"IPv{6 if ipv6 else 4}" in stats.message
        # Whoever has the metadata announces, and says whether it is a seed.
        await until(lambda: len(nodes.stored(metainfo.info.hashes.wire)) == 2)
        assert shared.sources()[0].message.endswith("know of us")


async def take(events, kind, count):
    async for event in events:
        if isinstance(event, kind):
            yield event
            count -= 1
            if not count:
                return


@simulated()
async def test_a_magnet_asks_but_does_not_announce_before_it_is_known_not_to_be_private(world):
    metainfo, _ = world.torrent()
    async with dht(world) as nodes, session_on(world.host(), bootstrap=nodes.bootstrap) as session:
        torrent = session.add(f"magnet:?xt=urn:btih:{metainfo.info_hash}")
        await until(lambda: torrent.sources()[0].state == "ok")
        await trio.sleep(2 * DHT_ANNOUNCE_INTERVAL)
        asked = sum(node.stats().counters.queries_received for node in nodes)
        assert asked > 0
        assert nodes.stored(metainfo.info.hashes.wire) == set()
        assert torrent.why().reason is tl.Reason.NO_PEERS


@simulated(time_limit=9 * 3600)
async def test_it_is_announced_again_every_quarter_of_an_hour_and_not_after_a_pause(world):
    metainfo, data = world.torrent(100_000)
    machine = world.host("40.0.0.1")
    machine.put(metainfo.info, data)
    async with dht(world) as nodes, session_on(machine, bootstrap=nodes.bootstrap) as session:
        torrent = session.add(metainfo)
        name = f"40.0.0.1:{session.port}"
        await until(lambda: nodes.stored(metainfo.info.hashes.wire) == {name})
        # Nodes forget after 45 minutes.
        await trio.sleep(5 * 3600)
        assert nodes.stored(metainfo.info.hashes.wire) == {name}
        row = torrent.sources()[0]
        assert 0 <= row.next_search <= DHT_ANNOUNCE_INTERVAL
        torrent.pause()
        assert torrent.sources()[0].state == "off"
        await trio.sleep(3600)
        assert nodes.stored(metainfo.info.hashes.wire) == set()
        torrent.resume()
        await until(lambda: nodes.stored(metainfo.info.hashes.wire) == {name})


@simulated(time_limit=9000)
async def test_a_seed_that_is_alone_looks_around_so_often(world):
    """Of several, as many times as seldom; with a peer as seldom as everybody."""
    metainfos = [world.torrent(100_000, name=f"number {number}") for number in range(3)]
    machine, other = world.host("40.0.0.1"), world.host("41.0.0.1")
    for metainfo, data in metainfos:
        machine.put(metainfo.info, data)
    async with dht(world) as nodes, session_on(machine, bootstrap=nodes.bootstrap) as session:
        first = session.add(metainfos[0][0])
        await until(lambda: first.sources()[0].next_search > 0)
        assert first.sources()[0].next_search <= DHT_LONELY
        for metainfo, _ in metainfos[1:]:
            session.add(metainfo)
        await trio.sleep(2 * DHT_LONELY)
        await until(lambda: first.sources()[0].next_search > DHT_LONELY, within=3 * DHT_LONELY)
        assert first.sources()[0].next_search <= 3 * DHT_LONELY
        async with session_on(other, dht=False, download_limit=1) as fetching:
            fetching.add(metainfos[0][0], peers=[where(machine, session)])
            await until(first.peers)
            first.announce()
            await until(lambda: first.sources()[0].next_search > 4 * DHT_LONELY)


@simulated(time_limit=9000)
async def test_a_seed_that_is_left_alone_looks_around_soon_and_seldomer_after_an_hour(world):
    metainfo, data = world.torrent(100_000)
    machine = world.host("40.0.0.1")
    machine.put(metainfo.info, data)
    async with dht(world) as nodes, session_on(machine, bootstrap=nodes.bootstrap) as session:
        torrent = session.add(metainfo)
        async with session_on(world.host("41.0.0.1"), dht=False, download_limit=1) as fetching:
            fetching.add(metainfo, peers=[where(machine, session)])
            await until(torrent.peers)
            torrent.announce()
            await until(lambda: torrent.sources()[0].next_search > 4 * DHT_LONELY)
        await until(lambda: not torrent.peers())
        await trio.sleep(0.1)
        assert 0 < torrent.sources()[0].next_search <= DHT_LONELY
        await trio.sleep(DHT_LONELY_FOR + DHT_LONELY)
        await until(lambda: torrent.sources()[0].next_search > DHT_LONELY, within=DHT_LONELY_LATER)
        assert torrent.sources()[0].next_search <= DHT_LONELY_LATER


@pytest.mark.parametrize(("external", "implied"), [("", True), ("100.64.7.7", True), ("40.0.0.9", False)])
@simulated()
async def test_a_gateway_behind_another_one_opens_nothing(world, external, implied):
    metainfo, _ = world.torrent(100_000)
    async with session_on(world.host(), dht=False) as session:
        torrent = session.add(metainfo)
        mapped = {"state": "mapped", "tcp_port": 7000, "udp_port": 7000} if external else {}
        session._commons.port_map = PortMapStats(external_host=external, **mapped)
        assert torrent._life.discovery._owner.port_is_implied is implied


@pytest.mark.parametrize("utp", ["allow", "off"])
@simulated()
async def test_behind_a_router_the_port_that_others_see_is_announced(world, utp):
    """A neighbour has our port there already."""
    metainfo, data = world.torrent(100_000)
    router = world.network.router("40.0.0.1")
    neighbour, machine = world.host(router=router), world.host(router=router)
    machine.put(metainfo.info, data)
    async with (
        dht(world) as nodes,
        session_on(neighbour, port=7000, bootstrap=nodes.bootstrap),
        session_on(machine, port=7000, bootstrap=nodes.bootstrap, utp=utp) as session,
    ):
        session.add(metainfo)
        await until(lambda: nodes.stored(metainfo.info.hashes.wire))
        (stored,) = nodes.stored(metainfo.info.hashes.wire)
        assert (stored == "40.0.0.1:7000") is (utp == "off")


@simulated()
async def test_who_came_first_is_found_by_who_comes_later_and_soon(world):
    """Both sides are being started: the first search of the one comes before the first announce of the other."""
    metainfo, data = world.torrent(100_000)
    giver = world.host("40.0.0.1")
    giver.put(metainfo.info, data)
    async with dht(world) as nodes, session_on(world.host("41.0.0.1"), bootstrap=nodes.bootstrap) as session:
        torrent = session.add(f"magnet:?xt=urn:btih:{metainfo.info_hash}")
        await until(lambda: torrent.sources()[0].state == "ok")
        async with session_on(giver, bootstrap=nodes.bootstrap) as sharing:
            sharing.add(metainfo)
            with trio.fail_after(30):
                await torrent.wait_complete()


@simulated()
async def test_nodes_of_a_torrent_file_and_port_messages_are_enough_to_join(world):
    metainfo, data = world.torrent(100_000)
    giver, taker, third = world.host("40.0.0.1"), world.host("41.0.0.1"), world.host("42.0.0.1")
    giver.put(metainfo.info, data)
    async with (
        dht(world) as nodes,
        # Nobody to join by (), so these know of the DHT only what torrents and peers tell them.
        session_on(giver, bootstrap=()) as sharing,
        session_on(taker, bootstrap=()) as session,
    ):
        sharing.add(dataclasses.replace(metainfo, nodes=nodes.bootstrap))
        await until(lambda: sharing.stats().dht.state == "joined")
        assert session.stats().dht.state == "joining"
        assert session.stats().dht.message == "nobody is known to join by"
        torrent = session.add(metainfo, peers=[where(giver, sharing)])
        await torrent.wait_complete()
        await until(lambda: session.stats().dht.state == "joined", within=120)
        async with session_on(third, dht=False) as deaf:
            assert deaf.stats().dht.state == "off"


@simulated(time_limit=9000)
async def test_a_private_torrent_is_never_looked_up_nor_announced(world):
    metainfo, data = world.torrent(100_000, private=True)
    machine = world.host()
    machine.put(metainfo.info, data)
    async with dht(world) as nodes, session_on(machine, bootstrap=nodes.bootstrap) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        await until(lambda: session.stats().dht.state == "joined")
        await trio.sleep(3600)
        assert torrent.sources()[0].state == "off"
        assert nodes.stored(metainfo.info.hashes.wire) == set()
        assert not torrent._life.swarm.hello.dht


@simulated()
async def test_why_nothing_happens(world):
    metainfo, _ = world.torrent()
    link = f"magnet:?xt=urn:btih:{metainfo.info_hash}"
    for bootstrap, reason, words in (
        ((("20.9.9.9", 1),), tl.Reason.NO_DHT, "no node of the DHT answers"),
        ((), tl.Reason.NO_SOURCES, "no tracker and no peer is known"),
    ):
        async with session_on(world.host(), bootstrap=bootstrap) as session:
            torrent = session.add(link)
            await trio.sleep(60)
            assert torrent.why().reason is reason
            assert words in torrent.why().message


@simulated()
async def test_a_seed_that_nobody_can_find_says_so(world):
    metainfo, data = world.torrent(100_000)
    for bootstrap, reason in (((("20.9.9.9", 1),), tl.Reason.NO_DHT), ((), tl.Reason.COMPLETE)):
        machine = world.host()
        machine.put(metainfo.info, data)
        async with session_on(machine, bootstrap=bootstrap) as session:
            torrent = session.add(metainfo)
            await torrent.wait_complete()
            assert torrent.why().reason is tl.Reason.COMPLETE, "too early to say"
            await trio.sleep(60)
            assert torrent.why().reason is reason


@simulated()
async def test_in_a_world_without_routers_there_is_no_node(world):
    async with session_on(world.host()) as session:
        stats = session.stats().dht
        assert (stats.state, stats.nodes, stats.nodes6) == ("off", 0, 0)


@simulated()
async def test_routers_of_the_world_are_asked_unless_bound_to_loopback(world):
    async with dht(world) as nodes:
        machine = world.host()
        machine.routers = nodes.bootstrap
        async with session_on(machine) as session:
            await until(lambda: session.stats().dht.state == "joined", within=3)
        machine = world.host()
        machine.routers = nodes.bootstrap
        async with session_on(machine, host="127.0.0.1") as session:
            await trio.sleep(60)
            assert session.stats().dht.state == "joining"


@simulated()
async def test_the_table_is_kept_for_the_next_run(world, tmp_path):
    async with dht(world) as nodes:
        machine = world.host("40.0.0.1")
        async with session_on(machine, bootstrap=nodes.bootstrap, state_dir=tmp_path) as session:
            await until(lambda: session.stats().dht.nodes >= 4)
            own_id = session._commons.dht.node.ids
        async with session_on(machine, bootstrap=(), state_dir=str(tmp_path)) as session:
            await until(lambda: session.stats().dht.state == "joined")
            assert session._commons.dht.node.ids == own_id
            before = (tmp_path / "dht.state").read_bytes()
            # A second one at the same time reads it only, and is another node.
            async with session_on(world.host("41.0.0.1"), bootstrap=(), state_dir=tmp_path) as second:
                await until(lambda: second.stats().dht.state == "joined")
                assert second._commons.dht.node.ids != own_id
            assert (tmp_path / "dht.state").read_bytes() == before


@simulated()
async def test_many_idle_torrents_take_turns(world):
    # (A node stores no more than a hundred torrents of one address, and there are only four.)
    torrents = [world.torrent(16384, name=f"number {number}") for number in range(90)]
    machine = world.host("40.0.0.1")
    for metainfo, data in torrents:
        machine.put(metainfo.info, data)
    async with dht(world) as nodes, session_on(machine, bootstrap=nodes.bootstrap) as session:
        for metainfo, _ in torrents:
            session.add(metainfo)
        most = 0
        for _ in range(600):
            await trio.sleep(0.5)
            most = max(most, session.stats().dht.searches)
        assert 0 < most <= 8, "who is complete leaves seats for others"
        assert all(nodes.stored(metainfo.info.hashes.wire) for metainfo, _ in torrents)


@simulated()
async def test_a_person_may_ask_at_once(world):
    metainfo, data = world.torrent(100_000)
    machine = world.host("40.0.0.1")
    machine.put(metainfo.info, data)
    async with dht(world) as nodes, session_on(machine, bootstrap=nodes.bootstrap) as session:
        torrent = session.add(metainfo)
        await until(lambda: torrent.sources()[0].next_search > DHT_LONELY / 2)
        torrent.announce()
        await until(lambda: torrent.sources()[0].state == "asking", within=2)
        torrent.pause()
        torrent.announce()
        await trio.sleep(60)
        assert torrent.sources()[0].state == "off"
