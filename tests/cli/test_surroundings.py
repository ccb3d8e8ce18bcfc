"""A machine, container or account that lacks what nearly all have: said in words, and no more fails than has to."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.interop.clients import missing

from .running import Place


@pytest.fixture(scope="module")
def alone() -> list[str]:
    """What a command has to begin with to run in a network of its own, whose loopback is down."""
    for prefix in (["unshare", "-n"], ["unshare", "-rn"]):
        try:
            if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0:
                return prefix
        except FileNotFoundError:
            break
    missing("a network namespace")
    return []


def test_a_demo_where_loopback_is_down(place: Place, alone: list[str]) -> None:
    program = "import sys; from torrentlite.cli import demo, main; demo._PATIENCE = 0.5; sys.exit(main.main())"
    done = subprocess.run(
        [*alone, sys.executable, "-c", program, "demo", "--size", "100k"],
        env=place.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (7, "")
    assert "nothing comes through on 127.0.0.1\n    is the loopback interface up (ip link set lo up)" in done.stderr
