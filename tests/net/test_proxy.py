"""Connections that a proxy makes: what it is told and what not, what it may answer, and where it may not lead."""

import contextlib
import ipaddress
import ssl

import pytest
import trio
import trio.testing
import trustme

from tests.net.memory import MemoryNetwork, Server, answer, redirect
from tests.scripted import read_exactly
from torrentlite import limits
from torrentlite.errors import ForbiddenAddressError, ListenError, NetworkError, SourceError
from torrentlite.net.http import HttpClient
from torrentlite.net.partial import Part
from torrentlite.net.proxied import ProxiedNetwork
from torrentlite.net.proxy import NamedAddress, Proxy, connect_through
from torrentlite.net.ranged import RangedHttp
from torrentlite.net.url import parse_url
from torrentlite.wire.address import Address, Scope, parse_host

HERE = "10.0.0.9"
SOCKS = Proxy.parse(f"socks5://{HERE}")
HTTP = Proxy.parse(f"http://{HERE}:3128")
DONE = b"\x05\x00\x00\x01\0\0\0\0\0\0"


class Socks:
    """A SOCKS5 proxy; ``targets`` are who it was asked for, ``servers`` whom it reaches, by host and port."""

    def __init__(self, *, user="", password="", method=None, reply=DONE):
        self.user, self.password = user.encode(), password.encode()
        self.method = method
        self.reply = reply
        self.targets = []
        self.servers = {}

    async def __call__(self, stream) -> None:
        async with stream:
            with _quiet():
                await self._talk(stream)

    async def _talk(self, stream) -> None:
        methods = (await read_exactly(stream, 2))[1]
        offered = await read_exactly(stream, methods)
        method = self.method if self.method is not None else (2 if self.user else 0)
        if method not in offered:
            await stream.send_all(b"\x05\xff")
            return
        await stream.send_all(bytes([5, method]))
        if method == 2:
            user = await read_exactly(stream, (await read_exactly(stream, 2))[1])
            password = await read_exactly(stream, (await read_exactly(stream, 1))[0])
            right = (user, password) == (self.user, self.password)
            await stream.send_all(b"\x01\x00" if right else b"\x01\x01")
            if not right:
                return
        kind = (await read_exactly(stream, 4))[3]
        size = {1: 4, 4: 16}.get(kind) or (await read_exactly(stream, 1))[0]
        host = await read_exactly(stream, size)
        port = int.from_bytes(await read_exactly(stream, 2), "big")
        text = host.decode() if kind == 3 else str(ipaddress.ip_address(host))
        self.targets.append((text, port))
        for byte in self.reply:  # in pieces, as TCP may bring it
            await stream.send_all(bytes([byte]))
        if (text, port) in self.servers:
            await self.servers[text, port](stream)


class Connects:
    """An HTTP proxy: keeps the heads that it is sent; forwards nothing, and connects to one server."""

    def __init__(self, server=None, *, reply=b"HTTP/1.1 200 Connection established\r\n\r\n"):
        self.server = server
        self.reply = reply
        self.requests = []

    async def __call__(self, stream) -> None:
        async with stream:
            with _quiet():
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    head += await read_exactly(stream, 1)
                self.requests.append(head)
                await stream.send_all(self.reply)
                if self.server is not None:
                    await self.server(stream)


def _quiet():
    return contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError, EOFError)


@pytest.fixture
async def network(nursery):
    network = MemoryNetwork(nursery)
    network.names = {"proxy.example": [HERE]}
    return network


# -- the value ---------------------------------------------------------------------------------------------------------


def test_how_a_proxy_is_written():
    assert Proxy.parse("socks5://h") == ("socks5", "h", 1080, "")
    assert Proxy.parse("socks5h://[::1]:9050") == ("socks5", "::1", 9050, "")
    assert Proxy.parse("http://h:3128/") == ("http", "h", 3128, "")
    assert Proxy.parse("h:3128") == ("http", "h", 3128, "")
    assert Proxy.parse("socks5://me:p%40ss@h") == ("socks5", "h", 1080, "me:p%40ss")


@pytest.mark.parametrize("text", ["https://h", "socks4://h", "socks5://", "socks5://h:99999", "http://a b", "",
                                  f"socks5://{'u' * 256}@h", "socks5://h/path", "socks5://me:a/b@h"])  # fmt: skip
def test_what_is_none(text):
    with pytest.raises(SourceError, match="that is no proxy"):
        Proxy.parse(text)


