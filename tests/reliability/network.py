"""Networks that lose packets, reset connections, are narrow, or fall silent: four seeds and who fetches from them.

``python -m tests.reliability network --runs 20`` runs each kind twenty times, four at a time. Every machine is a
namespace (root is needed), the router between them has the rules. The seeds are ``tl seed``; who fetches is a session
that says ten times a second what it has.
"""

from __future__ import annotations

import contextlib
import json
import math
import multiprocessing
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import pytest
import trio

import torrentlite as tl
from tests.interop.clients import need_program
from tests.interop.runs import Run, only, script, space, tl as run_tl
from tests.net.lan import Machine, Wiring, routed

SEEDS = 4
PORT = 6881
LOOK = 0.1


class Kind(NamedTuple):
    """What a network does, and how long the whole torrent may stand still for it.

    Attributes:
        loss: the share of packets that the router drops, each way.
        resets: the share of TCP packets to which it answers with a reset, each way. Only who sent the packet hears of
            it: the other side's connection is half open.
        bottleneck: bits a second to whoever fetches, with a queue of 12 ms.
        cut: all packets of one seed are dropped for so many seconds from when a quarter is here; infinity: for good.
        size: bytes to fetch.
        rate: bytes a second that each seed gives; 0: no limit.
        stall: seconds without a new block that are too many.
        utp: all connections are over UDP.
    """

    loss: float = 0
    resets: float = 0
    bottleneck: int = 0
    cut: float = 0
    size: int = 6 << 20
    rate: int = 200_000
    stall: float = 30
    utp: bool = False


KINDS = {
    "clean": Kind(),
    "loss-1": Kind(loss=0.01),
    "loss-5": Kind(loss=0.05),
    "loss-10": Kind(loss=0.1),
    "loss-20": Kind(loss=0.2, size=3 << 20, stall=90),
    "resets": Kind(resets=0.002),
    "bottleneck": Kind(bottleneck=10_000_000, size=8 << 20, rate=0),
    "all": Kind(loss=0.05, resets=0.001, bottleneck=10_000_000),
    "cut": Kind(cut=math.inf, size=30 << 20, rate=100_000),
    "gap": Kind(cut=75, size=40 << 20, rate=100_000),
    "utp-clean": Kind(utp=True),
    "utp-loss-1": Kind(loss=0.01, utp=True),
    "utp-loss-5": Kind(loss=0.05, utp=True),
    "utp-loss-20": Kind(loss=0.2, size=3 << 20, stall=90, utp=True),
    "utp-bottleneck": Kind(bottleneck=10_000_000, size=8 << 20, rate=0, utp=True),
    "utp-cut": Kind(cut=math.inf, size=30 << 20, rate=100_000, utp=True),
    "utp-gap": Kind(cut=75, size=40 << 20, rate=100_000, utp=True),
}


class Result(NamedTuple):
    """One run.

    Attributes:
        seconds: until it was complete.
        longest: the longest time without a new block.
        replaced: connections beyond the first to each seed.
        dropped, reset, overflowed: packets that the router dropped, answered with a reset, and had no room for.
        gone: after how many seconds the connection that was cut was given up, or None.
        wasted: bytes that came twice.
    """

    seconds: float
    longest: float
    replaced: int
    dropped: tuple[int, ...]
    reset: tuple[int, ...]
    overflowed: int
    gone: float | None
    wasted: int


