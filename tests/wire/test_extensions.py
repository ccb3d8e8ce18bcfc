import ipaddress

import pytest
from hypothesis import given, strategies as st

from torrentlite import limits
from torrentlite.bencode import encode as bencode
from torrentlite.errors import ProtocolError
from torrentlite.wire import extensions as ext, messages as m
from torrentlite.wire.address import Address


def handshake(**said: object) -> m.ExtendedHandshake:
    """What is understood of a handshake with these fields."""
    message = ext.parse_extended(ext.HANDSHAKE_ID, bencode(said))
    assert isinstance(message, m.ExtendedHandshake)
    return message


def payload(data: bytes) -> tuple[int, bytes]:
    """Extended id and payload of the one extended message in ``data``."""
    assert int.from_bytes(data[:4], "big") == len(data) - 4
    assert data[4] == m.MessageId.EXTENDED
    return data[5], data[6:]


# -- handshake (BEP 10) -----------------------------------------------------------------------------------------------

IDS = st.dictionaries(st.sampled_from(sorted(ext.OUR_IDS)), st.integers(0, 255))
CLIENTS = st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126), max_size=limits.MAX_CLIENT_NAME)
HANDSHAKES = st.builds(
    m.ExtendedHandshake,
    extensions=IDS,
    client=CLIENTS,
    reqq=st.none() | st.integers(1, limits.MAX_REQQ),
    port=st.none() | st.integers(1, 65535),
    metadata_size=st.none() | st.integers(1, limits.MAX_METADATA),
    your_ip=st.none() | st.sampled_from(["1.2.3.4", "2001:db8::1", "127.0.0.1"]),
    upload_only=st.none() | st.booleans(),
)


@given(HANDSHAKES)
def test_handshake_round_trip(said: m.ExtendedHandshake) -> None:
    assert ext.parse_extended(*payload(ext.encode_handshake(said))) == said


def test_example_of_bep_10() -> None:
    data = b"d1:md11:LT_metadatai1e6:\xb5T_PEXi2ee1:pi6881e1:v13:\xc2\xb5Torrent 1.2e"
    said = ext.parse_extended(ext.HANDSHAKE_ID, data)
    assert said == m.ExtendedHandshake(client="µTorrent 1.2", port=6881)


def test_example_of_bep_9_and_21() -> None:
    said = handshake(m={"ut_metadata": 3}, metadata_size=31235, upload_only=1)
    assert said == m.ExtendedHandshake(extensions={"ut_metadata": 3}, metadata_size=31235, upload_only=True)


def test_nothing_said() -> None:
    assert handshake() == m.ExtendedHandshake()
    assert ext.encode_handshake(m.ExtendedHandshake()) == b"\0\0\0\x09\x14\0d1:mdee"


