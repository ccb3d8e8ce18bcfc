"""Streams over UDP on a simulated network: loss, distance, narrow lines, routers, and networks that go away."""

from __future__ import annotations

import contextlib
import random

import pytest
import trio

from tests.strangers import background, simulated
from torrentlite import limits
from torrentlite.errors import NetworkError
from torrentlite.net.udp import UdpPort
from torrentlite.testing.nat import NatKind
from torrentlite.utp.ledbat import MAX_TIMEOUT
from torrentlite.utp.port import Utp
from torrentlite.wire.address import Address


async def port_on(nursery, machine):
    udp = UdpPort(await machine.network.open_datagrams("", 6881))
    await nursery.start(udp.run)
    utp = Utp(udp, secret=machine.secret, source=machine.network.source_for)
    nursery.start_soon(utp.run)
    return utp


def where(host):
    return Address(host.network.ip, 6881)


async def read(stream, size):
    data, buffer = bytearray(), memoryview(bytearray(1 << 14))
    while len(data) < size and (count := await stream.receive_into(buffer)):
        data += buffer[:count]
    return bytes(data)


async def meet(ours, theirs, address):
    stream = await ours.connect(address)
    await stream.send_vectored([b"hello"])
    other = await theirs.accept()
    assert await read(other, 5) == b"hello"
    return stream, other


async def until_gone(*ports):
    """Closed streams are gone after a while, on both sides."""
    with trio.fail_after(limits.UTP_LINGER + 1):
        while any(map(len, ports)):
            await trio.sleep(0.1)
    assert not any(port._called or port._touched for port in ports)


@pytest.mark.parametrize(
    "line",
    [
        {},
        {"loss": 0.02, "latency": 0.05},
        {"up": 100_000, "down": 300_000},
        {"up": 50_000, "latency": 0.2, "loss": 0.01},
    ],
)
@simulated()
async def test_both_ways(world, line):
    one, two = world.host(**line), world.host(**line)
    forth, back = (random.Random(seed).randbytes(300_000) for seed in (1, 2))
    async with background() as nursery:
        ours, theirs = [await port_on(nursery, machine) for machine in (one, two)]
        stream, other = await meet(ours, theirs, where(two))
        heard = {}

        async def say(stream, data):
            for at in range(0, len(data), 16384):
                await stream.send_vectored([data[at : at + 100], data[at + 100 : at + 16384]])

        async def hear(stream, name):
            heard[name] = await read(stream, 300_000)

        with trio.fail_after(60):
            async with trio.open_nursery() as talking:
                for end, data, name in ((stream, forth, "back"), (other, back, "forth")):
                    talking.start_soon(say, end, data)
                    talking.start_soon(hear, end, name)
        assert heard == {"forth": forth, "back": back}
        stream.close()
        other.close()
        await until_gone(ours, theirs)


@pytest.mark.parametrize("kind", list(NatKind))
@simulated()
async def test_a_router_that_forgets_after_half_a_minute(world, kind):
    router = world.network.router(kind=kind, lifetime=30.0)
    home, machine = world.host(router=router), world.host()
    async with background() as nursery:
        ours, theirs = [await port_on(nursery, one) for one in (home, machine)]
        stream, other = await meet(ours, theirs, where(machine))
        assert other.remote.host == router.ip
        await trio.sleep(1200)
        await other.send_vectored([b"still there?"])
        with trio.fail_after(1):
            assert await read(stream, 12) == b"still there?"
        assert router.nat.refused == 0
        # Half of a minute is all that is needed: who sleeps longer is not found any more.
        assert limits.UTP_KEEP_ALIVE + limits.UTP_TICK < 30


