import itertools
import random

import pytest

from tests.dht.nodes import ASKER, OPEN, OWN, fill, make_core, query, reply_to, say, stranger
from torrentlite import limits
from torrentlite.bencode import encode
from torrentlite.dht.contact import Contact, write_contacts
from torrentlite.dht.core import Core
from torrentlite.dht.errand import PeersErrand
from torrentlite.dht.krpc import Query, encode_query, encode_reply, parse
from torrentlite.dht.nodeid import is_secure, make_id
from torrentlite.dht.settings import DhtSettings
from torrentlite.errors import DhtError
from torrentlite.wire.address import Address

T = b"t" * 20


def ping(core: Core, contact: Contact, now: float = 0.0) -> tuple[bytes, list]:
    """A ping to somebody: the datagram, and what will come of it."""
    outcome: list = []
    assert core.ask(contact.address, b"ping", {}, now, lambda reply, now: outcome.append(reply), expected=contact.id)
    ((data, to),) = core.outgoing()
    assert to == contact.address
    return data, outcome


# -- whose answers count


def test_who_answers_is_a_node():
    core, one = make_core(), stranger(1)
    data, outcome = ping(core, one)
    reply_to(core, data, one, 0.1)
    assert outcome[0].id == one.id
    assert [node.contact for node in core.sides[False].table] == [one]


@pytest.mark.parametrize(
    "wrong",
    [
        {"transaction": b"aaaa"},
        {"transaction": b"aaaaa"},
        {"sender": Address("20.0.1.1", 6882)},
        {"sender": Address("20.0.1.2", 6881)},
    ],
    ids=repr,
)
def test_a_forged_answer_is_nobodys(wrong):
    core, one = make_core(), stranger(1)
    data, outcome = ping(core, one)
    assert reply_to(core, data, one, 0.1, **wrong) == []
    assert outcome == []
    assert core.counters.unasked == 1
    assert len(core.sides[False].table) == 0


def test_an_answer_counts_once():
    core, one = make_core(), stranger(1)
    data, outcome = ping(core, one)
    for _ in range(3):
        reply_to(core, data, one, 0.1)
    assert len(outcome) == 1
    assert core.counters.unasked == 2


def test_transaction_ids_cannot_be_guessed():
    core = make_core()
    seen = {parse(ping(core, stranger(index))[0]).transaction for index in range(500)}
    assert len(seen) == 500
    assert all(len(transaction) >= 4 for transaction in seen)
    assert len({transaction[0] for transaction in seen}) > 100


def test_who_answers_under_another_id_is_not_believed():
    core, one = make_core(), stranger(1)
    core.sides[False].table.answered(one, 0.0)
    data, outcome = ping(core, one)
    reply_to(core, data, one, 0.1, node_id=b"z" * 20)
    assert outcome == [None]
    assert len(core.sides[False].table) == 0


def test_no_answer():
    core, one = make_core(), stranger(1)
    other = stranger(2)
    core.sides[False].table.answered(one, 0.0)
    _, outcome = ping(core, one)
    core.tick(1.0)
    assert outcome == []
    data, _ = ping(core, other, 2.0)
    reply_to(core, data, other, 2.1)
    core.tick(15.0)
    assert outcome == [None]
    assert core.counters.timeouts == 1
    assert core.sides[False].table.find(one.address).fails == 1


def test_while_we_are_offline_nobody_fails():
    core = make_core()
    contacts = fill(core, 50)
    for contact in contacts:
        ping(core, contact)
    core.tick(16.0)
    core.outgoing()
    assert all(node.fails == 0 for node in core.sides[False].table)


def test_whether_it_was_them_or_us_somebody_else_knows():
    """In a quiet network nothing else is under way that would tell."""
    core = make_core()
    one, other = fill(core, 2)
    core.sides[False].table.answered(other, 1.0)
    for moment, online in ((10.0, False), (50.0, True)):
        ping(core, one, moment)
        core.outgoing()
        core.tick(moment + 16)
        ((data, to),) = core.outgoing()
        assert to == other.address
        if online:
            reply_to(core, data, other, moment + 17)
        core.tick(moment + 33)
        assert core.sides[False].table.find(one.address).fails == online
        assert core.sides[False].table.find(other.address).fails == 0