def test_its_text_has_no_password():
    proxy = Proxy.parse("socks5://me:secret@[2001:db8::1]:9050")
    for text in (str(proxy), repr(proxy), f"{proxy}"):
        assert "secret" not in text
        assert "socks5://[2001:db8::1]:9050" in text
    with pytest.raises(SourceError) as caught:
        Proxy.parse("socks4://me:secret@h")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "scope"),
    [
        ("tracker.example", Scope.PUBLIC),
        ("localhost", Scope.LOOPBACK),
        ("Files.LocalHost.", Scope.LOOPBACK),
        ("nas", Scope.PRIVATE),
        ("nas.lan", Scope.PRIVATE),
        ("a.b.internal", Scope.PRIVATE),
        ("local.example", Scope.PUBLIC),
    ],
)
def test_how_far_a_name_reaches(name, scope):
    assert NamedAddress(name, 80).scope is scope
    assert NamedAddress(name, 0).scope is Scope.FORBIDDEN


# -- SOCKS5 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("there", [Address("8.8.8.8", 6881), Address("2001:4860::8", 1), NamedAddress("a.example", 80)])
async def test_whoever_it_connects_to_is_at_the_other_end(network, there):
    async def echo(stream):
        await stream.send_all(await stream.receive_some(100))

    proxy = Socks()
    proxy.servers[there.host, there.port] = echo
    network.serve(HERE, 1080, proxy)
    stream = await connect_through(network, SOCKS, there)
    await stream.send_vectored([b"he", b"llo"])
    buffer = memoryview(bytearray(10))
    assert bytes(buffer[: await stream.receive_into(buffer)]) == b"hello"
    assert stream.remote == there
    assert proxy.targets == [(there.host, there.port)]
    assert not network.resolved or network.resolved == [HERE]
    await stream.aclose()


async def test_a_proxy_with_a_name_and_a_password(network):
    proxy = Socks(user="me", password="p@ss")
    network.serve(HERE, 1080, proxy)
    right = Proxy.parse("socks5://me:p%40ss@proxy.example")
    await connect_through(network, right, Address("8.8.8.8", 1))
    for wrong, words in ((SOCKS, "user and a password"), (Proxy.parse(f"socks5://me:no@{HERE}"), "refuses")):
        with pytest.raises(NetworkError, match=words) as caught:
            await connect_through(network, wrong, Address("8.8.8.8", 1))
        assert "no@" not in str(caught.value)
    assert proxy.targets == [("8.8.8.8", 1)]


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (b"\x05\x05\x00\x01" + b"\0" * 6, "connection refused"),
        (b"\x05\x02\x00\x01" + b"\0" * 6, "rules"),
        (b"\x05\x77\x00\x01" + b"\0" * 6, "error 119"),
        (b"\x05\x00\x00\x09" + b"\0" * 6, "kind of address"),
        (b"\x04\x00\x00\x01" + b"\0" * 6, "no SOCKS5"),
        (b"\x05\x00\x00\x01\0", "hung up"),
    ],
)
async def test_what_it_refuses_is_told_with_its_name(network, reply, words):
    network.serve(HERE, 1080, Socks(reply=reply))
    with pytest.raises(NetworkError, match=words) as caught:
        await connect_through(network, SOCKS, Address("8.8.8.8", 6881))
    assert "8.8.8.8:6881 through socks5://10.0.0.9:1080" in str(caught.value)


async def test_a_proxy_that_is_not_there(network):
    with pytest.raises(NetworkError, match=r"the proxy socks5://10\.0\.0\.9:1080 cannot be reached"):
        await connect_through(network, SOCKS, Address("8.8.8.8", 6881))


@pytest.mark.parametrize("where", ["black hole", "silent"])
async def test_one_that_does_not_answer_is_named_before_others_lose_patience(network, autojump_clock, where):
    async def silent(stream):
        with _quiet():
            await read_exactly(stream, 1000)

    network.serve(HERE, 1080, None if where == "black hole" else silent)
    started = trio.current_time()
    with pytest.raises(NetworkError, match="the proxy socks5://10.0.0.9:1080 does not answer"):
        await connect_through(network, SOCKS, Address("8.8.8.8", 6881))
    assert trio.current_time() - started == pytest.approx(limits.PROXY_TIMEOUT)
    assert limits.PROXY_TIMEOUT < limits.CONNECT_TIMEOUT


async def test_a_cancelled_connection_is_closed(network, autojump_clock):
    ended = trio.Event()

    async def silent(stream):
        await stream.receive_some(100)
        assert not await stream.receive_some(100)
        ended.set()

    network.serve(HERE, 1080, silent)
    with trio.move_on_after(5) as scope:
        await connect_through(network, SOCKS, Address("8.8.8.8", 6881))
    assert scope.cancelled_caught
    with trio.fail_after(1):
        await ended.wait()


# -- a network behind one ----------------------------------------------------------------------------------------------


