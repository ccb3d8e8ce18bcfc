"""The datagrams of UDP trackers (BEP 15, with the URL in announces of BEP 41). Pure."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from ..errors import TrackerError
from ..metainfo.text import display
from ..wire.address import Scope
from .announce import AnnounceReply, AnnounceRequest, ScrapeReply, compact_peers, known_peers

CONNECT: Final = 0
ANNOUNCE: Final = 1
SCRAPE: Final = 2
ERROR: Final = 3

_PROTOCOL_ID: Final = 0x41727101980
_EVENTS: Final = {"": 0, "completed": 1, "started": 2, "stopped": 3}
_URL_DATA: Final = 2

_REQUEST = struct.Struct(">QII")  # connection id, action, transaction id
_ANNOUNCE = struct.Struct(">20s20sQQQIIIiH")  # … downloaded, left, uploaded, event, address, key, numwant, port
_ANNOUNCED = struct.Struct(">IIIII")  # action, transaction id, interval, leechers, seeders
_COUNTS = struct.Struct(">III")  # seeders, completed, leechers
_LARGEST: Final = (1 << 63) - 1


def connect_request(transaction_id: int) -> bytes:
    """Ask for a connection id."""
    return _REQUEST.pack(_PROTOCOL_ID, CONNECT, transaction_id)


def announce_request(connection_id: int, transaction_id: int, request: AnnounceRequest, target: str) -> bytes:
    """Announce; the target is path and query of the tracker's URL, sent along where there is something to say."""
    packet = _REQUEST.pack(connection_id, ANNOUNCE, transaction_id) + _ANNOUNCE.pack(
        request.info_hash,
        request.peer_id,
        min(request.downloaded, _LARGEST),
        min(request.left, _LARGEST),
        min(request.uploaded, _LARGEST),
        _EVENTS[request.event],
        0,  # our address is the one that this comes from
        request.key & 0xFFFFFFFF,
        request.wanted,
        request.port,
    )
    data = b"" if target == "/" else target.encode("ascii")
    for start in range(0, len(data), 255):
        part = data[start : start + 255]
        packet += bytes((_URL_DATA, len(part))) + part
    return packet


def scrape_request(connection_id: int, transaction_id: int, info_hashes: Sequence[bytes]) -> bytes:
    """Ask for the counts of up to ``limits.SCRAPE_HASHES_UDP`` torrents."""
    return _REQUEST.pack(connection_id, SCRAPE, transaction_id) + b"".join(info_hashes)


def parse_connect(data: bytes) -> int:
    """The connection id. All three parsers take replies of the shortest length or more; TrackerError is a refusal."""
    _check(data)
    return int.from_bytes(data[8:16], "big")


def parse_announce(data: bytes, *, ipv6: bool, scope: Scope = Scope.PUBLIC) -> AnnounceReply:
    """Read the reply to an announce, from a tracker of that scope; peers are of the family that it came by."""
    _check(data)
    _, _, interval, leechers, seeders = _ANNOUNCED.unpack_from(data)
    peers = compact_peers(data[_ANNOUNCED.size :], ipv6=ipv6)
    return AnnounceReply(interval=interval, seeders=seeders, leechers=leechers, peers=known_peers(peers), scope=scope)


def parse_scrape(data: bytes, info_hashes: Sequence[bytes]) -> dict[bytes, ScrapeReply]:
    """Read the reply to a scrape of these hashes; those that it does not come to are left out."""
    _check(data)
    end = 8 + (len(data) - 8) // _COUNTS.size * _COUNTS.size
    counts = _COUNTS.iter_unpack(data[8:end])
    return {
        info_hash: ScrapeReply(seeders=seeders, leechers=leechers, downloaded=completed)
        for info_hash, (seeders, completed, leechers) in zip(info_hashes, counts, strict=False)
    }


def is_error(data: bytes) -> bool:
    """Whether a reply is a refusal."""
    return int.from_bytes(data[:4], "big") == ERROR


def _check(data: bytes) -> None:
    if is_error(data):
        raise TrackerError(display(data[8:].rstrip(b"\0")) or "refused without a reason")
