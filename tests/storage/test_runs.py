from __future__ import annotations

import itertools

import pytest
from hypothesis import given, strategies as st

from torrentlite import limits
from torrentlite.metainfo.layout import Block, Layout
from torrentlite.storage.reader import cut, join
from torrentlite.storage.runs import Flags, batches, bytes_of_files, complete_files, ranges_of_file, runs, union
from torrentlite.wire import bitfield

sets = st.integers(0, (1 << 70) - 1)
layouts = st.builds(Layout, st.integers(1, 20), st.lists(st.integers(0, 60), min_size=1, max_size=8))


@given(sets)
def test_runs_and_back(pieces: int) -> None:
    found = list(runs(pieces))
    assert [piece for run in found for piece in run] == list(bitfield.members(pieces))
    assert all(before.stop < after.start for before, after in itertools.pairwise(found))
    assert union(found, 70) == pieces


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 30), st.integers(0, 30))))
def test_flags(steps: list[tuple[bool, int, int]]) -> None:
    flags, expected = Flags(30), set[int]()
    for add, start, stop in steps:
        run = range(start, max(start, stop))
        (flags.set if add else flags.clear)(run)
        expected = expected | set(run) if add else expected - set(run)
    assert set(bitfield.members(flags.bits())) == expected
    assert all(flags.has(piece) == (piece in expected) for piece in range(30))


@given(layouts, sets, st.integers(1, 100))
def test_batches(layout: Layout, pieces: int, size: int) -> None:
    pieces &= bitfield.full(layout.piece_count)
    found = list(batches(pieces, layout, size))
    assert [piece for run in found for piece in run] == list(bitfield.members(pieces))
    assert all(len(run) * layout.piece_length <= max(size, layout.piece_length) for run in found)


@given(layouts, sets)
def test_ranges_of_a_file(layout: Layout, pieces: int) -> None:
    pieces &= bitfield.full(layout.piece_count)
    for file, length in enumerate(layout.file_lengths):
        found = {byte for start, size in ranges_of_file(pieces, file, layout) for byte in range(start, start + size)}
        start = layout.file_offsets[file]
        assert found == {byte for byte in range(length) if pieces >> ((start + byte) // layout.piece_length) & 1}


@given(layouts, sets)
def test_bytes_of_files(layout: Layout, pieces: int) -> None:
    pieces &= bitfield.full(layout.piece_count)
    files = range(0, len(layout.file_lengths), 2)
    found = list(bytes_of_files(files, pieces, layout))
    assert found == [sum(size for _, size in ranges_of_file(pieces, file, layout)) for file in files]


@given(layouts, sets)
def test_complete_files(layout: Layout, have: int) -> None:
    have &= bitfield.full(layout.piece_count)
    files = range(len(layout.file_lengths))
    assert complete_files(files, have, layout) == [
        file for file in files if bitfield.span(layout.pieces_of_file(file)) & ~have == 0
    ]


@given(st.lists(st.integers(0, 9)), st.lists(st.integers(0, 20)))
def test_cut(lengths: list[int], sizes: list[int]) -> None:
    data = bytes(range(sum(lengths)))
    views, position = [], 0
    for length in lengths:
        views.append(memoryview(data)[position : position + length])
        position += length
    sizes = [size for size, stop in zip(sizes, itertools.accumulate(sizes), strict=True) if stop <= len(data)]
    parts = [b"".join(part) for part in cut(views, sizes)]
    assert [len(part) for part in parts] == sizes
    assert b"".join(parts) == data[: sum(sizes)]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(1, 3)), max_size=12), st.integers(1, 4))
def test_join(numbers: list[tuple[int, int, int]], most: int) -> None:
    blocks = [Block(piece, begin, length) for piece, begin, length in numbers]
    buffers = [bytearray(block.length) for block in blocks]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "MAX_VECTOR", most)
        joined = list(join(blocks, buffers, 4))
    places = []
    for offset, views in joined:
        assert 0 < len(views) <= most
        for view in views:
            places.append((offset, view))
            offset += len(view)
    assert [(offset, id(view)) for offset, view in places] == [
        (block.piece * 4 + block.begin, id(buffer)) for block, buffer in zip(blocks, buffers, strict=True)
    ]
    ends = [(offset + sum(map(len, views)), len(views)) for offset, views in joined]
    for (end, count), (start, _) in zip(ends[:-1], joined[1:], strict=True):
        assert end != start or count == most, "those that follow one another are read together"
