"""What an answer to a range may be, and all that it may not."""

import pytest
from hypothesis import given, strategies as st

from torrentlite import limits
from torrentlite.net.partial import Part, RefusedError, read_part, retry_after

SIZE = 1_000_000
ASKED = Part(200_000, 100_000)
GOOD = {"content-range": "bytes 200000-299999/1000000", "content-length": "100000"}


@pytest.mark.parametrize(
    ("status", "headers", "part"),
    [
        (206, GOOD, ASKED),
        (206, GOOD | {"content-range": "bytes 200000-299999/*"}, ASKED),
        (206, GOOD | {"content-range": "Bytes  200000-299999/1000000 "}, ASKED),
        (206, {"content-range": "bytes 200000-299999/1000000"}, ASKED),
        (206, {"content-range": "bytes 200000-269999/1000000"}, Part(200_000, 70_000)),
        (206, GOOD | {"content-encoding": "identity"}, ASKED),
        (200, {"content-length": "1000000"}, Part(0, SIZE)),
        (200, {}, Part(0, SIZE)),
    ],
)
def test_what_may_be(status, headers, part):
    assert read_part(status, headers, ASKED, SIZE) == part


@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        (206, {}, "which bytes"),
        (206, {"content-range": "bytes 200000-299999"}, "which bytes"),
        (206, {"content-range": "bytes -1-299999/1000000"}, "which bytes"),
        (206, {"content-range": "bytes 200000-2999999999999999999999999/1000000"}, "which bytes"),
        (206, {"content-range": "bytes ２00000-299999/1000000"}, "which bytes"),
        (206, {"content-range": "lines 200000-299999/1000000"}, "which bytes"),
        (206, {"content-range": "bytes 0-99999/1000000"}, "not those"),
        (206, {"content-range": "bytes 200000-300000/1000000"}, "not those"),
        (206, {"content-range": "bytes 200000-199999/1000000"}, "not those"),
        (206, {"content-range": "bytes 200000-200000/1000000"}, "1 bytes at a time"),
        (206, {"content-range": "bytes 200000-299999/1000001"}, "1,000,001 bytes, the torrent's 1,000,000"),
        (206, GOOD | {"content-length": "99999"}, "contradicts"),
        (206, GOOD | {"content-type": "multipart/byteranges; boundary=a"}, "several parts"),
        (206, GOOD | {"content-encoding": "gzip"}, "Content-Encoding"),
        (200, {"content-length": "1000000", "content-encoding": "br"}, "Content-Encoding"),
        (200, {"content-length": "5"}, "5 bytes"),
        (416, {"content-range": "bytes */7"}, "7 bytes"),
        (416, {}, "416"),
        (404, {}, "404 (Not Found)"),
        (302, {}, "302"),
        (999, {}, "answers 999"),
        (204, {}, "204"),
    ],
)
def test_what_may_not_be(status, headers, words):
    with pytest.raises(RefusedError, match=words.replace("(", r"\(").replace(")", r"\)")) as caught:
        read_part(status, headers, ASKED, SIZE)
    assert caught.value.lasting


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_passes(status):
    with pytest.raises(RefusedError) as caught:
        read_part(status, {"retry-after": "12"}, ASKED, SIZE)
    assert (caught.value.lasting, caught.value.retry_after) == (False, 12.0)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("120", 120.0),
        ("0", 1.0),
        ("99999999999", limits.RETRY_AFTER[1]),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 60.0),
        ("Fri, 31 Dec 1999 23:00:00 GMT", 1.0),
        ("Fri, 31 Dec 2999 23:59:59 GMT", limits.RETRY_AFTER[1]),
        ("soon", None),
        ("", None),
        ("-5", None),
        ("１２", None),
    ],
)
def test_retry_after(said, seconds):
    assert retry_after({"retry-after": said, "date": "Fri, 31 Dec 1999 23:58:59 GMT"}) == seconds


def test_a_date_without_a_date_to_compare_it_with():
    assert retry_after({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}) is None


TEXTS = st.one_of(st.text(max_size=30), st.sampled_from(["bytes 0-0/1", "bytes */5", "gzip", "5", "bytes 1-2/*"]))
HEADERS = st.dictionaries(
    st.sampled_from(["content-range", "content-length", "content-encoding", "content-type", "retry-after", "date"]),
    TEXTS,
)


@given(
    st.integers(100, 999),
    HEADERS,
    st.integers(1, 1 << 40).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1))),
    st.integers(1, 1 << 24),
)
def test_whatever_comes_it_is_within_the_file_or_refused(status, headers, place, length):
    size, offset = place
    asked = Part(offset, min(length, size - offset))
    try:
        part = read_part(status, headers, asked, size)
    except RefusedError:
        return
    assert part == Part(0, size) or (part.offset == asked.offset and 0 < part.length <= asked.length)


def test_the_least_part():
    asked = Part(0, 2 * limits.LEAST_PART)
    for length in (limits.LEAST_PART, limits.LEAST_PART - 1):
        headers = {"content-range": f"bytes 0-{length - 1}/{SIZE}"}
        if length == limits.LEAST_PART:
            assert read_part(206, headers, asked, SIZE) == Part(0, length)
        else:
            with pytest.raises(RefusedError, match="bytes at a time"):
                read_part(206, headers, asked, SIZE)
    small = Part(0, limits.LEAST_PART - 1)
    assert read_part(206, headers, small, SIZE) == small, "who asks for less gets less"
