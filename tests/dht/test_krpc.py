import pytest
from hypothesis import given, strategies as st

from torrentlite import limits
from torrentlite.bencode import decode, encode
from torrentlite.dht.krpc import (
    VERSION,
    Code,
    Query,
    Refusal,
    Reply,
    encode_query,
    encode_refusal,
    encode_reply,
    parse,
)
from torrentlite.errors import ProtocolError
from torrentlite.wire.address import Address

A, M, Z = b"abcdefghij0123456789", b"mnopqrstuvwxyz123456", b"0123456789abcdefghij"

# The examples of BEP 5; the stand-in "def456..." is what it is there.
BEP5 = [
    (b"d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee", Refusal(b"aa", 201, b"A Generic Error Ocurred")),
    (b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe", Query(b"aa", A, b"ping", {b"id": A}, False)),
    (b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re", Reply(b"aa", M, {b"id": M}, None)),
    (
        b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe",
        Query(b"aa", A, b"find_node", {b"id": A, b"target": M}, False),
    ),
    (
        b"d1:rd2:id20:0123456789abcdefghij5:nodes9:def456...e1:t2:aa1:y1:re",
        Reply(b"aa", Z, {b"id": Z, b"nodes": b"def456..."}, None),
    ),
    (
        b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe",
        Query(b"aa", A, b"get_peers", {b"id": A, b"info_hash": M}, False),
    ),
    (
        b"d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re",
        Reply(b"aa", A, {b"id": A, b"token": b"aoeusnth", b"values": [b"axje.u", b"idhtnm"]}, None),
    ),
    (
        b"d1:rd2:id20:abcdefghij01234567895:nodes9:def456...5:token8:aoeusnthe1:t2:aa1:y1:re",
        Reply(b"aa", A, {b"id": A, b"nodes": b"def456...", b"token": b"aoeusnth"}, None),
    ),
    (
        (
            b"d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e"
            b"5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe"
        ),
        Query(
            b"aa",
            A,
            b"announce_peer",
            {b"id": A, b"implied_port": 1, b"info_hash": M, b"port": 6881, b"token": b"aoeusnth"},
            False,
        ),
    ),
]


@pytest.mark.parametrize(("data", "message"), BEP5, ids=range(len(BEP5)))
def test_the_examples_of_bep_5(data, message):
    assert parse(data) == message


GOOD = {b"a": {b"id": A}, b"q": b"ping", b"t": b"aa", b"y": b"q"}

GARBAGE = {
    "nothing": b"",
    "no bencoding": b"hello",
    "cut short": encode(GOOD)[:-1],
    "goes on": encode(GOOD) + b"e",
    "too long": encode(GOOD | {b"x": bytes(limits.DHT_MAX_DATAGRAM)}),
    "a list": encode([GOOD]),
    "a number": b"i1e",
    "too deep": encode(GOOD | {b"x": eval("[" * 40 + "]" * 40)}),
    "library's endless loop": b"d0:i0e-6:",
    "no transaction": encode({key: GOOD[key] for key in GOOD if key != b"t"}),
    "empty transaction": encode(GOOD | {b"t": b""}),
    "long transaction": encode(GOOD | {b"t": bytes(33)}),
    "transaction a number": encode(GOOD | {b"t": 7}),
    "no kind": encode({key: GOOD[key] for key in GOOD if key != b"y"}),
    "unknown kind": encode(GOOD | {b"y": b"x"}),
    "kind a list": encode(GOOD | {b"y": [b"q"]}),
    "no method": encode({key: GOOD[key] for key in GOOD if key != b"q"}),
    "method a number": encode(GOOD | {b"q": 1}),
    "no arguments": encode({key: GOOD[key] for key in GOOD if key != b"a"}),
    "arguments a list": encode(GOOD | {b"a": [b"id", A]}),
    "no id": encode(GOOD | {b"a": {}}),
    "short id": encode(GOOD | {b"a": {b"id": A[:-1]}}),
    "long id": encode(GOOD | {b"a": {b"id": A + b"x"}}),
    "id a number": encode(GOOD | {b"a": {b"id": 20}}),
    "reply without values": encode({b"t": b"aa", b"y": b"r"}),
    "reply with a string": encode({b"t": b"aa", b"y": b"r", b"r": A}),
    "reply without id": encode({b"t": b"aa", b"y": b"r", b"r": {b"nodes": b""}}),
}


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE)
def test_garbage(data):
    with pytest.raises(ProtocolError):
        parse(data)


@pytest.mark.parametrize("error", [None, [], [1], [b"x", 1], 5, b"x", {b"a": 1}, [201, 5]])
def test_an_error_that_says_nothing_is_one_all_the_same(error):
    message = {b"t": b"aa", b"y": b"e"} | ({b"e": error} if error is not None else {})
    assert parse(encode(message)) == Refusal(b"aa", 201, b"")


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data):
    try:
        parse(data)
    except ProtocolError:
        pass


@given(st.sampled_from([data for data, _ in BEP5]), st.data())
def test_mutated_messages_are_read_or_refused(data, draw):
    damaged = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 5))):
        place = draw.draw(st.integers(0, len(damaged) - 1))
        damaged[place] = draw.draw(st.sampled_from(b"ied0123456789:l-\x00\xff"))
    try:
        parse(bytes(damaged))
    except ProtocolError:
        pass


def test_what_is_written_is_read():
    to = Address("1.2.3.4", 5)
    data = encode_query(b"1234", A, b"find_node", {b"target": M}, read_only=True)
    assert parse(data) == Query(b"1234", A, b"find_node", {b"id": A, b"target": M}, True)
    assert b"2:roi1e" in data, "BEP 43"
    assert parse(encode_reply(b"1234", A, {b"token": b"x"}, to)) == Reply(b"1234", A, {b"id": A, b"token": b"x"}, to)
    refusal = encode_refusal(b"1234", Code.PROTOCOL, "no", to)
    assert parse(refusal) == Refusal(b"1234", 203, b"no")
    assert decode(refusal)[b"ip"] == bytes([1, 2, 3, 4, 0, 5]), "BEP 42: all responses"
    six = Address("2a00::1", 5)
    assert parse(encode_reply(b"1234", A, {}, six)).seen == six


VALUES = st.recursive(
    st.integers(-5, 1 << 40) | st.binary(max_size=40), lambda inner: st.lists(inner, max_size=4), max_leaves=6
)


@given(st.binary(min_size=1, max_size=32), st.dictionaries(st.binary(max_size=8), VALUES, max_size=6))
def test_what_is_bencoded_by_hand_is_what_the_library_writes(transaction, values):
    to = Address("1.2.3.4", 5)
    answer = {b"id": A, **values}
    message = {b"ip": b"\x01\x02\x03\x04\x00\x05", b"r": answer, b"t": transaction, b"v": VERSION, b"y": b"r"}
    assert encode_reply(transaction, A, values, to) == encode(message)
    message = {b"a": answer, b"q": b"put", b"t": transaction, b"v": VERSION, b"y": b"q"}
    assert encode_query(transaction, A, b"put", values) == encode(message)
    assert encode_query(transaction, A, b"put", values, read_only=True) == encode(message | {b"ro": 1})


@pytest.mark.parametrize("seen", [b"", b"12345", b"1234567", 5, [b"123456"]])
def test_an_address_of_ours_that_is_none(seen):
    data = encode({b"ip": seen, b"r": {b"id": A}, b"t": b"aa", b"y": b"r"})
    assert parse(data) == Reply(b"aa", A, {b"id": A}, None)
