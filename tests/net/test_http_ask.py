import pytest
import trio

from tests.net.memory import MemoryNetwork, Server, answer, redirect
from torrentlite.errors import ForbiddenAddressError, NetworkError
from torrentlite.net.http import HttpClient
from torrentlite.wire.address import Address

ROUTER = Address("192.168.1.1", 80)


@pytest.fixture
async def network(nursery):
    return MemoryNetwork(nursery)


@pytest.fixture
async def http(network):
    client = HttpClient(network, user_agent="torrentlite/test")
    yield client
    await client.aclose()


class Reading:
    """A server that wants the whole of a request's body."""

    def __init__(self, reply: bytes, size: int) -> None:
        self.reply = reply
        self.size = size
        self.request = b""

    async def __call__(self, stream: trio.abc.Stream) -> None:
        async with stream:
            while len(self.request.partition(b"\r\n\r\n")[2]) < self.size:
                self.request += await stream.receive_some()
            await stream.send_all(self.reply)


@pytest.mark.parametrize("content", [b"<a/>", b"x" * 100_000])
async def test_a_post(network, http, content):
    server = Reading(answer(b"done"), len(content))
    network.serve(*ROUTER, server)
    headers = {"SOAPAction": '"urn:x#Y"', "Content-Type": "text/xml"}
    reply = await http.ask("http://192.168.1.1/ctl?a", address=ROUTER, max_bytes=100, content=content, headers=headers)
    assert (reply.status, reply.body, reply.remote) == (200, b"done", ROUTER)
    head, _, body = server.request.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert body == content
    assert lines[0] == b"POST /ctl?a HTTP/1.1"
    assert b"Content-Length: %d" % len(content) in lines
    assert b'SOAPAction: "urn:x#Y"' in lines
    assert b"Content-Type: text/xml" in lines
    assert b"Host: 192.168.1.1" in lines
    assert b"Connection: close" in lines


async def test_without_content_it_is_a_get(network, http):
    server = Server(answer())
    network.serve(*ROUTER, server)
    assert (await http.ask("http://192.168.1.1/", address=ROUTER, max_bytes=100)).body == b"hello"
    assert server.requests[0].startswith(b"GET / HTTP/1.1\r\n")


async def test_it_goes_to_the_address_and_nowhere_else(network, http):
    network.serve(*ROUTER, Server(redirect("http://192.168.1.1:81/")))
    reply = await http.ask("http://router.example/", address=ROUTER, max_bytes=100)
    assert reply.status == 302
    assert network.connects == [ROUTER]
    assert network.resolved == []


async def test_it_is_limited_as_every_request(network, http, autojump_clock):
    network.serve(*ROUTER, Server(answer(bytes(101))))
    with pytest.raises(NetworkError, match="longer"):
        await http.ask("http://192.168.1.1/", address=ROUTER, max_bytes=100)
    network.serve(*ROUTER, Server(hang=True))
    with pytest.raises(NetworkError, match="within 5 seconds"):
        await http.ask("http://192.168.1.1/", address=ROUTER, max_bytes=100, timeout=5)
    with pytest.raises(ForbiddenAddressError):
        await http.ask("http://192.168.1.1/", address=Address("169.254.169.254", 80), max_bytes=100)
