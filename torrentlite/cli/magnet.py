"""``tl magnet SRC``: the link."""

from __future__ import annotations

import argparse

from .. import Magnet
from . import qr, sources
from .exits import Exit
from .output import Output
from .signals import Interrupt


async def run(args: argparse.Namespace, output: Output, interrupt: Interrupt) -> int:
    """Print the magnet link; nothing but a URL is ever fetched for it."""
    if args.qr:
        qr.require_qr()
    with interrupt.scope:
        found = await sources.read(args.source, args, output)
        link = str(found) if isinstance(found, Magnet) else found.magnet
        output.answer("magnet", found.info_hash, magnet=link)
        output.result(link)
        if args.qr:
            qr.show(link, output)
        return Exit.DONE
    return interrupt.code
