"""A network in memory, for tests under a virtual clock: hosts with names, scripted servers, datagrams that get lost."""

import itertools
import math
from collections.abc import Awaitable, Callable, Sequence

import trio
import trio.testing

from torrentlite.errors import NetworkError
from torrentlite.net.network import check_scope
from torrentlite.wire.address import Address, Scope, parse_host


class MemoryStream:
    def __init__(self, pipe: trio.StapledStream, local: Address, remote: Address) -> None:
        self.pipe = pipe
        self.local = local
        self.remote = remote
        self._unread = b""

    async def receive_into(self, buffer: memoryview) -> int:
        data, self._unread = self._unread, b""
        try:
            data = data or await self.pipe.receive_some(len(buffer))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise NetworkError("broken") from error
        buffer[: len(data)] = data
        return len(data)

    async def send_vectored(self, views: Sequence[bytes | bytearray | memoryview]) -> None:
        try:
            await self.pipe.send_all(b"".join(views))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise NetworkError("broken") from error

    def unread(self, data: bytes) -> None:
        self._unread = bytes(data) + self._unread

    async def aclose(self) -> None:
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        self.pipe.send_stream.close()
        self.pipe.receive_stream.close()


Handler = Callable[[trio.StapledStream], Awaitable[None]]


class MemoryNetwork:
    """One host's view of a world of names, servers and silent addresses.

    Attributes:
        names: host names with their addresses.
        servers: who answers TCP, by address; None accepts nobody and refuses nobody (a black hole).
        connects: every address that was tried.
        resolved: every name that was looked up.
    """

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.names: dict[str, list[str]] = {}
        self.servers: dict[Address, Handler | None] = {}
        self.connects: list[Address] = []
        self.resolved: list[str] = []

    def serve(self, host: str, port: int, handler: Handler | None) -> None:
        self.servers[Address(host, port)] = handler

    async def connect(self, address: Address, *, within: Scope = Scope.LOOPBACK) -> MemoryStream:
        check_scope(address, within)
        await trio.lowlevel.checkpoint()
        self.connects.append(address)
        if address not in self.servers:
            raise NetworkError(f"cannot connect to {address}: refused")
        handler = self.servers[address]
        if handler is None:
            await trio.sleep_forever()
        ours, theirs = trio.testing.memory_stream_pair()
        self.nursery.start_soon(handler, theirs)
        return MemoryStream(ours, Address("198.51.100.1", 50000), address)

    async def listen(self, host: str, port: int, *, fallback: bool):
        raise NotImplementedError

    async def open_datagrams(self, host: str, port: int):
        raise NotImplementedError

    async def resolve(self, host: str, port: int, *, within: Scope) -> list[Address]:
        await trio.lowlevel.checkpoint()
        self.resolved.append(host)
        hosts = [host] if parse_host(host) else self.names.get(host, [])
        if not hosts:
            raise NetworkError(f"cannot find {host}")
        found = [Address(host, port) for host in hosts]
        allowed = [address for address in found if address.scope >= within]
        if not allowed:
            check_scope(found[0], within)
        return allowed


class MemoryDatagrams:
    """A socket whose other side is a script: ``server(data, to)`` returns the replies, as (data, sender) each.

    Attributes:
        sent: what was sent, with the time and the address.
        room: whether sending works.
    """

    def __init__(self, server: Callable[[bytes, Address], list[tuple[bytes, Address]]], *, ipv6: bool = False) -> None:
        self.address = Address("::1" if ipv6 else "127.0.0.1", 6881)
        self.server = server
        self.sent: list[tuple[float, bytes, Address]] = []
        self.room = True
        self._put, self._get = trio.open_memory_channel[list[tuple[bytes, Address]]](math.inf)

    async def receive(self) -> list[tuple[bytes, Address]]:
        try:
            return await self._get.receive()
        except (trio.EndOfChannel, trio.ClosedResourceError) as error:
            raise NetworkError("closed") from error

    def send(self, data: bytes, to: Address) -> bool:
        self.sent.append((trio.current_time(), data, to))
        if self.room and (replies := self.server(data, to)):
            self.deliver(replies)
        return self.room

    def send_all(self, datagrams: Sequence[bytes], to: Address) -> int:
        return sum(1 for _ in itertools.takewhile(lambda data: self.send(data, to), datagrams))

    def deliver(self, datagrams: list[tuple[bytes, Address]]) -> None:
        self._put.send_nowait(datagrams)

    def close(self) -> None:
        self._get.close()


# -- HTTP servers ------------------------------------------------------------------------------------------------------

OK = b"HTTP/1.1 200 OK\r\n"


def answer(body: bytes = b"hello", head: bytes = b"") -> bytes:
    return OK + b"Content-Length: %d\r\n%s\r\n%s" % (len(body), head, body)


def redirect(location: str, status: int = 302) -> bytes:
    return b"HTTP/1.1 %d Moved\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % (status, location.encode("latin-1"))


class Server:
    """Says the same to everybody, after the head of a request; keeps the requests."""

    def __init__(self, *parts: bytes, pause: float = 0.0, hang: bool = False) -> None:
        self.parts = parts
        self.pause = pause
        self.hang = hang
        self.requests: list[bytes] = []

    async def __call__(self, stream: trio.abc.Stream) -> None:
        async with stream:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                part = await stream.receive_some()
                if not part:
                    return
                head += part
            self.requests.append(head)
            try:
                for part in self.parts:
                    await stream.send_all(part)
                    await trio.sleep(self.pause)
                if self.hang:
                    await trio.sleep_forever()
            except trio.BrokenResourceError:
                pass  # they had enough
