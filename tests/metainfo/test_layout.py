from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from torrentlite.metainfo.layout import BLOCK_SIZE, Block, Layout, Span
from torrentlite.wire import bitfield

LAYOUTS = st.builds(Layout, st.integers(1, 40_000), st.lists(st.integers(0, 100_000), max_size=8))
WITH_DATA = LAYOUTS.filter(lambda layout: layout.total > 0)


@given(LAYOUTS)
def test_pieces_make_up_the_torrent(layout: Layout) -> None:
    sizes = [layout.piece_size(piece) for piece in range(layout.piece_count)]
    assert sum(sizes) == layout.total == sum(layout.file_lengths)
    assert all(size == layout.piece_length for size in sizes[:-1])
    assert all(0 < size <= layout.piece_length for size in sizes)


@given(WITH_DATA)
def test_blocks_make_up_a_piece(layout: Layout) -> None:
    for piece in {0, layout.piece_count - 1}:
        blocks = layout.blocks(piece)
        assert len(blocks) == layout.block_count(piece)
        assert [layout.block(piece, index) for index in range(len(blocks))] == blocks
        at = 0
        for block in blocks:
            assert (block.piece, block.begin) == (piece, at)
            assert 0 < block.length <= BLOCK_SIZE
            assert layout.holds(*block)
            at += block.length
        assert at == layout.piece_size(piece)


@given(WITH_DATA, st.data())
def test_spans_are_the_bytes_asked_for(layout: Layout, data: st.DataObject) -> None:
    offset = data.draw(st.integers(0, layout.total))
    length = data.draw(st.integers(0, layout.total - offset))
    at = offset
    for span in layout.spans(offset, length):
        assert span.length > 0
        assert layout.file_offsets[span.file] + span.offset == at
        assert span.offset + span.length <= layout.file_lengths[span.file]
        at += span.length
    assert at == offset + length


@given(WITH_DATA)
def test_pieces_of_files_and_files_of_pieces(layout: Layout) -> None:
    pieces = [layout.pieces_of_file(file) for file in range(len(layout.file_lengths))]
    for piece in range(min(layout.piece_count, 50)):
        assert layout.files_of_piece(piece) == [file for file, held in enumerate(pieces) if piece in held]


@given(WITH_DATA, st.data())
def test_files_of_a_run(layout: Layout, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, layout.piece_count))
    run = range(start, data.draw(st.integers(start, layout.piece_count)))
    full = {file for piece in run for file in layout.files_of_piece(piece)}
    assert {file for file in layout.files_of_run(run) if layout.file_lengths[file]} == full


@given(WITH_DATA, st.data())
def test_bytes_of_a_set_of_pieces(layout: Layout, data: st.DataObject) -> None:
    pieces = data.draw(st.sets(st.integers(0, layout.piece_count - 1), max_size=5))
    assert layout.bytes_of_pieces(bitfield.of(pieces)) == sum(map(layout.piece_size, pieces))


def test_an_example() -> None:
    layout = Layout(32_768, [10, 0, 50_000, 20_000])
    assert (layout.total, layout.piece_count, layout.piece_size(2)) == (70_010, 3, 4474)
    assert layout.blocks(0) == [Block(0, 0, 16384), Block(0, 16384, 16384)]
    assert layout.blocks(2) == [Block(2, 0, 4474)]
    assert list(layout.spans(0, 32_768)) == [Span(0, 0, 10), Span(2, 0, 32_758)]
    assert list(layout.spans(50_009, 2)) == [Span(2, 49_999, 1), Span(3, 0, 1)]
    assert [layout.pieces_of_file(file) for file in range(4)] == [range(1), range(0), range(2), range(1, 3)]
    assert layout.files_of_piece(1) == [2, 3]
    assert layout.offset(2, 5) == 65_541


@pytest.mark.parametrize(
    ("piece", "begin", "length"),
    [
        (-1, 0, 1),
        (3, 0, 1),
        (0, -1, 1),
        (0, 0, 0),
        (0, 0, -1),
        (0, 32_768, 1),
        (0, 32_767, 2),
        (2, 4473, 2),
        (2, 0, 2**31),
    ],
)
def test_numbers_from_outside_that_name_no_bytes(piece: int, begin: int, length: int) -> None:
    assert not Layout(32_768, [70_010]).holds(piece, begin, length)


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, 11), (10, 1), (0, -1)])
def test_spans_outside(offset: int, length: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        list(Layout(4, [10]).spans(offset, length))


@pytest.mark.parametrize("lengths", [[], [0], [0, 0]])
def test_no_bytes_at_all(lengths: list[int]) -> None:
    layout = Layout(16384, lengths)
    assert (layout.total, layout.piece_count) == (0, 0)
    assert layout.bytes_of_pieces(0) == 0
    assert list(layout.spans(0, 0)) == []
    assert not layout.holds(0, 0, 1)
