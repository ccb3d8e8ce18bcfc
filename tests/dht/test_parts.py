"""Tokens, addresses, budgets, votes, reachability, transactions."""

import copy
import random

import pytest
from hypothesis import given, strategies as st

from torrentlite import limits
from torrentlite.dht.budget import Bucket, Budget
from torrentlite.dht.contact import Contact, household, read_address, read_contacts, subnet, write_contacts
from torrentlite.dht.reach import Reach
from torrentlite.dht.rpc import Transactions
from torrentlite.dht.settings import DhtSettings
from torrentlite.dht.tokens import Tokens
from torrentlite.dht.voting import Voting
from torrentlite.wire.address import Address

# -- addresses

contacts4 = st.builds(
    Contact,
    st.binary(min_size=20, max_size=20),
    st.builds(Address, st.ip_addresses(v=4).map(str), st.integers(0, 65535)),
)


@given(st.lists(contacts4, max_size=20))
def test_contacts_are_read_as_written(contacts):
    data = write_contacts(contacts)
    assert len(data) == 26 * len(contacts)
    assert read_contacts(data, ipv6=False, most=20) == contacts
    assert read_contacts(data, ipv6=False, most=3) == contacts[:3]
    if contacts:
        assert read_contacts(data[:-1], ipv6=False, most=20) == [], "a length that does not fit says nothing"


def test_ipv6_contacts():
    six = Contact(bytes(20), Address("2a00::1", 7))
    assert read_contacts(write_contacts([six]), ipv6=True, most=8) == [six]
    mapped = bytes(20) + bytes(10) + b"\xff\xff\x01\x02\x03\x04" + b"\x00\x07"
    assert read_contacts(mapped + write_contacts([six]), ipv6=True, most=8) == [six]


@pytest.mark.parametrize("size", [0, 5, 7, 17, 19])
def test_addresses_of_other_lengths(size):
    assert read_address(bytes(size)) is None


def test_subnets_and_households():
    def same(rule, one, other):
        return rule(Address(one, 1)) == rule(Address(other, 2))

    assert same(subnet, "8.8.8.8", "8.8.8.9")
    assert not same(subnet, "8.8.8.8", "8.8.9.8")
    assert same(subnet, "2a00:1:2:3::1", "2a00:1:2:3:4::2")
    assert not same(subnet, "2a00:1:2:3::1", "2a00:1:2:4::1")
    assert same(household, "8.8.8.8", "8.8.8.8")
    assert not same(household, "8.8.8.8", "8.8.8.9")
    assert same(household, "2a00:1:2:3::1", "2a00:1:2:3:4::2")
    for rule in (subnet, household):
        assert not same(rule, "127.0.0.1", "127.0.0.1")
        assert not same(rule, "192.168.0.1", "192.168.0.1")


# -- tokens


def test_a_token_is_bound_to_address_and_target():
    tokens = Tokens(random.Random(1).randbytes, 0.0)
    token = tokens.make("1.2.3.4", b"t" * 20, 0.0)
    assert tokens.valid(token, "1.2.3.4", b"t" * 20, 1.0)
    assert not tokens.valid(token, "1.2.3.5", b"t" * 20, 1.0)
    assert not tokens.valid(token, "1.2.3.4", b"u" * 20, 1.0)
    for forged in (b"", token[:-1], token + b"x", bytes(len(token)), None, 7, [token]):
        assert not tokens.valid(forged, "1.2.3.4", b"t" * 20, 1.0)


@pytest.mark.parametrize("made", [0.0, 100.0, 299.0, 301.0, 1000.0])
def test_a_token_lives_five_to_ten_minutes(made):
    tokens = Tokens(random.Random(1).randbytes, 0.0)
    token = tokens.make("1.2.3.4", bytes(20), made)
    for after, valid in ((limits.DHT_TOKEN_LIFE - 1, True), (2 * limits.DHT_TOKEN_LIFE + 1, False), (5000, False)):
        fresh = Tokens(random.Random(1).randbytes, 0.0)
        assert fresh.make("1.2.3.4", bytes(20), made) == token
        for moment in range(int(made), int(made + after), 60):  # it is used all the time
            fresh.make("9.9.9.9", bytes(20), moment)
        assert fresh.valid(token, "1.2.3.4", bytes(20), made + after) is valid


def test_a_token_is_old_even_if_nobody_asked_meanwhile():
    tokens = Tokens(random.Random(1).randbytes, 0.0)
    token = tokens.make("1.2.3.4", bytes(20), 0.0)
    assert not tokens.valid(token, "1.2.3.4", bytes(20), 2 * limits.DHT_TOKEN_LIFE + 1)


