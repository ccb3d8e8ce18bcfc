"""A .torrent: the info dictionary, and around it where to find peers (BEP 3, 5, 12, 19)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Final, NamedTuple

from .. import bencode, limits
from ..bencode import Value
from ..errors import BencodeError, MetainfoError
from .filetree import check_layers
from .info import FileEntry, Info, InfoHashes
from .magnet import Magnet
from .urls import UrlFilter

__all__ = ["FileEntry", "Info", "InfoHashes", "Metainfo", "Origin", "OriginFile"]

_KNOWN: Final = frozenset(
    (b"announce", b"announce-list", b"comment", b"created by", b"creation date", b"info", b"nodes", b"url-list")
)
"""The keys that become fields; all others are carried along as they are."""
_LATEST: Final = 253402300799
"""The last second of the year 9999: later dates cannot be shown."""


class OriginFile(NamedTuple):
    """A file as it was when it was hashed; if all of this still holds, it need not be hashed again."""

    path: str
    size: int
    mtime_ns: int
    inode: int


class Origin(NamedTuple):
    """Where a metainfo was made from: the file or folder, and its files in order (None for what is no real file)."""

    root: str
    files: tuple[OriginFile | None, ...]


@dataclasses.dataclass(frozen=True)
class Metainfo:
    """A .torrent, read or made.

    Attributes:
        info: what is shared.
        trackers: URLs in tiers (BEP 12).
        web_seeds: URLs (BEP 19).
        nodes: host and port of DHT nodes (BEP 5).
        comment: untrusted text; may have several lines.
        created_by: untrusted text.
        creation_date: Unix seconds, or None.
        extra: keys that torrentlite has no use for and their bencoded values; ``encode`` writes them back.
        origin: where it was made from, if here and now.
        warnings: sentences on what was left out of the .torrent while reading.
    """

    info: Info
    trackers: tuple[tuple[str, ...], ...] = ()
    web_seeds: tuple[str, ...] = ()
    nodes: tuple[tuple[str, int], ...] = ()
    comment: str = ""
    created_by: str = ""
    creation_date: int | None = None
    extra: tuple[tuple[bytes, bytes], ...] = dataclasses.field(default=(), repr=False)
    origin: Origin | None = dataclasses.field(default=None, repr=False, compare=False)
    warnings: tuple[str, ...] = dataclasses.field(default=(), compare=False)

    @classmethod
    def from_bytes(cls, data: bytes) -> Metainfo:
        """Read a .torrent. Seconds may pass over one of 100,000 files: large ones are for a thread.

        The info dictionary must be right in all it says. Around it, what cannot be used is left out with a warning.

        Raises:
            UnsupportedTorrentError: valid, but of another kind (a later version, Merkle).
            MetainfoError: no usable .torrent.
        """
        if not data:
            raise MetainfoError("the .torrent is empty")
        if len(data) > limits.MAX_TORRENT_FILE:
            raise MetainfoError(f"a .torrent larger than {limits.MAX_TORRENT_FILE} bytes")
        data = bytes(data)
        try:
            top, spans = bencode.decode_with_spans(data)
        except BencodeError as error:
            hint = "it looks like a web page" if data.lstrip()[:1] == b"<" else ""
            raise MetainfoError(f"not a .torrent: {error}", hint=hint) from error
        fields = top.get(b"info")
        if not isinstance(fields, dict):
            raise MetainfoError("not a .torrent: it has no info dictionary")
        info = Info.from_fields(data[slice(*spans[b"info"])], fields)

        warnings: list[str] = []
        if b"piece layers" in top and info.hashes.v2 is not None:
            layers = check_layers(top[b"piece layers"], info.layers_needed, info.piece_length)
            if info.lacks_layers:
                info = info.with_layers(layers)
        elif info.layers_needed:
            info.require_layers()
            warnings.append("the v2 half of this hybrid lacks its piece layers")
        known = _KNOWN | {b"piece layers"} if info.hashes.only_v2 else _KNOWN
        return cls(
            info=info,
            trackers=_trackers(top, warnings),
            web_seeds=_web_seeds(top.get(b"url-list", []), warnings),
            nodes=_nodes(top.get(b"nodes", []), warnings),
            comment=_text(top, b"comment", warnings),
            created_by=_text(top, b"created by", warnings),
            creation_date=_date(top.get(b"creation date"), warnings),
            extra=tuple((key, data[slice(*span)]) for key, span in spans.items() if key not in known),
            warnings=tuple(warnings),
        )

    def encode(self) -> bytes:
        """The bytes of the .torrent. The info dictionary goes in as it is, so its hashes stay the same.

        Raises:
            MetainfoError: the hashes of its pieces are not here (``Info.lacks_layers``).
        """
        self.info.require_layers()
        top: dict[bytes, object] = {key: bencode.Raw(value) for key, value in self.extra}
        urls = self._urls
        if urls:
            top[b"announce"] = urls[0]
        if len(urls) > 1:
            top[b"announce-list"] = self.trackers
        if self.comment:
            top[b"comment"] = self.comment
        if self.created_by:
            top[b"created by"] = self.created_by
        if self.creation_date is not None:
            top[b"creation date"] = self.creation_date
        top[b"info"] = bencode.Raw(self.info.raw)
        if self.info.hashes.only_v2:
            top[b"piece layers"] = {root: bytes(self.info.layer(root) or b"") for root in self.info.layers_needed}
        if self.nodes:
            top[b"nodes"] = self.nodes
        if self.web_seeds:
            top[b"url-list"] = self.web_seeds if len(self.web_seeds) > 1 else self.web_seeds[0]
        return bencode.encode(top)

    @property
    def magnet(self) -> str:
        """The magnet link: info-hashes, name, trackers and web seeds."""
        return self.to_magnet()

    def to_magnet(self, peers: Iterable[tuple[str, int]] = ()) -> str:
        """The magnet link, with addresses (host and port) where somebody is known to listen (``x.pe``)."""
        return str(
            Magnet(
                hashes=self.info.hashes,
                name=self.info.display_name,
                trackers=tuple(self._urls),
                peers=tuple(peers),
                web_seeds=self.web_seeds,
            )
        )

    @property
    def name(self) -> str:
        """The torrent's name, fit to be shown."""
        return self.info.display_name

    @property
    def hashes(self) -> InfoHashes:
        """Its info-hashes."""
        return self.info.hashes

    @property
    def info_hash(self) -> str:
        """The v1 info-hash in 40 hex digits; of a v2-only torrent the v2 hash in 64."""
        return self.info.hashes.hex

    @property
    def total(self) -> int:
        """Bytes of the real files."""
        return self.info.total

    @property
    def private(self) -> bool:
        """Whether peers come from its trackers only (BEP 27)."""
        return self.info.private

    @property
    def piece_length(self) -> int:
        """Bytes of each piece but short ones: the last, of v2 the last of each file."""
        return self.info.piece_length

    @property
    def files(self) -> tuple[FileEntry, ...]:
        """All files, pad files and symlinks included."""
        return self.info.files

    @property
    def _urls(self) -> list[str]:
        return [url for tier in self.trackers for url in tier]


