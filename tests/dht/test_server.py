import pytest
from hypothesis import given, strategies as st

from tests.dht.nodes import ASKER, OPEN, fill, make_core, query, say
from torrentlite import limits
from torrentlite.bencode import Raw, encode
from torrentlite.dht import server, signing
from torrentlite.dht.bloom import BloomFilter
from torrentlite.dht.contact import Contact, read_contacts
from torrentlite.dht.item import Item, make_item, sign_item
from torrentlite.dht.krpc import encode_query
from torrentlite.dht.settings import DhtSettings
from torrentlite.wire.address import Address

T = b"t" * 20


def error(answer: dict) -> int:
    assert answer[b"y"] == b"e", answer
    return answer[b"e"][0]


def values(answer: dict) -> dict:
    assert answer[b"y"] == b"r", answer
    return answer[b"r"]


def test_ping():
    core = make_core()
    answer = query(core, "ping")
    assert values(answer) == {b"id": core.sides[False].own_id}
    assert answer[b"ip"] == bytes([8, 8, 8, 8]) + (6881).to_bytes(2, "big"), "BEP 42"


def test_find_node():
    core = make_core()
    contacts = fill(core, 300)
    found = read_contacts(values(query(core, "find_node", {b"target": T}))[b"nodes"], ipv6=False, most=99)
    assert len(found) == 8
    assert set(found) <= set(contacts)


def test_want():
    core = make_core((False, True))
    core.sides[False].table.answered(Contact(b"4" * 20, Address("8.8.4.4", 1)), 0.0)
    core.sides[True].table.answered(Contact(b"6" * 20, Address("2a00::4", 1)), 0.0)
    six = Address("2a00::8", 6881)
    for method, name in (("find_node", b"target"), ("get_peers", b"info_hash")):
        for sender, want, keys in (
            (ASKER, None, {b"nodes"}),
            (six, None, {b"nodes6"}),
            (ASKER, [b"n6"], {b"nodes6"}),
            (ASKER, [b"n4", b"n6", b"n9", 7], {b"nodes", b"nodes6"}),
            (six, [b"n4"], {b"nodes"}),
            (ASKER, b"n6", {b"nodes"}),
            (ASKER, [], set()),
        ):
            arguments = {name: T} | ({b"want": want} if want is not None else {})
            got = values(query(core, method, arguments, sender=sender))
            assert {key for key in got if key.startswith(b"nodes")} == keys
            assert all(len(got[key]) == (38 if b"6" in key else 26) for key in keys)


@pytest.mark.parametrize(
    ("method", "arguments", "code"),
    [
        ("find_node", {}, 203),
        ("find_node", {b"target": b"short"}, 203),
        ("find_node", {b"target": 20}, 203),
        ("find_node", {b"target": [T]}, 203),
        ("get_peers", {}, 203),
        ("get_peers", {b"info_hash": T + b"x"}, 203),
        ("get_peers", {b"target": T}, 203),
        ("announce_peer", {b"port": 1}, 203),
        ("announce_peer", {b"info_hash": T}, 203),
        ("announce_peer", {b"info_hash": T, b"port": 0}, 203),
        ("announce_peer", {b"info_hash": T, b"port": -1}, 203),
        ("announce_peer", {b"info_hash": T, b"port": 65536}, 203),
        ("announce_peer", {b"info_hash": T, b"port": b"1"}, 203),
        ("announce_peer", {b"info_hash": T, b"port": 1}, 203),
        ("announce_peer", {b"info_hash": T, b"port": 1, b"token": 5}, 203),
        ("announce_peer", {b"info_hash": T, b"port": 1, b"token": bytes(8)}, 203),
        ("get", {}, 203),
        ("put", {b"token": b"x"}, 203),
        ("put", {b"v": b"x"}, 203),
        ("put", {b"v": b"x", b"token": b"x"}, 203),
        ("put", {b"v": bytes(997), b"token": b"x"}, 205),
        ("put", {b"v": b"x", b"k": b"short", b"sig": bytes(64), b"seq": 1}, 203),
        ("put", {b"v": b"x", b"k": bytes(32), b"sig": bytes(63), b"seq": 1}, 203),
        ("put", {b"v": b"x", b"k": bytes(32), b"sig": bytes(64)}, 203),
        ("put", {b"v": b"x", b"k": bytes(32), b"sig": bytes(64), b"seq": -1}, 203),
        ("put", {b"v": b"x", b"k": bytes(32), b"sig": bytes(64), b"seq": 1 << 63}, 203),
        ("put", {b"v": b"x", b"k": bytes(32), b"sig": bytes(64), b"seq": 1, b"salt": bytes(65)}, 207),
        ("put", {b"v": b"x", b"k": bytes(32), b"sig": bytes(64), b"seq": 1, b"salt": 7}, 203),
        ("sample_infohashes", {}, 203),
        ("make_coffee", {}, 204),
        ("", {}, 204),
        ("make_coffee", {b"target": b"short"}, 204),
    ],
)
def test_what_is_refused(method, arguments, code):
    assert error(query(make_core(), method, arguments)) == code


