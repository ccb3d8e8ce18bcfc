"""Who reads us: a person at a terminal, or a program."""

from __future__ import annotations

import enum
import os

from .screen import STDERR


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


def terminal_size() -> tuple[int, int]:
    """Columns and rows of the terminal that stderr is, now."""
    try:
        columns, rows = os.get_terminal_size(STDERR)
    except OSError:
        return 80, 24
    return columns or 80, rows or 24
