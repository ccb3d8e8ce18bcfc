"""The live lines of a terminal: glances to text of the right width, and to what a terminal wants to read."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from . import units
from .progress import Glance, doing, movement, reason
from .screen import Frame, to_terminal

_LEAST_BAR: Final = 10
_MOST_BAR: Final = 50
# What a narrow terminal does without, first to last.
_DISPENSABLE: Final = ("shared", "web", "up", "copies", "peers", "down", "left")
_STYLES: Final = {"down": "green", "up": "magenta", "shared": "dim", "left": "cyan"}


def view(glances: Sequence[Glance], width: int, height: int, hint: str = "") -> list[Text]:
    """The live lines: two to four a job, or one where there are many, never more than the terminal has.

    Every line is shorter than ``width`` columns, so that none wraps. The hint stands at the end of the last one, if
    there is room.
    """
    room = max(1, height - 2)
    width = max(10, width - 1)
    lines: list[Text] = []
    if 3 * len(glances) <= room and len(glances) <= 4:
        most = 2 if 4 * len(glances) <= room else 1
        for glance in glances:
            lines += _full(glance, width, most)
    else:
        shown = glances if len(glances) <= room else glances[: room - 1]
        lines = [_short(glance, width) for glance in shown]
        if len(shown) < len(glances):
            lines.append(Text(f"and {len(glances) - len(shown)} more", "dim"))
    if hint and (gap := width - lines[-1].cell_len - len(hint)) >= 4:
        lines[-1].append(" " * gap).append(hint, "dim")
    for each in lines:
        each.truncate(width, overflow="ellipsis")
    return lines


def _full(glance: Glance, width: int, most: int) -> list[Text]:
    """``most``: lines that a reason may take."""
    title = Text.assemble((glance.stage, "bold"), "  ", glance.name)
    if glance.total:
        amount = units.size(glance.total) if glance.steady else units.done_of(glance.done, glance.total)
        title.truncate(max(10, width - cell_len(amount) - 2), overflow="ellipsis")
        title.append(" " * max(2, width - title.cell_len - cell_len(amount)))
        title.append(amount)
    below = _facts(glance, width)
    lines = [title] if not below.plain else [title, below]
    if why := reason(glance):
        lines += _wrapped(why, width - 2, most, "yellow")
    elif not glance.steady and glance.down_rate < 1 and (now := doing(glance)):
        lines += _wrapped(now, width - 2, most, "dim")
    return lines


def _wrapped(text: str, width: int, most: int, style: str) -> list[Text]:
    """The text in so many lines at most, broken between words; the last has what is left, and may be too long."""
    lines: list[str] = []
    words = text.split(" ")
    while words:
        line = words.pop(0)
        while words and (len(lines) + 1 == most or cell_len(f"{line} {words[0]}") <= width):
            line = f"{line} {words.pop(0)}"
        lines.append(line)
    return [Text(f"  {line}", style) for line in lines]


def _facts(glance: Glance, width: int) -> Text:
    parts = movement(glance)
    counted = bool(glance.total) and not glance.steady
    start = f"{units.percent(glance.done, glance.total):>6} " if counted else "  "
    least = len(start) + (_LEAST_BAR + 2 if counted else 0)
    for key in _DISPENSABLE:
        if least + len("  ".join(parts.values())) > width:
            parts.pop(key, None)
    text = Text(start, "bold" if counted else "")
    if counted:
        room = width - len(start) - len("  ".join(parts.values())) - 2
        text.append_text(bar(glance.done / glance.total, max(0, min(room, _MOST_BAR))))
        text.append("  ")
    for number, (key, part) in enumerate(parts.items()):
        text.append("  " if number else "").append(part, _STYLES.get(key, ""))
    text.rstrip()
    return text


def _short(glance: Glance, width: int) -> Text:
    parts = movement(glance)
    start = f"{units.percent(glance.done, glance.total):>6} " if glance.total and not glance.steady else " " * 7
    text = Text.assemble((start, "bold"), glance.stage, " ")
    tail = "  ".join(parts[key] for key in ("down", "up", "left") if key in parts)
    name = Text(glance.name)
    name.truncate(max(8, width - text.cell_len - len(tail) - 2), overflow="ellipsis", pad=True)
    return text.append_text(name).append(f"  {tail}".rstrip(), "dim")


def bar(share: float, width: int) -> Text:
    """A bar of this many columns, full at a share of 1.0."""
    full, half = divmod(int(min(max(share, 0.0), 1.0) * width * 2), 2)
    return Text.assemble(("━" * full + "╸" * half, "green"), ("─" * (width - full - half), "dim"))


def paint(lines: Sequence[Text], *, colour: bool, encoding: str = "utf-8") -> Frame:
    """The lines as a terminal reads them: colours at most, nothing that moves the cursor."""
    console = Console(
        file=io.StringIO(), force_terminal=True, color_system="standard" if colour else None, width=10_000,
        no_color=not colour, markup=False, emoji=False, highlight=False, legacy_windows=False,
    )  # fmt: skip
    painted = []
    for each in lines:
        with console.capture() as capture:
            console.print(each, end="", soft_wrap=True)
        painted.append(to_terminal(capture.get(), encoding))
    return Frame(tuple(painted), tuple(each.cell_len for each in lines))
