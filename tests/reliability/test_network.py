"""A few of the runs of ``network.py``, side by side, for they wait most of the time."""

import pytest

from tests.net.lan import routed
from tests.reliability import network

pytestmark = pytest.mark.interop


def test_losses_resets_and_a_narrow_line():
    with routed(1):
        """Or it says what is missing here."""
    kinds = ["loss-10", "resets", "bottleneck", "all"]
    for kind, result in zip(kinds, network.results([(kind, 1) for kind in kinds], 4), strict=True):
        assert isinstance(result, network.Result), f"{kind}: {result}"
