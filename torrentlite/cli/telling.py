"""The events of a torrent, told in JSON to programs, and to people in the dashboard's log."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import trio

from .. import (
    Event,
    MetadataReceived,
    PeerBanned,
    PeersFound,
    PieceFailed,
    StateChanged,
    Torrent,
    TrackerReplied,
    WebSeedFailed,
)
from ..metainfo.text import display
from . import units
from .output import Output
from .terminal import Mode


@contextlib.asynccontextmanager
async def tell_events(torrent: Torrent, output: Output) -> AsyncIterator[None]:
    """Tell what happens to this torrent while the block lasts; progress is told by its job.

    An exception of the block comes out as itself, not in an ExceptionGroup.
    """
    if output.mode is Mode.QUIET:
        yield
        return
    failure: Exception | None = None
    async with torrent.events() as events, trio.open_nursery() as nursery:

        async def tell() -> None:
            told: dict[str, str] = {}
            async for event in events:
                if output.mode is Mode.JSON:
                    _tell(event, torrent.info_hash, output)
                elif words := in_words(event, told):
                    # A web seed may be the one that was typed, and all there is.
                    say = output.note if isinstance(event, WebSeedFailed) else output.remember
                    say(f"{display(torrent.name, limit=30)}: {words}")

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
        case WebSeedFailed():
            output.event("web_seed", info_hash, url=event.url, message=display(event.message), dropped=event.dropped)
        case PeersFound():
            output.event("found", info_hash, source=event.source, peers=event.peers)
        case TrackerReplied():
            output.event(
                "tracker", info_hash, url=event.url, ok=event.ok, message=display(event.message), peers=event.peers
            )


def in_words(event: Event, told: dict[str, str]) -> str:
    """A line for people, safe to show, or nothing where there is no news in it.

    Args:
        event: what happened.
        told: what was said of each tracker and web seed before; it is kept here.
    """
    match event:
        case StateChanged():
            return f"{event.after.value}{f': {display(event.message)}' if event.message else ''}"
        case MetadataReceived():
            return f"the metadata is here: {units.plural(event.files, 'file')}, {units.size(event.total)}"
        case PieceFailed():
            return f"piece {event.piece:,} was wrong; parts of it came from {display(', '.join(event.peers))}"
        case PeerBanned():
            return f"{display(event.peer)} is banned: {display(event.reason)}"
        case PeersFound() if event.peers:
            words = f"{event.source.upper()} names {units.plural(event.peers, 'peer')}"
            if told.get(event.source) == words:
                return ""
            told[event.source] = words
            return words
        case TrackerReplied():
            message = display(event.message)
            if event.ok:
                words = f"names {units.plural(event.peers, 'peer')}" + (f", and warns: {message}" if message else "")
            else:
                words = f"fails: {message}" if message else "fails"
            if told.get(event.url) == words:
                return ""
            told[event.url] = words
            return f"{display(event.url)} {words}"
        case WebSeedFailed():
            words = display(event.message) + (", so it is not asked again" if event.dropped else "")
            if told.get(event.url) == words:
                return ""
            told[event.url] = words
            return f"web seed {display(event.url)}: {words}"
        case _:
            return ""
