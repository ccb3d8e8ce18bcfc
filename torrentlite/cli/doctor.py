"""``tl doctor``: what keeps torrents from working here, and what to do about it."""

from __future__ import annotations

import argparse
import os
import textwrap
from collections.abc import Callable

import trio

from ..dht import ROUTERS
from ..metainfo.text import display
from ..swarm.world import real_world
from . import arguments, sessions
from .checkup import Finding, Verdict, clock, machine
from .checkup.outside import open_outside
from .exits import Exit
from .files import require_folder
from .output import Job, Output
from .progress import Glance
from .signals import Interrupt
from .terminal import STDOUT, Mode, is_terminal, terminal_size

_LABELS = {Verdict.OK: "ok", Verdict.NOTE: "note", Verdict.BAD: "BAD", Verdict.UNKNOWN: "?"}
_STYLES = {Verdict.BAD: "red", Verdict.NOTE: "bold"}
_CODES = {"packages": Exit.UNEXPECTED, "disk": Exit.DISK}
_LONGEST = 400
_INDENT = 20


async def run(args: argparse.Namespace, output: Output, interrupt: Interrupt) -> int:
    """Look at everything, say each finding as it comes, and what to do about it."""
    require_folder(args.output)
    codes: list[Exit] = []

    def say(finding: Finding) -> None:
        _say(finding, output)
        if finding.verdict is Verdict.BAD:
            codes.append(_CODES.get(finding.name, Exit.NETWORK))

    with interrupt.scope:
        with output.showing_live(Job(lambda: Glance("the network, for up to a minute", "asking"))):
            await _look(args, output, say)
        return next(iter(codes), Exit.DONE)
    return interrupt.code


async def _look(args: argparse.Namespace, output: Output, say: Callable[[Finding], None]) -> None:
    sessions.refuse_proxy(args, "what tl doctor asks the network")
    names = arguments.flag_names()
    for each in await trio.to_thread.run_sync(lambda: list(machine.local(os.environ, names, args.output))):
        say(each)
    state = sessions.state_dir(args, output)
    say(await trio.to_thread.run_sync(machine.state, state))
    if output.mode is Mode.PLAIN:
        output.note("asking the network, for up to a minute")
    host, port = args.listen or ("", sessions.kept_port(state))
    world = real_world(host, args.interface)
    if trouble := world.interface():
        cure = "nothing goes another way until then; --interface '' does without it for once"
        say(Finding("interface", Verdict.BAD, trouble, cure))
    say(await clock.look(world.network, args.time_server or clock.SERVER, secret=os.urandom))
    routers = args.bootstrap or ROUTERS
    async with open_outside(
        world.network,
        host=host,
        port=port,
        routers=routers,
        secret=os.urandom,
        fallback=args.listen is None,
        gateway=world.gateway,
    ) as outside:
        await outside.look(say)


def _say(finding: Finding, output: Output) -> None:
    message, cure = display(finding.message, limit=_LONGEST), display(finding.cure, limit=_LONGEST)
    output.event("check", name=finding.name, verdict=finding.verdict.value, message=message, cure=cure)
    label = _LABELS[finding.verdict].ljust(5)
    style = _STYLES.get(finding.verdict)
    first, *rest = _wrapped(message)
    output.result(f"{output.style(label, style) if style else label} {finding.name:<13} {first}")
    for line in rest:
        output.result(f"{'':<{_INDENT}}{line}")
    for number, line in enumerate(_wrapped(cure) if cure else []):
        output.result(f"{'':<{_INDENT}}{'  ' if number else '→ '}{line}")


def _wrapped(text: str) -> list[str]:
    """In lines that fit the terminal; for a pipe in one."""
    if not is_terminal(STDOUT):
        return [text]
    width = max(20, terminal_size()[0] - _INDENT - 3)
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
