"""Proxies: who makes connections for us, by SOCKS5 (RFC 1928) or HTTP (RFC 9110, 9.3.6)."""

from __future__ import annotations

import base64
import re
import urllib.parse
from collections.abc import Sequence
from typing import Final, NamedTuple

import trio

from .. import limits
from ..errors import NetworkError, ProtocolError, SourceError
from ..metainfo.text import display
from ..wire import socks
from ..wire.address import Address, Scope, parse_host
from .dial import connect_first
from .network import Network, Stream, check_scope, receive_exactly
from .url import Url, parse_url

SOCKS: Final = ("socks5", "socks5h", "socks")
"""Schemes of proxies that connect to anybody; those of HTTP often do so to web servers only."""

PORTS: Final = {**dict.fromkeys(SOCKS, 1080), "http": 80}
"""Schemes of proxies, each with the port that is meant where none is written. (``socks5h`` says that the proxy looks
names up, as it always does here; ``socks`` is what desktops write.)"""

_INSIDE: Final = ("local", "localdomain", "lan", "internal", "home", "intranet", "corp", "private", "arpa")
_REFUSED: Final = 407


class Proxy(NamedTuple):
    """Whom to ask for connections. Its text has no user and no password."""

    scheme: str
    """``socks5`` or ``http``."""
    host: str
    port: int
    credentials: str
    """``user:password`` as in a URL (quoted), or empty."""

    @classmethod
    def parse(cls, text: str, schemes: Sequence[str] = tuple(PORTS)) -> Proxy:
        """Read ``socks5://[user:password@]host[:port]``, or ``http://…``, which is meant where there is no scheme.

        Raises:
            SourceError: it is none of these. The text is not in the message: it may hold a password.
        """
        try:
            url = parse_url(text if "://" in text else f"http://{text}", {scheme: PORTS[scheme] for scheme in schemes})
            if url.target != "/":
                raise SourceError("it has a path", hint="in a password / is %2F, # is %23 and ? is %3F")
        except SourceError as error:
            raise SourceError(f"that is no proxy: {error}", hint=error.hint) from error
        proxy = cls("http" if url.scheme == "http" else "socks5", url.host, url.port, url.credentials)
        if proxy.scheme == "socks5" and max(map(len, proxy._user_password())) > socks.MAX_FIELD:
            raise SourceError("that is no proxy: its user or password is too long")
        return proxy

    def __str__(self) -> str:
        return f"{self.scheme}://{Address(self.host, self.port)}"

    def __repr__(self) -> str:
        return f"<Proxy {self}>"

    def forwards(self, url: Url) -> bool:
        """Whether it is sent the request itself, with the whole URL, instead of being asked for a connection.

        HTTP proxies often make no connections but to port 443.
        """
        return self.scheme == "http" and url.scheme == "http"

    @property
    def refusal(self) -> NetworkError:
        """What to raise where it answers 407."""
        return NetworkError(f"the proxy {self} {'refuses the' if self.credentials else 'wants a user and'} password")

    @property
    def authorization(self) -> dict[str, str]:
        """The header that tells an HTTP proxy who we are; none where it need not be told."""
        if not self.credentials:
            return {}
        text = base64.b64encode(b":".join(self._user_password())).decode("ascii")
        return {"Proxy-Authorization": f"Basic {text}"}

    def _user_password(self) -> tuple[bytes, bytes]:
        user, _, password = self.credentials.partition(":")
        return urllib.parse.unquote_to_bytes(user), urllib.parse.unquote_to_bytes(password)


class UnusableProxyError(NetworkError):
    """The proxy is not there, or does not take us: nothing can be reached through it."""


class NamedAddress(Address):
    """A host that a proxy looks up: all that is known here is its name, which tells how far it may reach."""

    __slots__ = ()

    @property
    def scope(self) -> Scope:
        """The scope that the name tells of: only names without a dot, and some endings, are of local hosts."""
        if not 0 < self.port < 65536:
            return Scope.FORBIDDEN
        if is_old_ipv4(self.host):
            return Scope.FORBIDDEN
        labels = self.host.rstrip(".").lower().split(".")
        if labels[-1] in ("localhost", "localdomain"):
            return Scope.LOOPBACK
        return Scope.PRIVATE if len(labels) == 1 or labels[-1] in _INSIDE else Scope.PUBLIC


def is_old_ipv4(host: str) -> bool:
    """Whether systems take it for an IPv4 address, in a form that is none here: ``127.1``, ``0x7f.1``, ``2130706433``.

    What ends in a number is no name (URL Standard, "ends in a number").
    """
    last = host.rstrip(".").rpartition(".")[2].lower()
    return parse_host(host) is None and (last.isdigit() or re.fullmatch("0x[0-9a-f]*", last) is not None)


def direct(url: Url) -> Proxy | None:
    """Nobody, for any URL."""
    return None


def named(host: str, port: int, *, within: Scope) -> Address:
    """An IP address, or a host to be looked up by a proxy.

    Raises:
        ForbiddenAddressError: it is of narrower scope than ``within``, or never allowed.
    """
    ip = parse_host(host)
    address = NamedAddress(host, port) if ip is None else Address(ip, port)
    check_scope(address, within)
    return address


