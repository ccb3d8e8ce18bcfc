"""``tl completions SHELL``: the completion script, for where installing did not put it in place."""

from __future__ import annotations

import argparse

from .exits import Exit
from .output import Output
from .shells import SCRIPTS
from .signals import Interrupt


async def run(args: argparse.Namespace, output: Output, interrupt: Interrupt) -> int:
    """Print it."""
    text = SCRIPTS[args.shell]()
    output.event("completions", shell=args.shell, script=text)
    for line in text.splitlines():
        output.result(line)
    return Exit.DONE