@pytest.mark.parametrize(
    ("field", "value", "attribute", "understood"),
    [
        ("v", b"", "client", ""),
        ("v", 5, "client", ""),
        ("v", b"\x1b[2Jx\xff\n\xe2\x80\xaey", "client", "\ufffd[2Jx\ufffd \ufffdy"),
        ("v", b"x" * limits.MAX_CLIENT_NAME, "client", "x" * limits.MAX_CLIENT_NAME),
        ("v", b"x" * 10_000, "client", "x" * (limits.MAX_CLIENT_NAME - 1) + "…"),
        ("reqq", -1, "reqq", None),
        ("reqq", 0, "reqq", None),
        ("reqq", 1, "reqq", 1),
        ("reqq", 10**19, "reqq", limits.MAX_REQQ),
        ("reqq", b"250", "reqq", None),
        ("p", 0, "port", None),
        ("p", -1, "port", None),
        ("p", 65535, "port", 65535),
        ("p", 65536, "port", None),
        ("p", [], "port", None),
        ("metadata_size", -5, "metadata_size", None),
        ("metadata_size", 0, "metadata_size", None),
        ("metadata_size", 1, "metadata_size", 1),
        ("metadata_size", limits.MAX_METADATA, "metadata_size", limits.MAX_METADATA),
        ("metadata_size", limits.MAX_METADATA + 1, "metadata_size", None),
        ("metadata_size", 2**40, "metadata_size", None),
        ("yourip", b"\x01\x02\x03", "your_ip", None),
        ("yourip", b"\x01\x02\x03\x04", "your_ip", "1.2.3.4"),
        ("yourip", b"\x01\x02\x03\x04\x05", "your_ip", None),
        ("yourip", ipaddress.ip_address("::ffff:1.2.3.4").packed, "your_ip", "1.2.3.4"),
        ("yourip", ipaddress.ip_address("2001:db8::1").packed, "your_ip", "2001:db8::1"),
        ("yourip", 4, "your_ip", None),
        ("upload_only", 0, "upload_only", False),
        ("upload_only", 1, "upload_only", True),
        ("upload_only", b"1", "upload_only", None),
        ("m", [], "extensions", {}),
        ("m", {}, "extensions", {}),
        ("m", {"ut_metadata": 0}, "extensions", {"ut_metadata": 0}),
        ("m", {"ut_metadata": 255, "upload_only": 255}, "extensions", {"ut_metadata": 255, "upload_only": 255}),
        ("m", {"ut_metadata": 256}, "extensions", {}),
        ("m", {"ut_metadata": -1, "upload_only": 3}, "extensions", {"upload_only": 3}),
        ("m", {"ut_metadata": b"3"}, "extensions", {}),
        ("m", {f"x{i}": i % 255 for i in range(1000)}, "extensions", {}),
    ],
)
def test_fields_are_bounded(field: str, value: object, attribute: str, understood: object) -> None:
    assert getattr(handshake(**{field: value}), attribute) == understood


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"i5e",
        b"le",
        b"d1:m",
        b"d1:md11:ut_metadatai3e",
        b"d4:reqqi007ee",
        b"de" + b"x",
        b"d1:v99999999:xe",
        b"d1:v" + b"l" * 200 + b"e" * 200 + b"e",
        b"d1:v%d:%be" % (limits.MAX_EXTENDED_HANDSHAKE, b"x" * limits.MAX_EXTENDED_HANDSHAKE),
    ],
)
def test_handshakes_that_are_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        ext.parse_extended(ext.HANDSHAKE_ID, data)


# -- metadata (BEP 9) -------------------------------------------------------------------------------------------------


def test_examples_of_bep_9() -> None:
    metadata = bytes(range(256)) * 64
    for data, message in (
        (b"d8:msg_typei0e5:piecei0ee", m.MetadataRequest(0)),
        (b"d8:msg_typei1e5:piecei0e10:total_sizei34256ee" + metadata, m.MetadataData(0, 34256, metadata)),
        (b"d8:msg_typei2e5:piecei0ee", m.MetadataReject(0)),
    ):
        assert ext.parse_extended(ext.UT_METADATA, data) == message


