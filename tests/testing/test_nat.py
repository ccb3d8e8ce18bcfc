"""Hosts behind routers."""

import contextlib

import pytest
import trio

import torrentlite
from torrentlite.errors import NetworkError
from torrentlite.testing import Nat, NatKind, simulated
from torrentlite.wire.address import Address

INNER, FRIEND, OTHER = Address("192.168.1.2", 6881), Address("8.8.8.8", 1), Address("9.9.9.9", 1)
SAME_HOST = Address("8.8.8.8", 2)


@pytest.mark.parametrize(
    ("kind", "admitted"),
    [
        (NatKind.FULL_CONE, [FRIEND, SAME_HOST, OTHER]),
        (NatKind.RESTRICTED, [FRIEND, SAME_HOST]),
        (NatKind.PORT_RESTRICTED, [FRIEND]),
        (NatKind.SYMMETRIC, [FRIEND]),
    ],
)
def test_who_gets_in(kind, admitted):
    nat = Nat("7.7.7.7", kind)
    assert nat.incoming(FRIEND, 6881, 0.0) is None, "nobody sent anything yet"
    outer = nat.outgoing(INNER, FRIEND, 0.0)
    assert outer.host == "7.7.7.7"
    assert (outer.port == 6881) is (kind is not NatKind.SYMMETRIC)
    for sender in (FRIEND, SAME_HOST, OTHER):
        assert nat.incoming(sender, outer.port, 1.0) == (INNER if sender in admitted else None)
    assert nat.outgoing(INNER, FRIEND, 1.0) == outer
    assert (nat.outgoing(INNER, OTHER, 1.0) == outer) is (kind is not NatKind.SYMMETRIC)


def test_two_inside_share_no_port_and_what_is_not_used_is_forgotten():
    nat = Nat("7.7.7.7", lifetime=60.0)
    one, two = nat.outgoing(INNER, FRIEND, 0.0), nat.outgoing(Address("192.168.1.3", 6881), FRIEND, 0.0)
    assert one.port != two.port
    nat.outgoing(INNER, OTHER, 50.0)
    assert nat.incoming(OTHER, one.port, 100.0) == INNER
    assert nat.incoming(FRIEND, one.port, 100.0) is None, "longer than a minute ago"
    assert nat.incoming(FRIEND, two.port, 100.0) is None
    nat.forwards[80] = INNER
    assert nat.incoming(OTHER, 80, 1e6) == INNER
    assert nat.outgoing(INNER, FRIEND, 1e6).port == 80


@simulated()
async def test_datagrams_pass_a_router(world):
    router = world.network.router(latency=0.1)
    inside, outside, stranger = world.network.host(router=router), world.network.host(), world.network.host()
    (one,), (two,) = await inside.open_datagrams("", 6881), await outside.open_datagrams("", 6881)
    (three,) = await stranger.open_datagrams("", 6881)
    assert inside.ip.startswith("192.168.")
    two.send(b"unasked", Address(router.ip, 6881))
    two.send(b"to a private address", Address(inside.ip, 6881))
    await trio.sleep(1)
    started = trio.current_time()
    one.send(b"ping", Address(outside.ip, 6881))
    assert await two.receive() == [(b"ping", Address(router.ip, 6881))]
    assert trio.current_time() - started == pytest.approx(0.12, abs=0.002), "its own 10 ms, the router's, the other's"
    two.send(b"pong", Address(router.ip, 6881))
    three.send(b"me too", Address(router.ip, 6881))
    assert await one.receive() == [(b"pong", Address(outside.ip, 6881))]
    await trio.sleep(5)
    with trio.move_on_after(1):
        assert await one.receive() == []
    assert router.nat.refused == 2


@simulated()
async def test_a_router_that_has_dialled_in_anew(world):
    router = world.network.router("12.1.1.1")
    inside, outside = world.network.host(router=router), world.network.host()
    (one,), (two,) = await inside.open_datagrams("", 6881), await outside.open_datagrams("", 6881)
    one.send(b"before", two.address._replace(host=outside.ip))
    assert await two.receive() == [(b"before", Address("12.1.1.1", 6881))]
    router.renumber("12.2.2.2")
    for host in ("12.1.1.1", "12.2.2.2"):
        two.send(b"who is there", Address(host, 6881))
    await trio.sleep(1)
    assert router.nat.refused == 1, "nobody has the old address, and by the new one nobody was sent to"
    one.send(b"after", two.address._replace(host=outside.ip))
    assert await two.receive() == [(b"after", Address("12.2.2.2", 6881))]
    two.send(b"there you are", Address("12.2.2.2", 6881))
    assert await one.receive() == [(b"there you are", two.address._replace(host=outside.ip))]
    for wrong in (outside.ip, "12.2.2.2", "2a00::1", ""):
        with pytest.raises(ValueError):
            router.renumber(wrong)
    world.network.router("12.1.1.1")  # is free again


