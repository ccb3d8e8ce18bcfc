"""The dashboard of a real ``tl`` on a real pty: its keys, and the terminal it leaves behind."""

from __future__ import annotations

import codecs
import os
import re
import signal
import subprocess
import sys
import termios
import time
from typing import Any

import pyte
import pytest

from tests.cli.running import OnTerminal, Place, resize
from tests.cli.test_transfers import seeding

ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"
LOOPBACK = ("--listen", "127.0.0.1:0")
COLOURS = re.compile(rb"\x1b\[[\d;]*m")
LEADER = """
import fcntl, os, signal, sys, termios, time
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
child = os.fork()
if not child:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpgrp())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.executable, [sys.executable, "-m", "torrentlite", *sys.argv[1:]])
while True:
    _, status = os.waitpid(child, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        sys.exit(os.waitstatus_to_exitcode(status))
    os.tcsetpgrp(0, os.getpgrp())
    print("stopped, line by line:", bool(termios.tcgetattr(0)[3] & termios.ICANON), flush=True)
    sys.stdin.readline()
    os.tcsetpgrp(0, child)
    os.killpg(child, signal.SIGCONT)
"""
"""As much of a shell as job control needs."""


class Window:
    """A run on a terminal, seen through an emulator."""

    def __init__(self, run: OnTerminal) -> None:
        self.run = run
        self.before = termios.tcgetattr(run.master)
        self.screen = pyte.Screen(80, 24)
        self._stream = pyte.ByteStream(self.screen)
        self._fed = 0

    @property
    def text(self) -> str:
        self._stream.feed(self.run.raw[self._fed :])
        self._fed = len(self.run.raw)
        return "\n".join(self.screen.display)

    def until(self, *words: str) -> None:
        deadline = time.monotonic() + 20
        while not all(word in self.text for word in words):
            assert time.monotonic() < deadline, f"{words} did not come: {self.text}"
            assert self.run._read(), f"{words} did not come before the end: {self.text}"

    def resize(self, width: int, height: int) -> None:
        self.screen.resize(height, width)
        resize(self.run.master, width, height)

    def left_as_it_was(self) -> bytes:
        """Looks whether all has been put back; returns what was written after that."""
        raw = self.run.raw
        assert raw.count(ENTER) == raw.count(LEAVE) > 0
        assert raw.count(b"\x1b[?25l") == raw.count(b"\x1b[?25h")
        assert raw.count(b"\x1b[?7l") == raw.count(b"\x1b[?7h")
        assert termios.tcgetattr(self.run.master) == self.before
        after = raw[raw.rindex(LEAVE) + len(LEAVE) :]
        assert not re.search(rb"\x1b\[\?|\x1b\[\d+;\d+H", after)
        return after


@pytest.fixture
def place(tmp_path: Any) -> Place:
    return Place(tmp_path)


def looking(place: Place, *flags: str, **more: str) -> Any:
    """A fetch that finds nobody."""
    return place.on_terminal("fetch", "ab" * 20, *LOOPBACK, *flags, **more)


