"""What a session has of its own to be found by: the port in the gateway and what others are told of it."""

import trio

import torrentlite as tl
from tests.net.portmap.scripted import ALL, OUTSIDE, ScriptedGateway
from tests.strangers import Stranger, background, session_on, simulated, until, where
from tests.swarm.dhtworld import dht
from torrentlite.limits import MAP_GATEWAY_CHECK, OUTAGE, ROUTE_CHECK
from torrentlite.wire import messages as wm


async def behind(world, nursery, **options):
    """A machine behind a scripted gateway; in this world the way out is not through it, which does not matter here."""
    router = world.host("192.168.1.1", latency=0.001)
    gateway = ScriptedGateway(router.network, "192.168.1.1", speaks=ALL, **options)
    await nursery.start(gateway.serve)
    machine = world.host("192.168.1.2", "40.0.0.2", latency=0.001)
    machine.gateway = lambda: gateway.gateway
    return gateway, machine


@simulated()
async def test_the_port_outside_is_what_others_are_told(world):
    tracker = world.tracker()
    metainfo, data = world.torrent(300_000, trackers=[tracker.url])
    async with background() as nursery, dht(world) as nodes:
        gateway, machine = await behind(world, nursery)
        machine.put(metainfo.info, data)
        gateway.conflicts.add(50000)  # somebody else has it outside
        async with session_on(machine, port=50000, bootstrap=nodes.bootstrap) as session:
            torrent = session.add(metainfo)
            await until(lambda: session.stats().port_map.state == "mapped")
            mapped = session.stats().port_map
            assert mapped.tcp_port != 50000
            assert mapped.external_host == OUTSIDE
            await until(lambda: nodes.stored(metainfo.info.hashes.wire))
            await trio.sleep(120)
            assert tracker.announces[-1].peer.port == mapped.tcp_port
            (stored,) = [
                each for each in nodes.stored(metainfo.info.hashes.wire) if each.endswith(f":{mapped.tcp_port}")
            ]
            assert stored
            # Who is outside hears of that port too, who is at home of the real one.
            for host, port in (("50.0.0.1", mapped.tcp_port), ("192.168.1.9", 50000)):
                stranger = Stranger(world.host(host), metainfo.info, has=0)
                address = "40.0.0.2" if host.startswith("50") else "192.168.1.2"
                talk = await stranger.call(nursery, (address, 50000))
                (said,) = await heard(talk, wm.ExtendedHandshake)
                assert said.port == port
            assert torrent.state is tl.State.SEEDING
            began = trio.current_time()
        assert gateway.mappings == {}, "closed on leaving"
        last = tracker.announces[-1]
        assert (last.event, last.peer.port) == ("stopped", mapped.tcp_port), "or it would not know who that is"
        assert trio.current_time() - began < 5
        assert session.stats().port_map.state == "off"


async def heard(talk, kind):
    await until(lambda: any(isinstance(message, kind) for message in talk.heard))
    return [message for message in talk.heard if isinstance(message, kind)]


@simulated()
async def test_the_gateway_has_restarted_while_we_slept(world):
    """It has no port open any more, and another address: it is asked soon, and trackers are told when it has said so."""
    tracker = world.tracker()
    metainfo, _ = world.torrent(300_000, trackers=[tracker.url])
    slept = 0.0
    async with background() as nursery:
        gateway, machine = await behind(world, nursery)
        machine.asleep = lambda: slept
        async with session_on(machine, dht=False) as session:
            session.add(metainfo)
            await until(lambda: session.stats().port_map.state == "mapped")
            await trio.sleep(OUTAGE)
            gateway.mappings.clear()
            gateway.external = "12.9.9.9"
            slept = 8 * 3600.0
            await until(lambda: session.stats().port_map.external_host == "12.9.9.9", within=MAP_GATEWAY_CHECK + 30)
            assert gateway.mappings
            count = len(tracker.announces)
            await until(lambda: len(tracker.announces) > count, within=2 * OUTAGE + ROUTE_CHECK)


@simulated()
async def test_a_gateway_that_hangs_does_not_hold_up_leaving(world):
    async with background() as nursery:
        gateway, machine = await behind(world, nursery)
        async with session_on(machine) as session:
            await until(lambda: session.stats().port_map.state == "mapped")
            gateway.network.plugged = False
            began = trio.current_time()
        assert trio.current_time() - began <= 2.1


@simulated()
async def test_what_is_switched_off_or_bound_to_loopback_does_nothing(world):
    async with background() as nursery:
        gateway, machine = await behind(world, nursery)
        async with session_on(machine, port_map=False, lsd=False) as session:
            await trio.sleep(60)
            stats = session.stats()
            assert (stats.port_map.state, stats.port_map.message) == ("off", "switched off")
            assert (stats.lsd.state, stats.dht.state) == ("off", "off")
        async with session_on(machine, host="127.0.0.1") as session:
            await trio.sleep(60)
            assert session.stats().port_map.message == "bound to loopback"
            assert session.stats().lsd.message == "bound to loopback"
        assert gateway.heard == []
    async with session_on(world.host()) as session:
        await trio.sleep(60)
        assert session.stats().port_map.state == "no gateway"
        assert session.stats().lsd.state == "none"


@simulated()
async def test_each_side_tells_where_its_node_is(world):
    metainfo, data = world.torrent(100_000)
    machine = world.host()
    machine.put(metainfo.info, data)
    async with background() as nursery, session_on(machine, bootstrap=()) as session:
        session.add(metainfo)
        await until(lambda: session.torrents[0].state is tl.State.SEEDING)
        stranger = Stranger(world.host(), metainfo.info, has=0)
        talk = await stranger.call(nursery, where(machine, session))
        assert talk.theirs.dht
        await trio.sleep(5)
        assert not any(isinstance(message, wm.Port) for message in talk.heard), "it has not said that it has a node"
        # It names doors of others, one after the other: only one is knocked at.
        for port in range(7000, 7100):
            await talk.say(wm.Port(port))
        await trio.sleep(30)
        asked = session._commons.dht.node._core.upkeeps[False]._addresses
        assert {(address.host, address.port) for address in asked} == {(stranger.machine.network.ip, 7000)}
