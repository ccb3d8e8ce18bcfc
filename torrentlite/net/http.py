"""Fetching small things over HTTP(S): trackers' answers and .torrent files. Asking a router to open a port.

The other side is not trusted: how long it takes, how much it sends (packed or not), where it sends us on and what it
calls itself are all bounded here. What is spoken on the wire is left to httpx2, which is imported when first needed.
"""

from __future__ import annotations

import base64
import ssl
import urllib.parse
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import trio

from .. import limits
from ..errors import NetworkError, SourceError
from ..wire.address import Address, Scope
from .network import Network
from .proxy import Proxy, direct
from .url import Url, parse_url

if TYPE_CHECKING:
    from .transport import Exchange


class HttpReply(NamedTuple):
    """What came back in the end, of whatever status; redirects have been followed."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes
    """Unpacked."""
    url: str
    """Who sent it; may hold a key."""
    remote: Address
    """Its address: what the reply names must be of this scope or wider."""

    def __repr__(self) -> str:
        return f"<HttpReply {self.status}, {len(self.body)} bytes, from {self.remote}>"  # the URL is not for logs


class HttpClient:
    """One for a session. Nothing of the environment is used by itself: no ``.netrc``, no certificates from variables.

    Args:
        network: all connections and look-ups of names are its.
        user_agent: what servers are told.
        ssl_context: whom to trust for https; None: whom the system trusts. Certificates are always checked.
        proxies: whom to ask for a URL (``environment.proxy_for``); what it raises is raised.
    """

    def __init__(
        self,
        network: Network,
        *,
        user_agent: str,
        ssl_context: ssl.SSLContext | None = None,
        proxies: Callable[[Url], Proxy | None] = direct,
    ) -> None:
        self._network = network
        self._proxies = proxies
        self._headers = {"User-Agent": user_agent, "Accept-Encoding": "gzip", "Connection": "close"}
        self._ssl_context = ssl_context
        self._exchange: Exchange | None = None

    async def get(
        self,
        url: str,
        *,
        max_bytes: int,
        within: Scope = Scope.LOOPBACK,
        timeout: float = limits.HTTP_TIMEOUT,
        addresses: Sequence[Address] = (),
        accept: str = "*/*",
    ) -> HttpReply:
        """GET, following up to ``limits.MAX_REDIRECTS`` redirects. Statuses of any kind are returned, not raised.

        A redirect is held to the same rules as the first URL, and leads nowhere of narrower scope than the server that
        redirects. User and password go to no other origin than theirs.

        Args:
            url: http or https.
            max_bytes: the longest body, unpacked.
            within: the narrowest scope that the server's address may have.
            timeout: seconds for everything, redirects and name look-ups included.
            addresses: the addresses of the URL's host, if they are known. Who asks a proxy needs none.
            accept: the media types to ask for.

        Raises:
            SourceError: the URL cannot be used.
            NetworkError: no proper answer came in time, or it is too long (ForbiddenAddressError: it led to an
                address that its source may not name).
        """
        parsed = parse_url(url)
        with trio.move_on_after(timeout):
            return await self._follow(parsed, within, max_bytes, addresses, accept)
        raise _too_slow(parsed, timeout)

    async def ask(
        self,
        url: str,
        *,
        address: Address,
        max_bytes: int,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = limits.HTTP_TIMEOUT,
    ) -> HttpReply:
        """GET, or POST where there is content, from this very address: no look-up of a name, no proxy and no redirect.

        Statuses of any kind are returned, those of redirects too.

        Args:
            url: http or https.
            address: of the URL's host.
            max_bytes: the longest body, unpacked.
            content: what to post; its ``Content-Type`` goes with the headers.
            headers: more of them, by name.
            timeout: seconds for everything.

        Raises:
            SourceError, NetworkError: as ``get``.
        """
        parsed = parse_url(url)
        with trio.move_on_after(timeout):
            more = {"Accept": "*/*", **(headers or {})}
            return await self._once(parsed, None, address.scope, max_bytes, [address], more, content)
        raise _too_slow(parsed, timeout)

    def through_proxy(self, url: Url) -> bool:
        """Whether a proxy is asked for this URL, which finds the server itself. Raises NetworkError as ``get``."""
        return self._proxies(url) is not None

    async def aclose(self) -> None:
        """Close what is open. It can be used again afterwards."""
        if self._exchange is not None:
            await self._exchange.aclose()
            self._exchange = None

    async def _follow(
        self, url: Url, within: Scope, max_bytes: int, addresses: Sequence[Address], accept: str
    ) -> HttpReply:
        for _ in range(limits.MAX_REDIRECTS + 1):
            proxy = self._proxies(url)
            reply = await self._once(url, proxy, within, max_bytes, addresses, {"Accept": accept})
            location = reply.headers.get("location")
            if reply.status not in (301, 302, 303, 307, 308) or location is None:
                return reply
            url = redirected(url, location)
            within = max(within, reply.remote.scope)
            addresses = ()
        raise NetworkError(f"{url.origin}: more than {limits.MAX_REDIRECTS} redirects")

    async def _once(
        self,
        url: Url,
        proxy: Proxy | None,
        within: Scope,
        max_bytes: int,
        addresses: Sequence[Address],
        more: Mapping[str, str],
        content: bytes | None = None,
    ) -> HttpReply:
        if self._exchange is None:
            from .transport import Exchange  # httpx2 takes 50 ms to import

            self._exchange = Exchange(self._network, self._ssl_context)
        headers = {**self._headers, **more}
        if url.credentials:
            headers["Authorization"] = basic_authorization(url)
        # What wraps the body is bounded too: it can be cut in chunks of one byte, or packed in blocks of nothing.
        received = max_bytes + max_bytes // 4 + limits.HTTP_OVERHEAD
        async with self._exchange.ask(url, proxy, headers, within, addresses, received, content) as answer:
            body = _Body(url, answer.headers, max_bytes)
            if answer.status == 407 and proxy is not None and proxy.forwards(url):
                raise proxy.refusal
            async for chunk in answer.chunks:
                body.add(chunk)
                await trio.lowlevel.checkpoint()  # one read can hold thousands of chunks
            return HttpReply(answer.status, answer.headers, body.finish(), str(url), answer.remote)


def _too_slow(url: Url, timeout: float) -> NetworkError:
    return NetworkError(f"{url.origin}: no complete answer within {timeout:g} seconds")


def basic_authorization(url: Url) -> str:
    """The header's value for the URL's user and password."""
    user_password = urllib.parse.unquote_to_bytes(url.credentials)
    return f"Basic {base64.b64encode(user_password).decode('ascii')}"


def redirected(url: Url, location: str) -> Url:
    """Where a redirect leads, with the credentials that may go there.

    Raises:
        NetworkError: nowhere that can be followed.
    """
    try:
        if not location.isprintable():
            raise SourceError("the URL has characters that no URL may have")  # urljoin drops some of them
        there = parse_url(urllib.parse.urljoin(str(url), location))
    except (SourceError, ValueError) as error:
        raise NetworkError(f"{url.origin}: its redirect cannot be followed: {error}") from error
    return there._replace(credentials=url.credentials if there.origin == url.origin else "")


class _Body:
    """The bytes of one answer, unpacked and counted while they come: a bomb never gets to unfold."""

    def __init__(self, url: Url, headers: Mapping[str, str], max_bytes: int) -> None:
        self._origin = url.origin
        self._max = max_bytes
        self._body = bytearray()
        self._empty = True
        coding = headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("identity", "", "gzip", "x-gzip"):
            raise NetworkError(f"{self._origin}: sends an encoding that was not asked for")
        self._inflate = zlib.decompressobj(wbits=31) if "gzip" in coding else None

    def add(self, chunk: bytes) -> None:
        self._empty = False
        if self._inflate is not None:
            try:
                chunk = self._inflate.decompress(chunk, self._max + 1 - len(self._body))
            except zlib.error as error:
                raise NetworkError(f"{self._origin}: the answer is not proper gzip") from error
        self._body += chunk
        if len(self._body) > self._max:
            raise NetworkError(f"{self._origin}: the answer is longer than {self._max} bytes")

    def finish(self) -> bytes:
        if self._inflate is not None and not self._inflate.eof and not self._empty:
            raise NetworkError(f"{self._origin}: the answer ends in the middle")
        return bytes(self._body)
