"""SIGKILL, and power cuts, at every call that changes a file: nothing is claimed that is not there."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("reuse", [0, 1], ids=["", "reused"])
@pytest.mark.parametrize(("seed", "power"), [(1, 0), (2, 1)], ids=["killed", "power cut"])
def test_false_claims_and_losses(tmp_path: pathlib.Path, seed: int, power: int, reuse: int) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.storage.victim", str(tmp_path / "home"), str(seed), str(power), str(reuse)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        timeout=120,
        check=True,
    )
    result = json.loads(run.stdout)
    assert result["rounds"] > 30
    assert bool(result["taken"]) == bool(power), "the power cuts took something"
    assert not result["false"], "claimed, but not there"
    assert not result["lost"], "right (and, for power cuts, committed) but not there any more"
    assert not result["hashed"], "hashed although it was committed"
    assert not result["broken"], "the story did not end well"