def _trackers(top: dict[bytes, Value], warnings: list[str]) -> tuple[tuple[str, ...], ...]:
    """The tiers of ``announce-list``; ``announce`` counts only without one (BEP 12)."""
    listed = top.get(b"announce-list", [])
    usable = UrlFilter(limits.MAX_TRACKERS)
    tiers = []
    for tier in listed if isinstance(listed, list) else []:
        urls = usable.take(tier if isinstance(tier, list) else [tier])  # a flat list occurs in the wild
        if urls:
            tiers.append(urls)
    if not tiers and top.get(b"announce"):
        urls = usable.take([top[b"announce"]])
        tiers = [urls] if urls else []
    if usable.left_out:
        warnings.append(f"trackers left out: {usable.left_out} (no usable URL, or too many)")
    return tuple(tiers)


def _web_seeds(value: Value, warnings: list[str]) -> tuple[str, ...]:
    usable = UrlFilter(limits.MAX_WEB_SEEDS)
    urls = usable.take(value if isinstance(value, list) else [value] if value else [])
    if usable.left_out:
        warnings.append(f"web seeds left out: {usable.left_out} (no usable URL, or too many)")
    return urls


def _nodes(value: Value, warnings: list[str]) -> tuple[tuple[str, int], ...]:
    found = []
    entries = value if isinstance(value, list) else []
    for entry in entries[: limits.MAX_NODES]:
        if isinstance(entry, list) and len(entry) == 2:
            host, port = entry
            if isinstance(host, bytes) and isinstance(port, int) and 0 < port < 65536:
                name = host.decode("ascii", errors="replace")
                if 0 < len(name) <= limits.MAX_HOST_NAME and name.isascii() and name.isprintable():
                    found.append((name, port))
    if len(found) < len(entries):
        warnings.append(f"DHT nodes left out: {len(entries) - len(found)} (no address, or too many)")
    return tuple(found)


def _text(top: dict[bytes, Value], key: bytes, warnings: list[str]) -> str:
    value = top.get(key, b"")
    if not isinstance(value, bytes):
        warnings.append(f"'{key.decode()}' left out: not text")
        return ""
    return value.decode(errors="replace")


def _date(value: Value | None, warnings: list[str]) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or not 0 <= value <= _LATEST:
        warnings.append("'creation date' left out: not a date")
        return None
    return value
