"""Fuzz everything that reads what others send: ``tools/fuzz --total 120``, ``tools/fuzz --seconds 600 wire. session.``.

An input that does what none may do is written to ``tests/fuzz/found``, where it is a test from then on.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import pathlib
import re
import subprocess
import sys
import tempfile
import time

from tests.fuzz import loop
from tests.fuzz.all import TARGETS
from tests.fuzz.target import Finding, Target, execute, quiet

FOUND = pathlib.Path(__file__).with_name("found")


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/fuzz", description=__doc__)
    parser.add_argument("names", nargs="*", help="targets whose names begin like this; all without")
    parser.add_argument("--seconds", type=float, default=10, help="for each target")
    parser.add_argument("--total", type=float, help="seconds for all together")
    parser.add_argument("--engine", choices=["auto", "atheris", "own"], default="auto")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000, help="of our own engine")
    parser.add_argument("--part", type=part, default=(1, 1), metavar="N/M", help="only the Nth of M parts of all that")
    options = parser.parse_args()
    targets = [target for target in TARGETS if not options.names or target.name.startswith(tuple(options.names))]
    targets = targets[options.part[0] - 1 :: options.part[1]]
    seconds = options.seconds if options.total is None else options.total / len(targets)
    guided = options.engine == "atheris" or (
        options.engine == "auto" and importlib.util.find_spec("atheris") is not None
    )
    print(
        f"{len(targets)} targets, {seconds:.1f} s each, {'atheris' if guided else f'own engine, seed {options.seed}'}"
    )
    bad = total = 0
    for target in targets:
        try:
            if guided:
                inputs = under_atheris(target, seconds)
                print(f"{target.name:22} {inputs:10,} inputs", flush=True)
            else:
                inputs, kinds, slowest = loop.run(target, seconds=seconds, seed=options.seed)
                print(
                    f"{target.name:22} {inputs:10,} inputs {kinds:6,} answers {slowest * 1000:7.1f} ms at most",
                    flush=True,
                )
            total += inputs
        except Finding as finding:
            bad += 1
            path = FOUND / f"{target.name}-{hashlib.sha256(finding.data).hexdigest()[:8]}"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(finding.data)
            print(f"{finding}\n  written to {path}", flush=True)
    print(f"{total:,} inputs, {bad} findings")
    return 1 if bad else 0


def part(text: str) -> tuple[int, int]:
    """The words of ``--part``."""
    which, of = map(int, text.split("/"))
    if not 1 <= which <= of:
        raise ValueError(text)
    return which, of


def under_atheris(target: Target, seconds: float) -> int:
    """Returns how many inputs were tried.

    Raises:
        Finding: one of them did what none may do.
    """
    with tempfile.TemporaryDirectory(prefix="tl-fuzz-") as folder:
        corpus = pathlib.Path(folder, "corpus")
        corpus.mkdir()
        for number, data in enumerate(target.seeds):
            (corpus / str(number)).write_bytes(data)
        words = pathlib.Path(folder, "words")
        quoted = ("".join(f"\\x{byte:02x}" for byte in word) for word in target.words if word)
        words.write_text("".join(f'"{word}"\n' for word in quoted))
        command = [sys.executable, "-m", "tests.fuzz.guided", target.name, str(corpus), f"-max_total_time={max(1, round(seconds))}",
                   f"-max_len={target.max_size}", "-timeout=20", "-rss_limit_mb=1024", "-print_final_stats=1",
                   f"-artifact_prefix={folder}/found-", f"-dict={words}"]  # fmt: skip
        run = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        for path in pathlib.Path(folder).glob("found-*"):
            execute(target, path.read_bytes(), memory=True)
            raise Finding(target, path.read_bytes(), f"only under atheris: {run.stderr[-1000:]}")
        stats = re.search(r"number_of_executed_units: *([0-9]+)", run.stderr)
        if run.returncode or stats is None:
            raise RuntimeError(f"atheris ended with {run.returncode}: {run.stderr[-2000:]}")
        # What atheris found interesting is tried once more, with its memory measured.
        for path in sorted(corpus.iterdir())[-500:]:
            execute(target, path.read_bytes(), memory=True)
        return int(stats[1])


if __name__ == "__main__":
    with quiet():
        sys.exit(main())
