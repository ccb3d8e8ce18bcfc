"""Completion for zsh, by its own ``_arguments``."""

from __future__ import annotations

from .tree import NAMES, Branch, Flag, Kind, Value, branches


def script() -> str:
    """The whole of it."""
    every = branches()
    described = [_quoted(f"{branch.name}:{branch.summary}") for branch in every]
    lines = [
        f"#compdef {' '.join(NAMES)}",
        "# Completion of tl for zsh. Made from the command line of tl itself.",
        "",
        "_tl() {",
        "    local -a commands=(",
        *(f"        {each}" for each in described),
        "    )",
        "    if (( CURRENT == 2 )); then",
        "        _describe -t commands command commands",
        "        compadd -- help --help --version",
        "        return",
        "    fi",
        "    local name=$words[2]",
        "    shift words",
        "    (( CURRENT-- ))",
        "    case $name in",
        *(line for branch in every for line in _case(branch)),
        "        help)",
        "            (( CURRENT == 2 )) && _describe -t commands command commands",
        "            ;;",
        "    esac",
        "}",
        "",
        "# By itself it is a function to load; by eval it says whom it is for.",
        "if [[ $zsh_eval_context[-1] == loadautofunc ]]; then",
        '    _tl "$@"',
        "else",
        f"    compdef _tl {' '.join(NAMES)}",
        "fi",
    ]
    return "\n".join(lines) + "\n"


def _case(branch: Branch) -> list[str]:
    specs = [spec for flag in branch.flags for spec in _specs(flag)]
    for number, word in enumerate(branch.words, 1):
        specs.append(_quoted(f"{'*' if word.many else number}:{_plain(word.name)}:{_action(word)}"))
    lines = [f"        {branch.name})", "            _arguments -s : \\"]
    lines += [f"                {spec} \\" for spec in specs]
    lines[-1] = lines[-1].removesuffix(" \\")
    return [*lines, "            ;;"]


def _specs(flag: Flag) -> list[str]:
    """``'(-o --output)-o+[help]:DIR:_files -/'`` for each of its options."""
    others = "*" if flag.repeatable else f"({' '.join(flag.options)})"
    found = []
    for option in flag.options:
        joined = "" if flag.value is None else "=" if option.startswith("--") else "+"
        after = f":{_plain(flag.value.name)}:{_action(flag.value)}" if flag.value is not None else ""
        found.append(_quoted(f"{others}{option}{joined}[{_plain(flag.help)}]{after}"))
    return found


def _action(value: Value) -> str:
    match value.kind:
        case Kind.FOLDER:
            return "_files -/"
        case Kind.FILE:
            return "_files"
        case Kind.TORRENT:
            return '_files -g "*.torrent(-.)"'
        case Kind.PROGRAM:
            return "_command_names -e"
        case Kind.CHOICE:
            return f"({' '.join(value.choices)})"
    return " "


def _plain(text: str) -> str:
    """Brackets and colons mean something to ``_arguments``."""
    return text.replace("\\", "").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
