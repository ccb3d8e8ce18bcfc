from __future__ import annotations

import enum
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from torrentlite import bencode, limits
from torrentlite.errors import BencodeError

settings.register_profile("torrentlite", deadline=None, derandomize=True)
settings.load_profile("torrentlite")

VALUES = st.recursive(
    st.integers(-(10**19), 10**19) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=5), inner, max_size=4),
    max_leaves=20,
)
FRAGMENTS = [b"d", b"l", b"e", b"i", b"-", b":", b"0", b"1", b"6", b"0:", b"1:a", b"1:b", b"i0e", b"i-7e", b"de", b"le"]
NEARLY = st.lists(st.sampled_from(FRAGMENTS), max_size=14).map(b"".join)
"""Much of it is nearly bencoding, and some of it is."""


@pytest.fixture
def not_for_ever() -> Iterator[None]:
    """What reads for ever fails, instead of hanging all tests."""

    def give_up(*_: object) -> None:
        raise AssertionError("this reads for ever")

    previous = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


@pytest.mark.usefixtures("not_for_ever")
@pytest.mark.parametrize("data", [b"d0:i0e-6:", b"d1:ai0e-7:", b"ld0:i0e-6:e"])
def test_a_negative_length_does_not_move_the_cursor_back(data: bytes) -> None:
    for read in (bencode.decode, bencode.decode_prefix, bencode.decode_with_spans):
        with pytest.raises(BencodeError):
            read(data)


@given(VALUES)
def test_what_is_written_is_read(value: bencode.Value) -> None:
    assert bencode.decode(bencode.encode(value)) == value


@given(VALUES, st.binary(max_size=5), st.binary(max_size=5))
def test_the_end_of_a_value_inside_other_bytes(value: bencode.Value, before: bytes, after: bytes) -> None:
    data = bencode.encode(value)
    assert bencode.decode_prefix(before + data + after, len(before)) == (value, len(before) + len(data))


@given(VALUES)
def test_every_shorter_piece_of_a_value_is_an_error(value: bencode.Value) -> None:
    data = bencode.encode(value)
    for size in range(len(data)):
        with pytest.raises(BencodeError):
            bencode.decode(data[:size])


@given(NEARLY)
@example(b"d0:i0e-6:")
def test_bencode2_agrees(data: bytes) -> None:
    oracle = pytest.importorskip("bencode2")
    try:
        value = bencode.decode(data)
    except BencodeError:
        with pytest.raises(Exception):  # noqa: B017 - whatever it raises, it must not accept
            oracle.bdecode(data)
        return
    written = bencode.encode(value)
    assert oracle.bdecode(written) == value
    assert oracle.bencode(value) == written
    if written != data:  # the only thing in which we are more patient: the order of keys, and keys that return
        assert b"d" in data
        with pytest.raises(oracle.BencodeDecodeError):
            oracle.bdecode(data)
    else:
        assert oracle.bdecode(data) == value


@given(NEARLY)
def test_both_readers_agree(data: bytes) -> None:
    def read(reader: Any) -> Any:
        try:
            return reader(data)
        except BencodeError as error:
            return str(error)

    plain, with_spans = read(bencode.decode), read(bencode.decode_with_spans)
    if isinstance(with_spans, tuple):
        value, spans = with_spans
        assert value == plain
        assert {key: bencode.decode(data[slice(*span)]) for key, span in spans.items()} == value
    elif isinstance(plain, dict):
        assert "for the second time" in with_spans


def test_keys_out_of_order_are_read() -> None:
    assert bencode.decode(b"d1:bi1e1:ai2ee") == {b"b": 1, b"a": 2}


def test_a_span_is_of_the_bytes_as_they_are() -> None:
    data = b"d1:bd1:yi1e1:xi2ee1:a1:ze"
    value, spans = bencode.decode_with_spans(data)
    assert value == {b"a": b"z", b"b": {b"x": 2, b"y": 1}}
    assert {key: data[slice(*span)] for key, span in spans.items()} == {b"b": b"d1:yi1e1:xi2ee", b"a": b"1:z"}


@pytest.mark.parametrize("data", [b"d1:ai1e1:ai1ee", b"d1:xd1:ai1e1:ai1eee", b"d1:xld1:ai1e1:ai1eeee"])
def test_a_key_that_returns(data: bytes) -> None:
    assert bencode.decode(data)
    with pytest.raises(BencodeError, match="b'a' for the second time at byte"):
        bencode.decode_with_spans(data)


def test_a_long_key_that_returns_is_not_all_shown() -> None:
    key = b"100:" + b"k" * 100
    with pytest.raises(BencodeError, match=r"^the key b'k{40}' for"):
        bencode.decode_with_spans(b"d" + key + b"i0e" + key + b"i0ee")