def test_an_error_is_an_answer_of_a_kind():
    core, one = make_core(), stranger(1)
    data, outcome = ping(core, one)
    say(core, encode({b"t": parse(data).transaction, b"y": b"e", b"e": [203, b"no"]}), one.address)
    assert outcome[0].code == 203
    assert len(core.sides[False].table) == 0


# -- what is dropped


def test_our_own_query_sent_back_is_not_answered():
    core, one = make_core(), stranger(1)
    data, outcome = ping(core, one)
    assert say(core, data, one.address) == []
    assert core.counters.reflected == 1
    reply_to(core, data, one, 0.1, node_id=core.sides[False].own_id)
    assert outcome == [None]
    assert core.counters.reflected == 2
    assert len(core.sides[False].table) == 0


MARTIANS = [
    Address("0.0.0.0", 6881),
    Address("0.1.2.3", 6881),
    Address("224.0.0.1", 6881),
    Address("240.1.2.3", 6881),
    Address("255.255.255.255", 6881),
    Address("169.254.1.1", 6881),
    Address("8.8.8.8", 0),
    OWN,
]


@pytest.mark.parametrize("sender", MARTIANS, ids=str)
def test_nothing_is_sent_to_a_martian_port_0_or_ourselves(sender):
    core = make_core(own=[OWN])
    assert say(core, encode_query(b"tttt", b"q" * 20, b"find_node", {b"target": T}), sender) == []
    assert core.counters.dropped == 1
    assert not core.ask(sender, b"ping", {}, 0.0, print)
    core.upkeeps[False].add_address(sender, 0.0)
    core.tick(0.0)
    assert core.outgoing() == []


@pytest.mark.parametrize(
    ("named", "by_public", "by_private", "by_loopback"),
    [
        ("8.8.4.4", True, True, True),
        ("192.168.1.9", False, True, True),
        ("127.0.0.9", False, False, True),
        ("169.254.169.254", False, False, False),
        ("224.0.0.1", False, False, False),
        ("0.0.0.0", False, False, False),
    ],
)
def test_what_a_node_names_is_of_its_own_scope_or_wider(named, by_public, by_private, by_loopback):
    for host, asked in (("8.8.8.8", by_public), ("192.168.1.1", by_private), ("127.0.0.1", by_loopback)):
        core = make_core(own=[OWN])
        one = Contact(b"\xff" * 20, Address(host, 6881))
        core.sides[False].table.answered(one, 0.0)
        errand = PeersErrand(T)
        errand.start(core, 0.0)
        ((data, _),) = core.outgoing()
        other = Address(named, 6881)
        nodes = write_contacts([
            Contact(b"t" * 19 + b"1", other),
            Contact(b"t" * 19 + b"2", Address(named, 0)),
            Contact(b"t" * 19 + b"3", OWN),
            Contact(core.sides[False].own_id, Address("8.8.3.3", 1)),
        ])  # fmt: skip
        values = [bytes(map(int, named.split("."))) + b"\x00\x07", bytes(map(int, named.split("."))) + b"\x00\x00"]
        sent = reply_to(core, data, one, 0.1, {b"nodes": nodes, b"values": values, b"token": b"x"})
        assert [to for _, to in sent] == ([other] if asked else [])
        assert list(errand.peers) == ([Address(named, 7)] if asked else [])


@pytest.mark.parametrize(
    "values",
    [
        {b"nodes": b"x" * 27},
        {b"nodes": 5},
        {b"nodes": [b"x" * 26]},
        {b"values": b"x" * 6},
        {b"values": [5, [], {}, b"", b"x" * 7, b"x" * 17]},
        {b"values": {b"a": b"x" * 6}},
        {b"token": 7},
        {b"token": b"x" * 500},
        {b"token": []},
        {},
    ],
    ids=repr,
)
def test_answers_that_are_nonsense(values):
    core = make_core()
    one = stranger(1)
    core.sides[False].table.answered(one, 0.0)
    errand = PeersErrand(T, port=7)
    errand.start(core, 0.0)
    ((data, _),) = core.outgoing()
    sent = reply_to(core, data, one, 0.1, values)
    assert sent == []
    assert errand.over
    assert not errand.peers
    assert not errand.stored


