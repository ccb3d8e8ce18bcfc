"""Arithmetic of pieces, blocks and files, in one place.

Offsets are into the torrent's bytes: all files one after the other, pad files included (BEP 3, "piece length"). In v2
every file begins at a piece (BEP 52); what lies between is counted as padding too, but belongs to no piece: a *gap*.
"""

from __future__ import annotations

import bisect
import functools
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from ..wire import bitfield
from ..wire.block import Block as Block  # most who need a layout need its blocks

BLOCK_SIZE: Final = 16 * 1024
"""What peers ask for at a time. BEP 3: "All current implementations use 2^14 (16 kiB)"."""


class Span(NamedTuple):
    """A run of bytes inside one file."""

    file: int
    offset: int
    length: int


def aligned(lengths: Iterable[int], piece_length: int) -> Iterator[tuple[int | None, int]]:
    """Files as v2 puts them, each at the beginning of a piece: index and length, of a gap None.

    BEP 52 says it of those that are not empty; that others are no exception is libtorrent's way, and indexes count.
    """
    offset = 0
    for index, length in enumerate(lengths):
        gap = -offset % piece_length
        if gap:
            yield None, gap
        yield index, length
        offset += gap + length


class Layout:
    """How ``total`` bytes fall into pieces, blocks and files.

    Args:
        piece_length: bytes of each piece but short ones: the last, and those before a gap.
        lengths: bytes of each file in order, pad files included.
        gaps: indexes of the pad files that are gaps: each ends where a piece does, and is shorter than one.

    Attributes:
        total: up to where offsets go; ``stored`` bytes of it belong to pieces.
    """

    def __init__(self, piece_length: int, lengths: Sequence[int], gaps: Collection[int] = ()) -> None:
        self.piece_length: Final = piece_length
        offsets = []
        total = 0
        for length in lengths:
            offsets.append(total)
            total += length
        self.file_offsets: Final = tuple(offsets)
        self.file_lengths: Final = tuple(lengths)
        self.gaps: Final = frozenset(gaps)
        self.total: Final = total
        self.stored: Final = total - sum(lengths[gap] for gap in gaps)
        self.piece_count: Final = -(-total // piece_length)
        self.blocks_per_piece: Final = -(-piece_length // BLOCK_SIZE)
        short = {offsets[gap] // piece_length: piece_length - lengths[gap] for gap in gaps}
        if total % piece_length:
            short[self.piece_count - 1] = total % piece_length
        self._short: Final = short

    def piece_size(self, piece: int) -> int:
        """Bytes of this piece."""
        return self._short.get(piece, self.piece_length)

    def block_count(self, piece: int) -> int:
        """Blocks of this piece."""
        return -(-self.piece_size(piece) // BLOCK_SIZE)

    def block(self, piece: int, index: int) -> Block:
        """The block of this number in this piece."""
        begin = index * BLOCK_SIZE
        return Block(piece, begin, min(BLOCK_SIZE, self.piece_size(piece) - begin))

    def blocks(self, piece: int) -> list[Block]:
        """All blocks of a piece, in order."""
        return [self.block(piece, index) for index in range(self.block_count(piece))]

    def offset(self, piece: int, begin: int = 0) -> int:
        """Where a byte of a piece lies in the torrent."""
        return piece * self.piece_length + begin

    def holds(self, piece: int, begin: int, length: int) -> bool:
        """Whether these numbers from outside name bytes of one piece."""
        return 0 <= piece < self.piece_count and begin >= 0 and length > 0 and begin + length <= self.piece_size(piece)

    def spans(self, offset: int, length: int) -> Iterator[Span]:
        """The files that hold these bytes, in order; empty files are passed over.

        Raises:
            ValueError: the bytes are not inside the torrent.
        """
        if offset < 0 or length < 0 or offset + length > self.total:
            raise ValueError(f"bytes {offset}+{length} are outside a torrent of {self.total}")
        index = bisect.bisect_right(self.file_offsets, offset) - 1
        while length > 0:
            inside = offset - self.file_offsets[index]
            take = min(length, self.file_lengths[index] - inside)
            if take > 0:
                yield Span(index, inside, take)
                offset += take
                length -= take
            index += 1

    def pieces_of_file(self, file: int) -> range:
        """The pieces that hold bytes of this file (empty for an empty file)."""
        return self.pieces_of_bytes(self.file_offsets[file], self.file_lengths[file])

    def pieces_of_bytes(self, offset: int, length: int) -> range:
        """The pieces that hold these bytes."""
        if length == 0:
            return range(0)
        return range(offset // self.piece_length, (offset + length - 1) // self.piece_length + 1)

    def files_of_piece(self, piece: int) -> list[int]:
        """The files (not the empty ones) that a piece has bytes of."""
        return [span.file for span in self.spans(self.offset(piece), self.piece_size(piece))]

    def files_of_run(self, pieces: range) -> range:
        """The files that lie in these pieces (a run: its step is 1) or reach into them, and empty ones among them."""
        if not pieces:
            return range(0)
        first = bisect.bisect_right(self.file_offsets, self.offset(pieces.start)) - 1
        return range(first, bisect.bisect_left(self.file_offsets, self.offset(pieces.stop), first))

    def unbroken(self, pieces: range) -> Iterator[range]:
        """Consecutive pieces as runs of those whose bytes follow one another."""
        start = pieces.start
        if self.gaps:
            for piece in pieces:
                if piece in self._short:
                    yield range(start, piece + 1)
                    start = piece + 1
        if start < pieces.stop:
            yield range(start, pieces.stop)

    @functools.cached_property
    def _missing(self) -> tuple[tuple[int, int], ...]:
        """What short pieces lack, as (bytes, set of pieces), the most first: each lacks the sum of those it is in.

        Where many are short these are the binary digits of what they lack, so that 100,000 small files cost two dozen
        operations on sets, not a step for each.
        """
        lacks = [(piece, self.piece_length - size) for piece, size in self._short.items()]
        if len(lacks) < 2:
            return tuple((size, 1 << piece) for piece, size in lacks)
        digits = reversed(range(self.piece_length.bit_length()))
        return tuple((1 << k, bitfield.of(piece for piece, size in lacks if size >> k & 1)) for k in digits)

    def bytes_of_pieces(self, pieces: int) -> int:
        """Bytes in a set of pieces, given as an int with bit ``i`` for piece ``i``."""
        return pieces.bit_count() * self.piece_length - sum(
            size * (pieces & short).bit_count() for size, short in self._missing
        )

    def least_of(self, pieces: int) -> int:
        """Bytes of the smallest piece of a set."""
        least = self.piece_length
        for size, short in self._missing:
            if pieces & short:
                pieces &= short
                least -= size
        return least
