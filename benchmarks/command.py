"""A whole command: ``tl fetch`` of 64 MiB from a known peer against a minimal libtorrent script, from start to exit.

python -m benchmarks command --size 64M
"""

from __future__ import annotations

import functools
import subprocess
import sys
import time

from .material import Material, material, words
from .processes import check_size, environment, serving
from .rounds import Result, interleaved, middle, ratio, spread
from .sizes import size

# What somebody who knows libtorrent would write for this, and nothing else. (Its encryption is off for all, see roles.)
SCRIPT = """
import sys, time
import libtorrent as lt
torrent, folder, port = sys.argv[1:]
session = lt.session({"listen_interfaces": "127.0.0.1:0", "enable_dht": False, "enable_lsd": False,
    "enable_upnp": False, "enable_natpmp": False, "enable_outgoing_utp": False, "out_enc_policy": 2})
params = lt.add_torrent_params()
params.ti, params.save_path = lt.torrent_info(torrent), folder
handle = session.add_torrent(params)
handle.connect_peer(("127.0.0.1", int(port)))
while not handle.status().is_seeding:
    time.sleep(0.005)
"""


def one_run(fetcher: str, what: Material, port: int) -> Result:
    """One command, timed from outside."""
    out = what.fresh()
    if fetcher == "tl fetch":
        command = ["-m", "torrentlite", "fetch", str(what.torrent), "-o", str(out), "--peer", f"127.0.0.1:{port}"]
        command += ["--listen", "127.0.0.1:0", "--state-dir", str(what.root / "state")]
    else:
        command = ["-c", SCRIPT, str(what.torrent), str(out), str(port)]
    started = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                   env=environment())  # fmt: skip
    seconds = time.perf_counter() - started
    check_size(out, what)
    return {"seconds": seconds}


def main(arguments: list[str]) -> None:
    """Measure and print a table."""
    args = words("command", __doc__, total="64M").parse_args(arguments)
    if args.quick:
        args.size, args.runs = size("8M"), 1
    with (
        material(args.folder, args.size, args.piece_size) as what,
        serving("roles", "lt", "seed", what.torrent, what.data) as theirs,
        serving("roles", "tl", "seed", what.torrent, what.data) as ours,
    ):
        rows = {
            f"{fetcher} from {seed}": functools.partial(one_run, fetcher, what, served.ports[0])
            for fetcher in ("libtorrent script", "tl fetch")
            for seed, served in (("libtorrent", theirs), ("torrentlite", ours))
        }
        for run in rows.values():
            run()  # compiled modules, page cache
        results = interleaved(rows, args.runs)
    seconds = {row: [run["seconds"] for run in runs] for row, runs in results.items()}
    base = min(("libtorrent script from libtorrent", "libtorrent script from torrentlite"),
               key=lambda row: middle(seconds[row]))  # fmt: skip
    print(f"{args.size >> 20} MiB, {args.runs} rounds, process start and end included")
    print("| command | seconds (min–max) | times as fast (min–max) |")
    print("|---|---|---|")
    for row, times in seconds.items():
        print(f"| {row} | {middle(times):.2f} {spread(times)} | {ratio(seconds[base], times)} |")
