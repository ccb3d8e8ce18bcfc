"""Real programs as peers: torrentlite's own command, libtorrent, Transmission and aria2.

All but libtorrent run as processes of their own, in a network namespace where one is given, and end with the block that
started them.
"""

import base64
import contextlib
import ctypes
import functools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import pytest

from torrentlite import bencode

DEADLINE = 120.0
"""Seconds for anything here; only a hang takes so long."""

REQUIRED = os.environ.get("TORRENTLITE_REQUIRE_INTEROP") == "1"


def missing(what: str) -> None:
    """A program is not there: skip with the reason, or fail where CI promised to install it."""
    if REQUIRED:
        pytest.fail(f"{what} is missing")
    pytest.skip(f"{what} is missing")


def need_program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        missing(name)
    assert path is not None
    return path


def wait_for(what: str, done: Callable[[], object], *, process: subprocess.Popen | None = None) -> None:
    """Poll until it holds, or the process that should bring it about has ended."""
    end = time.monotonic() + DEADLINE
    while not done():
        if process is not None and process.poll() is not None and not done():
            raise AssertionError(f"{what}: the program ended with {process.returncode}")
        assert time.monotonic() < end, f"{what}: not within {DEADLINE:.0f} s"
        time.sleep(0.05)


class Space:
    """Where a program runs: this network, or a namespace.

    Attributes:
        address: its IPv4 address there.
        prefix: the words in front of a command that make it run there.
    """

    def __init__(self, address: str = "127.0.0.1", namespace: str = "") -> None:
        self.address = address
        self._namespace = namespace
        self.prefix = ["ip", "netns", "exec", namespace] if namespace else []

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """This thread is there, and those that it starts: what libraries open has its place where they open it."""
        if not self._namespace:
            yield
            return
        with open("/proc/thread-self/ns/net") as before, open(f"/run/netns/{self._namespace}") as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(before.fileno())

    @contextlib.contextmanager
    def running(
        self,
        command: Sequence[str],
        log: pathlib.Path,
        *,
        stdout: pathlib.Path | None = None,
        end: int = signal.SIGTERM,
    ) -> Iterator[subprocess.Popen]:
        """Start a program, its output in ``log`` (or ``stdout``); end it with the block by that signal."""
        with contextlib.ExitStack() as files:
            errors = files.enter_context(log.open("ab"))
            output = files.enter_context(stdout.open("ab")) if stdout else errors
            process = subprocess.Popen(
                [*self.prefix, *command], stdin=subprocess.DEVNULL, stdout=output, stderr=errors, start_new_session=True
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(end)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a program to its end."""
        return subprocess.run(
            [*self.prefix, *command], capture_output=True, text=True, timeout=DEADLINE, stdin=subprocess.DEVNULL
        )


def _enter(namespace: int) -> None:
    system = ctypes.CDLL(None, use_errno=True)
    if system.setns(namespace, 0) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@contextlib.contextmanager
def namespaces(network: str = "10.77.0") -> Iterator[tuple[Space, Space]]:
    """Two namespaces joined by a veth pair, with addresses of this /24."""
    need_program("ip")
    names = [f"tl{os.getpid()}{letter}" for letter in "ab"]
    addresses = [f"{network}.1", f"{network}.2"]

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    try:
        ip("netns", "add", names[0])
    except subprocess.CalledProcessError as error:
        missing(f"the right to make a network namespace ({error.stderr.decode().strip()})")
    try:
        ip("netns", "add", names[1])
        ends = [f"v{name[2:]}" for name in names]
        ip("link", "add", ends[0], "netns", names[0], "type", "veth", "peer", "name", ends[1], "netns", names[1])
        for name, end, address in zip(names, ends, addresses, strict=True):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", end)
            ip("-n", name, "link", "set", end, "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield Space(addresses[0], names[0]), Space(addresses[1], names[1])
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


# Run where the tracker can be reached; the reply is binary.
_GET = "import sys, urllib.request as u; print(u.build_opener(u.ProxyHandler({})).open(sys.argv[1]).read().hex())"


class Known(NamedTuple):
    """How many peers a tracker knows, of several torrents together."""

    seeders: int
    leechers: int


def scrape(space: Space, tracker: str, hashes: Sequence[str]) -> Known:
    """Ask an HTTP tracker about these info-hashes."""
    query = "&".join("info_hash=" + urllib.parse.quote(bytes.fromhex(each)) for each in hashes)
    url = f"{tracker.removesuffix('announce')}scrape?{query}"
    done = space.run([sys.executable, "-c", _GET, url])
    assert done.returncode == 0, done.stderr
    files = bencode.decode(bytes.fromhex(done.stdout))[b"files"].values()
    return Known(sum(each[b"complete"] for each in files), sum(each[b"incomplete"] for each in files))


# -- torrentlite ------------------------------------------------------------------------------------------------------

TL = [sys.executable, "-m", "torrentlite"]


@functools.cache
def _named_peers_only() -> tuple[str, ...]:
    """What keeps tl from finding peers by other means than those under test, as far as it knows such means."""
    usage = subprocess.run([*TL, "fetch", "--help"], capture_output=True, text=True, check=True).stdout
    return tuple(flag for flag in ("--no-dht", "--no-lsd", "--no-pex", "--no-port-map") if flag in usage)


@contextlib.contextmanager
def tl_seeding(
    space: Space, torrents: Sequence[pathlib.Path], folder: pathlib.Path, work: pathlib.Path, *more: str
) -> Iterator[int]:
    """Share these out of one folder; gives the port. Leaving takes no error."""
    command = [*TL, "seed", *map(str, torrents), "-o", str(folder), "--json", "--listen", f"{space.address}:0",
               "--state-dir", str(work / "seed-state"), *_named_peers_only(), *more]  # fmt: skip
    told = work / "seed.json"

    def events(kind: str) -> list[dict[str, Any]]:
        lines = told.read_text().splitlines(keepends=True) if told.exists() else []
        return [event for line in lines if line.endswith("\n") and (event := json.loads(line))["event"] == kind]

    with space.running(command, work / "seed.log", stdout=told, end=signal.SIGINT) as process:
        wait_for("tl seeds", lambda: len(events("seeding")) == len(torrents), process=process)
        yield events("listening")[0]["port"]
    assert process.returncode == 0, (work / "seed.log").read_text() + told.read_text()


def tl_fetch(
    space: Space, sources: Sequence[str | pathlib.Path], folder: pathlib.Path, work: pathlib.Path, *more: str
) -> None:
    """Fetch these, or fail with what it said."""
    with tl_fetching(space, sources, folder, work, *more) as process:
        wait_for("tl fetch ends", lambda: process.poll() is not None)
    assert process.returncode == 0, (work / "fetch.log").read_text()


@contextlib.contextmanager
def tl_fetching(
    space: Space, sources: Sequence[str | pathlib.Path], folder: pathlib.Path, work: pathlib.Path, *more: str
) -> Iterator[subprocess.Popen]:
    """Begin to fetch these."""
    command = [*TL, "fetch", *map(str, sources), "-o", str(folder), "-vv", "--timeout", "60s",
               "--listen", f"{space.address}:0", "--state-dir", str(work / "fetch-state"),
               *_named_peers_only(), *more]  # fmt: skip
    with space.running(command, work / "fetch.log") as process:
        yield process


# -- libtorrent -------------------------------------------------------------------------------------------------------


class Libtorrent:
    """A libtorrent session, with its own defaults where they do not reach out: it calls over uTP first, and encrypted
    before plain.

    Args:
        space: where it listens.
        settings: more of its settings.
    """

    def __init__(self, space: Space | None = None, **settings: object) -> None:
        try:
            import libtorrent
        except ImportError:
            missing("libtorrent")
        self._lt = libtorrent
        space = space or Space()
        with space.inside():
            self._session = libtorrent.session(
                {
                    "listen_interfaces": f"{space.address}:0",
                    "enable_dht": False,
                    "enable_lsd": False,
                    "enable_upnp": False,
                    "enable_natpmp": False,
                    "allow_multiple_connections_per_ip": True,
                    **settings,
                }
            )
        wait_for("libtorrent listens", self._session.listen_port)
        self.port: int = self._session.listen_port()

    def add(self, source: str | pathlib.Path, folder: pathlib.Path, port: int = 0, *, host: str = "127.0.0.1") -> Any:
        """Fetch a .torrent or a magnet link from the peer at that port, or share a .torrent if there is no port."""
        if isinstance(source, pathlib.Path):
            params = self._lt.add_torrent_params()
            params.ti = self._lt.torrent_info(str(source))
        else:
            params = self._lt.parse_magnet_uri(source)
        params.save_path = str(folder)
        flags = self._lt.torrent_flags
        params.flags &= ~(flags.auto_managed | flags.paused)  # else it begins when its queue has been looked at
        if not port:
            params.flags |= flags.seed_mode  # it hashes what is there when it is asked for it
        handle = self._session.add_torrent(params)
        if port:
            handle.connect_peer((host, port))
        else:
            # Who calls while it looks at what it has is hung up on; ``is_seeding`` is true before that.
            seeding = self._lt.torrent_status.seeding
            wait_for("libtorrent seeds", lambda: handle.status().state == seeding)
        return handle

    def __enter__(self) -> "Libtorrent":
        return self

    def __exit__(self, *_: object) -> None:
        del self._session


# -- Transmission -----------------------------------------------------------------------------------------------------

# Run where the daemon is. Its first answer is 409 with an id that the next request must bring along.
_RPC = """
import sys, urllib.error, urllib.request
headers = {}
for attempt in range(2):
    request = urllib.request.Request("http://127.0.0.1:9091/transmission/rpc", sys.argv[1].encode(), headers)
    try:
        print(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30).read().decode())
        break
    except urllib.error.HTTPError as error:
        headers = {"X-Transmission-Session-Id": error.headers["X-Transmission-Session-Id"] or ""}
    except OSError:
        sys.exit(1)
