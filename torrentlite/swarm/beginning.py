"""A magnet link on its way to be a torrent: its metadata comes first (BEP 9), of v2 then the hashes of its pieces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..errors import MetainfoError
from ..metainfo.info import Info, InfoHashes
from .metadata import MetadataExchange

if TYPE_CHECKING:
    from .swarm import Swarm


class Beginning:
    """What of a torrent is known so far: of a .torrent all, of a magnet nothing at first.

    Attributes:
        info: its info dictionary, once it is here; of v2 it may lack the hashes of its pieces.
    """

    def __init__(self, hashes: InfoHashes, swarm: Swarm, info: Info | None) -> None:
        self._hashes = hashes
        self._swarm = swarm
        self.info = info

    @property
    def lacks_hashes(self) -> bool:
        """Whether only the hashes of the pieces are missing."""
        return self.info is not None and self.info.lacks_layers

    @property
    def moved_at(self) -> float:
        """When something last came of it, on Trio's clock."""
        metadata, layers = self._swarm.extensions.exchange, self._swarm.layers
        return max(layers.moved_at, metadata.moved_at if metadata is not None else 0.0)

    def progress(self) -> tuple[int, int]:
        """Bytes received and in all: of the metadata, then also of the hashes."""
        metadata, layers = self._swarm.extensions.exchange, self._swarm.layers.exchange
        if metadata is not None:
            return metadata.progress()
        if self.info is None or layers is None:
            return 0, 0
        done, total = layers.progress()
        return len(self.info.raw) + done, len(self.info.raw) + total

    def ask(self) -> None:
        """Ask peers for what comes next."""
        if self.info is None:
            self._swarm.extensions.exchange = MetadataExchange(self._hashes)
        else:
            self._swarm.layers.need(self.info)

    def metadata_received(self, raw: bytes) -> Info:
        """The info dictionary came, which matches the info-hash. It may lack the hashes of its pieces.

        Raises:
            MetainfoError: it is of no use, or not what the link means by its other hash.
        """
        info = Info.from_bytes(raw, v2=self._hashes.only_v2)
        if self._hashes.v2 not in (None, info.hashes.v2):
            # Not the peer's fault: by its SHA-1 it is what was asked for.
            raise MetainfoError(
                "the link's two hashes are not of one torrent",
                hint="leave one of them out of the link: xt=urn:btih: or xt=urn:btmh:",
            )
        self.info = info
        return info

    def layers_received(self, layers: Mapping[bytes, bytes]) -> Info:
        """The hashes of its pieces came, and lead to the roots in it."""
        assert self.info is not None
        self.info = self.info.with_layers(layers)
        return self.info
