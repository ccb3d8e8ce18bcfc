"""One of the runs of ``sockets.py``, eight times as fast: its time is not asserted, all else is."""

import sys

import pytest

from tests.reliability import sockets


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has all addresses of 127.0.0.0/8")
def test_one_honest_seed_and_twenty_others_on_real_sockets() -> None:
    (result,) = sockets.results(1, speed=8)
    assert len(result.kinds) >= 14
    assert result.corrupters == result.banned > 0
    assert result.failed
