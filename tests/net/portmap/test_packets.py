import struct

import pytest
from hypothesis import given, strategies as st

from torrentlite import limits
from torrentlite.net.portmap import natpmp, pcp
from torrentlite.net.portmap.lease import GatewayError, Transport

PORTS = st.integers(1, 65535)
SECONDS = st.integers(0, 2**32 - 1)
TRANSPORTS = st.sampled_from(Transport)
ADDRESSES = st.ip_addresses(v=4).map(str)
NONCES = st.binary(min_size=12, max_size=12)


def test_natpmp_as_the_rfc_writes_it():
    assert natpmp.address_request() == bytes.fromhex("0000")
    assert natpmp.map_request(Transport.UDP, 6881, 6882, 7200) == bytes.fromhex("00010000 1ae1 1ae2 00001c20")
    assert natpmp.map_request(Transport.TCP, 6881, 6882, 7200) == bytes.fromhex("00020000 1ae1 1ae2 00001c20")
    assert natpmp.map_request(Transport.TCP, 6881, 6882, 0) == bytes.fromhex("00020000 1ae1 0000 00000000")
    address = natpmp.parse_address(bytes.fromhex("0080 0000 0000002a 0b090909"))
    assert address == (42, "11.9.9.9")
    mapping = natpmp.parse_mapping(bytes.fromhex("0082 0000 0000002a 1ae1 1ae2 00000e10"), Transport.TCP, 6881)
    assert mapping == (42, 6881, 6882, 3600)


def test_pcp_as_the_rfc_writes_it():
    ours = bytes.fromhex("00000000000000000000ffffc0a80102")
    assert pcp.announce_request("192.168.1.2") == bytes.fromhex("0200 0000 00000000") + ours
    request = pcp.map_request("192.168.1.2", b"0123456789ab", Transport.TCP, 6881, 6882, 7200)
    assert request == (
        bytes.fromhex("0201 0000 00001c20")
        + ours
        + b"0123456789ab"
        + bytes.fromhex("06000000 1ae1 1ae2 00000000000000000000ffff00000000")
    )
    reply = (
        bytes.fromhex("0281 0000 00000e10 0000002a 000000000000000000000000")
        + b"0123456789ab"
        + bytes.fromhex("06000000 1ae1 1ae2 00000000000000000000ffff0b090909")
    )
    assert pcp.parse_mapping(reply, b"0123456789ab", Transport.TCP, 6881) == (42, "11.9.9.9", 6882, 3600)
    assert pcp.parse_announce(bytes.fromhex("0280 0000 00000000 0000002a") + bytes(12)) == 42


@given(TRANSPORTS, PORTS, PORTS, SECONDS, SECONDS)
def test_natpmp_answers_are_read_back(transport, internal, external, lifetime, epoch):
    request = natpmp.map_request(transport, internal, external, lifetime)
    reply = struct.pack(">BBHIHHI", 0, 128 + request[1], 0, epoch, internal, external, lifetime)
    assert natpmp.parse_mapping(reply, transport, internal) == (epoch, internal, external, lifetime)
    assert natpmp.parse_mapping(reply, transport, internal % 65535 + 1) is None
    (other,) = set(Transport) - {transport}
    assert natpmp.parse_mapping(reply, other, internal) is None
    for size in range(len(reply)):
        assert natpmp.parse_mapping(reply[:size], transport, internal) is None
    assert natpmp.parse_address(reply) is None


@given(ADDRESSES, NONCES, TRANSPORTS, PORTS, PORTS, SECONDS, SECONDS)
def test_pcp_answers_are_read_back(host, nonce, transport, internal, external, lifetime, epoch):
    request = pcp.map_request("192.168.1.2", nonce, transport, internal, external, 3600, host)
    assert len(request) == 60
    reply = struct.pack(">BBBBII12x", 2, 129, 0, 0, lifetime, epoch) + request[24:]
    assert pcp.parse_mapping(reply, nonce, transport, internal) == (epoch, host, external, lifetime)
    assert pcp.parse_mapping(reply, bytes(12) if any(nonce) else b"x" * 12, transport, internal) is None
    assert pcp.parse_mapping(reply, nonce, transport, internal % 65535 + 1) is None
    for size in range(len(reply)):
        assert pcp.parse_mapping(reply[:size], nonce, transport, internal) is None
    assert pcp.parse_mapping(reply + b"\0", nonce, transport, internal) is None
    assert pcp.parse_mapping(reply + bytes(4), nonce, transport, internal), "options may follow"
    room = limits.MAP_MAX_PACKET - len(reply)
    assert pcp.parse_mapping(reply + bytes(room), nonce, transport, internal)
    assert pcp.parse_mapping(reply + bytes(room + 4), nonce, transport, internal) is None
    assert pcp.parse_announce(reply) is None
    refusal = reply[:3] + b"\x02" + reply[4:]
    with pytest.raises(GatewayError, match="not allowed") as caught:
        pcp.parse_mapping(refusal, nonce, transport, internal)
    assert caught.value.code == 2
    assert pcp.parse_mapping(refusal, nonce, transport, internal % 65535 + 1) is None, "somebody else's refusal"


@given(st.binary(max_size=80), NONCES, TRANSPORTS, PORTS)
def test_any_datagram_is_an_answer_or_none_or_a_refusal(data, nonce, transport, internal):
    codes = []
    for parse in (
        lambda: natpmp.parse_address(data),
        lambda: natpmp.parse_mapping(data, transport, internal),
        lambda: pcp.parse_announce(data),
        lambda: pcp.parse_mapping(data, nonce, transport, internal),
    ):
        try:
            parse()
        except GatewayError as error:
            codes.append(error.code)
    assert all(codes)


@given(NONCES, TRANSPORTS, PORTS, st.integers(0, 59), st.integers(0, 255))
def test_one_changed_byte_is_noticed_where_it_matters(nonce, transport, internal, where, value):
    reply = (
        struct.pack(">BBBBII12x", 2, 129, 0, 0, 3600, 1)
        + pcp.map_request("192.168.1.2", nonce, transport, internal, 1000, 3600)[24:]
    )
    changed = reply[:where] + bytes([value]) + reply[where + 1 :]
    named = where in (0, 1) or 24 <= where < 37 or where in (40, 41)
    try:
        answer = pcp.parse_mapping(changed, nonce, transport, internal)
    except GatewayError:
        assert where == 3 or where == 0
    else:
        assert (answer is None) == (named and changed != reply) or (where == 0 and value == 0)


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 77, 65535])
def test_natpmp_refusals(code):
    # Some gateways leave out all that follows a refusal's head.
    for more in (b"", bytes(8)):
        with pytest.raises(GatewayError, match="refuses") as caught:
            natpmp.parse_mapping(struct.pack(">BBHI", 0, 130, code, 0) + more, Transport.TCP, 1)
        assert caught.value.code == code
    with pytest.raises(GatewayError, match="refuses"):
        natpmp.parse_address(struct.pack(">BBHI", 0, 128, code, 0))


def test_a_natpmp_gateway_asked_by_pcp_says_so():
    for parse in (pcp.parse_announce, lambda data: pcp.parse_mapping(data, bytes(12), Transport.TCP, 1)):
        with pytest.raises(GatewayError, match="does not speak PCP"):
            parse(bytes.fromhex("0081 0001 00000000"))
