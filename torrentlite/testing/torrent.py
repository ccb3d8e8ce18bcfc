"""Torrents made up on the spot."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Sequence

from ..metainfo.build import V2File, Version, build_info, build_metainfo, build_v2_info, padded
from ..metainfo.digest import ROOTS
from ..metainfo.metainfo import Metainfo


def made_up_torrent(
    rng: random.Random,
    sizes: Sequence[int] = (1 << 20,),
    *,
    name: str = "made-up",
    piece_length: int = 64 << 10,
    private: bool = False,
    trackers: Iterable[str | Iterable[str]] = (),
    version: Version = "v1",
) -> tuple[Metainfo, bytes]:
    """A torrent of random bytes, and these bytes.

    Args:
        rng: makes the bytes.
        sizes: bytes of each file; one file lies in no folder.
        name: of the file or the folder.
        piece_length: bytes of each piece.
        private: peers come from its trackers only.
        trackers: URLs, each a tier of its own, or tiers of URLs.
        version: "v2" (BEP 52), or "hybrid" for both: then the bytes have zeros where there are gaps between files.
    """
    data = rng.randbytes(sum(sizes))
    files: list[tuple[list[bytes], int]] = [([b"%d.bin" % number], size) for number, size in enumerate(sizes)]
    if len(sizes) == 1:
        files = [([], sizes[0])]
    if version == "v1":
        info = build_info(name, files, piece_length=piece_length, pieces=_digests(data, piece_length), private=private)
        return build_metainfo(info, trackers=trackers), data
    entries, contents, at = [], {}, 0
    for path, size in sorted(files):  # the order of a file tree
        entry = V2File(tuple(path), size, _roots(data[at : at + size], piece_length))
        contents[entry] = data[at : at + size]
        entries.append(entry)
        at += size
    parts = [bytes(size) if entry is None else contents[entry] for entry, size in padded(entries, piece_length)]
    data = b"".join(parts)
    if len(sizes) == 1:
        data = data[: sizes[0]]
    info, layers = build_v2_info(
        name,
        entries,
        piece_length=piece_length,
        pieces=_digests(data, piece_length) if version == "hybrid" else b"",
        private=private,
    )
    return build_metainfo(info, layers=layers, trackers=trackers), data[: info.layout.total]


def _digests(data: bytes, piece_length: int) -> bytes:
    return b"".join(
        hashlib.sha1(data[start : start + piece_length]).digest() for start in range(0, len(data), piece_length)
    )


def _roots(data: bytes, piece_length: int) -> bytes:
    return b"".join(ROOTS.of(data[start : start + piece_length]) for start in range(0, len(data), piece_length))
