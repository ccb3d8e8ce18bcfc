"""UDP trackers under a virtual clock: what is sent when, to whom, and what is believed."""

import itertools
import struct

import pytest
import trio

from tests.net.memory import MemoryDatagrams
from torrentlite import limits
from torrentlite.errors import NetworkError, TrackerError
from torrentlite.net.udp import UdpPort
from torrentlite.tracker.announce import AnnounceRequest, ScrapeReply
from torrentlite.tracker.udp import UdpTrackers
from torrentlite.wire.address import Address, Scope

HERE = Address("192.0.2.1", 6969)
OTHER = Address("192.0.2.2", 6969)
REQUEST = AnnounceRequest(info_hash=b"h" * 20, peer_id=b"p" * 20, port=6881)
ACTIONS = {0: "connect", 1: "announce", 2: "scrape"}


class Tracker:
    """Answers as a tracker should, unless told to lose what it gets.

    Attributes:
        lose: actions to lose, in this order; one that does not match the next is answered.
        forgets: connection ids are refused that are older than this.
        log: (time, action, address) of all it got, the first at time 0.
    """

    def __init__(self) -> None:
        self.lose: list[str] = []
        self.deaf: set[Address] = set()
        self.forgets = 120.0
        self.log: list[tuple[float, str, Address]] = []
        self.ids: dict[int, float] = {}
        self.tids: set[int] = set()
        self.began = trio.current_time()
        self._numbers = itertools.count(1000)

    def __call__(self, data: bytes, to: Address) -> list[tuple[bytes, Address]]:
        connection_id, number, tid = struct.unpack_from(">QII", data)
        action = ACTIONS[number]
        now = trio.current_time()
        self.log.append((now - self.began, action, to))
        self.tids.add(tid)
        if self.lose and self.lose[0] == action:
            del self.lose[0]
            return []
        if to in self.deaf:
            return []
        if action == "connect":
            assert connection_id == 0x41727101980
            fresh = next(self._numbers)
            self.ids[fresh] = now
            return [(struct.pack(">IIQ", 0, tid, fresh), to)]
        if now - self.ids.get(connection_id, -1e9) > self.forgets:
            return [(struct.pack(">II", 3, tid) + b"bad connection id", to)]
        if action == "announce":
            peers = b"\x26\x06" + bytes(14) + b"\1\1" if to.is_ipv6 else b"\x08\x08\x08\x08\1\1"
            return [(struct.pack(">IIIII", 1, tid, 1800, 1, 2) + peers, to)]
        count = (len(data) - 16) // 20
        return [(struct.pack(">II", 2, tid) + b"".join(struct.pack(">III", i, i + 1, i + 2) for i in range(count)), to)]

    def times(self) -> list[tuple[int, str]]:
        return [(round(time), action) for time, action, _ in self.log]


@pytest.fixture
async def tracker(autojump_clock):
    return Tracker()


@pytest.fixture
async def trackers(tracker, nursery):
    port = UdpPort([MemoryDatagrams(tracker), MemoryDatagrams(tracker, ipv6=True)])
    await nursery.start(port.run)
    secrets = itertools.count(1)
    return UdpTrackers(port, lambda n: next(secrets).to_bytes(n, "big"))


async def test_connect_and_announce(trackers, tracker, autojump_clock):
    reply = await trackers.announce([HERE], "/", REQUEST)
    assert (reply.interval, reply.leechers, reply.seeders) == (1800, 1, 2)
    assert reply.peers == (Address("8.8.8.8", 257),)
    assert reply.scope is Scope.PRIVATE
    assert tracker.times() == [(0, "connect"), (0, "announce")]


async def test_ipv6_peers_over_ipv6(trackers, tracker, autojump_clock):
    reply = await trackers.announce([Address("2001:4860::1", 6969)], "/", REQUEST)
    assert reply.peers == (Address("2606::", 257),)
    assert reply.scope is Scope.PUBLIC


async def test_scrape(trackers, tracker, autojump_clock):
    hashes = [b"x" * 20, b"y" * 20]
    assert await trackers.scrape([HERE], hashes) == {
        hashes[0]: ScrapeReply(seeders=0, downloaded=1, leechers=2),
        hashes[1]: ScrapeReply(seeders=1, downloaded=2, leechers=3),
    }


async def test_a_connection_id_serves_for_a_minute(trackers, tracker, autojump_clock):
    life = limits.CONNECTION_ID_LIFE
    for pause in (0, 50, life - 51, 2):
        await trio.sleep(pause)
        await trackers.announce([HERE], "/", REQUEST)
    assert tracker.times() == [
        (0, "connect"),
        (0, "announce"),
        (50, "announce"),
        (life - 1, "announce"),
        (life + 1, "connect"),
        (life + 1, "announce"),
    ]


async def test_every_address_has_its_own(trackers, tracker, autojump_clock):
    await trackers.announce([HERE], "/", REQUEST)
    await trackers.announce([OTHER], "/", REQUEST)
    assert [action for _, action in tracker.times()] == ["connect", "announce"] * 2


