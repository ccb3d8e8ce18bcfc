import hashlib

import pytest
from hypothesis import given, strategies as st

from torrentlite import limits
from torrentlite.errors import ProtocolError
from torrentlite.wire import lsd
from torrentlite.wire.lsd import GROUPS, Announce

ONE, TWO = hashlib.sha1(b"one").digest(), hashlib.sha1(b"two").digest()
HASHES = st.binary(min_size=20, max_size=20)


def test_an_announce_as_bep_14_writes_it():
    assert lsd.encode(GROUPS[0], Announce(6881, (ONE, TWO), "c00kie")) == (
        b"BT-SEARCH * HTTP/1.1\r\n"
        b"Host: 239.192.152.143:6771\r\n"
        b"Port: 6881\r\n"
        b"Infohash: fe05bcdcdc4928012781a5f1a2a77cbb5398e106\r\n"
        b"Infohash: ad782ecdac770fc6eb9a62e44f90873fb97fb26b\r\n"
        b"cookie: c00kie\r\n"
        b"\r\n"
        b"\r\n"
    )
    assert lsd.encode(GROUPS[1], Announce(1, (ONE,))).startswith(
        b"BT-SEARCH * HTTP/1.1\r\nHost: [ff15::efc0:988f]:6771\r\n"
    )


@given(
    st.integers(1, 65535),
    st.lists(HASHES, min_size=1, max_size=25, unique=True),
    st.text("0123456789abcdef", max_size=16),
)
def test_what_is_written_is_read_back(port, hashes, cookie):
    announce = Announce(port, tuple(hashes), cookie)
    for group in GROUPS:
        assert lsd.parse(lsd.encode(group, announce)) == announce


@pytest.mark.parametrize("group", GROUPS)
def test_a_full_announce_fits_into_a_packet(group):
    count = lsd.room(group, "0" * 16)
    full = Announce(65535, tuple(hashlib.sha1(bytes([i])).digest() for i in range(count)), "0" * 16)
    assert count >= 20
    assert len(lsd.encode(group, full)) <= limits.LSD_MAX_PACKET
    assert lsd.parse(lsd.encode(group, full)) == full
    more = full._replace(info_hashes=(*full.info_hashes, ONE))
    assert len(lsd.encode(group, more)) > limits.LSD_MAX_PACKET


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("BT-SEARCH * HTTP/1.1\r\nPort: 1\r\nInfohash: {one}\r\n\r\n\r\n", Announce(1, (ONE,))),
        ("BT-SEARCH * HTTP/1.1\nPort: 1\nInfohash: {one}\n\n", Announce(1, (ONE,))),
        ("BT-SEARCH * HTTP/1.1\r\nPORT:1\r\ninfoHASH:{ONE}\r\nCookie:  x \r\n\r\n", Announce(1, (ONE,), "x")),
        ("BT-SEARCH * HTTP/1.1\r\nPort: 1\r\nInfohash: {one}\r\nInfohash: {one}\r\n\r\n", Announce(1, (ONE,))),
        ("BT-SEARCH * HTTP/1.1\r\nX: y\r\nPort: 1\r\nInfohash: zz\r\nInfohash: {one}\r\n\r\n", Announce(1, (ONE,))),
        ("BT-SEARCH * HTTP/1.1\r\nPort: 1\r\nInfohash: {one}\r\nInfohash: {one}{one}\r\n\r\n", Announce(1, (ONE,))),
        ("BT-SEARCH * HTTP/1.1\r\nPort: 1\r\nInfohash: {one}", Announce(1, (ONE,))),
        ("BT-SEARCH * HTTP/1.1\r\nPort: 1\r\nInfohash: {one}\r\n\r\nInfohash: {two}\r\n", Announce(1, (ONE,))),
    ],
)
def test_other_ways_of_writing(text, found):
    assert lsd.parse(text.format(one=ONE.hex(), ONE=ONE.hex().upper(), two=TWO.hex()).encode()) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "BT-SEARCH * HTTP/1.1",
        "BT-SEARCH * HTTP/1.0\r\nPort: 1\r\nInfohash: {one}\r\n\r\n",
        "M-SEARCH * HTTP/1.1\r\nPort: 1\r\nInfohash: {one}\r\n\r\n",
        "bt-search * HTTP/1.1\r\nPort: 1\r\nInfohash: {one}\r\n\r\n",
        "BT-SEARCH * HTTP/1.1\r\nInfohash: {one}\r\n\r\n",
        "BT-SEARCH * HTTP/1.1\r\nPort: 0\r\nInfohash: {one}\r\n\r\n",
        "BT-SEARCH * HTTP/1.1\r\nPort: 65536\r\nInfohash: {one}\r\n\r\n",
        "BT-SEARCH * HTTP/1.1\r\nPort: -1\r\nInfohash: {one}\r\n\r\n",
        "BT-SEARCH * HTTP/1.1\r\nPort: +1\r\nInfohash: {one}\r\n\r\n",
        "BT-SEARCH * HTTP/1.1\r\nPort: 1_0\r\nInfohash: {one}\r\n\r\n",
        "BT-SEARCH * HTTP/1.1\r\nPort: " + "1" * 900 + "\r\nInfohash: {one}\r\n\r\n",
        "BT-SEARCH * HTTP/1.1\r\nPort: 1\r\n\r\n",
        "BT-SEARCH * HTTP/1.1\r\nPort: 1\r\nInfohash: {one}0\r\n\r\n",
        "BT-SEARCH * HTTP/1.1\r\nPort: 1\r\nInfohash: " + "+1" * 20 + "\r\n\r\n",
        "BT-SEARCH * HTTP/1.1\r\n\r\nPort: 1\r\nInfohash: {one}\r\n\r\n",
        "BT-SEARCH * HTTP/1.1\r\nPort: 1\r\nInfohash: {one}\r\nX: é\r\n\r\n",
        "BT-SEARCH * HTTP/1.1\r\nPort: 1\r\nInfohash: {one}\r\nX: " + "y" * 1400 + "\r\n\r\n",
    ],
)
def test_what_is_no_announce(text):
    with pytest.raises(ProtocolError):
        lsd.parse(text.replace("{one}", ONE.hex()).encode())


@given(st.binary(max_size=300), st.integers(0, 100), st.integers(0, 100))
def test_any_datagram_is_an_announce_or_refused(data, start, end):
    good = lsd.encode(GROUPS[0], Announce(6881, (ONE,), "x"))
    for datagram in (data, good[:start] + data + good[end:]):
        try:
            announce = lsd.parse(datagram)
        except ProtocolError:
            continue
        assert 0 < announce.port < 65536
        assert 0 < len(announce.info_hashes) <= limits.LSD_MAX_HASHES
        assert all(len(info_hash) == 20 for info_hash in announce.info_hashes)
        assert len(announce.cookie) <= limits.LSD_MAX_COOKIE
