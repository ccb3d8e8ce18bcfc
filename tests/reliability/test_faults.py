"""A share of the rounds of ``faults.py``, and that each defence is needed: without it a round fails."""

from __future__ import annotations

import collections
import itertools
import logging

import pytest

from tests.reliability import faults
from torrentlite.storage import platform
from torrentlite.storage.ledger import Ledger

SHAPES = list(itertools.islice(faults.shapes(), 5))
STEP = 23


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="torrentlite")


@pytest.mark.parametrize("number", [0, 1, 4])
def test_any_call_may_fail_once(number: int) -> None:
    fired: collections.Counter[str] = collections.Counter()
    for name, injector in faults.rounds(SHAPES[number], step=STEP, offset=7 + number):
        fired[name] += 1
        assert injector.fired
    assert set(fired) == set(faults.FAULTS)
    assert sum(fired.values()) > 12


def first_failure(name: str, shape: faults.Shape = SHAPES[0], step: int = 1) -> str:
    """The text of the first round that does not end well, or empty."""
    try:
        at = 1
        while faults.tell(shape, name, at).fired:
            at += step
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return ""


def test_control_a_failed_flush_that_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system says yes the second time, and the data are not there."""
    monkeypatch.setattr(Ledger, "lose", lambda self, files: None)
    failed = ""
    for at in range(55, 80):  # among these are flushes with data before them
        try:
            faults.tell(SHAPES[0], "EIO", at)
        except BaseException as error:
            failed = str(error)
            break
    assert "is not what it should be" in failed or "fetched again" in failed or "recheck" in failed


def test_control_a_copy_over_what_is_kept_beside_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torrentlite.storage.files.ranges_of_file", lambda have, file, layout: ())
    assert "asked for again" in first_failure("EIO", SHAPES[4], step=100)


def test_control_a_fault_that_is_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torrentlite.storage.faults.PASSING", frozenset())
    assert "StorageError" in first_failure("ENOSPC")


def test_control_a_short_write_that_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "pwrite_all", lambda fd, data, offset: platform.os.pwrite(fd, data, offset))
    assert first_failure("short write")
