"""The documentation is built without a warning, and describes every public name."""

import importlib
import subprocess
import sys

import pytest

import torrentlite

from .pages import ROOT

MODULES = ("torrentlite", "torrentlite.aio", "torrentlite.blocking", "torrentlite.dht", "torrentlite.testing")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    out = tmp_path_factory.mktemp("docs")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "sphinx",
            "-q",
            "-W",
            "--keep-going",
            "-d",
            str(out / "trees"),
            "docs",
            str(out / "html"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return out / "html"


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_is_described(built, name):
    page = (built / "reference" / f"{name}.html").read_text()
    module = importlib.import_module(name)
    names = getattr(module, "__all__", None) or [each for each in vars(torrentlite)["__all__"] if hasattr(module, each)]
    missing = [
        each
        for each in names
        if f'id="{name}.{each}"' not in page and f'href="torrentlite.html#torrentlite.{each}"' not in page
    ]
    assert missing == []
