"""Completion for bash 3.2 and later, with or without the package bash-completion."""

from __future__ import annotations

from collections.abc import Sequence

from .tree import NAMES, Branch, Kind, Value, branches

_HEAD = """\
# Completion of tl for bash. Made from the command line of tl itself; for this shell only: eval "$(tl completions bash)"

_tl_offer() {  # what compgen finds, a line each, names with blanks included
    local found
    while IFS= read -r found; do
        COMPREPLY+=("$found")
    done < <(compgen "$@" -- "$cur" 2>/dev/null)
}

_tl_none() { compopt +o default 2>/dev/null; }
_tl_words() { _tl_none; _tl_offer -W "$1"; }
_tl_folders() { compopt -o filenames 2>/dev/null; _tl_offer -d; }
_tl_files() { compopt -o filenames 2>/dev/null; _tl_offer -f; }
_tl_torrents() { compopt -o filenames 2>/dev/null; _tl_offer -f -X '!*.torrent'; _tl_offer -d; }
_tl_programs() { _tl_offer -c; }

_tl() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    # --output=DIR comes in three words.
    if [[ $cur == = ]]; then
        cur=
    elif [[ $prev == = && $COMP_CWORD -gt 2 ]]; then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi
"""


def script() -> str:
    """The whole of it."""
    every = branches()
    names = " ".join(branch.name for branch in every)
    lines = [
        "    if [[ $COMP_CWORD -eq 1 ]]; then",
        f"        _tl_words '{names} help --help --version'",
        "        return",
        "    fi",
        "    case ${COMP_WORDS[1]} in",
        *(line for branch in every for line in _case(branch)),
        "        help)",
        f"            [[ $COMP_CWORD -eq 2 ]] && _tl_words '{names}'",
        "            return",
        "            ;;",
        "    esac",
        "}",
        "",
        f"complete -o bashdefault -o default -F _tl {' '.join(NAMES)}",
    ]
    return _HEAD + "\n".join(lines) + "\n"


def _case(branch: Branch) -> list[str]:
    offers: dict[str, list[str]] = {}
    for flag in branch.flags:
        if flag.value is not None:
            offers.setdefault(_offer(flag.value), []).extend(flag.options)
    lines = [f"        {branch.name})", "            case $prev in"]
    lines += [f"                {' | '.join(options)}) {offer}; return ;;" for offer, options in offers.items()]
    options = " ".join(option for flag in branch.flags for option in flag.options)
    lines += [
        "            esac",
        "            if [[ $cur == -* ]]; then",
        f"                _tl_words '{options}'",
        "                return",
        "            fi",
        f"            {_words(branch.words)}",
        "            ;;",
    ]
    return lines


def _words(words: Sequence[Value]) -> str:
    """The first word, and all that follow: where flags stand between them, nobody counts."""
    if not words:
        return "_tl_none"
    first, later = _offer(words[0]), _offer(words[-1])
    return first if first == later else f"if [[ $COMP_CWORD -eq 2 ]]; then {first}; else {later}; fi"


def _offer(value: Value) -> str:
    match value.kind:
        case Kind.FOLDER:
            return "_tl_folders"
        case Kind.FILE:
            return "_tl_files"
        case Kind.TORRENT:
            return "_tl_torrents"
        case Kind.PROGRAM:
            return "_tl_programs"
        case Kind.CHOICE:
            return f"_tl_words '{' '.join(value.choices)}'"
    return "_tl_none"
