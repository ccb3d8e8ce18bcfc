"""Bars and sparklines: numbers as characters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.style import Style

from .lines import DIM, GOOD, Line, seg

_LEVELS: Final = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int) -> str:
    """The last ``width`` values, one column each, the largest of them at full height; empty at the left if too few."""
    shown = values[-width:] if width > 0 else ()
    top = max(shown, default=0.0)
    steps = len(_LEVELS) - 1
    text = "".join(_LEVELS[round(value / top * steps)] if top > 0 else _LEVELS[0] for value in shown)
    return text.rjust(width)


def heights(values: Sequence[float], top: float) -> str:
    """Each value as a height; 0 is a gap, and the least that is more than 0 is seen."""
    steps = len(_LEVELS) - 1
    return "".join(
        _LEVELS[min(steps, round(value / top * steps))] if value > 0 and top > 0 else " " for value in values
    )


def bar(share: float, width: int, style: Style = GOOD) -> Line:
    """A bar of this many columns, full at a share of 1.0."""
    full, half = divmod(int(min(max(share, 0.0), 1.0) * width * 2), 2)
    return [seg("━" * full + "╸" * half, style), seg("─" * (width - full - half), DIM)]
