"""A torrent's files over HTTP: what is answered to whom, and what a client may do to us."""

import contextlib
import random

import h11
import pytest
import trio

import torrentlite as tl
from tests.strangers import background, session_on, simulated, until, where
from torrentlite import limits
from torrentlite.cli import stream
from torrentlite.cli.output import Job
from torrentlite.httpfiles import HttpFiles, content_type, parse_range

PIECE = 64 << 10


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("bytes=0-0", range(1)),
        ("bytes=5-", range(5, 100)),
        ("bytes=5-9", range(5, 10)),
        ("bytes=90-1000000", range(90, 100)),
        ("bytes=-7", range(93, 100)),
        ("bytes=-1000", range(100)),
        ("Bytes= 1-2 ", range(1, 3)),
        ("bytes=100-", range(0)),
        ("bytes=99999999999999999999-", range(0)),
        ("bytes=-0", range(0)),
        ("bytes=9-5", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=0-1,5-9", None),
        ("lines=0-1", None),
        ("bytes=999999999999999999999-", None),
        ("bytes=٣-٤", None),
        ("", None),
    ],
)
def test_ranges(text, span):
    found = parse_range(text, 100)
    assert (found is None) is (span is None)
    assert span is None or list(found) == list(span)


def test_of_nothing_there_is_no_part():
    assert not parse_range("bytes=0-", 0)
    assert not parse_range("bytes=-5", 0)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("A.MKV", "video/x-matroska"), ("x.mp4", "video/mp4"), ("x.unknown", "application/octet-stream"),
     ("mkv", "application/octet-stream"), ("x.txt", "text/plain"), ("x.flac", "audio/flac")],
)  # fmt: skip
def test_types(name, kind):
    assert content_type(name) == kind


class Client:
    """Somebody who speaks HTTP, over a stream without any buffer."""

    def __init__(self, stream):
        self.stream = stream
        self.http = h11.Connection(h11.CLIENT)

    async def ask(self, target="/", method="GET", host="127.0.0.1:1234", **headers):
        """Ask, and read all of the answer: status, headers, body."""
        await self.say(target, method, host, **headers)
        return await self.hear()

    async def say(self, target, method="GET", host="localhost", **headers):
        named = [("Host", host), *((name.replace("_", "-"), value) for name, value in headers.items())]
        request = h11.Request(method=method, target=target, headers=named)
        await self.stream.send_all(self.http.send(request) + self.http.send(h11.EndOfMessage()))

    async def hear(self):
        response, body = None, b""
        while True:
            event = self.http.next_event()
            if event is h11.NEED_DATA:
                self.http.receive_data(bytes(await self.stream.receive_some(100_000)))
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                body += event.data
            else:
                break
        if self.http.our_state is self.http.their_state is h11.DONE:
            self.http.start_next_cycle()
        return response.status_code, {k.decode(): v.decode() for k, v in response.headers}, body


@contextlib.asynccontextmanager
async def served(world, *sizes, up=0):
    """A torrent on its way, and what serves it; gives (connect, data, torrent, files)."""
    metainfo, data = world.torrent(*sizes, name="stuff & <things>", piece_length=PIECE)
    seed, machine = world.host(up=up), world.host()
    seed.put(metainfo.info, data)
    async with session_on(seed) as sharing, session_on(machine) as session:
        await sharing.add(metainfo).wait_complete()
        torrent = session.add(metainfo, select=[], peers=[where(seed, sharing)])
        files = HttpFiles(torrent, metainfo)
        async with trio.open_nursery() as nursery:

            def connect(cls=Client):
                ours, theirs = trio.testing.lockstep_stream_pair()
                nursery.start_soon(files.serve, theirs)
                return cls(ours)

            yield connect, data, torrent, files
            nursery.cancel_scope.cancel()


