"""The node on Trio: in the simulated network, and on loopback."""

import asyncio
import contextlib
import os

import pytest
import trio

from torrentlite import limits
from torrentlite.dht import Announced, DhtSettings, Node, SigningKey, open_node
from torrentlite.dht.item import sign_item
from torrentlite.dht.statefile import NAME
from torrentlite.errors import DhtError, ListenError
from torrentlite.net.network import RealNetwork
from torrentlite.testing import simulated
from torrentlite.wire.address import Address, Scope

HASH = b"h" * 20


def test_no_other_loop_can_have_one():
    async def use():
        async with open_node(host="127.0.0.1", routers=()):
            pass

    with pytest.raises(RuntimeError, match=r"runs on Trio only; in asyncio use asyncio.to_thread\(trio.run, function"):
        asyncio.run(use())
    with pytest.raises(RuntimeError, match=r"torrentlite.dht.open_node runs on Trio only; use trio.run\(function"):
        use().send(None)

    async def in_a_thread():
        await asyncio.to_thread(trio.run, use)

    asyncio.run(in_a_thread())


@contextlib.asynccontextmanager
async def network_of(world, count, *hosts, **options):
    """So many nodes in a network of their own, the first of them known to all; each on a host of its own."""
    async with contextlib.AsyncExitStack() as stack:
        machines = [world.network.host(*addresses) for addresses in hosts]
        machines += [world.network.host() for _ in range(count - len(machines))]
        nodes = []
        for index, machine in enumerate(machines):
            known = [(address, 6881) for address in machines[0].addresses[: 2 if index == 1 else 1]] if index else []
            node = open_node(
                port=6881,
                nodes=known,
                routers=(),
                network=machine,
                rng=world.dice.rng(f"node {index}"),
                secret=world.dice.secret(f"node {index}"),
                **options,
            )
            nodes.append(await stack.enter_async_context(node))
        for node in nodes:
            await node.wait_joined()
        await trio.sleep(60)  # now they know their own addresses, and have the ids that go with them
        yield nodes
        assert [node.internal_errors for node in nodes] == [0] * len(nodes)


@simulated()
async def test_announced_and_found(world):
    async with network_of(world, 12) as nodes:
        announced = await nodes[3].announce_peer(HASH, 7777)
        assert announced.nodes == 8
        assert announced.peers == ()
        expected = Address(world.network.hosts[3].ip, 7777)
        assert await nodes[7].get_peers(HASH) == [expected]
        found = []
        search = nodes[9].get_peers(HASH)
        async for peer in search:
            found.append(peer)
        assert found == [expected] == list(search.peers)
        assert search.over
        assert (await nodes[5].announce_peer(HASH, 1)).peers == (expected,)
        assert await nodes[2].get_peers(b"x" * 20) == []


@simulated()
async def test_peers_come_while_it_looks(world):
    async with network_of(world, 12) as nodes:
        await nodes[3].announce_peer(HASH, 7777)
        world.network.hosts[5].plugged = False  # somebody who is waited for
        search = nodes[7].get_peers(HASH)
        started = trio.current_time()
        async for _ in search:
            break
        first = trio.current_time() - started
        assert not search.over
        assert len(await search) == 1
        assert trio.current_time() - started > first


@simulated()
async def test_a_search_can_be_stopped_and_cancelled(world):
    async with network_of(world, 6) as nodes:
        search = nodes[1].get_peers(HASH)
        search.stop()
        assert await search == []
        with trio.move_on_after(0.001) as scope:
            await nodes[1].announce_peer(HASH, 1)
        assert scope.cancelled_caught
        await trio.sleep(30)
        assert nodes[1].stats().searches == 0, "who waits no more wants no more"
        assert await nodes[2].get_peers(HASH) == []


@simulated()
async def test_a_wait_lasts_until_the_node_has_joined(world):
    host, other = world.network.host(), world.network.host()
    async with open_node(routers=(), network=host, port=6881) as lonely:
        with trio.move_on_after(3600) as scope:
            await lonely.get_peers(HASH)
        assert scope.cancelled_caught
        assert not lonely.joined
        async with open_node(routers=(), network=other, nodes=[(host.ip, 6881)]):
            assert await lonely.get_peers(HASH) == []
            assert lonely.joined


