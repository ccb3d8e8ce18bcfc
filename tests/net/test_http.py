import gzip
import logging
import sys
import zlib

import pytest
import trio
import trio.testing

from tests.net.memory import OK, MemoryNetwork, Server, answer, redirect
from torrentlite import limits
from torrentlite.errors import ForbiddenAddressError, NetworkError, SourceError
from torrentlite.net.http import HttpClient
from torrentlite.wire.address import Address, Scope

MAX = 1000


@pytest.fixture
async def network(nursery):
    network = MemoryNetwork(nursery)
    network.names = {
        "t.example": ["192.0.2.1"],  # a test network: private to our eyes
        "public.example": ["8.8.8.8"],
        "router.example": ["192.168.1.1"],
        "local.example": ["127.0.0.1"],
    }
    return network


@pytest.fixture
async def http(network):
    client = HttpClient(network, user_agent="torrentlite/test")
    yield client
    await client.aclose()


async def test_a_simple_get(network, http):
    server = Server(answer(b"body", b"X-Kind: good\r\n"))
    network.serve("192.0.2.1", 8080, server)
    reply = await http.get("http://t.example:8080/a%20b?c=%ff&d#e", max_bytes=MAX)
    assert (reply.status, reply.body, reply.headers["x-kind"]) == (200, b"body", "good")
    assert reply.remote == Address("192.0.2.1", 8080)
    lines = server.requests[0].split(b"\r\n")
    assert lines[0] == b"GET /a%20b?c=%ff&d HTTP/1.1"
    assert b"Host: t.example:8080" in lines
    assert b"User-Agent: torrentlite/test" in lines
    assert b"Accept-Encoding: gzip" in lines
    assert b"Connection: close" in lines
    assert not [line for line in lines if line.lower().startswith((b"cookie", b"authorization"))]


@pytest.mark.parametrize("status", [404, 500, 204, 304])
async def test_statuses_are_the_callers_business(network, http, status):
    network.serve("192.0.2.1", 80, Server(b"HTTP/1.1 %d Whatever\r\nContent-Length: 0\r\n\r\n" % status))
    assert (await http.get("http://t.example/", max_bytes=MAX)).status == status


@pytest.mark.parametrize(
    "raw",
    [
        OK + b"\r\nto the end",
        OK + b"Transfer-Encoding: chunked\r\n\r\n6\r\nto the\r\n4\r\n end\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nto the end",
        b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"to the end"),
        answer(gzip.compress(b"to the end"), b"Content-Encoding: gzip\r\n"),
        answer(gzip.compress(b"to the end") + b"garbage", b"Content-Encoding: x-gzip\r\n"),
        answer(b"to the end", b"Content-Encoding: identity\r\n"),
    ],
)
async def test_forms_of_an_answer(network, http, raw):
    for parts in ([raw], [raw[i : i + 1] for i in range(len(raw))]):
        network.serve("192.0.2.1", 80, Server(*parts))
        assert (await http.get("http://t.example/", max_bytes=MAX)).body == b"to the end"


def bomb(size: int) -> bytes:
    return gzip.compress(bytes(size))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n\r\n",
        b"hello\r\n\r\n",
        b"d8:intervali1800e5:peers0:e",
        b"HTTP/1.1 abc OK\r\n\r\n",
        OK,
        OK + b"no colon\r\n\r\n",
        OK + b"Content-Length: -1\r\n\r\n",
        OK + b"Content-Length: 1e3\r\n\r\n",
        OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        OK + b"Content-Length: 6\r\n\r\nhello",
        OK + b"Content-Length: 18446744073709551617\r\n\r\nhello",
        OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\nhello\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\nhello",
        OK + b"Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\nhello",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello",
        OK + b"Transfer-Encoding: gzip\r\n\r\nhello",
        OK + b"X: " + b"y" * 200_000 + b"\r\n\r\n",
        OK + b"X: y\r\n" * 40_000,
        answer(b"not packed", b"Content-Encoding: gzip\r\n"),
        answer(gzip.compress(b"hello" * 20)[:-12], b"Content-Encoding: gzip\r\n"),
        answer(gzip.compress(b"hello")[:-8] + bytes(8), b"Content-Encoding: gzip\r\n"),
        answer(zlib.compress(b"hello"), b"Content-Encoding: deflate\r\n"),
        answer(b"hello", b"Content-Encoding: br\r\n"),
        answer(gzip.compress(gzip.compress(b"hello")), b"Content-Encoding: gzip, gzip\r\n"),
        answer(bytes(MAX + 1)),
        OK + b"\r\n" + bytes(MAX + 1),
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * (MAX + 1),
        answer(bomb(MAX + 1), b"Content-Encoding: gzip\r\n"),
        answer(bomb(5_000_000), b"Content-Encoding: gzip\r\n"),
    ],
)
async def test_improper_answers_are_network_errors(network, http, raw):
    network.serve("192.0.2.1", 80, Server(raw))
    with pytest.raises(NetworkError, match=r"t\.example"):
        await http.get("http://t.example/", max_bytes=MAX)


