"""The DHT node over loopback, beside libtorrent's: queries answered, and the time of a lookup.

    python -m benchmarks dht --seconds 5 --rounds 3

Each server is a process of its own with its budgets lifted. It is first made known to some hundred nodes and given
peers of some torrents; then it is asked, always with the same number of queries under way: 10 % ``ping``, 30 %
``find_node``, 60 % ``get_peers``, of which a third for torrents that it has. The servers take turns, so a machine that
speeds up or slows down does so for both. What counts is answers in a second of the server's own CPU time: the one that
asks needs a core too.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import random
import selectors
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import psutil
import trio

from torrentlite.bencode import decode
from torrentlite.dht import DhtSettings, Node, open_node
from torrentlite.dht.krpc import encode_query, encode_reply
from torrentlite.wire.address import Address

NODES = 300
TORRENTS = 40
WINDOW = 32  # queries under way
PREPARED = 4000  # different queries
LOST_AFTER = 0.2  # seconds
KINDS = ("tl", "lt") if importlib.util.find_spec("libtorrent") else ("tl",)
NAMES = {"tl": "torrentlite", "lt": "libtorrent"}
LIFTED = DhtSettings(upload_limit=0, answer_limit=0, address_limit=0, big_answers=0, read_only=False)
LIBTORRENT: dict[str, Any] = {
    "listen_interfaces": "127.0.0.1:0",
    "enable_dht": True,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "dht_bootstrap_nodes": "",
    "dht_restrict_routing_ips": False,  # all of them live at one address
    "dht_restrict_search_ips": False,
    "dht_ignore_dark_internet": False,
    "dht_block_ratelimit": 1_000_000,
    "dht_upload_rate_limit": 1 << 30,
    "alert_mask": 0,
}


# -- the servers: `python -m benchmarks.dht serve tl|lt` prints its port and serves until its stdin closes


async def serve_torrentlite() -> None:
    """One node of ours."""
    async with open_node(host="127.0.0.1", routers=(), settings=LIFTED) as node:
        print(node.addresses[0].port, flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)


def serve_libtorrent() -> None:
    """One node of libtorrent's."""
    session = libtorrent_session()
    print(session.listen_port(), flush=True)  # type: ignore[attr-defined]
    sys.stdin.read()


def libtorrent_session(**more: int) -> object:
    """A session that is a DHT node and nothing else."""
    import libtorrent as lt

    settings: Any = LIBTORRENT | more
    session = lt.session(settings)
    while not session.listen_port():
        time.sleep(0.01)
    return session


