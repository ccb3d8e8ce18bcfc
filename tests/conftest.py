"""Settings of all tests."""

import threading
from collections.abc import Iterator

import pytest
from hypothesis import settings

# The same examples every time, and no time limit of an example: machines are noisy, and a red test must mean a bug.
settings.register_profile("torrentlite", deadline=None, derandomize=True)
settings.load_profile("torrentlite")


@pytest.fixture
def no_new_threads() -> Iterator[None]:
    """Their stacks would be larger than all memory there is."""
    before = threading.stack_size(1 << 46)
    yield
    threading.stack_size(before)