@simulated()
async def test_two_behind_routers_meet_by_sending_at_the_same_time(world):
    """The hole punching that a PORT message, or a tracker, makes possible."""
    routers = [world.network.router() for _ in range(2)]
    a, b = [world.network.host("192.168.1.2", router=router) for router in routers]
    (one,), (two,) = await a.open_datagrams("", 6881), await b.open_datagrams("", 6881)
    for _ in range(2):
        one.send(b"here is a", Address(routers[1].ip, 6881))
        two.send(b"here is b", Address(routers[0].ip, 6881))
        await trio.sleep(0.5)
    assert (await one.receive())[0] == (b"here is b", Address(routers[1].ip, 6881))
    assert (await two.receive())[0] == (b"here is a", Address(routers[0].ip, 6881))


@simulated()
async def test_neighbours_use_their_private_addresses(world):
    router = world.network.router(latency=1)
    one, two = world.network.host(router=router), world.network.host(router=router)
    (near,), (far,) = await one.open_datagrams("", 1000), await two.open_datagrams("", 2000)
    started = trio.current_time()
    near.send(b"hello", Address(two.ip, 2000))
    assert await far.receive() == [(b"hello", Address(one.ip, 1000))]
    assert trio.current_time() - started < 0.1
    with pytest.raises(ValueError, match="taken"):
        world.network.host(one.ip, router=router)
    assert world.network.host(one.ip, router=world.network.router()), "another LAN"


@simulated()
async def test_connections_pass_a_router_from_inside_or_by_a_forwarded_port(world):
    router = world.network.router()
    inside, outside = world.network.host(router=router), world.network.host()
    (listener,) = await outside.listen("", 6881, fallback=False)
    stream = await inside.connect(Address(outside.ip, 6881))
    accepted = await listener.accept()
    assert accepted.remote.host == router.ip
    await stream.send_vectored([b"hello"])
    buffer = bytearray(10)
    assert await accepted.receive_into(memoryview(buffer)) == 5
    (inner,) = await inside.listen("", 6881, fallback=False)
    with trio.move_on_after(5) as scope:
        await outside.connect(Address(router.ip, 7000))
    assert scope.cancelled_caught, "nobody answers"
    router.forward(7000, inside, 6881)
    stream = await outside.connect(Address(router.ip, 7000))
    assert (await inner.accept()).remote.host == outside.ip
    assert stream.remote == Address(router.ip, 7000)


@simulated()
async def test_sessions_behind_routers(world):
    """Who is behind one calls; who is to be called there needs a forwarded port."""
    tracker = world.tracker()
    router = world.network.router()
    alice, bob, carol = world.host(), world.host(router=router), world.host(router=world.network.router())
    metainfo, data = world.torrent(300_000, trackers=[tracker.url])
    alice.put(metainfo.info, data)
    async with contextlib.AsyncExitStack() as stack:
        seed = await stack.enter_async_context(torrentlite.open_session(world=alice))
        await seed.add(metainfo).wait_complete()
        inside = await stack.enter_async_context(torrentlite.open_session(world=bob))
        await inside.add(metainfo).wait_complete()
        alice.network.stop()
        other = await stack.enter_async_context(torrentlite.open_session(world=carol))
        got = other.add(metainfo, peers=[(router.ip, inside.port)])
        with trio.move_on_after(100) as scope:
            await got.wait_complete()
        assert scope.cancelled_caught
        router.forward(inside.port, bob.network)
        with trio.fail_after(3600):
            await got.wait_complete()


@simulated()
async def test_routers_that_cannot_be(world):
    host = world.network.host()
    for address in (host.ip, "2a00::1", "example.org"):
        with pytest.raises(ValueError):
            world.network.router(address)
    for wrong in ({"latency": -1}, {"loss": 1}, {"lifetime": -1}):
        with pytest.raises(ValueError):
            world.network.router(**wrong)
    with pytest.raises(NetworkError):
        await host.connect(Address("2a00::1", 5))
