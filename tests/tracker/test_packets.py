import struct

import pytest
from hypothesis import example, given, strategies as st

from tests.tracker.bad_replies import PEER, PEER6
from torrentlite import limits
from torrentlite.errors import TrackerError
from torrentlite.tracker import packets
from torrentlite.tracker.announce import AnnounceRequest, ScrapeReply
from torrentlite.wire.address import Address, Scope

REQUEST = AnnounceRequest(
    info_hash=b"h" * 20,
    peer_id=b"p" * 20,
    port=0x1AE1,
    downloaded=1,
    left=2,
    uploaded=3,
    event="started",
    key=0xCAFEBABE,
    numwant=50,
)


def test_connect():
    assert packets.connect_request(0x01020304) == bytes.fromhex("0000041727101980 00000000 01020304")
    assert packets.parse_connect(bytes.fromhex("00000000 01020304 1122334455667788 99")) == 0x1122334455667788


def test_announce():
    data = packets.announce_request(0x1122334455667788, 0x01020304, REQUEST, "/")
    assert data == (
        bytes.fromhex("1122334455667788 00000001 01020304")
        + b"h" * 20
        + b"p" * 20
        + bytes.fromhex("0000000000000001 0000000000000002 0000000000000003")
        + bytes.fromhex("00000002 00000000 cafebabe 00000032 1ae1")
    )
    assert len(data) == 98


@pytest.mark.parametrize(("event", "number"), [("", 0), ("completed", 1), ("started", 2), ("stopped", 3)])
def test_events(event, number):
    request = AnnounceRequest(info_hash=bytes(20), peer_id=bytes(20), port=1, event=event)
    data = packets.announce_request(0, 0, request, "/")
    assert data[80:84] == struct.pack(">I", number)
    assert struct.unpack(">I", data[92:96]) == (0 if event == "stopped" else limits.NUMWANT,)


def test_numbers_beyond_64_bits_are_the_largest():
    request = AnnounceRequest(info_hash=bytes(20), peer_id=bytes(20), port=1, uploaded=1 << 70, left=1 << 64)
    data = packets.announce_request(0, 0, request, "/")
    assert data[64:80] == struct.pack(">QQ", (1 << 63) - 1, (1 << 63) - 1)


def read_options(data: bytes) -> bytes:
    """The URL data that a tracker reads, by the rules of BEP 41."""
    url = b""
    while data and data[0]:
        if data[0] == 1:
            data = data[1:]
            continue
        length = data[1]
        assert len(data) >= 2 + length
        if data[0] == 2:
            url += data[2 : 2 + length]
        data = data[2 + length :]
    return url


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=1000))
@example("")
@example("x" * 254)
@example("x" * 255)
@example("x" * 4000)
def test_the_url_goes_along(path):
    data = packets.announce_request(0, 0, REQUEST, "/" + path)
    assert read_options(data[98:]) == (("/" + path).encode() if path else b"")


def test_the_example_of_bep_41():
    data = packets.announce_request(0, 0, REQUEST, "/dir?a=b&c=d")
    assert data[98:] == b"\x02\x0c/dir?a=b&c=d"


def test_announced():
    head = struct.pack(">IIIII", 1, 7, 1800, 2, 5)
    reply = packets.parse_announce(head + PEER, ipv6=False, scope=Scope.PRIVATE)
    assert (reply.interval, reply.leechers, reply.seeders, reply.scope) == (1800, 2, 5, Scope.PRIVATE)
    assert reply.peers == (Address("8.8.8.8", 6881),)
    assert packets.parse_announce(head + PEER6, ipv6=True).peers == (Address("2606:4700::1111", 6881),)


def test_scrape():
    hashes = [b"x" * 20, b"y" * 20, b"z" * 20]
    assert packets.scrape_request(1, 7, hashes) == struct.pack(">QII", 1, 2, 7) + b"".join(hashes)
    data = struct.pack(">IIIIIIII", 2, 7, 1, 2, 3, 4, 5, 6)
    assert packets.parse_scrape(data + bytes(11), hashes) == {
        hashes[0]: ScrapeReply(seeders=1, downloaded=2, leechers=3),
        hashes[1]: ScrapeReply(seeders=4, downloaded=5, leechers=6),
    }
    assert packets.parse_scrape(data, hashes[:1]).keys() == {hashes[0]}


def test_the_largest_scrape_is_one_datagram():
    assert len(packets.scrape_request(1, 7, [bytes(20)] * limits.SCRAPE_HASHES_UDP)) < 1500


@pytest.mark.parametrize(
    "parse",
    [
        packets.parse_connect,
        lambda data: packets.parse_announce(data, ipv6=False),
        lambda data: packets.parse_scrape(data, []),
    ],
)
def test_refusals(parse):
    with pytest.raises(TrackerError, match=r"^not today$"):
        parse(struct.pack(">II", 3, 7) + b"not today\0")
    assert packets.is_error(struct.pack(">II", 3, 7))
