"""Magnet links (BEP 9, 53) and bare info-hashes."""

from __future__ import annotations

import base64
import re
import urllib.parse
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from .. import limits
from ..errors import MagnetError
from ..wire.address import parse_host
from .info import InfoHashes
from .link import V1_BASE32, V1_HEX, V2, fields_of, is_mutable
from .text import display
from .urls import UrlFilter

_PEER: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_.-]+)):([0-9]{1,5})")
_RANGE: Final = re.compile("([0-9]{1,10})(?:-([0-9]{1,10}))?")
_HINT: Final = "a magnet link starts with magnet:?xt=urn:btih: and 40 hex digits"


class Magnet(NamedTuple):
    """What a magnet link says. ``str()`` of it is a link again.

    Exact and acceptable sources (``xs``, ``as``) are never fetched: a link must not make us ask hosts of its choice.

    Attributes:
        hashes: v1, v2, or of a hybrid both.
        name: what to show until the metadata is there; one line, fit to be shown, empty for none.
        trackers: URLs.
        peers: host (an IP address in its shortest form, or a name) and port.
        web_seeds: URLs.
        select: indexes of the files to fetch, in order; None for all.
    """

    hashes: InfoHashes
    name: str = ""
    trackers: tuple[str, ...] = ()
    peers: tuple[tuple[str, int], ...] = ()
    web_seeds: tuple[str, ...] = ()
    select: tuple[int, ...] | None = None

    @classmethod
    def parse(cls, text: str) -> Magnet:
        """Read a magnet link, or an info-hash: 40 hex digits or 32 base32 characters, of v2 64 hex digits.

        Raises:
            MagnetError: it is neither, or has no usable info-hash, or asks for files in a way that cannot be read.
        """
        text = text.strip()
        if len(text) > limits.MAX_MAGNET_SIZE:
            raise MagnetError(f"a magnet link of {len(text)} characters; {limits.MAX_MAGNET_SIZE} are allowed")
        digest = _v1_hash(text)
        if digest is not None:
            return cls(InfoHashes(digest))
        if V2.fullmatch(text):
            return cls(InfoHashes(None, bytes.fromhex(text[-64:])))
        scheme, _, query = text.partition("?")
        if scheme.lower() != "magnet:":
            raise MagnetError(f"neither a magnet link nor an info-hash: '{display(text, limit=60)}'", hint=_HINT)
        if is_mutable(text):
            raise MagnetError("this link names a key, and no torrent", hint="load finds out where it leads to now")
        fields = fields_of(query)
        return cls(
            hashes=_hashes(fields.get("xt", [])),
            name=display(fields.get("dn", [""])[0]),
            trackers=UrlFilter(limits.MAX_TRACKERS).take(fields.get("tr", [])),
            peers=tuple(_peers(fields.get("x.pe", []))),
            web_seeds=UrlFilter(limits.MAX_WEB_SEEDS).take(fields.get("ws", [])),
            select=_selection(fields["so"]) if "so" in fields else None,
        )

    @property
    def info_hash(self) -> str:
        """The v1 info-hash in 40 hex digits; of a v2-only torrent the v2 hash in 64."""
        return self.hashes.hex

    def __str__(self) -> str:
        parts = [f"xt=urn:btih:{self.hashes.v1.hex()}"] if self.hashes.v1 is not None else []
        if self.hashes.v2 is not None:
            parts.append(f"xt=urn:btmh:1220{self.hashes.v2.hex()}")
        if self.name:
            parts.append("dn=" + urllib.parse.quote(self.name, safe=""))
        parts += ["tr=" + urllib.parse.quote(url, safe="") for url in self.trackers]
        parts += ["ws=" + urllib.parse.quote(url, safe="") for url in self.web_seeds]
        parts += [f"x.pe=[{host}]:{port}" if ":" in host else f"x.pe={host}:{port}" for host, port in self.peers]
        if self.select is not None:
            parts.append("so=" + ",".join(_ranges(self.select)))
        return "magnet:?" + "&".join(parts)


def _v1_hash(text: str) -> bytes | None:
    if V1_HEX.fullmatch(text):
        return bytes.fromhex(text)
    if V1_BASE32.fullmatch(text):
        return base64.b32decode(text.upper())
    return None


def _hashes(topics: list[str]) -> InfoHashes:
    found: dict[str, set[bytes]] = {"btih": set(), "btmh": set()}
    for topic in topics:
        urn, _, value = topic.rpartition(":")
        kind = urn.lower().removeprefix("urn:")
        if kind == "btih":
            digest = _v1_hash(value)
        elif kind == "btmh":
            digest = bytes.fromhex(value[4:]) if len(value) == 68 and V2.fullmatch(value) else None
        else:
            continue  # what the link is in other networks
        if digest is None:
            size = "40 hex digits or 32 base32 characters" if kind == "btih" else "1220 and 64 hex digits"
            raise MagnetError(
                f"the info-hash '{display(value, limit=80)}' is not whole",
                hint=f"copy the whole link: after xt=urn:{kind}: come {size}",
            )
        found[kind].add(digest)
    v1, v2 = found["btih"], found["btmh"]
    if len(v1) > 1 or len(v2) > 1:
        raise MagnetError("the link names several torrents")
    if not v1 and not v2:
        raise MagnetError("the link has no info-hash (xt=urn:btih:)", hint=_HINT)
    return InfoHashes(v1.pop() if v1 else None, v2.pop() if v2 else None)


def _peers(texts: list[str]) -> Iterator[tuple[str, int]]:
    """The usable ones; others are passed over, as peers from anywhere would be."""
    found: dict[tuple[str, int], None] = {}
    for text in texts:
        match = _PEER.fullmatch(text)
        if match is None or not 0 < int(match[3]) < 65536 or len(text) > limits.MAX_HOST_NAME:
            continue
        host = parse_host(match[1] or match[2])
        if host is None and match[2]:
            host = match[2].lower()
        if host is not None:
            found[host, int(match[3])] = None
    yield from list(found)[: limits.MAX_MAGNET_PEERS]


def _selection(texts: list[str]) -> tuple[int, ...]:
    """Indexes such as 0,2,6-8 (BEP 53). No torrent has ``limits.MAX_FILES`` or more, so what is beyond is cut off.

    Raises:
        MagnetError: it cannot be read. To fetch everything instead is not what was asked for.
    """
    spans = []
    for part in ",".join(texts).split(","):
        match = _RANGE.fullmatch(part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            raise MagnetError(f"the files to fetch cannot be read: '{display(part, limit=40)}'")
        spans.append((first, min(last, limits.MAX_FILES - 1)))
    chosen: list[int] = []
    for first, last in sorted(spans):
        chosen.extend(range(max(first, chosen[-1] + 1 if chosen else 0), last + 1))
    if not chosen:
        raise MagnetError("the link asks for files that no torrent has")
    return tuple(chosen)


def _ranges(indexes: Iterable[int]) -> Iterator[str]:
    """The shortest way to write these indexes."""
    spans: list[list[int]] = []
    for index in sorted(set(indexes)):
        if spans and index == spans[-1][1] + 1:
            spans[-1][1] = index
        else:
            spans.append([index, index])
    return (f"{first}-{last}" if last > first else f"{first}" for first, last in spans)
