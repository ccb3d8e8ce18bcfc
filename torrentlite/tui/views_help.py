"""The page that explains every key and every letter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rich.style import Style

from . import piecemap, words
from .frame import Section
from .lines import BOLD, KEY, PLAIN, Line, cell, fit, seg

KEYS: Final = (
    ("q", "quit, as Ctrl-C: nothing is lost"),
    ("p", "pause this torrent, or go on"),
    ("d", "to a few lines, and back to this"),
    ("f", "files"),
    ("t", "trackers, DHT, port"),
    ("l", "log"),
    ("m", "the link, and its QR code"),
    ("s", "sort the peers by something else"),
    ("↑ ↓", "scroll; PgUp, PgDn, Home, End"),
    ("← →", "the torrent before, the next one"),
    ("Esc", "back to the overview"),
    ("?", "this page"),
)
_PIECES: Final = (
    ("█▓▒", "verified: all, most, some"),
    (piecemap.IN_FLIGHT, "asked for just now"),
    (piecemap.PARTIAL, "begun"),
    (piecemap.TO_COME, "to come: a peer has it"),
    (piecemap.MISSING, "missing: nobody here has it"),
    ("▁▄█", "below it: how many peers have it"),
)
_COLUMNS: Final = (
    ("have", "how much of it the peer has"),
    ("queue", "blocks that it owes us"),
)
_WIDEST: Final = 50


def help_section(width: int, rows: int) -> Section:
    """Keys and letters, in two columns where they fit."""
    pieces = [
        *_block("pieces", ()),
        *([cell(letter, 4, piecemap.STYLES.get(letter[0], PLAIN)), seg(f" {text}")] for letter, text in _PIECES),
    ]
    keys, flags = _block("keys", KEYS), _block("flags of a peer", words.FLAGS.items())
    others = [*_block("from", words.SOURCES.items(), 8), [], *_block("other columns", _COLUMNS, 6)]
    if width < 70:
        stacks = [[*keys, [], *pieces, [], *flags, [], *others]]
    else:
        stacks = [[*keys, [], *pieces], [*flags, [], *others]]
    size = min(_WIDEST, (width - 2 * (len(stacks) - 1)) // len(stacks))
    body = []
    for number in range(max(map(len, stacks))):
        line: Line = []
        for stack in stacks:
            line += [*fit(stack[number] if number < len(stack) else [], size), seg("  ")]
        body.append(line[:-1])
    return Section([seg("what all this means")], [*body[:rows], *([[]] * (rows - len(body)))])


def _block(title: str, entries: Iterable[tuple[str, str]], size: int = 4) -> list[Line]:
    style: Style = BOLD if title != "keys" else KEY
    return [[seg(title, BOLD)], *([cell(letter, size, style), seg(f" {text}")] for letter, text in entries)]