async def test_nothing_need_not_be_packed(network, http):
    network.serve("192.0.2.1", 80, Server(answer(b"", b"Content-Encoding: gzip\r\n")))
    assert (await http.get("http://t.example/", max_bytes=MAX)).body == b""


async def test_exactly_the_longest(network, http):
    network.serve("192.0.2.1", 80, Server(answer(bytes(MAX))))
    assert len((await http.get("http://t.example/", max_bytes=MAX)).body) == MAX
    network.serve("192.0.2.1", 80, Server(answer(bomb(MAX), b"Content-Encoding: gzip\r\n")))
    assert len((await http.get("http://t.example/", max_bytes=MAX)).body) == MAX


@pytest.mark.parametrize(
    "raw",
    [
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 800_000,
        OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"")[:10] + b"\0\0\0\xff\xff" * 1_000_000,
        b"HTTP/1.1 102 Processing\r\n\r\n" * 200_000,
    ],
)
async def test_wrapping_without_end(network, http, raw):
    server = Server(*[raw[start : start + 10_000] for start in range(0, len(raw), 10_000)])
    network.serve("192.0.2.1", 80, server)
    with pytest.raises(NetworkError, match="longer than it may be"):
        await http.get("http://t.example/", max_bytes=40_000)


async def test_a_bomb_is_not_unfolded(network, http):
    packed = bomb(16 << 20)
    tracked: list[int] = []
    network.serve("192.0.2.1", 80, Server(answer(packed, b"Content-Encoding: gzip\r\n")))
    inflate = zlib.decompressobj

    class Watched:
        def __init__(self, **options):
            self.inner = inflate(**options)
            self.eof = False

        def decompress(self, data, max_length):
            out = self.inner.decompress(data, max_length)
            tracked.append(len(out))
            return out

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zlib, "decompressobj", Watched)
        with pytest.raises(NetworkError, match="longer than"):
            await http.get("http://t.example/", max_bytes=limits.MAX_TRACKER_REPLY)
    assert 0 < sum(tracked) <= limits.MAX_TRACKER_REPLY + 1


@pytest.mark.parametrize(
    "server",
    [
        Server(hang=True),
        Server(OK, hang=True),
        Server(*[OK], *[b"X: y\r\n"] * 1000, pause=1),
        Server(OK + b"\r\n", *[b"x"] * 1000, pause=1),
        Server(*[b"HTTP/1.1 102 Processing\r\n\r\n"] * 1000, pause=1),
        Server(b"", redirect("/again"), pause=20),
        None,
    ],
)
async def test_time_is_limited_in_all(network, http, server, autojump_clock):
    network.serve("192.0.2.1", 80, server)
    began = trio.current_time()
    with pytest.raises(NetworkError, match=f"within {limits.HTTP_TIMEOUT:g} seconds"):
        await http.get("http://t.example/", max_bytes=MAX)
    assert trio.current_time() - began == pytest.approx(limits.HTTP_TIMEOUT)
    began = trio.current_time()
    with pytest.raises(NetworkError, match="within 5 seconds"):
        await http.get("http://t.example/", max_bytes=MAX, timeout=5)
    assert trio.current_time() - began == pytest.approx(5)


async def test_nobody_there(network, http):
    with pytest.raises(NetworkError, match="refused"):
        await http.get("http://t.example/", max_bytes=MAX)
    with pytest.raises(NetworkError, match="cannot find"):
        await http.get("http://nowhere.example/", max_bytes=MAX)


@pytest.mark.parametrize("url", ["http://t.example/\r\nX: y", "file:///etc/passwd", "udp://t.example:1", "http://ä/"])
async def test_bad_urls_reach_nobody(network, http, url):
    with pytest.raises(SourceError):
        await http.get(url, max_bytes=MAX)
    assert not network.resolved


async def test_odd_hosts_are_errors(network, http):
    for host in ("999.1.1.1", "a_b", "-", "%41", "a%00b", "[::g]", "[1]"):
        with pytest.raises((NetworkError, SourceError)):
            await http.get(f"http://{host}/", max_bytes=MAX)