@pytest.mark.parametrize("outage", [3.0, limits.UTP_GIVE_UP - MAX_TIMEOUT - 1, limits.UTP_GIVE_UP + 1])
@simulated()
async def test_a_network_that_is_away(world, outage):
    one, two = world.host(), world.host()
    async with background() as nursery:
        ours, theirs = [await port_on(nursery, machine) for machine in (one, two)]
        stream, other = await meet(ours, theirs, where(two))
        two.network.plugged = False
        await stream.send_vectored([bytes(50_000)])
        await trio.sleep(outage)
        two.network.plugged = True
        if outage < limits.UTP_GIVE_UP:
            with trio.fail_after(MAX_TIMEOUT + 5):
                assert await read(other, 50_000) == bytes(50_000)
        else:
            with pytest.raises(NetworkError, match="timed out"):
                await read(stream, 1)
            await other.send_vectored([b"?"])
            with pytest.raises(NetworkError, match="reset"), trio.fail_after(5):
                await read(other, 1)
        stream.close()
        other.close()
        await until_gone(ours, theirs)


@pytest.mark.parametrize("speaks", [True, False])
@simulated()
async def test_the_other_side_is_killed_and_started_anew(world, speaks):
    one, two = world.host(), world.host()
    async with background() as nursery:
        ours = await port_on(nursery, one)
        async with background() as first:
            theirs = await port_on(first, two)
            stream, _ = await meet(ours, theirs, where(two))
        two.network.stop()
        await port_on(nursery, two)
        if speaks:
            await stream.send_vectored([b"anybody?"])
        with pytest.raises(NetworkError, match="reset"), trio.fail_after(5 if speaks else limits.UTP_KEEP_ALIVE + 5):
            await read(stream, 1)
        stream.close()
        assert len(ours) == 0


@simulated()
async def test_where_nobody_speaks_it(world):
    one, two = world.host(), world.host()
    async with background() as nursery:
        ours = await port_on(nursery, one)
        udp = UdpPort(await two.network.open_datagrams("", 6881))
        await nursery.start(udp.run)
        with pytest.raises(NetworkError, match="refused"), trio.fail_after(1):
            await ours.connect(where(two))
        assert len(ours) == 0


@simulated()
async def test_cancelled_in_the_middle(world):
    """Of a connect, a send and a receive; nothing is left behind."""
    one, two = world.host(up=20_000), world.host()
    async with background() as nursery:
        ours, theirs = [await port_on(nursery, machine) for machine in (one, two)]
        two.network.plugged = False
        with trio.move_on_after(2):
            await ours.connect(where(two))
        assert len(ours) == 0
        two.network.plugged = True
        stream, other = await meet(ours, theirs, where(two))
        with trio.move_on_after(1) as sending:
            await stream.send_vectored([bytes(500_000)])
        with trio.move_on_after(1) as receiving:
            await read(stream, 1)
        assert sending.cancelled_caught
        assert receiving.cancelled_caught
        # What was given is on its way, and what follows comes after it.
        await stream.send_vectored([b"end"])
        with trio.fail_after(60):
            assert await read(other, 500_003) == bytes(500_000) + b"end"
        stream.close()
        with trio.fail_after(5):
            assert await read(other, 1) == b""
        other.close()
        await until_gone(ours, theirs)


@simulated()
async def test_many_at_once(world):
    one, two = world.host(up=1_000_000, loss=0.01), world.host()
    async with background() as nursery:
        ours, theirs = [await port_on(nursery, machine) for machine in (one, two)]
        heard = []

        async def serve(stream):
            with contextlib.closing(stream):
                heard.append(await read(stream, 1 << 20))

        @nursery.start_soon
        async def accept():
            while True:
                nursery.start_soon(serve, await theirs.accept())

        async def talk(number):
            stream = await ours.connect(where(two))
            with contextlib.closing(stream):
                await stream.send_vectored([bytes([number]) * 20_000])

        with trio.fail_after(60):
            async with trio.open_nursery() as talking:
                for number in range(50):
                    talking.start_soon(talk, number)
            while len(heard) < 50:
                await trio.sleep(0.1)
        assert sorted(heard) == [bytes([number]) * 20_000 for number in range(50)]
        await until_gone(ours, theirs)
