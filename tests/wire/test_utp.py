import struct

import pytest
from hypothesis import given, strategies as st

from torrentlite.tracker import packets
from torrentlite.wire import utp

HEADER = struct.Struct(">BBHIIIHH")
SHORT, LONG = st.integers(0, 0xFFFF), st.integers(0, 0xFFFF_FFFF)
PACKETS = st.builds(
    utp.Packet,
    st.sampled_from([utp.DATA, utp.FIN, utp.STATE, utp.RESET, utp.SYN]),
    SHORT,
    LONG,
    LONG,
    LONG,
    SHORT,
    SHORT,
    st.one_of(st.just(0), st.integers(0, (1 << 8 * utp.MAX_SACK) - 1), st.integers(0, 511).map(lambda bit: 1 << bit)),
    st.binary(max_size=40),
)


def raw(kind=utp.DATA, extension=0, body=b"", *, version=1):
    return HEADER.pack(kind << 4 | version, extension, 0x1234, 5, 6, 7, 8, 9) + body


def said(packet):
    return utp.encode(*packet[:-1]) + packet.payload


@given(PACKETS)
def test_what_is_said_is_understood(packet):
    data = said(packet)
    assert utp.is_packet(data)
    assert utp.parse(data) == packet


@given(PACKETS, st.lists(PACKETS))
def test_packets_that_are_sent_together(first, others):
    packets = [first._replace(kind=one.kind, seq=one.seq, payload=one.payload) for one in (first, *others)]
    made = utp.series(utp.encode(*first[:-1]), ((one.kind, one.seq, one.payload) for one in packets))
    assert made == [said(one) for one in packets]


def test_the_header_as_the_bep_draws_it():
    packet = utp.Packet(utp.STATE, 0x0102, 0x03040506, 0x0708090A, 0x0B0C0D0E, 0x0F10, 0x1112, 0, b"")
    assert said(packet) == b"\x21\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12"
    assert utp.HEADER_SIZE == 20


@pytest.mark.parametrize(
    ("kind", "first"), [(utp.DATA, 0x01), (utp.FIN, 0x11), (utp.STATE, 0x21), (utp.RESET, 0x31), (utp.SYN, 0x41)]
)
def test_kinds(kind, first):
    assert utp.encode(kind, 0, 0, 0, 0, 0, 0)[0] == first
    assert utp.parse(bytes([first]) + bytes(19)).kind == kind


# -- what has come beyond a hole ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ahead", "mask"),  # packet ack + ahead
    [(2, "01000000"), (9, "80000000"), (10, "00010000"), (17, "00800000"), (18, "00000100"), (33, "00000080")],
)
def test_the_order_of_the_bits(ahead, mask):
    """As the BEP draws it: "9 8 ... 3 2 | 17 ... 10 | 25 ... 18 | 33 ... 26"."""
    data = utp.encode(utp.STATE, 0, 0, 0, 0, 0, 0, 1 << ahead - 2)
    assert data[1] == 1
    assert data[20:] == b"\0\x04" + bytes.fromhex(mask)
    assert utp.parse(data).sack == 1 << ahead - 2


@pytest.mark.parametrize(("bits", "size"), [(1, 4), (32, 4), (33, 8), (64, 8), (65, 12), (511, 64), (512, 64)])
def test_a_mask_is_of_whole_words(bits, size):
    data = utp.encode(utp.STATE, 0, 0, 0, 0, 0, 0, 1 << bits - 1)
    assert (data[21], len(data)) == (size, 22 + size)


def test_a_mask_is_cut_where_it_is_too_long():
    assert utp.MAX_SACK == 64
    edge = 8 * utp.MAX_SACK
    for sack in (1 << edge | 5, (1 << edge + 500) - 1):
        data = utp.encode(utp.STATE, 0, 0, 0, 0, 0, 0, sack)
        assert len(data) == 22 + utp.MAX_SACK
        assert utp.parse(data).sack == sack & (1 << edge) - 1
    for size in (utp.MAX_SACK, utp.MAX_SACK + 4, 252):
        heard = utp.parse(raw(utp.STATE, 1, bytes([0, size]) + b"\xff" * size + b"rest"))
        assert heard.sack == (1 << edge) - 1
        assert heard.payload == b"rest"


