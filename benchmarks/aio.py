"""What asyncio costs: the same fetch on plain Trio, in asyncio and in uvloop, in one interleaved run.

    python -m benchmarks aio --size 1G --runs 5

Each round fetches with every kind of loop from every number of seeds, from fresh processes; the ratio is to plain Trio
in the same round. All seeds of one fetch live in one other process, so that two cores are enough.
"""

from __future__ import annotations

import functools

from .material import Material, material, words
from .processes import check_size, running, serving
from .rounds import Result, interleaved, middle, ratio
from .sizes import size

LOOPS = ("trio", "asyncio", "uvloop")


def one_run(loop: str, seeds: int, what: Material) -> Result:
    """One transfer between two fresh processes."""
    out = what.fresh()
    with serving("roles", "tl", "seed", what.torrent, what.data, seeds) as served:
        result = running("roles", loop, "fetch", what.torrent, out, *served.ports)
    check_size(out, what)
    return result


def main(arguments: list[str]) -> None:
    """Measure and print a table."""
    parser = words("aio", __doc__, total="512M")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 8], help="numbers of seeds (default 1 8)")
    args = parser.parse_args(arguments)
    if args.quick:
        args.size, args.runs, args.seeds = size("8M"), 1, [1]
    with material(args.folder, args.size, args.piece_size) as what:
        rows = {
            f"{seeds} {loop}": functools.partial(one_run, loop, seeds, what) for seeds in args.seeds for loop in LOOPS
        }
        results = interleaved(rows, args.runs)
    print(f"{args.size >> 20} MiB in pieces of {args.piece_size >> 10} KiB, {args.runs} rounds")
    print("| seeds, loop | MiB/s | ratio (min–max) | CPU s/GiB of the fetcher |")
    print("|---|---|---|---|")
    for row, runs in results.items():
        seconds = [run["seconds"] for run in runs]
        base = [run["seconds"] for run in results[f"{row.split()[0]} trio"]]
        cpu = middle([run["cpu"] for run in runs]) / (args.size / (1 << 30))
        print(f"| {row} | {(args.size >> 20) / middle(seconds):.0f} | {ratio(base, seconds)} | {cpu:.2f} |")
