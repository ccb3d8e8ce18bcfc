"""httpx2 over our own network: one connection a request, opened where its URL may lead and nowhere else.

Connections are not kept: a tracker is asked every half an hour, and what was opened for a trusted URL must never carry
another one's request. Importing this module imports httpx2; ``http.py`` does it when first needed.
"""

from __future__ import annotations

import contextlib
import http.cookiejar
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import httpcore2
import httpx2
import trio

from .. import limits
from ..errors import NetworkError
from ..wire.address import Address, Scope
from .network import Network, Stream
from .url import Url

_FOREIGN = (httpx2.HTTPError, httpx2.InvalidURL, httpcore2.NetworkError, httpcore2.ProtocolError)


class Answer(NamedTuple):
    """The head of an HTTP answer, and its body to come."""

    status: int
    headers: Mapping[str, str]
    remote: Address
    chunks: AsyncIterator[bytes]


class Exchange:
    """Requests and answers, by one httpx2 client."""

    def __init__(self, network: Network, ssl_context: ssl.SSLContext | None) -> None:
        self._network = network
        self._client = httpx2.AsyncClient(
            transport=_Transport(ssl_context),
            trust_env=False,
            timeout=None,  # the caller has one limit for everything
            cookies=http.cookiejar.CookieJar(policy=http.cookiejar.DefaultCookiePolicy(allowed_domains=[])),
        )

    @contextlib.asynccontextmanager
    async def ask(
        self,
        url: Url,
        headers: Mapping[str, str],
        within: Scope,
        addresses: Sequence[Address],
        max_bytes: int,
        content: bytes | None,
    ) -> AsyncIterator[Answer]:
        """One GET, or POST of the content, no redirect followed; at most so many bytes come in. Raises NetworkError."""
        backend = _Backend(self._network, within, addresses, max_bytes)
        # httpx2 logs the URL of each request; the target can hold a key and goes beside it.
        extensions = {"target": url.target.encode("ascii"), "backend": backend}
        try:
            method = "GET" if content is None else "POST"
            request = self._client.build_request(
                method, url.origin, content=content, headers=dict(headers), extensions=extensions
            )
            response = await self._client.send(request, stream=True, auth=None, follow_redirects=False)
            try:
                async with contextlib.aclosing(response.aiter_raw()) as chunks:
                    yield Answer(response.status_code, response.headers, backend.remote, chunks)
            finally:
                await response.aclose()
        except _FOREIGN as error:
            raise NetworkError(f"{url.origin}: {error or 'no proper answer'}") from error

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.aclose()


class _Transport(httpx2.AsyncBaseTransport):
    """A fresh connection for each request."""

    def __init__(self, ssl_context: ssl.SSLContext | None) -> None:
        self._ssl_context = ssl_context

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.scheme == "https" and self._ssl_context is None:
            self._ssl_context = httpx2.create_ssl_context(trust_env=False)
        url = httpcore2.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.extensions["target"],
        )
        connection = httpcore2.AsyncHTTPConnection(
            url.origin,
            ssl_context=self._ssl_context,
            network_backend=request.extensions["backend"],
        )
        try:
            response = await connection.handle_async_request(
                httpcore2.Request(
                    request.method,
                    url,
                    headers=request.headers.raw,
                    content=request.content,
                    extensions=request.extensions,
                )
            )
        except BaseException:
            with trio.CancelScope(shield=True):  # closing takes no time
                await connection.aclose()
            raise
        return httpx2.Response(
            response.status,
            headers=response.headers,
            stream=_ResponseStream(connection, response),
            extensions=response.extensions,
        )


class _ResponseStream(httpx2.AsyncByteStream):
    def __init__(self, connection: httpcore2.AsyncHTTPConnection, response: httpcore2.Response) -> None:
        self._connection = connection
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async with contextlib.aclosing(self._response.aiter_stream()) as chunks:
            async for chunk in chunks:
                yield chunk

    async def aclose(self) -> None:
        with trio.CancelScope(shield=True):
            await self._response.aclose()
            await self._connection.aclose()


