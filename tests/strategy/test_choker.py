import collections
import dataclasses
import random

import pytest
from hypothesis import given, strategies as st

from tests.strategy.everybody import UnchokeAll
from torrentlite.limits import CHOKE_INTERVAL
from torrentlite.strategy.choker import GIFT_TIME, LONGEST_TURN, Choker

KIB, MIB = 1 << 10, 1 << 20


@dataclasses.dataclass(eq=False)
class Peer:
    name: str = ""
    peer_interested: bool = True
    am_interested: bool = True
    peer_choking: bool = True
    snubbed: bool = False
    downloaded: int = 0
    uploaded: int = 0
    gives: int = 0
    """What it sends us every second while ``answers`` allows."""
    takes: int = 0
    answers: bool = False
    """Whether it gives only while we have it unchoked."""

    def __repr__(self) -> str:
        return self.name


class Table:
    """A choker and its peers, second by second."""

    def __init__(self, *peers: Peer, seeding: bool = False, slots: int = 8, line: int = 0, quota: int = MIB) -> None:
        self.peers = list(peers)
        if seeding:
            for peer in peers:
                peer.am_interested = False
        self.choker: Choker[Peer] = Choker(quota=quota)
        self.rng = random.Random(7)
        self.seeding, self.slots, self.line = seeding, slots, line
        self.spare = False
        self.now = 0
        self.unchoked: list[Peer] = []
        self.history: list[list[Peer]] = []

    def decide(self) -> list[Peer]:
        self.unchoked = self.choker.round(
            self.peers, float(self.now), self.rng, seeding=self.seeding, slots=self.slots, spare_upload=self.spare
        )
        assert len({id(peer) for peer in self.unchoked}) == len(self.unchoked)
        return self.unchoked

    def run(self, seconds: int) -> list[Peer]:
        for _ in range(seconds):
            self.history.append(self.decide())
            line = self.line or 1 << 40
            takers = sorted((p for p in self.unchoked if p.peer_interested), key=lambda peer: peer.takes)
            for index, peer in enumerate(takers):
                moved = min(peer.takes, line // (len(takers) - index))
                peer.uploaded += moved
                line -= moved
            for peer in self.peers:
                if not peer.answers or peer in self.unchoked:
                    peer.downloaded += peer.gives
            self.now += 1
        return self.unchoked

    def seconds_of(self, peer: Peer) -> int:
        return sum(peer in unchoked for unchoked in self.history)


def crowd(count: int, name: str = "p", *, gives: int = 0, takes: int = 0, answers: bool = False) -> list[Peer]:
    return [Peer(f"{name}{i}", gives=gives, takes=takes, answers=answers) for i in range(count)]


# -- seats -------------------------------------------------------------------------------------------------------------


def test_nobody_waits_while_there_are_seats() -> None:
    table = Table(*crowd(5), slots=8)
    assert table.decide() == table.peers
    late = Peer("late")
    table.now = 3
    table.peers.append(late)
    assert late in table.decide()


@pytest.mark.parametrize("seeding", [False, True])
def test_no_more_than_the_seats(seeding: bool) -> None:
    table = Table(*crowd(30), slots=8, seeding=seeding)
    for second in range(100):
        table.now = second
        assert len(table.decide()) == 8


def test_no_slots_no_upload() -> None:
    assert Table(*crowd(5), slots=0).run(30) == []


def test_who_is_not_interested_needs_no_seat() -> None:
    quiet, peers = Peer("quiet", peer_interested=False), crowd(3)
    assert Table(quiet, *peers).decide() == peers


def test_between_rounds_everybody_keeps_the_seat() -> None:
    peers = crowd(20)
    table = Table(*peers, slots=4)
    first = table.decide()
    peers[-1].downloaded += MIB  # it will have earned one, in the next round
    for second in range(1, int(CHOKE_INTERVAL)):
        table.now = second
        assert table.decide() == first
    table.now = int(CHOKE_INTERVAL)
    assert peers[-1] in table.decide()


def test_a_seat_that_is_not_used_goes_to_another_at_once() -> None:
    peers = crowd(5)
    table = Table(*peers, slots=4)
    first = table.decide()
    (waiting,) = (peer for peer in peers if peer not in first)
    table.now = 1
    first[0].peer_interested = False
    # The one who wants nothing right now is not choked before the next round: interest comes and goes.
    assert set(table.decide()) == set(peers)
    assert waiting in table.unchoked
    table.now = 2
    table.peers.remove(first[1])
    assert first[1] not in table.decide()


# -- tit for tat -------------------------------------------------------------------------------------------------------


def test_seats_are_earned() -> None:
    givers = [Peer(f"g{i}", gives=(i + 1) * KIB) for i in range(10)]
    table = Table(*crowd(30), *givers, slots=8)
    unchoked = table.run(60)
    assert set(givers[3:]) <= set(unchoked)  # the seven best; the eighth seat is a gift
    assert len(unchoked) == 8


def test_who_gives_without_wanting_costs_no_seat_and_need_not_wait() -> None:
    giver = Peer("giver", gives=MIB, peer_interested=False)
    others = [Peer(f"g{i}", gives=KIB) for i in range(7)]
    table = Table(giver, *others, *crowd(5), slots=8)
    unchoked = table.run(60)
    assert len(unchoked) == 9
    assert {giver, *others} < set(unchoked)


def test_who_stops_giving_loses_the_seat_within_two_rounds() -> None:
    givers = crowd(7, "g", gives=KIB)
    table = Table(*givers, *crowd(30), slots=8)
    table.run(100)
    assert givers[0] in table.unchoked
    givers[0].gives = 0
    table.run(int(3 * CHOKE_INTERVAL))
    assert givers[0] not in table.unchoked


def test_a_gift_lasts_long_enough_and_then_goes_to_another() -> None:
    table = Table(*crowd(7, "g", gives=KIB), *crowd(10), slots=8)
    table.run(600)
    gifts = [next(peer for peer in unchoked if not peer.gives) for unchoked in table.history[60:]]
    lengths = [len(list(run)) for run in _runs(gifts)]
    assert all(length % GIFT_TIME == 0 for length in lengths[1:-1])
    assert len(set(map(str, gifts))) >= 5


def _runs(gifts: list[Peer]) -> list[list[Peer]]:
    runs: list[list[Peer]] = []
    for gift in gifts:
        if runs and runs[-1][-1] is gift:
            runs[-1].append(gift)
        else:
            runs.append([gift])
    return runs


def test_newcomers_are_three_times_as_likely() -> None:
    drawn: collections.Counter[str] = collections.Counter()
    for seed in range(400):
        givers, old = crowd(7, "g", gives=KIB), crowd(9, "old")
        for peer in old:
            peer.peer_interested = False
        table = Table(*givers, *old, slots=8)
        table.rng = random.Random(seed)
        table.run(45)
        new = crowd(3, "new")
        table.peers += new
        for peer in old:
            peer.peer_interested = True
        (gift,) = (peer for peer in table.run(1) if not peer.gives)
        drawn[gift.name.rstrip("0123456789")] += 1
    assert 0.4 < drawn["new"] / 400 < 0.6  # 3 × 3 of 9 + 9


def test_those_who_never_answer_share_one_seat() -> None:
    takers = crowd(20, "taker", takes=KIB)
    giver = Peer("giver", gives=KIB)
    table = Table(giver, *takers, slots=8)
    table.run(300)
    for unchoked in table.history[120:]:
        assert sum(peer in takers for peer in unchoked) == 1
        assert giver in unchoked


def test_who_has_nothing_for_us_is_not_blamed_for_giving_nothing() -> None:
    poor = crowd(5, "poor")
    for peer in poor:
        peer.am_interested = False
    table = Table(Peer("giver", gives=KIB), *poor, slots=8)
    assert set(table.run(300)) == set(table.peers)


@pytest.mark.parametrize("snubbed", [False, True])
def test_who_lets_us_ask_is_blamed_only_if_it_does_not_answer(snubbed: bool) -> None:
    others = crowd(5, "other")
    for peer in others:
        peer.peer_choking, peer.snubbed = False, snubbed  # not snubbed: we did not ask, as at a download limit
    table = Table(Peer("giver", gives=KIB), *others, slots=8)
    assert len(table.run(300)) == (2 if snubbed else 6)


def test_where_nobody_gives_everybody_is_served() -> None:
    table = Table(*crowd(6, takes=KIB), slots=8)
    assert len(table.run(300)) == 6


def test_who_begins_to_answer_is_forgiven() -> None:
    late = Peer("late", takes=KIB)
    table = Table(Peer("giver", gives=KIB), *crowd(3, "taker"), late, slots=8)
    table.run(300)
    late.gives, late.answers = KIB, True
    table.run(600)
    assert all(late in unchoked for unchoked in table.history[-60:])


def test_who_took_more_than_there_is_comes_last() -> None:
    drain = Peer("drain", takes=MIB, am_interested=False)
    honest = crowd(6, "honest", takes=KIB)
    for peer in honest:
        peer.am_interested = False
    table = Table(drain, *honest, slots=4, seeding=True)
    table.choker.total = 20 * MIB
    table.run(600)
    assert drain.uploaded >= 20 * MIB
    assert table.seconds_of(drain) < min(map(table.seconds_of, honest)) / 2


# -- seeding -----------------------------------------------------------------------------------------------------------


def test_a_seed_gives_everybody_turns_of_equal_time() -> None:
    peers = crowd(40, takes=200 * KIB)
    table = Table(*peers, seeding=True, slots=8)
    table.run(2400)
    seconds = [table.seconds_of(peer) for peer in peers]
    assert min(seconds) > 0.5 * 2400 * 8 / 40
    assert max(seconds) < 2.0 * 2400 * 8 / 40


def test_nobody_starves_at_a_seed_however_slow() -> None:
    fast, slow = crowd(20, "fast", takes=MIB), crowd(20, "slow", takes=5 * KIB)
    table = Table(*fast, *slow, seeding=True, slots=8, line=2 * MIB)
    table.run(1800)
    for peer in fast + slow:
        held = [second for second, unchoked in enumerate(table.history) if peer in unchoked]
        assert max(b - a for a, b in zip(held, [*held[1:], 1800], strict=True)) < 240
    assert sum(peer.uploaded for peer in fast) > 20 * sum(peer.uploaded for peer in slow)


def test_a_turn_that_is_not_used_ends() -> None:
    idle, rest = crowd(4, "idle"), crowd(8, "p", takes=MIB)
    table = Table(*idle, *rest, seeding=True, slots=4)
    table.run(40)
    assert sum(peer in idle for peer in table.unchoked) <= 1  # whose turn has just begun


def test_a_turn_lasts_until_it_was_of_use() -> None:
    table = Table(*crowd(30, takes=20 * KIB), seeding=True, slots=4, quota=MIB)
    table.run(600)
    first = table.history[0][0]
    turn = next(second for second, unchoked in enumerate(table.history) if first not in unchoked)
    assert MIB <= first.uploaded / max(1, table.seconds_of(first) // turn) < 2 * MIB
    slower = Table(*crowd(30, takes=KIB), seeding=True, slots=4, quota=MIB)
    slower.run(300)
    first = slower.history[0][0]
    assert slower.history[int(LONGEST_TURN) - 1].count(first) == 1
    assert slower.history[int(LONGEST_TURN)].count(first) == 0


def test_a_seed_remembers_who_gave() -> None:
    givers, takers = crowd(6, "g", gives=KIB, takes=KIB, answers=True), crowd(12, "taker", takes=KIB)
    table = Table(*givers, *takers, slots=8)
    table.run(600)
    table.seeding = True
    for peer in table.peers:
        peer.gives, peer.am_interested = 0, False
    table.run(600)
    for unchoked in table.history[640:]:
        assert sum(peer in takers for peer in unchoked) <= 1
    table.peers = takers  # nobody else is left
    table.run(600)
    assert len(table.unchoked) == 8
    assert all(table.seconds_of(peer) > 150 for peer in takers)


# -- more seats --------------------------------------------------------------------------------------------------------


def test_more_seats_where_each_is_taken_up() -> None:
    table = Table(*crowd(60, takes=10 * KIB), seeding=True, slots=8)
    table.spare = True
    assert len(table.run(180)) == 60


def test_no_more_seats_where_the_line_is_full() -> None:
    table = Table(*crowd(60, takes=MIB), seeding=True, slots=8, line=2 * MIB)
    table.spare = True
    table.run(1200)
    seats = [len(unchoked) for unchoked in table.history[60:]]
    assert sum(seats) / len(seats) < 9.5
    assert seats.count(8) > 0.7 * len(seats)


def test_the_limit_takes_them_back() -> None:
    table = Table(*crowd(60, takes=10 * KIB), seeding=True, slots=8)
    table.spare = True
    table.run(180)
    table.spare = False
    assert len(table.run(180)) == 8


# -- any order of events -----------------------------------------------------------------------------------------------


@given(st.data())
def test_keeps_its_rules_whatever_happens(data: st.DataObject) -> None:
    table = Table(*crowd(6, takes=KIB), slots=data.draw(st.integers(0, 5)))
    for _ in range(data.draw(st.integers(1, 12))):
        table.now += data.draw(st.integers(0, 15))
        for peer in data.draw(st.lists(st.sampled_from(table.peers), max_size=3)) if table.peers else ():
            event = data.draw(st.sampled_from(["interest", "gives", "leaves"]))
            if event == "interest":
                peer.peer_interested = not peer.peer_interested
            elif event == "gives":
                peer.downloaded += 16 * KIB
            elif peer in table.peers:
                table.peers.remove(peer)
        table.peers += crowd(data.draw(st.integers(0, 2)), "new")
        table.seeding = data.draw(st.booleans())
        table.spare = data.draw(st.booleans())
        before = [peer for peer in table.unchoked if peer in table.peers]
        unchoked = table.decide()
        assert all(peer in table.peers for peer in unchoked)
        if not table.slots:
            assert not unchoked
            continue
        wanting = [peer for peer in table.peers if peer.peer_interested]
        served = [peer for peer in wanting if peer in unchoked]
        assert served or not wanting
        # Whoever was unchoked may have become interested since; beyond those there are only the seats.
        assert len(served) <= max(table.slots + table.choker._seats.extra, sum(p in before for p in wanting))


def test_the_same_dice_give_the_same_decisions() -> None:
    runs = []
    for _ in range(2):
        table = Table(*crowd(5, "g", gives=KIB), *crowd(40, takes=KIB), slots=8)
        table.run(300)
        runs.append([[str(peer) for peer in unchoked] for unchoked in table.history])
    assert runs[0] == runs[1]


def test_unchoke_all() -> None:
    peers = [*crowd(20), Peer(peer_interested=False)]
    everybody = UnchokeAll[Peer]()
    assert everybody.round(peers, 0.0, random.Random(), seeding=False, slots=1, spare_upload=False) == peers[:20]


def test_who_is_gone_is_forgotten() -> None:
    """Also where no round comes any more: the last one left, or nobody is served."""
    one, other = Peer("one"), Peer("other")
    table = Table(one, other)
    table.decide()
    table.choker.left(one)
    table.choker.left(Peer("never seen"))
    assert list(table.choker._accounts) == [other]