def test_what_is_yet_to_be_invented_finds_its_way():
    core = make_core()
    fill(core, 50)
    for name in (b"target", b"info_hash"):
        assert len(values(query(core, "find_colour", {name: T}))[b"nodes"]) == 26 * 8


# -- peers


def announce(core, sender=ASKER, info_hash=T, *, now=0.0, **more):
    token = values(query(core, "get_peers", {b"info_hash": info_hash}, sender=sender, now=now))[b"token"]
    arguments = {b"info_hash": info_hash, b"port": 77, b"token": token} | {k.encode(): v for k, v in more.items()}
    return query(core, "announce_peer", arguments, sender=sender, now=now)


def peers(core, **more):
    return values(query(core, "get_peers", {b"info_hash": T} | more)).get(b"values")


def test_announce_and_get_peers():
    core = make_core()
    assert peers(core) is None
    values(announce(core))
    assert peers(core) == [bytes([8, 8, 8, 8, 0, 77])]
    values(announce(core, implied_port=1))
    assert peers(core) == [bytes([8, 8, 8, 8]) + (6881).to_bytes(2, "big")]
    values(announce(core, implied_port=0))
    assert peers(core) == [bytes([8, 8, 8, 8, 0, 77])]


def test_a_token_is_for_one_address_one_hash_and_ten_minutes():
    core = make_core()
    token = values(query(core, "get_peers", {b"info_hash": T}))[b"token"]
    arguments = {b"info_hash": T, b"port": 77, b"token": token}
    assert error(query(core, "announce_peer", arguments, sender=Address("8.8.8.9", 6881))) == 203
    assert error(query(core, "announce_peer", arguments | {b"info_hash": b"u" * 20})) == 203
    assert peers(core) is None
    values(query(core, "announce_peer", arguments, sender=Address(ASKER.host, 999)))
    assert error(query(core, "announce_peer", arguments, now=700.0)) == 203


def test_families_are_kept_apart():
    core = make_core((False, True))
    six = Address("2a00::8", 6881)
    values(announce(core))
    values(announce(core, six))
    assert peers(core) == [bytes([8, 8, 8, 8, 0, 77])]
    found = values(query(core, "get_peers", {b"info_hash": T}, sender=six))[b"values"]
    assert [len(value) for value in found] == [18]


def test_scrape():
    core = make_core()
    assert b"BFsd" not in values(query(core, "get_peers", {b"info_hash": T, b"scrape": 1}))
    for index in range(40):
        announce(core, Address(f"8.8.4.{index}", 1), seed=int(index < 10))
    fill(core, 100)
    answer = values(query(core, "get_peers", {b"info_hash": T, b"scrape": 1}))
    assert BloomFilter(answer[b"BFsd"]).estimate() == pytest.approx(10, rel=0.25)
    assert BloomFilter(answer[b"BFpe"]).estimate() == pytest.approx(30, rel=0.25)
    assert len(answer[b"nodes"]) == 208
    assert len(peers(core) or []) > 30


# -- items


def put(core, item: Item, *, sender=ASKER, now=0.0, **more):
    token = values(query(core, "get", {b"target": item.target}, sender=sender, now=now))[b"token"]
    arguments = {b"token": token, b"v": Raw(item.encoded)}
    if item.mutable:
        arguments |= {b"k": item.key, b"sig": item.signature, b"seq": item.sequence}
        arguments |= {b"salt": item.salt} if item.salt else {}
    arguments |= {k.encode(): v for k, v in more.items()}
    return query(core, "put", arguments, sender=sender, now=now)


def test_immutable_items():
    core = make_core()
    item = make_item({b"a": [1, b"x"]})
    assert b"v" not in values(query(core, "get", {b"target": item.target}))
    values(put(core, item))
    got = values(query(core, "get", {b"target": item.target}))
    assert got[b"v"] == {b"a": [1, b"x"]}
    assert not {b"k", b"sig", b"seq"} & set(got)


