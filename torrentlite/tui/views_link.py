"""The page with the link: the command for the other side, and a QR code for a telephone."""

from __future__ import annotations

from typing import Final

from rich.style import Style

from ..cli import qr
from ..metainfo.text import display
from .frame import Section
from .lines import BOLD, DIM, Line, seg
from .snapshot import Shown

_LIGHT: Final = Style(color="bright_white", bgcolor="black")
_LONGEST: Final = 4000
_LEAST: Final = 30
"""Columns that the link has beside its code."""


def link_section(job: Shown, width: int, rows: int) -> Section:
    """The link whole, in as many rows as it takes, and its code below or beside it, where one fits."""
    if not job.link:
        return Section([seg("link")], [[seg("not known yet", DIM)], *([[]] * (rows - 1))])
    command = f"tl fetch '{display(job.link, limit=_LONGEST)}'"
    code = qr.fitting(job.link, width - _LEAST, rows)
    beside = len(code[0]) + 3 if code else 0
    room = width - beside
    words: list[Line] = [[seg("on the other computer:", DIM)], []]
    words += ([seg(command[start : start + room], BOLD)] for start in range(0, len(command), room))
    if not code and not qr.installed():
        words += [[], [seg("for a QR code: pip install 'torrentlite[qr]'", DIM)]]
    body = []
    for number in range(rows):
        left = [seg(code[number], _LIGHT), seg("   ")] if number < len(code) else [seg(" " * beside)] if code else []
        body.append([*left, *(words[number] if number < len(words) else [])])
    return Section([seg("link")], body)
