import pytest
import trio
import trio.testing

from torrentlite.errors import NetworkError
from torrentlite.testing import NetworkStats, simulated
from torrentlite.testing.flow import RECEIVE_BUFFER, SEND_BUFFER


@pytest.fixture
def pattern():
    return bytes(range(251)) * 4001  # about a MiB, and not of the same period as anything


@simulated()
async def test_bytes_arrive_whole_and_in_order(world, net, pattern):
    near, far = await net.connect(world.network.host(up=1e6, loss=0.05), world.network.host(down=2e6))
    got = []
    async with trio.open_nursery() as nursery:

        async def send():
            await near.send_vectored([pattern[:13], b"", memoryview(pattern)[13:30_000], bytearray(pattern[30_000:])])
            near.close()

        async def receive():
            got.append(await net.receive(far))

        nursery.start_soon(send)
        nursery.start_soon(receive)
    assert got == [pattern]
    assert world.trace.counts["lost"], "the loss was there"


@simulated()
async def test_what_was_sent_is_a_copy(world, net):
    near, far = await net.connect(world.network.host(), world.network.host())
    data = bytearray(b"before")
    await near.send_vectored([data])
    data[:] = b"after!"
    assert await net.receive(far, 6) == b"before"


@simulated()
async def test_views_of_other_items_than_bytes_count_in_bytes(world, net):
    near, far = await net.connect(world.network.host(), world.network.host())
    await near.send_vectored([memoryview(b"\1\0\2\0").cast("H")])
    assert await net.receive(far, 4) == b"\1\0\2\0"


@simulated()
async def test_unread_bytes_come_first(world, net):
    near, far = await net.connect(world.network.host(), world.network.host())
    await near.send_vectored([b"world"])
    near.close()
    far.unread(b"lo ")
    far.unread(b"hel")
    assert await net.receive(far, 4) == b"hell"
    assert await net.receive(far) == b"o world"


@simulated()
async def test_the_end_comes_after_the_data_and_stays(world, net):
    near, far = await net.connect(world.network.host(), world.network.host())
    await near.send_vectored([b"last words"])
    near.close()
    assert await net.receive(far) == b"last words"
    assert await net.receive(far) == b""


@simulated()
async def test_one_direction_may_end_first(world, net):
    near, far = await net.connect(world.network.host(), world.network.host())
    near.send_eof()
    assert await net.receive(far) == b""
    await far.send_vectored([b"still here"])
    assert await net.receive(near, 10) == b"still here"
    with pytest.raises(NetworkError, match="end was sent"):
        await near.send_vectored([b"x"])


@simulated()
async def test_sending_to_who_has_closed_ends_in_a_reset(world, net):
    near, far = await net.connect(world.network.host(), world.network.host())
    far.close()
    assert await net.receive(near) == b""
    await near.send_vectored([b"are you there?"])  # the first one goes out: nobody knows yet
    await trio.sleep(1)
    with pytest.raises(NetworkError, match="reset by peer"):
        await near.send_vectored([b"hello?"])


@simulated()
async def test_closing_with_unread_bytes_is_a_reset(world, net):
    near, far = await net.connect(world.network.host(), world.network.host())
    await near.send_vectored([b"read me"])
    await trio.sleep(1)
    far.close()
    with pytest.raises(NetworkError, match="reset by peer"):
        await net.receive(near)
    assert world.trace.counts["reset"] == 1


@simulated()
async def test_nothing_is_kept_for_who_has_broken_off(world, net):
    near, far = await net.connect(world.network.host(), world.network.host(up=10_000))
    await far.send_vectored([bytes(50_000)])
    near.reset()
    assert far.held > 0
    await trio.sleep(1)
    assert far.held == 0
    assert world.timeline.pending == 0


@simulated()
async def test_what_arrived_before_a_reset_can_be_read(world, net):
    near, far = await net.connect(world.network.host(), world.network.host(down=1000))
    await near.send_vectored([b"a" * 1000])
    await trio.sleep(2)
    await near.send_vectored([b"b" * 1000])
    near.reset()
    await trio.sleep(2)
    assert await net.receive(far, 1000) == b"a" * 1000
    with pytest.raises(NetworkError, match="reset by peer"):
        await net.receive(far)


@pytest.mark.parametrize("how", ["close", "reset"])
@simulated()
async def test_who_waits_is_woken(world, net, how):
    near, far = await net.connect(world.network.host(), world.network.host())

    async def receive(stream):
        with pytest.raises(NetworkError):
            await net.receive(stream)

    async def send(stream):
        with pytest.raises(NetworkError):
            await stream.send_vectored([bytes(10 << 20)])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive, near)
        nursery.start_soon(send, near)
        await trio.sleep(1)
        getattr(near, how)()
    far.close()
    await trio.sleep(1)
    assert world.network.stats() == NetworkStats(hosts=2, sockets=0, held=0)


