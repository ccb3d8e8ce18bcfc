"""Which pieces to let go when not all fit in."""

from hypothesis import given, strategies as st

from torrentlite.metainfo.layout import Layout
from torrentlite.strategy.cache import Cache
from torrentlite.wire import bitfield

LAYOUT = Layout(10, [95])  # ten pieces, the last of 5


def test_the_least_recently_used_go_first_and_what_is_kept_goes_last() -> None:
    cache = Cache(LAYOUT, 40)
    for piece in (3, 1, 2, 0):
        cache.add(piece)
    assert cache.make_room(0, 0) == []
    cache.touch([3, 7])
    assert cache.make_room(10, 0) == [1]
    assert cache.make_room(20, bitfield.of([2])) == [0], "room for one was there already"
    assert 2 in cache
    cache.add(4)
    assert cache.used == 30
    assert cache.make_room(40, bitfield.of([2, 3, 4])) == [2, 3, 4]
    assert cache.used == 0


def test_a_piece_counts_once_and_the_last_is_short() -> None:
    cache = Cache(LAYOUT, 40)
    cache.add(9)
    cache.add(9)
    assert cache.used == 5
    cache.remove(9)
    cache.remove(9)
    assert cache.used == 0


@given(st.lists(st.tuples(st.sampled_from("atr"), st.integers(0, 9), st.integers(0, 1023))), st.integers(10, 95))
def test_it_never_holds_more_than_fits(steps: list[tuple[str, int, int]], capacity: int) -> None:
    cache = Cache(LAYOUT, capacity)
    model: set[int] = set()
    for step, piece, keep in steps:
        if step == "a":
            if piece not in cache:
                gone = cache.make_room(LAYOUT.piece_size(piece), keep)
                assert set(gone) <= model
                model -= set(gone)
                if model - set(gone) and any(keep >> each & 1 for each in gone):
                    assert all(keep >> each & 1 for each in model), "what may go went first"
            cache.add(piece)
            model.add(piece)
        elif step == "t":
            cache.touch([piece])
        else:
            cache.remove(piece)
            model.discard(piece)
        assert cache.used == sum(map(LAYOUT.piece_size, model)) <= capacity
        assert all((each in cache) is (each in model) for each in range(10))
