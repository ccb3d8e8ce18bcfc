"""Sections between rules in one frame, one below the other, at the end two columns of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from .lines import ANCHOR, DIM, KEY, Line, fit, join, seg, width_of


@dataclasses.dataclass(frozen=True, slots=True)
class Section:
    """A rule with a title at its left and something at its right, and lines below it."""

    title: Line
    body: Sequence[Line]
    right: Line = dataclasses.field(default_factory=list)

    @property
    def height(self) -> int:
        """Rows that it takes with its rule."""
        return len(self.body) + 1


class _Row(NamedTuple):
    line: Line
    left_rule: bool
    right_rule: bool


def framed(
    sections: Sequence[Section],
    width: int,
    footer: Line,
    columns: tuple[Sequence[Section], Sequence[Section]] = ((), ()),
) -> list[Line]:
    """The sections, then ``columns`` beside each other (of the same height), in a frame of this width."""
    inner = width - 2
    rows = [_Row(line, rule, rule) for line, rule in _column(sections, inner)]
    joint = 0
    if columns[0]:
        joint = left_width(width)
        # The columns begin with a rule each, which is where the line between them begins too.
        beside = zip(_column(columns[0], joint), _column(columns[1], inner - joint - 1), strict=True)
        for number, ((left, left_rule), (right, right_rule)) in enumerate(beside):
            middle = "┬" if not number else "┼" if left_rule and right_rule else "│"
            if left_rule != right_rule:
                middle = "┤" if left_rule else "├"
            rows.append(_Row([*left, ANCHOR, seg(middle, DIM), *right], left_rule, right_rule))
    lines = []
    for number, row in enumerate(rows):
        corners = "╭╮" if not number else "├┤"
        edges = (corners[0] if row.left_rule else "│", corners[1] if row.right_rule else "│")
        lines.append([seg(edges[0], DIM), *row.line, ANCHOR, seg(edges[1], DIM)])
    lines.append([seg("╰", DIM), *_rule(footer, [], inner, joint), seg("╯", DIM)])
    return lines


def left_width(width: int) -> int:
    """Columns within the left one of two columns, where the frame is this wide."""
    return (width - 3) * 3 // 5


def keys_line(keys: Sequence[tuple[str, str]], width: int) -> Line:
    """``q quit  p pause … ? help``: as many as fit, and always the last."""
    items = [[seg(key, KEY), seg(f" {word}", DIM)] for key, word in keys]
    while len(items) > 1 and sum(width_of(item) + 2 for item in items) - 2 > width:
        del items[-2]
    return join(items, "  ")


def _column(sections: Sequence[Section], inner: int) -> list[tuple[Line, bool]]:
    rows: list[tuple[Line, bool]] = []
    for section in sections:
        rows.append((_rule(section.title, section.right, inner), True))
        rows += [([seg(" "), *fit(line, inner - 2), seg(" ")], False) for line in section.body]
    return rows


def _rule(title: Line, right: Line, inner: int, joint: int = 0) -> Line:
    """A rule over the inner width; the joint is where the line between two columns meets it."""
    if width_of(title) > inner - 4:
        title = fit(title, max(0, inner - 4))
    line: Line = [seg("─ ", DIM), *title, seg(" ", DIM)] if title else [seg("─", DIM)]
    room = inner - width_of(line)
    tail: Line = [seg(" "), *right, seg(" ─", DIM)] if right and width_of(right) + 5 <= room else []
    start = inner - room
    dashes = "─" * (room - width_of(tail))
    if joint and start <= joint < start + len(dashes):
        dashes = f"{dashes[: joint - start]}┴{dashes[joint - start + 1 :]}"
    return [*line, seg(dashes, DIM), *tail]
