"""HTTP as simulated servers read it."""

from __future__ import annotations

import h11

from ..errors import NetworkError
from .stream import SimulatedStream


async def read_request(connection: h11.Connection, stream: SimulatedStream) -> h11.Request:
    """Read one request without a body.

    Raises:
        NetworkError: there is none: the other side hung up.
        h11.RemoteProtocolError: it is not HTTP.
    """
    request: h11.Request | None = None
    buffer = memoryview(bytearray(4096))
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            size = await stream.receive_into(buffer)
            connection.receive_data(bytes(buffer[:size]))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.EndOfMessage) and request is not None:
            return request
        elif isinstance(event, h11.ConnectionClosed):
            raise NetworkError("no request")
