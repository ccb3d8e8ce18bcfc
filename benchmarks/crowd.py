"""Many connections: fetching from 200 at once, and seeding to 50 libtorrent peers; or as many as one says.

    python -m benchmarks crowd --size 1G --peers 1 10 50 200 --fetchers 1 10 50 200

*Fetching*: one scripted seed on so many loopback addresses (``scripted.py``), one fetcher. *Seeding*: one seed, so many
libtorrent sessions in one process, each of which knows only the seed; the time is that of the last one.
"""

from __future__ import annotations

import functools
import json
import pathlib
import sys
import time
from collections.abc import Mapping, Sequence

from .material import Material, material, words
from .processes import check_size, running, serving
from .roles import lt_session, usage
from .rounds import Result, interleaved, middle, ratio
from .sizes import size

CLIENTS = ("lt", "lt-fast", "tl")


def fetch_from_many(fetcher: str, what: Material, peers: int) -> Result:
    """One fetcher, so many connections to the scripted seed."""
    out = what.fresh()
    with serving("scripted", "seed", what.torrent, what.data / "file.bin") as served:
        places = [f"127.0.{1 + number // 250}.{1 + number % 250}:{served.ports[0]}" for number in range(peers)]
        result = running("roles", fetcher, "fetch", what.torrent, out, *places)
    check_size(out, what)
    return result


def seed_to_many(seed: str, what: Material, fetchers: int) -> Result:
    """One seed, so many fetchers."""
    what.fresh()
    with serving("roles", seed, "seed", what.torrent, what.data) as served:
        result = running("crowd", what.torrent, what.root / "out", served.ports[0], fetchers)
    return {**result, **served.usage}


def crowd(torrent: pathlib.Path, folder: pathlib.Path, port: int, fetchers: int) -> None:
    """The process of the fetchers."""
    import libtorrent as lt

    started = time.perf_counter()
    handles, sessions = [], []
    for number in range(fetchers):
        session = lt_session(False, plugins=False, aio_threads=1)
        sessions.append(session)
        params = lt.add_torrent_params()
        params.ti = lt.torrent_info(str(torrent))
        place = folder / str(number)
        place.mkdir()
        params.save_path = str(place)
        params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
        handle = session.add_torrent(params)  # type: ignore[attr-defined]
        handle.connect_peer(("127.0.0.1", port))
        handles.append(handle)
    while not all(handle.status().is_seeding for handle in handles):
        time.sleep(0.01)
    print(json.dumps({"seconds": time.perf_counter() - started, "their_cpu": usage()["cpu"]}), flush=True)


def main(arguments: list[str]) -> None:
    """Measure and print a table for each number of connections."""
    parser = words("crowd", __doc__, total="1G")
    parser.add_argument("--peers", type=int, nargs="+", default=[200], help="connections to fetch from (default 200)")
    parser.add_argument("--fetchers", type=int, nargs="+", default=[50], help="peers to seed to (default 50)")
    parser.add_argument("--fetched", type=size, default=size("3G"), help="what they fetch together (default 3G)")
    args = parser.parse_args(arguments)
    if args.quick:
        args.size, args.fetched, args.peers, args.fetchers, args.runs = size("16M"), size("10M"), [20], [5], 1
    with material(args.folder, args.size, args.piece_size) as what:
        for peers in args.peers:
            rows = {client: functools.partial(fetch_from_many, client, what, peers) for client in CLIENTS}
            results = interleaved(rows, args.runs)
            table(f"fetching {args.size >> 20} MiB from {connections(peers)}", args.size, results)
    for fetchers in args.fetchers:
        each = max(args.piece_size, args.fetched // fetchers // args.piece_size * args.piece_size)
        with material(args.folder, each, args.piece_size) as what:
            rows = {client: functools.partial(seed_to_many, client, what, fetchers) for client in CLIENTS}
            results = interleaved(rows, args.runs)
        table(f"seeding {each >> 20} MiB to each of {connections(fetchers)}", each * fetchers, results)


def connections(count: int) -> str:
    """In words."""
    return f"{count} connection{'s' if count > 1 else ''}"


def table(title: str, total: int, results: Mapping[str, Sequence[Result]]) -> None:
    """Print one."""
    seconds = {row: [run["seconds"] for run in runs] for row, runs in results.items()}
    theirs = min(("lt", "lt-fast"), key=lambda row: middle(seconds[row]))
    print(f"{title}, {len(seconds[theirs])} rounds")
    print("| who | MiB/s | ratio (min–max) | CPU s/GiB | peak MiB |")
    print("|---|---|---|---|---|")
    for row, runs in results.items():
        print(
            f"| {row} | {(total >> 20) / middle(seconds[row]):.0f} | {ratio(seconds[theirs], seconds[row])}"
            f" | {middle([run['cpu'] for run in runs]) / (total / (1 << 30)):.2f}"
            f" | {middle([run['memory_mib'] for run in runs]):.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    crowd(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
