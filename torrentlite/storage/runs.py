"""Sets of pieces (ints, bit ``i`` is piece ``i``) as runs and back, without a step for each piece."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..metainfo.layout import Layout


class Flags:
    """A set of pieces under construction, run by run.

    Args:
        count: pieces of the torrent.
    """

    __slots__ = ("_digits",)

    def __init__(self, count: int) -> None:
        self._digits = bytearray(b"0" * count)

    def set(self, pieces: range) -> None:
        """Add these (a run: its step is 1)."""
        self._digits[pieces.start : pieces.stop] = b"1" * len(pieces)

    def clear(self, pieces: range) -> None:
        """Take these out."""
        self._digits[pieces.start : pieces.stop] = b"0" * len(pieces)

    def has(self, piece: int) -> bool:
        """Whether this one is in."""
        return self._digits[piece] == ord("1")

    def bits(self) -> int:
        """The set, as an int."""
        self._digits.reverse()
        bits = int(self._digits, 2) if self._digits else 0
        self._digits.reverse()
        return bits


def union(runs: Iterable[range], count: int) -> int:
    """The set of all pieces in these runs, of ``count`` that there are."""
    flags = Flags(count)
    for run in runs:
        flags.set(run)
    return flags.bits()


def runs(pieces: int) -> Iterator[range]:
    """The runs of a set, in order."""
    digits = f"{pieces:b}"[::-1]
    start = digits.find("1")
    while start >= 0:
        stop = digits.find("0", start)
        if stop < 0:
            stop = len(digits)
        yield range(start, stop)
        start = digits.find("1", stop)


def batches(pieces: int, layout: Layout, size: int) -> Iterator[range]:
    """The runs of a set, cut at about ``size`` bytes (at a piece, if pieces are larger)."""
    step = max(1, size // layout.piece_length)
    for run in runs(pieces):
        for start in range(run.start, run.stop, step):
            yield range(start, min(start + step, run.stop))


def ranges_of_file(pieces: int, file: int, layout: Layout) -> Iterator[tuple[int, int]]:
    """The bytes of a file that lie in a set of pieces, as (offset in the file, length)."""
    touched = layout.pieces_of_file(file)
    start, length = layout.file_offsets[file], layout.file_lengths[file]
    inside = pieces >> touched.start & ((1 << len(touched)) - 1)
    for run in runs(inside):
        first = max(0, (touched.start + run.start) * layout.piece_length - start)
        last = min(length, (touched.start + run.stop) * layout.piece_length - start)
        yield first, last - first


def bytes_of_files(files: Iterable[int], pieces: int, layout: Layout) -> Iterator[int]:
    """Bytes of each of these files in a set of pieces."""
    digits = f"{pieces:0{layout.piece_count}b}"[::-1]
    for file in files:
        touched, start = layout.pieces_of_file(file), layout.file_offsets[file]
        there = digits.count("1", touched.start, touched.stop) * layout.piece_length
        if touched and digits[touched.start] == "1":
            there -= start - layout.offset(touched.start)
        if touched and digits[touched.stop - 1] == "1":
            there -= layout.offset(touched.stop) - start - layout.file_lengths[file]
        yield there


def complete_files(files: Iterable[int], have: int, layout: Layout) -> list[int]:
    """Which of these files lie in verified pieces only. A file without bytes always does."""
    digits = f"{have:0{layout.piece_count}b}"[::-1]
    found = []
    for file in files:
        touched = layout.pieces_of_file(file)
        if digits.find("0", touched.start, touched.stop) < 0:
            found.append(file)
    return found
