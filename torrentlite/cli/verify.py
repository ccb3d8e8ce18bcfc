"""``tl verify SRC PATH``: compare data on disk with a torrent; changes nothing."""

from __future__ import annotations

import argparse
import os
import pathlib
from collections.abc import Sequence

from .. import VerifyReport, verify
from ..errors import StorageError
from ..metainfo.text import display
from ..storage.survey import part_name
from ..verifying import Problem
from . import sessions, sources, units
from .exits import Exit
from .files import require_path
from .hashing import Tally
from .output import Job, Output
from .signals import Interrupt
from .terminal import Mode

_MOST_RUNS = 20
"""Runs of bad pieces that are named for one file."""


async def run(args: argparse.Namespace, output: Output, interrupt: Interrupt) -> int:
    """Hash, name the bad files and pieces, and say how much is right."""
    with interrupt.scope:
        metainfo = await sessions.with_metadata(await sources.read(args.source, args, output), args, output)
        _require_path(args.path, metainfo.info_hash)
        tally = Tally(metainfo.name, "checking")
        if output.mode is Mode.PLAIN:
            output.note(f"checking {display(args.path)} against {display(metainfo.name)}")
        job = Job(tally.glance)
        with output.showing(job):
            report = await verify(metainfo, args.path, progress=tally)
            output.tell(job)
        _say(report, args.path, metainfo.info_hash, metainfo.total, output)
        return Exit.DONE if report.ok else Exit.MISMATCH
    return interrupt.code


def _unfinished(path: str, info_hash: str) -> str:
    """What to say of a file that is not there because it is not fetched whole; else an empty text."""
    part = part_name(path, info_hash)
    return f"{os.path.basename(part)} is there: it is not fetched whole yet" if os.path.lexists(part) else ""


def _require_path(path: str, info_hash: str) -> None:
    if not os.path.lexists(path) and (why := _unfinished(path, info_hash)):
        raise StorageError(f"cannot read '{path}': {why}", path=path, hint="the same tl fetch goes on with it")
    require_path(path, "read")


def _as_typed(path: pathlib.Path, typed: str) -> str:
    """What was looked at, or a file in it, in the person's own words: pathlib makes ``-x`` of ``./-x``."""
    return os.path.join(typed, *path.relative_to(typed).parts)


def _say(report: VerifyReport, typed: str, info_hash: str, total: int, output: Output) -> None:
    root = _as_typed(report.root, typed)
    paths = [_as_typed(bad.path, typed) for bad in report.bad_files]
    messages = [
        bad.message or (_unfinished(path, info_hash) if bad.problem is Problem.MISSING else "")
        for path, bad in zip(paths, report.bad_files, strict=True)
    ]
    output.event(
        "verified",
        info_hash,
        ok=report.ok,
        path=root,
        pieces=report.pieces,
        bad_pieces=list(report.bad_pieces),
        good_bytes=report.good_bytes,
        total=total,
        files=[
            {"path": path, "problem": bad.problem.value, "pieces": list(bad.pieces), "message": message}
            for path, bad, message in zip(paths, report.bad_files, messages, strict=True)
        ],
    )
    for path, bad, message in zip(paths, report.bad_files, messages, strict=True):
        more = f" ({display(message)})" if message else ""
        which = f": {pieces_in_words(bad.pieces)}" if bad.pieces else ""
        output.result(f"{output.style(bad.problem.value, 'red')}  {display(path, limit=4096)}{more}{which}")
    if report.ok:
        output.result(f"all {units.plural(report.pieces, 'piece')} match: {units.size(total)} in {display(root)}")
    else:
        share = units.percent(report.good_bytes, total) if total else "100 %"
        of = f"{len(report.bad_pieces):,} of {units.plural(report.pieces, 'piece')}"
        output.result(f"{of} do not match; {share} of the data is right")


def pieces_in_words(pieces: Sequence[int]) -> str:
    """``pieces 0-4, 7 and 12-80``; a long list is cut."""
    runs: list[list[int]] = []
    for piece in pieces:
        if runs and piece == runs[-1][1] + 1:
            runs[-1][1] = piece
        else:
            runs.append([piece, piece])
    words = [f"{first}-{last}" if last > first else f"{first}" for first, last in runs[:_MOST_RUNS]]
    if len(runs) > _MOST_RUNS:
        words.append("more")
    listed = " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)
    return f"{'piece' if len(pieces) == 1 else 'pieces'} {listed}"