@simulated()
async def test_two_nodes_are_a_network(world):
    async with network_of(world, 2) as (one, other):
        assert await one.announce_peer(HASH, 1) == Announced(1, ())
        assert (await other.announce_peer(HASH, 2)).peers == (Address(world.network.hosts[0].ip, 1),)
        assert Address(world.network.hosts[1].ip, 2) in await one.get_peers(HASH)


@simulated()
async def test_both_families_behind_one_name(world):
    hosts = [(f"30.0.{index}.1", f"2a00:0:0:{index}::1") for index in range(1, 6)]
    async with network_of(world, 5, *hosts) as nodes:
        await trio.sleep(600)
        assert all(side.joined for node in nodes for side in node.stats().sides), "one helps the other"
        announced = await nodes[1].announce_peer(HASH, 7)
        assert announced.nodes == 8
        assert set(await nodes[3].get_peers(HASH)) == {Address("30.0.2.1", 7), Address("2a00:0:0:2::1", 7)}
        assert nodes[0].nodes(ipv6=True)


@simulated()
async def test_items(world):
    async with network_of(world, 10) as nodes:
        item = await nodes[1].put({"text": b"x" * 900})
        assert (await nodes[8].get(item.target)).value == {b"text": b"x" * 900}
        assert await nodes[8].get(HASH) is None
        with pytest.raises(DhtError, match="1000"):
            await nodes[1].put(b"x" * 1000)

        key = SigningKey(bytes(32))
        assert await nodes[2].get_mutable(key.public, salt=b"s") is None
        first = await nodes[2].put_mutable("one", key, salt=b"s")
        second = await nodes[3].put_mutable("two", key, salt=b"s", cas=True)
        assert (first.sequence, second.sequence) == (1, 2)
        found = await nodes[7].get_mutable(key.public, salt=b"s")
        assert (found.value, found.sequence) == (b"two", 2)
        assert await nodes[7].get_mutable(key.public) is None
        assert await nodes[5].put_item(found) == 8, "anybody keeps it alive"
        with pytest.raises(DhtError, match="302"):
            await nodes[5].put_item(first)
        assert await nodes[5].keep_mutable(first, key) == second, "what is newer is kept instead"
        assert await nodes[5].keep_mutable(second, key) == second
        both = [sign_item(value, key, 7, b"tie") for value in ("a", "b")]
        for node, item in zip(nodes[2:4], both, strict=True):
            with contextlib.suppress(DhtError):
                await node.put_item(item)
        assert [(await nodes[4].keep_mutable(item, key)).value for item in both] == [b"b", b"b"], "the greater stays"
        late = await nodes[2].put_mutable("three", key, salt=b"s", sequence=1000)
        assert late.sequence == 1000
        for wrong in (-1, limits.DHT_MAX_SEQ + 1):
            with pytest.raises(DhtError, match="sequence"):
                await nodes[2].put_mutable("x", key, sequence=wrong)
        with pytest.raises(DhtError, match="salt"):
            await nodes[5].put_mutable("x", key, salt=bytes(65))


@simulated()
async def test_scrape_and_samples(world):
    async with network_of(world, 14) as nodes:
        for index, node in enumerate(nodes[1:]):
            await node.announce_peer(HASH, 1, seed=index < 4)
        scrape = await nodes[0].scrape(HASH)
        assert scrape.seeds == pytest.approx(4, abs=1)
        assert scrape.peers == pytest.approx(9, abs=2)
        assert scrape.nodes >= 8
        assert await nodes[0].scrape(b"x" * 20) == (0, 0, 0)
        keeper = next(node for node in nodes[1:] if node.stats().sides[0].torrents)
        address = Address(world.network.hosts[nodes.index(keeper)].ip, 6881)
        samples = await nodes[0].sample_infohashes(address, HASH)
        assert samples.hashes == (HASH,)
        assert samples.total == 1
        assert 0 < samples.interval <= limits.DHT_MAX_SAMPLE_INTERVAL
        assert samples.nodes


@simulated()
async def test_ping_and_find_node(world):
    async with network_of(world, 5) as nodes:
        address = Address(world.network.hosts[4].ip, 6881)
        assert await nodes[1].ping(address) == nodes[4].ids[False]
        nearest = await nodes[1].find_node(nodes[4].ids[False])
        assert nearest[0] == (nodes[4].ids[False], address)
        with pytest.raises(DhtError, match="does not answer"):
            await nodes[1].ping(Address("99.9.9.9", 1))
        for never in (Address("99.9.9.9", 0), Address("224.0.0.1", 5), Address("2a00::1", 5)):
            with pytest.raises(DhtError):
                await nodes[1].ping(never)