def test_other_kinds_of_bytes() -> None:
    assert bencode.decode(bytearray(b"1:a")) == b"a"
    assert bencode.decode(memoryview(b"1:a")) == b"a"
    assert type(bencode.decode(bytearray(b"1:a"))) is bytes


def test_the_largest_integers() -> None:
    assert bencode.decode(b"i%de" % (2**64 - 1)) == 2**64 - 1
    assert bencode.decode(b"i%de" % -(2**63)) == -(2**63)


@pytest.mark.parametrize("one", [b"l", b"d1:a"])
def test_how_deep(one: bytes) -> None:
    def nested(depth: int) -> bytes:
        return one * (depth - 1) + (b"le" if one == b"l" else b"de") + b"e" * (depth - 1)

    assert bencode.decode(nested(limits.MAX_BENCODE_DEPTH))
    with pytest.raises(BencodeError, match=f"more than {limits.MAX_BENCODE_DEPTH} deep"):
        bencode.decode(nested(limits.MAX_BENCODE_DEPTH + 1))
    assert bencode.decode(nested(5), max_depth=5)
    with pytest.raises(BencodeError, match="more than 4 deep at byte"):
        bencode.decode(nested(5), max_depth=4)
    assert bencode.decode_with_spans(b"d1:x" + nested(limits.MAX_METAINFO_DEPTH - 1) + b"e")
    with pytest.raises(BencodeError, match=f"more than {limits.MAX_METAINFO_DEPTH} deep"):
        bencode.decode_with_spans(b"d1:x" + nested(limits.MAX_METAINFO_DEPTH) + b"e")


def test_depth_where_python_has_little_of_it_left() -> None:
    def deep(left: int) -> None:
        if left:
            deep(left - 1)
        else:
            bencode.decode(b"l" * 900 + b"e" * 900, max_depth=1000)

    with pytest.raises(BencodeError, match="nested too deep"):
        deep(500)


@pytest.mark.parametrize("one", [b"0:", b"i0e", b"le", b"de"])
def test_how_many_values(one: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_METAINFO_TOKENS", 10)
    assert bencode.decode_with_spans(b"d0:l" + one * 7 + b"ee")  # the dictionary, its key and the list are three
    with pytest.raises(BencodeError, match="more than 10 values, at byte"):
        bencode.decode_with_spans(b"d0:l" + one * 8 + b"ee")


@pytest.mark.parametrize("one", [b"0:", b"1:a", b"2:ab", b"i300e", b"le", b"de", b"d0:dee", b"d0:lee", b"d0:2:abe"])
def test_memory(one: bytes) -> None:
    data = b"l" + one * (60_000 // len(one)) + b"e"
    tracemalloc.start()
    value = bencode.decode(data)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert value
    assert held < 64 * len(data)


class Colour(enum.IntEnum):
    RED = 1


@pytest.mark.parametrize(
    ("value", "kind"),
    [(None, "NoneType"), (1.5, "float"), ({1}, "set"), (bytearray(b"a"), "bytearray"), (Colour.RED, "Colour"),
     ([None], "NoneType"), ({"a": 1.5}, "float"), ({5: 1}, "int"), ({None: 1}, "NoneType")],
)  # fmt: skip
def test_what_cannot_be_written_is_named(value: object, kind: str) -> None:
    with pytest.raises(TypeError, match=f"cannot bencode a {kind}"):
        bencode.encode(value)


def test_one_key_as_text_and_as_bytes() -> None:
    with pytest.raises(ValueError, match="'a' both as str and as bytes"):
        bencode.encode({"a": 1, b"a": 2})


def test_keys_of_both_kinds_where_comparing_them_is_an_error() -> None:
    """``python -bb``: text and bytes of the same letters hash alike, and to look for one among the others compares."""
    program = """
from torrentlite import bencode
assert bencode.encode({"a": 1, "b": 2}) == b"d1:ai1e1:bi2ee"
assert bencode.encode({"a": 1, b"b": 2}) == b"d1:ai1e1:bi2ee"
assert bencode.decode(b"d1:ai1ee") == {b"a": 1}
"""
    subprocess.run([sys.executable, "-bb", "-c", program], check=True)


def test_writing() -> None:
    assert bencode.encode({"b": ["é", b"\xff", 5, True], "a": (1, {})}) == b"d1:ali1edee1:bl2:\xc3\xa91:\xffi5ei1eee"
    assert bencode.encode({"x": bencode.Raw(b"d1:bi1e1:ai2ee")}) == b"d1:xd1:bi1e1:ai2eee"
