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
from typing import Any, Final, NoReturn

from .. import __version__
from ..errors import StorageError
from . import config, values
from .commands import COMMANDS, SRC
from .exits import Exit, UsageError, closest
from .sources import is_link


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
        _show(overview())
    if word == "--version":
        _show(f"tl {__version__}")
    if word not in COMMANDS:
        raise _unknown_command(word)
    parser = CommandParser(word)
    try:
        args, extra = parser.parse_known_intermixed_args(_without_dashes(argv[1:]))
    except UsageError as error:
        # What is missing may be so because of a flag that was misspelt: that is said first.
        unknown = parser.unknown(argv[1:]) if str(error).startswith("missing:") else ""
        raise _unknown_flag(parser, unknown) if unknown else error from None
    if extra and not extra[0].startswith("-"):
        parser.error(f"{parser.prog[3:]} takes no {extra[0]!r} as well")
    if extra:
        raise _unknown_flag(parser, extra[0])
    config.fill(args, word, parser.untyped(args), os.environ, flag_names)
    for flag in parser.untyped(args):
        setattr(args, flag.dest, parser.defaults[flag.dest])
    args.strangers = config.strangers(os.environ, flag_names)
    args.command = word
    args.argv = argv
    return args


def _unknown_flag(parser: CommandParser, word: str) -> UsageError:
    command = parser.prog.removeprefix("tl ")
    meant = closest(word.partition("=")[0], parser.options)
    hint = f"did you mean {meant}?" if meant else f"tl {command} --help lists its flags"
    return UsageError(f"{command} does not know {word!r}", hint=hint)


def _show(text: str) -> NoReturn:
    """Print it and leave by SystemExit.

    Raises:
        StorageError: stdout does not take it.
    """
    try:
        print(text, flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python would try again at its end, and complain
        if isinstance(error, BrokenPipeError):  # … | head: it was all there to be read
            raise SystemExit(Exit.DONE) from None
        raise StorageError(f"cannot write the results: {error.strerror}") from error
    raise SystemExit(Exit.DONE)


def flag_names() -> dict[str, list[str]]:
    """The long names of all flags without their dashes, by command."""
    return {word: [config.name_of(flag) for flag in CommandParser(word).flags] for word in COMMANDS}


def _without_dashes(words: list[str]) -> list[str]:
    """The words with ``--`` taken out: what follows it are paths, and those that look like flags get a ``./``.

    (Python 3.11 loses them when flags and words are mixed.)
    """
    if "--" not in words:
        return words
    end = words.index("--")
    # "-" alone is stdin wherever it stands.
    return words[:end] + [f"./{word}" if word.startswith("-") and word != "-" else word for word in words[end + 1 :]]


class CommandParser(argparse.ArgumentParser):
    """The arguments and flags of one command.

    Attributes:
        defaults: what a flag is that was named nowhere, by its ``dest``.
    """

    def __init__(self, name: str) -> None:
        command = COMMANDS[name]
        examples = "\n".join(["examples:", *(f"  {line}" for line in command.examples)])
        super().__init__(
            prog=f"tl {name}",
            usage=" ".join(["tl", name, *command.arguments.split(), "[flags]"]),
            description=f"{command.summary[0].upper()}{command.summary[1:]}.",
            epilog=f"{SRC}\n\n{examples}" if "SRC" in command.arguments else examples,
            formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=32),
            allow_abbrev=False,
        )
        self._positionals.title, self._optionals.title = "arguments", "flags"
        _FLAGS[name](self)
        _add_common(self)
        # What was not typed stays unset, so that the environment and the file can be asked before the default.
        self.defaults: dict[str, Any] = {}
        for flag in self.flags:
            self.defaults[flag.dest], flag.default = flag.default, argparse.SUPPRESS

    @property
    def flags(self) -> list[argparse.Action]:
        """All but ``--help``."""
        return [action for action in self._actions if action.option_strings and action.dest != "help"]

    @property
    def words(self) -> list[argparse.Action]:
        """What is typed without dashes, in order."""
        return [action for action in self._actions if not action.option_strings]

    def untyped(self, args: argparse.Namespace) -> list[argparse.Action]:
        """The flags that have no value yet."""
        return [flag for flag in self.flags if not hasattr(args, flag.dest)]

    @property
    def options(self) -> list[str]:
        """How they are typed."""
        return [option for action in self._actions for option in action.option_strings]

    def unknown(self, words: list[str]) -> str:
        """The first of these words that is meant as a long flag and is none, or an empty string."""
        before = words[: words.index("--")] if "--" in words else words
        names = (word.partition("=")[0] for word in before if word.startswith("--"))
        return next((name for name in names if name not in self.options), "")

    def print_help(self, file: object = None) -> NoReturn:
        """Our own way here too: argparse's leaves a full disk to Python's end."""
        _show(self.format_help().removesuffix("\n"))

    def error(self, message: str) -> NoReturn:
        """Say it our way instead of printing the usage and leaving."""
        message = re.sub(r"^argument ((?:-\w/)?-*[\w-]+)", r"\1", message)
        message = message.replace("the following arguments are required:", "missing:")
        raise UsageError(message, hint=f"usage: {self.usage}   (tl {self.prog[3:]} --help)")


