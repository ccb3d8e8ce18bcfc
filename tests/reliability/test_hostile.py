"""A few of the runs of ``hostile.py``, and that what defends is needed: without it the honest pay."""

from __future__ import annotations

import logging

import pytest

from tests.reliability import hostile
from torrentlite.limits import MAX_ASKERS
from torrentlite.strategy.blame import Blame
from torrentlite.strategy.choice import Choice


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="torrentlite")


def test_one_honest_seed_and_twenty_others() -> None:
    found = list(hostile.results(4))
    assert all(len(result.kinds) >= 14 for result in found)
    assert all(result.taken <= 2 * result.clean for result in found)
    assert sum(result.corrupters for result in found) >= 8
    assert sum(result.banned for result in found) == sum(result.corrupters for result in found)


def test_control_without_blame(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is found guilty: then liars go free, and spoil more than they may."""
    monkeypatch.setattr(Blame, "wrong", lambda self, piece, digests, senders: [])
    monkeypatch.setattr(Blame, "right", lambda self, piece, digests: [])
    with pytest.raises(AssertionError, match="pieces spoiled by one"):
        for result in hostile.results(3):
            assert result.corrupters > result.banned == 0


def test_control_places_for_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the endgame the slow and the silent may take all places of a block: then the last one waits for them."""
    monkeypatch.setattr(Choice, "_most_askers", lambda self, asker, download: MAX_ASKERS)
    result = hostile.tell(900)
    assert result.taken > 2 * result.clean