@contextlib.contextmanager
def role(*words: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """One process of ours, and the words of the first line that it prints."""
    command = [sys.executable, "-m", "benchmarks.dht", *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            printed = process.stdout.readline().split()
            if not printed:
                sys.exit(f"{' '.join(command)} has ended without a word")
            yield process, printed
        finally:
            process.stdin.close()


# -- who asks


class Neighbours:
    """Nodes that the server knows: they ping it, and answer its queries. The first one also asks."""

    def __init__(self, server: int, rng: random.Random) -> None:
        self.server = ("127.0.0.1", server)
        self.rng = rng
        self.ids = [rng.randbytes(20) for _ in range(NODES)]
        self.sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(NODES)]
        self.selector = selectors.DefaultSelector()
        for index, sock in enumerate(self.sockets):
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
            self.selector.register(sock, selectors.EVENT_READ, index)

    def close(self) -> None:
        """Close the sockets."""
        self.selector.close()
        for sock in self.sockets:
            sock.close()

    def answer(self, seconds: float) -> None:
        """Answer what the server asks, for so long."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            for key, _ in self.selector.select(left):
                with contextlib.suppress(BlockingIOError):
                    while True:
                        self.got(key.data, self.sockets[key.data].recv(4096))

    def got(self, index: int, data: bytes) -> None:
        """One datagram has come."""
        message = decode(data)
        if not isinstance(message, dict) or message.get(b"y") != b"q" or not isinstance(message[b"t"], bytes):
            return
        values = {b"nodes": b"", b"token": b"x"}
        answer = encode_reply(message[b"t"], self.ids[index], values, Address("127.0.0.1", self.server[1]))
        self.sockets[index].sendto(answer, self.server)

    def introduce(self) -> None:
        """Become known."""
        for _ in range(4):
            for index, sock in enumerate(self.sockets):
                sock.sendto(encode_query(b"ping", self.ids[index], b"ping", {}), self.server)
                self.answer(0.003)
            self.answer(0.3)

    def announce(self) -> list[bytes]:
        """Store peers of some torrents with the server."""
        info_hashes = [self.rng.randbytes(20) for _ in range(TORRENTS)]
        for info_hash in info_hashes:
            for index in self.rng.sample(range(NODES), 20):
                query = encode_query(b"anno", self.ids[index], b"get_peers", {b"info_hash": info_hash})
                reply = self.ask(index, query)
                if reply is not None:
                    arguments = {b"info_hash": info_hash, b"port": 1000 + index, b"token": reply[b"token"]}
                    self.ask(index, encode_query(b"anno", self.ids[index], b"announce_peer", arguments))
        return info_hashes

    def ask(self, index: int, query: bytes) -> dict[bytes, bytes] | None:
        """Ask as one of the nodes, and wait for what is answered."""
        sock = self.sockets[index]
        sock.sendto(query, self.server)
        end = time.perf_counter() + LOST_AFTER
        while (left := end - time.perf_counter()) > 0:
            sock.settimeout(left)
            try:
                data = sock.recv(4096)
            except TimeoutError:
                break
            finally:
                sock.setblocking(False)
            message = decode(data)
            if isinstance(message, dict) and message.get(b"t") == b"anno":
                values = message.get(b"r")
                return values if isinstance(values, dict) else None  # type: ignore[return-value]
            self.got(index, data)
        return None

    def queries(self, info_hashes: list[bytes]) -> list[bytes]:
        """What is asked, without repetition."""
        made = []
        for turn in range(PREPARED):
            target = self.rng.randbytes(20)
            if turn % 10 == 0:
                method, arguments = b"ping", {}
            elif turn % 10 < 4:
                method, arguments = b"find_node", {b"target": target}
            else:
                known = turn % 10 < 6
                method = b"get_peers"
                arguments = {b"info_hash": self.rng.choice(info_hashes) if known else target}
            made.append(encode_query(turn.to_bytes(4, "big"), self.ids[0], method, arguments))
        self.rng.shuffle(made)
        return made

    def load(self, queries: list[bytes], seconds: float) -> tuple[int, int, int]:
        """Ask for so long. Answers that came, their bytes, and queries without one."""
        sock = self.sockets[0]
        sock.setblocking(True)
        sock.settimeout(LOST_AFTER)
        answered = size = lost = turn = 0
        end = time.perf_counter() + seconds
        for _ in range(WINDOW):
            sock.sendto(queries[turn], self.server)
            turn += 1
        while time.perf_counter() < end:
            try:
                data = sock.recv(4096)
            except TimeoutError:
                lost += WINDOW
                for _ in range(WINDOW):
                    sock.sendto(queries[turn], self.server)
                    turn = (turn + 1) % PREPARED
                continue
            if data.endswith(b"1:y1:qe"):
                self.got(0, data)
                continue
            answered += data.endswith(b"1:y1:re")
            size += len(data)
            sock.sendto(queries[turn], self.server)
            turn = (turn + 1) % PREPARED
        with contextlib.suppress(TimeoutError):
            while True:
                sock.recv(4096)
        sock.setblocking(False)
        return answered, size, lost


class Answering:
    """One server under load."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.per_second: list[float] = []
        self.per_cpu_second: list[float] = []
        self.size = 0.0
        self.lost = 0

    def measure(self, pid: int, neighbours: Neighbours, queries: list[bytes], seconds: float) -> None:
        """One round."""
        process = psutil.Process(pid)
        before, started = process.cpu_times(), time.perf_counter()
        answered, size, lost = neighbours.load(queries, seconds)
        after, ended = process.cpu_times(), time.perf_counter()
        used = after.user + after.system - before.user - before.system
        self.per_second.append(answered / (ended - started - LOST_AFTER))  # the last wait for stragglers
        self.per_cpu_second.append(answered / used)
        self.size = size / max(1, answered)
        self.lost += lost


def measure_answers(seconds: float, rounds: int) -> list[Answering]:
    """Ask both servers in turn."""
    found = []
    with contextlib.ExitStack() as stack:
        parties = []
        for kind in KINDS:
            process, words = stack.enter_context(role("serve", kind))
            neighbours = Neighbours(int(words[0]), random.Random(1))
            stack.callback(neighbours.close)
            neighbours.introduce()
            queries = neighbours.queries(neighbours.announce())
            neighbours.load(queries, 1.0)  # warm
            found.append(Answering(kind))
            parties.append((process.pid, neighbours, queries))
        for _ in range(rounds):
            for answering, (pid, neighbours, queries) in zip(found, parties, strict=True):
                answering.measure(pid, neighbours, queries, seconds)
    return found


# -- one lookup: `python -m benchmarks.dht network N T` makes a network of our nodes with peers of T torrents in it


def info_hash_of(turn: int) -> bytes:
    """A torrent's."""
    return random.Random(f"torrent {turn}").randbytes(20)


async def serve_network(nodes: int, torrents: int) -> None:
    """So many nodes in one process; the first one's port is printed when all have joined."""
    async with contextlib.AsyncExitStack() as stack:
        made: list[Node] = []
        for _ in range(nodes):
            known = [("127.0.0.1", node.addresses[0].port) for node in made[:3]]
            node = open_node(host="127.0.0.1", routers=(), nodes=known, settings=LIFTED)
            made.append(await stack.enter_async_context(node))
            if len(made) > 1:
                await made[-1].wait_joined()
        for turn in range(torrents):
            await made[turn % nodes].announce_peer(info_hash_of(turn), 6000 + turn)
        print(made[0].addresses[0].port, flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)


async def look_torrentlite(port: int, torrents: int) -> None:
    """Find every torrent; the times until the first peer, and until the lookup was over."""
    first: list[float] = []
    over: list[float] = []
    async with open_node(host="127.0.0.1", routers=(), nodes=[("127.0.0.1", port)], settings=LIFTED) as node:
        await node.wait_joined()
        await trio.sleep(1)
        before = time.process_time()
        for turn in range(torrents):
            started = time.perf_counter()
            search = node.get_peers(info_hash_of(turn))
            async for _ in search:
                first.append(time.perf_counter() - started)
                break
            await search
            over.append(time.perf_counter() - started)
        cpu = (time.process_time() - before) / torrents
    print(json.dumps({"found": len(first), "first": first, "over": over, "cpu": cpu}), flush=True)


def look_libtorrent(port: int, torrents: int) -> None:
    """The same; libtorrent tells of peers as they come, and not of the end."""
    import libtorrent as lt

    session = libtorrent_session(alert_mask=int(lt.alert.category_t.dht_operation_notification))
    session.add_dht_node(("127.0.0.1", port))  # type: ignore[attr-defined]
    time.sleep(3)
    session.pop_alerts()  # type: ignore[attr-defined]
    first: list[float] = []
    before = time.process_time()
    for turn in range(torrents):
        info_hash = lt.sha1_hash(info_hash_of(turn))
        started = time.perf_counter()
        session.dht_get_peers(info_hash)  # type: ignore[attr-defined]
        while time.perf_counter() - started < 2:
            session.wait_for_alert(100)  # type: ignore[attr-defined]
            alerts = session.pop_alerts()  # type: ignore[attr-defined]
            replies = [alert for alert in alerts if isinstance(alert, lt.dht_get_peers_reply_alert)]
            if any(reply.num_peers() for reply in replies):
                first.append(time.perf_counter() - started)
                break
        time.sleep(0.05)  # until it has come to its end
    cpu = (time.process_time() - before) / torrents
    print(json.dumps({"found": len(first), "first": first, "over": [], "cpu": cpu}), flush=True)


def measure_lookups(nodes: int, torrents: int) -> dict[str, dict[str, object]]:
    """What each of them measured in the same network."""
    results: dict[str, dict[str, object]] = {}
    with role("network", str(nodes), str(torrents)) as (_, words):
        for kind in KINDS:
            with role("look", kind, words[0], str(torrents)) as (_, printed):
                results[kind] = json.loads(" ".join(printed))
    return results


# -- the command


def milliseconds(values: object) -> str:
    """Their median."""
    return f"{1000 * statistics.median(values):.1f}" if isinstance(values, list) and values else "–"


def main(arguments: list[str]) -> None:
    """Measure and print two tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks dht", description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="of each round (default 5)")
    parser.add_argument("--rounds", type=int, default=3, help="default 3")
    parser.add_argument("--nodes", type=int, default=50, help="in the network of the lookups (default 50)")
    parser.add_argument("--lookups", type=int, default=50, help="default 50")
    args = parser.parse_args(arguments)
    if "lt" not in KINDS:
        print("libtorrent is not installed: there is nothing to compare with")
    print(f"Queries answered over loopback: {NODES} neighbours, {WINDOW} queries under way, {args.rounds} rounds")
    print("server          answers/s   per CPU second (min–max)   µs of CPU each   bytes each   lost")
    for one in measure_answers(args.seconds, args.rounds):
        median = statistics.median(one.per_cpu_second)
        spread = f"{median:,.0f} ({min(one.per_cpu_second):,.0f}–{max(one.per_cpu_second):,.0f})"
        print(
            f"{NAMES[one.kind]:<12} {statistics.median(one.per_second):>12,.0f}   {spread:<24}"
            f"   {1e6 / median:>14.1f}   {one.size:>10.0f}   {one.lost:>4}"
        )
    print()
    print(f"One get_peers over loopback among {args.nodes} nodes of torrentlite, median of {args.lookups}")
    print("who asks        found   first peer, ms   over, ms   CPU of the asking process, ms")
    for kind, result in measure_lookups(args.nodes, args.lookups).items():
        print(
            f"{NAMES[kind]:<12} {result['found']:>5}/{args.lookups}   {milliseconds(result['first']):>14}"
            f"   {milliseconds(result['over']):>8}   {milliseconds([result['cpu']]):>29}"
        )


def play(words: list[str]) -> None:
    """One of the processes."""
    match words:
        case ["serve", "tl"]:
            trio.run(serve_torrentlite)
        case ["serve", "lt"]:
            serve_libtorrent()
        case ["network", nodes, torrents]:
            trio.run(serve_network, int(nodes), int(torrents))
        case ["look", "tl", port, torrents]:
            trio.run(look_torrentlite, int(port), int(torrents))
        case ["look", "lt", port, torrents]:
            look_libtorrent(int(port), int(torrents))


if __name__ == "__main__":
    play(sys.argv[1:])
