"""Completion for fish 3 and later."""

from __future__ import annotations

from collections.abc import Sequence

from .tree import NAMES, Flag, Kind, Value, branches


def script(names: Sequence[str] = NAMES) -> str:
    """The whole of it. fish looks for the file of the name that is typed, so each name can have one of its own."""
    lines = ["# Completion of tl for fish. Made from the command line of tl itself."]
    for name in names:
        lines += ["", *_of(name)]
    return "\n".join(lines) + "\n"


def _of(name: str) -> list[str]:
    every = branches()
    first = f"complete -c {name} -n __fish_use_subcommand"
    lines = [f"complete -c {name} -f"]
    lines += [f"{first} -a {branch.name} -d {_quoted(branch.summary)}" for branch in every]
    lines += [f"{first} -a help -d 'the same as --help'", f"{first} -s h -l help -d 'list the commands'"]
    lines += [f"{first} -l version -d 'the version of tl'"]
    names = " ".join(branch.name for branch in every)
    lines += [f"complete -c {name} -n '__fish_seen_subcommand_from help' -a '{names}'"]
    for branch in every:
        when = f"complete -c {name} -n '__fish_seen_subcommand_from {branch.name}'"
        lines += [f"{when} {_flag(flag)}" for flag in branch.flags]
        lines += [f"{when} {offer}" for offer in dict.fromkeys(map(_offer, branch.words)) if offer]
    return lines


def _flag(flag: Flag) -> str:
    parts = [f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}" for option in flag.options]
    parts.append(f"-d {_quoted(flag.help)}")
    if flag.value is not None:
        offer = _offer(flag.value)
        parts.append(f"-r {offer}" if offer == "-F" else f"-x {offer}".rstrip())
    return " ".join(parts)


def _offer(value: Value) -> str:
    match value.kind:
        case Kind.FOLDER:
            return "-a '(__fish_complete_directories)'"
        case Kind.FILE:
            return "-F"
        case Kind.TORRENT:
            return "-a '(__fish_complete_suffix .torrent)'"
        case Kind.PROGRAM:
            return "-a '(__fish_complete_command)'"
        case Kind.CHOICE:
            return f"-a '{' '.join(value.choices)}'"
    return ""


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
