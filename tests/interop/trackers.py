"""Real trackers as processes: Debian's opentracker and npm's bittorrent-tracker, for the length of a block.

opentracker serves only the hashes that it was given (over UDP it does not even refuse the others), over IPv4, and
knows no long form of peers. bittorrent-tracker serves everything, over IPv6 too; but its UDP replies over IPv6 have
counts and no peers, and in its HTTP scrapes only hashes of ASCII bytes come out right. Where a program is missing the
test is skipped with that reason, and fails where ``TORRENTLITE_REQUIRE_INTEROP=1`` promised it.
"""

import contextlib
import dataclasses
import os
import pathlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence

from tests.interop.clients import missing, need_program

ROOT = pathlib.Path(__file__).parent.parent.parent

# Asked from where the tracker runs, which may be another network namespace.
_PROBE = """
import socket, sys, time
host, port = sys.argv[1], int(sys.argv[2])
end = time.monotonic() + 20
while True:
    try:
        with socket.create_connection((host, port), 1) as sock:
            sock.sendall(b"GET /scrape?info_hash=" + b"%00" * 20 + b" HTTP/1.0\\r\\n\\r\\n")
            if sock.recv(9) in (b"HTTP/1.0 ", b"HTTP/1.1 "):
                break
    except OSError:
        pass
    if time.monotonic() > end:
        sys.exit(1)
    time.sleep(0.02)
"""


# The program that comes with it loads its client too, whose native parts are nothing to us.
_NPM_SERVER = """
import { pathToFileURL } from 'node:url'
const [path, host, port] = process.argv.slice(1)
const { default: Server } = await import(pathToFileURL(path))
const server = new Server({ http: true, udp: true, ws: false, stats: false })
const six = host.includes(':')
server.on('error', error => { console.error(error); process.exit(1) })
server.listen(Number(port), { http: host, udp4: six ? '127.0.0.1' : host, udp6: six ? host : '::1' })
"""


@dataclasses.dataclass(frozen=True)
class Tracker:
    """One that runs, with its announce URLs."""

    host: str
    port: int

    @property
    def http(self) -> str:
        return f"http://{self._where}/announce"

    @property
    def udp(self) -> str:
        return f"udp://{self._where}/announce"

    @property
    def _where(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@contextlib.contextmanager
def opentracker(
    host: str = "127.0.0.1",
    port: int = 0,
    hashes: Iterable[str] = (),
    *,
    work: pathlib.Path,
    prefix: Sequence[str] = (),
) -> Iterator[Tracker]:
    """Run opentracker for these info-hashes (40 hex digits each).

    Args:
        host: an IPv4 address.
        port: for TCP and UDP; 0 for a free one (of this network, not of a namespace).
        hashes: it refuses all others.
        work: a folder for what it needs.
        prefix: words in front of the command, say of another network namespace.
    """
    program = need_program("opentracker")
    # Started by root it locks itself up in this folder as nobody, who has to be able to read the list.
    folder = work / "opentracker"
    folder.mkdir(mode=0o755, exist_ok=True)
    folder.chmod(0o755)
    whitelist = folder / "whitelist"
    whitelist.write_text("".join(f"{info_hash}\n" for info_hash in hashes))
    whitelist.chmod(0o644)
    tracker = Tracker(host, port or free_port(host))
    command = [*prefix, program, "-i", host, "-p", str(tracker.port), "-P", str(tracker.port),
               "-d", str(folder), "-w", whitelist.name]  # fmt: skip
    with _running(command, tracker, folder, prefix):
        yield tracker


@contextlib.contextmanager
def npm_tracker(
    host: str = "127.0.0.1", port: int = 0, *, work: pathlib.Path, prefix: Sequence[str] = ()
) -> Iterator[Tracker]:
    """Run bittorrent-tracker: HTTP on this address, UDP on loopback of its family. Arguments as of ``opentracker``.

    It is looked for in ``TORRENTLITE_NODE_MODULES``, a folder that holds a ``node_modules``, or else in the checkout.
    """
    node = need_program("node")
    folder = pathlib.Path(os.environ.get("TORRENTLITE_NODE_MODULES") or ROOT)
    server = folder / "node_modules" / "bittorrent-tracker" / "server.js"
    if not server.exists():
        missing("npm's bittorrent-tracker")
    tracker = Tracker(host, port or free_port(host))
    command = [*prefix, node, "--input-type=module", "-e", _NPM_SERVER, str(server), host, str(tracker.port)]
    with _running(command, tracker, work, prefix):
        yield tracker


def free_port(host: str) -> int:
    """A port that is free for TCP and UDP on an address of this network."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(50):
        with socket.socket(family) as tcp, socket.socket(family, socket.SOCK_DGRAM) as udp:
            tcp.bind((host, 0))
            port: int = tcp.getsockname()[1]
            with contextlib.suppress(OSError):
                udp.bind((host, port))
                return port
    raise AssertionError("no port is free for TCP and UDP")


@contextlib.contextmanager
def _running(command: Sequence[str], tracker: Tracker, folder: pathlib.Path, prefix: Sequence[str]) -> Iterator[None]:
    """Run it in that folder, and wait until it answers."""
    log = folder / "tracker.log"
    with log.open("ab") as output:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        probe = subprocess.Popen([*prefix, sys.executable, "-c", _PROBE, tracker.host, str(tracker.port)])
        try:
            while probe.poll() is None and process.poll() is None:
                time.sleep(0.01)
            answers = probe.poll() == 0
        finally:
            probe.kill()
            probe.wait()
        assert answers, f"{command[len(prefix)]} does not answer ({process.poll()}): {log.read_text(errors='replace')}"
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
