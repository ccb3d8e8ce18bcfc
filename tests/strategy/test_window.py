"""How far ahead of a reader to fetch."""

from hypothesis import given, strategies as st

from torrentlite import limits
from torrentlite.metainfo.layout import Layout
from torrentlite.strategy.window import Window

KIB = 1 << 10
PIECE = 16 * KIB
LAYOUT = Layout(PIECE, [100, 1 << 30, 5000])


def window(fixed: int | None = None) -> Window:
    return Window(LAYOUT, 100, 1 << 30, fixed)


def read(place: Window, size: int) -> None:
    place.asked = size
    place.asked = 0
    place.advance(size)


def test_who_jumps_about_gets_nothing_ahead() -> None:
    place = window()
    for position in (5 << 20, 1 << 20, 900 << 20):
        place.seek(position)
        assert place.ahead == 0
        read(place, 64 * KIB)
        assert place.ahead == 0
    assert place.wanted() == range(0)


def test_who_reads_on_gets_as_much_ahead_as_it_has_read() -> None:
    place = window()
    total = 0
    for _ in range(1000):
        read(place, 64 * KIB)
        total += 64 * KIB
        assert place.ahead == (min(total, limits.READ_AHEAD) if total > 64 * KIB else 0)
    assert len(place.wanted()) == limits.READ_AHEAD // PIECE + 1  # a piece is cut at both ends


def test_small_steps_are_reading_on() -> None:
    place = window()
    read(place, 64 * KIB)
    read(place, 64 * KIB)
    place.seek(place.position - 10_000)
    place.seek(place.position + 20_000)
    assert place.ahead
    place.seek(place.position + place.ahead + 1)
    assert not place.ahead


def test_the_end_of_the_file_bounds_it() -> None:
    place = window()
    place.seek((1 << 30) - 10)
    place.asked = 1000
    assert place.urgent() == place.wanted() == range(1 << 16, (1 << 16) + 1)
    place.seek((1 << 30) + 5)
    assert place.urgent() == range(0)


def test_what_is_fixed_stays_so() -> None:
    assert len(window(1 << 20).wanted()) == 65
    assert window(0).wanted() == range(0)


@given(
    st.lists(st.tuples(st.sampled_from(["seek", "read"]), st.integers(0, 1 << 31)), max_size=30),
    st.integers(0, 1 << 30),
    st.integers(0, 1 << 26),
)
def test_windows_stay_in_the_file_and_begin_at_the_reader(steps: list[tuple[str, int]], asked: int, most: int) -> None:
    place = window()
    for step, number in steps:
        if step == "seek":
            place.seek(number)
        else:
            place.advance(max(0, min(number, place.size - place.position)))
    place.asked = asked
    urgent, wanted = place.urgent(), place.wanted(most)
    for pieces in (urgent, wanted):
        assert not pieces or pieces.start == (place.start + place.position) // PIECE
        assert set(pieces) <= set(place.pieces) or pieces.stop <= place.pieces.stop
    assert len(urgent) <= limits.URGENT_BYTES // PIECE + 1
    assert len(wanted) <= max(most, 1) // PIECE + 2
