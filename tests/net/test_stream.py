import contextlib
import errno
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing
from hypothesis import given, strategies as st

from torrentlite import limits
from torrentlite.errors import NetworkError
from torrentlite.net import stream as stream_module
from torrentlite.net.network import Stream
from torrentlite.net.stream import TcpStream, reason, take_over


@contextlib.asynccontextmanager
async def tcp_pair(host: str = "127.0.0.1") -> AsyncIterator[tuple[TcpStream, TcpStream]]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with trio.socket.socket(family) as listening, trio.socket.socket(family) as near:
        await listening.bind((host, 0))
        listening.listen()
        await near.connect(listening.getsockname()[:2])
        far, _ = await listening.accept()
        one, other = take_over(near), take_over(far)
        try:
            yield one, other
        finally:
            one.close()
            other.close()


async def read_all(stream: Stream, size: int = 65536) -> bytes:
    buffer = memoryview(bytearray(size))
    received = bytearray()
    while count := await stream.receive_into(buffer):
        received += buffer[:count]
    return bytes(received)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_bytes_arrive_and_the_end_is_zero(host):
    async with tcp_pair(host) as (one, other):
        assert one.local == other.remote
        assert one.remote == other.local
        assert one.local.host == host
        await one.send_vectored([b"abc", bytearray(b"de"), memoryview(b"fgh"), b""])
        await one.aclose()
        assert await read_all(other) == b"abcdefgh"


async def test_small_messages_do_not_wait():
    async with tcp_pair() as (one, _):
        assert one._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            lowat = one._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
            assert lowat == limits.NOTSENT_LOWAT


