"""Rates come out as in the fluid model: each line is shared fairly, and nobody gets more than its lines carry."""

import statistics

import pytest
import trio

from torrentlite.testing import simulated
from torrentlite.testing.flow import SEND_BUFFER

MIB = 1 << 20


class Transfer:
    """A connection over which one side sends without end; counts what arrives."""

    def __init__(self, near, far):
        self.near, self.far = near, far
        self.arrived = 0

    async def run(self):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send)
            buffer = memoryview(bytearray(256 << 10))
            while True:
                self.arrived += await self.far.receive_into(buffer)

    async def _send(self):
        block = bytes(16 << 10)
        while True:
            await self.near.send_vectored([b"thirteen byte", block])


async def rates(net, pairs, *, warm_up=4.0, seconds=6.0):
    """Bytes per second between these pairs of hosts, all at once, when they have found their shares."""
    transfers = [Transfer(*await net.connect(a, b)) for a, b in pairs]
    async with trio.open_nursery() as nursery:
        for transfer in transfers:
            nursery.start_soon(transfer.run)
        await trio.sleep(warm_up)
        before = [transfer.arrived for transfer in transfers]
        await trio.sleep(seconds)
        after = [transfer.arrived for transfer in transfers]
        nursery.cancel_scope.cancel()
    return [(b - a) / seconds for a, b in zip(before, after, strict=True)]


@pytest.mark.parametrize("rate", [5_000, 100_000, 1 * MIB, 20 * MIB])
@pytest.mark.parametrize("latency", [0, 0.01, 0.1])
@pytest.mark.parametrize("side", ["up", "down"])
@simulated()
async def test_one_connection_gets_the_whole_line(world, net, rate, latency, side):
    window = MIB / (latency + 0.01) if latency else float("inf")
    slow = world.network.host(latency=latency, **{side: rate})
    pair = (slow, world.network.host()) if side == "up" else (world.network.host(), slow)
    (got,) = await rates(net, [pair], warm_up=1, seconds=20 if rate < MIB else 2)
    assert got == pytest.approx(min(rate, window), rel=0.03 if rate < window / 2 else 0.15)


@simulated()
async def test_a_transfer_takes_its_bytes_over_the_rate_and_the_latency(world, net):
    near, far = await net.connect(world.network.host(up=100_000, latency=0.2), world.network.host(latency=0.3))
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(near.send_vectored, [bytes(50_000)])
        await net.receive(far, 50_000)
    assert trio.current_time() - start == pytest.approx(50_000 / 100_000 + 0.5, abs=0.02)


@simulated()
async def test_a_small_message_takes_the_latency(world, net):
    near, far = await net.connect(world.network.host(up=MIB, latency=0.2), world.network.host(latency=0.3))
    start = trio.current_time()
    await near.send_vectored([bytes(17)])
    await net.receive(far, 17)
    assert trio.current_time() - start == pytest.approx(0.5, abs=0.002)


@pytest.mark.parametrize("side", ["up", "down"])
@simulated()
async def test_connections_share_a_line_equally(world, net, side):
    slow = world.network.host(**{side: MIB})
    others = [world.network.host(latency=0.01 + 0.01 * n, up=MIB * (n + 1), down=MIB * (n + 1)) for n in range(8)]
    pairs = [(slow, other) if side == "up" else (other, slow) for other in others]
    got = await rates(net, pairs)
    assert sum(got) == pytest.approx(MIB, rel=0.01)
    assert max(got) / min(got) < 1.03


@simulated()
async def test_what_one_cannot_use_the_others_get(world, net):
    """Max-min fairness: a sender of 100 kB/s into a line of 1 MB/s leaves the rest to the two that can use it."""
    target = world.network.host(down=1_000_000)
    got = await rates(net, [(world.network.host(up=up), target) for up in (100_000, 700_000, 5_000_000)])
    assert got == pytest.approx([100_000, 450_000, 450_000], rel=0.01)


@simulated()
async def test_a_seed_with_slow_and_fast_leeches(world, net):
    seed = world.network.host(up=1_000_000)
    got = await rates(net, [(seed, world.network.host(down=down)) for down in (50_000, 50_000, 10_000_000)])
    assert got == pytest.approx([50_000, 50_000, 900_000], rel=0.01)


