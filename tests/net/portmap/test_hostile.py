"""Gateways, and others who pretend to be it, that answer what they should not."""

import struct

import pytest
import trio

from tests.net.portmap.bad_xml import BAD_XML
from tests.net.portmap.conftest import PORT
from torrentlite import limits
from torrentlite.testing import simulated
from torrentlite.wire.address import Address


def packed_with(**changes):
    """A reply with some of its bytes changed, by offset."""

    def twist(request, reply):
        data = bytearray(reply)
        for where, value in changes.items():
            start = int(where[1:])
            data[start : start + len(value)] = value
        return bytes(data)

    return twist


def on(wanted):
    """Twist the answers to requests for ports only: the gateway seems to be a good one."""
    return lambda request, reply: wanted(request, reply) if len(request) > 2 and request[1] else reply


NOT_ANSWERS = {
    "empty": lambda request, reply: b"",
    "one byte": lambda request, reply: reply[:1],
    "head only": lambda request, reply: reply[:8],
    "a byte short": lambda request, reply: reply[:-1],
    "a byte long": lambda request, reply: reply + b"\0",
    "the request": lambda request, reply: request,
    "another version": packed_with(_0=b"\x03"),
    "another opcode": packed_with(_1=b"\xff"),
    "zeros": lambda request, reply: bytes(len(reply)),
    "ones": lambda request, reply: b"\xff" * len(reply),
    "huge": lambda request, reply: reply + bytes(60_000),
    "silence": lambda request, reply: None,
}
PCP_ONLY = {
    "another nonce": packed_with(_24=b"\0" * 12),
    "another protocol": packed_with(_36=b"\x01"),
    "another port": packed_with(_40=b"\0\1"),
}
NATPMP_ONLY = {"another port": packed_with(_8=b"\0\1")}
CASES = [
    *(("pcp", name, twist) for name, twist in (NOT_ANSWERS | PCP_ONLY).items()),
    *(("natpmp", name, twist) for name, twist in (NOT_ANSWERS | NATPMP_ONLY).items()),
]


@pytest.mark.parametrize(("speaks", "name", "twist"), CASES, ids=[f"{speaks}: {name}" for speaks, name, _ in CASES])
@simulated()
async def test_what_is_no_answer_opens_nothing_here(world, home, speaks, name, twist):
    async with home(world, speaks=(speaks,)) as here:
        here.router.twist = on(twist)
        here.start()
        stats = await here.until("failed")
        assert "no answer" in stats.message
        assert not stats.mapped


@pytest.mark.parametrize("speaks", ["pcp", "natpmp"])
@pytest.mark.parametrize("where", [{"_42": b"\0\0"}, {"_4": b"\0\0\0\0"}])
@simulated()
async def test_a_grant_of_nothing(world, home, speaks, where):
    if speaks == "natpmp":
        where = {"_10": b"\0\0"} if "_42" in where else {"_12": b"\0\0\0\0"}
    async with home(world, speaks=(speaks,)) as here:
        here.router.twist = on(packed_with(**where))
        here.start()
        assert "grants nothing" in (await here.until("failed")).message


@pytest.mark.parametrize("speaks", ["pcp", "natpmp"])
@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 9, 13, 200])
@simulated()
async def test_refusals_are_told(world, home, speaks, code):
    async with home(world, speaks=(speaks,)) as here:
        here.router.refuses = code
        here.start()
        assert "refuses" in (await here.until("failed")).message


@pytest.mark.parametrize("speaks", ["pcp", "natpmp"])
@simulated()
async def test_others_cannot_answer_for_the_gateway(world, home, speaks):
    async with home(world, speaks=(speaks,)) as here:
        stranger = world.network.host("192.168.1.66", latency=0.0001)  # nearer than the gateway
        (socket,) = stranger.bind_datagrams()
        (other_port,) = world.network.find("192.168.1.1").bind_datagrams()

        def forge(request, reply):
            data = bytearray(reply)
            if len(data) > 12:
                data[-8:] = b"\xff" * 8  # NAT-PMP: port and lifetime; PCP: within the address outside
            for port in range(49_152, 49_200):
                for sender in (socket, other_port):
                    sender.send(bytes(data), Address("192.168.1.2", port))
            return reply

        here.router.twist = forge
        here.start()
        stats = await here.until("mapped")
        assert (stats.tcp_port, stats.external_host) == (PORT, "11.9.9.9")


