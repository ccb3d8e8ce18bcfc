"""Hashes for peers that ask for them (BEP 52): those of the pieces of a file, and those of the blocks of a piece."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..limits import HASHES_ASKED, LEAVES_ASKED
from ..metainfo import merkle
from ..metainfo.merkle import DIGEST
from ..wire.messages import Hashes, HashRequest, uncle_count

Layer = bytes | memoryview

_FEW: Final = 64
"""Pieces of a small file."""
_HIGH: Final = merkle.height(HASHES_ASKED)


class HashServer:
    """Answers requests for hashes. Sync; what is asked for may be asked for a thousand times a second.

    An answer costs 511 hashes at most, and no look at the rest of the layer: of what lies above, HASHES_ASKED pieces to
    a hash, the layers are worked out once and kept. They are a 256th of the piece layer, so all may stay.

    Args:
        layer: the piece layer of the file with this root, if there is such a one that is larger than a piece. Called
            for every request: give a view, not a copy.
        base: the height of the piece layer above the leaves.
    """

    def __init__(self, layer: Callable[[bytes], Layer | None], base: int) -> None:
        self._layer: Final = layer
        self._base: Final = base
        self._tops: Final[dict[bytes, list[bytes]]] = {}

    def answer(self, request: HashRequest) -> Hashes | None:
        """What answers a request for hashes of a piece layer; None where it is to be rejected."""
        layer = self._layer(request.root)
        if layer is None or request.base != self._base or not _fits(request, layer, self._base, HASHES_ASKED):
            return None
        near = _near(layer, request.index)
        hashes = merkle.part(near, self._base, request.index % HASHES_ASKED, request.length)
        count = uncle_count(request.length, request.proofs)
        return _answer(request, hashes + self._uncles(request.root, layer, request.index, request.length, count))

    def is_quick(self, request: HashRequest) -> bool:
        """Whether ``answer`` answers it, and soon, for the file is small: 36 µs with 64 pieces, 230 with 512."""
        layer = self._layer(request.root)
        return layer is None or (len(layer) <= _FEW * DIGEST and self.piece_of(request) is None)

    def piece_of(self, request: HashRequest) -> int | None:
        """The piece, counted from the start of its file, whose blocks' hashes are asked for; None where it is none.

        With pieces of one block these are hashes of the piece layer: see ``answer``.
        """
        layer = self._layer(request.root)
        if layer is None or request.base or not self._base or request.length != 1 << self._base:
            return None
        if not _fits(request, layer, self._base, LEAVES_ASKED):
            return None
        piece = request.index >> self._base
        return piece if piece * DIGEST < len(layer) else None

    def leaf_answer(self, request: HashRequest, leaves: bytes) -> Hashes | None:
        """What answers a request for hashes of the blocks of a piece; None where it is to be rejected.

        Args:
            request: see ``piece_of``. libtorrent makes such a one after a piece that was wrong.
            leaves: the hashes of the blocks of that piece, as many as it has. Wrong ones are not given away.
        """
        piece, layer = self.piece_of(request), self._layer(request.root)
        if piece is None or layer is None:
            return None
        root = merkle.grown(merkle.root_of(leaves, 0), merkle.height(len(leaves) // DIGEST), self._base)
        if root != layer[piece * DIGEST : (piece + 1) * DIGEST]:
            return None
        count = uncle_count(request.length, request.proofs)
        uncles = self._uncles(request.root, layer, piece, 1, count)
        return _answer(request, merkle.part(leaves, 0, 0, request.length) + uncles)

    def _uncles(self, root: bytes, layer: Layer, index: int, length: int, count: int) -> bytes:
        """So many uncles of these hashes of the piece layer; there are that many."""
        if not count:
            return b""
        width = min(HASHES_ASKED, 1 << merkle.height(len(layer) // DIGEST))
        near = merkle.part(_near(layer, index), self._base, 0, width)
        uncles = merkle.proof(near, self._base, index % HASHES_ASKED, length, count)
        at = index // HASHES_ASKED
        for step in range(count - len(uncles) // DIGEST):
            uncles += merkle.part(self._above(root, layer)[step], self._base + _HIGH + step, at >> step ^ 1, 1)
        return uncles

    def _above(self, root: bytes, layer: Layer) -> list[bytes]:
        """The layers from where HASHES_ASKED pieces are one hash, up to right below the root."""
        tops = self._tops.get(root)
        if tops is None:
            tops = [merkle.lift(bytes(layer), self._base, _HIGH)]
            for at in range(self._base + _HIGH, self._base + merkle.height(len(layer) // DIGEST) - 1):
                tops.append(merkle.lift(tops[-1], at, 1))
            self._tops[root] = tops  # whole, for others may look at it in other threads
        return tops


def _fits(request: HashRequest, layer: Layer, base: int, most: int) -> bool:
    """Whether such hashes are in the tree, and not too many of them.

    BEP 52 wants two at least. libtorrent asks for a single one at the end of a file of 512 × n + 1 pieces.
    """
    top = base - request.base + merkle.height(len(layer) // DIGEST)
    length = request.length
    return (
        0 < length <= most
        and not length & (length - 1)
        and not request.index % length
        and request.index + length <= 1 << top
        and 0 <= request.proofs < top
    )


def _near(layer: Layer, index: int) -> bytes:
    """The hashes of the layer among which this one is, HASHES_ASKED of them where there are so many."""
    start = index - index % HASHES_ASKED
    return bytes(layer[start * DIGEST : (start + HASHES_ASKED) * DIGEST])


def _answer(request: HashRequest, hashes: bytes) -> Hashes:
    return Hashes(request.root, request.base, request.index, request.length, request.proofs, hashes)