def test_a_mask_of_any_size_is_read():
    assert utp.parse(raw(extension=1, body=b"\0\0data"))[-2:] == (0, b"data")
    assert utp.parse(raw(extension=1, body=b"\0\x01\x05data"))[-2:] == (5, b"data")


# -- other extensions --------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(2, 255), st.binary(max_size=30)), max_size=5), st.binary(max_size=20), st.data())
def test_unknown_extensions_are_skipped(others, payload, data):
    listed = [*others]
    at = data.draw(st.integers(0, len(others)))
    listed.insert(at, (1, b"\x05\0\0\0"))
    following = [number for number, _ in listed[1:]] + [0]
    body = b"".join(bytes([after, len(text)]) + text for (_, text), after in zip(listed, following, strict=True))
    packet = utp.parse(raw(extension=listed[0][0], body=body + payload))
    assert packet == utp.Packet(utp.DATA, 0x1234, 5, 6, 7, 8, 9, 5, payload)


@pytest.mark.parametrize(
    ("extension", "body"),
    [
        (1, b""),
        (1, b"\0"),
        (1, b"\0\x04"),
        (1, b"\0\x04abc"),
        (7, b""),
        (7, b"\0\x01"),
        (7, b"\x01\0"),
        (7, b"\x01\x01a\0"),
        (255, b"\x07\xff" + bytes(254)),
        (1, b"\x01\0" * 20 + b"\x01"),
    ],
)
def test_extensions_that_do_not_fit(extension, body):
    assert utp.is_packet(raw(extension=extension, body=body))
    assert utp.parse(raw(extension=extension, body=body)) is None


@given(st.binary(min_size=18, max_size=100).map(lambda rest: b"\x01\x01" + rest))
def test_anything_is_read_or_not(data):
    packet = utp.parse(data)
    assert packet is None or (data.endswith(packet.payload) and packet.sack < 1 << 8 * utp.MAX_SACK)


# -- other datagrams ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        raw()[:19],
        raw(5),
        raw(15),
        raw(version=0),
        raw(version=2),
        raw(utp.SYN, version=3),
        b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe",
        b"d1:rd2:id20:abcdefghij0123456789e1:t2:aa1:y1:re",
        *(struct.pack(">II", action, 0x01010101) + bytes(20) for action in range(4)),  # BEP 15
    ],
)
def test_what_is_none(data):
    assert not utp.is_packet(data)


def test_our_own_requests_to_trackers_are_none():
    # A tracker that is a mirror must not look like a peer.
    assert not utp.is_packet(packets.connect_request(7))


@given(st.binary(min_size=20, max_size=20))
def test_kind_and_version_make_one(data):
    assert utp.is_packet(data) == (data[0] in (0x01, 0x11, 0x21, 0x31, 0x41))


# -- saying no ---------------------------------------------------------------------------------------------------------


def test_a_call_is_refused():
    # BEP 29: type 3 is ST_RESET; the connection id is the caller's, and what is acknowledged is its first packet.
    call = utp.parse(HEADER.pack(0x41, 0, 0x1234, 5, 0, 1 << 20, 77, 0))
    assert utp.refuse(call) == HEADER.pack(0x31, 0, 0x1234, 5, 0, 0, 0, 77)


@given(PACKETS)
def test_no_refusal_is_louder_than_what_it_answers(packet):
    answer = utp.refuse(packet)
    assert len(answer) <= len(said(packet))
    heard = utp.parse(answer)
    assert (heard.kind, heard.connection_id, heard.ack) == (utp.RESET, packet.connection_id, packet.seq)
