"""A connection that is encrypted both ways, over a simulated one."""

import contextlib
import random

import trio

import torrentlite.testing
from torrentlite.net.encrypted import EncryptedStream
from torrentlite.wire.address import Address
from torrentlite.wire.rc4 import rc4

simulated = torrentlite.testing.simulated
A, B = b"a" * 20, b"b" * 20


@contextlib.asynccontextmanager
async def connected(world):
    """Two ends with the same keys, and what lies under them."""
    one, two = world.host(), world.host()
    (listener,) = await two.network.listen("", 0, fallback=False)
    under = await one.network.connect(Address(two.network.ip, listener.address.port)), await listener.accept()
    with contextlib.closing(listener), contextlib.closing(under[0]), contextlib.closing(under[1]):
        yield EncryptedStream(under[0], rc4(B), rc4(A)), EncryptedStream(under[1], rc4(A), rc4(B)), under


async def take(stream, size, step=1000):
    got, buffer = b"", memoryview(bytearray(step))
    while len(got) < size:
        count = await stream.receive_into(buffer[: min(step, size - len(got))])
        assert count
        got += buffer[:count]
    return got


@simulated()
async def test_both_ways_in_pieces_of_any_size(world):
    data = random.Random(1).randbytes(300_000)
    async with connected(world) as (one, two, _):
        assert one.remote == two.local
        assert one.local == two.remote

        async def send(stream):
            rest = memoryview(data)
            rng = random.Random(2)
            while rest:
                size = rng.randrange(1, 40_000)
                await stream.send_vectored(
                    [rest[: size // 3], bytes(rest[size // 3 : size // 2]), rest[size // 2 : size]]
                )
                rest = rest[size:]

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send, one)
            nursery.start_soon(send, two)
            assert await take(two, len(data)) == data
            assert await take(one, len(data), 7777) == data


@simulated()
async def test_what_goes_over_the_line_is_something_else_and_what_was_given_stays(world):
    async with connected(world) as (one, _, (_, under)):
        given = bytearray(b"the same words" * 100)
        await one.send_vectored([given])
        assert given == b"the same words" * 100
        assert b"words" not in await take(under, len(given))


@simulated()
async def test_what_is_given_back_comes_first_and_once(world):
    async with connected(world) as (one, two, _):
        await one.send_vectored([b"0123456789"])
        assert await take(two, 4) == b"0123"
        two.unread(b"23")
        two.unread(b"01")
        assert await take(two, 10, 3) == b"0123456789"


@simulated()
async def test_the_end(world):
    async with connected(world) as (one, two, under):
        await one.send_vectored([b"bye"])
        await one.aclose()
        assert await take(two, 3) == b"bye"
        two.unread(b"e")
        assert await two.receive_into(memoryview(bytearray(5))) == 1
        assert await two.receive_into(memoryview(bytearray(5))) == 0
        two.unread(b"x")
        two.close()
        assert "closed" in repr(under[1])
