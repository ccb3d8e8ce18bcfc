"""A few of the runs of ``hostile.py``, and that what defends is needed: without it the honest pay."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import trio

from tests.reliability import hostile
from torrentlite.limits import MAX_ASKERS
from torrentlite.strategy.blame import Blame
from torrentlite.strategy.choice import Choice
from torrentlite.strategy.doubles import Doubles
from torrentlite.strategy.hand import Asker


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
    """Nobody is found guilty: then liars go free, and spoil more than they may, or so much that it never ends."""
    monkeypatch.setattr(Blame, "wrong", lambda self, piece, digests, senders: [])
    monkeypatch.setattr(Blame, "right", lambda self, piece, digests: [])
    monkeypatch.setattr(hostile, "PATIENCE", 100)
    with pytest.raises((AssertionError, trio.TooSlowError)) as caught:
        for result in hostile.results(1):
            assert result.corrupters > result.banned == 0
    assert "pieces spoiled by one" in str(caught.value) or caught.type is trio.TooSlowError


def test_control_places_for_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the endgame the slow and the silent may take all places of a block: then the last one waits for them."""
    monkeypatch.setattr(Doubles, "_most_askers", lambda self, asker, download: MAX_ASKERS)
    result = hostile.tell(900)
    assert result.taken > 2 * result.clean


GIVE_A_LITTLE = ("gives a little, then chokes and unchokes", "corrupts some blocks", "drips")


def test_some_that_give_a_little_and_then_hold_pieces_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was spoiled is to come from one peer alone: these have proved themselves, and keep it."""
    monkeypatch.setattr(hostile, "KINDS", GIVE_A_LITTLE)
    result = hostile.tell(0)
    assert result.taken <= 2 * result.clean


def test_control_everybody_waits_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def adopt(self: Choice[Any], asker: Asker[Any]) -> Iterator[Any]:
        patient = Asker(asker.hand, asker.now, asker.only, room=asker.room, slow=True, alone=asker.alone)
        return wait_for_a_minute(self, patient)

    wait_for_a_minute = Choice._adopt
    monkeypatch.setattr(hostile, "KINDS", GIVE_A_LITTLE)
    monkeypatch.setattr(Choice, "_adopt", adopt)
    monkeypatch.setattr(hostile, "PATIENCE", 100)
    with pytest.raises(trio.TooSlowError):  # six times as long as without them
        hostile.tell(0)