# -- redirects --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed(network, http, status):
    network.serve("192.0.2.1", 80, Server(redirect("//t.example:81/y?z", status)))
    there = Server(answer())
    network.serve("192.0.2.1", 81, there)
    reply = await http.get("http://t.example/", max_bytes=MAX)
    assert reply.body == b"hello"
    assert reply.url == "http://t.example:81/y?z"
    assert there.requests[0].startswith(b"GET /y?z ")


async def test_five_redirects_and_no_more(network, http):
    for port in range(80, 87):
        network.serve("192.0.2.1", port, Server(redirect(f"http://t.example:{port + 1}/")))
    with pytest.raises(NetworkError, match="redirects"):
        await http.get("http://t.example/", max_bytes=MAX)
    assert [address.port for address in network.connects] == list(range(80, 86))
    network.serve("192.0.2.1", 86, Server(answer()))
    assert (await http.get("http://t.example:81/", max_bytes=MAX)).body == b"hello"


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://t.example/",
        "udp://t.example:80/",
        "javascript:1",
        "http://t.example/a b",
        "http://t.exa\tmple/",
        "http://[::1",
        "http://t.example:99999/",
        "http://\xe4.example/",
        "http://" + "x" * 5000,
    ],
)
async def test_redirects_to_what_is_no_url(network, http, location):
    network.serve("192.0.2.1", 80, Server(redirect(location)))
    with pytest.raises(NetworkError):
        await http.get("http://t.example/", max_bytes=MAX)
    assert len(network.connects) == 1


