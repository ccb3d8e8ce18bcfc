"""Sharing after completion: whether, and until when (``--seed``, ``--ratio``, ``--copies``, ``--seed-time``)."""

from __future__ import annotations

import argparse

import trio

from .. import Session, State, Torrent
from ..errors import TorrentError
from ..metainfo.text import display
from . import units
from .output import Output

_LOOK: float = 0.5
"""Seconds between two looks at whether enough was shared."""
_REST: float = 30.0
"""Seconds that who is being served gets after it was enough: a ratio of 1.0 shall make one whole copy, and its end is
still under way when we count it."""


def wanted(args: argparse.Namespace) -> bool:
    """Whether ``fetch`` goes on sharing: a limit for it is a wish for it."""
    return args.seed or any(limit is not None for limit in (args.ratio, args.copies, args.seed_time))


async def share(torrent: Torrent, session: Session, args: argparse.Namespace, output: Output) -> None:
    """Share until cancelled, or until the first of the limits is reached; then the torrent leaves the session.

    Raises:
        TorrentError: the torrent failed, for example because its file is gone.
    """
    began = trio.current_time()
    try:
        await _until_enough(torrent, args, began)
    except trio.Cancelled:  # Ctrl-C: how most of it ends
        _say_what_was_shared(torrent, began, output)
        raise
    await session.remove(torrent)
    _say_what_was_shared(torrent, began, output)


async def _until_enough(torrent: Torrent, args: argparse.Namespace, began: float) -> None:
    enough_at: float | None = None
    while True:
        now = trio.current_time()
        if torrent.state is State.ERROR:
            raise torrent.error or TorrentError(f"{torrent.name} failed")
        stats = torrent.stats()
        # Without a byte to give, any ratio is reached.
        given = args.ratio is not None and (stats.ratio >= args.ratio or not stats.total)
        if enough_at is None and (given or (args.copies is not None and stats.copies >= args.copies)):
            enough_at = now
        if enough_at is not None and (now - enough_at >= _REST or not _being_served(torrent)):
            return
        if args.seed_time is not None and now - began >= args.seed_time:
            return
        await trio.sleep(_LOOK)


def _say_what_was_shared(torrent: Torrent, began: float, output: Output) -> None:
    stats, seconds = torrent.stats(), trio.current_time() - began
    output.event(
        "shared",
        torrent.info_hash,
        uploaded=stats.uploaded,
        ratio=round(stats.ratio, 4),
        copies=stats.copies,
        seconds=round(seconds, 3),
    )
    output.note(
        f"{display(torrent.name)}: shared {units.size(stats.uploaded)} "
        f"in {units.duration(seconds)}, {stats.ratio:.2f} times its size"
        + (f"; {units.others_have(stats.copies)} all of it" if stats.copies else "")
    )


def _being_served(torrent: Torrent) -> bool:
    return any(peer.peer_interested and not peer.am_choking for peer in torrent.peers())
