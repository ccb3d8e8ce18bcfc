"""The keys of a terminal, one by one and unseen, while we are in its foreground; and the way back to how it was."""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Callable, Iterator
from typing import Any, Final

import trio

from ..cli.terminal import in_foreground, is_terminal
from .keys import decode

_STDIN: Final = 0
_LOOK_AGAIN: Final = 0.5
"""Seconds between looks whether we are in the foreground: a shell tells nobody when it moves a running job there."""


class Keyboard:
    """Reads keys from stdin.

    Between ``attach`` and ``detach`` the terminal gives every key at once and shows none; Ctrl-C, Ctrl-Z and Ctrl-S do
    what they always do.
    """

    def __init__(self) -> None:
        self._before: list[Any] | None = None
        self._holds = 0

    @staticmethod
    def usable() -> bool:
        """Whether there is a terminal to read from, and a way to."""
        try:
            import termios  # noqa: F401
        except ImportError:  # Windows
            return False
        return is_terminal(_STDIN)

    def attach(self) -> None:
        """Have the keys come one by one."""
        import termios

        if self._before is not None:
            return
        try:
            before = termios.tcgetattr(_STDIN)
            changed = termios.tcgetattr(_STDIN)
            changed[3] &= ~(termios.ICANON | termios.ECHO)
            changed[6][termios.VMIN], changed[6][termios.VTIME] = 1, 0
            # Never TCSADRAIN: it waits for a terminal that is stuck.
            termios.tcsetattr(_STDIN, termios.TCSANOW, changed)
        except (OSError, termios.error):
            return
        self._before = before

    def detach(self) -> None:
        """Leave the terminal as it was; also from a signal's handler, and twice."""
        before, self._before = self._before, None
        if before is None or not in_foreground(_STDIN):
            return  # whoever is in the foreground by now has made it as it likes it
        import termios

        with contextlib.suppress(OSError, termios.error):
            termios.tcsetattr(_STDIN, termios.TCSANOW, before)

    @contextlib.contextmanager
    def released(self) -> Iterator[None]:
        """The terminal as it was, while the block asks a person for a line."""
        self._holds += 1
        self.detach()
        try:
            yield
        finally:
            self._holds -= 1

    async def run(self, pressed: Callable[[str], None]) -> None:
        """Call ``pressed`` for every key until cancelled, or until the terminal is gone."""
        try:
            while True:
                if self._holds or not in_foreground(_STDIN):
                    await trio.sleep(_LOOK_AGAIN / 5 if self._holds else _LOOK_AGAIN)
                    continue
                self.attach()
                with trio.move_on_after(_LOOK_AGAIN):
                    await trio.lowlevel.wait_readable(_STDIN)
                    # Another look: a read without anything to read would stop everything.
                    if self._holds or not in_foreground(_STDIN) or not select.select([_STDIN], [], [], 0)[0]:
                        continue
                    data = os.read(_STDIN, 1024)
                    if not data:
                        return
                    for key in decode(data):
                        pressed(key)
        except OSError:
            return  # the terminal is gone, or cannot be waited for
        finally:
            self.detach()
