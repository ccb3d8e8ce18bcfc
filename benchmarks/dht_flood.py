"""A live DHT node under a flood of damaged and forged datagrams, over loopback.

    python -m benchmarks dht_flood --seconds 60 --rate 10000

The node is a process of its own, with the budgets that it has by default, and looks for a peer again and again
meanwhile. What is sent is made by ``torrentlite.testing.dht_mutations``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import socket
import statistics
import subprocess
import sys
import time

import psutil
import trio

from torrentlite.dht import DhtSettings, open_node
from torrentlite.testing.dht_mutations import Mutations

PREPARED = 100_000
SENDERS = 50
INFO_HASH = b"h" * 20
LOOK_EVERY = 0.5  # seconds


async def serve() -> None:
    """The node, and another one that holds what it looks for. Says in the end how it went."""
    settings = DhtSettings(read_only=False)
    process = psutil.Process()
    memory: list[float] = []
    seconds: list[float] = []
    found = looked = 0
    async with open_node(host="127.0.0.1", routers=(), settings=settings) as node:
        to = ("127.0.0.1", node.addresses[0].port)
        async with open_node(host="127.0.0.1", routers=(), settings=settings, nodes=[to]) as other:
            await node.announce_peer(INFO_HASH, 7)
            print(to[1], flush=True)

            async def look() -> None:
                nonlocal found, looked
                while True:
                    started = trio.current_time()
                    peers = await node.get_peers(INFO_HASH)
                    seconds.append(trio.current_time() - started)
                    looked += 1
                    found += [peer.port for peer in peers] == [7]
                    memory.append(process.memory_info().rss / (1 << 20))
                    await trio.sleep(LOOK_EVERY)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(look)
                await trio.to_thread.run_sync(sys.stdin.read)
                nursery.cancel_scope.cancel()
            counters = node.stats().counters
            tenth = max(1, len(memory) // 10)
            report = {
                "exceptions": node.internal_errors + other.internal_errors,
                "looked": looked,
                "found": found,
                "lookup_ms": 1000 * statistics.median(seconds),
                "malformed": counters.malformed,
                "unasked": counters.unasked,
                "queries": counters.queries_received,
                "answered": counters.queries_answered,
                "memory_early_mib": statistics.median(memory[tenth : 2 * tenth] or memory),
                "memory_late_mib": statistics.median(memory[-tenth:]),
                "cpu_seconds": sum(process.cpu_times()[:2]),
                "table": node.stats().nodes,
            }
            print(json.dumps(report), flush=True)


def flood(port: int, seconds: float, rate: int) -> tuple[int, float]:
    """Send so many a second. How many were, and in how long."""
    made = Mutations(random.Random(1))
    prepared = [made.make() for _ in range(PREPARED)]
    senders = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(SENDERS)]
    for sender in senders:
        sender.bind(("127.0.0.1", 0))
        sender.setblocking(False)
    sent = 0
    started = time.perf_counter()
    while (passed := time.perf_counter() - started) < seconds:
        for _ in range(min(200, int(passed * rate) - sent)):
            with contextlib.suppress(BlockingIOError):
                senders[sent % SENDERS].sendto(prepared[sent % PREPARED], ("127.0.0.1", port))
            sent += 1
        time.sleep(0.001)
    for sender in senders:
        sender.close()
    return sent, passed


def main(arguments: list[str]) -> None:
    """Flood, and say what came of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks dht_flood", description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="default 60")
    parser.add_argument("--rate", type=int, default=10_000, help="datagrams a second (default 10000)")
    args = parser.parse_args(arguments)
    command = [sys.executable, "-m", "benchmarks.dht_flood"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdin is not None
        assert serving.stdout is not None
        sent, seconds = flood(int(serving.stdout.readline()), args.seconds, args.rate)
        serving.stdin.close()
        report = json.loads(serving.stdout.readline())
    print(f"sent         {sent:,} datagrams in {seconds:.0f} s: {sent / seconds:,.0f} a second")
    taken = report["malformed"] + report["unasked"] + report["queries"]
    print(
        f"taken        {taken:,}: {report['malformed']:,} malformed, {report['unasked']:,} that nobody asked for, "
        f"{report['queries']:,} queries, of which the budget let {report['answered']:,} be answered"
    )
    print(f"exceptions   {report['exceptions']}")
    print(f"lookups      {report['found']} of {report['looked']} found the peer, {report['lookup_ms']:.1f} ms (median)")
    print(f"memory       {report['memory_early_mib']:.1f} MiB early, {report['memory_late_mib']:.1f} MiB in the end")
    print(f"CPU          {report['cpu_seconds']:.1f} s, table {report['table']} nodes")


if __name__ == "__main__":
    trio.run(serve)
