"""No bomb takes more than it may. How long each takes is printed by ``python -m tests.reliability bombs``."""

import sys

import pytest

from tests.reliability import bombs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux how much memory there was")


@pytest.mark.parametrize("name", bombs.BOMBS)
def test_memory(name: str) -> None:
    taken = bombs.measure(name)
    assert taken.memory <= taken.most, f"{taken.memory:.1f} MiB"


def test_what_takes_too_much_is_noticed(monkeypatch) -> None:
    """Without its bound the largest metadata would be kept of three peers at once."""
    control = bombs.measure("control: three copies at once")
    assert control.memory > control.most