# -- budgets


@given(
    st.floats(1, 1e5),
    st.floats(1, 1e5),
    st.lists(st.tuples(st.floats(0, 10), st.integers(1, 1500)), max_size=200),
)
def test_a_bucket_never_gives_more_than_its_rate(rate, capacity, wishes):
    bucket = Bucket(rate, capacity, 0.0)
    now = given_out = 0.0
    for pause, size in wishes:
        now += pause
        given_out += size * bucket.spend(size, now)
        assert given_out <= capacity + rate * now + 1e-3
        ready = bucket.ready(size, now)
        if size <= capacity:
            later = copy.copy(bucket)  # looking ahead must not bring the time forward
            assert later.has(size * (1 - 1e-9) - 1e-6, ready)


def test_a_bucket_saves_up_no_more_than_it_holds():
    """Or who was idle for a night would send a flood in the morning."""
    bucket = Bucket(100.0, 500.0, 0.0)
    assert bucket.spend(500.0, 0.0)
    assert sum(bucket.spend(10.0, 36_000.0) for _ in range(1000)) == 50
    assert not bucket.has(1.0, 36_000.0)


@given(st.lists(st.tuples(st.floats(0, 0.5), st.integers(0, 30), st.integers(20, 1400), st.booleans()), max_size=300))
def test_the_whole_budget_holds_for_any_window(wishes):
    total, answers, address = 20_000, 8_000, 2_000
    budget = Budget(total=total, answers=answers, address=address, big=2, now=0.0)
    now = 0.0
    sent: list[tuple[float, int, int | None]] = []
    for pause, who, size, query in wishes:
        now += pause
        allowed = budget.query(size, now) if query else budget.answer(who, size, now)
        if allowed:
            sent.append((now, size, None if query else who))
    burst = limits.DHT_BURST
    for rate, chosen in (
        (total, sent),
        (answers, [one for one in sent if one[2] is not None]),
        *((address, [one for one in sent if one[2] == who]) for who in range(31)),
    ):
        for start in range(0, len(chosen), 7):
            window = chosen[start:]
            if window:
                assert sum(size for _, size, _ in window) <= rate * (window[-1][0] - window[0][0] + burst) + 1e-3


def test_big_answers_come_two_a_second():
    budget = Budget(total=0, answers=0, address=0, big=DhtSettings().big_answers, now=0.0)
    given_out = sum(budget.big_answer("a", tick / 100) for tick in range(10_000))
    assert given_out == pytest.approx(limits.DHT_BIG_ANSWERS * (100 + limits.DHT_BURST), abs=2)
    assert budget.big_answer("b", 100.0), "everybody has his own"


def test_lifted_budgets():
    budget = Budget(total=0, answers=0, address=0, big=0, now=0.0)
    assert all(budget.answer("a", 1400, 0.0) and budget.query(1400, 0.0) for _ in range(1000))
    assert all(budget.big_answer("a", 0.0) for _ in range(1000))


def test_budgets_of_strangers_are_not_remembered_for_ever():
    budget = Budget(total=0, answers=0, address=1000, big=2, now=0.0)
    for who in range(3 * limits.DHT_MAX_ADDRESSES):
        budget.answer(who, 100, 0.0)
    assert len(budget._shares) == limits.DHT_MAX_ADDRESSES


# -- votes


def voter(index: int) -> Address:
    return Address(f"8.{index // 256}.{index % 256}.1", 6881)


def test_several_networks_must_agree():
    voting = Voting(ipv6=False)
    for index in range(limits.DHT_VOTERS - 1):
        assert not voting.vote(voter(index), "9.9.9.9")
    assert not voting.vote(voter(0), "9.9.9.9"), "the same network again"
    assert not voting.vote(Address("8.0.0.77", 1), "9.9.9.9")
    assert voting.host == ""
    assert voting.vote(voter(99), "9.9.9.9")
    assert voting.host == "9.9.9.9"
    assert not voting.vote(voter(100), "9.9.9.9"), "no news"


def test_liars_need_a_majority():
    voting = Voting(ipv6=False)
    for index in range(20):
        voting.vote(voter(index), "9.9.9.9")
    for index in range(100, 119):
        assert not voting.vote(voter(index), "6.6.6.6")
    assert voting.host == "9.9.9.9"
    for index in range(200, 200 + limits.DHT_MAX_VOTES):  # we have really moved
        voting.vote(voter(index), "7.7.7.7")
    assert voting.host == "7.7.7.7"


