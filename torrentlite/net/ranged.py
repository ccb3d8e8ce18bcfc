"""Ranges of big files over HTTP(S): one connection that is kept, and bodies that go straight into the caller's buffer.

Heads are spoken by h11. A body of known length is not: its bytes are those of the stream, and through h11 each of them
is copied three times more. Over loopback a file of 512 MiB took 0.3 CPU seconds a GiB this way, 1.3 through httpx2 and
2.1 through h11 alone, where hashing and writing take 1. A body in chunks, which hardly any file is, goes through h11.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from typing import NamedTuple

import h11
import trio

from .. import limits
from ..errors import NetworkError
from ..wire.address import Scope
from .http import basic_authorization, redirected
from .network import Network, Stream
from .partial import Part, RefusedError, read_part
from .proxy import Proxy, connect_to, direct
from .tls import Pipe, start_tls, system_trust
from .url import Url

_REDIRECTS = (301, 302, 303, 307, 308)


class Place(NamedTuple):
    """Where a URL leads in the end, and the narrowest scope that its address may have."""

    url: Url
    within: Scope


class _Head(NamedTuple):
    status: int
    headers: Mapping[str, str]


class RangedHttp:
    """Asks one server after the other for bytes of files, and keeps the connection while it stays the same one.

    Not for two tasks at a time. Nothing of the environment is used by itself.

    Args:
        network: all connections and look-ups of names are its.
        user_agent: what servers are told.
        moved: where redirects led, by URL. A file is fetched in many requests and need not be looked for in each; what
            is refused there is looked for anew. May be shared.
        ssl_context: whom to trust for https; None: whom the system trusts.
        proxies: whom to ask for a URL (``environment.proxy_for``); what it raises is raised.

    Attributes:
        left: bytes of the body that are still to come.
    """

    def __init__(
        self,
        network: Network,
        *,
        user_agent: str,
        moved: dict[str, Place] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        proxies: Callable[[Url], Proxy | None] = direct,
    ) -> None:
        self._network = network
        self._proxies = proxies
        self._user_agent = user_agent
        self._moved = {} if moved is None else moved
        self._ssl_context = ssl_context
        self._stream: Stream | None = None
        self._tls: trio.SSLStream[trio.abc.Stream] | None = None
        self._place: Place | None = None
        self._forwarder: Proxy | None = None  # who is at the other end, and gets the request itself
        self._chunks: h11.Connection | None = None  # while a body comes in chunks
        self._early = memoryview(b"")  # what came with the head
        self._keep = False
        self.left = 0

    async def get(self, url: Url, asked: Part, size: int, *, within: Scope, ranged: bool = True) -> Part:
        """Ask for bytes of a file, following redirects; then ``receive_into`` gives the ``left`` bytes of the body.

        There is no time limit here: use a cancel scope.

        Args:
            url: http or https.
            asked: the bytes; at least one.
            size: of the whole file.
            within: the narrowest scope that the server's address may have.
            ranged: ask for a range; False: for the whole file.

        Returns:
            What the body holds: see ``read_part``.

        Raises:
            RefusedError: the server does not give these bytes (too many redirects among others).
            NetworkError: no proper answer (ForbiddenAddressError: it led to where its source may not lead).
        """
        place = self._moved.get(str(url))
        if place is not None:
            head = await self._once(place, asked if ranged else None)
            if head.status in (200, 206):
                return self._begin(head, asked, size)
            # A link that held for a while: the way to the new one starts where it began. Another connection that shares
            # what is remembered may have seen that first, and remember the new one already.
            if self._moved.get(str(url)) is place:
                del self._moved[str(url)]
        place = Place(url, within)
        for _ in range(limits.MAX_REDIRECTS + 1):
            head = await self._once(place, asked if ranged else None)
            location = head.headers.get("location")
            if head.status not in _REDIRECTS or location is None:
                part = self._begin(head, asked, size)
                if place.url != url:
                    self._moved[str(url)] = place
                return part
            assert self._stream is not None
            scope = max(place.within, self._stream.remote.scope)
            place = Place(redirected(place.url, location), scope)
            self.close()  # what it says besides is not read
        raise RefusedError(f"more than {limits.MAX_REDIRECTS} redirects", lasting=True)

    async def receive_into(self, buffer: memoryview) -> int:
        """Wait for bytes of the body and put them at the start of the buffer; 0 when there are no more.

        Raises:
            NetworkError: it ended too early, or broke.
        """
        buffer = buffer[: self.left]
        if not buffer:
            return 0
        try:
            count = await (self._chunk(buffer) if self._chunks is not None else self._some(buffer))
        except NetworkError:
            self.close()
            raise
        if not count:
            left, self.left = self.left, 0
            self.close()
            raise NetworkError(f"it stopped {left:,} bytes before the end of its answer")
        self.left -= count
        return count

    def close(self) -> None:
        """Let go of the connection."""
        if self._stream is not None:
            self._stream.close()
        self._stream = self._tls = self._place = self._forwarder = self._chunks = None
        self._early = memoryview(b"")
        self._keep = False
        self.left = 0

    # -- one request -------------------------------------------------------------------------------------------------

    async def _once(self, place: Place, asked: Part | None) -> _Head:
        if self._is_kept_for(place):
            try:
                return await self._ask(place.url, asked)
            except NetworkError:
                pass  # it was closed while nobody looked, as it may be at any time: that says nothing about the server
        await self._connect(place)
        try:
            return await self._ask(place.url, asked)
        except NetworkError:
            self.close()
            raise

    def _is_kept_for(self, place: Place) -> bool:
        if self._stream is None or self._place is None or self.left or self._early or not self._keep:
            return False
        # The connection was opened under some scope; it carries no request of a source that may not go there.
        return self._place.url.origin == place.url.origin and self._stream.remote.scope >= place.within

    async def _connect(self, place: Place) -> None:
        self.close()
        url = place.url
        proxy = self._proxies(url)
        self._stream = stream = await connect_to(self._network, url, within=place.within, proxy=proxy)
        self._place = place
        self._forwarder = proxy if proxy is not None and proxy.forwards(url) else None
        if url.scheme == "https":
            self._tls = await start_tls(Pipe(stream), self._ssl_context or system_trust(), url.host)

    async def _ask(self, url: Url, asked: Part | None) -> _Head:
        """Send the request, and read the head of its answer."""
        connection = h11.Connection(h11.CLIENT)
        host = f"[{url.host}]" if ":" in url.host else url.host
        headers = [
            ("Host", host if url.port == (443 if url.scheme == "https" else 80) else f"{host}:{url.port}"),
            ("User-Agent", self._user_agent),
            ("Accept", "*/*"),
            ("Accept-Encoding", "identity"),
        ]
        if asked is not None:
            headers.append(("Range", f"bytes={asked.offset}-{asked.offset + asked.length - 1}"))
        if url.credentials:
            headers.append(("Authorization", basic_authorization(url)))
        target = url.target
        if self._forwarder is not None:
            target = url.whole
            headers += self._forwarder.authorization.items()
        self._chunks = None
        self._early = memoryview(b"")
        self._keep = False
        try:
            request = connection.send(h11.Request(method="GET", target=target, headers=headers)) or b""
            await self._send(request + (connection.send(h11.EndOfMessage()) or b""))
            response = await self._response(connection)
        except h11.RemoteProtocolError as error:
            raise NetworkError(f"no proper HTTP answer: {error}") from error
        fields = {name.decode("latin-1"): value.decode("latin-1") for name, value in response.headers}
        if "transfer-encoding" in fields:
            self._chunks = connection
        else:
            self._early = memoryview(connection.trailing_data[0])
            last = response.http_version < b"1.1" or "close" in fields.get("connection", "").lower()
            self._keep = "content-length" in fields and not last
        if response.status_code == 407 and self._forwarder is not None:
            raise self._forwarder.refusal
        return _Head(response.status_code, fields)

    async def _response(self, connection: h11.Connection) -> h11.Response:
        buffer = memoryview(bytearray(limits.HTTP_READ))
        received = interim = 0
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                count = await self._some(buffer)
                received += count
                if not count:
                    raise NetworkError("it hung up without an answer")
                if received > limits.HTTP_OVERHEAD:
                    raise NetworkError("the head of its answer has no end")
                connection.receive_data(bytes(buffer[:count]))
            elif isinstance(event, h11.InformationalResponse):
                interim += 1
                if interim > limits.HTTP_INTERIM:
                    raise NetworkError("it announces its answer for ever")
            elif isinstance(event, h11.Response):
                return event
            else:
                raise NetworkError("it hung up without an answer")

    def _begin(self, head: _Head, asked: Part, size: int) -> Part:
        """Check the head; if the body is what it should be, it can be received."""
        try:
            part = read_part(head.status, head.headers, asked, size)
        except RefusedError:
            # Its body is of no use; to read it would cost more than another connection.
            self.close()
            raise
        self.left = part.length
        return part

    # -- bytes -------------------------------------------------------------------------------------------------------

    async def _send(self, data: bytes) -> None:
        if self._tls is not None:
            try:
                await self._tls.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise NetworkError("the connection broke") from error
        elif self._stream is not None:
            await self._stream.send_vectored([data])

    async def _some(self, buffer: memoryview) -> int:
        """Bytes of the stream; 0 is its end."""
        if self._early:
            await trio.lowlevel.checkpoint()
            count = min(len(buffer), len(self._early))
            buffer[:count] = self._early[:count]
            self._early = self._early[count:]
            return count
        if self._tls is not None:
            try:
                data = await self._tls.receive_some(len(buffer))
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise NetworkError("the connection broke") from error
            buffer[: len(data)] = data
            return len(data)
        return await self._stream.receive_into(buffer) if self._stream is not None else 0

    async def _chunk(self, buffer: memoryview) -> int:
        """Bytes of a body in chunks; 0 is its end."""
        assert self._chunks is not None
        await trio.lowlevel.checkpoint()  # one read can hold thousands of chunks
        raw = memoryview(bytearray(limits.HTTP_READ))
        try:
            while not self._early:
                event = self._chunks.next_event()
                if event is h11.NEED_DATA:
                    count = await self._some(raw)
                    self._chunks.receive_data(bytes(raw[:count]))
                elif isinstance(event, h11.Data):
                    self._early = memoryview(bytes(event.data))
                else:
                    return 0
        except h11.RemoteProtocolError as error:
            raise NetworkError(f"no proper HTTP answer: {error}") from error
        count = min(len(buffer), len(self._early))
        buffer[:count] = self._early[:count]
        self._early = self._early[count:]
        return count
