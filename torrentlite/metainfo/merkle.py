"""The hash trees of BitTorrent v2 (BEP 52, "pieces root"): SHA-256 over blocks, two by two, up to the root of a file.

A layer is bytes: the hashes of one height, one after the other, without those that lie beyond the end of the file.
Height 0 are the leaves, one for each block of 16 KiB. What is missing to a power of two counts as blocks without a
hash: "The remaining leaf hashes beyond the end of the file … are set to zero".
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from typing import Final

from .layout import BLOCK_SIZE

DIGEST: Final = 32
"""Bytes of a hash."""


def leaves(data: bytes | bytearray | memoryview) -> bytes:
    """The hashes of the blocks of a file, or of a piece."""
    view = memoryview(data)
    sha = hashlib.sha256
    return b"".join(
        [
            sha(view[start : start + BLOCK_SIZE], usedforsecurity=False).digest()
            for start in range(0, len(view), BLOCK_SIZE)
        ]
    )


def height(count: int) -> int:
    """The height of the root above so many leaves (or above any layer, counted from there)."""
    return (count - 1).bit_length()


@functools.cache
def nothing(height: int) -> bytes:
    """The hash at this height where all below lies beyond the end of the file."""
    return bytes(DIGEST) if height == 0 else parent(nothing(height - 1), nothing(height - 1))


def parent(left: bytes, right: bytes) -> bytes:
    """The hash above two."""
    return hashlib.sha256(left + right, usedforsecurity=False).digest()


def lift(layer: bytes, base: int, steps: int) -> bytes:
    """The layer so many steps above one at height ``base``."""
    sha = hashlib.sha256
    for at in range(base, base + steps):
        if len(layer) % (2 * DIGEST):
            layer += nothing(at)
        layer = b"".join(
            [
                sha(layer[start : start + 2 * DIGEST], usedforsecurity=False).digest()
                for start in range(0, len(layer), 2 * DIGEST)
            ]
        )
    return layer


def root_of(layer: bytes, base: int) -> bytes:
    """The root above a layer at height ``base``."""
    return lift(layer, base, height(len(layer) // DIGEST))


def grown(root: bytes, low: int, high: int) -> bytes:
    """The root of a tree of height ``low``, as it is in one of height ``high`` that has nothing more in it."""
    for at in range(low, high):
        root = parent(root, nothing(at))
    return root


def part(layer: bytes, base: int, index: int, length: int) -> bytes:
    """``length`` hashes of a layer at height ``base``, from ``index`` on; beyond its end are those of nothing."""
    found = layer[index * DIGEST : (index + length) * DIGEST]
    return found + nothing(base) * (length - len(found) // DIGEST)


def split(hashes: bytes) -> list[bytes]:
    """The hashes one by one."""
    return [hashes[start : start + DIGEST] for start in range(0, len(hashes), DIGEST)]


def proof(layer: bytes, base: int, index: int, length: int, count: int) -> bytes:
    """What leads from ``length`` hashes of a layer towards the root: up to ``count`` uncles, the lowest first.

    Args:
        layer: at height ``base``, all of it.
        index: of the first hash, a multiple of ``length``.
        length: a power of two.
        count: the most uncles; there are fewer where the root is reached before.
    """
    rise = height(length)
    top = height(len(layer) // DIGEST)
    layer, at = lift(layer, base, rise), index // length
    uncles = []
    for step in range(rise, min(top, rise + count)):
        uncles.append(part(layer, base + step, at ^ 1, 1))
        layer, at = lift(layer, base + step, 1), at // 2
    return b"".join(uncles)


def leads_to(root: bytes, hashes: bytes, base: int, index: int, uncles: Sequence[bytes]) -> bool:
    """Whether some hashes (a power of two of them) and their uncles lead to a root.

    Args:
        root: of the file.
        hashes: of height ``base``.
        index: of the first, a multiple of their number.
        uncles: those of BEP 52's proof layers, the lowest first, up to right below the root.
    """
    length = len(hashes) // DIGEST
    found, at = root_of(hashes, base), index // length
    for uncle in uncles:
        found = parent(uncle, found) if at & 1 else parent(found, uncle)
        at //= 2
    return at == 0 and found == root