@simulated()
async def test_everybody_with_everybody(world, net):
    hosts = [world.network.host(up=500_000, down=500_000, latency=0.005 * n) for n in range(1, 7)]
    got = await rates(net, [(a, b) for a in hosts for b in hosts if a is not b])
    assert sum(got) == pytest.approx(6 * 500_000, rel=0.02)
    assert statistics.pstdev(got) / statistics.mean(got) < 0.03


@simulated()
async def test_both_directions_have_the_whole_rate(world, net):
    a, b = world.network.host(up=300_000, down=300_000), world.network.host(up=300_000, down=300_000)
    assert await rates(net, [(a, b), (b, a)]) == pytest.approx([300_000, 300_000], rel=0.03)


@simulated()
async def test_a_full_line_delays_others_little(world, net):
    """A request goes past megabytes of other connections, as in a network with a decent queue."""
    busy = world.network.host(up=MIB, down=MIB)
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(Transfer(*await net.connect(world.network.host(), busy)).run)
            nursery.start_soon(Transfer(*await net.connect(busy, world.network.host())).run)
        await trio.sleep(5)
        for one, other in ((busy, world.network.host()), (world.network.host(), busy)):
            near, far = await net.connect(one, other)
            start = trio.current_time()
            await near.send_vectored([bytes(17)])
            await net.receive(far, 17)
            assert trio.current_time() - start < 0.2
        nursery.cancel_scope.cancel()


@simulated()
async def test_a_full_line_in_delays_its_own_connection_by_its_queue(world, net):
    near, far = await net.connect(world.network.host(), world.network.host(down=MIB))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Transfer(near, far).run)
        await trio.sleep(10)
        unsent = SEND_BUFFER - near._out.room
        assert MIB * 0.05 < near.held - unsent < MIB * 0.2, "not the megabyte that its window could be"
        nursery.cancel_scope.cancel()


@simulated()
async def test_small_talk_earns_no_large_window(world, net):
    """Who has only sent requests for minutes does not flood a slow line with what it then begins to send."""
    near, far = await net.connect(world.network.host(), world.network.host(down=100_000))
    transfer = Transfer(near, far)
    async with trio.open_nursery() as nursery:
        for _ in range(2000):
            await near.send_vectored([bytes(1000)])
            await net.receive(far, 1000)
        nursery.start_soon(transfer.run)
        await trio.sleep(0.1)
        assert near.held - (SEND_BUFFER - near._out.room) < 100_000
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("side", ["up", "down"])
@simulated()
async def test_who_comes_late_gets_no_more_than_its_share(world, net, side):
    slow = world.network.host(**{side: MIB})
    ends = [
        await net.connect(*((slow, other) if side == "up" else (other, slow))) for other in (world.network.host(),) * 2
    ]
    first, late = (Transfer(*pair) for pair in ends)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(first.run)
        await trio.sleep(60)
        before = first.arrived
        nursery.start_soon(late.run)
        await trio.sleep(3)
        assert first.arrived - before == pytest.approx(1.5 * MIB, rel=0.2)
        nursery.cancel_scope.cancel()


@simulated()
async def test_rates_may_change_while_connected(world, net):
    source, target = world.network.host(up=100_000), world.network.host()
    transfer = Transfer(*await net.connect(source, target))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(transfer.run)
        for up, down, expected in ((None, None, 100_000), (500_000, None, 500_000), (None, 50_000, 50_000)):
            source.set_rates(up=up)
            target.set_rates(down=down)
            await trio.sleep(5)
            before = transfer.arrived
            await trio.sleep(10)
            assert (transfer.arrived - before) / 10 == pytest.approx(expected, rel=0.03)
        nursery.cancel_scope.cancel()


@simulated()
async def test_many_peers_cost_little(world, net):
    """50 hosts, 8 connections each; what counts is wake-ups, so they are what is bounded here and not seconds."""
    hosts = [world.network.host(up=MIB, down=MIB) for _ in range(50)]
    pairs = [(hosts[n], hosts[(n + k) % 50]) for n in range(50) for k in range(1, 9)]
    got = await rates(net, pairs, warm_up=1, seconds=1)
    assert sum(got) > 45 * MIB
    assert world.trace.counts["delivered"] < 3 * sum(got) * 2 / (16 << 10)
