"""What a person sees, on a real pty."""

from __future__ import annotations

import os
import re
import signal

import pytest

from torrentlite.cli import terminal as tty
from torrentlite.cli.terminal import Mode

from .running import Place
from .test_transfers import LOOPBACK, seeding, wait_for

MOVES = re.compile(rb"\x1b\[\d*[A-LSTf]")
STOP, GO_ON = b"\x13", b"\x11"
"""Ctrl-S and Ctrl-Q: the terminal takes nothing in between."""
COLOURS = re.compile(rb"\x1b\[[\d;]*m")


@pytest.fixture
def slow(place: Place) -> list[str]:
    """The flags of a fetch that takes a few seconds."""
    place.make_file("film.bin", 1_200_000)
    return ["-o", "down", "-d", "400k", *LOOPBACK]


def test_progress_in_place_and_a_last_word(place: Place, slow: list[str]) -> None:
    with seeding(place, "film.bin") as (magnet, _), place.on_terminal("fetch", magnet, *slow) as run:
        run.until("━")
        assert "downloading  film.bin" in run.screen
        assert "peer" in run.screen
        assert run.end() == 0
        lines = run.terminal.lines
        # All that stays: how it went, how to share it, and the result.
        assert lines[0].startswith("film.bin: 1.14 MiB in ")
        assert lines[1] == "to keep sharing: the same with --seed"
        assert "".join(lines).endswith(str(place / "down/film.bin"))
        assert "━" not in run.screen
        assert not run.terminal.unknown
        assert b"\x1b[?" not in run.raw


def test_the_result_alone_goes_into_a_pipe(place: Place) -> None:
    place.make_file("x.bin", 1000)
    reader, writer = os.pipe()
    flags = ("-O", "out.torrent")
    with place.on_terminal("create", "x.bin", *flags, stdout=writer) as run:
        os.close(writer)
        assert run.end() == 0
        assert run.terminal.lines[0].startswith("hashed x.bin")
        assert "out.torrent" not in run.screen
    assert os.read(reader, 1000) == b"out.torrent\n"
    os.close(reader)


@pytest.mark.parametrize(
    ("environment", "moves", "colours"),
    [({}, True, True), ({"NO_COLOR": "1"}, True, False), ({"TERM": "dumb"}, False, False)],
)
def test_how_much_a_terminal_is_asked_to_do(
    place: Place, environment: dict[str, str], moves: bool, colours: bool
) -> None:
    with place.on_terminal("fetch", "ab" * 20, "--timeout", "1.5s", *LOOPBACK, **environment) as run:
        assert run.end() == 3
        assert "looking for peers" in run.everything
        assert bool(MOVES.search(run.raw)) is moves
        assert bool(COLOURS.search(run.raw)) is colours
        assert not run.terminal.unknown


@pytest.mark.parametrize(
    ("terminal", "environment", "flags", "mode", "colour"),
    [
        (True, {}, {}, Mode.LIVE, True),
        (True, {"NO_COLOR": "1"}, {}, Mode.LIVE, False),
        (True, {"NO_COLOR": ""}, {}, Mode.LIVE, True),
        (True, {}, {"no_color": True}, Mode.LIVE, False),
        (True, {"TERM": "dumb"}, {}, Mode.PLAIN, False),
        (True, {"TERM": ""}, {}, Mode.PLAIN, False),
        (True, {}, {"plain": True}, Mode.PLAIN, False),
        (True, {}, {"quiet": True}, Mode.QUIET, True),
        (True, {}, {"json_lines": True}, Mode.JSON, False),
        (False, {}, {}, Mode.PLAIN, False),
        (False, {}, {"quiet": True}, Mode.QUIET, False),
    ],
)
def test_how_to_talk(
    terminal: bool,
    environment: dict[str, str],
    flags: dict[str, bool],
    mode: Mode,
    colour: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tty, "is_terminal", lambda _descriptor: terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    chosen = {"json_lines": False, "quiet": False, "plain": False, "no_color": False} | flags
    assert tty.choose_mode(**chosen) == (mode, colour)


def test_interrupted_by_the_keyboard(place: Place, slow: list[str]) -> None:
    with seeding(place, "film.bin") as (magnet, _), place.on_terminal("fetch", magnet, *slow) as run:
        run.until("━")
        run.type(b"\x03")
        assert run.end() == 130
        assert "— nothing lost. Continue with: tl fetch" in run.screen
        assert "━" not in run.screen


def test_a_window_that_is_resized(place: Place, slow: list[str]) -> None:
    with seeding(place, "film.bin") as (magnet, _), place.on_terminal("fetch", magnet, *slow, width=100) as run:
        run.until("━")
        run.resize(40)
        run.terminal.width = 40
        seen = len(run.raw)
        assert run.end() == 0
        rows = [len(each) for each in COLOURS.sub(b"", run.raw[seen:]).decode().split("\n")]
        # After a frame that was under way, nothing is wider than the window, but the last words.
        assert sum(width > 60 for width in rows) < 10


def test_asked_before_a_file_is_replaced(place: Place) -> None:
    data = place.make_file("x.bin", 100_000)
    place.make_file("down/x.bin", 100_000, seed=9)
    with seeding(place, "x.bin") as (magnet, _):
        with place.on_terminal("fetch", magnet, "-o", "down", *LOOPBACK) as run:
            run.until("Replace it? [y/N]")
            run.type(b"n\n")
            assert run.end() == 5
            assert "--overwrite" in run.screen
        with place.on_terminal("fetch", magnet, "-o", "down", *LOOPBACK) as run:
            run.until("Replace it? [y/N]")
            run.type(b"y\n")
            assert run.end() == 0
    assert (place / "down/x.bin").read_bytes() == data


def test_what_was_answered_is_not_asked_again(place: Place, slow: list[str]) -> None:
    place.make_file("down/film.bin", 1_200_000, seed=9)
    with seeding(place, "film.bin") as (magnet, _), place.on_terminal("fetch", magnet, *slow) as run:
        run.until("Replace it? [y/N]")
        run.type(b"y\n")
        run.until("━")
        run.process.send_signal(signal.SIGINT)
        assert run.end() == 130
        assert "Continue with: tl fetch --overwrite 'magnet:" in run.screen.replace("\n", "")


def test_a_terminal_that_is_stuck_does_not_stop_the_transfer(place: Place, slow: list[str]) -> None:
    with seeding(place, "film.bin") as (magnet, _), place.on_terminal("fetch", magnet, *slow) as run:
        run.until("━")
        run.type(STOP)
        wait_for(place / "down/film.bin")
        assert run.process.poll() is None
        run.type(GO_ON)
        assert run.end() == 0
        assert "".join(run.terminal.lines).endswith(str(place / "down/film.bin"))


def test_left_by_a_signal_although_the_terminal_is_stuck(place: Place, slow: list[str]) -> None:
    with seeding(place, "film.bin") as (magnet, _), place.on_terminal("fetch", magnet, *slow) as run:
        run.until("━")
        run.type(STOP)
        run.process.send_signal(signal.SIGTERM)
        assert run.process.wait(5) == 143


def test_a_terminal_that_hangs_up(place: Place, slow: list[str]) -> None:
    with seeding(place, "film.bin") as (magnet, _), place.on_terminal("fetch", magnet, *slow) as run:
        run.until("━")
        os.close(run.master)
        run.master = os.open(os.devnull, os.O_RDONLY)
        assert run.process.wait(10) == 129
