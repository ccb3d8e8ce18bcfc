"""Bugs of ours, made on purpose everywhere: no traceback below -vv, and a sentence in its place."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable

import pytest

from torrentlite.cli import arguments, magnet, output, screen
from torrentlite.cli.main import main

from .running import Place

HASH = "ab" * 20


def broken(*_: object, **__: object) -> None:
    raise ZeroDivisionError("by us")


async def broken_later(*_: object, **__: object) -> None:
    raise ZeroDivisionError("by us")


def in_parsing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(arguments, "CommandParser", broken)


def in_the_command(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(magnet, "run", broken_later)


def in_a_group(patch: pytest.MonkeyPatch) -> None:
    async def run(*_: object) -> None:
        raise ExceptionGroup("many", [ExceptionGroup("more", [ZeroDivisionError("by us")])])

    patch.setattr(magnet, "run", run)


def in_the_writer(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(screen.Screen, "run", broken_later)


def in_the_output(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(output.Output, "answer", broken)


def in_the_end(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(screen.Screen, "finish", broken)


PLACES = [in_parsing, in_the_command, in_a_group, in_the_writer, in_the_output, in_the_end]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("flags", [[], ["-v"], ["--json"], ["-q"]], ids=str)
def test_a_bug_is_one_sentence(
    place: Callable[[pytest.MonkeyPatch], None],
    flags: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    place(monkeypatch)
    assert main(["magnet", HASH, *flags]) == 1
    out, err = capfd.readouterr()
    assert "Traceback" not in out + err
    assert 'File "' not in out + err
    assert "unexpected ZeroDivisionError: by us" in out + err
    assert "-vv" in out + err


@pytest.mark.parametrize("place", PLACES)
def test_vv_shows_where(
    place: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    place(monkeypatch)
    assert main(["magnet", HASH, "-vv"]) == 1
    assert "Traceback" in capfd.readouterr().err


def test_a_contained_bug_is_counted_and_shown_by_vv(
    tmp_path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:  # type: ignore[no-untyped-def]
    from torrentlite.swarm.names import Names

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / ".state"))
    monkeypatch.setenv("TL_NO_DHT", "1")
    monkeypatch.setattr(Names, "_look_up", broken_later)
    words = ["fetch", HASH, "--peer", "localhost:9", "--timeout", "0.3s", "--listen", "127.0.0.1:0"]
    for flags, shown in (([], False), (["-v"], False), (["-vv"], True)):
        assert main([*words, *flags]) == 3
        err = capfd.readouterr().err
        assert ("Traceback" in err) == shown
        if not shown:
            assert "1 fault of tl itself did no harm to the rest; -vv shows where" in err
        if flags:
            assert "by us" in err


def test_what_others_log_is_not_printed_either(monkeypatch: pytest.MonkeyPatch, capfd) -> None:  # type: ignore[no-untyped-def]
    async def run(*_: object) -> int:
        try:
            broken()
        except ZeroDivisionError:
            logging.getLogger("trio.async_generator_errors").exception("left behind")
        return 0

    monkeypatch.setattr(magnet, "run", run)
    assert main(["magnet", HASH]) == 0
    assert "Traceback" not in capfd.readouterr().err
    assert main(["magnet", HASH, "-vv"]) == 0
    assert "Traceback" in capfd.readouterr().err


def test_what_python_prints_by_itself(place: Place) -> None:
    """Errors in finalizers and threads, and warnings, in a process of its own."""
    program = """
import sys, threading, warnings
from torrentlite.cli import magnet, main

class Leftover:
    def __del__(self):
        raise ZeroDivisionError("by us")

async def run(args, output, interrupt):
    Leftover()
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    warnings.warn("hush", RuntimeWarning)
    return 0

magnet.run = run
sys.exit(main.main())
"""
    environment = {name: value for name, value in place.environment().items() if name != "PYTHONWARNINGS"}
    for flags, shown in (["-v"], False), (["-vv"], True):
        done = subprocess.run(
            [sys.executable, "-c", program, "magnet", HASH, *flags],
            capture_output=True,
            text=True,
            env=environment,
            check=True,
        )
        assert ("Traceback" in done.stderr) == shown
        assert ("hush" in done.stderr) == shown
        assert ("a bug of ours, while cleaning up" in done.stderr) and ("a bug of ours, in a thread" in done.stderr)


def test_an_interrupt_before_anything(monkeypatch: pytest.MonkeyPatch, capfd) -> None:  # type: ignore[no-untyped-def]
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(arguments, "CommandParser", interrupted)
    assert main(["magnet", HASH]) == 130
    assert capfd.readouterr() == ("", "")
