"""A few of the kills of ``kill.py``, and that broken promises are noticed."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def kill(count: int, seed: int, *sabotage: str) -> dict[str, int]:
    command = [sys.executable, "-m", "tests.reliability.kill", str(count), str(seed), *sabotage]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=200, check=False)
    assert not run.returncode, run.stderr.decode()[-3000:]
    return json.loads(run.stdout.splitlines()[-1])


def test_killed_and_killed_again() -> None:
    counts = kill(24, 1)
    assert counts["kills"] >= 24
    assert counts["kills_while_copying"] > 2
    assert counts["bytes_reused"] > 500_000
    assert counts["donors_changed_meanwhile"] > 0
    assert counts["pieces_claimed_by_the_dead"] > 20
    assert counts["pieces_synced_by_the_dead"] > 20
    promises = (
        "false_claims",
        "forgotten",
        "fetched_again",
        "fetched_though_given",
        "hashed_though_synced",
        "files_that_differ",
        "left_behind",
        "donors_changed",
    )
    assert {name: counts[name] for name in promises} == dict.fromkeys(promises, 0)


@pytest.mark.parametrize(
    ("sabotage", "broken"), [("claims", "false_claims"), ("remembers", "fetched_again"), ("trusts", "false_claims")]
)
def test_control(sabotage: str, broken: str) -> None:
    assert kill(40, 2, sabotage)[broken] > 0
