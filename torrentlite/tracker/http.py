"""Asking HTTP and HTTPS trackers (BEP 3, 7, 23, 48)."""

from __future__ import annotations

from collections.abc import Sequence

from .. import limits
from ..errors import TrackerError
from ..net.http import HttpClient, HttpReply
from ..net.url import Url
from ..wire.address import Address, Scope
from . import announce as messages
from .announce import AnnounceReply, AnnounceRequest, ScrapeReply


async def announce(
    http: HttpClient, url: Url, request: AnnounceRequest, *, within: Scope, addresses: Sequence[Address]
) -> AnnounceReply:
    """Announce at one of these addresses of the tracker.

    Raises:
        TrackerError: it refuses, or answers nonsense.
        NetworkError: it does not answer.
    """
    reply = await _get(http, url, messages.announce_query(request), within, addresses)
    return messages.parse_announce(reply.body, scope=reply.remote.scope)


async def scrape(
    http: HttpClient, url: Url, info_hashes: Sequence[bytes], *, within: Scope, addresses: Sequence[Address]
) -> dict[bytes, ScrapeReply]:
    """Ask for the counts of up to ``limits.SCRAPE_HASHES_HTTP`` torrents; errors as with ``announce``."""
    url = url._replace(target=messages.scrape_target(url.target))
    reply = await _get(http, url, messages.scrape_query(info_hashes), within, addresses)
    return messages.parse_scrape(reply.body)


async def _get(http: HttpClient, url: Url, query: str, within: Scope, addresses: Sequence[Address]) -> HttpReply:
    target = f"{url.target}{'&' if '?' in url.target else '?'}{query}"
    reply = await http.get(
        str(url._replace(target=target)),
        max_bytes=limits.MAX_TRACKER_REPLY,
        within=within,
        timeout=limits.TRACKER_TIMEOUT,
        addresses=addresses,
    )
    if reply.status // 100 != 2:  # some say why in the body, as they do with status 200
        raise TrackerError(messages.refusal(reply.body) or f"HTTP status {reply.status}")
    return reply
