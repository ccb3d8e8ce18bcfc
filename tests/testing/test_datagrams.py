import pytest
import trio

from torrentlite.errors import NetworkError
from torrentlite.testing import simulated
from torrentlite.wire.address import Address


@simulated()
async def test_a_datagram_arrives_after_the_latency_with_its_sender(world):
    a, b = world.network.host(latency=0.1), world.network.host(latency=0.2)
    (one,), (other,) = await a.open_datagrams("", 0), await b.open_datagrams("", 6881)
    assert one.send(b"ping", Address(b.ip, 6881))
    assert await other.receive() == [(b"ping", Address(a.ip, one.address.port))]
    assert trio.current_time() == pytest.approx(0.3, abs=0.002)
    other.send(b"pong", Address(a.ip, one.address.port))
    assert await one.receive() == [(b"pong", Address(b.ip, 6881))]
    assert world.trace.counts["datagram"] == 2


@simulated()
async def test_a_handler_needs_no_task(world):
    a, b = world.network.host(), world.network.host()
    seen = []
    (answering,) = b.bind_datagrams("", 6881, lambda data, sender: answering.send(data.upper(), sender))
    (asking,) = a.bind_datagrams(handler=lambda data, sender: seen.append((data, sender, world.timeline.now)))
    asking.send(b"ping", Address(b.ip, 6881))
    await trio.sleep(1)
    assert seen == [(b"PING", Address(b.ip, 6881), pytest.approx(0.04))]
    assert seen[0][2] == 0.04 or seen[0][2] == pytest.approx(0.04, abs=1e-9), "the exact moment, whatever the tick"
    with pytest.raises(RuntimeError):
        await asking.receive()


@simulated()
async def test_thousands_of_handlers(world):
    """A ring of 2,000 nodes hands a datagram around."""
    hosts = [world.network.host() for _ in range(2000)]
    rounds = []

    def node(number):
        to = Address(hosts[(number + 1) % len(hosts)].ip, 6881)

        def got(data, sender):
            if number == 0:
                rounds.append(world.timeline.now)
            else:
                sockets[number].send(data, to)

        (socket,) = hosts[number].bind_datagrams("", 6881, got)
        return socket

    sockets = [node(number) for number in range(len(hosts))]
    tasks = trio.lowlevel.current_statistics().tasks_living
    sockets[0].send(b"around", Address(hosts[1].ip, 6881))
    await trio.sleep(100)
    assert rounds == [pytest.approx(2000 * 0.02)]
    assert trio.lowlevel.current_statistics().tasks_living == tasks


@simulated()
async def test_both_families_and_loopback(world):
    a, b = world.network.host("1.1.1.1", "2a00::1"), world.network.host("2.2.2.2", "2a00::2")
    six, four = await a.open_datagrams("", 6881)
    if four.address.is_ipv6:
        six, four = four, six
    seen = []
    for socket in b.bind_datagrams("", 6881, lambda data, sender: seen.append((data, sender))):
        assert socket.address.host in ("::", "0.0.0.0")
    assert four.send(b"4", Address("2.2.2.2", 6881))
    assert six.send(b"6", Address("2a00::2", 6881))
    assert not four.send(b"x", Address("2a00::2", 6881))
    await trio.sleep(1)
    assert seen == [(b"4", Address("1.1.1.1", 6881)), (b"6", Address("2a00::1", 6881))]
    assert four.send(b"me", Address("127.0.0.1", 6881))
    assert await four.receive() == [(b"me", Address("127.0.0.1", 6881))]


@simulated()
async def test_what_cannot_be_sent(world):
    (socket,) = await world.network.host().open_datagrams("", 0)
    for data, to in (
        (b"x", Address("11.0.0.1", 0)),
        (b"x", Address("224.0.0.1", 80)),
        (b"x", Address("169.254.169.254", 80)),
        (bytes(65_508), Address("11.0.9.9", 80)),
    ):
        assert not socket.send(data, to)
    assert socket.send(b"x", Address("11.0.9.9", 80)), "nobody knows that nobody is there"
    socket.close()
    socket.close()
    assert not socket.send(b"x", Address("11.0.9.9", 80))
    with pytest.raises(NetworkError, match="closed"):
        await socket.receive()


@simulated()
async def test_closing_wakes_who_waits(world):
    (socket,) = await world.network.host().open_datagrams("", 0)
    async with trio.open_nursery() as nursery:

        async def receive():
            with pytest.raises(NetworkError, match="closed"):
                await socket.receive()

        nursery.start_soon(receive)
        await trio.sleep(1)
        socket.close()


@simulated()
async def test_loss_is_counted_and_as_large_as_asked_for(world):
    a, b = world.network.host(loss=0.1), world.network.host(loss=0.2)
    (one,) = await a.open_datagrams("", 0)
    b.bind_datagrams("", 6881, lambda data, sender: None)
    for _ in range(2000):
        assert one.send(b"x", Address(b.ip, 6881))
    await trio.sleep(1)
    assert world.trace.counts["datagram lost"] == pytest.approx(2000 * 0.28, rel=0.1)
    assert world.trace.counts["datagram"] == 2000 - world.trace.counts["datagram lost"]


@simulated()
async def test_a_partition_swallows_datagrams(world):
    a, b = world.network.host(), world.network.host()
    (one,) = await a.open_datagrams("", 0)
    seen = []
    b.bind_datagrams("", 6881, lambda data, sender: seen.append(data))
    for cut, data in ((True, b"1"), (False, b"2")):
        b.plugged = not cut
        one.send(data, Address(b.ip, 6881))
        await trio.sleep(1)
    assert seen == [b"2"]
    assert world.trace.counts["datagram lost"] == 1


@simulated()
async def test_a_receiver_that_sleeps_loses_what_does_not_fit(world):
    a, b = world.network.host(), world.network.host()
    (one,), (other,) = await a.open_datagrams("", 0), await b.open_datagrams("", 6881)
    for _ in range(500):
        one.send(bytes(1000), Address(b.ip, 6881))
    await trio.sleep(1)
    kept = 0
    with trio.move_on_after(1):
        while True:
            batch = await other.receive()
            assert 1 <= len(batch) <= 64
            kept += len(batch)
    assert 100 < kept < 250
    assert world.trace.counts["datagram dropped"] == 500 - kept
    for _ in range(kept):
        one.send(bytes(1000), Address(b.ip, 6881))
    await trio.sleep(1)
    assert world.trace.counts["datagram dropped"] == 500 - kept, "there is room again"


@pytest.mark.parametrize("side", ["up", "down"])
@simulated()
async def test_datagrams_keep_to_the_rate_and_queue_shortly(world, side):
    a, b = world.network.host(), world.network.host()
    (a if side == "up" else b).set_rates(**{side: 100_000})
    (one,) = await a.open_datagrams("", 0)
    moments = []
    b.bind_datagrams("", 6881, lambda data, sender: moments.append(world.timeline.now))
    sent = [one.send(bytes(1000), Address(b.ip, 6881)) for _ in range(100)]
    await trio.sleep(5)
    assert len(moments) == pytest.approx(11, abs=1), "a tenth of a second of them"
    assert moments[-1] - moments[0] == pytest.approx(0.01 * (len(moments) - 1))
    assert (sum(sent) == len(moments)) is (side == "up"), "only the sender's own queue can be known to be full"
    assert world.trace.counts["datagram dropped"] == 100 - len(moments)