def test_to_be_named_most_often_is_not_to_be_believed():
    """Of three parties, each below one half, none wins: some of them lie, and nobody knows which."""
    voting = Voting(ipv6=False)
    hosts = ["7.7.7.7", "8.8.8.8", "9.9.9.9"]
    for index in range(4 * limits.DHT_VOTERS * len(hosts)):
        assert not voting.vote(voter(index), hosts[index % len(hosts)])
    assert voting.host == ""


@pytest.mark.parametrize("host", ["10.0.0.1", "127.0.0.1", "0.0.0.0", "224.0.0.1", "2a00::1", "", "x"])
def test_votes_for_what_cannot_be(host):
    voting = Voting(ipv6=False)
    assert not any(voting.vote(voter(index), host) for index in range(20))
    assert voting.host == ""


# -- reachability


def met(count: int, now: float = 0.0) -> Reach:
    reach = Reach(None, now)
    for index in range(count):
        reach.sent(voter(index), now)
    return reach


def test_read_only_while_no_stranger_asks():
    reach = met(limits.DHT_REACH_HOSTS)
    friend, stranger = voter(0), Address("9.9.9.9", 1)
    assert not reach.read_only(1799)
    reach.sent(friend, 1500)
    reach.asked(friend, 1700)
    assert reach.read_only(1801), "who was just asked has a way back through any NAT"
    reach.asked(stranger, 1802)
    assert not reach.read_only(1803)
    assert reach.read_only(1802 + 1801)
    assert not reach.read_only(1802 + 1800 + 3600), "shows itself again after a while"
    assert reach.read_only(1802 + 1800 + 3600 + 1801)
    reach.asked(friend, 9100)
    assert not reach.read_only(9101), "that was long ago: no router has kept the way back open"


def test_who_has_met_few_does_not_judge():
    assert met(limits.DHT_REACH_HOSTS).read_only(1801)
    assert not met(limits.DHT_REACH_HOSTS - 1).read_only(1801)
    reach = Reach(None, 0.0)
    for port in range(1, 1000):
        reach.sent(Address("127.0.0.1", port), 0.0)
        reach.sent(Address(f"192.168.{port // 250}.{port % 250}", 1), 0.0)
    assert not reach.read_only(1e5), "nobody is behind a router on a LAN"


def test_where_everybody_knows_everybody_no_stranger_can_come():
    reach = Reach(None, 0.0)
    for number in range(20):
        reach.sent(Address(f"12.0.{number}.1", 1), 0.0)
        reach.asked(Address(f"12.0.{number}.1", 1), 1000)
    assert not reach.read_only(1e6)


def test_the_owner_may_decide():
    assert Reach(True, 0.0).read_only(0.0)
    never = Reach(False, 0.0)
    assert not never.read_only(1e6)


# -- transactions


def test_a_reply_needs_transaction_and_address():
    transactions = Transactions(random.Random(1).randbytes)
    to = Address("8.8.8.8", 6881)
    transaction = transactions.open(to, 0.0, print)
    assert len(transaction) >= 4
    assert transactions.close(transaction, Address("8.8.8.8", 6882)) is None
    assert transactions.close(transaction, Address("8.8.8.9", 6881)) is None
    assert transactions.close(bytes(4), to) is None
    assert transactions.close(transaction, to).to == to
    assert transactions.close(transaction, to) is None, "once"
    assert len(transactions) == 0


def test_slow_then_lost():
    transactions = Transactions(random.Random(1).randbytes)
    first = transactions.open(Address("8.8.8.8", 1), 0.0, print)
    transactions.open(Address("8.8.8.9", 1), 0.5, print)
    assert transactions.next_due() == limits.DHT_SHORT_TIMEOUT
    assert transactions.due(0.9) == ([], [])
    slow, lost = transactions.due(1.0)
    assert [pending.to.host for pending in slow] == ["8.8.8.8"]
    assert not lost
    slow, lost = transactions.due(14.9)
    assert [pending.to.host for pending in slow] == ["8.8.8.9"]
    assert transactions.close(first, Address("8.8.8.8", 1)) is not None, "late is not lost"
    slow, lost = transactions.due(15.5)
    assert [pending.to.host for pending in lost] == ["8.8.8.9"]
    assert len(transactions) == 0
    assert transactions.next_due() == float("inf")


def test_not_more_than_so_many():
    transactions = Transactions(random.Random(1).randbytes)
    for index in range(limits.DHT_MAX_PENDING):
        assert transactions.open(Address("8.8.8.8", 1 + index), 0.0, print) is not None
    assert transactions.open(Address("8.8.4.4", 1), 0.0, print) is None
