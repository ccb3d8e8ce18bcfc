from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from torrentlite.cli import units


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("500k", 500 << 10),
        ("500K", 500 << 10),
        ("2M", 2 << 20),
        ("2MiB", 2 << 20),
        ("2MB", 2 << 20),
        ("1.5G", 3 << 29),
        ("1T", 1 << 40),
        ("16 B", 16),
        ("2M/s", 2 << 20),
    ],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert units.parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "k", "-1", "1x", "1e6", "0x10", "1 2", "9" * 40, "9" * 400, "1" * 320 + "k", "nan", "inf", "1k1"]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        units.parse_size(text)


@pytest.mark.parametrize("text", ["2Mb", "2mbit", "2Mbit/s", "500kbps", "8 kbits"])
def test_bits_are_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="never bits"):
        units.parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("1.5", 1.5), ("30m", 1800), ("1h30m", 5400), ("2d", 172800), ("1d1h1m1s", 90061)],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert units.parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "1w", "-5", "5m1h", "1.5m", "soon", "9" * 13, "9" * 400 + "d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        units.parse_duration(text)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "0.98 KiB"),
        (1024, "1.00 KiB"),
        (10234, "9.99 KiB"),
        (10240, "10.0 KiB"),
        (482 << 20, "482 MiB"),
        (1023 << 20, "1.00 GiB"),
        (5 << 60, "5120 PiB"),
    ],
)
def test_sizes_are_written(count: int, text: str) -> None:
    assert units.size(count) == text


@given(st.integers(0, 1 << 60))
def test_a_written_size_can_be_read_and_is_close(count: int) -> None:
    text = units.size(count)
    assert len(text) <= 8
    if "P" not in text:
        assert units.parse_size(text) == pytest.approx(count, rel=0.006)


@given(st.integers(0, 1 << 50), st.integers(1, 1 << 50))
def test_a_hundred_per_cent_is_said_only_when_all_is_there(done: int, total: int) -> None:
    assert (units.percent(done, total) == "100 %") == (done >= total)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0s"), (0.52, "0.5s"), (12, "12s"), (59.7, "1m00s"), (112, "1m52s"), (7500, "2h05m"), (273600, "3d04h")],
)
def test_durations_are_written(seconds: float, text: str) -> None:
    assert units.duration(seconds) == text


def test_a_unit_is_named_once_where_both_sizes_have_it() -> None:
    assert units.done_of(2 << 30, 5 << 30) == "2.00 of 5.00 GiB"
    assert units.done_of(2 << 20, 5 << 30) == "2.00 MiB of 5.00 GiB"


def test_plurals() -> None:
    assert [units.plural(count, "peer") for count in (0, 1, 2, 4812)] == ["0 peers", "1 peer", "2 peers", "4,812 peers"]
