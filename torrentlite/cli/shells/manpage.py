"""The manual page tl(1)."""

from __future__ import annotations

import textwrap

from ... import __version__
from ..commands import COMMANDS, EXITS, FILES, SRC
from .tree import Branch, Flag, branches


def page() -> str:
    """The page, in the macros of man(7)."""
    every = branches()
    shared = [flag for flag in every[0].flags if all(flag in branch.flags for branch in every)]
    lines = [
        '.\\" Made from the command line of tl itself.',
        f'.TH TL 1 "" "torrentlite {__version__}" "User Commands"',
        ".SH NAME",
        "tl, torrentlite \\- share and fetch files with BitTorrent",
        ".SH SYNOPSIS",
        ".nf",
        *(_synopsis(branch.name) for branch in every),
        ".fi",
        ".SH DESCRIPTION",
        _text(SRC),
        ".PP",
        "Results go to stdout, and everything else to stderr.",
        "A fetch that was interrupted goes on where it was when the same command is",
        "given again.",
        ".SH COMMANDS",
        *(line for branch in every for line in _command(branch, shared)),
        ".SH FLAGS OF ALL COMMANDS",
        *(line for flag in shared for line in _flag(flag)),
        ".SH ENVIRONMENT",
        "Every flag has a variable:",
        ".B TL_",
        "and its long name in capitals, such as",
        ".B TL_SEED_TIME",
        "for",
        f".BR {_text('--seed-time')} .",
        "A switch is 1 or 0.",
        "A repeatable flag takes several values, quoted as in a shell.",
        ".B NO_COLOR",
        "turns colours off.",
        ".SH FILES",
        *(line for path, what in FILES.items() for line in (".TP", f".I {_text(path)}", _text(what))),
        ".SH EXIT STATUS",
        *(line for code, what in EXITS.items() for line in (".TP", f".B {_text(code)}", _text(what))),
        ".SH EXAMPLES",
        ".nf",
        *[line for branch in every for line in _examples(branch.name)][1:],
        ".fi",
    ]
    return "\n".join(lines) + "\n"


def _synopsis(name: str) -> str:
    arguments = f" \\fI{_text(COMMANDS[name].arguments)}\\fR" if COMMANDS[name].arguments else ""
    return f"\\fBtl {name}\\fR{arguments} [flags]"


def _command(branch: Branch, shared: list[Flag]) -> list[str]:
    summary = f"{branch.summary[0].upper()}{branch.summary[1:]}."
    lines = [f".SS {_text(f'tl {branch.name}')}", _text(summary)]
    for word in branch.words:
        if word.help:
            lines += [".TP", f".I {_text(word.name)}", _text(f"{word.help}.")]
    return [*lines, *(line for flag in branch.flags if flag not in shared for line in _flag(flag))]


def _flag(flag: Flag) -> list[str]:
    shown = ", ".join(f"\\fB{_text(option)}\\fR" for option in flag.options)
    value = f" \\fI{_text(flag.value.name)}\\fR" if flag.value is not None else ""
    return [".TP", f"{shown}{value}", _text(f"{flag.help}.")]


def _examples(name: str) -> list[str]:
    return ["", *(_escaped(line) for line in COMMANDS[name].examples)]


def _text(text: str) -> str:
    """Wrapped, and what roff would read as its own escaped: backslashes, dashes (else typographic), leading dots."""
    lines = textwrap.wrap(_escaped(text), 78, break_long_words=False, break_on_hyphens=False) or [""]
    return "\n".join(f"\\&{line}" if line.startswith(".") else line for line in lines)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...").replace("'", "\\(aq")