class Router:
    """The rules of a kind of network."""

    def __init__(self, wires: Wiring, name: str, kind: Kind) -> None:
        self._wires, self._name = wires, name
        self._iptables = need_program("iptables-legacy")
        ways = [("-i", "p1"), ("-o", "p1")]
        for way in ways if kind.resets else ():
            self._rule("-A", *way, *_sometimes(kind.resets), "-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset")
        for way in ways if kind.loss else ():
            self._rule("-A", *way, *_sometimes(kind.loss), "-j", "DROP")
        if kind.bottleneck:
            shape = f"qdisc add dev p1 root tbf rate {kind.bottleneck} burst 5kb limit 20kb"
            wires.run(name, need_program("tc"), *shape.split())

    def _rule(self, *words: str) -> None:
        self._wires.run(self._name, self._iptables, words[0], "FORWARD", *words[1:])

    def cut(self, machine: Machine) -> None:
        """Let nothing of this machine through from now on."""
        for way in "-s", "-d":
            self._rule("-I", way, machine.address, "-j", "DROP")

    def mend(self, machine: Machine) -> tuple[int, ...]:
        """Let it through again; how many packets were lost on each way."""
        lost = self.counts("DROP")
        for way in "-s", "-d":
            self._rule("-D", way, machine.address, "-j", "DROP")
        return lost

    def counts(self, target: str) -> tuple[int, ...]:
        """Packets that each rule of one kind has met."""
        table = self._ask(self._iptables, "-L", "FORWARD", "-v", "-x", "-n")
        rows = [line.split() for line in table.splitlines()[2:]]
        return tuple(int(row[0]) for row in rows if row[2] == target)

    @property
    def overflowed(self) -> int:
        """Packets for which the bottleneck's queue had no room."""
        told = re.search(r"tbf.*?dropped (\d+)", self._ask("tc", "-s", "qdisc", "show", "dev", "p1"), re.DOTALL)
        return int(told[1]) if told else 0

    def _ask(self, *words: str) -> str:
        command = ["ip", "netns", "exec", self._name, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _sometimes(share: float) -> list[str]:
    return ["-m", "statistic", "--mode", "random", "--probability", str(share)]


@contextlib.contextmanager
def _seeds(machines: list[Machine], work: pathlib.Path, film: pathlib.Path, kind: Kind) -> Iterator[str]:
    flags = [*only(), *(["-u", str(kind.rate)] if kind.rate else []), *(["--utp", "prefer"] if kind.utp else [])]
    with contextlib.ExitStack() as stack:
        runs = [
            stack.enter_context(run_tl(machine, work, f"seed{n}", "seed", film, "--listen", f"{PORT}", *flags))
            for n, machine in enumerate(machines)
        ]
        (info_hash,) = {run.wait("seeding")["info_hash"] for run in runs}
        yield info_hash


def tell(name: str, number: int, work: pathlib.Path) -> Result:
    """One run, held to all that is promised."""
    kind = KINDS[name]
    film = work / "film.bin"
    film.write_bytes(random.Random(f"{name} {number}").randbytes(kind.size))
    with routed(1 + SEEDS) as (wires, router_name, (fetcher, *machines)):
        router = Router(wires, router_name, kind)
        with _seeds(machines, work, film, kind) as info_hash:
            told, log = work / "fetch.json", work / "fetch.log"
            places = [f"{machine.address}:{PORT}" for machine in machines]
            utp = "prefer" if kind.utp else "allow"
            command = script("-m", "tests.reliability.network", info_hash, work / "out", utp, *places)
            with space(fetcher).running(command, log, stdout=told) as process:
                run = Run("fetch", process, told, log)
                cut_at, lost = _cut(run, router, machines[0], kind) if kind.cut else (0.0, ())
                process.wait(kind.size / 1000)
            assert process.returncode == 0, log.read_text()
        looks = run.events("look")
        dropped, reset, overflowed = lost or router.counts("DROP"), router.counts("REJECT"), router.overflowed
    assert (work / "out" / film.name).read_bytes() == film.read_bytes()
    assert not (kind.loss or kind.cut) or (len(dropped) == 2 and all(dropped)), f"not lost on both ways: {dropped}"
    assert not kind.resets or sum(reset), "nothing was reset"
    assert not kind.bottleneck or overflowed, "the queue was never full"
    # Where uTP comes first, who loses its first two packets is met by TCP.
    over_udp = [udp for look in looks for _, _, udp in look["peers"].values()]
    assert sum(over_udp) > len(over_udp) / 2 if kind.utp else not any(over_udp), f"{sum(over_udp)} of {len(over_udp)}"
    longest, replaced = _longest(looks), _replaced(looks)
    assert longest <= kind.stall, f"nothing came for {longest:.1f} s"
    gone = None
    if kind.cut:
        gone, back = _fate(looks, cut_at, machines[0].address)
        assert gone is not None, "the seed that was cut off was kept"
        assert back == (kind.cut < math.inf), "it was never asked again" if not back else "it was not cut off"
    seconds = looks[-1]["ts"] - looks[0]["ts"]
    return Result(seconds, longest, replaced, dropped, reset, overflowed, gone, looks[-1]["wasted"])


def _cut(run: Run, router: Router, machine: Machine, kind: Kind) -> tuple[float, tuple[int, ...]]:
    """Cut a seed off when a quarter is here; the time, and how many packets were lost, if it came back."""
    while not (looks := run.events("look")) or looks[-1]["downloaded"] < kind.size / 4:
        assert run.process.poll() is None
        time.sleep(LOOK)
    router.cut(machine)
    cut_at, lost = time.time(), ()
    if kind.cut < math.inf:
        time.sleep(kind.cut)
        lost = router.mend(machine)
    return cut_at, lost


def _longest(looks: list[dict[str, Any]]) -> float:
    """The longest time in which no block came."""
    longest, since = 0.0, looks[0]
    for look in looks:
        longest = max(longest, look["ts"] - since["ts"])
        if look["downloaded"] > since["downloaded"]:
            since = look
    return float(longest)


def _replaced(looks: list[dict[str, Any]]) -> int:
    """How often there was a new connection to a seed that had been connected."""
    known: dict[str, float] = {}
    count = 0
    for look in looks:
        for host, (since, *_) in look["peers"].items():
            count += host in known and _differ(since, known[host])
            known[host] = since
    return count


def _differ(since: float, other: float) -> bool:
    """Whether two connections to one seed are not the same: the times of their beginning are sums of two clocks."""
    return abs(since - other) > LOOK


def _fate(looks: list[dict[str, Any]], cut_at: float, host: str) -> tuple[float | None, bool]:
    """After how many seconds the connection that was cut was given up, and whether its seed sent anything on another."""
    connection = next(look["peers"][host][0] for look in reversed(looks) if look["ts"] <= cut_at)
    later = [look for look in looks if look["ts"] > cut_at]
    still = [look["peers"].get(host, [0, 0, False]) for look in later]
    others = [_differ(since, connection) for since, *_ in still]
    gone = next((look["ts"] - cut_at for look, other in zip(later, others, strict=True) if other), None)
    return gone, any(other and downloaded for other, (_, downloaded, _) in zip(others, still, strict=True))


# -- who fetches, in its own process


async def _fetch(info_hash: str, out: str, utp: Literal["allow", "prefer"], *places: str) -> None:
    peers = [(host, int(port)) for host, port in (place.split(":") for place in places)]
    settings = tl.Settings(dht=False, lsd=False, pex=False, port_map=False, utp=utp)
    async with tl.open_session(settings) as session, trio.open_nursery() as nursery:
        torrent = session.add(info_hash, out, peers=peers)

        def look() -> None:
            now, stats = time.time(), torrent.stats()
            peers = torrent.peers()
            connected = {peer.host: (now - peer.connected_for, peer.downloaded, peer.utp) for peer in peers}
            said = {"downloaded": stats.downloaded, "wasted": stats.wasted, "peers": connected}
            print(json.dumps({"event": "look", "ts": now, **said}), flush=True)

        async def looks() -> None:
            while True:
                look()
                await trio.sleep(LOOK)

        nursery.start_soon(looks)
        await torrent.wait_complete()
        look()
        assert not session.stats().internal_errors
        nursery.cancel_scope.cancel()


# -- many runs


def _one(task: tuple[str, int]) -> Result | str:
    name, number = task
    with tempfile.TemporaryDirectory(prefix="tl-network-") as folder:
        try:
            return tell(name, number, pathlib.Path(folder))
        except (Exception, pytest.fail.Exception, pytest.skip.Exception):
            return traceback.format_exc()


def results(tasks: Sequence[tuple[str, int]], at_once: int) -> Iterator[Result | str]:
    """What came of each of these kinds and numbers, or what went wrong; in processes, which namespaces are named by."""
    with multiprocessing.get_context("spawn").Pool(at_once) as pool:
        yield from pool.imap(_one, tasks)


def run(runs: int, names: Sequence[str], at_once: int, seed: int, say: Callable[[str], None]) -> int:
    """So many runs of each kind, and a table; how many broke a promise."""
    tasks = [(name, number) for name in names for number in range(seed, seed + runs)]
    found: dict[str, list[Result]] = {name: [] for name in names}
    for (name, number), result in zip(tasks, results(tasks, at_once), strict=True):
        if isinstance(result, str):
            say(f"{name} {number}: {result}")
        else:
            found[name].append(result)
        if number == seed + runs - 1:
            say(_row(name, found[name], runs))
    return len(tasks) - sum(map(len, found.values()))


def _row(name: str, results: list[Result], runs: int) -> str:
    if not results:
        return f"{name}: 0 of {runs} well"
    seconds, longest, replaced, dropped, reset, overflowed, gone, wasted = zip(*results, strict=True)
    sums = [f"{sum(map(sum, dropped))} packets dropped, {sum(map(sum, reset))} reset, {sum(overflowed)} had no room"]
    sums.append(f"{sum(replaced)} connections replaced, {sum(wasted) >> 14} blocks twice")
    if any(gone):
        sums.append(f"the dead one was given up after {min(gone):.1f} to {max(gone):.1f} s")
    return (
        f"{name}: {len(results)} of {runs} well; {statistics.median(seconds):.1f} s in the median, {max(seconds):.1f} at most;"
        f" the longest without a block {statistics.median(longest):.1f} s in the median, {max(longest):.1f} at most; "
        + "; ".join(sums)
    )


if __name__ == "__main__":
    trio.run(_fetch, *sys.argv[1:])
