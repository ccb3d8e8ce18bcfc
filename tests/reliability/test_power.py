"""A few of the cuts of ``power.py``, and that broken promises are noticed."""

from __future__ import annotations

import pytest

from tests.reliability import mounts

pytestmark = pytest.mark.interop
PROMISES = (
    "false_claims",
    "false_names",
    "forgotten",
    "fetched_again",
    "hashed_though_synced",
    "failed_starts",
    "files_that_differ",
    "left_behind",
    "donors_changed",
)


@pytest.fixture(scope="module", autouse=True)
def _loop_devices() -> None:
    mounts.need_mounts(loop=True)


def test_the_power_fails_again_and_again() -> None:
    counts = mounts.told("power", "16", "1")
    assert counts["bytes_reused"] > 500_000
    assert counts["cuts"] >= 16
    assert counts["processes_that_met_the_fault"] > 5
    assert counts["pieces_that_had_to_last"] > 20
    assert counts["pieces_written_and_lost"] > 0, "what was not flushed is really gone"
    assert {name: counts[name] for name in PROMISES} == dict.fromkeys(PROMISES, 0)


@pytest.mark.parametrize(("sabotage", "broken"), [("early", "false_claims"), ("memory", "forgotten")])
def test_control(sabotage: str, broken: str) -> None:
    assert mounts.told("power", "40", "2", sabotage)[broken] > 0
