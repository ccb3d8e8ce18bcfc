"""``tl create PATH``: write a .torrent."""

from __future__ import annotations

import argparse
import os
import pathlib
import shlex

import trio

from ..errors import FileInTheWayError, StorageError
from ..metainfo.text import display
from . import sessions
from .exits import Exit
from .files import lies_in, write_whole
from .hashing import hash_path
from .listing import warnings_of
from .output import Output
from .signals import Interrupt


async def run(args: argparse.Namespace, output: Output, interrupt: Interrupt) -> int:
    """Hash, write, and print where to."""
    with interrupt.scope:
        state = sessions.state_dir(args, output)
        target = _target(args)
        if inside := _lies_inside(target, args.path):
            output.note(inside)
        metainfo = await hash_path(
            args.path,
            output,
            state_dir=state,
            trackers=args.tracker,
            web_seeds=args.web_seed,
            private=args.private,
            comment=args.comment,
            piece_length=args.piece_size,
            version="v2" if args.v2 else "hybrid" if args.hybrid else "v1",
        )
        await trio.to_thread.run_sync(_write, target, metainfo.encode(), args.overwrite)
        magnet = metainfo.magnet
        output.event(
            "created",
            metainfo.info_hash,
            path=str(target),
            magnet=magnet,
            name=metainfo.name,
            total=metainfo.total,
            warnings=[*filter(None, [inside]), *warnings_of(metainfo)],
        )
        output.result(str(target))
        if args.magnet:
            output.result(magnet)
        return Exit.DONE
    return interrupt.code


def _target(args: argparse.Namespace) -> pathlib.Path:
    """Where to write; looked at before the hashing, which can take long."""
    if args.torrent:
        target = pathlib.Path(args.torrent)
    else:
        target = pathlib.Path(f"{pathlib.Path(os.path.abspath(args.path)).name or 'root'}.torrent")
    if target.is_dir():
        raise StorageError(f"cannot write '{target}': it is a folder", path=str(target), hint="-O names the file")
    if target.exists() and not target.is_file():  # a pipe would be read to its end, which never comes
        raise StorageError(f"cannot write '{target}': it is no file", path=str(target), hint="-O names the file")
    if not target.absolute().parent.is_dir():
        raise StorageError(f"cannot write '{target}': there is no folder '{target.parent}'", path=str(target))
    return target


def _lies_inside(target: pathlib.Path, path: str) -> str:
    """What to say where the .torrent will be one of the files of which it tells; else an empty text."""
    if not (os.path.isdir(path) and lies_in(target, path)):
        return ""
    above = os.path.relpath(os.path.dirname(os.path.realpath(path)))
    beside = shlex.quote(os.path.normpath(os.path.join(above, target.name)))
    return (
        f"'{display(target.name)}' will lie in the folder that it describes, and count as one of its files from then "
        f"on; -O {display(beside)} puts it beside"
    )


def _write(target: pathlib.Path, data: bytes, overwrite: bool) -> None:
    try:
        if target.exists() and not overwrite and target.read_bytes() != data:
            raise FileInTheWayError(
                f"'{target}' exists and is different",
                path=str(target),
                hint="--overwrite replaces it; -O names another",
            )
        write_whole(target, data)
    except OSError as error:
        raise StorageError(
            f"cannot write '{target}': {(error.strerror or str(error)).lower()}",
            errno=error.errno or 0,
            path=str(target),
        ) from error