def _fetch(add: CommandParser) -> None:
    add.add_argument("source", metavar="SRC", nargs="+", help="what to fetch")
    add.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        type=values.FOLDER,
        default=".",
        help="save here (default: this folder); - is stdout",
    )
    _add_list(add, "-s", "--select", metavar="WHICH", help="only these files: 1,3-5 or a glob")
    add.add_argument("--list", action="store_true", help="list the files with their numbers, and leave")
    add.add_argument("--seed", action="store_true", help="go on sharing after completion, until Ctrl-C")
    _add_sharing(add)
    add.add_argument("--sequential", action="store_true", help="fetch from the first byte to the last")
    _add_list(add, "-w", "--web-seed", metavar="URL", type=values.WEB_SEED, help="a server that has it: file or folder")
    add.add_argument("--sha256", metavar="HEX", type=values.SHA256, help="what the one file must have")
    add.add_argument("--overwrite", action="store_true", help="replace a different file that is in the way")
    _add_list(
        add, "--reuse", metavar="OTHER", help="copy what is the same from here: a folder or file, an older version"
    )
    _add_timeout(add)
    _add_swarm(add)
    _add_rates(add)


def _stream(add: CommandParser) -> None:
    add.add_argument("source", metavar="SRC", help="what to play")
    add.add_argument("file", metavar="FILE", nargs="?", help="its number, or a glob (default: the largest)")
    add.add_argument(
        "-o", "--output", metavar="DIR", type=values.FOLDER, help="keep it in this folder (default: nothing is kept)"
    )
    add.add_argument(
        "--cache", metavar="SIZE", type=values.SIZE, default=256 << 20, help="memory without -o (default: 256M)"
    )
    _add_list(add, "-w", "--web-seed", metavar="URL", type=values.WEB_SEED, help="a server that has it: file or folder")
    add.add_argument(
        "--player", metavar="CMD", type=values.COMMAND, help="run this with the URL, and leave when it ends"
    )
    add.add_argument("--port", metavar="PORT", type=values.PORT, default=0, help="of HTTP (default: any free one)")
    _add_timeout(add)
    _add_swarm(add)
    _add_limits(add)


def _seed(add: CommandParser) -> None:
    add.add_argument("path", metavar="PATH", nargs="+", help="a file, a folder, or a .torrent with -o")
    add.add_argument(
        "-o", "--output", metavar="DIR", type=values.FOLDER, default=".", help="where the data of a .torrent lies"
    )
    add.add_argument("--qr", action="store_true", help="draw the link as a QR code too")
    add.add_argument(
        "--publish", metavar="FILE", help="print a link that stays, too; FILE is its key, made where there is none"
    )
    _add_sharing(add)
    _add_swarm(add)
    _add_rates(add)


