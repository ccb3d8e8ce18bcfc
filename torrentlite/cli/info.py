"""``tl info SRC``: what a torrent holds."""

from __future__ import annotations

import argparse

from ..metainfo.text import display
from . import sessions, sources, units
from .exits import Exit
from .listing import as_json, facts, real_files
from .output import Output
from .signals import Interrupt
from .terminal import STDOUT, is_terminal

_MOST_ON_SCREEN = 50
"""Files that a person is shown unasked; a pipe gets them all."""


async def run(args: argparse.Namespace, output: Output, interrupt: Interrupt) -> int:
    """Print a table, or one JSON object."""
    with interrupt.scope:
        found = await sources.read(args.source, args, output)
        metainfo = await sessions.with_metadata(found, args, output, shown=True)
        output.answer("info", **as_json(metainfo))
        rows = facts(metainfo)
        wide = max(len(label) for label, _ in rows)
        for label, value in rows:
            output.result(f"{output.style(label.rjust(wide), 'bold')}  {value}")
        if metainfo.info.multi:
            files = real_files(metainfo.info)
            shown = files[:_MOST_ON_SCREEN] if is_terminal(STDOUT) else files
            output.result("")
            for number, entry in enumerate(shown, 1):
                path = display("/".join(entry.path), limit=4096)
                output.result(f"{number:>5}  {units.size(entry.length):>9}  {path}")
            if len(shown) < len(files):
                output.result(f"       and {len(files) - len(shown):,} more: tl info … | less shows them all")
        return Exit.DONE
    return interrupt.code
