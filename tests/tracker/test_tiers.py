"""BEP 12 and the calendar of announces; time is a number here."""

import itertools
import math
import random

import pytest
from hypothesis import given, strategies as st

from torrentlite import limits
from torrentlite.tracker.announce import AnnounceReply
from torrentlite.tracker.tiers import Tiers, TrackerEntry, scope_of_url
from torrentlite.wire.address import Address, Scope

PEERS = tuple(Address("8.8.8.8", port) for port in range(1, 6))
GOOD = AnnounceReply(interval=1800, peers=PEERS, seeders=3, leechers=4)
LEAST, MOST, LATE = limits.MIN_ANNOUNCE_INTERVAL, limits.MAX_ANNOUNCE_INTERVAL, 1 + limits.ANNOUNCE_JITTER
LONELY = AnnounceReply(interval=1800, peers=(), seeders=0, leechers=1)


def url(name: str) -> str:
    return f"http://{name}.example/announce"


def names(entries) -> list[str]:
    return [entry.url.split("//")[1].split(".")[0] for entry in entries]


class Clockwork:
    """Drives ``Tiers`` as a torrent does: asks what is due, and answers as each tracker would."""

    def __init__(self, *tiers: str, seed: int = 1, added: str = "") -> None:
        """Tiers are words of letters, a tracker each."""
        self.tiers = Tiers([[url(name) for name in tier] for tier in tiers], random.Random(seed))
        for name in added:
            self.tiers.add(url(name), typed=True)
        self.now = 0.0
        self.replies: dict[str, AnnounceReply | str | None] = {}
        self.log: list[tuple[float, str, str]] = []

    def entry(self, name: str) -> TrackerEntry:
        return next(entry for entry in self.tiers if entry.url == url(name))

    def tick(self) -> list[str]:
        """Announce to whatever is due now; a tracker without a reply stays silent."""
        asked = []
        while entries := self.tiers.due(self.now):
            for entry in entries:
                self.tiers.started(entry, self.now)
                (name,) = names([entry])
                asked.append(name)
                self.log.append((self.now, name, self.tiers.event(entry)))
                self.answer(name)
        return asked

    def answer(self, name: str) -> None:
        reply = self.replies.get(name, GOOD)
        if isinstance(reply, AnnounceReply):
            self.tiers.succeeded(self.entry(name), reply, self.now)
        elif reply is not None:
            self.tiers.failed(self.entry(name), reply, self.now)

    def run(self, seconds: float, step: float = 1.0) -> list[tuple[float, str, str]]:
        """Tick for that long; what was announced."""
        before = len(self.log)
        end = self.now + seconds
        while self.now < end:
            self.now += step
            self.tick()
        return self.log[before:]


# -- order (BEP 12) ---------------------------------------------------------------------------------------------------


def test_the_first_that_answers_is_the_only_one():
    world = Clockwork("a", "b", "c")
    assert world.tick() == ["a"]
    assert {name for _, name, _ in world.run(10_000, 10)} == {"a"}


def test_backups_are_tried_in_order_when_one_fails():
    world = Clockwork("a", "b", "c")
    world.replies = {"a": "down", "b": "down"}
    assert world.tick() == ["a", "b", "c"]


def test_a_tier_is_used_up_before_the_next():
    world = Clockwork("abc", "d")
    world.replies = dict.fromkeys("abc", "down")
    asked = world.tick()
    assert sorted(asked[:3]) == ["a", "b", "c"]
    assert asked[3] == "d"


def test_the_order_in_a_tier_is_by_lot_and_of_the_tiers_is_not():
    orders = {tuple(names(Clockwork("abc", "de", seed=seed).tiers)) for seed in range(200)}
    assert len(orders) == 12
    assert {order[:3] == tuple(sorted(order[:3])) for order in orders} == {True, False}
    assert all(set(order[:3]) == {"a", "b", "c"} for order in orders)


def test_who_answers_comes_first_in_its_tier():
    world = Clockwork("abc")
    first, second, third = names(world.tiers)
    world.replies = {first: "down"}
    assert world.tick() == [first, second]
    assert names(world.tiers) == [second, first, third]
    world.replies = {first: "down", second: "down"}
    world.run(4000, 10)
    assert names(world.tiers) == [third, second, first]


def test_when_its_time_comes_the_first_is_tried_again():
    world = Clockwork("a", "b")
    world.replies = {"a": "down"}
    assert world.tick() == ["a", "b"]
    assert world.run(1700, 10) == []  # b is in charge; a is left alone although its pause is over
    world.replies = {}
    assert [name for _, name, _ in world.run(300, 10)] == ["a"]
    assert [name for _, name, _ in world.run(1600, 10)] == []