def test_a_flood_of_names_is_cut_off():
    core = make_core()
    one = stranger(1)
    core.sides[False].table.answered(one, 0.0)
    errand = PeersErrand(T)
    errand.start(core, 0.0)
    ((data, _),) = core.outgoing()
    many = write_contacts(Contact(bytes([index]) * 20, stranger(index + 10).address) for index in range(60))
    values = [bytes([8, 8, index // 256, index % 256, 0, 1]) for index in range(150)]
    answer = {b"nodes": many, b"values": values, b"token": b"x"}
    reply_to(core, data, one, 0.1, answer)
    assert len(errand.peers) == limits.DHT_MAX_VALUES
    (search,) = core.searches
    assert len(search.lookup._candidates) <= 1 + 2 * limits.DHT_K


# -- whom we get to know


def test_who_asks_is_pinged_before_it_is_a_node():
    core, one = make_core(), stranger(1)
    sent = say(core, encode_query(b"tttt", one.id, b"ping", {}), one.address)
    assert [parse(data).__class__.__name__ for data, _ in sent] == ["Reply", "Query"]
    assert len(core.sides[False].table) == 0
    reply_to(core, sent[1][0], one, 0.1)
    assert [node.contact for node in core.sides[False].table] == [one]
    assert len(say(core, encode_query(b"tttt", one.id, b"ping", {}), one.address)) == 1, "it is known now"


def test_who_asks_read_only_is_answered_and_left_alone():
    core, one = make_core(), stranger(1)
    sent = say(core, encode_query(b"tttt", one.id, b"ping", {}, read_only=True), one.address)
    assert len(sent) == 1
    assert not isinstance(parse(sent[0][0]), Query)


def test_strangers_cannot_make_us_ping_the_world():
    core = make_core()
    pings = 0
    for index in range(1000):
        one = stranger(index)
        sent = say(core, encode_query(b"tttt", one.id, b"ping", {}), one.address, now=index / 1000)
        pings += sum(isinstance(parse(data), Query) for data, _ in sent)
    assert 0 < pings <= 8


def test_read_only():
    core = make_core(settings=DhtSettings(read_only=True))
    assert say(core, encode_query(b"tttt", b"q" * 20, b"ping", {})) == []
    data, _ = ping(core, stranger(1))
    assert parse(data).read_only
    assert core.read_only
    assert not parse(ping(make_core(), stranger(1))[0]).read_only


def test_unreachable_becomes_read_only():
    core = make_core(settings=DhtSettings())
    for index in range(limits.DHT_REACH_HOSTS):
        data, _ = ping(core, stranger(10 + index), 10.0)
        assert not parse(data).read_only
    core.tick(2000.0)
    core.outgoing()
    data, _ = ping(core, stranger(2), 2002.0)
    assert parse(data).read_only
    say(core, encode_query(b"tttt", b"q" * 20, b"ping", {}), Address("77.7.7.7", 1), 2003.0)
    data, _ = ping(core, stranger(3), 2004.0)
    assert not parse(data).read_only


# -- our own id


def voted(core: Core, host: str, count: int, *, start: int = 0, now: float = 0.0) -> None:
    for index in range(start, start + count):
        one = stranger(index)
        data, _ = ping(core, one, now)
        reply_to(core, data, one, now, to=Address(host, 6881))
        core.outgoing()


def test_the_id_follows_the_external_address():
    core = make_core()
    first = core.sides[False].own_id
    voted(core, "9.9.9.9", limits.DHT_VOTERS - 1)
    assert core.sides[False].own_id == first
    voted(core, "9.9.9.9", 1, start=50)
    second = core.sides[False].own_id
    assert second != first
    assert is_secure(second, "9.9.9.9")
    assert len(core.sides[False].table) == limits.DHT_VOTERS, "who was known is still known"
    voted(core, "7.7.7.7", 60, start=100, now=600.0)
    assert core.sides[False].own_id == second, "not more often than once an hour"
    assert core.counters.id_changes == 1


def test_an_id_that_fits_is_kept():
    own_id = make_id("9.9.9.9", random.Random(7).randbytes)
    core = make_core(ids={False: own_id})
    voted(core, "9.9.9.9", 20)
    assert core.sides[False].own_id == own_id


def test_one_network_cannot_move_us():
    core = make_core()
    first = core.sides[False].own_id
    for index in range(1, 200):
        one = Contact(bytes([index]) * 20, Address(f"66.6.6.{index}", 6881))
        data, _ = ping(core, one)
        reply_to(core, data, one, 0.0, to=Address("9.9.9.9", 1))
        core.outgoing()
    assert core.sides[False].own_id == first


# -- what is sent in all


def test_the_whole_budget_holds_whatever_is_wanted():
    settings = DhtSettings(upload_limit=10_000, answer_limit=5_000, read_only=False)
    core = make_core(settings=settings)
    fill(core, 300)
    rng = random.Random(5)
    sent = 0
    for tick in range(1000):
        now = tick / 100
        if tick % 10 == 0 and len(core.searches) < 200:
            PeersErrand(rng.randbytes(20), port=7).start(core, now)
        for data, to in core.outgoing():
            sent += len(data)
            message = parse(data)
            if isinstance(message, Query):
                nodes = write_contacts(stranger(rng.randrange(10**6)) for _ in range(8))
                named = encode_reply(message.transaction, rng.randbytes(20), {b"nodes": nodes}, OWN)
                core.got_datagram(named, to, now)
        core.got_datagram(encode_query(b"tttt", rng.randbytes(20), b"find_node", {b"target": T}), ASKER, now)
        core.tick(now)
        assert sent <= 10_000 * (now + limits.DHT_BURST)
    assert sent == core.counters.bytes_sent - sum(len(data) for data, _ in core.outgoing())
    assert sent > 10_000 * 9, "and it is used"


def test_a_search_goes_on_when_there_is_budget_again():
    settings = DhtSettings(upload_limit=250, answer_limit=0, read_only=False)
    core = make_core(settings=settings)
    fill(core, 100)
    errand = PeersErrand(T)
    errand.start(core, 0.0)
    now, queries = 0.0, 0
    while not errand.over and now < 600:
        for data, to in core.outgoing():
            queries += 1
            message = parse(data)
            node = core.sides[False].table.find(to)
            if node is not None:
                core.got_datagram(encode_reply(message.transaction, node.contact.id, {b"nodes": b""}, OWN), to, now)
        now = max(core.next_wake(), now + 0.01)
        core.tick(now)
    assert errand.over
    assert errand.queries >= 24
    assert now > 5


def test_an_errand_that_finds_room_in_one_family_only_leaves_nothing_behind():
    core = make_core((False, True))
    fill(core, 100)
    core.sides[True].table.answered(Contact(b"6" * 20, Address("2a00::1", 6881)), 0.0)
    for _ in range(limits.DHT_MAX_LOOKUPS - 1):
        core.search(T, b"find_node", {b"target": T}, 0.0)
    errand = PeersErrand(T)
    with pytest.raises(DhtError, match="too many"):
        errand.start(core, 0.0)
    assert len(core.searches) == limits.DHT_MAX_LOOKUPS - 1


def test_searches_are_bounded():
    core = make_core()
    fill(core, 100)
    for index in range(limits.DHT_MAX_LOOKUPS):
        PeersErrand(index.to_bytes(20, "big")).start(core, 0.0)
    with pytest.raises(Exception, match="too many"):
        PeersErrand(T).start(core, 0.0)
    core.tick(2000.0)
    core.tick(2001.0)
    core.tick(4000.0)
    core.tick(4100.0)
    assert len(core.searches) < limits.DHT_MAX_LOOKUPS // 2


# -- joining


def test_joining_by_one_address():
    core, one = make_core(), stranger(1)
    core.upkeeps[False].add_address(one.address, 0.0)
    assert core.next_wake() <= 0.0
    core.tick(0.0)
    ((data, to),) = core.outgoing()
    assert to == one.address
    assert parse(data).method == b"find_node"
    others = [stranger(index) for index in range(2, 10)]
    sent = reply_to(core, data, one, 0.1, {b"nodes": write_contacts(others)})
    assert {to for _, to in sent} <= {other.address for other in [*others, one]}
    assert sent
    answered = []
    while sent:
        more = []
        for data, to in sent:
            contact = next(contact for contact in [*others, one] if contact.address == to)
            answered.append(contact)
            more += reply_to(core, data, contact, 0.2, {b"nodes": b""})
        sent = more
    assert core.upkeeps[False].joined
    assert set(others) <= set(answered)
    assert len(core.sides[False].table) == 9


def test_the_dead_are_asked_ever_more_rarely_and_together():
    core = make_core()
    for index in range(5):
        core.upkeeps[False].add_address(stranger(index).address, 0.0)
    moments = []
    now = 0.0
    while now < 3600:
        core.tick(now)
        sent = core.outgoing()
        moments += [now] * bool(sent)
        assert len(sent) in (0, 5)
        now = max(core.next_wake(), now + 0.001)
    pauses = [after - before for before, after in itertools.pairwise(moments)]
    assert pauses[0] < 3
    assert pauses[-1] >= 300
    assert pauses == sorted(pauses) or len(pauses) > 5
    assert 8 < len(moments) < 25


def test_both_families_help_each_other():
    core, one = make_core((False, True)), stranger(1)
    core.upkeeps[False].add_address(one.address, 0.0)
    core.tick(0.0)
    ((data, _),) = core.outgoing()
    assert parse(data).arguments[b"want"] == [b"n4", b"n6"]
    six = Contact(b"6" * 20, Address("2a00::1", 6881))
    sent = reply_to(core, data, one, 0.1, {b"nodes": b"", b"nodes6": write_contacts([six])})
    assert six.address in [to for _, to in sent]


def test_nodes_of_an_earlier_run_are_asked_first_and_prove_nothing():
    core = make_core()
    saved = [stranger(index) for index in range(10)]
    core.upkeeps[False].add_contacts(saved, 0.0)
    core.tick(0.0)
    sent = core.outgoing()
    assert {to for _, to in sent} <= {contact.address for contact in saved}
    assert sent
    assert len(core.sides[False].table) == 0


def test_upkeep_pings_who_was_not_heard_of():
    core = make_core()
    contacts = fill(core, 3)
    core.upkeeps[False].planted(0.0)
    pinged = []
    now = 0.0
    while now < 960:
        core.tick(now)
        for data, to in core.outgoing():
            message = parse(data)
            if message.method == b"ping":
                pinged.append((now, to))
            contact = next(contact for contact in contacts if contact.address == to)
            core.got_datagram(encode_reply(message.transaction, contact.id, {b"nodes": b""}, OWN), to, now)
        now = max(core.next_wake(), now + 0.01)
    assert all(node.good(960.0) for node in core.sides[False].table)


def test_its_own_store_counts():
    """Where there are two nodes, each stores with the other, and finds with itself what the other stored."""
    core, one = make_core(settings=OPEN), stranger(1)
    core.sides[False].table.answered(one, 0.0)
    token = query(core, "get_peers", {b"info_hash": T}, sender=one.address)[b"r"][b"token"]
    query(core, "announce_peer", {b"info_hash": T, b"port": 7, b"token": token}, sender=one.address)
    errand = PeersErrand(T)
    errand.start(core, 0.0)
    assert list(errand.peers) == [Address(one.address.host, 7)]


def test_peers_of_a_search_are_counted():
    errand, most = PeersErrand(T), limits.DHT_MAX_PEERS_FOUND
    errand._add([Address(f"11.{n >> 16}.{n >> 8 & 255}.{n & 255}", 1) for n in range(most + 1)])
    assert len(errand.peers) == most


def test_contacts_and_addresses_to_join_by_are_counted():
    core = make_core()
    upkeep, most = core.upkeeps[False], limits.DHT_MAX_CONTACTS
    upkeep.add_contacts((stranger(index) for index in range(most + 1)), 0.0)
    for index in range(most + 1):
        upkeep.add_address(stranger(index).address, 0.0)
    assert (len(upkeep._contacts), len(upkeep._addresses)) == (most, most)


@pytest.mark.parametrize("more", [0, 1])
def test_the_longest_token_that_is_kept(more):
    core, one = make_core(), stranger(1)
    core.sides[False].table.answered(one, 0.0)
    errand = PeersErrand(T, port=1)
    errand.start(core, 0.0)
    ((data, _),) = core.outgoing()
    token = bytes(limits.DHT_MAX_TOKEN + more)
    sent = reply_to(core, data, one, 0.1, {b"token": token})
    announces = [parse(data) for data, _ in sent if parse(data).method == b"announce_peer"]
    assert len(announces) == 1 - more
