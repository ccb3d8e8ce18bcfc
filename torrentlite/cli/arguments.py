"""The command line: every command with its flags, and nothing heavy imported for ``--help``.

Each command has a parser of its own instead of argparse's sub-parsers: those cannot take ``tl fetch a -o dir b``, and
only the parser that is needed gets built.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
from collections.abc import Callable
from typing import Final, NoReturn

from .. import __version__
from . import values
from .exits import UsageError, closest
from .sources import is_link

COMMANDS: Final = {
    "fetch": "download, verify, and leave when complete",
    "seed": "share a file or a folder until Ctrl-C",
    "create": "write a .torrent",
    "info": "show what a torrent holds",
    "verify": "compare data on disk with a torrent",
    "magnet": "print the magnet link of a torrent",
    "demo": "share and fetch a file over loopback, with nothing else needed",
}
_ARGUMENTS: Final = {
    "fetch": "SRC…",
    "seed": "PATH…",
    "create": "PATH",
    "info": "SRC",
    "verify": "SRC PATH",
    "magnet": "SRC",
    "demo": "",
}
_SRC: Final = (
    "SRC is a .torrent file, a magnet link, an info-hash, an http(s) URL of a .torrent, or - (a .torrent on stdin)."
)
_EXAMPLES: Final = {
    "fetch": "examples:\n  tl fetch debian.torrent -o ~/Downloads\n  tl fetch 'magnet:?xt=urn:btih:…' -s '*.mkv'",
    "seed": "examples:\n  tl seed holiday.mp4\n  tl seed photos/ -t udp://tracker.example:6969\n"
    "  tl seed debian.torrent -o ~/Downloads",
    "create": "example:\n  tl create photos/ -t udp://tracker.example:6969 -O photos.torrent",
}


def parse(argv: list[str]) -> argparse.Namespace:
    """The command and its flags; ``--help`` and ``--version`` print and leave by SystemExit.

    Raises:
        UsageError: with what was probably meant as its hint.
    """
    # "tl help fetch" is what half the people try first.
    if argv[:1] == ["help"]:
        argv = [*argv[1:2], "--help"]
    if not argv:
        raise UsageError("a command is missing", hint=f"one of {', '.join(COMMANDS)}; tl --help tells more")
    word = argv[0]
    if word in ("-h", "--help"):
        print(_overview())
        raise SystemExit(0)
    if word == "--version":
        print(f"tl {__version__}")
        raise SystemExit(0)
    if word not in COMMANDS:
        raise _unknown_command(word)
    parser = _Parser(word)
    args, extra = parser.parse_known_intermixed_args(_without_dashes(argv[1:]))
    if extra:
        known = [option for action in parser._actions for option in action.option_strings]
        meant = closest(extra[0].partition("=")[0], known)
        hint = f"did you mean {meant}?" if meant else f"tl {word} --help lists its flags"
        raise UsageError(f"{word} does not know {extra[0]!r}", hint=hint)
    if word == "fetch" and args.output == "-":
        raise UsageError("'-o -': fetch writes to a folder only")
    args.command = word
    args.argv = argv
    return args


def _without_dashes(words: list[str]) -> list[str]:
    """The words with ``--`` taken out: what follows it are paths, and those that look like flags get a ``./``.

    (Python 3.11 loses them when flags and words are mixed.)
    """
    if "--" not in words:
        return words
    end = words.index("--")
    return words[:end] + [f"./{word}" if word.startswith("-") else word for word in words[end + 1 :]]


class _Parser(argparse.ArgumentParser):
    """The flags of one command."""

    def __init__(self, command: str) -> None:
        epilog = _EXAMPLES.get(command, "")
        if "SRC" in _ARGUMENTS[command]:
            epilog = f"{_SRC}\n\n{epilog}".rstrip()
        super().__init__(
            prog=f"tl {command}",
            usage=" ".join(["tl", command, *_ARGUMENTS[command].split(), "[flags]"]),
            description=f"{COMMANDS[command][0].upper()}{COMMANDS[command][1:]}.",
            epilog=epilog,
            formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=32),
            allow_abbrev=False,
        )
        _FLAGS[command](self)
        _add_common(self)

    def error(self, message: str) -> NoReturn:
        """Say it our way instead of printing the usage and leaving."""
        message = re.sub(r"^argument ((?:-\w/)?-*[\w-]+)", r"\1", message)
        message = message.replace("the following arguments are required:", "missing:")
        raise UsageError(message, hint=f"usage: {self.usage}   (tl {self.prog[3:]} --help)")


def _fetch(add: _Parser) -> None:
    add.add_argument("source", metavar="SRC", nargs="+", help="what to fetch")
    add.add_argument("-o", "--output", metavar="DIR", default=".", help="save into this folder (default: this one)")
    add.add_argument(
        "-s", "--select", metavar="WHICH", action="append", default=[], help="only these files: 1,3-5 or a glob"
    )
    add.add_argument("--list", action="store_true", help="list the files with their numbers, and leave")
    add.add_argument("--seed", action="store_true", help="go on sharing after completion, until Ctrl-C")
    add.add_argument("--sequential", action="store_true", help="fetch from the first byte to the last")
    add.add_argument("--overwrite", action="store_true", help="replace a different file that is in the way")
    _add_timeout(add)
    _add_swarm(add)
    _add_rates(add)


def _seed(add: _Parser) -> None:
    add.add_argument("path", metavar="PATH", nargs="+", help="a file, a folder, or a .torrent with -o")
    add.add_argument("-o", "--output", metavar="DIR", default=".", help="where the data of a .torrent lies")
    _add_swarm(add)
    _add_rates(add)


def _create(add: _Parser) -> None:
    add.add_argument("path", metavar="PATH", help="the file or folder to share")
    add.add_argument("-O", "--torrent", metavar="FILE", help="write here (default: NAME.torrent in this folder)")
    add.add_argument(
        "-w", "--web-seed", metavar="URL", type=values.WEB_SEED, action="append", default=[], help="repeatable"
    )
    add.add_argument(
        "--piece-size", metavar="SIZE", type=values.PIECE_SIZE, help="a power of two, 16k to 16M (default: by size)"
    )
    add.add_argument("--private", action="store_true", help="peers from the trackers only")
    add.add_argument("--comment", metavar="TEXT", default="", help="kept in the .torrent, for people")
    add.add_argument("--magnet", action="store_true", help="print the magnet link too")
    add.add_argument("--overwrite", action="store_true", help="replace a different .torrent that is in the way")
    _add_trackers(add)


def _info(add: _Parser) -> None:
    add.add_argument("source", metavar="SRC", help="a magnet's metadata is fetched")
    _add_timeout(add)
    _add_swarm(add)


def _verify(add: _Parser) -> None:
    add.add_argument("source", metavar="SRC")
    add.add_argument("path", metavar="PATH", help="the file or folder, or the folder that it lies in")
    _add_timeout(add)
    _add_swarm(add)


def _magnet(add: _Parser) -> None:
    add.add_argument("source", metavar="SRC", help="only a URL is fetched for it")


def _demo(add: _Parser) -> None:
    add.add_argument("--size", metavar="SIZE", type=values.SIZE, default=256 << 20, help="of the file (default: 256M)")


_FLAGS: Final[dict[str, Callable[[_Parser], None]]] = {
    "fetch": _fetch,
    "seed": _seed,
    "create": _create,
    "info": _info,
    "verify": _verify,
    "magnet": _magnet,
    "demo": _demo,
}


def _add_timeout(add: _Parser) -> None:
    add.add_argument(
        "--timeout",
        metavar="TIME",
        type=values.DURATION,
        help="give up after this long without peers, metadata or progress (default: never on a terminal, else 30m)",
    )


def _add_swarm(add: _Parser) -> None:
    add.add_argument("--listen", metavar="[HOST:]PORT", type=values.LISTEN, help="default: all interfaces, a kept port")
    add.add_argument("--no-pex", action="store_true", help="do not exchange peers with peers")
    add.add_argument("--peer", metavar="HOST:PORT", type=values.PEER, action="append", default=[], help="repeatable")
    _add_trackers(add)


def _add_trackers(add: _Parser) -> None:
    add.add_argument(
        "-t", "--tracker", metavar="URL", type=values.TRACKER, action="append", default=[], help="repeatable"
    )


def _add_rates(add: _Parser) -> None:
    add.add_argument("-d", "--down", metavar="RATE", type=values.SIZE, default=0, help="bytes a second: 500k, 2M")
    add.add_argument("-u", "--up", metavar="RATE", type=values.SIZE, default=0, help="bytes a second: 500k, 2M")


def _add_common(add: _Parser) -> None:
    add.add_argument("--json", action="store_true", help="JSON on stdout instead of everything else")
    add.add_argument("-q", "--quiet", action="store_true", help="results and errors only")
    add.add_argument("-v", "--verbose", action="count", default=0, help="say more; -vv for everything")
    add.add_argument("--plain", action="store_true", help="plain lines, also on a terminal")
    add.add_argument("--no-color", action="store_true", help="also by NO_COLOR")
    add.add_argument("--log-file", metavar="FILE", help="write the log here")
    add.add_argument("--state-dir", metavar="DIR", help="resume data, port and hash cache (default: the platform's)")


def _unknown_command(word: str) -> UsageError:
    # A torrent with no command before it: webtorrent and aria2c taught people to write that.
    if is_link(word) or os.path.exists(word):
        verb = "fetch" if is_link(word) or word.endswith(".torrent") else "seed"
        return UsageError("a command is missing", hint=f"did you mean: tl {verb} {shlex.quote(word)}")
    meant = closest(word, COMMANDS)
    hint = f"did you mean '{meant}'?" if meant else f"one of {', '.join(COMMANDS)}; tl --help tells more"
    return UsageError(f"unknown command {word!r}", hint=hint)


def _overview() -> str:
    lines = ["usage: tl COMMAND …", ""]
    lines += [f"  {f'{name} {_ARGUMENTS[name]}':<16} {summary}" for name, summary in COMMANDS.items()]
    lines += ["", _SRC, "", "tl COMMAND --help lists the flags of a command; tl --version. New here? Try: tl demo"]
    return "\n".join(lines)