async def test_behind_a_proxy_nothing_goes_another_way(network):
    proxy = Socks()
    network.serve(HERE, 1080, proxy)
    behind = ProxiedNetwork(network, SOCKS)
    assert await behind.resolve("a.example", 80, within=Scope.PUBLIC) == [("a.example", 80)]
    assert await behind.resolve("8.8.8.8", 80, within=Scope.PUBLIC) == [Address("8.8.8.8", 80)]
    assert network.resolved == []
    stream = await behind.connect((await behind.resolve("a.example", 80, within=Scope.PUBLIC))[0])
    assert stream.remote == ("a.example", 80)
    assert list(await behind.listen("", 0, fallback=True)) == []
    assert list(await behind.open_datagrams("", 0)) == []
    with pytest.raises(ListenError):
        await behind.open_multicast(Address("239.192.152.143", 6771), "", join=True)
    with pytest.raises(NetworkError):
        behind.source_for(Address("8.8.8.8", 1))
    assert network.connects == [Address(HERE, 1080)]


@pytest.mark.parametrize("host", ["192.168.0.1", "127.0.0.1", "localhost", "nas", "169.254.169.254", "127.1", "0x7f.1",
                                  "0x7F000001", "2130706433", "017700000001", "0", "1.0x", "8.8.8.8."])  # fmt: skip
async def test_a_stranger_cannot_point_it_inside(network, host):
    network.serve(HERE, 1080, Socks())
    behind = ProxiedNetwork(network, SOCKS)
    with pytest.raises(ForbiddenAddressError):
        await behind.resolve(host, 80, within=Scope.PUBLIC)
    with pytest.raises(ForbiddenAddressError):
        await behind.connect(
            NamedAddress(host, 80) if parse_host(host) is None else Address(host, 80), within=Scope.PUBLIC
        )
    http = HttpClient(network, user_agent="x", proxies=lambda url: HTTP)
    with pytest.raises(ForbiddenAddressError):
        await http.get(f"http://{host}/", max_bytes=10, within=Scope.PUBLIC)
    assert network.connects == []


# -- HTTP --------------------------------------------------------------------------------------------------------------


def client(network, proxy, **more) -> HttpClient:
    return HttpClient(network, user_agent="torrentlite/test", proxies=lambda url: proxy, **more)


async def test_an_http_proxy_is_sent_the_whole_url(network):
    server = Server(answer(b"peers"))
    network.serve(HERE, 3128, server)
    proxy = Proxy.parse(f"http://me:secret@{HERE}:3128")
    reply = await client(network, proxy).get("http://k:ey@t.example:6969/announce?x=%00", max_bytes=100)
    assert reply.body == b"peers"
    assert reply.remote == ("t.example", 6969)
    head = server.requests[0]
    assert head.startswith(b"GET http://t.example:6969/announce?x=%00 HTTP/1.1\r\n")
    lines = head.lower().split(b"\r\n")
    assert b"host: t.example:6969" in lines
    assert b"proxy-authorization: basic bwu6c2vjcmv0" in lines
    assert b"authorization: basic azpleq==" in lines
    assert network.resolved == [HERE]


async def test_through_socks_a_server_gets_no_more_than_without(network):
    proxy, server = Socks(), Server(answer(b"peers"))
    proxy.servers["t.example", 6969] = server
    network.serve(HERE, 1080, proxy)
    reply = await client(network, SOCKS).get("http://t.example:6969/announce", max_bytes=100)
    assert reply.body == b"peers"
    assert server.requests[0].startswith(b"GET /announce HTTP/1.1\r\n")
    assert b"roxy" not in server.requests[0]


@pytest.mark.parametrize("kind", ["socks5", "http"])
async def test_https_is_for_the_server_alone(network, kind):
    ca = trustme.CA()
    there, here = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    ca.issue_cert("w.example").configure_cert(there)
    ca.configure_trust(here)
    server = Server(answer(b"secret page"))

    async def tls(stream):
        await server(trio.SSLStream(stream, there, server_side=True, https_compatible=True))

    if kind == "socks5":
        handler, proxy = Socks(), SOCKS
        handler.servers["w.example", 443] = tls
        network.serve(HERE, 1080, handler)
    else:
        handler, proxy = Connects(tls), Proxy.parse(f"http://me:secret@{HERE}:3128")
        network.serve(HERE, 3128, handler)
    reply = await client(network, proxy, ssl_context=here).get("https://w.example/x", max_bytes=100)
    assert (reply.body, reply.remote) == (b"secret page", ("w.example", 443))
    assert server.requests[0].startswith(b"GET /x HTTP/1.1\r\n")
    assert b"roxy" not in server.requests[0]
    if kind == "http":
        assert handler.requests[0].startswith(b"CONNECT w.example:443 HTTP/1.1\r\n")
        assert b"basic bwu6c2vjcmv0" in handler.requests[0].lower()