def _create(add: CommandParser) -> None:
    add.add_argument("path", metavar="PATH", help="the file or folder to share")
    add.add_argument("-O", "--torrent", metavar="FILE", help="write here (default: NAME.torrent in this folder)")
    _add_list(add, "-w", "--web-seed", metavar="URL", type=values.WEB_SEED, help="where clients may fetch it from too")
    add.add_argument(
        "--piece-size", metavar="SIZE", type=values.PIECE_SIZE, help="a power of two, 16k to 16M (default: by size)"
    )
    version = add.add_mutually_exclusive_group()
    version.add_argument("--hybrid", action="store_true", help="for clients of version 1 and 2 (BEP 52)")
    version.add_argument("--v2", action="store_true", help="for clients of version 2 alone")
    add.add_argument("--private", action="store_true", help="peers from the trackers only")
    add.add_argument("--comment", metavar="TEXT", default="", help="kept in the .torrent, for people")
    add.add_argument("--magnet", action="store_true", help="print the magnet link too")
    add.add_argument("--overwrite", action="store_true", help="replace a different .torrent that is in the way")
    _add_trackers(add)


def _info(add: CommandParser) -> None:
    add.add_argument("source", metavar="SRC", help="a magnet's metadata is fetched")
    _add_timeout(add)
    _add_swarm(add)


def _verify(add: CommandParser) -> None:
    add.add_argument("source", metavar="SRC")
    add.add_argument("path", metavar="PATH", help="the file or folder, or the folder that it lies in")
    _add_timeout(add)
    _add_swarm(add)


def _magnet(add: CommandParser) -> None:
    add.add_argument("source", metavar="SRC", help="only a URL is fetched for it")
    add.add_argument("--qr", action="store_true", help="draw it as a QR code too")
    _add_ways(add)


def _demo(add: CommandParser) -> None:
    add.add_argument("--size", metavar="SIZE", type=values.SOME, default=256 << 20, help="of the file (default: 256M)")


def _peers(add: CommandParser) -> None:
    add.add_argument("source", metavar="SRC", help="only a URL is fetched for it")
    _add_listen(add)
    _add_ways(add)
    _add_bootstrap(add)
    add.add_argument("--no-dht", action="store_true", help="ask the trackers only")
    _add_trackers(add)


def _dht(add: CommandParser) -> None:
    add.add_argument("action", metavar="lookup|node", choices=("lookup", "node"), help="what to do")
    add.add_argument("hash", metavar="HASH", nargs="?", help="lookup: an info-hash or a magnet link")
    _add_listen(add)
    _add_ways(add)
    _add_bootstrap(add)
    add.add_argument(
        "--timeout", metavar="TIME", type=values.DURATION, help="lookup: for as long no node may answer (default: 20s)"
    )


def _doctor(add: CommandParser) -> None:
    add.add_argument(
        "-o", "--output", metavar="DIR", type=values.FOLDER, default=".", help="look at this folder (default: this one)"
    )
    _add_listen(add)
    _add_ways(add)
    _add_bootstrap(add)
    add.add_argument(
        "--time-server", metavar="HOST:PORT", type=values.PEER, help="compare the clock with (default: pool.ntp.org)"
    )


def _completions(add: CommandParser) -> None:
    add.add_argument("shell", metavar="SHELL", choices=("bash", "zsh", "fish"), help="bash, zsh or fish")


_FLAGS: Final[dict[str, Callable[[CommandParser], None]]] = {
    "fetch": _fetch,
    "stream": _stream,
    "seed": _seed,
    "create": _create,
    "info": _info,
    "verify": _verify,
    "magnet": _magnet,
    "peers": _peers,
    "dht": _dht,
    "doctor": _doctor,
    "demo": _demo,
    "completions": _completions,
}


def _add_list(add: CommandParser, *options: str, metavar: str, help: str, type: Callable[[str], Any] = str) -> None:
    add.add_argument(*options, metavar=metavar, type=type, action="append", default=[], help=f"{help} (repeatable)")


def _add_timeout(add: CommandParser) -> None:
    add.add_argument(
        "--timeout",
        metavar="TIME",
        type=values.DURATION,
        help="give up after this long without peers, metadata or progress (default: never on a terminal, else 30m)",
    )


