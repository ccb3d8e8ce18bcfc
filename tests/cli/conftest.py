from __future__ import annotations

import os
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


@pytest.fixture(autouse=True)
def _nothing_chosen(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What whoever runs the tests has chosen for themselves is left out of them."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    for name in [name for name in os.environ if name.startswith("TL_")]:
        monkeypatch.delenv(name)
