"""A machine, container or account that lacks what nearly all have: said in words, and no more fails than has to."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from collections.abc import Callable

import platformdirs
import pytest

from tests.interop.clients import missing, need_program
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


def journal_of_another(scene: mishaps.Scene) -> None:
    state_of_another("")(scene)
    (scene.folder / ".state/torrentlite").chmod(0o755)
    assert mishaps.run(["fetch", "x.torrent", *mishaps.LOOPBACK], scene).code == 0
    for path in (scene.folder / ".state/torrentlite/resume").iterdir():
        path.chmod(0)


def test_a_journal_of_somebody_else_is_done_without() -> None:
    said = mishaps.happen(mishaps.Mishap("", "fetch x.torrent", 0, journal_of_another))
    assert (said.code, pathlib.Path(said.out).name) == (0, "x.bin\n")
    told = "nothing is remembered of a torrent for next time: Permission denied: .state/torrentlite/resume/"
    assert said.err.count(told) == 1


def test_a_state_folder_of_somebody_else_that_was_asked_for() -> None:
    words = "fetch x.torrent --state-dir locked"
    said = mishaps.happen(mishaps.Mishap("", words, 5, state_of_another("")))
    assert (said.code, said.out, said.err) == (5, "", "tl: cannot use --state-dir 'locked': Permission denied\n")


THREADLESS = """
import resource, sys, threading

import trio

from torrentlite.cli import main, screen

def forbid_threads():
    threading.stack_size(1 << 30)
    with open("/proc/self/statm") as sizes:
        now = int(sizes.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + (256 << 20), resource.RLIM_INFINITY))

def allow_threads():
    threading.stack_size(0)
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

forbid_threads()
try:
    threading.Thread(target=print).start()
except RuntimeError:
    pass
else:
    sys.exit("a thread was started")
"""


def without_threads(place: Place, program: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a program whose threads have no room for their stacks."""
    if not sys.platform.startswith("linux"):
        pytest.skip("needs Linux's /proc")
    return subprocess.run(
        [sys.executable, "-c", THREADLESS + program, *words],
        cwd=place.folder,
        env=place.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_last_words_without_a_thread(place: Place) -> None:
    done = without_threads(place, "sys.exit(main.main())", "completions", "bash")
    assert (done.returncode, done.stdout, done.stderr) == (0, place.tl("completions", "bash").out, "")


def test_no_thread_is_not_called_a_bug(place: Place) -> None:
    (place / "x.torrent").write_bytes(b"")
    done = without_threads(place, "sys.exit(main.main())", "info", "x.torrent")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        "tl: the system lets tl start no more threads\n    end other programs, or raise ulimit"
    )


def test_what_is_written_comes_once_a_thread_can_be_had(place: Place) -> None:
    program = """
screen._AGAIN = 0.01
written = []

async def run():
    shown = screen.Screen(write=lambda stream, data: written.append(data))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: shown.run(stdout_failed=lambda: None))
        shown.write(2, "words")
        await trio.testing.wait_all_tasks_blocked()
        assert not written
        allow_threads()
        while not written:
            await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    assert written == [b"words\\n"]

import trio.testing
trio.run(run)
"""
    done = without_threads(place, program)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "words", ["fetch x.torrent", "create photos", "create .", "seed .", "verify x.torrent ."], ids=lambda words: words
)
def test_a_working_folder_that_was_removed(place: Place, words: str) -> None:
    done = in_a_removed_folder(place, *words.split())
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr == "tl: the working folder was removed\n    cd to a folder that is there\n"


def test_what_needs_no_working_folder(place: Place) -> None:
    done = in_a_removed_folder(place, "fetch", "x.torrent", "-o", "-", "--timeout", "0.1s")
    assert done.returncode == 3 and "no peers for" in done.stderr


def in_a_removed_folder(place: Place, *words: str) -> subprocess.CompletedProcess[str]:
    """Run ``tl``, with the paths of what is beside that folder made absolute."""
    place.make_file("photos/a.jpg", 100)
    assert place.tl("create", "photos", "-O", "x.torrent").code == 0
    (place / "gone").mkdir()
    program = "import os, sys; from torrentlite.cli.main import main; os.rmdir(os.getcwd()); sys.exit(main())"
    words = tuple(str(place / word) if word in ("photos", "x.torrent") else word for word in words)
    return subprocess.run(
        [sys.executable, "-P", "-c", program, *words],  # looking for modules in there, Python 3.13.0 fails
        cwd=place / "gone",
        env=place.environment(TL_LISTEN="127.0.0.1:0"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_stream_where_loopback_has_no_ipv4(place: Place, alone: list[str]) -> None:
    need_program("ip")
    place.make_file("x.bin", 100)
    assert place.tl("create", "x.bin").code == 0
    script = 'ip link set lo up && ip addr del 127.0.0.1/8 dev lo && exec "$@"'
    words = [sys.executable, "-m", "torrentlite", "stream", "x.bin.torrent", "-o", ".", "--port", "7000"]
    done = subprocess.run(
        [*alone, "sh", "-c", script, "sh", *words],
        cwd=place.folder,
        env=place.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (7, "")
    assert "cannot listen on port 7000 of 127.0.0.1: Cannot assign requested address\n" in done.stderr
    assert "the loopback interface has no IPv4: ip addr add 127.0.0.1/8 dev lo" in done.stderr