def test_mutable_items():
    core = make_core()
    key = signing.SigningKey(bytes(32))
    item = sign_item(b"one", key, 1, b"salt")
    values(put(core, item))
    got = values(query(core, "get", {b"target": item.target}))
    assert (got[b"v"], got[b"k"], got[b"seq"], got[b"sig"]) == (b"one", key.public, 1, item.signature)
    assert b"salt" not in got
    for known, told in ((0, True), (1, False), (2, False)):
        got = values(query(core, "get", {b"target": item.target, b"seq": known}))
        assert (b"v" in got) is (b"k" in got) is (b"sig" in got) is told
        assert got[b"seq"] == 1
    assert error(put(core, item._replace(signature=bytes(64)))) == 206
    assert error(put(core, sign_item(b"other", key, 1, b"salt"))) == 302
    assert error(put(core, sign_item(b"two", key, 2, b"salt"), cas=9)) == 301
    values(put(core, sign_item(b"two", key, 2, b"salt"), cas=1))
    assert error(put(core, item)) == 302
    assert values(query(core, "get", {b"target": item.target}))[b"v"] == b"two"


def test_without_cryptography_mutable_items_are_refused(monkeypatch):
    core = make_core()
    item = sign_item(b"one", signing.SigningKey(bytes(32)), 1)

    def verify(*_):
        raise signing.missing()

    monkeypatch.setattr(signing, "verify", verify)
    assert error(put(core, item)) == 202
    values(put(core, make_item(b"x")))


@pytest.mark.parametrize("v", [b"d1:bi1e1:ai2ee", b"d1:ai1e1:ai2ee"], ids=["unsorted", "twice"])
def test_sloppy_bencoding_is_not_stored(v):
    core = make_core()
    target = make_item(0).target
    token = values(query(core, "get", {b"target": target}))[b"token"]
    data = encode_query(b"tttt", b"q" * 20, b"put", {b"token": token, b"v": Raw(v)})
    (answer, _), *_ = say(core, data)
    assert b"i203e" in answer
    assert len(core.sides[False].items) == 0


def test_samples():
    core = make_core()
    fill(core, 50)
    announce(core)
    got = values(query(core, "sample_infohashes", {b"target": b"z" * 20}))
    assert got[b"samples"] == T
    assert got[b"num"] == 1
    assert 0 <= got[b"interval"] <= 21600
    assert len(got[b"nodes"]) == 208


# -- how much is answered


def crowded():
    core = make_core((False, True))
    fill(core, 500)
    for index in range(100):
        core.sides[True].table.answered(Contact(bytes([index]) * 20, Address(f"2a00:0:0:{index:x}::1", 1)), 0.0)
        core.sides[False].peers.announce(T, Address(f"8.8.4.{index}", 1), 0.0)
        core.sides[True].peers.announce(T, Address(f"2a00:0:1:{index:x}::1", 1), 0.0)
    for index in range(300):
        core.sides[False].peers.announce(
            index.to_bytes(20, "big"), Address(f"9.9.{index // 256}.{index % 256}", 1), 0.0
        )
    return core