@simulated()
async def test_files_and_parts_of_them(world):
    rng = random.Random(1)
    async with served(world, 100_000, 300_000, 0) as (connect, data, torrent, files):
        client, body = connect(), data[100_000:]
        path = files.path(1)
        assert path == "/stuff%20%26%20%3Cthings%3E/1.bin"
        status, headers, got = await client.ask(path, "HEAD")
        assert (status, got) == (200, b"")
        assert headers["content-length"] == "300000"
        assert headers["accept-ranges"] == "bytes"
        assert torrent.stats().downloaded == 0, "HEAD reads nothing"
        tag = headers["etag"]
        for _ in range(20):
            first = rng.randrange(300_000)
            last = rng.randrange(first, 300_000)
            status, headers, got = await client.ask(path, Range=f"bytes={first}-{last}")
            assert (status, got) == (206, body[first : last + 1])
            assert headers["content-range"] == f"bytes {first}-{last}/300000"
        assert (await client.ask(path))[::2] == (200, body)
        assert (await client.ask(path + "?x=1", Range="bytes=-5"))[::2] == (206, body[-5:])
        assert (await client.ask("/1.bin", Range="bytes=0-1,5-6"))[::2] == (200, body), "several: all of it"
        status, headers, _ = await client.ask(path, Range="bytes=300000-")
        assert (status, headers["content-range"]) == (416, "bytes */300000")
        assert (await client.ask(path, Range="bytes=1-2", If_Range=tag))[0] == 206
        assert (await client.ask(path, Range="bytes=1-2", If_Range='"other"'))[0] == 200
        assert (await client.ask(path, Range="bytes=1-2", If_Range="Mon, 01 Jan 2024 00:00:00 GMT"))[0] == 200
        for known in (f'"x", {tag}', f'"a,b",W/{tag}', "*"):
            assert (await client.ask(path, If_None_Match=known))[::2] == (304, b"")
        for known in ('"x", W/"y"', '"a,*,b"', tag.strip('"'), ""):
            assert (await client.ask(path, "HEAD", If_None_Match=known))[0] == 200
        assert (await client.ask(path, If_None_Match=tag, **{"If-none-match": '"x"'}))[0] == 304, "in two fields"
        assert (await client.ask(path, Range="bytes=1-2", range="bytes=5-6"))[0] == 200, "two are no range"
        assert (await client.ask(files.path(2)))[::2] == (200, b"")
        assert (await client.ask(files.path(2), Range="bytes=0-"))[0] == 416
        status, headers, got = await client.ask("/")
        assert status == 200
        assert b'<a href="/stuff%20%26%20%3Cthings%3E/1.bin">stuff &amp; &lt;things&gt;/1.bin</a>' in got
        assert headers["content-security-policy"] == "sandbox"


@simulated()
async def test_who_is_refused(world):
    async with served(world, 100_000) as (connect, _, torrent, files):
        client = connect()
        for host in (
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1",
            "127.0.0.1:8000",
            "[::1]:8000",
            "[::1]",
            "localhost.:1",
            "127.0.0.1:",
        ):
            assert (await client.ask(files.path(0), "HEAD", host))[0] == 200, host
        for host in (
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:80",
            "",
            "192.168.1.2",
            "[::2]:80",
        ):
            assert (await client.ask(files.path(0), "HEAD", host))[0] == 403, host
        for root in ("http://127.0.0.1:8000", "HTTP://localhost"):  # its host counts, and not the field
            assert (await client.ask(root + files.path(0), "HEAD", "proxy.example"))[0] == 200
            assert (await client.ask(root, "HEAD"))[0] == 200
        for root in (
            "http://evil.example",
            "http://127.0.0.1@evil.example",
            "http://localhost.evil.example:80",
            "http://",
        ):
            assert (await client.ask(root + files.path(0), "HEAD", "localhost"))[0] == 403
        assert (await client.ask("/nothing"))[0] == 404
        assert (await client.ask("/../../etc/passwd"))[0] == 404
        assert (await client.ask("/%ff%00"))[0] == 404
        status, headers, _ = await client.ask(files.path(0), "POST")
        assert (status, headers["allow"]) == (405, "GET, HEAD")
        assert torrent.stats().downloaded == 0


@simulated()
async def test_nonsense_ends_a_connection_and_nothing_else(world):
    async with served(world, 100_000) as (connect, data, _, files):
        for nonsense in (b"\0\xff" * 100, b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"a" * 20_000, b""):
            client = connect()
            await client.stream.send_all(nonsense)
            await client.stream.send_eof()
            with trio.fail_after(5):
                got = b""
                while part := await client.stream.receive_some(10_000):
                    got += part
            assert got.startswith(b"HTTP/1.1 4") or not nonsense
        silent = connect()
        with trio.fail_after(limits.HTTP_FILES_IDLE + 1):
            assert await silent.stream.receive_some(10) == b""
        await until(lambda: files.connections == 0)
        assert (await connect().ask(files.path(0)))[::2] == (200, data)


