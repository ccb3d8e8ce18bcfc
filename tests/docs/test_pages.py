"""Every command and every program in the documentation is played, as its readers would."""

import subprocess
import sys

import pytest

from tests.interop.clients import missing

from .pages import PAGES, ROOT, blocks, needs, recorded_by

KNOWN = {
    "files",
    "shared",
    "web",
    "exit",
    "first",
    "in a session",
    "in trio",
    "in asyncio",
    "run",
    "example",
    "not run",
    "demo",
    "test",
}
PLAYABLE = ("console", "sh", "python", "toml")
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


@pytest.fixture(scope="module")
def alone() -> list[str]:
    """What a command has to begin with to run in a network of its own."""
    for prefix in (["unshare", "-mn"], ["unshare", "-rmn"]):
        try:
            if subprocess.run([*prefix, "ip", "link"], capture_output=True, check=False).returncode == 0:
                return prefix
        except FileNotFoundError:
            break
    missing("a network namespace")
    return []


def playable(name: str) -> bool:
    text = (ROOT / name).read_text()
    return not recorded_by(text) and any(
        block.language in PLAYABLE and not {"not run", "demo", "test"} & {*block.said} for block in blocks(text)
    )


@pytest.mark.parametrize("name", [name for name in NAMES if playable(name)])
def test_page(name, alone):
    done = subprocess.run(
        [*alone, sys.executable, "-m", "tests.docs.player", name],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_played_says_why(name):
    text = (ROOT / name).read_text()
    needs(text)
    assert (ROOT / recorded_by(text)).exists()
    for block in blocks(text):
        said = block.said
        assert {*said} <= KNOWN, block.line
        if "not run" in said:
            assert len(said["not run"]) > 10, block.line
        for name in {"demo", "test"} & {*said}:
            assert f"readme_command {name}" in (ROOT / ".ci" / "run").read_text()
