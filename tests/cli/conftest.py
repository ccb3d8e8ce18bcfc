from __future__ import annotations

import pathlib

import pytest
from hypothesis import settings

from .running import Place

# The same examples in every run, and no time limit for one: machines are slow at times.
settings.register_profile("torrentlite", deadline=None, derandomize=True)
settings.load_profile("torrentlite")


@pytest.fixture
def place(tmp_path: pathlib.Path) -> Place:
    """A folder to run ``tl`` in."""
    return Place(tmp_path)
