"""The power is cut at any moment, over and over: nothing false is claimed, and nothing that was synced is gone, hashed or
fetched again.

``python -m tests.reliability power --count 300`` cuts it three hundred times. Each schedule has an ext4 file system of its
own with the save folder and the state folder on it, some torrents (one is complete from the beginning; of every other
some, or what is like it, lies elsewhere there, as in ``elsewhere.py``), a seed, and one
process after the other that fetches. The cut is ext4's own (``ext4.py``): every write fails from then on, and after the
next mount only what was flushed is there. It comes from outside at any time, or from inside just before or after one of
the calls that change files. Needs root and a loop device; all mounts are in a namespace that ends with the program.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import trio

from tests.reliability import ext4
from tests.reliability.life import SABOTAGE, Life, Plan
from tests.reliability.torrents import Promises, Seed, Torrent, compare, die_with
from torrentlite.wire import bitfield

OPTIONS = ("", "", "", "data=writeback", "nodelalloc", "lazytime", "commit=1")


@dataclass
class Counts(Promises):
    """What came of it; the second half has to stay 0."""

    schedules: int = 0
    torrents: int = 0
    torrents_with_donors: int = 0
    cuts: int = 0
    cuts_while_adding: int = 0
    cuts_while_copying: int = 0
    cuts_while_fetching: int = 0
    cuts_while_leaving: int = 0
    cuts_after_the_end: int = 0
    processes_that_met_the_fault: int = 0
    pieces_that_had_to_last: int = 0
    pieces_written_and_lost: int = 0
    bytes_hashed_at_starts: int = 0
    bytes_reused: int = 0
    donors_changed_meanwhile: int = 0
    false_claims: int = 0
    false_names: int = 0
    forgotten: int = 0
    fetched_again: int = 0
    hashed_though_synced: int = 0
    failed_starts: int = 0
    files_that_differ: int = 0
    left_behind: int = 0
    donors_changed: int = 0


def run(count: int, seed: int, say: Callable[[str], None], sabotage: str = "") -> Counts:
    """Cut so many times; raises nothing that the product does, look at the counts."""
    counts = Counts()
    calls: collections.Counter[str] = collections.Counter()
    began = time.monotonic()
    while counts.cuts < count and not counts.false_claims and not (sabotage and counts.bad()):
        schedule = Schedule(counts, calls, f"{seed}/{counts.schedules}", SABOTAGE[sabotage])
        broken = counts.bad()
        schedule.run()
        if counts.bad() > broken:
            say(f"schedule {seed}/{counts.schedules} ({schedule.disk.options}) broke promises:")
            for line in schedule.story:
                say(f"    {line}")
        counts.schedules += 1
        if counts.schedules % 10 == 0:
            say(f"{counts.cuts} cuts, {counts.schedules} schedules, {counts.bad()} broken promises")
    for entry in fields(counts):
        say(f"{getattr(counts, entry.name):12,}  {entry.name.replace('_', ' ')}")
    for name, number in sorted(calls.items()):
        say(f"{number:12,}  cuts at {name}")
    say(f"{time.monotonic() - began:12.0f}  seconds")
    return counts


class Schedule:
    """Torrents, a seed, a file system, and who fetches until the power is cut."""

    def __init__(
        self, counts: Counts, calls: collections.Counter[str], seed: str, sabotage: Callable[[], None]
    ) -> None:
        self.counts = counts
        self.calls = calls
        self.sabotage = sabotage
        self.seed = seed
        self.rng = rng = random.Random(seed)
        self.torrents = [Torrent.made_up(rng, number) for number in range(rng.choice([2, 2, 3, 4]))]
        self.lasting = [0] * len(self.torrents)  # the pieces that were synced while there was power
        self.story: list[str] = []  # for whoever has to find out what went wrong
        self.before: list[int] = []  # the same, when the newest process began
        self.hashes = [torrent.metainfo.info.hashes.wire.hex() for torrent in self.torrents]
        self.place = pathlib.Path(
            tempfile.mkdtemp(prefix="tl-power-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        )
        self.disk = ext4.Ext4(self.place, block=rng.choice([1024, 4096]), options=rng.choice(OPTIONS))
        self.folder = self.disk.mount

    def run(self) -> None:
        self.counts.torrents += len(self.torrents)
        try:
            with Seed(self.torrents) as seed:
                with self._power():
                    self._lay()
                    self._live(None, 1)  # one of them is complete from now on
                self._ask(seed)
                for life in range(self.rng.randint(3, 7)):
                    with self._power():
                        right = self._look()
                        # Who meets wrong bytes under a final name refuses to go on, and is right.
                        left_to_do = not self.counts.false_claims and self._live(
                            Plan.any(self.rng), len(self.torrents), right, first=life < 2
                        )
                    self._ask(seed)
                    if not left_to_do:
                        break
                with self._power():
                    right = self._look()
                    if not self.counts.false_claims:
                        self._live(None, len(self.torrents), right)
                        self._ask(seed)
                        differ, left = compare(self.torrents, self.folder)
                        self.counts.files_that_differ += differ
                        self.counts.left_behind += left
                        for donors in (torrent.elsewhere for torrent in self.torrents if torrent.elsewhere):
                            self.counts.donors_changed_meanwhile += donors.changed_meanwhile()
                            self.counts.donors_changed += donors.changed()
        finally:
            shutil.rmtree(self.place)

    @contextlib.contextmanager
    def _power(self) -> Iterator[None]:
        self.disk.begin()
        try:
            yield
        finally:
            self.disk.end()

    def _lay(self) -> None:
        which = random.Random(f"{self.seed}, elsewhere")
        for torrent in self.torrents:
            if which.random() < 0.5:
                torrent.lay_elsewhere(self.folder, which)
                self.counts.torrents_with_donors += 1

    # -- who fetches

    def _live(self, plan: Plan | None, torrents: int, right: list[int] | None = None, *, first: bool = False) -> bool:
        """One process, with a cut (or none), and what it told; whether something is left to be done."""
        self.before = list(self.lasting)
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.close(reader)
            life = Life(self.torrents[:torrents], self.folder, writer, plan, first)
            die_with(lambda: trio.run(life.main, self.sabotage))
        told: list[list[Any]] = []
        os.close(writer)
        with open(reader, "rb") as pipe:
            for line in pipe:
                told.append(json.loads(line))
                if plan and not plan.call and told[-1][0] == "now":
                    time.sleep(plan.pause)
                    with open(f"/proc/self/fd/{reader}", "wb") as same:  # so it stands among what is told, in order
                        same.write(b'["cutting", ""]\n')
                    break
                if told[-1][0] == "cut":
                    break
            else:  # it has ended by itself
                _, status = os.waitpid(child, 0)
                self.counts.failed_starts += status != 0
                child = 0
            if plan:
                if not told or told[-1][0] != "cut":
                    ext4.cut(self.folder, plan.flag)
                self.counts.cuts += 1
                if not ext4.refuses(self.folder):
                    raise RuntimeError("it has power still")
                if child:
                    time.sleep(self.rng.choice([0, 0.05, 0.1]))
                    os.kill(child, signal.SIGKILL)
            told += [json.loads(line) for line in pipe if line.endswith(b"\n")]
        if child:
            os.waitpid(child, 0)
        self._count(plan, told, done=not child)
        self._take(told, right)
        self.story += [f"{plan}: {self.counts.broken()}", json.dumps([line for line in told if line[0] != "verified"])]
        everything = [(1 << torrent.metainfo.info.layout.piece_count) - 1 for torrent in self.torrents]
        return bool(child) or self.lasting != everything

    def _count(self, plan: Plan | None, told: list[list[Any]], *, done: bool) -> None:
        """What kind of a cut it was."""
        if plan is None:
            return
        words = [line[0] for line in told]
        self.calls.update(line[1] for line in told if line[0] == "cutting" and line[1])
        until = words[: words.index("cutting")] if "cutting" in words else words
        if done:
            self.counts.cuts_after_the_end += 1
        elif "leaving" in until:
            self.counts.cuts_while_leaving += 1
        elif until[-1:] == ["copying"]:
            self.counts.cuts_while_copying += 1
        elif until.count("have") < len(self.torrents):
            self.counts.cuts_while_adding += 1
        else:
            self.counts.cuts_while_fetching += 1
        self.counts.processes_that_met_the_fault += "no power" in words

    def _take(self, told: list[list[Any]], right: list[int] | None) -> None:
        """Compare what it found and did at the start with what was there, and note what it synced."""
        seen: set[tuple[str, int]] = set()
        powered = True
        for word, *rest in told:
            powered = powered and word != "cutting"
            if word not in ("have", "hashed", "synced", "verified"):
                continue
            number, pieces = self.hashes.index(rest[0]), int(rest[1], 16)
            first = (word, number) not in seen  # after a fault it may look again
            seen.add((word, number))
            torrent = self.torrents[number]
            self.counts.bytes_reused += rest[2] if word == "have" else 0
            if word == "verified":
                torrent.verified.update(bitfield.members(pieces))
            elif word == "synced":
                self.lasting[number] |= pieces if powered else 0
            elif right is not None and first and word == "have":
                if not rest[2]:  # else it is looked at when it is synced, as it is at once
                    self.counts.false_claims += (pieces & ~right[number]).bit_count()
            elif right is not None and first:
                self.counts.bytes_hashed_at_starts += torrent.metainfo.info.layout.bytes_of_pieces(pieces)
                border = bitfield.of(torrent.elsewhere.border if torrent.elsewhere else ())
                self.counts.hashed_though_synced += (pieces & self.lasting[number] & ~border).bit_count()

    # -- looking

    def _look(self) -> list[int]:
        """Compare what was claimed with what is there; returns the pieces that are right."""
        found = []
        self.counts.false_names += sum(torrent.false_names(self.folder) for torrent in self.torrents)
        for torrent, lasting in zip(self.torrents, self.lasting, strict=True):
            every = range(torrent.metainfo.info.layout.piece_count)
            right = bitfield.of(piece for piece in every if torrent.right(self.folder, piece))
            synced = torrent.synced(self.folder)
            self.counts.false_claims += (synced & ~right).bit_count()
            self.story.append(f"synced {synced:x}, right {right:x}, lasting {lasting:x}: {self.counts.broken()}")
            self.counts.forgotten += (lasting & ~(synced & right)).bit_count()
            self.counts.pieces_that_had_to_last += lasting.bit_count()
            self.counts.pieces_written_and_lost += (bitfield.of(torrent.verified) & ~right).bit_count()
            torrent.verified = set(bitfield.members(right))
            found.append(right)
        return found

    def _ask(self, seed: Seed) -> None:
        """What the seed was asked for again."""
        for lasting, connections in zip(self.before, seed.notes(), strict=True):
            for _, asked in connections:
                self.counts.fetched_again += (bitfield.of(set(asked)) & lasting).bit_count()


if __name__ == "__main__":
    # In a process, and a mount namespace, of its own: whoever calls may have threads, and no mount outlives this.
    result = run(int(sys.argv[1]), int(sys.argv[2]), lambda line: print(line, flush=True), *sys.argv[3:])
    print(json.dumps({entry.name: getattr(result, entry.name) for entry in fields(result)}))
    sys.exit(bool(result.bad()) and len(sys.argv) < 4)
