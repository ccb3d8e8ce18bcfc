"""A simulated web server that has files and gives parts of them, and can be made to do it badly."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Final

import h11
import trio

from ..errors import NetworkError
from ..wire.address import Address
from .host import SimulatedHost
from .listener import SimulatedListener
from .requests import read_request
from .stream import SimulatedStream
from .trace import Trace

PORT: Final = 80
"""Where simulated web servers are."""


@dataclasses.dataclass(frozen=True, slots=True)
class WebRequest:
    """A request as the server understood it."""

    moment: float
    """Seconds on Trio's clock."""
    client: Address
    path: str
    """Path and query, as it came."""
    headers: Mapping[str, str]
    """By lower-case name."""

    @property
    def range(self) -> tuple[int, int] | None:
        """First and last byte that are asked for; None for the whole file."""
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("range", ""))
        return (int(match[1]), int(match[2])) if match else None


@dataclasses.dataclass(slots=True)
class WebAnswer:
    """What is answered, to be changed by a fault.

    Attributes:
        status: of the answer.
        headers: all but ``Content-Length``, which is that of the body unless it stands here.
        body: its bytes.
        stop_after: hang up after so many bytes of the body.
        rate: bytes per second; 0 for as fast as the line.
        delay: seconds before anything is sent.
        chunked: send the body in chunks, without saying how long it is.
    """

    status: int = 200
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    body: bytes = b""
    stop_after: int | None = None
    rate: float = 0
    delay: float = 0
    chunked: bool = False


Fault = Callable[[WebRequest, WebAnswer], WebAnswer]
"""Gets a request and its right answer, and returns what is answered instead."""


class SimulatedWebServer:
    """A web server on a simulated host. ``SimulatedWorld.web_server`` makes one and keeps it going.

    Args:
        host: where it runs.
        files: their bytes, by path.
        name: its host name, or empty for an address in its URLs.
        trace: counts "http".

    Attributes:
        ranges: whether it sends parts of files; else a range is answered with the whole file.
        fault: spoils answers, or None.
        busy: connections that are served at a time; the others are answered 503. 0 for no bound.
        requests: all of them in order.
        connections: how many there were.
        sent: bytes of bodies.
    """

    def __init__(self, host: SimulatedHost, files: Mapping[str, bytes], *, name: str = "", trace: Trace) -> None:
        self.host = host
        self.files = dict(files)
        self.ranges = True
        self.fault: Fault | None = None
        self.busy = 0
        self.requests: list[WebRequest] = []
        self.connections = 0
        self.sent = 0
        self._open = 0
        self._trace = trace
        self._place = name or str(Address(host.addresses[0], PORT)).removesuffix(f":{PORT}")

    def __repr__(self) -> str:
        return f"<SimulatedWebServer {self._place}>"

    @property
    def url(self) -> str:
        """Its root, with a slash at the end."""
        return f"http://{self._place}/"

    async def run(self) -> None:
        """Answer until cancelled, or until its host is stopped (then it can be run again)."""
        listeners = await self.host.listen("", PORT, fallback=False)
        try:
            async with trio.open_nursery() as nursery:
                for listener in listeners:
                    nursery.start_soon(self._accept, listener, nursery)
        finally:
            for listener in listeners:
                listener.close()

    async def _accept(self, listener: SimulatedListener, nursery: trio.Nursery) -> None:
        with contextlib.suppress(NetworkError):
            while True:
                nursery.start_soon(self._serve, await listener.accept())

    async def _serve(self, stream: SimulatedStream) -> None:
        """Requests one after the other, until somebody hangs up."""
        self.connections += 1
        self._open += 1
        try:
            with contextlib.closing(stream), contextlib.suppress(NetworkError, h11.RemoteProtocolError):
                connection = h11.Connection(h11.SERVER)
                while True:
                    asked = await read_request(connection, stream)
                    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in asked.headers}
                    request = WebRequest(trio.current_time(), stream.remote, asked.target.decode("latin-1"), headers)
                    self.requests.append(request)
                    self._trace.record("http", str(stream.remote), request.path, str(request.range))
                    if not await self._send(connection, stream, self._answer(request)):
                        return
                    connection.start_next_cycle()
        finally:
            self._open -= 1

    def _answer(self, request: WebRequest) -> WebAnswer:
        body = self.files.get(urllib.parse.unquote(request.path.partition("?")[0]))
        if self.busy and self._open > self.busy:
            answer = WebAnswer(503, {"Retry-After": "7"})
        elif body is None:
            answer = WebAnswer(404)
        elif request.range is None or not self.ranges:
            answer = WebAnswer(200, {}, body)
        else:
            first, last = request.range
            if first >= len(body):
                answer = WebAnswer(416, {"Content-Range": f"bytes */{len(body)}"})
            else:
                last = min(last, len(body) - 1)
                place = f"bytes {first}-{last}/{len(body)}"
                answer = WebAnswer(206, {"Content-Range": place}, body[first : last + 1])
        return answer if self.fault is None else self.fault(request, answer)

    async def _send(self, connection: h11.Connection, stream: SimulatedStream, answer: WebAnswer) -> bool:
        """Whether the connection goes on."""
        if answer.delay:
            await trio.sleep(answer.delay)
        headers = dict(answer.headers)
        if not answer.chunked:
            headers.setdefault("Content-Length", str(len(answer.body)))
        response = h11.Response(status_code=answer.status, headers=list(headers.items()))
        await stream.send_vectored([connection.send(response) or b""])
        body = memoryview(answer.body if answer.stop_after is None else answer.body[: answer.stop_after])
        step = max(1, min(1 << 14, int(answer.rate / 4))) if answer.rate else 1 << 14
        for start in range(0, len(body), step):
            part = body[start : start + step]
            if answer.rate:
                await trio.sleep(len(part) / answer.rate)
            await stream.send_vectored(connection.send_with_data_passthrough(h11.Data(data=bytes(part))) or [])
            self.sent += len(part)
        if answer.stop_after is not None:
            return False
        await stream.send_vectored([connection.send(h11.EndOfMessage()) or b""])
        return connection.our_state is h11.DONE
