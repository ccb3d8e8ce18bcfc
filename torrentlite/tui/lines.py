"""Lines of an exact width, made of rich's segments: cut with an ellipsis, padded, put beside each other.

Terminals do not agree about the width of emoji and of what combines. So every text that comes from outside is followed
by ``ANCHOR``, at which the painter moves the cursor to where it should be: one wrong guess shifts nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style

Line = list[Segment]

PLAIN: Final = Style.null()
DIM: Final = Style(dim=True)
BOLD: Final = Style(bold=True)
GOOD: Final = Style(color="green")
UP: Final = Style(color="magenta")
TIME: Final = Style(color="cyan")
BUSY: Final = Style(color="cyan")
WARN: Final = Style(color="yellow")
BAD: Final = Style(color="red")
KEY: Final = Style(color="cyan", bold=True)

ANCHOR: Final = Segment("", None, [])
"""Here the painter names the column again."""


def seg(text: str, style: Style = PLAIN) -> Segment:
    """A piece of one line in one style."""
    return Segment(text, style)


def width_of(line: Iterable[Segment]) -> int:
    """Columns that a line takes."""
    return sum(cell_len(text) for text, _, control in line if control is None)


def cut(text: str, width: int) -> str:
    """The text, or as much of it as fits and an ellipsis."""
    if cell_len(text) <= width:
        return text
    if width <= 0:
        return ""
    # A wide character may not fit into the last column but one, which set_cell_size fills with a space.
    return f"{set_cell_size(text, width - 1).rstrip()}…"


def middle(text: str, width: int) -> str:
    """As much of the text as fits, without its middle: of a path or an address both ends matter."""
    if cell_len(text) <= width or width < 5:
        return cut(text, width)
    tail = text[-(width // 2) :]
    while cell_len(tail) > width // 2:
        tail = tail[1:]
    return f"{cut(text, width - cell_len(tail))}{tail}"


def cell(text: str, width: int, style: Style = PLAIN, *, right: bool = False) -> Segment:
    """Text in a column of this width."""
    text = cut(text, width)
    gap = " " * (width - cell_len(text))
    return Segment(gap + text if right else text + gap, style)


def foreign(text: str, width: int, style: Style = PLAIN, *, keep_end: bool = False) -> Line:
    """Text from outside (made safe by ``display`` before) in a column of this width."""
    return [cell(middle(text, width) if keep_end else text, width, style), ANCHOR]


def fit(line: Iterable[Segment], width: int) -> Line:
    """The line in exactly this width."""
    fitted: Line = []
    left = width
    for segment in line:
        if segment.control is not None:
            fitted.append(segment)
            continue
        size = cell_len(segment.text)
        if size > left:
            fitted += [cell(segment.text, left, segment.style or PLAIN), ANCHOR]
            left = 0
            break
        fitted.append(segment)
        left -= size
    if left:
        fitted.append(Segment(" " * left, PLAIN))
    return fitted


def between(left: Sequence[Segment], right: Sequence[Segment], width: int) -> Line:
    """One line at the left, the other at the right; the left one gives way."""
    room = width - width_of(right) - 1
    if room < 4:
        return fit(left, width)
    return [*fit(left, room), seg(" "), *right]


def join(parts: Iterable[Sequence[Segment]], gap: str = "   ") -> Line:
    """Parts with a gap between them; empty ones are left out."""
    joined: Line = []
    for part in parts:
        if part:
            if joined:
                joined.append(seg(gap))
            joined += part
    return joined


def first_that_fit(parts: Sequence[Sequence[Segment]], width: int, gap: str = "   ") -> Line:
    """As many of the parts, in their order, as fit whole."""
    shown: list[Sequence[Segment]] = []
    used = 0
    for part in parts:
        size = width_of(part) + (len(gap) if shown else 0)
        if part and used + size <= width:
            shown.append(part)
            used += size
    return join(shown, gap)