def test_nobody_waits_for_the_dead():
    world = Clockwork("a", "b", "c")
    world.replies = {"a": None, "b": None}
    assert world.tick() == ["a"]
    assert [(time, name) for time, name, _ in world.run(30)] == [
        (limits.SLOW_TRACKER, "b"),
        (2 * limits.SLOW_TRACKER, "c"),
    ]


def test_who_knows_nobody_is_not_enough():
    world = Clockwork("a", "b", "c")
    world.replies = {"a": LONELY}
    assert world.tick() == ["a", "b"]


@pytest.mark.parametrize(
    ("least", "complete", "pause"),
    [
        (0, False, limits.LONELY_INTERVAL),  # who has it may have come a moment after us
        (120, False, limits.LONELY_INTERVAL),
        (900, False, 900),
        (0, True, 1800),  # who lacks it calls us
    ],
)
def test_when_nobody_knows_anybody_all_are_announced_to_at_their_times(least, complete, pause):
    world = Clockwork("a", "b", "c")
    world.replies = dict.fromkeys("abc", LONELY._replace(min_interval=least))
    if complete:
        world.tiers.completed()
    assert world.tick() == ["a", "b", "c"]
    assert world.run(pause - 10, 10) == []
    assert sorted(name for _, name, _ in world.run(10 + pause * limits.ANNOUNCE_JITTER + 10, 10)) == ["a", "b", "c"]


def test_added_trackers_are_asked_besides():
    world = Clockwork("a", "b", added="xy")
    assert world.tick() == ["a", "x", "y"]
    world.tiers.add(url("z"), typed=True)
    assert world.tick() == ["z"]
    world.tiers.add(url("b"), typed=True)  # known already
    assert world.tick() == []


def test_no_trackers():
    assert Tiers([], random.Random(1)).due(0) == []
    assert Tiers([[], []], random.Random(1)).due(0) == []
    assert list(Tiers([[]], random.Random(1)).stats(0)) == []


def test_the_same_url_counts_once_and_there_are_only_so_many():
    tiers = Tiers([["http://a/", "http://a/"], ["http://a/"]], random.Random(1))
    assert len(list(tiers)) == 1
    many = Tiers([[f"http://a/{i}" for i in range(100_000)]], random.Random(1))
    assert len(list(many)) == limits.MAX_TRACKERS
    many.add("http://b/", typed=False)
    assert len(list(many)) == limits.MAX_TRACKERS
    many.add("http://c/", typed=True)  # the user's word
    assert len(list(many)) == limits.MAX_TRACKERS + 1
    assert not list(Tiers([["http://a/" + "x" * limits.MAX_URL]], random.Random(1)))


# -- when -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("interval", "least", "earliest", "latest"),
    [
        (1800, 0, 1800, 1890),
        (0, 0, LEAST, LEAST * LATE),
        (LEAST - 1, 0, LEAST, LEAST * LATE),
        (LEAST + 1, 0, LEAST + 1, (LEAST + 1) * LATE),
        (MOST - 1, 0, MOST - 1, (MOST - 1) * LATE),
        (MOST + 1, 0, MOST, MOST * LATE),
        (1 << 32, 0, MOST, MOST * LATE),
        (600, 900, 900, 945),
        (600, 1 << 32, MOST, MOST * LATE),
    ],
)
def test_intervals_are_kept_within_bounds_and_jitter(interval, least, earliest, latest):
    found = []
    for seed in range(50):
        world = Clockwork("a", seed=seed)
        world.replies["a"] = AnnounceReply(interval=interval, min_interval=least, peers=PEERS)
        world.tick()
        found.append(world.entry("a").next_at)
    assert earliest <= min(found) < max(found) <= latest


def test_failures_are_repeated_ever_more_rarely():
    world = Clockwork("a")
    world.replies["a"] = "down"
    world.tick()
    world.run(86_400, 5)
    times = [time for time, _, _ in world.log]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert gaps[0] < 30
    assert max(gaps) <= limits.RETRY_MAX * (1 + limits.RETRY_JITTER) + 5
    assert min(gaps[-10:]) >= limits.RETRY_MAX * (1 - limits.RETRY_JITTER)
    assert len(times) < 60
    world.replies = {}
    world.run(5000, 5)
    assert world.entry("a").failures == 0


def test_retries_are_spread():
    first = set()
    for seed in range(50):
        world = Clockwork("a", seed=seed)
        world.replies["a"] = "down"
        world.tick()
        first.add(round(world.entry("a").next_at))
    assert len(first) > 4


