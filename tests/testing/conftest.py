"""Connections in a simulated world."""

from types import SimpleNamespace

import pytest

from torrentlite.testing import SimulatedHost, SimulatedStream
from torrentlite.wire.address import Address


async def connect(near: SimulatedHost, far: SimulatedHost, *, ip: str = "") -> tuple[SimulatedStream, SimulatedStream]:
    """Both ends of a new connection. Nobody listens any more afterwards."""
    listeners = await far.listen("", 0, fallback=False)
    address = Address(ip or far.ip, listeners[0].address.port)
    near_end = await near.connect(address)
    (listener,) = (listener for listener in listeners if listener.address.is_ipv6 == address.is_ipv6)
    far_end = await listener.accept()
    for listener in listeners:
        listener.close()
    return near_end, far_end


async def receive(stream: SimulatedStream, size: int | None = None) -> bytes:
    """So many bytes, or all until the end."""
    data = bytearray()
    buffer = memoryview(bytearray(256 << 10))
    while size is None or len(data) < size:
        got = await stream.receive_into(buffer[: None if size is None else size - len(data)])
        if not got:
            break
        data += buffer[:got]
    return bytes(data)


@pytest.fixture
def net():
    return SimpleNamespace(connect=connect, receive=receive)