@pytest.mark.parametrize("speaks", ["pcp", "natpmp"])
@simulated()
async def test_replies_without_end(world, home, speaks):
    async with home(world, speaks=(speaks,)) as here:
        here.router.twist = on(lambda request, reply: [reply[:-1]] * 3000)
        here.start()
        assert "no answer" in (await here.until("failed")).message
        assert trio.current_time() < 30


# -- UPnP


@pytest.mark.parametrize("where", ["description", "answer", "fault"])
@pytest.mark.parametrize("name", BAD_XML)
@simulated()
async def test_xml_that_is_refused(world, home, name, where):
    async with home(world, speaks=("upnp",)) as here:
        status = b"500" if where == "fault" else b"200"
        body = BAD_XML[name]
        reply = b"HTTP/1.1 %s X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)
        method = b"GET" if where == "description" else b"POST"
        here.router.twist_http = lambda request, proper: reply if request.startswith(method) else proper
        here.start()
        stats = await here.until("failed")
        assert not stats.mapped
        assert here.router.mappings == {} or where != "description"
        assert len(stats.message) < 300
        assert stats.message.isprintable()


def http(body: bytes, head: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\n%s\r\n%s" % (head, body)


BAD_HTTP = {
    "nothing": b"",
    "no HTTP": b"hello\r\n\r\n",
    "never ends": [http(b"<a>")] + [b"x" * 10_000] * 2000,
    "chunks without end": [http(b"", b"Transfer-Encoding: chunked\r\n")] + [b"1\r\nx\r\n" * 1000] * 2000,
    "headers without end": [b"HTTP/1.1 200 OK\r\n"] + [b"X: y\r\n" * 1000] * 2000,
    "silence": None,
    "404": b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
    "elsewhere": b"HTTP/1.1 302 No\r\nLocation: http://192.168.1.3/\r\nContent-Length: 0\r\n\r\n",
    "to ourselves": b"HTTP/1.1 307 No\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
    "too long": http(b" " * (limits.MAP_MAX_XML + 1) + b"<a/>", b"Connection: close\r\n"),
}


@pytest.mark.parametrize("method", [b"GET", b"POST"])
@pytest.mark.parametrize("name", BAD_HTTP)
@simulated()
async def test_http_that_is_refused(world, home, name, method):
    async with home(world, speaks=("upnp",)) as here:
        asked = []
        for host in ("192.168.1.3", "192.168.1.2"):
            machine = world.network.find(host) or world.network.host(host)
            for listener in await machine.listen("", 80, fallback=False):
                world.nursery.start_soon(note, listener, asked)
        here.router.twist_http = lambda request, proper: BAD_HTTP[name] if request.startswith(method) else proper
        here.start()
        assert not (await here.until("failed")).mapped
        assert not asked
        assert trio.current_time() < 60


@simulated()
async def test_a_gateway_has_so_long_for_an_answer(world, home):
    async with home(world, speaks=("upnp",)) as here:
        asked = []
        here.router.twist_http = lambda request, proper: asked.append(trio.current_time())
        here.start()
        await here.until("failed")
        assert asked
        assert 0 <= trio.current_time() - asked[-1] - limits.MAP_HTTP_TIMEOUT < 1


async def note(listener, asked):
    while True:
        asked.append(await listener.accept())


FOREIGN = [
    "http://169.254.169.254/latest/meta-data/",
    "http://127.0.0.1:{port}/rootDesc.xml",
    "http://192.168.1.3:80/rootDesc.xml",
    "http://192.168.1.2:80/rootDesc.xml",
    "http://localhost/rootDesc.xml",
    "http://router.example/rootDesc.xml",
    "http://192.168.1.1.evil.example/rootDesc.xml",
    "http://192.168.1.1@192.168.1.3/rootDesc.xml",
    "http://user:pass@192.168.1.1:{port}/rootDesc.xml",
    "http://192.168.1.3#@192.168.1.1/",
    "http://192.168.1.3\\@192.168.1.1/",
    "http://[::ffff:192.168.1.3]/rootDesc.xml",
    "http://3232235777/rootDesc.xml",
    "http://0xc0a80101/rootDesc.xml",
    "https://192.168.1.1:{port}/rootDesc.xml",
    "file:///etc/passwd",
    "ftp://192.168.1.1/",
    "//192.168.1.1/rootDesc.xml",
    "/rootDesc.xml",
    "http://192.168.1.1:0/",
    "http://192.168.1.1:99999/",
    "http://192.168.1.1:{port}/root Desc.xml",
    "http://192.168.1.1%25eth0:{port}/rootDesc.xml",
    "",
]


@pytest.mark.parametrize("location", FOREIGN)
@simulated()
async def test_a_location_elsewhere_is_not_looked_at(world, home, location):
    world.network.names["router.example"] = ["192.168.1.1"]
    async with home(world, speaks=("upnp",)) as here:
        asked = []
        for host in ("192.168.1.3", "192.168.1.2"):
            machine = world.network.find(host) or world.network.host(host)
            for listener in await machine.listen("", 80, fallback=False):
                world.nursery.start_soon(note, listener, asked)
        here.router.location = location.format(port=here.router.http.port) or " "
        here.start()
        await here.until("failed")
        assert here.asked("upnp").count("search") > 0
        assert "describe" not in here.asked("upnp")
        assert not asked


@pytest.mark.parametrize(
    "control",
    [
        "http://192.168.1.3/ctl/IPConn",
        "http://127.0.0.1/ctl/IPConn",
        "//192.168.1.3/ctl/IPConn",
        "http://169.254.169.254/",
        "https://192.168.1.1/ctl/IPConn",
        "file:///ctl/IPConn",
        "http://[::1",
        "/a b",
        "/a&#10;b",
        "",
    ],
)
@simulated()
async def test_a_control_url_elsewhere_is_not_asked(world, home, control):
    async with home(world, speaks=("upnp",)) as here:
        asked = []
        for host in ("192.168.1.3", "192.168.1.2"):
            machine = world.network.find(host) or world.network.host(host)
            for listener in await machine.listen("", 80, fallback=False):
                world.nursery.start_soon(note, listener, asked)
        here.router.control = control
        here.start()
        assert "describes nothing that opens ports" in (await here.until("failed")).message
        assert here.asked("upnp")[-1] != "GetExternalIPAddress"
        assert not asked


@simulated()
async def test_others_cannot_be_the_upnp_gateway(world, home):
    """Another device of the network answers the search, first and with a description of its own."""
    async with home(world, speaks=("upnp",)) as here:
        stranger = world.network.host("192.168.1.66", latency=0.0001)
        (socket,) = stranger.bind_datagrams()
        asked = []
        for listener in await stranger.listen("", 80, fallback=False):
            world.nursery.start_soon(note, listener, asked)

        def forge(request, reply):
            for i in range(10):
                lie = reply.replace(str(here.router.http).encode(), b"192.168.1.66:80/%d" % i)
                for port in range(49_152, 49_160):
                    socket.send(lie, Address("192.168.1.2", port))
            return reply

        here.router.twist_ssdp = forge
        here.start()
        assert (await here.until("mapped")).gateway == "192.168.1.1"
        assert not asked


@pytest.mark.parametrize(
    "spoil",
    [
        lambda reply: reply.replace(b"200 OK", b"404 Not Found"),
        lambda reply: reply.replace(b"HTTP/1.1", b"ICMP/1.1"),
        lambda reply: reply.replace(b"HTTP/1.1 200 OK", b"NOTIFY * HTTP/1.1"),
        lambda reply: reply.replace(b"InternetGatewayDevice", b"MediaServer").replace(b"WAN", b"LAN"),
        lambda reply: reply.replace(b"LOCATION", b"LOCUTION"),
        lambda reply: reply.replace(b"\r\nEXT:", b"\r\nX: " + b"y" * 3000 + b"\r\nEXT:"),
        lambda reply: reply.replace(b"\r\nEXT:", b"\r\nX: \xff\xfe\r\nEXT:"),
        lambda reply: reply.replace(b"200 OK\r\n", b"200 OK\r\n" + b"X: y\r\n" * 100),
        lambda reply: b"\0" * 500,
        lambda reply: b"",
    ],
)
@simulated()
async def test_answers_to_searches_that_are_none(world, home, spoil):
    async with home(world, speaks=("upnp",)) as here:
        here.router.twist_ssdp = lambda request, reply: spoil(reply)
        here.start()
        await here.until("failed")
        assert "describe" not in here.asked("upnp")


@simulated()
async def test_thousands_of_locations(world, home):
    async with home(world, speaks=("upnp",)) as here:

        def many(request, reply):
            return [reply.replace(b"/rootDesc.xml", b"/%d.xml" % i) for i in range(1000)]

        here.router.twist_ssdp = many
        here.router.twist_http = lambda request, reply: b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"
        asked = []
        here.router.http_reply = lambda head, body: asked.append(head) or (404, "")
        here.start()
        await here.until("failed")
        assert 0 < len(asked) <= limits.MAP_MAX_LOCATIONS


def test_the_twists_do_change_the_reply():
    request, reply = bytes(60), struct.pack(">60B", *range(60))
    for _, name, twist in CASES:
        assert twist(request, reply) != reply, name