def test_the_user_is_heard_but_not_below_the_least_interval():
    world = Clockwork("a")
    world.replies["a"] = AnnounceReply(interval=1800, min_interval=300, peers=PEERS)
    world.tick()
    world.tiers.announce_now(world.now)
    assert world.run(299) == []
    assert [time for time, _, _ in world.run(2)] == [300]
    world.tiers.announce_now(10_000)
    world.now = 10_000
    assert world.tick() == ["a"]


def test_the_user_can_wake_a_failed_tracker():
    world = Clockwork("a")
    world.replies["a"] = "down"
    world.run(3000)
    failed = world.now = world.entry("a").since
    world.tiers.announce_now(failed)
    assert [time for time, _, _ in world.run(10)] == [pytest.approx(failed + limits.RETRY_FIRST, abs=1)]


def test_the_user_s_wish_forgives_the_failures():
    """Maybe he was a little early: then it is asked again as soon as after the first one."""
    world = Clockwork("a")
    world.replies["a"] = "down"
    world.run(20_000, 5)
    world.tiers.announce_now(world.now)
    times = [time for time, _, _ in world.run(100)]
    assert len(times) == 2
    assert times[1] - times[0] <= (limits.RETRY_FIRST + 4 * limits.RETRY_STEP) * (1 + limits.RETRY_JITTER) + 1
    assert world.entry("a").failures > 10


def test_a_failed_tracker_is_asked_within_seconds_when_our_network_may_be_back():
    moments = set()
    for seed in range(20):
        world = Clockwork("a", seed=seed)
        world.replies["a"] = "down"
        world.run(20_000, 5)
        world.now = world.entry("a").since + limits.RETRY_FIRST
        world.tiers.try_again(world.now)
        moments.add(round(world.entry("a").next_at - world.now, 3))
    assert 0 <= min(moments) < max(moments) <= limits.RETRY_FIRST
    assert len(moments) > 10, "not all of them at once"


