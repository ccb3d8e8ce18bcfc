"""The events of a torrent, told in JSON."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import trio

from .. import Event, PieceFailed, Torrent, TrackerReplied
from ..metainfo.text import display
from .output import Output
from .terminal import Mode


@contextlib.asynccontextmanager
async def tell_events(torrent: Torrent, output: Output) -> AsyncIterator[None]:
    """Tell what happens to this torrent while the block lasts; progress is told by its job.

    An exception of the block comes out as itself, not in an ExceptionGroup.
    """
    if output.mode is not Mode.JSON:
        yield
        return
    failure: Exception | None = None
    async with torrent.events() as events, trio.open_nursery() as nursery:

        async def tell() -> None:
            async for event in events:
                _tell(event, torrent.info_hash, output)

        nursery.start_soon(tell)
        try:
            yield
        except Exception as error:
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


def _tell(event: Event, info_hash: str, output: Output) -> None:
    match event:
        case PieceFailed():
            output.event("piece_failed", info_hash, piece=event.piece, peers=list(event.peers))
        case TrackerReplied():
            output.event(
                "tracker", info_hash, url=event.url, ok=event.ok, message=display(event.message), peers=event.peers
            )