async def test_connect_times_out_as_in_bep_15(trackers, tracker, autojump_clock):
    tracker.lose = ["connect"] * 4
    await trackers.announce([HERE], "/", REQUEST)
    assert tracker.times() == [(t, "connect") for t in (0, 15, 45, 105, 225)] + [(225, "announce")]


async def test_announce_times_out_as_in_bep_15(trackers, tracker, autojump_clock):
    tracker.lose = ["announce"] * 3 + ["connect"]
    await trackers.announce([HERE], "/", REQUEST)
    assert tracker.times() == [
        (0, "connect"),
        (0, "announce"),
        (15, "announce"),
        (45, "announce"),
        (105, "connect"),  # the id has expired
        (225, "connect"),
        (225, "announce"),
    ]


async def test_repetitions_bear_the_same_transaction_id(trackers, tracker, autojump_clock):
    tracker.lose = ["connect", "connect", "announce"]
    await trackers.announce([HERE], "/", REQUEST)
    assert tracker.tids == {1}
    await trackers.announce([HERE], "/", REQUEST)
    assert tracker.tids == {1, 2}


async def test_the_next_address_is_tried_when_one_is_silent(trackers, tracker, autojump_clock):
    tracker.deaf = {HERE}
    await trackers.announce([HERE, OTHER], "/", REQUEST)
    assert [to for _, _, to in tracker.log] == [HERE, OTHER, OTHER]


async def test_an_id_refused_before_its_time_is_asked_for_again(trackers, tracker, autojump_clock):
    await trackers.announce([HERE], "/", REQUEST)
    tracker.ids.clear()  # it was started again
    await trackers.announce([HERE], "/", REQUEST)
    assert [action for _, action in tracker.times()][2:] == ["announce", "connect", "announce"]


async def test_several_that_are_refused_with_one_id_ask_for_a_new_one(nursery, autojump_clock):
    tracker, held = Tracker(), []
    gather = 1

    def far(data, to):  # so far away that all requests are under way before the first is answered
        held.append((data, to))
        if len(held) < gather:
            return []
        answers = [answer for each in held for answer in tracker(*each)]
        held.clear()
        return answers

    port = UdpPort([MemoryDatagrams(far)])
    await nursery.start(port.run)
    secrets = itertools.count(1)
    trackers = UdpTrackers(port, lambda n: next(secrets).to_bytes(n, "big"))
    await trackers.announce([HERE], "/", REQUEST)
    replies = []

    async def announce():
        replies.append(await trackers.announce([HERE], "/", REQUEST))

    tracker.ids.clear()  # it was started again
    gather = 3
    async with trio.open_nursery() as announces:
        for _ in range(gather):
            announces.start_soon(announce)
    assert len(replies) == gather
    assert [action for _, action in tracker.times()][2:] == ["announce"] * 3 + ["connect"] * 3 + ["announce"] * 3


async def test_a_refusal_is_not_repeated_for_ever(trackers, tracker, autojump_clock):
    tracker.forgets = -1
    with pytest.raises(TrackerError, match="bad connection id"):
        await trackers.announce([HERE], "/", REQUEST)
    assert [action for _, action in tracker.times()] == ["connect", "announce"]


async def test_a_refused_connect(trackers, tracker, autojump_clock, nursery):
    port = UdpPort([MemoryDatagrams(lambda data, to: [(struct.pack(">I", 3) + data[12:16] + b"go away", to)])])
    await nursery.start(port.run)
    with pytest.raises(TrackerError, match="go away"):
        await UdpTrackers(port, bytes).announce([HERE], "/", REQUEST)


async def test_datagrams_that_cannot_be_sent_are_lost_datagrams(tracker, nursery, autojump_clock):
    socket = MemoryDatagrams(tracker)
    socket.room = False
    port = UdpPort([socket])
    await nursery.start(port.run)
    with trio.move_on_after(100):
        await UdpTrackers(port, bytes).announce([HERE], "/", REQUEST)
    assert [round(time - tracker.began) for time, _, _ in socket.sent] == [0, 15, 45]


async def test_without_a_socket_of_the_family(tracker, autojump_clock):
    four = UdpTrackers(UdpPort([MemoryDatagrams(tracker)]), bytes)
    with pytest.raises(NetworkError, match="family"):
        await four.announce([Address("2001:4860::1", 6969)], "/", REQUEST)


async def test_connection_ids_do_not_pile_up(trackers, autojump_clock, monkeypatch):
    monkeypatch.setattr(limits, "CONNECTION_IDS", 10)
    for i in range(30):
        await trackers.announce([Address(f"192.0.2.{i + 1}", 6969)], "/", REQUEST)
    assert len(trackers._connections) == 10
    assert list(trackers._connections)[-1] == Address("192.0.2.30", 6969)


async def test_many_at_once_are_kept_apart(trackers, tracker, autojump_clock):
    replies = []

    async def announce(i):
        replies.append(await trackers.announce([Address(f"192.0.2.{i % 3 + 1}", 6969)], "/", REQUEST))

    async with trio.open_nursery() as nursery:
        for i in range(50):
            nursery.start_soon(announce, i)
    assert len(replies) == 50