def test_a_dead_tracker_is_asked_twice_as_often_at_most_however_often_our_network_may_be_back():
    asked = {}
    for back in (False, True):
        world = Clockwork("a")
        world.replies["a"] = "down"
        for _ in range(86_400 // 60):
            world.run(60, 5)
            if back:
                world.tiers.try_again(world.now)
        asked[back] = len(world.log)
    assert asked[False] < asked[True] <= 2 * asked[False]


def test_who_answers_is_not_asked_sooner_because_our_network_may_be_back():
    world = Clockwork("a")
    world.tick()
    before = world.entry("a").next_at
    world.tiers.try_again(10.0)
    assert world.entry("a").next_at == before


# -- events -----------------------------------------------------------------------------------------------------------


def events(world: Clockwork, name: str = "a") -> list[str]:
    return [event for _, tracker, event in world.log if tracker == name]


def test_started_until_one_succeeds_then_nothing():
    world = Clockwork("a")
    world.replies["a"] = "down"
    world.tick()
    world.run(100)
    world.replies = {}
    world.run(4000, 10)
    heard = events(world)
    started = heard.count("started")
    assert started > 2
    assert heard == ["started"] * started + [""] * (len(heard) - started)
    assert heard[-1] == ""


def test_completed_once_and_at_once():
    world = Clockwork("a")
    world.tick()
    world.now = 10
    world.tiers.completed()
    assert world.tick() == ["a"]
    world.run(10_000, 10)
    assert events(world)[:2] == ["started", "completed"]
    assert set(events(world)[2:]) == {""}


def test_completed_until_it_is_heard():
    world = Clockwork("a")
    world.tick()
    world.tiers.completed()
    world.replies["a"] = "down"
    world.run(100)
    world.replies = {}
    world.run(2000)
    heard = events(world)
    assert heard[0] == "started"
    assert heard.count("completed") > 1
    assert world.tiers.to_stop()
    world.run(4000)
    assert events(world)[-1] == ""


def test_complete_from_the_beginning_is_not_completed():
    world = Clockwork("a")
    world.tiers.completed()
    world.tick()
    world.run(10_000, 10)
    assert set(events(world)) == {"started", ""}


def test_completed_while_started_is_under_way():
    world = Clockwork("a")
    world.replies["a"] = None
    world.tick()
    world.tiers.completed()
    assert world.tick() == []  # first its answer
    world.replies = {}
    world.answer("a")
    world.tick()
    assert events(world) == ["started", "completed"]


def test_a_tracker_that_never_heard_of_us_hears_no_completed():
    world = Clockwork("a", "b")
    world.replies["a"] = "down"
    world.tick()
    world.tiers.completed()
    world.tick()
    assert events(world, "b") == ["started", "completed"]
    world.replies = {"b": "down"}
    world.run(4000, 10)
    assert set(events(world, "a")) == {"started", ""}


def test_goodbye_is_for_those_who_know_us():
    world = Clockwork("a", "b", added="x")
    world.replies = {"a": "down", "x": None}
    world.tick()
    assert names(world.tiers.to_stop()) == ["b"]
    for entry in world.tiers.to_stop():
        world.tiers.stopped(entry)
    assert world.tiers.to_stop() == []


def test_goodbye_does_not_overtake_an_announce():
    world = Clockwork("a", "b", added="xy")
    world.replies = {"a": "down", "b": None, "x": None}
    world.tick()
    assert names(world.tiers.to_stop()) == ["y"]
    assert names(world.tiers.interrupted(world.now)) == ["b", "x"]
    world.now += limits.SLOW_TRACKER
    assert world.tiers.interrupted(world.now) == [], "nobody waits for the dead"
    world.replies["b"] = GOOD
    world.answer("b")
    assert names(world.tiers.to_stop()) == ["b", "y"]
    world.replies["y"] = None
    world.run(4000, 10)
    assert "y" not in names(world.tiers.to_stop())
    assert "y" in names(world.tiers.interrupted(world.now)), "it does know that we are here"


def test_who_is_told_goodbye_is_told_nothing_else():
    world = Clockwork("a")
    world.tick()
    (entry,) = world.tiers.to_stop()
    world.tiers.stopping(entry, world.now)
    assert world.tiers.to_stop() == []
    world.tiers.announce_now(world.now + 100)
    assert world.tiers.due(world.now + 100) == []
    assert world.tiers.interrupted(world.now + 100) == [entry], "it was not heard yet"
    world.tiers.stopped(entry)
    assert world.tick() == ["a"]
    assert world.run(limits.MIN_ANNOUNCE_INTERVAL + 1) == [], "once is enough"


def test_after_goodbye_comes_started_again():
    world = Clockwork("a")
    world.tick()
    world.tiers.stopped(world.entry("a"))
    assert world.tick() == ["a"]
    assert events(world) == ["started", "started"]


def test_what_a_tracker_gave_us_to_say_is_kept():
    world = Clockwork("a")
    world.replies["a"] = AnnounceReply(interval=60, peers=PEERS, tracker_id=b"id")
    world.tick()
    world.replies["a"] = GOOD
    world.run(100)
    assert world.entry("a").tracker_id == b"id"


# -- looks ------------------------------------------------------------------------------------------------------------


def test_stats():
    key = "0123456789abcdef"
    tiers = Tiers([[f"http://one.example/{key}/announce"], [url("two")], [url("three")]], random.Random(1))
    tiers.add(url("mine"), typed=True)
    one, two, _, mine = tiers
    tiers.started(one, 0)
    tiers.failed(one, "go \x1b[31maway", 0)
    tiers.started(two, 0)
    tiers.succeeded(two, AnnounceReply(interval=100, peers=PEERS, seeders=3, leechers=4, warning="slow"), 0)
    tiers.started(mine, 0)
    rows = tiers.stats(50)
    assert [row.state for row in rows] == ["failed", "ok", "waiting", "announcing"]
    assert [row.tier for row in rows] == [0, 1, 2, 3]
    assert rows[0].url == "http://one.example/01…/announce"
    assert rows[0].message == "go \ufffd[31maway"
    assert rows[0].failures == 1
    assert (rows[1].message, rows[1].peers, rows[1].seeders, rows[1].leechers) == ("slow", 5, 3, 4)
    assert 50 <= rows[1].next_announce <= 55
    assert rows[0].next_announce == 0
    assert rows[2].next_announce == rows[3].next_announce == -1
    assert key not in repr(one) + repr(rows)


@pytest.mark.parametrize(
    ("named", "within"),
    [
        ("http://t.example/announce", Scope.LOOPBACK),
        ("https://t.example:8443/x/announce", Scope.LOOPBACK),
        ("udp://t.example:80", Scope.LOOPBACK),
        ("udp://t.example:80/x?y", Scope.LOOPBACK),
        ("http://192.168.1.1/announce?reboot=1", Scope.PUBLIC),
        ("http://192.168.1.1/announce?", Scope.LOOPBACK),
        ("http://admin:admin@192.168.1.1/announce", Scope.PUBLIC),
        ("http://192.168.1.1/reboot", Scope.PUBLIC),
        ("http://192.168.1.1/announce/../reboot", Scope.PUBLIC),
        ("http://192.168.1.1/reboot#/announce", Scope.PUBLIC),
        ("http://192.168.1.1/reboot?/announce", Scope.PUBLIC),
        ("http://192.168.1.1/xannounce", Scope.PUBLIC),
        ("http://[::1/announce", Scope.PUBLIC),
    ],
)
def test_where_a_named_tracker_may_be(named, within):
    assert scope_of_url(named) is within
    tiers = Tiers([[named]], random.Random(1))
    assert [entry.within for entry in tiers] == [within]
    tiers.add(named, typed=True)  # the user says the same: then it may be anywhere
    assert [entry.within for entry in tiers] == [Scope.LOOPBACK]


@given(
    st.lists(st.text("abcdefgh", min_size=1, max_size=3), max_size=4),
    st.lists(
        st.tuples(st.sampled_from(["good", "lonely", "down", "silent", "later"]), st.floats(0, 2000)), max_size=60
    ),
    st.integers(0, 1000),
    st.booleans(),
)
def test_whatever_happens_the_rules_hold(tiers, happenings, seed, exclusive):
    """Nobody is announced to twice at once or too often, and ``stopped`` goes to those who heard ``started``.

    And it is known when somebody is due next: not a moment before, and then indeed.
    """
    world = Clockwork(*tiers, seed=seed)
    world.tiers.exclusive = exclusive
    under_way: list[TrackerEntry] = []
    heard: set[str] = set()
    last: dict[str, float] = {}
    for what, pause in happenings:
        at = world.tiers.next_due()
        before = min(math.nextafter(at, -math.inf), world.now + 1e6)
        assert at <= world.now or world.tiers.due(before) == []
        assert at == math.inf or world.tiers.due(max(at, world.now))
        world.now += pause
        if what == "later":
            for entry in under_way:
                world.tiers.failed(entry, "late", world.now)
            under_way.clear()
        for entry in world.tiers.due(world.now):
            assert entry not in under_way
            assert world.now - last.get(entry.url, -1e9) >= limits.RETRY_FIRST
            last[entry.url] = world.now
            world.tiers.started(entry, world.now)
            assert exclusive or world.tiers.event(entry) == ("" if entry.url in heard else "started")
            if what == "silent":
                under_way.append(entry)
            elif what == "down":
                world.tiers.failed(entry, "down", world.now)
            else:
                world.tiers.succeeded(entry, LONELY if what == "lonely" else GOOD, world.now)
                heard.add(entry.url)
    told = {entry.url for entry in (*world.tiers.to_stop(), *under_way) if entry.started}
    assert told == heard or (exclusive and told < heard)
    assert len(world.tiers.stats(world.now)) == len(set("".join(tiers)))


# -- private torrents (BEP 27) ----------------------------------------------------------------------------------------


def private(*tiers: str, added: str = "") -> Clockwork:
    clock = Clockwork(*tiers, added=added)
    clock.tiers.exclusive = True
    return clock


def test_one_at_a_time_however_slow_or_lonely_it_is_and_no_other_besides():
    clock = private("a", "b", added="c")
    clock.replies["a"] = None
    assert clock.tick() == ["a"]
    assert clock.run(60) == [], "it is slow, and nobody else is asked meanwhile"
    clock.replies["a"] = LONELY
    clock.answer("a")
    assert {name for _, name, _ in clock.run(4 * 3600)} == {"a"}


def test_when_it_fails_another_takes_over_and_stays():
    clock = private("a", "b", added="c")
    switched = []
    succeeded = clock.tiers.succeeded

    def watched(entry, reply, now):
        if succeeded(entry, reply, now):
            switched.extend(names([entry]))

    clock.tiers.succeeded = watched
    clock.tick()
    clock.run(100)
    assert switched == [], "the first one takes nobody's place"
    clock.replies["a"] = "gone"
    clock.run(2000)
    assert switched == ["b"]
    assert names(clock.tiers.to_stop()) == ["b"], "the old one hears no more of us"
    clock.replies["a"] = GOOD
    assert {name for _, name, _ in clock.run(8 * 3600)} == {"b"}
    clock.tiers.completed()
    assert [name for _, name, event in clock.run(5) if event == "completed"] in ([], ["b"])


def test_what_comes_up_during_an_announce_is_told_after_it():
    clock = Clockwork("a")
    clock.replies["a"] = None
    assert clock.tick() == ["a"]
    clock.tiers.announce_now(clock.now)
    clock.replies["a"] = GOOD
    clock.answer("a")
    assert [round(moment) for moment, _, _ in clock.run(limits.MIN_ANNOUNCE_INTERVAL + 5)] == [60]