@pytest.mark.parametrize("sender", [ASKER, Address("2a00::8", 6881)], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("want", [None, [b"n4", b"n6"]])
@pytest.mark.parametrize(
    ("method", "name", "more"),
    [
        ("find_node", b"target", {}),
        ("get_peers", b"info_hash", {}),
        ("get_peers", b"info_hash", {b"noseed": 1}),
        ("get_peers", b"info_hash", {b"scrape": 1}),
        ("sample_infohashes", b"target", {}),
        ("ping", b"x", {}),
        ("announce_peer", b"info_hash", {}),
    ],
)
def test_at_most_eight_times_the_query(method, name, more, sender, want):
    core = crowded()
    for size in (1, 4, 32):
        # The leanest form: no version, a short transaction id.
        arguments = {b"id": b"q" * 20, name: T} | more | ({b"want": want} if want else {})
        data = encode({b"a": arguments, b"q": method.encode(), b"t": bytes(size), b"y": b"q"})
        sent = [datagram for datagram, to in say(core, data, sender, now=core.now + 20) if to == sender]
        answers = [datagram for datagram in sent if b"1:y1:q" not in datagram]
        assert len(answers) == 1
        assert len(answers[0]) <= limits.DHT_MAX_SENT
        # The ping by which the asker is verified counts as well.
        assert sum(map(len, sent)) <= limits.DHT_AMPLIFICATION * len(data)


@pytest.mark.parametrize("sender", [ASKER, Address("2a00::8", 6881)], ids=["IPv4", "IPv6"])
def test_the_ping_that_follows_is_as_long_as_we_say(sender):
    core = make_core((False, True), settings=DhtSettings())
    sent = say(core, encode_query(b"t", b"q" * 20, b"ping", {}), sender)
    answer, ping = (datagram for datagram, _ in sent)
    assert b"1:y1:r" in answer
    assert b"4:ping" in ping
    assert len(ping) + len(b"2:roi1e") <= server._PING


def test_the_largest_item_fits_a_frame():
    core = crowded()
    key = signing.SigningKey(bytes(32))
    for item in (make_item(bytes(996)), sign_item(bytes(996), key, limits.DHT_MAX_SEQ, bytes(64))):
        for sender in (ASKER, Address("2a00::8", 6881)):
            core.sides[sender.is_ipv6].items.put(item, "x", 0.0)
            data = encode_query(bytes(32), b"q" * 20, b"get", {b"target": item.target, b"want": [b"n4", b"n6"]})
            (answer, _), *_ = say(core, data, sender)
            assert b"1:v1000:" not in answer
            assert b"1:v996:" in answer
            assert len(answer) <= limits.DHT_MAX_SENT_ITEM


def test_items_and_filters_come_two_a_second_for_one_address():
    core = make_core(settings=DhtSettings(upload_limit=0, answer_limit=0, address_limit=0, read_only=False))
    item = make_item(b"x" * 900)
    core.sides[False].items.put(item, "x", 0.0)
    core.sides[False].peers.announce(T, ASKER, 0.0)
    items = filters = 0
    for tick in range(1000):
        now = tick / 50
        items += b"v" in values(query(core, "get", {b"target": item.target}, now=now))
        filters += b"BFsd" in values(query(core, "get_peers", {b"info_hash": T, b"scrape": 1}, now=now))
    assert 20 <= items + filters <= 2 * (20 + limits.DHT_BURST) + 1
    other = Address("8.8.4.4", 1)
    assert b"v" in values(query(core, "get", {b"target": item.target}, sender=other, now=20.0))


def test_one_address_gets_no_more_than_its_budget_and_all_no_more_than_theirs():
    settings = DhtSettings(upload_limit=50_000, answer_limit=20_000, read_only=False)
    core = make_core(settings=settings)
    fill(core, 300)
    per_address: dict[Address, int] = {}
    total = 0
    for tick in range(2000):
        sender = Address(f"8.8.{tick % 20}.8", 6881)
        data = encode_query(b"tttt", b"q" * 20, b"find_node", {b"target": T})
        for answer, to in say(core, data, sender, tick / 200):
            per_address[to] = per_address.get(to, 0) + len(answer)
            total += len(answer)
    assert total <= 20_000 * (10 + limits.DHT_BURST)
    assert total > 20_000 * 10
    core = make_core(settings=settings)
    fill(core, 300)
    lone = sum(
        len(answer)
        for tick in range(2000)
        for answer, _ in say(core, encode_query(b"tttt", b"q" * 20, b"find_node", {b"target": T}), ASKER, tick / 200)
    )
    assert 0 < lone <= limits.DHT_ADDRESS_RATE * (10 + limits.DHT_BURST)
    assert core.counters.unanswered > 0


PLAIN = st.recursive(st.integers(-5, 1 << 40) | st.binary(max_size=40), lambda inner: st.lists(inner, max_size=4)
                     | st.dictionaries(st.binary(max_size=8), inner, max_size=4), max_leaves=8)  # fmt: skip
KEYS = st.sampled_from([b"id", b"target", b"info_hash", b"port", b"token", b"implied_port", b"seed", b"scrape", b"noseed",
                        b"want", b"k", b"v", b"sig", b"seq", b"salt", b"cas"])  # fmt: skip
METHODS = st.sampled_from([b"ping", b"find_node", b"get_peers", b"announce_peer", b"get", b"put", b"sample_infohashes"])
CORE = make_core((False, True), settings=OPEN)


@given(METHODS | st.binary(max_size=10), st.dictionaries(KEYS, PLAIN | st.just(T), max_size=8))
def test_any_arguments_get_an_answer_and_nothing_else(method, arguments):
    arguments[b"id"] = b"q" * 20
    data = encode({b"a": arguments, b"q": method, b"t": b"tttt", b"y": b"q"})
    answers = [answer for answer, to in say(CORE, data) if b"1:t4:tttt" in answer]
    assert len(answers) == 1