async def test_a_redirect_without_a_location_is_an_answer(network, http):
    network.serve("192.0.2.1", 80, Server(b"HTTP/1.1 302 Found\r\nContent-Length: 2\r\n\r\nhm"))
    assert (await http.get("http://t.example/", max_bytes=MAX)).body == b"hm"


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1/admin",
        "http://localhost/",
        "http://local.example/",
        "http://router.example/reboot",
        "http://192.168.1.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://0.0.0.0/",
        "http://[fd00::1]/",
    ],
)
async def test_a_public_server_sends_nobody_inside(network, http, target):
    network.names["localhost"] = ["127.0.0.1", "::1"]
    network.serve("8.8.8.8", 80, Server(redirect(target)))
    for inside in ("127.0.0.1", "::1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "fd00::1"):
        network.serve(inside, 80, Server(answer()))
    with pytest.raises(ForbiddenAddressError):
        await http.get("http://public.example/", max_bytes=MAX)  # even though the first URL might lead anywhere
    assert [address.host for address in network.connects] == ["8.8.8.8"]


async def test_a_local_server_may_send_anywhere_but_the_public_one_not_back(network, http):
    network.serve("127.0.0.1", 80, Server(redirect("http://public.example/")))
    network.serve("8.8.8.8", 80, Server(redirect("http://127.0.0.1:81/")))
    network.serve("127.0.0.1", 81, Server(answer()))
    with pytest.raises(ForbiddenAddressError):
        await http.get("http://local.example/", max_bytes=MAX)
    assert [address.host for address in network.connects] == ["127.0.0.1", "8.8.8.8"]
    network.serve("127.0.0.1", 80, Server(redirect("http://127.0.0.1:81/")))
    assert (await http.get("http://local.example/", max_bytes=MAX)).body == b"hello"


async def test_the_source_decides_where_the_first_url_leads(network, http):
    network.serve("127.0.0.1", 80, Server(answer()))
    for host in ("local.example", "127.0.0.1"):
        with pytest.raises(ForbiddenAddressError):
            await http.get(f"http://{host}/", max_bytes=MAX, within=Scope.PUBLIC)
        assert (await http.get(f"http://{host}/", max_bytes=MAX)).body == b"hello"


async def test_given_addresses_are_checked_too_and_not_looked_up(network, http):
    network.serve("192.168.1.1", 80, Server(answer()))
    address = Address("192.168.1.1", 80)
    with pytest.raises(ForbiddenAddressError):
        await http.get("http://t.example/", max_bytes=MAX, within=Scope.PUBLIC, addresses=[address])
    assert (await http.get("http://t.example/", max_bytes=MAX, addresses=[address])).body == b"hello"
    assert network.resolved == []


# -- secrets ----------------------------------------------------------------------------------------------------------

BASIC = b"Authorization: Basic dXNlcjpwQHNz"  # user:p@ss


async def test_credentials_stay_with_their_origin(network, http):
    same, other = Server(answer()), Server(answer())
    network.serve("192.0.2.1", 80, Server(redirect("http://t.example:80/elsewhere")))
    network.serve("8.8.8.8", 80, other)
    network.serve("192.0.2.1", 81, same)

    first = Server(redirect("http://t.example/two"))
    network.serve("192.0.2.1", 80, first)
    with pytest.raises(NetworkError, match="redirects"):
        await http.get("http://user:p%40ss@t.example/", max_bytes=MAX)
    assert all(BASIC in request for request in first.requests)

    network.serve("192.0.2.1", 80, Server(redirect("http://public.example/")))
    await http.get("http://user:p%40ss@t.example/", max_bytes=MAX)
    network.serve(
        "192.0.2.1", 80, Server(redirect("http://user:p%40ss@t.example:81/"))
    )  # it cannot hand out any either
    await http.get("http://user:p%40ss@t.example/", max_bytes=MAX)
    assert b"authorization" not in (other.requests[0] + same.requests[0]).lower()


async def test_nothing_is_remembered_between_requests(network, http):
    server = Server(answer(head=b"Set-Cookie: id=1; Domain=t.example\r\n"))
    network.serve("192.0.2.1", 80, server)
    await http.get("http://user:pass@t.example/", max_bytes=MAX)
    await http.get("http://t.example/", max_bytes=MAX)
    assert b"cookie" not in server.requests[1].lower()
    assert b"authorization" not in server.requests[1].lower()


async def test_no_log_has_a_target_or_credentials(network, http, caplog):
    caplog.set_level(logging.DEBUG)
    network.serve("192.0.2.1", 80, Server(answer()))
    reply = await http.get("http://user:s3cret@t.example/s3cret?k=s3cret", max_bytes=MAX)
    with pytest.raises(NetworkError) as caught:
        await http.get("http://user:s3cret@nowhere.example/s3cret?k=s3cret", max_bytes=MAX)
    assert "s3cret" not in caplog.text + str(caught.value) + repr(reply)
    assert "t.example" in caplog.text


async def test_the_environment_is_not_asked(network, http, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://proxy.example:3128")
    network.serve("192.0.2.1", 80, Server(answer()))
    await http.get("http://t.example/", max_bytes=MAX)
    assert network.connects == [Address("192.0.2.1", 80)]


def test_httpx2_is_imported_when_needed():
    import subprocess

    code = "import sys, torrentlite.net.http; sys.exit('httpx2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- several addresses ------------------------------------------------------------------------------------------------


async def test_a_broken_family_delays_for_a_moment_only(network, http, autojump_clock):
    network.names["t.example"] = ["2001:db8::1", "2001:db8::2", "192.0.2.1"]
    network.serve("2001:db8::1", 80, None)
    network.serve("2001:db8::2", 80, None)
    network.serve("192.0.2.1", 80, Server(answer()))
    began = trio.current_time()
    assert (await http.get("http://t.example/", max_bytes=MAX)).remote.host == "192.0.2.1"
    assert trio.current_time() - began == pytest.approx(limits.CONNECT_STAGGER)
    assert [address.host for address in network.connects] == ["2001:db8::1", "192.0.2.1"]


async def test_what_fails_at_once_delays_nobody(network, http, autojump_clock):
    network.names["t.example"] = ["2001:db8::1", "192.0.2.1"]
    network.serve("192.0.2.1", 80, Server(answer()))
    began = trio.current_time()
    await http.get("http://t.example/", max_bytes=MAX)
    assert trio.current_time() == began


async def test_when_all_fail_the_first_error_tells(network, http):
    network.names["t.example"] = ["2001:db8::1", "192.0.2.1"]
    with pytest.raises(NetworkError, match="2001:db8::1"):
        await http.get("http://t.example/", max_bytes=MAX)


# -- cancelling -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [0, 0.5, 1.5, 2.5])
async def test_cancelled_at_any_moment_nothing_stays_open(network, http, after, autojump_clock):
    began, ended = [], []

    async def serve(stream):
        began.append(stream)
        try:
            for part in (OK, b"Content-Length: 9\r\n\r\n", b"x"):
                await stream.send_all(part)
                await trio.sleep(1)
        except trio.BrokenResourceError:
            pass
        while await stream.receive_some():
            pass
        ended.append(stream)  # the client has closed its end

    network.serve("192.0.2.1", 80, serve)
    with trio.move_on_after(after) as scope:
        await http.get("http://t.example/", max_bytes=MAX)
    assert scope.cancelled_caught
    await trio.testing.wait_all_tasks_blocked()
    assert len(began) == (after > 0)
    await trio.sleep(10)
    assert ended == began
