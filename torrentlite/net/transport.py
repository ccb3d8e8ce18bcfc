"""httpx2 over our own network: one connection a request, opened where its URL may lead and nowhere else.

Connections are not kept: a tracker is asked every half an hour, and what was opened for a trusted URL must never carry
another one's request. Importing this module imports httpx2; ``http.py`` does it when first needed.
"""

from __future__ import annotations

import contextlib
import http.cookiejar
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import httpcore2
import httpx2
import trio

from ..errors import NetworkError
from ..wire.address import Address, Scope
from .network import Network, Stream
from .proxy import Proxy, connect_to
from .tls import Pipe, start_tls
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
        proxy: Proxy | None,
        headers: Mapping[str, str],
        within: Scope,
        addresses: Sequence[Address],
        max_bytes: int,
        content: bytes | None,
    ) -> AsyncIterator[Answer]:
        """One GET, or POST of the content, no redirect followed; at most so many bytes come in. Raises NetworkError."""

        async def connect() -> Stream:
            return await connect_to(self._network, url, within=within, proxy=proxy, addresses=addresses)

        backend = _Backend(connect, max_bytes)
        target = url.target
        if proxy is not None and proxy.forwards(url):
            target, headers = url.whole, {**headers, **proxy.authorization}
        # httpx2 logs the URL of each request; the target can hold a key and goes beside it.
        extensions = {"target": target.encode("ascii"), "backend": backend}
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

    def __init__(self, connect: Callable[[], Awaitable[Stream]], max_bytes: int) -> None:
        self._connect = connect
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
        stream = await self._connect()
        self.remote = stream.remote
        return _HttpStream(Pipe(stream), self._max_bytes)


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
        tls = await start_tls(self._stream, ssl_context, server_hostname or "")
        return _HttpStream(tls, self._left)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        return None  # httpcore2 asks for the result of ALPN; it has HTTP/1.1 from us only
