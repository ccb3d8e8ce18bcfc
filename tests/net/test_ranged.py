"""Ranges over one connection: bodies of all framings, kept connections, redirects, and everything that is bounded."""

import ssl

import pytest
import trio
import trio.testing
import trustme

from tests.net.memory import MemoryNetwork
from torrentlite import limits
from torrentlite.errors import ForbiddenAddressError, NetworkError
from torrentlite.net.network import RealNetwork
from torrentlite.net.partial import Part, RefusedError
from torrentlite.net.ranged import RangedHttp
from torrentlite.net.url import parse_url
from torrentlite.wire.address import Address, Scope

DATA = bytes(range(256)) * 4000
SIZE = len(DATA)
URL = parse_url("http://w.example/file")


class WebServer:
    """Answers each request by a script; keeps the requests and counts connections."""

    def __init__(self, *script, default=None):
        self.script = list(script)
        self.default = default or self.part
        self.requests = []
        self.connections = 0

    @staticmethod
    def part(head: bytes) -> bytes:
        """The right answer."""
        line = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"range:"))
        first, last = map(int, line.split(b"=")[1].split(b"-"))
        body = DATA[first : last + 1]
        return b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes %d-%d/%d\r\nContent-Length: %d\r\n\r\n%s" % (
            first, last, SIZE, len(body), body,
        )  # fmt: skip

    async def __call__(self, stream) -> None:
        self.connections += 1
        async with stream:
            try:
                while True:
                    head = b""
                    while not head.endswith(b"\r\n\r\n"):
                        part = await stream.receive_some()
                        if not part:
                            return
                        head += part
                    self.requests.append(head)
                    say = self.script.pop(0) if self.script else self.default
                    answer = say(head) if callable(say) else say
                    if answer is None:
                        return
                    for at in range(0, len(answer), 5000):
                        await stream.send_all(answer[at : at + 5000])
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass


@pytest.fixture
async def network(nursery):
    network = MemoryNetwork(nursery)
    network.names = {"w.example": ["8.8.8.8"], "cdn.example": ["8.8.4.4"], "inside.example": ["192.168.0.1"]}
    return network


@pytest.fixture
def http(network):
    client = RangedHttp(network, user_agent="torrentlite/test")
    yield client
    client.close()


async def body(http, size=10_000):
    buffer = memoryview(bytearray(size))
    got = b""
    while count := await http.receive_into(buffer):
        got += buffer[:count]
    return got


async def get(http, offset, length, url=URL, within=Scope.PUBLIC, **options):
    part = await http.get(url, Part(offset, length), SIZE, within=within, **options)
    return part, await body(http)


async def test_ranges_over_one_connection(network, http):
    server = WebServer()
    network.serve("8.8.8.8", 80, server)
    for offset, length in ((0, 100_000), (5, 1), (SIZE - 70_000, 70_000)):
        part, got = await get(http, offset, length)
        assert part == Part(offset, length)
        assert got == DATA[offset : offset + length]
    assert server.connections == 1
    lines = server.requests[1].split(b"\r\n")
    assert lines[0] == b"GET /file HTTP/1.1"
    assert {
        b"Host: w.example",
        b"User-Agent: torrentlite/test",
        b"Accept-Encoding: identity",
        b"Range: bytes=5-5",
    } <= set(lines)


async def test_the_whole_file_in_several_framings(network, http):
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(DATA[at : at + 999]), DATA[at : at + 999]) for at in range(0, SIZE, 999))
    network.serve(
        "8.8.8.8",
        80,
        WebServer(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE + DATA,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked + b"0\r\n\r\n",
            b"HTTP/1.0 200 OK\r\n\r\n" + DATA,
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE + DATA,
        ),
    )
    for _ in range(4):
        part, got = await get(http, 7, 70_000, ranged=False)
        assert part == Part(0, SIZE)
        assert got == DATA


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\nabc" % SIZE,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffffff\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nabc",
    ],
)
async def test_a_body_that_ends_too_early(network, http, raw):
    server = WebServer(raw, default=lambda head: None)
    network.serve("8.8.8.8", 80, lambda stream: once(server, stream))
    with pytest.raises(NetworkError):
        await get(http, 0, SIZE)
    assert http.left == 0