@given(st.integers(1, 255), st.integers(0, limits.MAX_METADATA // limits.METADATA_PIECE))
def test_requests_and_rejects_round_trip(number: int, piece: int) -> None:
    sent, data = payload(ext.encode_metadata_request(number, piece))
    assert sent == number
    assert ext.parse_extended(ext.UT_METADATA, data) == m.MetadataRequest(piece)
    sent, data = payload(ext.encode_metadata_reject(number, piece))
    assert sent == number
    assert ext.parse_extended(ext.UT_METADATA, data) == m.MetadataReject(piece)


@given(st.integers(1, 100_000))
def test_metadata_in_pieces(total: int) -> None:
    metadata = bytes(total)
    got = b""
    for start in range(0, total, limits.METADATA_PIECE):
        piece = start // limits.METADATA_PIECE
        part = metadata[start : start + limits.METADATA_PIECE]
        _, data = payload(ext.encode_metadata_data(9, piece, total, part))
        message = ext.parse_extended(ext.UT_METADATA, data)
        assert message == m.MetadataData(piece, total, part)
        got += part
    assert got == metadata


def test_unrecognized_kinds_are_ignored() -> None:
    data = bencode({"msg_type": 3, "piece": 0})
    assert ext.parse_extended(ext.UT_METADATA, data) == m.UnknownExtended(ext.UT_METADATA)


@pytest.mark.parametrize(
    "said",
    [
        {"piece": 0},
        {"msg_type": 0},
        {"msg_type": b"0", "piece": 0},
        {"msg_type": 0, "piece": b"0"},
        {"msg_type": 0, "piece": -1},
        {"msg_type": 2, "piece": limits.MAX_METADATA // limits.METADATA_PIECE + 1},
        {"msg_type": 0, "piece": 2**63},
        [0, 0],
        5,
        {"msg_type": 0, "piece": 0, "x": b"x" * limits.MAX_METADATA_HEADER},
    ],
)
def test_metadata_messages_that_are_refused(said: object) -> None:
    with pytest.raises(ProtocolError):
        ext.parse_extended(ext.UT_METADATA, bencode(said))


@pytest.mark.parametrize(
    ("piece", "total", "size"),
    [
        (0, 16384, 0),
        (0, 16384, 16383),
        (0, 16384, 16385),
        (0, 20000, 20000),
        (0, 100, 101),
        (1, 20000, 16384),
        (1, 16384, 1),
        (1, 16384, 0),
        (5, 100, 100),
        (0, 0, 0),
        (0, -1, 1),
        (0, limits.MAX_METADATA + 1, 16384),
        (0, None, 10),
        (0, b"10", 10),
    ],
)
def test_metadata_of_the_wrong_size(piece: int, total: object, size: int) -> None:
    said = {"msg_type": 1, "piece": piece} | ({} if total is None else {"total_size": total})
    with pytest.raises(ProtocolError):
        ext.parse_extended(ext.UT_METADATA, bencode(said) + bytes(size))


# -- upload_only and the rest -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [True, False])
def test_upload_only_round_trip(value: bool) -> None:
    data = ext.encode_upload_only(7, value)
    assert data == bytes([0, 0, 0, 3, 20, 7, value])
    assert ext.parse_extended(ext.UPLOAD_ONLY, data[6:]) == m.UploadOnly(value)


@pytest.mark.parametrize("piece", [0, 1, 0xFFFFFFFF])
def test_dont_have_round_trip(piece: int) -> None:
    data = ext.encode_dont_have(7, piece)
    assert data == bytes([0, 0, 0, 6, 20, 7]) + piece.to_bytes(4, "big")
    assert ext.parse_extended(ext.LT_DONTHAVE, data[6:]) == m.DontHave(piece)


@pytest.mark.parametrize(
    ("number", "data"),
    [
        (ext.LT_DONTHAVE, b""),
        (ext.LT_DONTHAVE, bytes(5)),
        (ext.UPLOAD_ONLY, b""),
        (ext.UPLOAD_ONLY, b"i1e"),
        (ext.UPLOAD_ONLY, bytes(4)),
        (ext.LT_DONTHAVE, b"\x01"),
        (77, b"de"),
        (77, b"\x01"),
        (77, bytes(4)),
        (200, b"xyz"),
    ],
)
def test_what_we_do_not_know_is_ignored(number: int, data: bytes) -> None:
    assert ext.parse_extended(number, data) == m.UnknownExtended(number)


def test_our_ids_are_different_and_not_the_handshakes() -> None:
    ids = [ext.HANDSHAKE_ID, *ext.OUR_IDS.values()]
    assert len(set(ids)) == len(ids)


# -- anything at all --------------------------------------------------------------------------------------------------

KEYS = st.sampled_from(
    [b"m", b"v", b"p", b"reqq", b"yourip", b"metadata_size", b"upload_only", b"msg_type", b"piece", b"total_size", b"x"]
)
VALUES = st.recursive(
    st.integers(-5, 5) | st.integers(-(2**64), 2**64) | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(KEYS | st.sampled_from([b"ut_metadata", b"upload_only"]), inner, max_size=4)
    ),
    max_leaves=8,
)
NUMBERS = st.sampled_from([ext.HANDSHAKE_ID, ext.UT_METADATA, ext.UPLOAD_ONLY, ext.UT_PEX, ext.UT_HOLEPUNCH, 77])


@given(NUMBERS, st.dictionaries(KEYS, VALUES).map(bencode) | st.binary(max_size=60), st.binary(max_size=20))
def test_only_protocol_errors_come_out(number: int, data: bytes, more: bytes) -> None:
    try:
        message = ext.parse_extended(number, data + more)
    except ProtocolError:
        return
    if isinstance(message, m.ExtendedHandshake):
        assert message.client.isprintable()
        assert len(message.client) <= limits.MAX_CLIENT_NAME
        assert message.extensions.keys() <= ext.OUR_IDS.keys()
        assert all(0 <= number <= 255 for number in message.extensions.values())
    elif isinstance(message, m.MetadataData):
        assert 0 < len(message.data) <= limits.METADATA_PIECE
        assert message.piece * limits.METADATA_PIECE + len(message.data) <= message.total_size


@given(
    st.sampled_from(m.HolepunchKind),
    st.sampled_from([Address("1.2.3.4", 5), Address("2001:db8::1", 65535)]),
    st.integers(0, 2**32 - 1),
)
def test_holepunch_both_ways(kind: m.HolepunchKind, address: Address, error: int) -> None:
    said = m.Holepunch(kind, address, error)
    data = payload(ext.encode_holepunch(ext.UT_HOLEPUNCH, said))
    assert ext.parse_extended(*data) == said
    # What is cut off is nothing; but the error may be left out where there is none.
    for size in range(len(data[1])):
        short = ext.parse_extended(data[0], data[1][:size])
        if size < len(data[1]) - 4:
            assert short == m.UnknownExtended(ext.UT_HOLEPUNCH)
        else:
            assert (short.kind, short.address) == (kind, address)


def test_example_of_bep_55() -> None:
    data = bytes.fromhex("00 00 01020304 1ae1 00000000")
    assert ext.parse_extended(ext.UT_HOLEPUNCH, data) == m.Holepunch(
        m.HolepunchKind.RENDEZVOUS, Address("1.2.3.4", 6881)
    )
    for bad in ("03 00 01020304 1ae1 00000000", "00 02 01020304 1ae1 00000000", "00 01 01020304 1ae1 00000000"):
        assert ext.parse_extended(ext.UT_HOLEPUNCH, bytes.fromhex(bad)) == m.UnknownExtended(ext.UT_HOLEPUNCH)


PEX = m.Pex(
    (Address("1.2.3.4", 5), Address("2001:db8::1", 6), Address("9.9.9.9", 7)),
    frozenset({Address("9.9.9.9", 7), Address("2001:db8::1", 6)}),
    (Address("4.3.2.1", 8),),
)


def test_peer_exchange_both_ways():
    encoded = ext.encode_pex(9, PEX)
    assert encoded[5] == 9
    parsed = ext.parse_extended(ext.UT_PEX, encoded[6:])
    assert set(parsed.added) == set(PEX.added)
    assert parsed.seeds == PEX.seeds
    assert parsed.dropped == PEX.dropped


def test_peer_exchange_is_bounded_and_forgiving():
    flood = bencode({"added": bytes(range(6)) * 5000 + b"xx", "added.f": b"", "dropped": 7, "added6": [1]})
    assert len(ext.parse_extended(ext.UT_PEX, flood).added) == 1, "the same one five thousand times"
    many = bencode({"added": b"".join(bytes([9, 9, n >> 8, n & 255, 1, 1]) for n in range(5000))})
    assert len(ext.parse_extended(ext.UT_PEX, many).added) == limits.MAX_PEX_ENTRIES
    for bad in (b"", b"le", b"i1e", b"d5:addedi1e"):
        with pytest.raises(ProtocolError):
            ext.parse_extended(ext.UT_PEX, bad)
