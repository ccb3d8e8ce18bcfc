"""The one way to ask a tracker: whatever its scheme, over IPv6 and IPv4, with one kind of error."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence

import trio

from .. import limits
from ..errors import NetworkError, SourceError, TorrentError, TrackerError
from ..net.http import HttpClient
from ..net.network import Network
from ..net.udp import UdpPort
from ..net.url import HTTP, TRACKER, Url, parse_url
from ..wire.address import Address, Scope
from . import http as http_tracker
from .announce import AnnounceReply, AnnounceRequest, ScrapeReply
from .redact import redact, scrub
from .udp import UdpTrackers

log = logging.getLogger(__name__)


class TrackerClient:
    """Announces and scrapes, for all torrents of a session.

    Args:
        network: looks up the trackers' names.
        http: for http and https.
        udp: for udp; None: there is none.
        secret: gives unpredictable bytes.
    """

    def __init__(
        self,
        network: Network,
        http: HttpClient,
        udp: UdpPort | None,
        *,
        secret: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._network = network
        self._http = http
        self._udp = None if udp is None else UdpTrackers(udp, secret)
        self._next_turn = 0.0

    async def announce(self, url: str, request: AnnounceRequest, *, within: Scope = Scope.LOOPBACK) -> AnnounceReply:
        """Announce to one tracker, over each address family in which it has an address (BEP 7).

        It takes ``limits.TRACKER_TIMEOUT`` seconds at most, ``limits.STOP_TIMEOUT`` with ``stopped``. Answers of both
        families become one.

        Args:
            url: http, https or udp.
            request: what to say.
            within: the narrowest scope that the tracker's address may have.

        Raises:
            TrackerError: the tracker refused, answered nonsense or did not answer, or its URL cannot be used. The
                text has no keys of the URL in it.
        """
        replies: list[AnnounceReply] = []
        errors: list[TorrentError] = []
        stopping = request.event == "stopped"

        async def ask(url: Url, addresses: Sequence[Address], asking: trio.CancelScope) -> None:
            try:
                replies.append(await self._announce_to(url, addresses, request, within))
            except (TrackerError, NetworkError, SourceError) as error:
                errors.append(error)
            else:
                asking.deadline = min(asking.deadline, trio.current_time() + limits.FAMILY_GRACE)

        with _as_tracker_error(url):
            parsed = parse_url(url, TRACKER)
            if not stopping:
                await self._turn()
            timeout = limits.STOP_TIMEOUT if stopping else limits.TRACKER_TIMEOUT
            with trio.move_on_after(timeout):
                families = await self._families(parsed, within)
                async with trio.open_nursery() as nursery:
                    for addresses in families:
                        nursery.start_soon(ask, parsed, addresses, nursery.cancel_scope)
            if replies:
                return _merged(replies)
            if errors:
                # What a tracker says of itself tells more than that it cannot be reached in the other family.
                raise min(errors, key=lambda error: not isinstance(error, TrackerError))
            raise TrackerError(f"no answer within {timeout:g} seconds")

    async def scrape(
        self, url: str, info_hashes: Sequence[bytes], *, within: Scope = Scope.LOOPBACK
    ) -> dict[bytes, ScrapeReply]:
        """The counts of these torrents, by info-hash; those that the tracker does not know are left out.

        Takes ``limits.TRACKER_TIMEOUT`` seconds at most. Arguments and errors are those of ``announce``.
        """
        found: dict[bytes, ScrapeReply] = {}
        with _as_tracker_error(url):
            parsed = parse_url(url, TRACKER)
            step = limits.SCRAPE_HASHES_UDP if parsed.scheme == "udp" else limits.SCRAPE_HASHES_HTTP
            with trio.move_on_after(limits.TRACKER_TIMEOUT):
                addresses = await self._addresses(parsed, within)
                for start in range(0, len(info_hashes), step):
                    part = info_hashes[start : start + step]
                    counts = await self._scrape_part(parsed, addresses, part, within)
                    found.update((info_hash, counts[info_hash]) for info_hash in part if info_hash in counts)
                return found
            raise TrackerError(f"no answer within {limits.TRACKER_TIMEOUT:g} seconds")

    async def _turn(self) -> None:
        """Wait until the next announce may begin."""
        turn = max(self._next_turn, trio.current_time())
        self._next_turn = turn + 1 / limits.ANNOUNCES_PER_SECOND
        await trio.sleep_until(turn)

    async def _families(self, url: Url, within: Scope) -> list[list[Address]]:
        addresses = await self._addresses(url, within)
        if not addresses:
            return [[]]  # a proxy sees to it
        both = [[address for address in addresses if address.is_ipv6 is ipv6] for ipv6 in (True, False)]
        return [family for family in both if family]

    async def _addresses(self, url: Url, within: Scope) -> list[Address]:
        """Where the tracker is; none where a proxy finds it."""
        if url.scheme in HTTP and self._http.through_proxy(url):
            return []
        return await self._network.resolve(url.host, url.port, within=within)

    async def _announce_to(
        self, url: Url, addresses: Sequence[Address], request: AnnounceRequest, within: Scope
    ) -> AnnounceReply:
        if url.scheme == "udp":
            return await self._udp_trackers().announce(addresses, url.target, request)
        return await http_tracker.announce(self._http, url, request, within=within, addresses=addresses)

    async def _scrape_part(
        self, url: Url, addresses: Sequence[Address], info_hashes: Sequence[bytes], within: Scope
    ) -> dict[bytes, ScrapeReply]:
        if url.scheme == "udp":
            return await self._udp_trackers().scrape(addresses, info_hashes)
        return await http_tracker.scrape(self._http, url, info_hashes, within=within, addresses=addresses)

    def _udp_trackers(self) -> UdpTrackers:
        if self._udp is None:
            raise TrackerError("UDP trackers cannot be asked: no proxy carries UDP")
        return self._udp


def _merged(replies: Sequence[AnnounceReply]) -> AnnounceReply:
    """The answers of one tracker over both families as one; where they differ, the more careful wins."""
    if len(replies) == 1:
        return replies[0]
    first = replies[0]
    return AnnounceReply(
        interval=max(reply.interval for reply in replies),
        min_interval=max(reply.min_interval for reply in replies),
        peers=tuple(dict.fromkeys(peer for reply in replies for peer in reply.peers)),
        seeders=max(reply.seeders for reply in replies),
        leechers=max(reply.leechers for reply in replies),
        warning=first.warning or replies[1].warning,
        tracker_id=first.tracker_id or replies[1].tracker_id,
        external_ip=first.external_ip or replies[1].external_ip,
        scope=max(reply.scope for reply in replies),
    )


@contextlib.contextmanager
def _as_tracker_error(url: str) -> Iterator[None]:
    """The border: all that can go wrong with a tracker leaves as TrackerError, without the keys of its URL."""
    try:
        yield
    except (TrackerError, NetworkError, SourceError) as error:
        message = scrub(str(error), url)
        log.debug("%s: %s", redact(url), message)
        raise TrackerError(message, hint=error.hint) from error