async def connect_to(
    network: Network, url: Url, *, within: Scope, proxy: Proxy | None, addresses: Sequence[Address] = ()
) -> Stream:
    """A connection on which the URL's server can be asked: its own, or the proxy's.

    Args:
        network: opens it.
        url: whose server.
        within: the narrowest scope that the server's address may have.
        proxy: whom to ask for it; None for nobody.
        addresses: of the server, if they are known.

    Raises:
        ForbiddenAddressError: the server is of narrower scope.
        NetworkError: it, or the proxy, cannot be reached.
    """
    if proxy is None:
        addresses = addresses or await network.resolve(url.host, url.port, within=within)
        return await connect_first(network, addresses, within=within)
    there = named(url.host, url.port, within=within)
    if proxy.forwards(url):
        return Tunnel(await _reach(network, proxy), there)
    return await connect_through(network, proxy, there)


async def connect_through(network: Network, proxy: Proxy, there: Address) -> Stream:
    """A connection that the proxy makes for us. There is no time limit here: use a cancel scope.

    Raises:
        UnusableProxyError: the proxy cannot be reached, or does not take us.
        NetworkError: it cannot connect to there.
    """
    stream = await _reach(network, proxy)
    done = False
    try:
        if proxy.scheme == "socks5":
            await _by_socks(stream, there)
        else:
            await _by_http(stream, proxy, there)
        done = True
    except (NetworkError, ProtocolError) as error:
        raise NetworkError(f"cannot connect to {there} through {proxy}: {error}") from error
    finally:
        if not done:
            stream.close()
    return Tunnel(stream, there)


async def _reach(network: Network, proxy: Proxy) -> Stream:
    """A connection to the proxy, which has let us in."""
    let_in = False
    stream: Stream | None = None
    try:
        with trio.move_on_after(limits.PROXY_TIMEOUT):
            addresses = await network.resolve(proxy.host, proxy.port, within=Scope.LOOPBACK)
            stream = await connect_first(network, addresses, within=Scope.LOOPBACK)
            if proxy.scheme == "socks5":
                await _log_in(stream, proxy)
            let_in = True
            return stream
    except (NetworkError, ProtocolError) as error:
        what = "cannot be reached" if stream is None else "cannot be used"
        raise UnusableProxyError(f"the proxy {proxy} {what}: {error}") from error
    finally:
        if stream is not None and not let_in:
            stream.close()
    raise UnusableProxyError(f"the proxy {proxy} does not answer")


async def _log_in(stream: Stream, proxy: Proxy) -> None:
    password = bool(proxy.credentials)
    await stream.send_vectored([socks.hello(password=password)])
    if socks.read_method(await receive_exactly(stream, socks.HELLO_SIZE), password=password) == socks.PASSWORD:
        await stream.send_vectored([socks.password(*proxy._user_password())])
        socks.check_password(await receive_exactly(stream, socks.HELLO_SIZE))


async def _by_socks(stream: Stream, there: Address) -> None:
    await stream.send_vectored([socks.connect(there.host, there.port)])
    await receive_exactly(stream, socks.reply_left(await receive_exactly(stream, socks.REPLY_HEAD)))


async def _by_http(stream: Stream, proxy: Proxy, there: Address) -> None:
    import h11  # 5 ms that a session need not wait for

    connection = h11.Connection(h11.CLIENT)
    headers = [("Host", str(there)), *proxy.authorization.items()]
    request = connection.send(h11.Request(method="CONNECT", target=str(there), headers=headers)) or b""
    await stream.send_vectored([request + (connection.send(h11.EndOfMessage()) or b"")])
    buffer, received = memoryview(bytearray(limits.HTTP_READ)), 0
    try:
        while not isinstance(event := connection.next_event(), h11.Response):
            if event is h11.NEED_DATA:
                count = await stream.receive_into(buffer)
                received += count
                if not count or received > limits.HTTP_OVERHEAD:
                    raise NetworkError("it hung up" if not count else "the head of its answer has no end")
                connection.receive_data(bytes(buffer[:count]))
    except h11.RemoteProtocolError as error:
        raise NetworkError(f"no proper HTTP answer: {error}") from error
    if event.status_code == _REFUSED:
        raise proxy.refusal
    if event.status_code // 100 != 2:
        raise NetworkError(f"it says {event.status_code} {display(event.reason)}".rstrip())
    early, _ = connection.trailing_data
    if early:
        stream.unread(early)


class Tunnel:
    """A ``Stream`` by way of a proxy: ``remote`` is who is at its other end, for whom the proxy's own address says
    nothing."""

    __slots__ = ("_stream", "local", "remote")

    def __init__(self, stream: Stream, remote: Address) -> None:
        self._stream = stream
        self.local = stream.local
        self.remote = remote

    def __repr__(self) -> str:
        return f"<Tunnel to {self.remote}>"

    async def receive_into(self, buffer: memoryview) -> int:
        """See ``Stream.receive_into``."""
        return await self._stream.receive_into(buffer)

    async def send_vectored(self, views: Sequence[bytes | bytearray | memoryview]) -> None:
        """See ``Stream.send_vectored``."""
        await self._stream.send_vectored(views)

    def unread(self, data: bytes) -> None:
        """See ``Stream.unread``."""
        self._stream.unread(data)

    async def aclose(self) -> None:
        """See ``Stream.aclose``."""
        await self._stream.aclose()

    def close(self) -> None:
        """See ``Stream.close``."""
        self._stream.close()
