import pytest
from hypothesis import given, strategies as st

from torrentlite.errors import ProtocolError
from torrentlite.wire import bitfield

counts = st.integers(1, 300)
sets = st.sets(st.integers(0, 299))


def test_high_bit_of_first_byte_is_piece_0() -> None:
    assert bitfield.from_wire(b"\x80\x01\x40", 18) == 1 | 1 << 15 | 1 << 17
    assert bitfield.to_wire(1 | 1 << 15 | 1 << 17, 18) == b"\x80\x01\x40"


@given(counts, st.data())
def test_round_trip(count: int, data: st.DataObject) -> None:
    pieces = data.draw(st.integers(0, bitfield.full(count)))
    wire = bitfield.to_wire(pieces, count)
    assert len(wire) == (count + 7) // 8
    assert bitfield.from_wire(memoryview(wire), count) == pieces
    assert [piece for piece in range(count) if wire[piece // 8] & 0x80 >> piece % 8] == list(bitfield.members(pieces))


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (b"", 1),
        (b"\0", 9),
        (b"\0\0", 8),
        (b"\x01", 7),
        (b"\xff\xff", 15),
        (b"\0\0\x20", 18),
        (b"\0", 0),
    ],
)
def test_wrong_length_or_spare_bits(data: bytes, count: int) -> None:
    with pytest.raises(ProtocolError):
        bitfield.from_wire(data, count)


def test_full() -> None:
    assert bitfield.full(0) == 0
    assert bitfield.full(3) == 0b111


@given(sets)
def test_of_and_members_are_inverse(pieces: set[int]) -> None:
    bits = bitfield.of(pieces)
    assert bits == sum(1 << piece for piece in pieces)
    assert list(bitfield.members(bits)) == sorted(pieces)


def test_of_takes_any_iterable_and_repetitions() -> None:
    assert bitfield.of(iter([3, 1, 3])) == 0b1010
    assert bitfield.of([3, 1] * 10) == 0b1010


@given(st.integers(0, 300), st.integers(0, 300))
def test_span(start: int, stop: int) -> None:
    assert bitfield.span(range(start, stop)) == bitfield.of(range(start, stop))
