"""Real proxies: microsocks (SOCKS5) as the only way out, tinyproxy (HTTP) for what is asked for over HTTP."""

import contextlib
import pathlib
import random
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest
import trio
import trustme

import torrentlite
from tests.interop.clients import TL, Libtorrent, Space, need_program, wait_for
from tests.interop.runs import space, tl
from tests.interop.trackers import free_port, npm_tracker
from tests.net.lan import Machine, lan
from torrentlite.errors import NetworkError
from torrentlite.net.http import HttpClient
from torrentlite.net.network import RealNetwork
from torrentlite.net.partial import Part
from torrentlite.net.proxy import Proxy
from torrentlite.net.ranged import RangedHttp
from torrentlite.net.url import parse_url
from torrentlite.wire.address import Scope

pytestmark = pytest.mark.interop

DATA = random.Random(7).randbytes(3_000_000)
WHO = "me:secret7"


@pytest.fixture
def www(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "www"
    folder.mkdir()
    (folder / "film.bin").write_bytes(DATA)
    return folder


@contextlib.contextmanager
def microsocks(where: Space, work: pathlib.Path, port: int = 1080) -> Iterator[None]:
    command = [need_program("microsocks"), "-i", where.address, "-p", str(port), "-u", "me", "-P", "secret7"]
    with where.running(command, work / "microsocks.log") as process:
        _wait_until_it_listens(where, port, process)
        yield


@contextlib.contextmanager
def tinyproxy(where: Space, work: pathlib.Path, port: int = 8888) -> Iterator[None]:
    config = work / "tinyproxy.conf"
    config.write_text(f"Port {port}\nListen {where.address}\nBasicAuth me secret7\nMaxClients 50\nTimeout 30\n")
    command = [need_program("tinyproxy"), "-d", "-c", str(config)]
    with where.running(command, work / "tinyproxy.log") as process:
        _wait_until_it_listens(where, port, process)
        yield


@contextlib.contextmanager
def web(machine: Machine, folder: pathlib.Path, work: pathlib.Path) -> Iterator[pathlib.Path]:
    """Python's own web server; its log, which has the address of everybody who asked."""
    log = work / "web.log"
    where = space(machine)
    command = [sys.executable, "-u", "-m", "http.server", "8000", "--bind", machine.address, "-d", str(folder)]
    with where.running(command, log) as process:
        _wait_until_it_listens(where, 8000, process)
        log.write_text("")
        yield log


def _wait_until_it_listens(where: Space, port: int, process) -> None:
    probe = f"import socket; socket.create_connection(({where.address!r}, {port}), 1).close()"
    wait_for(
        f"somebody listens on {port}",
        lambda: where.run([sys.executable, "-c", probe]).returncode == 0,
        process=process,
    )


class Scene(NamedTuple):
    there: Machine
    between: Machine
    here: Machine
    url: str
    """Of the web server, which has the .torrent too."""
    asked: pathlib.Path
    """Its log."""


@contextlib.contextmanager
def scene(proxy: Callable[[Space, pathlib.Path], Any], www: pathlib.Path, work: pathlib.Path) -> Iterator[Scene]:
    """Three machines: one with a tracker and a web server, one with a proxy, and one to fetch on."""
    with contextlib.ExitStack() as stack:
        there, between, here = stack.enter_context(lan(3))
        stack.enter_context(proxy(space(between), work))
        tracker = stack.enter_context(npm_tracker(there.address, 6969, work=work, prefix=there.prefix))
        asked = stack.enter_context(web(there, www, work))
        metainfo = trio.run(lambda: torrentlite.create(www / "film.bin", trackers=[tracker.http, tracker.udp]))
        (www / "film.torrent").write_bytes(metainfo.encode())
        yield Scene(there, between, here, f"http://{there.address}:8000", asked)


def test_all_goes_through_socks(tmp_path, www):
    with contextlib.ExitStack() as stack:
        there, between, here, url, asked = stack.enter_context(scene(microsocks, www, tmp_path))
        seed = stack.enter_context(Libtorrent(space(there), upload_rate_limit=1_000_000))
        shared = seed.add(www / "film.torrent", www)
        source = f"{url}/film.torrent"
        proxy = f"socks5://{WHO}@{between.address}"
        run = tl(here, tmp_path, "fetch", "fetch", source, "--proxy", proxy, "-o", tmp_path / "out")
        with run as fetch:
            peers: set[str] = set()
            wait_for(
                "the proxy calls",
                lambda: peers.update(peer.ip[0] for peer in shared.get_peer_info()) or between.address in peers,
            )
            fetch.complete()
            assert not fetch.events("listening")
        assert (tmp_path / "out/film.bin").read_bytes() == DATA
        assert here.address not in peers
        lines = asked.read_text().splitlines()
        assert any("film.torrent" in line for line in lines)
        assert all(line.startswith(f"{between.address} ") for line in lines)
        said = (tmp_path / "fetch.log").read_text() + (tmp_path / "fetch.json").read_text()
        assert "secret7" not in said

        wrong = f"socks5://me:no@{between.address}"
        state = tmp_path / "wrong.state"
        other = space(here).run([*TL, "peers", source, "--proxy", wrong, "--state-dir", str(state)])
        assert other.returncode == 7, "the network's exit code"
        assert "refuses the user or the password" in other.stderr


def test_what_is_asked_for_over_http_goes_through_the_proxy_of_the_environment(tmp_path, www):
    with scene(tinyproxy, www, tmp_path) as (_, between, here, url, asked):
        command = ["env", f"http_proxy=http://{WHO}@{between.address}:8888", *TL]
        words = ["fetch", f"{url}/film.torrent", "--web-seed", f"{url}/film.bin", "-o", tmp_path / "out"]
        with tl(here, tmp_path, "fetch", *words, command=command) as fetch:
            fetch.complete()
        assert (tmp_path / "out/film.bin").read_bytes() == DATA
        lines = asked.read_text().splitlines()
        assert {"film.torrent", "film.bin"} == {line.split()[6].rpartition("/")[2] for line in lines}
        assert all(line.startswith(f"{between.address} ") for line in lines)
        assert any(event["ok"] for event in fetch.events("tracker") if event["url"].startswith("http:"))


# -- the clients by themselves, over TLS, on loopback ------------------------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = DATA[:50_000]
        self.send_response(206 if "Range" in self.headers else 200)
        if "Range" in self.headers:
            first, last = map(int, self.headers["Range"].partition("=")[2].split("-"))
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(body)}")
            body = body[first : last + 1]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def secure() -> Iterator[tuple[str, ssl.SSLContext]]:
    """The URL of a web server over TLS, and whom to trust for it."""
    ca = trustme.CA()
    theirs, ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    ca.issue_cert("localhost").configure_cert(theirs)
    ca.configure_trust(ours)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = theirs.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"https://localhost:{server.server_port}/x", ours
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(params=["socks5", "http"])
def proxy(request, tmp_path) -> Iterator[str]:
    port = free_port("127.0.0.1")
    with (microsocks if request.param == "socks5" else tinyproxy)(Space(), tmp_path, port):
        yield f"{request.param}://{WHO}@127.0.0.1:{port}"


async def test_https_through_it(secure, proxy):
    url, trust = secure
    way = Proxy.parse(proxy)
    http = HttpClient(RealNetwork(), user_agent="x", ssl_context=trust, proxies=lambda url: way)
    reply = await http.get(url, max_bytes=1 << 20)
    await http.aclose()
    assert (reply.status, reply.body) == (200, DATA[:50_000])

    ranged = RangedHttp(RealNetwork(), user_agent="x", ssl_context=trust, proxies=lambda url: way)
    for begin in (0, 20_000):
        part = Part(begin, 20_000)
        assert await ranged.get(parse_url(url), part, 50_000, within=Scope.LOOPBACK) == part
        body, buffer = b"", memoryview(bytearray(1 << 16))
        while count := await ranged.receive_into(buffer):
            body += bytes(buffer[:count])
        assert body == DATA[begin : begin + 20_000]
    ranged.close()

    stranger = Proxy.parse(proxy.replace(WHO, "me:no"))
    http = HttpClient(RealNetwork(), user_agent="x", ssl_context=trust, proxies=lambda url: stranger)
    with pytest.raises(NetworkError, match="password|401|407|403"):
        await http.get(url, max_bytes=1 << 20)
    await http.aclose()
