"""What is said to trackers and what they answer, and how both look over HTTP (BEP 3, 7, 23, 24, 48). Pure."""

from __future__ import annotations

import ipaddress
import urllib.parse
from collections.abc import Sequence
from typing import Final, NamedTuple

from .. import limits
from ..bencode import Value, decode
from ..errors import BencodeError, TrackerError
from ..metainfo.text import display
from ..wire.address import Address, Scope, parse_host, read_compact

UNKNOWN: Final = -1
"""A count that the tracker did not tell."""


class AnnounceRequest(NamedTuple):
    """One announce of one torrent, for any kind of tracker."""

    info_hash: bytes
    peer_id: bytes
    port: int
    uploaded: int = 0
    downloaded: int = 0
    left: int = limits.LEFT_UNKNOWN
    """Bytes; not 0 before the metadata is known, which would say that we are complete."""
    event: str = ""
    """``started``, ``completed``, ``stopped``, or empty for one of the regular announces."""
    key: int = 0
    """32 bits, the same for the torrent's life: how a tracker knows us at another address (BEP 7)."""
    numwant: int = limits.NUMWANT
    """Peers asked for; nothing is asked for with ``stopped``."""
    tracker_id: bytes = b""
    """What this tracker gave us to say."""
    compact: bool = True
    """Ask for peers in the compact form (BEP 23); either is understood."""

    @property
    def wanted(self) -> int:
        """Peers to ask for, the event considered."""
        return 0 if self.event == "stopped" else self.numwant


class AnnounceReply(NamedTuple):
    """What a tracker answered."""

    interval: int = limits.ANNOUNCE_INTERVAL
    """Seconds until the next announce, as the tracker says; not yet within bounds of ours."""
    min_interval: int = 0
    """Seconds within which it wants no other."""
    peers: tuple[Address, ...] = ()
    seeders: int = UNKNOWN
    leechers: int = UNKNOWN
    warning: str = ""
    """Fit to be shown."""
    tracker_id: bytes = b""
    external_ip: str = ""
    """Our address, as the tracker sees it (BEP 24), or empty."""
    scope: Scope = Scope.PUBLIC
    """The scope of the tracker's own address: the peers that it names must be of this or a wider one."""


class ScrapeReply(NamedTuple):
    """The counts of one torrent."""

    seeders: int = UNKNOWN
    leechers: int = UNKNOWN
    downloaded: int = UNKNOWN
    """How often it was completed."""


def announce_query(request: AnnounceRequest) -> str:
    """The parameters of an announce over HTTP, quoted."""
    fields = {
        "info_hash": request.info_hash,
        "peer_id": request.peer_id,
        "port": b"%d" % request.port,
        "uploaded": b"%d" % request.uploaded,
        "downloaded": b"%d" % request.downloaded,
        "left": b"%d" % request.left,
        "compact": b"%d" % request.compact,
        "key": b"%08X" % (request.key & 0xFFFFFFFF),
        "numwant": b"%d" % request.wanted,
    }
    if request.event:
        fields["event"] = request.event.encode("ascii")
    if request.tracker_id:
        fields["trackerid"] = request.tracker_id
    return "&".join(f"{name}={urllib.parse.quote(value, safe='')}" for name, value in fields.items())


def scrape_query(info_hashes: Sequence[bytes]) -> str:
    """The parameters of a scrape over HTTP, quoted."""
    return "&".join(f"info_hash={urllib.parse.quote(info_hash, safe='')}" for info_hash in info_hashes)


def scrape_target(target: str) -> str:
    """Path and query of the scrape that belongs to those of an announce (BEP 48). TrackerError: there is none."""
    path, mark, query = target.partition("?")
    before, found, after = path.rpartition("announce")
    if not found:
        raise TrackerError("this tracker cannot be scraped: its path has no 'announce'")
    return f"{before}scrape{after}{mark}{query}"