async def once(server, stream):
    """One request, and the connection is closed."""
    async with stream:
        await stream.receive_some()
        await stream.send_all(server.script[0])


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"\x00" * 1000,
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 300_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 50_000,
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * 50,
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
)
async def test_what_is_no_answer(network, http, raw):
    network.serve("8.8.8.8", 80, lambda stream: once(WebServer(raw), stream))
    with trio.fail_after(5), pytest.raises(NetworkError):
        await get(http, 0, SIZE)


async def test_a_kept_connection_that_was_closed_meanwhile(network, http):
    server = WebServer(WebServer.part, lambda head: None)
    network.serve("8.8.8.8", 80, server)
    await get(http, 0, 70_000)
    assert (await get(http, 70_000, 70_000))[1] == DATA[70_000:140_000]
    assert server.connections == 2
    assert len(server.requests) == 3


async def test_more_than_was_announced_is_never_taken_for_the_next_answer(network, http):
    long = WebServer.part(b"Range: bytes=0-9") + b"HTTP/1.1 206 Nonsense\r\nContent-Length: 0\r\n\r\n"
    network.serve("8.8.8.8", 80, WebServer(long))
    assert (await get(http, 0, 10))[1] == DATA[:10]
    assert (await get(http, 10, 70_000))[1] == DATA[10:70_010]


async def test_a_body_that_is_left_unread_is_not_read_as_the_next_answer(network, http):
    server = WebServer()
    network.serve("8.8.8.8", 80, server)
    await http.get(URL, Part(0, 500_000), SIZE, within=Scope.PUBLIC)
    await http.receive_into(memoryview(bytearray(1000)))
    assert (await get(http, 10, 70_000))[1] == DATA[10:70_010]
    assert server.connections == 2


def moved(location, status=302):
    return b"HTTP/1.1 %d Moved\r\nLocation: %s\r\nContent-Length: 5\r\n\r\nhello" % (status, location)


GONE = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"


async def test_redirects_are_followed_once_and_remembered(network, http):
    front, cdn = WebServer(default=moved(b"http://cdn.example/x?signed")), WebServer()
    network.serve("8.8.8.8", 80, front)
    network.serve("8.8.4.4", 80, cdn)
    url = parse_url("http://user:secret@w.example/file")
    for offset in (0, 100_000, 200_000):
        assert (await get(http, offset, 70_000, url))[1] == DATA[offset : offset + 70_000]
    assert (len(front.requests), len(cdn.requests), cdn.connections) == (1, 3, 1)
    assert b"Authorization: Basic dXNlcjpzZWNyZXQ=" in front.requests[0]
    assert not any(b"uthorization" in request for request in cdn.requests), "a key goes to its own server only"


async def test_a_remembered_redirect_that_ended(network, http):
    front = WebServer(moved(b"http://cdn.example/1"), moved(b"http://cdn.example/2"))
    cdn = WebServer(WebServer.part, GONE)
    network.serve("8.8.8.8", 80, front)
    network.serve("8.8.4.4", 80, cdn)
    await get(http, 0, 70_000)
    assert (await get(http, 0, 70_000))[1] == DATA[:70_000]
    assert [request.split()[1] for request in cdn.requests] == [b"/1", b"/1", b"/2"]


async def test_two_connections_see_a_remembered_redirect_end(network):
    shared = {}
    front = WebServer(moved(b"http://cdn.example/1"), default=moved(b"http://cdn.example/2"))
    cdn = WebServer(
        default=lambda head: GONE if head.split()[1] == b"/1" and len(cdn.requests) > 2 else WebServer.part(head)
    )
    network.serve("8.8.8.8", 80, front)
    network.serve("8.8.4.4", 80, cdn)
    first, second = (RangedHttp(network, user_agent="x", moved=shared) for _ in range(2))
    for http in (first, second):
        assert (await get(http, 0, 100))[1] == DATA[:100]
    assert len(front.requests) == 1
    async with trio.open_nursery() as nursery:
        for http in (first, second):
            nursery.start_soon(get, http, 0, 100)
    assert [place.url.path for place in shared.values()] == ["/2"]
    for http in (first, second):
        http.close()