@pytest.mark.parametrize(
    ("end", "code"),
    [("q", 130), ("\x03", 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["q", "Ctrl-C", "SIGTERM", "SIGHUP"],
)
def test_the_ways_out(place: Place, end: str | signal.Signals, code: int) -> None:
    with looking(place, "--dash") as run:
        window = Window(run)
        window.until("looking for peers", "q quit", "where peers come from")
        assert not termios.tcgetattr(run.master)[3] & (termios.ICANON | termios.ECHO)
        if isinstance(end, str):
            run.type(end.encode())
        else:
            run.process.send_signal(end)
        assert run.end() == code
        # What was said meanwhile comes on the first screen.
        assert b"nothing lost. Continue with: tl fetch" in window.left_as_it_was()


def test_a_second_ctrl_c_leaves_at_once_and_leaves_nothing_behind(place: Place) -> None:
    with looking(place, "--dash") as run:
        window = Window(run)
        window.until("looking for peers")
        os.kill(run.process.pid, signal.SIGSTOP)
        run.process.send_signal(signal.SIGINT)
        run.process.send_signal(signal.SIGTERM)
        os.kill(run.process.pid, signal.SIGCONT)
        assert run.end() in (130, 143)
        window.left_as_it_was()


def test_an_error_is_told_on_the_first_screen(place: Place) -> None:
    with looking(place, "--dash", "--timeout", "0.3s") as run:
        window = Window(run)
        assert run.end() == 3
        assert b"no peers for 0.3s" in window.left_as_it_was()


def test_every_key(place: Place) -> None:
    with looking(place, "-t", "udp://127.0.0.1:9/announce") as run:
        window = Window(run)
        window.until("looking for peers")
        assert ENTER not in run.raw
        # Who types for the shell, ahead of time, pauses and ends nothing.
        run.type(b"qpf")
        for key, words in (
            (b"d", ["q quit", "where peers come from"]), (b"f", ["esc back", "files 0"]), (b"t", ["127.0.0.1:9"]),
            (b"l", ["nothing yet"]), (b"?", ["snubbed"]), (b"\x1b", ["pieces"]), (b"s", ["q quit"]),
            (b"\x1b[B\x1b[A\x1b[C\x1b[D", ["q quit"]), (b"p", ["paused"]), (b"p", ["looking for peers"]),
        ):  # fmt: skip
            run.type(key)
            window.until(*words)
        run.type(b"d")
        while LEAVE not in run.raw:
            assert run._read()
        run.type(b"\x03")
        assert run.end() == 130
        window.left_as_it_was()


def test_stopped_and_gone_on_with(place: Place) -> None:
    master, slave = os.openpty()
    resize(slave, 80)
    words = ("fetch", "ab" * 20, *LOOPBACK, "--dash")
    process = subprocess.Popen(
        [sys.executable, "-c", LEADER, *words],
        cwd=place.folder, env=place.environment(), stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    run = OnTerminal(process, master, 80)
    # With Ctrl-Z the system throws away what the terminal has not shown yet, also half of a character.
    run.terminal._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    try:
        window = Window(run)
        window.until("looking for peers")
        run.type(b"\x1a")
        while b"stopped, line by line: True" not in run.raw:
            assert run._read()
        assert run.raw.count(ENTER) == run.raw.count(LEAVE) == 1
        run.type(b"\n")
        while run.raw.count(ENTER) < 2:
            assert run._read()
        window.screen.reset()
        window.until("looking for peers", "q quit")
        run.type(b"q")
        assert run.end() == 130
        window.left_as_it_was()
    finally:
        process.kill()
        process.wait()
        os.close(master)


def test_a_stuck_terminal_is_left_all_the_same(place: Place) -> None:
    with looking(place, "--dash") as run:
        window = Window(run)
        window.until("looking for peers")
        run.type(b"\x13")
        time.sleep(0.7)  # a frame begins to wait for the terminal
        began = time.monotonic()
        run.process.send_signal(signal.SIGTERM)
        assert run.end() == 143
        assert time.monotonic() - began < 10
        window.left_as_it_was()


def test_a_window_that_is_resized(place: Place) -> None:
    with looking(place, "--dash") as run:
        window = Window(run)
        window.until("looking for peers")
        for width, height in ((120, 40), (60, 15), (200, 60)):
            window.screen.reset()
            window.resize(width, height)
            window.until("looking for peers", "? help")
            assert window.screen.display[0].startswith("╭─ tl fetch ─")
            assert window.screen.display[-1].startswith("╰─ q quit") and window.screen.display[-1].endswith("╯")
        run.type(b"q")
        assert run.end() == 130


def test_the_link_comes_when_the_dashboard_is_left(place: Place) -> None:
    place.make_file("film.bin", 300_000)
    with place.on_terminal("seed", "film.bin", *LOOPBACK, "--dash") as run:
        window = Window(run)
        window.until("seeding", "100 %", "nobody is connected")
        assert b"\nmagnet:?" not in run.raw
        run.type(b"q")
        assert run.end() == 0
        assert b"\nmagnet:?xt=urn:btih:" in window.left_as_it_was()


def test_a_result_that_goes_elsewhere_comes_at_once(place: Place) -> None:
    place.make_file("film.bin", 300_000)
    reader, writer = os.pipe()
    with place.on_terminal("seed", "film.bin", *LOOPBACK, "--dash", stdout=writer) as run:
        os.close(writer)
        assert os.read(reader, 8) == b"magnet:?"
        Window(run).until("seeding")
        run.process.send_signal(signal.SIGINT)
        assert run.end() == 0
    os.close(reader)


def test_without_colours(place: Place) -> None:
    with looking(place, "--dash", NO_COLOR="1") as run:
        Window(run).until("looking for peers")
        run.type(b"q")
        assert run.end() == 130
        assert not COLOURS.search(run.raw)


@pytest.mark.parametrize("flags", [("--plain",), ("-q",), ()], ids=["plain", "quiet", "dumb"])
def test_no_dashboard_where_none_can_be(place: Place, flags: tuple[str, ...]) -> None:
    more = {} if flags else {"TERM": "dumb"}
    with looking(place, "--dash", "--timeout", "0.3s", *flags, **more) as run:
        assert run.end() == 3
        assert b"\x1b" not in run.raw


def test_into_a_pipe(place: Place) -> None:
    done = place.tl("fetch", "ab" * 20, *LOOPBACK, "--dash", "--timeout", "0.3s")
    assert done.code == 3
    assert "\x1b" not in done.out + done.err
    assert "--dash needs a terminal" in done.err


def test_a_terminal_that_hangs_up(place: Place) -> None:
    with looking(place, "--dash") as run:
        Window(run).until("looking for peers")
        os.close(run.master)
        run.master = os.open(os.devnull, os.O_RDONLY)
        assert run.process.wait(10) == 129


def test_a_question_is_asked_on_the_first_screen(place: Place) -> None:
    data = place.make_file("x.bin", 100_000)
    place.make_file("down/x.bin", 100_000, seed=9)
    flags = ("-o", "down", *LOOPBACK, "--dash")
    with seeding(place, "x.bin") as (magnet, _), place.on_terminal("fetch", magnet, *flags) as run:
        window = Window(run)
        while b"Replace it? [y/N]" not in run.raw:
            assert run._read()
        assert run.raw.count(ENTER) == run.raw.count(LEAVE)
        assert termios.tcgetattr(run.master) == window.before
        run.type(b"y\n")
        assert run.end() == 0
        window.left_as_it_was()
    assert (place / "down/x.bin").read_bytes() == data
