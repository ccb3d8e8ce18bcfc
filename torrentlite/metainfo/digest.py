"""The hash of a piece: SHA-1 in v1 (BEP 3), the root of a tree of SHA-256 in v2 (BEP 52)."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from . import merkle
from .layout import BLOCK_SIZE

Data = bytes | bytearray | memoryview


class Digest(Protocol):
    """A hash in the making, as those of ``hashlib``."""

    def update(self, data: Data, /) -> None:
        """Take in more of the piece."""

    def digest(self) -> bytes:
        """The hash of all that was taken in."""


class Hashing(NamedTuple):
    """How the pieces of a torrent are hashed.

    Attributes:
        name: of the way, for what is kept.
        size: bytes of a hash.
        new: begins one.
    """

    name: str
    size: int
    new: Callable[[], Digest]

    def of(self, piece: Data) -> bytes:
        """The hash of a whole piece."""
        digest = self.new()
        digest.update(piece)
        return digest.digest()


class _Tree:
    """A digest of v2: the root of a tree of this height at least, be it full or not."""

    __slots__ = ("_block", "_height", "_leaves", "_room")

    def __init__(self, height: int) -> None:
        self._height = height
        self._leaves = bytearray()
        self._room = BLOCK_SIZE
        self._block = hashlib.sha256(usedforsecurity=False)

    def update(self, data: Data, /) -> None:
        """See ``Digest``."""
        view = memoryview(data)
        if self._room < BLOCK_SIZE:
            head, view = view[: self._room], view[self._room :]
            self._take(head)
        whole = len(view) - len(view) % BLOCK_SIZE
        self._leaves += merkle.leaves(view[:whole])
        self._take(view[whole:])

    def _take(self, part: memoryview) -> None:
        """Bytes of one block, which they may complete."""
        self._block.update(part)
        self._room -= len(part)
        if not self._room:
            self._end_block()

    def _end_block(self) -> None:
        self._leaves += self._block.digest()
        self._block = hashlib.sha256(usedforsecurity=False)
        self._room = BLOCK_SIZE

    def digest(self) -> bytes:
        """See ``Digest``."""
        if self._room < BLOCK_SIZE:
            self._end_block()
        layer = bytes(self._leaves)
        return merkle.grown(merkle.root_of(layer, 0), merkle.height(len(layer) // merkle.DIGEST), self._height)


class _Both:
    """Both digests of a piece of a hybrid; that of v1 counts the gap behind a short one as zeros."""

    def __init__(self, piece_length: int) -> None:
        self._left = piece_length
        self._sha1 = SHA1.new()
        self._tree = _Tree(0)

    def update(self, data: Data, /) -> None:
        """See ``Digest``."""
        self._left -= len(data)
        self._sha1.update(data)
        self._tree.update(data)

    def digest(self) -> bytes:
        """See ``Digest``."""
        self._sha1.update(bytes(max(0, self._left)))
        return self._sha1.digest() + self._tree.digest()


SHA1: Final = Hashing("sha1", 20, functools.partial(hashlib.sha1, usedforsecurity=False))
"""That of v1."""


def tree(piece_length: int) -> Hashing:
    """That of v2. A piece that is short (the last of a file, or a small file) counts as a tree of full height."""
    return Hashing("tree", merkle.DIGEST, functools.partial(_Tree, merkle.height(piece_length // BLOCK_SIZE)))


ROOTS: Final = Hashing("roots", merkle.DIGEST, functools.partial(_Tree, 0))
"""For a torrent in the making: the root of as small a tree as holds the piece, which a small file has for its own."""


def both(piece_length: int) -> Hashing:
    """For a hybrid in the making: SHA-1, then the root, of each piece.

    Args:
        piece_length: up to which the SHA-1 goes; 0: it ends with the piece.
    """
    return Hashing("both", SHA1.size + merkle.DIGEST, functools.partial(_Both, piece_length))
