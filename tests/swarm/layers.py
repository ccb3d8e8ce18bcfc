"""Piece layers of files that nobody has, for tests of what is said about them."""

from __future__ import annotations

import random
from collections.abc import Iterable

from torrentlite.metainfo import merkle


def layers_of(counts: Iterable[int], base: int) -> dict[bytes, bytes]:
    """Layers of so many pieces each, by the roots of their files."""
    dice = random.Random(7)
    layers = [dice.randbytes(merkle.DIGEST * count) for count in counts]
    return {merkle.root_of(layer, base): layer for layer in layers}
