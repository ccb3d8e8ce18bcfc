"""How well a simulated DHT finds what was announced in it: with churn, among hostile nodes, and at which cost.

    python -m benchmarks dht_trials --nodes 3000                  # every trial
    python -m benchmarks dht_trials --nodes 10000 --plot out.svg  # only: what a lookup costs at up to so many nodes

Everything is simulated from one seed, so the same command prints the same figures on every machine, but for the time.
A node takes about 200 KiB.
"""

from __future__ import annotations

import argparse
import math
import pathlib
import time
from collections.abc import Sequence

from torrentlite.testing.dht import SimulatedDht
from torrentlite.testing.dht_hostile import Garbage, HostileNode, Poisoning, Reflecting, Silent
from torrentlite.testing.dht_trial import Guard, Result, measure, mixed

KINDS: tuple[type[HostileNode], ...] = (Silent, Garbage, Reflecting, Poisoning)
TOGETHER = 25
SIZES = (100, 300, 1000, 3000, 10_000, 30_000, 100_000)
HEAD = "trial                               found   queries: median  mean  most   seconds   hostile in tables   CPU s"


class Trial:
    """One line of the table."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._started = time.process_time()

    def say(self, result: Result) -> Result:
        """Print what came of it."""
        spent = time.process_time() - self._started
        print(
            f"{self.name:<34} {100 * result.found:5.1f} %   {result.queries:15.1f}  {result.mean:4.1f}  {result.most:4}"
            f"   {result.seconds:7.2f}   {100 * result.hostile:15.1f} %   {spent:5.0f}",
            flush=True,
        )
        return result


def honest(nodes: int, lookups: int, seed: int) -> Result:
    """Nobody is hostile, nothing is lost."""
    trial = Trial(f"{nodes:,} honest nodes")
    return trial.say(measure(mixed(nodes, [Silent], 0, seed=seed), lookups, together=TOGETHER, pause=0.1))


def churned(nodes: int, lookups: int, seed: int) -> Result:
    """Half of the nodes were replaced in the last hour, and 5 % of the datagrams are lost."""
    trial = Trial("half replaced in an hour, 5 % lost")
    world: SimulatedDht = mixed(nodes, [Silent], 0, seed=seed, loss=0.05)
    world.churn(0.5)
    world.run(3600)
    return trial.say(measure(world, lookups, together=TOGETHER, pause=1))


def hostile(
    nodes: int, lookups: int, seed: int, share: float, kinds: Sequence[type[HostileNode]], sybils: int = 0
) -> Result:
    """Some are hostile."""
    names = kinds[0].__name__.lower() if len(kinds) == 1 else "of all kinds"
    besides = f", {sybils} Sybils" if sybils else ""
    trial = Trial(f"{100 * share:.0f} % {names}{besides}" if share else f"{sybils} Sybils")
    world = mixed(nodes, kinds, share, seed=seed)
    guard = Guard(world)
    result = trial.say(measure(world, lookups, together=TOGETHER, sybils=sybils))
    if guard.wrong:
        print(f"    {len(guard.wrong)} datagrams to where nothing may be sent")
    return result


def plot(points: Sequence[tuple[int, Result]]) -> str:
    """Queries of a lookup against the number of nodes, as SVG: a straight line where the cost is logarithmic."""
    width, height, left, bottom = 640, 360, 56, 44
    low, high = math.log10(points[0][0]) - 0.15, math.log10(points[-1][0]) + 0.15
    top = 10 * math.ceil(max(result.most for _, result in points) / 10)

    def place(nodes: float, queries: float) -> tuple[float, float]:
        across = left + (math.log10(nodes) - low) / (high - low) * (width - left - 16)
        return round(across, 1), round(height - bottom - queries / top * (height - bottom - 16), 1)

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"',
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for queries in range(0, top + 1, 10):
        x, y = place(10**low, queries)
        lines.append(f'<path d="M{x} {y}H{width - 16}" stroke="#ddd"/>')
        lines.append(f'<text x="{x - 8}" y="{y + 4}" text-anchor="end">{queries}</text>')
    for nodes, _ in points:
        x, y = place(nodes, 0)
        lines.append(f'<text x="{x}" y="{y + 18}" text-anchor="middle">{nodes:,}</text>')
    for name, colour, values in (
        ("most", "#c60", [(nodes, result.most) for nodes, result in points]),
        ("mean", "#06c", [(nodes, result.mean) for nodes, result in points]),
    ):
        places = [place(nodes, queries) for nodes, queries in values]
        path = " ".join(f"{x},{y}" for x, y in places)
        lines.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        lines += [f'<circle cx="{x}" cy="{y}" r="3.5" fill="{colour}"/>' for x, y in places]
        lines.append(
            f'<text x="{places[-1][0]}" y="{places[-1][1] - 10}" text-anchor="end" fill="{colour}">{name}</text>'
        )
    lines.append(f'<text x="{width / 2}" y="{height - 8}" text-anchor="middle">nodes (logarithmic)</text>')
    lines.append(f'<text x="14" y="{height / 2}" text-anchor="middle" transform="rotate(-90 14 {height / 2})">')
    lines.append("queries of one get_peers</text></svg>")
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> None:
    """Run the trials."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks dht_trials", description=__doc__.split("\n")[0])
    parser.add_argument("--nodes", type=int, default=3000, help="default 3000")
    parser.add_argument("--lookups", type=int, default=500, help="of each trial (default 500)")
    parser.add_argument("--seed", type=int, default=1, help="default 1")
    parser.add_argument("--plot", type=pathlib.Path, help="only measure the cost at up to so many nodes; an SVG file")
    args = parser.parse_args(arguments)
    print(HEAD)
    if args.plot is not None:
        sizes = sorted({size for size in SIZES if size < args.nodes} | {args.nodes})
        points = [(size, honest(size, args.lookups, args.seed)) for size in sizes]
        args.plot.write_text(plot(points))
        return
    honest(args.nodes, args.lookups, args.seed)
    churned(args.nodes, args.lookups, args.seed)
    for share, sybils in ((0.1, 8), (0.2, 16), (0.33, 64)):
        hostile(args.nodes, args.lookups, args.seed, share, KINDS)
        hostile(args.nodes, args.lookups // 5, args.seed, share, KINDS, sybils)
    for kind in KINDS:
        hostile(args.nodes, args.lookups, args.seed, 0.33, [kind])
    for sybils in (8, 64):
        hostile(args.nodes, args.lookups // 5, args.seed, 0, KINDS[:1], sybils)
