"""Real programs as peers: torrentlite's own command, libtorrent, Transmission and aria2.

All run as processes of their own, in a network namespace where one is given, and end with the block that started them.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

DEADLINE = 90.0
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
    return path


def wait_for(what: str, done: Callable[[], object], *, process: subprocess.Popen | None = None) -> None:
    """Poll until it holds."""
    end = time.monotonic() + DEADLINE
    while not done():
        if process is not None and process.poll() not in (None, 0):
            raise AssertionError(f"{what}: the program ended with {process.returncode}")
        assert time.monotonic() < end, f"{what}: not within {DEADLINE:.0f} s"
        time.sleep(0.05)


class Space:
    """Where a program runs: this network, or a namespace."""

    def __init__(self, address: str = "127.0.0.1", namespace: str = "") -> None:
        self.address = address
        self.prefix = ["ip", "netns", "exec", namespace] if namespace else []

    @contextlib.contextmanager
    def running(self, command: Sequence[str], log: pathlib.Path, **options) -> Iterator[subprocess.Popen]:
        """Start a program, its output in ``log`` (or where options say); end it with the block."""
        with log.open("ab") as output:
            options.setdefault("stdout", output)
            process = subprocess.Popen(
                [*self.prefix, *command], stdin=subprocess.DEVNULL, stderr=output, start_new_session=True, **options
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            if process.stdout is not None:
                process.stdout.close()


@contextlib.contextmanager
def namespaces() -> Iterator[tuple[Space, Space]]:
    """Two namespaces joined by a veth pair."""
    need_program("ip")
    names = [f"tl{os.getpid()}{letter}" for letter in "ab"]
    addresses = ["10.77.0.1", "10.77.0.2"]

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


# -- torrentlite ------------------------------------------------------------------------------------------------------

TL = [sys.executable, "-m", "torrentlite"]


@contextlib.contextmanager
def tl_seed(space: Space, torrent: pathlib.Path, folder: pathlib.Path, work: pathlib.Path) -> Iterator[tuple[str, int]]:
    """Share; gives the magnet and the port."""
    command = [*TL, "seed", str(torrent), "-o", str(folder), "--json", "--listen", f"{space.address}:0",
               "--state-dir", str(work / "seed-state")]  # fmt: skip
    with space.running(command, work / "seed.log", stdout=subprocess.PIPE, text=True) as process:
        magnet, port = "", 0
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "listening":
                port = event["port"]
            elif event["event"] == "seeding":
                magnet = event["magnet"]
                break
        assert magnet, (work / "seed.log").read_text()
        # Nobody reads the rest; a full pipe must not be what stops a seed.
        drain = subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL)
        try:
            yield magnet, port
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(15) == 0, (work / "seed.log").read_text()
            drain.wait(5)


def tl_fetch(space: Space, source: str, folder: pathlib.Path, work: pathlib.Path, *more: str) -> None:
    """Fetch, or fail with what it said."""
    command = [*space.prefix, *TL, "fetch", source, "-o", str(folder), "--listen", f"{space.address}:0", "--timeout", "60s",
               "--state-dir", str(work / "fetch-state"), *more]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr


# -- libtorrent -------------------------------------------------------------------------------------------------------


class Libtorrent:
    """A libtorrent session on loopback."""

    def __init__(self) -> None:
        try:
            import libtorrent
        except ImportError:
            missing("libtorrent")
        self.lt = libtorrent
        self.session = libtorrent.session(
            {
                "listen_interfaces": "127.0.0.1:0",
                "enable_dht": False,
                "enable_lsd": False,
                "enable_upnp": False,
                "enable_natpmp": False,
                "allow_multiple_connections_per_ip": True,
                "alert_mask": libtorrent.alert.category_t.error_notification,
            }
        )
        wait_for("libtorrent listens", lambda: self.session.listen_port())
        self.port = self.session.listen_port()

    def add(self, source: str | pathlib.Path, folder: pathlib.Path):
        """Share or fetch a .torrent or a magnet link."""
        if isinstance(source, pathlib.Path):
            params = self.lt.add_torrent_params()
            params.ti = self.lt.torrent_info(str(source))
        else:
            params = self.lt.parse_magnet_uri(source)
        params.save_path = str(folder)
        return self.session.add_torrent(params)

    def seed(self, torrent: pathlib.Path, folder: pathlib.Path):
        handle = self.add(torrent, folder)
        wait_for("libtorrent seeds", lambda: handle.status().is_seeding)
        return handle

    def fetch(self, source: str | pathlib.Path, folder: pathlib.Path, port: int) -> None:
        handle = self.add(source, folder)
        handle.connect_peer(("127.0.0.1", port))
        wait_for("libtorrent fetches", lambda: handle.status().is_seeding)
        self.session.remove_torrent(handle)

    def __enter__(self) -> "Libtorrent":
        return self

    def __exit__(self, *_: object) -> None:
        self.session.pause()
        del self.session


# -- Transmission -----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def transmission(
    space: Space, folder: pathlib.Path, work: pathlib.Path
) -> Iterator[Callable[[str | pathlib.Path], None]]:
    """A transmission-daemon that downloads into (and seeds from) ``folder``; gives a function that adds a source."""
    program = need_program("transmission-daemon")
    config, watch = work / "transmission", work / "watch"
    config.mkdir()
    watch.mkdir()
    (config / "settings.json").write_text(
        json.dumps(
            {
                "download-dir": str(folder),
                "watch-dir": str(watch),
                "watch-dir-enabled": True,
                "dht-enabled": False,
                "lpd-enabled": False,
                "pex-enabled": False,
                "utp-enabled": False,
                "port-forwarding-enabled": False,
                "bind-address-ipv4": space.address,
                "peer-port": 51413,
                "rpc-enabled": False,
                "rename-partial-files": True,
                "encryption": 0,
                "download-queue-enabled": False,
                "seed-queue-enabled": False,
            }
        )
    )
    with space.running([program, "-f", "-g", str(config)], work / "transmission.log"):
        count = 0

        def add(source: str | pathlib.Path) -> None:
            nonlocal count
            count += 1
            name = f"{count}.torrent" if isinstance(source, pathlib.Path) else f"{count}.magnet"
            data = source.read_bytes() if isinstance(source, pathlib.Path) else source.encode()
            (work / name).write_bytes(data)
            (work / name).rename(watch / name)

        yield add


# -- aria2 ------------------------------------------------------------------------------------------------------------

ARIA2 = ["--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false", "--enable-peer-exchange=false",
         "--follow-torrent=true", "--console-log-level=warn", "--summary-interval=0", "--bt-hash-check-seed=true",
         "--disable-ipv6=true", "--no-conf=true", "--bt-stop-timeout=60"]  # fmt: skip


def aria2_fetch(space: Space, source: str | pathlib.Path, folder: pathlib.Path, work: pathlib.Path) -> None:
    """aria2 fetches one source and ends."""
    command = [
        *space.prefix,
        need_program("aria2c"),
        *ARIA2,
        "--seed-time=0",
        "--listen-port=52000",
        f"--dir={folder}",
        str(source),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr


@contextlib.contextmanager
def aria2_seeding(
    space: Space, torrents: Sequence[pathlib.Path], folder: pathlib.Path, work: pathlib.Path
) -> Iterator[None]:
    """aria2 seeds these from a folder."""
    command = [need_program("aria2c"), *ARIA2, "--seed-ratio=0.0", "--check-integrity=true", "--listen-port=52000",
               f"--dir={folder}", "--max-concurrent-downloads=20", *map(str, torrents)]  # fmt: skip
    with space.running(command, work / "aria2.log"):
        yield
