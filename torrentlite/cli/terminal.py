"""Who reads us: a person at a terminal, or a program."""

from __future__ import annotations

import contextlib
import enum
import os
from typing import Final

STDIN: Final = 0
STDOUT: Final = 1
STDERR: Final = 2


class Mode(enum.Enum):
    """How a run talks."""

    LIVE = "live"
    """Redrawn in place, on a terminal."""
    PLAIN = "plain"
    """A line now and then."""
    JSON = "json"
    """Events on stdout and nothing else."""
    QUIET = "quiet"
    """Results and errors only."""


def choose_mode(*, json_lines: bool, quiet: bool, plain: bool, no_color: bool) -> tuple[Mode, bool]:
    """How to talk, and whether in colours, by the flags and by what stderr is."""
    terminal = is_terminal(STDERR) and os.environ.get("TERM", "") not in ("dumb", "") and not plain
    colour = terminal and not no_color and not os.environ.get("NO_COLOR")
    if json_lines:
        return Mode.JSON, False
    if quiet:
        return Mode.QUIET, colour
    return (Mode.LIVE if terminal else Mode.PLAIN), colour


def is_terminal(descriptor: int) -> bool:
    """Whether a person is at the other end."""
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def in_foreground(descriptor: int = STDERR) -> bool:
    """Whether this run may use its terminal: a shell's background job may neither draw there nor read keys."""
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except (OSError, AttributeError):
        return True  # a terminal, but not the one that a shell gave us


def release(descriptor: int = STDERR) -> None:
    """Undo a Ctrl-S, so that last words can be written."""
    try:
        import termios
    except ImportError:
        return
    if in_foreground(descriptor):
        with contextlib.suppress(OSError, termios.error):
            # Turning it on does nothing to a terminal that somebody else has turned off; so it is turned off before.
            termios.tcflow(descriptor, termios.TCOOFF)
            termios.tcflow(descriptor, termios.TCOON)


def terminal_size() -> tuple[int, int]:
    """Columns and rows of the terminal that stderr is, now."""
    try:
        columns, rows = os.get_terminal_size(STDERR)
    except OSError:
        return 80, 24
    return columns or 80, rows or 24
