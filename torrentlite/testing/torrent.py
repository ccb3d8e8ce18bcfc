"""Torrents made up on the spot."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Sequence

from ..metainfo.build import build_info, build_metainfo
from ..metainfo.metainfo import Metainfo


def made_up_torrent(
    rng: random.Random,
    sizes: Sequence[int] = (1 << 20,),
    *,
    name: str = "made-up",
    piece_length: int = 64 << 10,
    private: bool = False,
    trackers: Iterable[str | Iterable[str]] = (),
) -> tuple[Metainfo, bytes]:
    """A torrent of random bytes, and these bytes.

    Args:
        rng: makes the bytes.
        sizes: bytes of each file; one file lies in no folder.
        name: of the file or the folder.
        piece_length: bytes of each piece.
        private: peers come from its trackers only.
        trackers: URLs, each a tier of its own, or tiers of URLs.
    """
    data = rng.randbytes(sum(sizes))
    pieces = b"".join(
        hashlib.sha1(data[start : start + piece_length]).digest() for start in range(0, len(data), piece_length)
    )
    files: list[tuple[list[bytes], int]] = [([b"%d.bin" % number], size) for number, size in enumerate(sizes)]
    if len(sizes) == 1:
        files = [([], sizes[0])]
    info = build_info(name, files, piece_length=piece_length, pieces=pieces, private=private)
    return build_metainfo(info, trackers=trackers), data
