"""A share of the rounds of ``steps.py``, and that a boundary is needed: without it a round fails."""

from __future__ import annotations

import logging

import pytest

from tests.reliability import steps
from torrentlite.swarm.crew import Crew


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="torrentlite")


def test_any_step_may_raise() -> None:
    found = list(steps.rounds(step=211, offset=17))
    assert len(found) > 15
    assert all(injector.fired for injector in found)
    assert len({injector.fired for injector in found}) > 10


def test_control_without_the_boundary(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(self, scope, function, args, name, again):
        try:
            with scope:
                await function(*args)
        finally:
            del self._scopes[scope]
            if not self._scopes:
                self._empty.set()

    monkeypatch.setattr(Crew, "_run", run)
    with pytest.raises(BaseException) as caught:
        steps.tell(1500)
    assert "step 1500" in caught.value.__notes__[-1]
