"""Messages of SOCKS5, byte by byte, and whatever else a proxy may say."""

import contextlib

import pytest
from hypothesis import given, strategies as st

from torrentlite.errors import ProtocolError
from torrentlite.wire import socks


def test_the_greeting_offers_a_password_only_to_give_one():
    assert socks.hello(password=False) == b"\x05\x01\x00"
    assert socks.hello(password=True) == b"\x05\x02\x00\x02"
    assert socks.read_method(b"\x05\x00", password=False) == socks.NO_AUTHENTICATION
    assert socks.read_method(b"\x05\x02", password=True) == socks.PASSWORD
    with pytest.raises(ProtocolError, match="a password"):
        socks.read_method(b"\x05\x02", password=False)


@pytest.mark.parametrize(
    ("answer", "words"), [(b"\x05\xff", "user and a password"), (b"\x05\x01", "takes nobody"), (b"HT", "no SOCKS5")]
)
def test_who_takes_nobody_is_no_way_out(answer, words):
    with pytest.raises(ProtocolError, match=words):
        socks.read_method(answer, password=True)


def test_a_password():
    assert socks.password(b"me", b"secret") == b"\x01\x02me\x06secret"
    socks.check_password(b"\x01\x00")
    with pytest.raises(ProtocolError, match="refuses"):
        socks.check_password(b"\x01\x01")


def test_addresses_and_names():
    assert socks.connect("1.2.3.4", 80) == b"\x05\x01\x00\x01\x01\x02\x03\x04\x00\x50"
    assert socks.connect("::1", 258) == b"\x05\x01\x00\x04" + b"\0" * 15 + b"\x01\x01\x02"
    assert socks.connect("a.example", 443) == b"\x05\x01\x00\x03\x09a.example\x01\xbb"
    with pytest.raises(ProtocolError, match="too long"):
        socks.connect("a" * 256, 443)


def test_how_much_of_a_reply_is_still_to_come():
    whole = {
        b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50": 10,
        b"\x05\x00\x00\x04" + b"\0" * 18: 22,
        b"\x05\x00\x00\x03\x04name\x00\x50": 11,
        b"\x05\x00\x00\x03\x00\x00\x50": 7,
    }
    for reply, size in whole.items():
        assert len(reply) == size == socks.REPLY_HEAD + socks.reply_left(reply[: socks.REPLY_HEAD])


@given(st.binary(min_size=socks.REPLY_HEAD, max_size=socks.REPLY_HEAD))
def test_any_reply_is_short_or_refused(head):
    good = head[:2] == b"\x05\x00" and head[3] in (1, 3, 4)
    with contextlib.nullcontext() if good else pytest.raises(ProtocolError):
        assert 2 <= socks.reply_left(head) <= 257
