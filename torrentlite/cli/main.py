"""The way in: parse, run one command, leave with its code. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import argparse
import gc
import importlib
import io
import os
import sys
import traceback
import warnings
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from . import arguments
from .exits import Exit, UsageError, code_of, explain, unwrap

if TYPE_CHECKING:
    from .output import Output
    from .signals import Interrupt

    Command = Callable[[argparse.Namespace, Output, Interrupt], Awaitable[int]]

_WITH_DASHBOARD = ("fetch", "seed")
_ONE_OBJECT = ("info", "magnet")
"""Commands whose JSON is one object."""
_LAST_WORDS = 1.0
"""Seconds that a run which was told to end gives a stuck terminal to take its last lines."""


def main(argv: list[str] | None = None) -> int:
    """Run ``tl`` with these arguments and return its exit code."""
    _mend_standard_streams()
    words = sys.argv[1:] if argv is None else argv
    shows_all = sum(len(word) - 1 if word[:2] == "-v" else word == "--verbose" for word in words) >= 2
    try:
        args = arguments.parse(words)
        shows_all = args.verbose >= 2
        if argv is None and not (shows_all or sys.warnoptions):
            warnings.simplefilter("ignore")  # they are for who works on tl
        return _run(args)
    except UsageError as error:
        _say("\n".join(explain(error)))
        return Exit.USAGE
    except SystemExit as leave:  # --help and --version
        return int(leave.code or 0)
    except BaseException as error:  # nor outside of the command, which reports its own
        if isinstance(unwrap(error), KeyboardInterrupt):  # in the moments before and after our own handlers
            return 130
        if shows_all:
            _say("".join(traceback.format_exception(error)).rstrip())
        _say("\n".join(explain(unwrap(error))))
        return code_of(error)


def _run(args: argparse.Namespace) -> int:
    import trio

    from . import output as out
    from .terminal import choose_mode

    command: Command = importlib.import_module(f"{__package__}.{args.command}").run
    # What was imported stays for good. To look for garbage in it takes 35 ms of a command of 400, most at its end.
    gc.freeze()
    gc.enable()
    mode, colour = choose_mode(json_lines=args.json, quiet=args.quiet, plain=args.plain, no_color=args.no_color)
    output: Output | None = None

    async def start() -> int:
        nonlocal output
        output = out.Output(mode, verbosity=args.verbose, colour=colour, one_object=args.command in _ONE_OBJECT)
        return await _supervise(command, args, output)

    code = trio.run(start)
    assert output is not None
    return code


async def _supervise(command: Command, args: argparse.Namespace, output: Output) -> int:
    """Run a command with its signals, its log and its writer; turn what it raises into words and a code."""
    import trio

    from ..metainfo.text import display
    from .logs import logging_to
    from .signals import catch_signals
    from .terminal import STDOUT, Mode, is_terminal

    with catch_signals() as interrupt:
        if args.command != "doctor":  # it is one of its findings
            for name, meant in args.strangers.items():
                hint = f"; did you mean {meant}?" if meant else ""
                output.note(f"{display(name)} is set, and no flag is called so{hint}")
        if args.command in _WITH_DASHBOARD and args.dash and output.mode is Mode.PLAIN:
            output.note("--dash needs a terminal: plain lines instead")
        if args.command in _WITH_DASHBOARD and output.mode is Mode.LIVE:
            # Not what somebody else reads: a .torrent that is typed, the pager at the other end of our pipe.
            ours = "-" not in (args.source if args.command == "fetch" else args.path)
            keys = ours and (args.dash or is_terminal(STDOUT))
            output.have_dashboard(f"tl {args.command}", interrupt, open=args.dash, keys=keys)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: output.run(stdout_failed=interrupt.stop))
            try:
                with logging_to(output, args):
                    code = await command(args, output, interrupt)
                if interrupt.signal and code == interrupt.code:
                    output.interrupted("Interrupted.", "")
            except Exception as error:
                code = output.error(error)
            nursery.cancel_scope.cancel()
        output.event("bye", code=code)
        output.screen.finish(_LAST_WORDS if interrupt.happened else None)
    failure = output.screen.stdout_error
    if failure is not None and not isinstance(failure, BrokenPipeError):
        _say(f"tl: cannot write the results: {failure.strerror}")
        return Exit.DISK
    return code


def _mend_standard_streams() -> None:
    """Give closed standard streams something: else the next file or socket would get their number, and our words."""
    descriptor = 0
    while descriptor <= 2:
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # help and usage errors, under any locale


def _say(text: str) -> None:
    """A line on stderr, where it can be had: a full disk behind it changes neither the code nor anything else."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # Python would try again at its end, and leave with 120