@simulated()
async def test_nodes_by_hand(world):
    hosts = [world.network.host() for _ in range(3)]
    world.network.names["node.example"] = (hosts[1].ip,)
    async with contextlib.AsyncExitStack() as stack:
        one, two, three = [
            await stack.enter_async_context(open_node(port=6881, routers=(), network=host)) for host in hosts
        ]
        one.add_node(Address("127.0.0.1", 6881), within=Scope.PUBLIC)  # a PORT message cannot point inside
        one.add_node(Address(hosts[1].ip, 0))
        await trio.sleep(10)
        assert one.stats().counters.queries_sent == 0
        await one.add_host("node.example", 6881, within=Scope.PUBLIC)
        await two.wait_joined()
        three.add_node(Address(hosts[0].ip, 6881))
        await three.wait_joined()
        await trio.sleep(10)
        assert {contact.id for contact in three.nodes()} == {one.ids[False], two.ids[False]}


@simulated()
async def test_routers_are_asked_only_when_nobody_else_answers(world):
    router, friend, first, second = (world.network.host() for _ in range(4))
    world.network.names["router.example"] = (router.ip,)
    routers = [("dead.example", 1), ("router.example", 6881)]
    async with (
        open_node(port=6881, routers=(), network=router) as answering,
        open_node(port=6881, routers=(), network=friend),
    ):
        async with open_node(network=first, nodes=[(friend.ip, 6881)], routers=routers) as node:
            await node.wait_joined()
            await trio.sleep(60)
        assert answering.stats().counters.queries_received == 0
        async with open_node(network=second, nodes=[("dead.example", 6881), ("99.9.9.9", 1)], routers=routers) as node:
            started = trio.current_time()
            await node.wait_joined()
            assert trio.current_time() - started < 10


@simulated()
async def test_after_a_long_sleep_the_routers_are_asked_again(world):
    """Everybody that it knew has gone meanwhile, and so has the router that helped it in."""

    @contextlib.asynccontextmanager
    async def others():
        async with contextlib.AsyncExitStack() as stack:
            hosts = [world.network.host() for _ in range(10)]
            world.network.names["router.example"] = (hosts[0].ip,)
            for host in hosts:
                known = [(hosts[0].ip, 6881)] if host is not hosts[0] else []
                await stack.enter_async_context(open_node(port=6881, routers=(), nodes=known, network=host))
            await trio.sleep(30)
            yield {host.ip for host in hosts}

    def known(node):
        return {contact.address.host for contact in node.nodes()}

    sleeper = world.network.host()
    async with open_node(network=sleeper, routers=[("router.example", 6881)]) as node:
        async with others() as first:
            await node.wait_joined()
            await trio.sleep(600)
            assert len(known(node) & first) > 5
            sleeper.plugged = False
        await trio.sleep(7200)
        assert not node.joined, "and it says so"
        async with others() as second:
            sleeper.plugged = True
            with trio.fail_after(600):
                await node.wait_joined()
            await trio.sleep(900)
            assert len(known(node) & second) > 5
            assert not known(node) & first
            assert node.internal_errors == 0


@simulated()
async def test_an_exception_of_the_block_comes_out_as_it_is(world):
    with pytest.raises(KeyError, match="mine"):
        async with open_node(network=world.network.host(), routers=()):
            raise KeyError("mine")
    assert world.network.stats().sockets == 0


@simulated()
async def test_a_taken_port(world):
    host = world.network.host()
    async with open_node(network=host, port=6881, routers=()):
        with pytest.raises(ListenError):
            async with open_node(network=host, port=6881, routers=()):
                raise AssertionError


@simulated()
async def test_a_bug_of_ours_is_contained_and_counted(world, monkeypatch):
    async with network_of(world, 4) as nodes:
        core = nodes[1]._core

        def broken(*_):
            raise ZeroDivisionError

        with monkeypatch.context() as patched:
            patched.setattr(core, "_got_query", broken)
            with pytest.raises(DhtError):
                await nodes[2].ping(Address(world.network.hosts[1].ip, 6881))
        assert nodes[1].internal_errors >= 1
        nodes[1].internal_errors = 0
        with monkeypatch.context() as patched:
            patched.setattr(core, "tick", broken)
            await trio.sleep(20)
        assert 2 <= nodes[1].internal_errors < 30, "and it does not spin"
        nodes[1].internal_errors = 0
        assert await nodes[2].ping(Address(world.network.hosts[1].ip, 6881))