"""


class Transmission:
    """A transmission-daemon that downloads into, and seeds from, one folder."""

    def __init__(self, space: Space) -> None:
        self._space = space

    def rpc(self, method: str, **arguments: object) -> dict[str, Any] | None:
        """What it answers, or None while it does not."""
        request = json.dumps({"method": method, "arguments": arguments})
        done = self._space.run([sys.executable, "-c", _RPC, request])
        return json.loads(done.stdout) if done.stdout else None

    def add(self, source: str | pathlib.Path) -> str:
        """Share or fetch a .torrent or a magnet link; ``success``, or what it has against it."""
        if isinstance(source, pathlib.Path):
            answer = self.rpc("torrent-add", metainfo=base64.b64encode(source.read_bytes()).decode())
        else:
            answer = self.rpc("torrent-add", filename=source)
        assert answer is not None
        return str(answer["result"])

    def torrents(self) -> list[dict[str, Any]]:
        answer = self.rpc(
            "torrent-get", fields=["hashString", "percentDone", "metadataPercentComplete", "status", "peers"]
        )
        assert answer is not None
        torrents: list[dict[str, Any]] = answer["arguments"]["torrents"]
        return torrents


TRANSMISSION_SEEDS = 6
"""The ``status`` of a torrent that is shared."""


@contextlib.contextmanager
def transmission(
    space: Space,
    folder: pathlib.Path,
    work: pathlib.Path,
    *,
    dht: Sequence[str] = (),
    encryption: int = 1,
    utp: bool = False,
) -> Iterator[Transmission]:
    """Run one. Unfinished files are named ``.part``; it knows no peers but those of trackers, or of the DHT that these
    nodes belong to. By default it prefers encryption (1); 2 is to require it; and it speaks no uTP."""
    program = need_program("transmission-daemon")
    config = work / "transmission"
    config.mkdir()
    settings = {
        "download-dir": str(folder),
        "bind-address-ipv4": space.address,
        "peer-port": 51413,
        "rpc-bind-address": "127.0.0.1",
        "dht-enabled": bool(dht),
        "lpd-enabled": False,
        "pex-enabled": False,
        "utp-enabled": utp,
        "encryption": encryption,
        "port-forwarding-enabled": False,
        "download-queue-enabled": False,
        "seed-queue-enabled": False,
        "rename-partial-files": True,
    }
    (config / "settings.json").write_text(json.dumps(settings))
    (config / "dht.bootstrap").write_text("".join(f"{node.replace(':', ' ')}\n" for node in dht))
    with space.running([program, "-f", "-g", str(config)], work / "transmission.log") as process:
        daemon = Transmission(space)
        wait_for("Transmission answers", lambda: daemon.rpc("session-get"), process=process)
        yield daemon


# -- aria2 ------------------------------------------------------------------------------------------------------------


def aria2_command(folder: pathlib.Path, *more: object) -> list[str]:
    """aria2 with these options and torrents, all at once; it knows no peers but those of trackers."""
    return [need_program("aria2c"), "--no-conf", "--enable-dht=false", "--enable-dht6=false",
            "--enable-peer-exchange=false", "--bt-enable-lpd=false", "--disable-ipv6", "--listen-port=52000",
            "--max-concurrent-downloads=50", "--show-console-readout=false", "--summary-interval=0", f"--dir={folder}",
            *map(str, more)]  # fmt: skip


def aria2_info_hash(torrent: pathlib.Path) -> str:
    """The info-hash that aria2 finds in a .torrent."""
    shown = subprocess.run([need_program("aria2c"), "--no-conf", "-S", str(torrent)], capture_output=True, text=True)
    return next(line.split()[-1] for line in shown.stdout.splitlines() if line.startswith("Info Hash:"))