class _Backend(httpcore2.AsyncNetworkBackend):
    """Opens one connection through our network's door; ``remote`` is where it leads."""

    def __init__(self, network: Network, within: Scope, addresses: Sequence[Address], max_bytes: int) -> None:
        self._network = network
        self._within = within
        self._addresses = addresses
        self._max_bytes = max_bytes
        self.remote = Address("", 0)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        addresses = self._addresses or await self._network.resolve(host, port, within=self._within)
        stream = await connect_first(self._network, addresses, within=self._within)
        self.remote = stream.remote
        return _HttpStream(_Pipe(stream), self._max_bytes)


async def connect_first(network: Network, addresses: Sequence[Address], *, within: Scope) -> Stream:
    """Connect to the first of these addresses that answers, families by turns (RFC 8305).

    The next one is tried when one has failed, or has not answered for a moment; the others are closed.

    Raises:
        NetworkError: none answered; it is the error of the first.
    """
    errors: list[NetworkError] = []
    opened: list[Stream] = []

    async def attempt(address: Address, failed: trio.Event) -> None:
        try:
            stream = await network.connect(address, within=within)
        except NetworkError as error:
            errors.append(error)
            failed.set()
        else:
            opened.append(stream)
            nursery.cancel_scope.cancel()

    try:
        async with trio.open_nursery() as nursery:
            for address in _by_turns(addresses):
                failed = trio.Event()
                nursery.start_soon(attempt, address, failed)
                with trio.move_on_after(limits.CONNECT_STAGGER):
                    await failed.wait()
        if not opened:
            raise errors[0]
        return opened.pop(0)
    finally:
        for stream in opened:
            stream.close()


def _by_turns(addresses: Sequence[Address]) -> list[Address]:
    first = [address for address in addresses if address.is_ipv6 == addresses[0].is_ipv6]
    second = [address for address in addresses if address.is_ipv6 != addresses[0].is_ipv6]
    turns = []
    while first or second:
        turns += first[:1] + second[:1]
        del first[:1], second[:1]
    return turns


class _HttpStream(httpcore2.AsyncNetworkStream):
    """What httpcore2 wants a stream to be, over one of Trio's kind (plain or TLS); it gives only so many bytes."""

    def __init__(self, stream: trio.abc.Stream, max_bytes: int) -> None:
        self._stream = stream
        self._left = max_bytes

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            data = bytes(await self._stream.receive_some(max_bytes))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise httpcore2.ReadError("the connection broke") from error
        self._left -= len(data)
        if self._left < 0:
            raise httpcore2.ReadError("the answer is longer than it may be")
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            await self._stream.send_all(buffer)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise httpcore2.WriteError("the connection broke") from error

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        tls = trio.SSLStream(self._stream, ssl_context, server_hostname=server_hostname, https_compatible=True)
        try:
            await tls.do_handshake()
        except trio.BrokenResourceError as error:
            with trio.CancelScope(shield=True):
                await self.aclose()
            if isinstance(error.__cause__, ssl.SSLCertVerificationError):
                raise NetworkError(
                    f"{server_hostname}: its certificate is refused: {error.__cause__.verify_message}",
                    hint="somebody may be in between; the clock may be wrong",
                ) from error
            raise NetworkError(f"{server_hostname}: no TLS connection ({error.__cause__ or error})") from error
        except BaseException:
            with trio.CancelScope(shield=True):
                await self.aclose()
            raise
        return _HttpStream(tls, self._left)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        return None  # httpcore2 asks for the result of ALPN; it has HTTP/1.1 from us only


class _Pipe(trio.abc.Stream):
    """One of our streams as one of Trio's, for ``trio.SSLStream``."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        try:
            await self._stream.send_vectored([data])
        except NetworkError as error:
            raise trio.BrokenResourceError from error

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()  # send_all waits

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        buffer = memoryview(bytearray(min(max_bytes or limits.HTTP_READ, limits.HTTP_READ)))
        try:
            return bytes(buffer[: await self._stream.receive_into(buffer)])
        except NetworkError as error:
            raise trio.BrokenResourceError from error

    async def aclose(self) -> None:
        await self._stream.aclose()
