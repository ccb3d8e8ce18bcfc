"""A machine, container or account that lacks what nearly all have: said in words, and no more fails than has to."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from collections.abc import Callable

import platformdirs
import pytest

from tests.interop.clients import missing
from torrentlite.cli import arguments
from torrentlite.cli.checkup import Verdict, machine

from . import mishaps
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


HOMELESS = """
import os, sys
os.setresuid(12345, 0, 0)  # who is in no list of users, with the rights to read Python
from torrentlite.cli.main import main
sys.exit(main())
"""


@pytest.fixture
def homeless(place: Place) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs ``tl`` as somebody of whom no home folder is known."""
    if os.geteuid():
        missing("root")

    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = place.environment(**more)
        for name in {"HOME", "XDG_STATE_HOME"} - {*more}:
            del environment[name]
        return subprocess.run(
            [sys.executable, "-c", HOMELESS, *words],
            cwd=place.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.mark.parametrize("home", [{}, {"HOME": ""}], ids=["unset", "empty"])
def test_who_has_no_home(
    place: Place, homeless: Callable[..., subprocess.CompletedProcess[str]], home: dict[str, str]
) -> None:
    place.make_file("x.bin", 100)
    made = homeless("create", "x.bin", **home)
    assert (made.returncode, made.stdout) == (0, "x.bin.torrent\n")
    assert "nothing is remembered for next time: no home folder\n" in made.stderr
    for words in ["info", "x.bin.torrent"], ["verify", "x.bin.torrent", "x.bin"]:
        done = homeless(*words, **home)
        assert (done.returncode, "tl: " in done.stderr) == (0, False)


def test_a_state_folder_in_no_home(place: Place, homeless: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    place.make_file("x.bin", 100)
    done = homeless("create", "x.bin", "--state-dir", "~/state")
    assert (done.returncode, done.stdout) == (5, "")
    assert "cannot use --state-dir '~/state': no home folder" in done.stderr


def test_the_doctor_says_that_there_is_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(platformdirs, "user_config_path", nowhere)
    found = machine.choices({}, arguments.flag_names())
    assert (found.verdict, found.message) == (Verdict.OK, "no config.toml: no home folder")


def state_of_another(name: str) -> Callable[[mishaps.Scene], None]:
    """A torrent that is here already, and a state folder in which this may only be read, as after a ``sudo tl``."""

    def prepare(scene: mishaps.Scene) -> None:
        scene.file("x.bin")
        scene.torrent("x.torrent", "x.bin")
        (scene.folder / ".state/torrentlite/resume").mkdir(exist_ok=True)
        scene.without_rights("locked")
        (scene.folder / ".state/torrentlite" / name).chmod(0o555)

    return prepare


@pytest.mark.parametrize("name", ["", "resume"])
def test_a_state_folder_of_somebody_else_is_done_without(name: str) -> None:
    said = mishaps.happen(mishaps.Mishap("", "fetch x.torrent", 0, state_of_another(name)))
    assert (said.code, pathlib.Path(said.out).name) == (0, "x.bin\n")
    path = f".state/torrentlite/{name}".rstrip("/")
    assert f"nothing is remembered for next time: Permission denied: {path}\n" in said.err


def test_a_state_folder_of_somebody_else_that_was_asked_for() -> None:
    words = "fetch x.torrent --state-dir locked"
    said = mishaps.happen(mishaps.Mishap("", words, 5, state_of_another("")))
    assert (said.code, said.out, said.err) == (5, "", "tl: cannot use --state-dir 'locked': Permission denied\n")