def _add_listen(add: CommandParser) -> None:
    add.add_argument(
        "--listen", metavar="[HOST:]PORT", type=values.LISTEN, help="TCP and UDP (default: all interfaces, a kept port)"
    )


def _add_bootstrap(add: CommandParser) -> None:
    _add_list(
        add, "--bootstrap", metavar="HOST:PORT", type=values.PEER, help="a DHT node to join by, not the public ones"
    )


def _add_ways(add: CommandParser) -> None:
    add.add_argument(
        "--interface",
        metavar="NAME",
        type=values.INTERFACE,
        default="",
        help="everything by this network interface (wg0), or not at all; Linux",
    )
    add.add_argument(
        "--proxy",
        metavar="PROXY",
        type=values.PROXY,
        default="",
        help="everything through socks5://[USER:PASSWORD@]HOST[:PORT], or not at all",
    )


def _add_swarm(add: CommandParser) -> None:
    _add_listen(add)
    _add_ways(add)
    _add_bootstrap(add)
    add.add_argument("--no-dht", action="store_true", help="do not look for peers in the DHT")
    add.add_argument("--no-lsd", action="store_true", help="do not look for peers on the local network")
    add.add_argument("--no-pex", action="store_true", help="do not exchange peers with peers")
    add.add_argument("--no-port-map", action="store_true", help="do not ask the router to open the port")
    for flag, choices, what in (
        ("--encryption", values.ENCRYPTION, "of connections to peers"),
        ("--utp", values.UTP, "connections over UDP"),
    ):
        help = f"{what}: {', '.join(choices)} (default: allow)"
        add.add_argument(flag, metavar="WHEN", choices=choices, default="allow", help=help)
    _add_list(add, "--peer", metavar="HOST:PORT", type=values.PEER, help="somebody who has it")
    _add_trackers(add)


def _add_trackers(add: CommandParser) -> None:
    _add_list(add, "-t", "--tracker", metavar="URL", type=values.TRACKER, help="udp://, http:// or https://")


def _add_sharing(add: CommandParser) -> None:
    add.add_argument(
        "--ratio", metavar="R", type=values.RATIO, help="share until R times the size was given (1.0: once)"
    )
    add.add_argument("--copies", metavar="N", type=values.COPIES, help="share until N others have all of it")
    add.add_argument("--seed-time", metavar="TIME", type=values.DURATION, help="share for so long: 90s, 30m, 2d")


def _add_rates(add: CommandParser) -> None:
    add.add_argument("--dash", action="store_true", help="the full dashboard; d opens it later, ? explains it")
    _add_limits(add)


def _add_limits(add: CommandParser) -> None:
    add.add_argument(
        "-d",
        "--down",
        metavar="RATE",
        type=values.SIZE,
        default=0,
        help="take no more bytes a second: 500k, 2M; 0 is no limit",
    )
    add.add_argument(
        "-u",
        "--up",
        metavar="RATE",
        type=values.SIZE,
        default=0,
        help="give no more bytes a second: 500k, 2M; 0 is no limit",
    )


def _add_common(add: CommandParser) -> None:
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
    if word.startswith("-") and word != "-":
        return UsageError(f"{word!r} stands before the command", hint=f"flags come after it: tl COMMAND … {word}")
    meant = closest(word, COMMANDS)
    hint = f"did you mean '{meant}'?" if meant else f"one of {', '.join(COMMANDS)}; tl --help tells more"
    return UsageError(f"unknown command {word!r}", hint=hint)


def overview() -> str:
    """What ``tl --help`` says: it fits on a screen of 80 columns and 24 lines."""
    lines = ["usage: tl COMMAND …", ""]
    calls = {f"{name} {command.arguments}": command.summary for name, command in COMMANDS.items()}
    width = max(map(len, calls))
    lines += [f"  {call:<{width}} {summary}" for call, summary in calls.items()]
    lines += ["", SRC, "", "tl COMMAND --help lists the flags of a command, with examples; tl --version."]
    return "\n".join([*lines, "New here? Try: tl demo"])