@simulated()
async def test_the_other_side_is_woken_by_a_reset(world, net):
    near, far = await net.connect(world.network.host(), world.network.host())
    async with trio.open_nursery() as nursery:

        async def send():
            with pytest.raises(NetworkError, match="reset by peer"):
                await far.send_vectored([bytes(10 << 20)])

        nursery.start_soon(send)
        await trio.sleep(1)
        near.reset()
    far.close()
    await trio.sleep(1)
    assert world.network.stats() == NetworkStats(hosts=2, sockets=0, held=0)


@simulated()
async def test_closed_streams_say_so(world, net):
    near, far = await net.connect(world.network.host(), world.network.host())
    await near.aclose()
    near.close()
    near.reset()
    with pytest.raises(NetworkError, match="closed"):
        await near.send_vectored([b"x"])
    with pytest.raises(NetworkError, match="closed"):
        await near.receive_into(memoryview(bytearray(1)))
    assert await net.receive(far) == b""


@simulated()
async def test_buffers_are_bounded_and_senders_wait(world, net):
    near, far = await net.connect(world.network.host(), world.network.host())
    sent = []

    async def send():
        for _ in range(400):
            await near.send_vectored([bytes(16 << 10)])
            sent.append(16 << 10)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await trio.sleep(3600)
        assert RECEIVE_BUFFER <= sum(sent) <= SEND_BUFFER + RECEIVE_BUFFER
        assert SEND_BUFFER + RECEIVE_BUFFER - (64 << 10) <= near.held <= SEND_BUFFER + RECEIVE_BUFFER
        await net.receive(far, 1 << 20)
        await trio.sleep(10)
        assert 2 * RECEIVE_BUFFER <= sum(sent) <= SEND_BUFFER + 2 * RECEIVE_BUFFER
        nursery.cancel_scope.cancel()


@simulated()
async def test_a_slow_line_holds_the_sender_back(world, net):
    near, _ = await net.connect(world.network.host(up=10_000, send_buffer=20_000), world.network.host())
    await near.send_vectored([bytes(20_000)])
    assert trio.current_time() < 0.1, "it fits into the buffer"
    await near.send_vectored([bytes(100_000)])
    assert 9 <= trio.current_time() <= 11, "all but what the buffer holds has left"


@simulated()
async def test_a_cancelled_receive_loses_nothing(world, net, pattern):
    near, far = await net.connect(world.network.host(up=1e6), world.network.host())
    got = bytearray()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(near.send_vectored, [pattern])
        buffer = memoryview(bytearray(5000))
        while len(got) < len(pattern):
            with trio.move_on_after(0.001):
                got += buffer[: await far.receive_into(buffer)]
    assert got == pattern


@simulated()
async def test_a_cancelled_send_leaves_a_beginning(world, net, pattern):
    near, far = await net.connect(world.network.host(up=1e5), world.network.host())
    with trio.move_on_after(3) as scope:
        await near.send_vectored([pattern])
    assert scope.cancelled_caught
    near.close()
    got = await net.receive(far)
    assert 300_000 <= len(got) <= 300_000 + SEND_BUFFER + 5000
    assert pattern.startswith(got)


@simulated()
async def test_nothing_is_sent_when_cancelled_before(world, net):
    near, far = await net.connect(world.network.host(), world.network.host())
    with trio.CancelScope() as scope:
        scope.cancel()
        await near.send_vectored([b"x"])
    near.close()
    assert await net.receive(far) == b""


@simulated()
async def test_everything_async_is_a_checkpoint(world, net):
    near, far = await net.connect(world.network.host(), world.network.host())
    with trio.testing.assert_checkpoints():
        await near.send_vectored([b"xyz"])
    await trio.sleep(1)
    for _ in range(2):
        with trio.testing.assert_checkpoints():
            await far.receive_into(memoryview(bytearray(1)))
    far.unread(b"x")
    with trio.testing.assert_checkpoints():
        await far.receive_into(memoryview(bytearray(1)))
    with trio.testing.assert_checkpoints():
        await far.aclose()


@simulated()
async def test_two_tasks_may_not_do_the_same(world, net):
    near, _ = await net.connect(world.network.host(), world.network.host())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(net.receive, near)
        nursery.start_soon(near.send_vectored, [bytes(10 << 20)])
        await trio.sleep(1)
        with pytest.raises(trio.BusyResourceError):
            await near.receive_into(memoryview(bytearray(1)))
        with pytest.raises(trio.BusyResourceError):
            await near.send_vectored([b"x"])
        nursery.cancel_scope.cancel()