@pytest.mark.parametrize(
    "location", [b"http://inside.example/x", b"http://192.168.0.1/x", b"http://127.0.0.1/", b"http://169.254.169.254/"]
)
async def test_a_redirect_leads_nowhere_inside(network, http, location):
    inside = WebServer()
    network.serve("192.168.0.1", 80, inside)
    network.serve("127.0.0.1", 80, inside)
    network.serve("8.8.8.8", 80, WebServer(default=moved(location)))
    with pytest.raises(ForbiddenAddressError):
        await get(http, 0, 70_000, within=Scope.LOOPBACK)
    assert not inside.requests


@pytest.mark.parametrize("location", [b"ftp://w.example/x", b"//", b"http://a b/", b"\xff\xfe", b"file:///etc/passwd"])
async def test_a_redirect_to_nowhere(network, http, location):
    network.serve("8.8.8.8", 80, WebServer(default=moved(location)))
    with pytest.raises(NetworkError):
        await get(http, 0, 70_000)


async def test_endless_redirects(network, http):
    server = WebServer(default=lambda head: moved(head.split()[1] + b"x"))
    network.serve("8.8.8.8", 80, server)
    with pytest.raises(RefusedError, match="5 redirects") as caught:
        await get(http, 0, 70_000)
    assert caught.value.lasting
    assert len(server.requests) == 6


async def test_what_a_trusted_source_opened_carries_no_request_of_another(network):
    """The same origin, asked by a person and by a torrent: the torrent's request does not go inside on that connection."""
    network.names["w.example"] = ["192.168.0.1"]
    server = WebServer()
    network.serve("192.168.0.1", 80, server)
    http = RangedHttp(network, user_agent="x")
    await get(http, 0, 70_000, within=Scope.LOOPBACK)
    with pytest.raises(ForbiddenAddressError):
        await get(http, 0, 70_000, within=Scope.PUBLIC)
    assert len(server.requests) == 1
    http.close()


async def test_tls(nursery):
    authority = trustme.CA()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(serving)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    server = WebServer()
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")

    async def handle(stream):
        try:
            await server(trio.SSLStream(stream, serving, server_side=True, https_compatible=True))
        except (trio.BrokenResourceError, ssl.SSLError):
            pass

    nursery.start_soon(trio.serve_listeners, handle, [listener])
    port = listener.socket.getsockname()[1]

    class Network(RealNetwork):
        async def resolve(self, host, port, *, within):
            return [Address("127.0.0.1", port)]

    url = parse_url(f"https://localhost:{port}/file")
    http = RangedHttp(Network(), user_agent="x", ssl_context=trusting)
    for offset in (0, 300_000):
        assert (await get(http, offset, 300_000, url, Scope.LOOPBACK))[1] == DATA[offset : offset + 300_000]
    assert server.connections == 1
    http.close()
    stranger = RangedHttp(Network(), user_agent="x", ssl_context=ssl.create_default_context())
    with pytest.raises(NetworkError, match="certificate is refused"):
        await get(stranger, 0, 70_000, url, Scope.LOOPBACK)
    assert len(server.requests) == 2
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("more", [0, 1])
async def test_announcing_an_answer_again_and_again(network, http, more):
    early = b"HTTP/1.1 103 Early Hints\r\n\r\n" * (limits.HTTP_INTERIM + more)
    network.serve("8.8.8.8", 80, WebServer(lambda head: early + WebServer.part(head)))
    if more:
        with pytest.raises(NetworkError, match="for ever"):
            await get(http, 0, 100)
    else:
        assert (await get(http, 0, 100))[1] == DATA[:100]


async def test_a_head_without_end(network, http):
    head = b"HTTP/1.1 103 Early Hints\r\nX: " + b"x" * 15_000 + b"\r\n\r\n"
    many = head * (limits.HTTP_OVERHEAD // len(head) + 1)
    assert len(many) > limits.HTTP_OVERHEAD and many.count(b"103") < limits.HTTP_INTERIM
    network.serve("8.8.8.8", 80, WebServer(lambda head: many + WebServer.part(head)))
    with pytest.raises(NetworkError, match="has no end"):
        await get(http, 0, 100)
