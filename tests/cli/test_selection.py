from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from torrentlite.cli.exits import UsageError
from torrentlite.cli.selection import choose

NAMES = ["top/readme.txt", "top/Season 1/E01.mkv", "top/Season 1/E01.srt", "top/Season 2/E01.mkv", "top/extra.mkv"]


@pytest.mark.parametrize(
    ("wishes", "found"),
    [
        (["1"], [0]),
        (["1,3-5"], [0, 2, 3, 4]),
        (["5,1"], [0, 4]),
        (["4-"], [3, 4]),
        (["1, 2 - 3"], [0, 1, 2]),
        (["*.mkv"], [1, 3, 4]),
        (["*.MKV"], [1, 3, 4]),
        (["Season 1/*"], [1, 2]),
        (["top/season 2/*"], [3]),
        (["e01.*"], [1, 2, 3]),
        (["readme.txt", "2"], [0, 1]),
        (["*"], [0, 1, 2, 3, 4]),
        (["[e]xtra.mkv"], [4]),
    ],
)
def test_choosing(wishes: list[str], found: list[int]) -> None:
    assert choose(wishes, NAMES) == found


@pytest.mark.parametrize(
    ("wish", "hint"),
    [
        ("0", "--list"),
        ("6", "--list"),
        ("3-2", "--list"),
        ("1-6", "--list"),
        ("9" * 5000, "--list"),
        ("*.avi", "--list"),
        ("readmee.txt", "readme.txt"),
        ("", "--list"),
        ("1,,2", "--list"),
    ],
)
def test_a_wish_that_names_nothing(wish: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose([wish], NAMES)
    assert hint in caught.value.hint


@given(st.sets(st.integers(1, 300), min_size=1))
def test_numbers_and_only_numbers(wanted: set[int]) -> None:
    names = [f"f/{number}" for number in range(300)]
    assert choose([",".join(map(str, wanted))], names) == sorted(number - 1 for number in wanted)


@given(st.text(max_size=20))
def test_no_wish_does_more_than_choose_or_be_refused(wish: str) -> None:
    try:
        found = choose([wish], NAMES)
    except UsageError:
        return
    assert found
    assert set(found) <= set(range(len(NAMES)))