async def test_what_comes_with_the_answer_to_connect_is_not_lost(network):
    network.serve(HERE, 3128, Connects(reply=b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\nhello"))
    stream = await connect_through(network, HTTP, Address("8.8.8.8", 443))
    buffer = memoryview(bytearray(10))
    assert bytes(buffer[: await stream.receive_into(buffer)]) == b"hello"


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "wants a user and password"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "it says 403 Forbidden"),
        (b"HTTP/1.1 502 \r\n\r\n", "it says 502$"),
        (b"HTTP/1.1 403 \x9b\x07 no\r\n\r\n", "it says 403 [ -~\N{REPLACEMENT CHARACTER}]+$|no proper"),
        (b"", "hung up"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "no proper HTTP answer"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 9000, "no end|no proper"),
    ],
)
async def test_what_an_http_proxy_refuses(network, reply, words):
    network.serve(HERE, 3128, Connects(reply=reply))
    with pytest.raises(NetworkError, match=words) as caught:
        await connect_through(network, HTTP, NamedAddress("w.example", 443))
    assert "w.example:443 through http://10.0.0.9:3128" in str(caught.value)


async def test_a_server_may_say_407_too(network):
    proxy = Socks()
    proxy.servers["t.example", 80] = Server(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")
    network.serve(HERE, 1080, proxy)
    assert (await client(network, SOCKS).get("http://t.example/announce", max_bytes=100)).status == 407


async def test_who_is_not_let_in_is_told(network):
    network.serve(HERE, 3128, Server(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"))
    with pytest.raises(NetworkError, match=r"the proxy http://10\.0\.0\.9:3128 wants a user and password"):
        await client(network, HTTP).get("http://t.example/announce", max_bytes=100)
    http = RangedHttp(network, user_agent="x", proxies=lambda url: HTTP)
    with pytest.raises(NetworkError, match=r"the proxy http://10\.0\.0\.9:3128 wants a user and password"):
        await ranged(http, "http://t.example/file", Part(10, 5))


async def test_a_redirect_leads_to_another_proxy_or_to_none_and_not_inside(network):
    network.serve(HERE, 3128, Server(redirect("http://near.example/x")))
    network.serve("8.8.8.8", 80, Server(answer(b"near")))
    network.names["near.example"] = ["8.8.8.8"]
    http = HttpClient(network, user_agent="x", proxies=lambda url: None if url.host == "near.example" else HTTP)
    assert (await http.get("http://far.example/", max_bytes=100)).body == b"near"
    network.serve(HERE, 3128, Server(redirect("http://192.168.0.1/x")))
    with pytest.raises(ForbiddenAddressError):
        await http.get("http://far.example/", max_bytes=100)


async def test_a_router_is_asked_without_a_proxy(network):
    network.serve("192.168.0.1", 80, Server(answer(b"gateway")))
    reply = await client(network, HTTP).ask("http://192.168.0.1/", address=Address("192.168.0.1", 80), max_bytes=100)
    assert reply.body == b"gateway"


async def ranged(http, url, part):
    got = await http.get(parse_url(url), part, 100, within=Scope.PUBLIC)
    body, buffer = b"", memoryview(bytearray(100))
    while count := await http.receive_into(buffer):
        body += bytes(buffer[:count])
    assert len(body) == got.length
    return body


PART = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 10-14/100\r\nContent-Length: 5\r\n\r\nhello"


@pytest.mark.parametrize("kind", ["socks5", "http"])
async def test_ranges_of_a_file(network, kind):
    heads = []

    async def web(stream):
        with _quiet():
            while True:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    head += await read_exactly(stream, 1)
                heads.append(head)
                await stream.send_all(PART)

    if kind == "http":
        proxy = HTTP
        network.serve(HERE, 3128, web)
    else:
        proxy, handler = SOCKS, Socks()
        handler.servers["w.example", 80] = web
        network.serve(HERE, 1080, handler)
    http = RangedHttp(network, user_agent="x", proxies=lambda url: proxy)
    for _ in range(3):
        assert await ranged(http, "http://w.example/file", Part(10, 5)) == b"hello"
    http.close()
    target = b"http://w.example:80/file" if kind == "http" else b"/file"
    assert [head.split()[1] for head in heads] == [target] * 3
    assert len(network.connects) == 1
    assert all(b"host: w.example\r\n" in head.lower() for head in heads)


async def test_no_answer_of_a_proxy_is_longer_than_it_may_be(network):
    async def forever(stream):
        with _quiet():
            while True:
                await stream.send_all(b"x" * 1000)

    network.serve(HERE, 3128, Connects(forever, reply=b"HTTP/1.1 200 OK\r\nX: "))
    with pytest.raises(NetworkError):
        await connect_through(network, HTTP, Address("8.8.8.8", 443))
    assert limits.HTTP_OVERHEAD <= 1 << 20