def parse_announce(body: bytes, *, scope: Scope = Scope.PUBLIC) -> AnnounceReply:
    """Read the answer to an announce over HTTP, from a tracker of that scope.

    What is odd in it is left out; peers of both forms are understood.

    Raises:
        TrackerError: the tracker refuses, in its own words made fit to be shown, or this is no tracker's answer.
    """
    answer = _dictionary(body)
    if not answer.keys() & {b"interval", b"peers", b"peers6", b"complete", b"incomplete"}:
        raise TrackerError("the answer is not one of a tracker")
    warning = answer.get(b"warning message")
    tracker_id = answer.get(b"tracker id")
    return AnnounceReply(
        interval=_number(answer.get(b"interval"), limits.ANNOUNCE_INTERVAL),
        min_interval=_number(answer.get(b"min interval"), 0),
        peers=_peers(answer.get(b"peers"), answer.get(b"peers6")),
        seeders=_number(answer.get(b"complete"), UNKNOWN),
        leechers=_number(answer.get(b"incomplete"), UNKNOWN),
        warning=display(warning) if isinstance(warning, bytes) else "",
        tracker_id=tracker_id if isinstance(tracker_id, bytes) and len(tracker_id) <= limits.MAX_TRACKER_ID else b"",
        external_ip=_external_ip(answer.get(b"external ip")),
        scope=scope,
    )


def parse_scrape(body: bytes) -> dict[bytes, ScrapeReply]:
    """Read the answer to a scrape over HTTP, by info-hash.

    Raises:
        TrackerError: the tracker refuses, in its own words made fit to be shown, or this is no tracker's answer.
    """
    files = _dictionary(body).get(b"files")
    if not isinstance(files, dict):
        raise TrackerError("the answer is not one of a tracker")
    return {
        info_hash: ScrapeReply(
            seeders=_number(counts.get(b"complete"), UNKNOWN),
            leechers=_number(counts.get(b"incomplete"), UNKNOWN),
            downloaded=_number(counts.get(b"downloaded"), UNKNOWN),
        )
        for info_hash, counts in files.items()
        if len(info_hash) == 20 and isinstance(counts, dict)
    }


def compact_peers(data: bytes, *, ipv6: bool = False) -> list[Address]:
    """The first ``limits.MAX_TRACKER_PEERS`` of a compact list: to read one takes ten microseconds."""
    return read_compact(data[: limits.MAX_TRACKER_PEERS * (18 if ipv6 else 6)], ipv6=ipv6)


def known_peers(addresses: Sequence[Address]) -> tuple[Address, ...]:
    """These without repetitions and without those that nobody can be at."""
    return tuple(address for address in dict.fromkeys(addresses) if address.scope is not Scope.FORBIDDEN)


def refusal(body: bytes) -> str:
    """The ``failure reason`` in an answer, fit to be shown; empty where there is none."""
    try:
        answer = decode(body)
    except BencodeError:
        return ""
    return _refusal(answer) if isinstance(answer, dict) else ""


def _dictionary(body: bytes) -> dict[bytes, Value]:
    try:
        answer = decode(body)
    except BencodeError as error:
        raise TrackerError(f"the answer is not one of a tracker: {error}") from error
    if not isinstance(answer, dict):
        raise TrackerError("the answer is not one of a tracker")
    if refused := _refusal(answer):
        raise TrackerError(refused)
    return answer


def _refusal(answer: dict[bytes, Value]) -> str:
    reason = answer.get(b"failure reason")
    if reason is None:
        return ""
    return (display(reason) if isinstance(reason, bytes) else "") or "refused without a reason"


def _number(value: Value | None, otherwise: int) -> int:
    """A count or a number of seconds; beyond 32 bits is nonsense, and so is less than nothing."""
    return value if isinstance(value, int) and 0 <= value < 1 << 32 else otherwise


def _peers(peers: Value | None, peers6: Value | None) -> tuple[Address, ...]:
    most = limits.MAX_TRACKER_PEERS
    found: list[Address] = []
    if isinstance(peers, bytes):
        found = compact_peers(peers)
    elif isinstance(peers, list):
        found = [address for address in map(_peer, peers[:most]) if address is not None]
    found6 = compact_peers(peers6, ipv6=True) if isinstance(peers6, bytes) else []
    found = found[: max(most // 2, most - len(found6))]  # neither family crowds the other out
    return known_peers(found + found6[: most - len(found)])


def _peer(entry: Value) -> Address | None:
    """A peer of the long form. Names are left out: a tracker could have us look up whatever it likes."""
    if not isinstance(entry, dict):
        return None
    ip, port = entry.get(b"ip"), entry.get(b"port")
    if not isinstance(ip, bytes) or not isinstance(port, int) or not 0 < port < 65536:
        return None
    host = parse_host(ip.decode("latin-1"))
    return None if host is None else Address(host, port)


def _external_ip(value: Value | None) -> str:
    if not isinstance(value, bytes) or len(value) not in (4, 16):
        return ""
    return parse_host(str(ipaddress.ip_address(value))) or ""
