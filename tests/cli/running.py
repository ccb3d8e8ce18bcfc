"""Running ``tl`` as a person or a script does: as a process, with pipes or a terminal."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import pathlib
import pty
import queue
import random
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from typing import Any

from .terminal import Terminal

PATIENCE = 20.0
"""Seconds after which something that should have happened has not."""

_TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "torrentlite", *sys.argv[1:]])
"""


class Place:
    """A folder to run ``tl`` in, with a state folder of its own."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.state = folder / ".state"

    def __truediv__(self, name: str) -> pathlib.Path:
        return self.folder / name

    def environment(self, **more: str) -> dict[str, str]:
        """Nothing of the person who runs the tests."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
        root = pathlib.Path(__file__).parents[2]
        return kept | {
            "HOME": str(self.folder / ".home"),
            "XDG_STATE_HOME": str(self.state),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")])),
            "TERM": "xterm-256color",
            "PYTHONUTF8": "1",
            "PYTHONWARNINGS": "error",
            # No test reaches out of this machine.
            "TL_NO_DHT": "1",
            "TL_NO_LSD": "1",
            "TL_NO_PORT_MAP": "1",
            **more,
        }

    def tl(self, *words: str, stdin: bytes = b"", **more: str) -> Result:
        """Run to the end."""
        done = subprocess.run(
            command(words),
            cwd=self.folder,
            env=self.environment(**more),
            input=stdin,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    @contextlib.contextmanager
    def start(self, *words: str, stdout: Any = subprocess.PIPE, **more: str) -> Iterator[Running]:
        """Run in the background; killed at the end of the block if it still lives."""
        process = subprocess.Popen(
            command(words),
            cwd=self.folder,
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
        )
        running = Running(process)
        try:
            yield running
        finally:
            running.close()

    @contextlib.contextmanager
    def on_terminal(self, *words: str, width: int = 80, stdout: Any = None, **more: str) -> Iterator[OnTerminal]:
        """Run on a terminal of this width; stdout too, unless it is given."""
        master, slave = pty.openpty()
        resize(slave, width)
        process = subprocess.Popen(
            [sys.executable, "-c", _TAKE_TERMINAL, *words],
            cwd=self.folder,
            env=self.environment(**more),
            stdin=slave,
            stdout=slave if stdout is None else stdout,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        running = OnTerminal(process, master, width)
        try:
            yield running
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            os.close(master)

    def make_file(self, name: str, size: int, seed: int = 1) -> bytes:
        """A file of random bytes."""
        data = random.Random(seed).randbytes(size)
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return data


class Result:
    """What a run left behind."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def __repr__(self) -> str:
        return f"<{self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}>"

    @property
    def events(self) -> list[dict[str, Any]]:
        """The JSON lines of stdout."""
        return [json.loads(line) for line in self.out.splitlines()]


class Running:
    """A run in the background, read as it goes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.out: list[str] = []
        self.err: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._readers = [threading.Thread(target=self._read, args=(process.stderr, self.err, None))]
        if process.stdout is not None:
            self._readers.append(threading.Thread(target=self._read, args=(process.stdout, self.out, self._lines)))
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(stream: Any, lines: list[str], told: queue.Queue[str | None] | None) -> None:
        for line in stream:
            lines.append(line.decode().rstrip("\n"))
            if told is not None:
                told.put(lines[-1])
        if told is not None:
            told.put(None)

    def line(self) -> str:
        """The next line of stdout."""
        line = self._lines.get(timeout=PATIENCE)
        assert line is not None, f"stdout ended; stderr: {self.err}"
        return line

    def event(self, name: str, /, **fields: Any) -> dict[str, Any]:
        """The next JSON event of this name, with these fields; others are passed over."""
        while True:
            found: dict[str, Any] = json.loads(self.line())
            if found["event"] == name and all(found.get(key) == value for key, value in fields.items()):
                return found

    def wait_for_words(self, words: str) -> str:
        """The first line of stderr that has these."""
        deadline = time.monotonic() + PATIENCE
        while not (found := [line for line in self.err if words in line]):
            assert time.monotonic() < deadline, f"{words!r} was not said: {self.err}"
            time.sleep(0.02)
        return found[0]

    def end(self, number: signal.Signals | None = None) -> Result:
        """Send a signal if one is given, and wait for the end."""
        if number is not None:
            self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        return Result(code, "\n".join(self.out), "\n".join(self.err))

    def close(self) -> None:
        """Let nothing survive the test."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for reader in self._readers:
            reader.join()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


class OnTerminal:
    """A run on a terminal, looked at as a person would."""

    def __init__(self, process: subprocess.Popen[bytes], master: int, width: int) -> None:
        self.process = process
        self.master = master
        self.raw = b""
        self.terminal = Terminal(width)

    def until(self, text: str) -> str:
        """Read until this is on the screen; returns the screen."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.screen:
            assert time.monotonic() < deadline, f"{text!r} did not come: {self.screen}"
            assert self._read(), f"{text!r} did not come before the end: {self.screen}"
        return self.screen

    @property
    def screen(self) -> str:
        """All that is on the terminal, and what scrolled off it."""
        return "\n".join(self.terminal.lines)

    @property
    def everything(self) -> str:
        """All that was ever written, as it came."""
        return self.raw.decode()

    def end(self) -> int:
        """Read to the end; returns the exit code."""
        while self._read():
            pass
        return self.process.wait(PATIENCE)

    def type(self, data: bytes) -> None:
        """Type on the keyboard."""
        os.write(self.master, data)

    def resize(self, width: int) -> None:
        """Drag the window's corner."""
        resize(self.master, width)

    def _read(self) -> bool:
        ready, _, _ = select.select([self.master], [], [], PATIENCE)
        assert ready, f"nothing is written any more: {self.screen}"
        try:
            data = os.read(self.master, 65536)
        except OSError as error:
            if error.errno != errno.EIO:  # Linux: the other side is closed
                raise
            return False
        self.raw += data
        self.terminal.feed(data)
        return bool(data)


def resize(descriptor: int, width: int, height: int = 24) -> None:
    """Tell a terminal its size."""
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))


def command(words: tuple[str, ...]) -> list[str]:
    """The command line of ``tl``."""
    return [sys.executable, "-m", "torrentlite", *words]