@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="the system has no such option")
async def test_more_may_wait_where_it_leaves_fast(mock_clock):
    usual, most = limits.NOTSENT_LOWAT, limits.MAX_NOTSENT_LOWAT
    room = memoryview(bytearray(64 << 10))
    async with tcp_pair() as (one, other):

        async def send(size: int) -> None:
            for part in [len(room)] * (size // len(room)) + [size % len(room)]:
                await one.send_vectored([room[:part]])
                while part:
                    part -= await other.receive_into(room)

        for bytes_in_time, may_wait in (
            (1, usual),
            (usual, usual),
            (2.5 * usual, 2.5 * usual),
            (most, most),
            (3 * most, most),
            (most - usual, most),  # not worth a call
            (3 * usual, 3 * usual),
            (1, usual),
        ):
            await send(int(bytes_in_time * limits.NOTSENT_WINDOW / limits.NOTSENT_SECONDS))
            mock_clock.jump(1.001 * limits.NOTSENT_WINDOW)
            await send(1)
            lowat = one._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
            assert lowat == pytest.approx(may_wait, rel=0.01)


@pytest.mark.parametrize("sending", [True, False])
async def test_others_have_their_turn_after_some_calls(monkeypatch, sending):
    most = limits.SENDS_IN_A_ROW if sending else limits.RECEIVES_IN_A_ROW
    turns = 0
    checkpoint = trio.lowlevel.checkpoint

    async def turn():
        nonlocal turns
        turns += 1
        await checkpoint()

    async with tcp_pair() as (one, other):
        await one.send_vectored([bytes(2 * (most + 1))])
        await trio.lowlevel.wait_readable(other._sock)
        monkeypatch.setattr(trio.lowlevel, "checkpoint", turn)
        seen = []
        for _ in range(2 * (most + 1)):
            if sending:
                await other.send_vectored([b"x"])
            else:
                assert await other.receive_into(memoryview(bytearray(1))) == 1
            seen.append(turns)
        monkeypatch.undo()
    assert seen == [0] * most + [1] * (most + 1) + [2]


@pytest.mark.skipif(not hasattr(signal, "SIGPIPE"), reason="no such signal here")
def test_a_peer_that_has_left_ends_no_program_that_has_sigpipe_at_its_default():
    program = """
import signal, trio
from torrentlite.errors import NetworkError
from torrentlite.net.stream import take_over

async def main():
    near, far = trio.socket.socket(), trio.socket.socket()
    await near.bind(("127.0.0.1", 0))
    near.listen()
    await far.connect(near.getsockname())
    stream = take_over(far)
    (await near.accept())[0].close()
    while True:
        try:
            await stream.send_vectored([b"x" * 1000])
        except NetworkError as error:
            print(error)
            break
    try:  # the first error may be that of the reset
        await stream.send_vectored([b"x"])
    except NetworkError as error:
        print(error)

signal.signal(signal.SIGPIPE, signal.SIG_DFL)
trio.run(main)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert run.returncode == 0, run
    assert "Broken pipe" in run.stdout


async def test_what_is_there_is_not_received_once_cancelled():
    async with tcp_pair() as (one, other):
        await one.send_vectored([b"abc"])
        with trio.CancelScope() as scope:
            scope.cancel()
            await other.receive_into(memoryview(bytearray(3)))
        assert scope.cancelled_caught
        await one.aclose()
        assert await read_all(other) == b"abc"


async def test_receiving_fills_only_the_buffer():
    async with tcp_pair() as (one, other):
        await one.send_vectored([b"abcdef"])
        buffer = bytearray(b"....")
        assert await other.receive_into(memoryview(buffer)[1:3]) == 2
        assert buffer == b".ab."


async def test_unread_bytes_come_first_and_in_order():
    async with tcp_pair() as (one, other):
        await one.send_vectored([b"gh"])
        one.close()
        other.unread(b"cdef")
        other.unread(b"ab")
        assert await read_all(other, 3) == b"abcdefgh"


async def test_more_than_the_kernel_takes_in_one_call():
    big = [bytes([i]) * 300_000 for i in range(30)]
    async with tcp_pair() as (one, other), trio.open_nursery() as nursery:

        @nursery.start_soon
        async def send():
            await one.send_vectored(big)
            one.close()

        assert await read_all(other) == b"".join(big)


class Socket:
    """Takes what the script says of each sendmsg, and refuses more than IOV_MAX buffers like the system."""

    def __init__(self, script: list[int]) -> None:
        self.script = script
        self.taken = bytearray()
        self.calls = 0

    def sendmsg(self, buffers, ancillary, flags) -> int:
        assert not ancillary
        assert flags == getattr(socket, "MSG_NOSIGNAL", 0)
        self.calls += 1
        if len(buffers) > stream_module.IOV_MAX:
            raise OSError(errno.EMSGSIZE, "Message too long")
        data = b"".join(buffers)
        if self.script:
            data = data[: max(1, self.script.pop(0))]
        self.taken += data
        return len(data)

    def getsockname(self):
        return ("127.0.0.1", 1)

    def getpeername(self):
        return ("127.0.0.1", 2)

    def setsockopt(self, *_):
        raise OSError(errno.EINVAL, "Invalid argument")  # as for a connection that was reset


@given(
    st.lists(st.binary(max_size=40), max_size=30),
    st.lists(st.integers(1, 50), max_size=60),
    st.integers(1, 8),
)
def test_partial_sends_lose_and_repeat_nothing(views, script, iov_max):
    sock = Socket(script)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream_module, "IOV_MAX", iov_max)
        trio.run(TcpStream(sock).send_vectored, [memoryview(view) for view in views])
    assert sock.taken == b"".join(views)


async def test_one_call_for_a_batch():
    sock = Socket([])
    await TcpStream(sock).send_vectored([b"x" * 13, b"y" * 16384] * 32)
    assert sock.calls == 1


async def test_more_buffers_than_one_call_takes():
    async with tcp_pair() as (one, other), trio.open_nursery() as nursery:

        @nursery.start_soon
        async def send():
            await one.send_vectored([b"ab"] * (3 * stream_module.IOV_MAX + 1))
            one.close()

        assert await read_all(other) == b"ab" * (3 * stream_module.IOV_MAX + 1)


async def test_without_sendmsg():
    class Plain(Socket):
        sendmsg = property()  # raises AttributeError, as where there is none

        def send(self, data, flags) -> int:
            return Socket.sendmsg(self, [data], (), flags)

    sock = Plain([1, 2])
    await TcpStream(sock).send_vectored([b"abc", b"def"])
    assert sock.taken == b"abcdef"


async def test_closed_is_closed_whatever_is_tried():
    async with tcp_pair() as (one, _):
        one.close()
        with pytest.raises(NetworkError, match="closed"):
            await one.receive_into(memoryview(bytearray(1)))
        with pytest.raises(NetworkError, match="closed"):
            await one.send_vectored([b"x"])


async def test_closing_wakes_the_receiver():
    async with tcp_pair() as (one, _), trio.open_nursery() as nursery:

        @nursery.start_soon
        async def receive():
            with pytest.raises(NetworkError, match="closed"):
                await one.receive_into(memoryview(bytearray(1)))

        await trio.testing.wait_all_tasks_blocked()
        one.close()


async def test_closing_wakes_the_sender():
    async with tcp_pair() as (one, _), trio.open_nursery() as nursery:

        @nursery.start_soon
        async def send():
            with pytest.raises(NetworkError, match="closed"):
                await one.send_vectored([bytes(1 << 20)] * 64)  # nobody reads

        await trio.testing.wait_all_tasks_blocked()
        one.close()


async def test_closed_twice_is_closed():
    async with tcp_pair() as (one, other):
        one.close()
        one.close()
        await one.aclose()
        with pytest.raises(NetworkError):
            await one.receive_into(memoryview(bytearray(1)))
        with pytest.raises(NetworkError):
            await one.send_vectored([b"x"])
        assert await read_all(other) == b""


async def test_a_reset_is_a_network_error():
    async with tcp_pair() as (one, other):
        other._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        other.close()
        with pytest.raises(NetworkError, match="reset"):
            await one.receive_into(memoryview(bytearray(1)))


async def test_receiving_can_be_cancelled_and_goes_on():
    async with tcp_pair() as (one, other):
        buffer = memoryview(bytearray(10))
        with trio.move_on_after(0) as scope:
            await other.receive_into(buffer)
        assert scope.cancelled_caught
        await one.send_vectored([b"abc"])
        assert await other.receive_into(buffer) == 3


def test_reasons_are_words():
    assert reason(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")) == "Connection refused"
    assert reason(trio.ClosedResourceError()) == "closed"
    assert reason(OSError()) == "OSError"
