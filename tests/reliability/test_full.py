"""A file system that really is full: it waits and says so, and goes on by itself, or when it is begun again."""

from __future__ import annotations

import pytest

from tests.reliability import full, mounts

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module", autouse=True)
def _mounts() -> None:
    mounts.need_mounts()


def test_what_is_whole_is_shared_all_the_same() -> None:
    seen = mounts.told("full", "whole")
    assert seen == {"state": "seeding", "error": None, "hashed": sum(full.SIZES), "journal": 0}


@pytest.mark.parametrize("name", full.CASES)
def test_full_and_then_not(name: str) -> None:
    case = full.CASES[name]
    seen = mounts.told("full", name)
    assert (seen["reason"], seen["error"]) == ("DISK", "DiskFullError")
    assert "No space left on device" in seen["message"]
    assert f"/{case.folder}/" in seen["message"]
    assert seen["left_when_full"] > sum(full.SIZES) // 4
    if not case.leave:
        assert seen["error_afterwards"] is None
        assert seen["fetched_again"] == 0
        assert seen["synced"] == sum(full.SIZES)
    assert seen["hashed_at_the_next_start"] <= sum(full.SIZES) - seen["left_then"] - seen["synced"]
    assert seen["fetched_then"] == seen["left_then"] <= seen["left_when_full"]
    assert seen["names"]
    assert (seen["false_names"], seen["hash_failures"], seen["bugs"]) == (0, 0, 0)
