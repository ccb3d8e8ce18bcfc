"""Fetch and seed over loopback: torrentlite, libtorrent and bare system calls in one interleaved run.

    python -m benchmarks transfer --size 4G                        steady
    python -m benchmarks transfer --size 1G --piece-size 16K       small pieces
    python -m benchmarks transfer --size 1G --files 10000          many small files
    python -m benchmarks transfer --size 4G --folder /tmp          a real disk
    python -m benchmarks transfer --size 256M --utp                over uTP, not TCP

Each round runs every pair (seed, fetcher) once, so a machine that speeds up or slows down does so for all; the table
gives medians, and ratios to libtorrent → libtorrent round by round. libtorrent runs with its defaults and with its
high-performance preset (``lt-fast``); the one that is faster to itself is what the others are compared with, and what
torrentlite is paired with.
"""

from __future__ import annotations

import functools

from .material import material, words
from .processes import one_pair
from .rounds import interleaved, middle, ratio
from .sizes import size

PRESETS = ("lt", "lt-fast")


def main(arguments: list[str]) -> None:
    """Measure and print a table."""
    parser = words("transfer", __doc__, total="256M")
    parser.add_argument("--files", type=int, default=1, help="so many files instead of one")
    parser.add_argument("--pairs", default="", help="only these, e.g. tl-tl,lt-tl (default: all)")
    parser.add_argument("--version", choices=("v1", "v2", "hybrid"), default="v1", help="of the torrent")
    parser.add_argument("--utp", action="store_true", help="over uTP, not TCP")
    args = parser.parse_args(arguments)
    if args.quick:
        args.size, args.runs = size("16M"), 1
    with material(args.folder, args.size, args.piece_size, args.files, args.version) as what:
        run = functools.partial(one_pair, what=what, transport="+utp" if args.utp else "")
        first = {preset: run(preset, preset)["seconds"] for preset in PRESETS}  # also warms everything up
        theirs = min(first, key=lambda preset: first[preset])
        pairs = [(preset, preset) for preset in PRESETS]
        pairs += [(theirs, "tl"), ("tl", theirs), ("tl", "tl")]
        if args.files == 1 and not args.utp:
            pairs.append(("bare", "bare"))
        if args.pairs:
            chosen = [tuple(pair.split("-")) for pair in args.pairs.split(",")]
            pairs = [(a, b) for a, b in pairs if (a[:2], b[:2]) in chosen]
        names = {f"{seed} → {fetcher}": (seed, fetcher) for seed, fetcher in pairs}
        results = interleaved({name: functools.partial(run, *pair) for name, pair in names.items()}, args.runs)
    seconds = {name: [one["seconds"] for one in runs] for name, runs in results.items()}
    gib = what.size / (1 << 30)
    base = min((name for name in names if name in ("lt → lt", "lt-fast → lt-fast")), key=lambda n: middle(seconds[n]),
               default=next(iter(names)))  # fmt: skip
    kind = f"{args.files} files" if args.files > 1 else "one file"
    print(f"{what.size >> 20} MiB ({kind}) in pieces of {args.piece_size >> 10} KiB, {args.runs} rounds, {args.folder}")
    print("| seed → fetcher | MiB/s | ratio (min–max) | CPU s/GiB fetching | CPU s/GiB seeding | peak MiB fetching |")
    print("|---|---|---|---|---|---|")
    for name, runs in results.items():
        print(
            f"| {name} | {(what.size / (1 << 20)) / middle(seconds[name]):.0f}"
            f" | {ratio(seconds[base], seconds[name])}"
            f" | {middle([one['cpu'] for one in runs]) / gib:.2f}"
            f" | {middle([one['seed_cpu'] for one in runs]) / gib:.2f}"
            f" | {middle([one['memory_mib'] for one in runs]):.0f} |"
        )
    if "tl → tl" in seconds and "bare → bare" in seconds:
        print(f"tl → tl over bare calls: {ratio(seconds['bare → bare'], seconds['tl → tl'])}")
