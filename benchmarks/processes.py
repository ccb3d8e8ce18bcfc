"""The processes of a benchmark: each seed and each fetcher is one of its own, and says what it used when it ends."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator

from .material import Material
from .rounds import Result


def environment() -> dict[str, str]:
    """As an installed package runs: with its compiled modules kept."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


class Serving:
    """A process that serves.

    Attributes:
        ports: what it printed first.
        usage: what it used (``cpu`` seconds, ``memory_mib``), once it has ended and if it says so.
    """

    def __init__(self, ports: list[int]) -> None:
        self.ports = ports
        self.usage: Result = {}


@contextlib.contextmanager
def serving(module: str, *words: object) -> Iterator[Serving]:
    """Run ``python -m benchmarks.<module> words…``, which prints its ports and serves until its stdin is closed."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, words)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            served = Serving([int(word) for word in process.stdout.readline().split()])
            if not served.ports:
                raise SystemExit(f"{' '.join(command)} does not serve")
            yield served
            process.stdin.close()
            said = process.stdout.read()
            served.usage = dict(json.loads(said)) if said.strip() else {}
        except BaseException:
            process.kill()
            raise


def running(module: str, *words: object) -> Result:
    """Run ``python -m benchmarks.<module> words…`` to its end; the JSON object that it prints."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment())
    return dict(json.loads(done.stdout))


def one_pair(seed: str, fetcher: str, what: Material, transport: str = "") -> Result:
    """One transfer between two fresh processes (see ``roles.py``); ``seed_cpu`` is the seed's."""
    out = what.fresh()
    with serving("roles", seed + transport, "seed", what.torrent, what.data) as served:
        result = running("roles", fetcher + transport, "fetch", what.torrent, out, *served.ports)
    check_size(out, what)
    return {**result, "seed_cpu": served.usage["cpu"], "seed_memory_mib": served.usage["memory_mib"]}


def check_size(out: pathlib.Path, what: Material) -> None:
    """A benchmark of a transfer that did not happen would be the fastest."""
    there = sum(path.stat().st_size for path in out.rglob("*.bin"))
    if there != what.size:
        raise SystemExit(f"{there} bytes were fetched, not {what.size}")
