"""Lines as bytes for a terminal, and what a terminal must be told to go from one frame to the next."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.console import Console
from rich.segment import Segment, Segments

from ..cli.screen import FullFrame, to_terminal
from .lines import Line


def paint(lines: Sequence[Line], width: int, *, colour: bool, encoding: str = "utf-8") -> FullFrame:
    """A frame of rows that a terminal can read."""
    system = ColorSystem.STANDARD if colour else None
    return FullFrame(tuple(to_terminal(_row(line, system), encoding) for line in lines), width)


def _row(line: Line, system: ColorSystem | None) -> str:
    parts = []
    column = 1
    for text, style, control in line:
        if control is not None:
            parts.append(f"\x1b[{column}G")
        elif text:
            parts.append(style.render(text, color_system=system) if style and system else text)
            column += cell_len(text)
    return "".join(parts)


def to_svg(lines: Sequence[Line], width: int, title: str) -> str:
    """A picture of a frame."""
    console = Console(
        file=io.StringIO(), record=True, width=width, height=len(lines), force_terminal=True, color_system="truecolor",
        markup=False, emoji=False, highlight=False, legacy_windows=False,
    )  # fmt: skip
    for line in lines:
        console.print(Segments([*(each for each in line if each.control is None), Segment.line()]), end="")
    return console.export_svg(title=title)
