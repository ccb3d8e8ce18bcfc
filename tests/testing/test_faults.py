"""What goes wrong between hosts; each fault proves that it happened."""

import pytest
import trio

from torrentlite.errors import NetworkError
from torrentlite.testing import NetworkStats, simulated
from torrentlite.testing.flow import GIVE_UP
from torrentlite.wire.address import Address


async def cut_by_partition(world, host):
    world.network.partition([host])


async def cut_by_cable(world, host):
    host.plugged = False


async def mend(world, host):
    world.network.heal()
    host.plugged = True


@pytest.mark.parametrize("cut", [cut_by_partition, cut_by_cable])
@simulated()
async def test_data_waits_while_nothing_gets_through(world, net, cut):
    a, b = world.network.host(), world.network.host()
    near, far = await net.connect(a, b)
    await cut(world, b)
    await near.send_vectored([b"one ", b"two "])
    await far.send_vectored([b"three "])
    await trio.sleep(10)
    await near.send_vectored([b"four"])
    await trio.sleep(20)
    assert world.trace.counts["stalled"] == 2
    with trio.move_on_after(1) as scope:
        await net.receive(far, 1)
    assert scope.cancelled_caught
    await mend(world, b)
    start = trio.current_time()
    assert await net.receive(far, 12) == b"one two four"
    assert await net.receive(near, 6) == b"three "
    assert 0 < trio.current_time() - start < 60, "as soon as it is tried again"


@simulated()
async def test_a_partition_leaves_each_side_its_own(world, net):
    a, b, c, d, e = (world.network.host() for _ in range(5))
    world.network.partition([a, b])
    world.network.partition([c])
    for one, other in ((a, b), (d, e)):
        await net.connect(one, other)
    for one, other in ((a, c), (c, a), (b, d), (c, e)):
        assert not world.network.reachable(one, other)
        with trio.move_on_after(10) as scope:
            await net.connect(one, other)
        assert scope.cancelled_caught
    world.network.heal()
    await net.connect(a, c)


@simulated()
async def test_a_connect_goes_through_once_the_partition_ends(world):
    a, b = world.network.host(), world.network.host()
    await b.listen("", 6881, fallback=False)
    world.network.partition([b])
    world.timeline.call_after(10, world.network.heal)
    await a.connect(Address(b.ip, 6881))
    assert 10 < trio.current_time() < 20


@simulated()
async def test_who_does_not_answer_is_given_up(world, net):
    near, far = await net.connect(a := world.network.host(), b := world.network.host())
    b.plugged = False
    await near.send_vectored([b"hello?"])
    with pytest.raises(NetworkError, match="timed out"):
        await net.receive(near)
    assert GIVE_UP <= trio.current_time() <= GIVE_UP + 130
    assert world.trace.counts["gave up"] == 1
    near.close()
    assert not a.streams
    b.plugged = True
    await far.send_vectored([b"back again"])  # to somebody who has gone
    with pytest.raises(NetworkError, match="reset"):
        await net.receive(far)


@simulated()
async def test_an_idle_connection_survives_a_partition(world, net):
    near, far = await net.connect(world.network.host(), b := world.network.host())
    b.plugged = False
    await trio.sleep(5 * 3600)
    b.plugged = True
    await near.send_vectored([b"still there?"])
    assert await net.receive(far, 12) == b"still there?"


@simulated()
async def test_a_stopped_host_resets_and_refuses(world, net):
    a, b = world.network.host(), world.network.host()
    near, far = await net.connect(a, b)
    await b.listen("", 6881, fallback=False)
    (socket,) = await b.open_datagrams("", 6881)
    b.stop()
    assert b.sockets == 0
    for stream in (near, far):
        with pytest.raises(NetworkError):
            await net.receive(stream)
    with pytest.raises(NetworkError, match="refused"):
        await a.connect(Address(b.ip, 6881))
    with pytest.raises(NetworkError, match="closed"):
        await socket.receive()
    await b.listen("", 6881, fallback=False)
    await a.connect(Address(b.ip, 6881))


@simulated()
async def test_after_a_power_cut_the_others_learn_of_it_when_they_send(world, net):
    near, _ = await net.connect(world.network.host(), b := world.network.host())
    b.plugged = False
    b.stop()
    with trio.move_on_after(3600) as scope:
        await net.receive(near)
    assert scope.cancelled_caught
    b.plugged = True
    await near.send_vectored([b"where were we?"])
    with pytest.raises(NetworkError, match="reset"):
        await net.receive(near)


@simulated()
async def test_resetting_connections_spares_the_host(world, net):
    a, b = world.network.host(), world.network.host()
    (listener,) = await b.listen("", 6881, fallback=False)
    for _ in range(3):
        await a.connect(Address(b.ip, 6881))
        await listener.accept()
    b.reset_connections()
    assert world.trace.counts["reset"] == 3
    for stream in a.streams:
        with pytest.raises(NetworkError, match="reset"):
            await net.receive(stream)
        stream.close()
    await a.connect(Address(b.ip, 6881))


@simulated()
async def test_loss_of_a_stream_is_delay(world, net):
    times = []
    for loss in (0, 0.2):
        near, far = await net.connect(world.network.host(loss=loss), world.network.host())
        start = trio.current_time()
        for _ in range(200):
            await near.send_vectored([b"x" * 1000])
            await net.receive(far, 1000)
        times.append(trio.current_time() - start)
    clean, lossy = times
    assert clean == pytest.approx(200 * 0.02, rel=0.1)
    # one in five needs another 0.2 s, one in five of these yet another
    assert lossy - clean == pytest.approx(200 * 0.2 * 0.25, rel=0.3)
    assert 20 < world.trace.counts["lost"] < 60


@simulated()
async def test_nothing_is_left_when_everybody_has_closed(world, net):
    hosts = [world.network.host(up=100_000, loss=0.01) for _ in range(4)]
    streams = []
    for a in hosts:
        for b in hosts:
            streams += await net.connect(a, b)
    assert world.network.stats() == NetworkStats(hosts=4, sockets=32, held=0)
    for stream in streams:
        await stream.send_vectored([bytes(50_000)])
    assert world.network.stats().held > 0
    await trio.sleep(0.5)
    for stream in streams:
        stream.close()
    assert world.network.stats() == NetworkStats(hosts=4, sockets=0, held=0)
    await trio.sleep(10)
    assert world.timeline.pending == 0
    assert all(stream.held == 0 for stream in streams)
