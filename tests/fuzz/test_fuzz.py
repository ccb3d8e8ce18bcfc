"""A first share of fuzzing in every run of the tests: the seeds, what was ever found, and some hundred inputs more."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Iterator

import pytest

from tests.fuzz import differential, loop
from tests.fuzz.all import TARGETS
from tests.fuzz.sessions import REAL_HELLO
from tests.fuzz.target import MEMORY_EXTRA, MEMORY_FACTOR, Finding, Target, execute, quiet

FOUND = sorted(pathlib.Path(__file__).with_name("found").glob("*-*"))


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Iterator[None]:
    with quiet():
        yield


NAMED = {target.name: target for target in TARGETS}


@pytest.mark.parametrize("target", TARGETS, ids=list(NAMED))
def test_seeds_and_their_kin(target: Target) -> None:
    loop.run(target, count=20 if target.name.startswith("session.") else 300, measured=10)


def test_what_was_found_once() -> None:
    for path in FOUND:
        execute(NAMED[path.name.rpartition("-")[0]], path.read_bytes(), memory=True)


@pytest.mark.parametrize("name", ["leecher", "seed", "magnet", "called", "dialled"])
def test_the_longest_talk_byte_by_byte(name: str) -> None:
    """Its length alone may not be what takes the time: 20,000 turns of a simulation were."""
    target = NAMED[f"session.{name}"]
    opening = REAL_HELLO if name in ("called", "dialled") else b""
    execute(target, b"\1" + opening.ljust(target.max_size - 1, b"\0"))


def test_enough_targets_each_with_seeds() -> None:
    assert len(NAMED) == len(TARGETS) >= 24
    assert all(target.seeds for target in TARGETS)


@pytest.mark.skipif(differential.libtorrent is None, reason="libtorrent is not installed")
def test_what_libtorrent_reads() -> None:
    counts = differential.run(4000)
    assert counts[differential.SAME] > 1000
    assert counts[differential.BOTH_REFUSE] > 500


# -- those who look on are looked at -----------------------------------------------------------------------------------


def _raise(data: bytes) -> None:
    if b"x" in data:
        raise KeyError("planted")


def _hog(data: bytes) -> None:
    bytearray(MEMORY_EXTRA + MEMORY_FACTOR * len(data) + 100_000)


def _dawdle(data: bytes) -> None:
    ends = time.thread_time() + 0.2
    while b"x" in data and time.thread_time() < ends:
        pass


def _hang(data: bytes) -> None:
    while b"x" in data:
        pass


@pytest.mark.parametrize(
    ("run", "words"),
    [(_raise, "KeyError"), (_hog, "MiB of memory"), (_dawdle, "s of CPU"), (_hang, "TimeoutError")],
)
def test_every_fault_is_noticed(run, words: str, monkeypatch) -> None:
    monkeypatch.setattr("tests.fuzz.target.MOST_SECONDS", 0.1)
    monkeypatch.setattr("tests.fuzz.target.HANGS", 1.0)
    target = Target("planted", run, [b"", b"ab"], words=[b"x"])
    with pytest.raises(Finding, match=words):
        loop.run(target, count=2000, measured=1 if run is _hog else 100)


@pytest.mark.skipif(differential.libtorrent is None, reason="libtorrent is not installed")
def test_a_disagreement_is_noticed(monkeypatch) -> None:
    monkeypatch.setattr(differential, "LENIENT", {})
    with pytest.raises(differential.Disagreement):
        differential.run(20_000)