@simulated()
async def test_on_somebody_elses_socket(world):
    """As in a session: datagrams are given, and handed on."""
    host = world.network.host()
    async with network_of(world, 3) as nodes, trio.open_nursery() as nursery:
        (socket,) = await host.open_datagrams("", 6881)
        node = Node(socket.send, (False,), own=[Address(host.ip, 6881)], settings=DhtSettings(read_only=False))

        async def receive():
            while True:
                for data, sender in await socket.receive():
                    assert data[:1] == b"d"
                    node.got_datagram(data, sender)

        nursery.start_soon(receive)
        await nursery.start(node.run)
        node.add_node(Address(world.network.hosts[1].ip, 6881))
        assert (await node.announce_peer(HASH, 5)).nodes == 3
        assert await nodes[1].get_peers(HASH) == [Address(host.ip, 5)]
        assert node.internal_errors == 0
        nursery.cancel_scope.cancel()


@simulated()
async def test_stats(world):
    async with network_of(world, 5) as nodes:
        await nodes[1].announce_peer(HASH, 5)
        stats = nodes[2].stats()
        assert stats.nodes == stats.sides[0].nodes == stats.sides[0].good == 4
        assert stats.sides[0].torrents == stats.sides[0].peers == 1
        assert stats.counters.queries_received >= stats.counters.queries_answered > 0
        assert stats.counters.bytes_sent > 0
        assert stats.pending == stats.searches == 0
        assert not stats.read_only


# -- real sockets and files


async def test_loopback_and_a_saved_table(tmp_path):
    async with open_node(host="127.0.0.1", routers=()) as one:
        known = [("127.0.0.1", one.addresses[0].port)]
        async with open_node(host="127.0.0.1", routers=(), nodes=known, state_dir=tmp_path) as two:
            with trio.fail_after(30):
                assert (await two.announce_peer(HASH, 5)).nodes == 1
                assert await one.get_peers(HASH) == [Address("127.0.0.1", 5)]
            own_id = two.ids[False]
            async with open_node(host="127.0.0.1", routers=(), state_dir=str(tmp_path)) as guest:
                assert guest.ids[False] != own_id, "the file belongs to the first"
        async with open_node(host="127.0.0.1", routers=(), state_dir=tmp_path) as again:
            assert again.ids[False] == own_id
            with trio.fail_after(30):
                assert await again.get_peers(HASH) == [Address("127.0.0.1", 5)], "joined by the saved table"
        (tmp_path / NAME).write_bytes(os.urandom(500))
        async with open_node(host="127.0.0.1", routers=(), state_dir=tmp_path) as clean:
            assert clean.ids[False] != own_id
            assert [node.internal_errors for node in (one, two, again, clean)] == [0, 0, 0, 0]


async def test_ipv6_loopback():
    async with open_node(host="::1", routers=()) as one:
        known = [("::1", one.addresses[0].port)]
        async with open_node(host="::1", routers=(), nodes=known) as two:
            with trio.fail_after(30):
                await two.announce_peer(HASH, 5)
                assert await one.get_peers(HASH) == [Address("::1", 5)]


def test_what_fails_inside_comes_out_and_no_cancellation():
    """Who is ended by a failure of the node's own tasks hears of that, not that he was cancelled."""

    async def opened(**options):
        async with open_node(host="127.0.0.1", routers=(), **options) as node:
            await node.wait_joined()

    async def cancelled():
        with trio.move_on_after(0.01) as scope:
            await opened()
        return scope.cancelled_caught

    # Not in an async test, for which a cancellation that nobody wished is no failure.
    with pytest.raises(BaseExceptionGroup) as caught:
        trio.run(lambda: opened(nodes=["no pair"]))
    assert caught.group_contains(ValueError)
    assert trio.run(cancelled)


async def test_a_real_socket_survives_anything():
    network = RealNetwork("127.0.0.1")
    (mine,) = await network.open_datagrams("127.0.0.1", 0)
    async with open_node(host="127.0.0.1", routers=()) as node:
        to = node.addresses[0]
        for data in (b"", b"d", b"\x00" * 2000, b"d1:y1:qe", os.urandom(60_000), b"d" * 1000, b"l" * 1000):
            mine.send(data, to)
        with trio.fail_after(10):
            while node.stats().counters.malformed < 6:
                await trio.sleep(0.01)
        assert node.internal_errors == 0
    mine.close()