@simulated()
async def test_too_many_connections(world):
    async with served(world, 100_000) as (connect, _, _, files):
        crowd = [connect() for _ in range(limits.HTTP_FILES_CONNECTIONS)]
        await trio.sleep(0.1)
        assert (await connect().ask(files.path(0), "HEAD"))[0] == 503
        assert (await crowd[0].ask(files.path(0), "HEAD"))[0] == 200
        await crowd[1].stream.aclose()
        await trio.sleep(0.1)
        assert (await connect().ask(files.path(0), "HEAD"))[0] == 200


@simulated()
async def test_a_seek_and_a_client_that_goes_away(world):
    """A new request for another place is answered although the old one, whose client does not read, stands still."""
    async with served(world, 64 << 20, up=1 << 20) as (connect, data, torrent, files):
        stuck = connect()
        await stuck.say(files.path(0))
        heard = 0
        while heard < 2 << 20:
            heard += len(await stuck.stream.receive_some(100_000))
        began = trio.current_time()
        assert (await connect().ask(files.path(0), Range="bytes=50000000-50000099"))[2] == data[50_000_000:50_000_100]
        assert trio.current_time() - began < 1
        await trio.sleep(60)
        assert 3 << 20 < torrent.stats().downloaded < 5 << 20, "as much ahead as was read, and no more"
        assert len(torrent._life.reading._places) == 1
        await stuck.stream.aclose()
        await until(lambda: not torrent._life.reading._places)


@simulated()
async def test_what_fails_in_the_middle_breaks_off(world):
    async with served(world, 1 << 20, up=100_000) as (connect, _, torrent, files):
        client = connect()
        await client.say(files.path(0))
        await trio.sleep(2)
        torrent.pause()
        with pytest.raises(h11.RemoteProtocolError, match="without sending complete message body"):
            await client.hear()
        await until(lambda: files.connections == 0)
        assert torrent.state is tl.State.PAUSED


@pytest.mark.parametrize("more", [0, 1])
@simulated()
async def test_the_longest_head_of_a_request(world, more):
    async with served(world, 1000) as (connect, *_):
        client = connect()
        head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "
        # Never ended, it is refused as soon as it is too long.
        await client.stream.send_all(head + b"x" * (limits.HTTP_FILES_REQUEST - len(head) + more))
        client.http.send(h11.Request(method="GET", target="/", headers=[("Host", "localhost")]))
        if not more:
            await client.stream.send_all(b"\r\n\r\n")
        status, _, _ = await client.hear()
        assert status == (431 if more else 200)


async def stood_still(job, seconds):
    """Whether a job is given up within so long, and after how long."""
    began = trio.current_time()
    while (took := trio.current_time() - began) < seconds:
        job.glance(trio.current_time())
        if job.given_up:
            return took
        await trio.sleep(0.25)
    return None


@simulated()
async def test_a_player_waits_for_so_long_and_for_nobody_for_ever(world):
    metainfo, _ = world.torrent(300_000)
    async with session_on(world.host()) as session, background() as nursery:
        torrent = session.add(metainfo, select=[])
        await torrent.wait_checked()
        files = HttpFiles(torrent, metainfo)
        job = Job(lambda: stream._glance(torrent, files), torrent=torrent, timeout=60)
        assert await stood_still(job, 500) is None, "nobody asks for anything"
        ours, theirs = trio.testing.memory_stream_pair()
        nursery.start_soon(files.serve, theirs)
        await Client(ours).say(files.path(0))
        await until(lambda: files.waiting == 1)
        assert 55 <= await stood_still(job, 500) <= 65
        assert "nobody to ask" in job.why.message
        await ours.aclose()
        await until(lambda: not files.connections)
        assert (files.waiting, files.sent) == (0, 0)


@simulated()
async def test_a_player_that_is_paused_is_not_given_up(world):
    async with served(world, 300_000) as (connect, data, torrent, files):
        job = Job(lambda: stream._glance(torrent, files), torrent=torrent, timeout=60)
        client = connect()
        await client.say(files.path(0))
        client.http.receive_data(bytes(await client.stream.receive_some(10_000)))
        await until(lambda: torrent.stats().downloaded and not files.waiting)
        assert await stood_still(job, 500) is None, "it reads nothing, and waits for nothing"
        assert (await client.hear())[::2] == (200, data)
        await until(lambda: (files.waiting, files.sent) == (0, 300_000))
