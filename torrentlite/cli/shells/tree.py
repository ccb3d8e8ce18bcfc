"""The command line as completions see it: the flags of a command, and what may follow each."""

from __future__ import annotations

import argparse
import enum
from typing import Final, NamedTuple

from .. import arguments, config
from ..commands import COMMANDS

NAMES: Final = ("tl", "torrentlite")
"""What the program is called: ``torrentlite`` for those who already have another ``tl``."""


class Kind(enum.Enum):
    """What a shell can offer for a value."""

    FOLDER = "folder"
    FILE = "file"
    TORRENT = "torrent"
    PROGRAM = "program"
    CHOICE = "choice"
    NOTHING = "nothing"


class Value(NamedTuple):
    """What is typed after a flag, or by itself."""

    name: str
    help: str
    kind: Kind
    choices: tuple[str, ...] = ()
    many: bool = False


class Flag(NamedTuple):
    """One flag; ``value`` is None for a switch."""

    options: tuple[str, ...]
    help: str
    value: Value | None
    repeatable: bool


class Branch(NamedTuple):
    """One command."""

    name: str
    summary: str
    flags: tuple[Flag, ...]
    words: tuple[Value, ...]


_KINDS: Final = {
    "DIR": Kind.FOLDER,
    "FILE": Kind.FILE,
    "PATH": Kind.FILE,
    "OTHER": Kind.FILE,
    "SRC": Kind.TORRENT,
    "CMD": Kind.PROGRAM,
}
_HELP: Final = Flag(("-h", "--help"), "show the flags and leave", None, repeatable=False)


def branches() -> list[Branch]:
    """All commands."""
    return [_branch(name) for name in COMMANDS]


def _branch(name: str) -> Branch:
    parser = arguments.CommandParser(name)
    flags = [
        Flag(
            tuple(flag.option_strings),
            flag.help or "",
            _value(flag) if flag.nargs != 0 else None,
            repeatable=config.is_repeatable(flag) or (flag.nargs == 0 and flag.const is None),
        )
        for flag in parser.flags
    ]
    return Branch(name, COMMANDS[name].summary, (*flags, _HELP), tuple(_value(word) for word in parser.words))


def _value(action: argparse.Action) -> Value:
    name = str(action.metavar or action.dest)
    if action.choices:
        return Value(name, action.help or "", Kind.CHOICE, tuple(map(str, action.choices)))
    return Value(name, action.help or "", _KINDS.get(name, Kind.NOTHING), many=action.nargs in ("+", "*"))
