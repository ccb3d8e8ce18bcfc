"""A torrent with nothing to do is left alone, and nobody can tell: whatever happens, happens when it would anyway."""

import collections
import contextlib
import random
from unittest import mock

import pytest
import trio

import torrentlite as tl
from tests.strangers import Stranger, background, session_on, simulated, where
from tests.swarm.dhtworld import dht
from torrentlite.limits import NAP, TICK
from torrentlite.strategy import naps
from torrentlite.swarm.life import Life
from torrentlite.testing import run_simulation
from torrentlite.testing.trace import Trace
from torrentlite.wire import messages as wm

WISHES = [
    "pause", "resume", "recheck", "announce", "add a tracker", "name a peer", "name a dead peer", "select", "select all",
    "follow", "read", "be called", "trackers fail", "trackers are silent", "trackers work", "remove", "cable out",
    "wait", "wait",
]  # fmt: skip


@contextlib.contextmanager
def counted():
    """How often each torrent is visited meanwhile."""
    visits = collections.Counter()
    tick = Life.tick

    def count(self, now):
        visits[self.name] += 1
        tick(self, now)

    with mock.patch.object(Life, "tick", count):
        yield visits


class Person:
    """Has one torrent and changes its mind; between two wishes there is time to fall asleep."""

    def __init__(self, world, machine, metainfo, data, trackers, nursery, dice):
        self.world, self.machine, self.metainfo, self.data = world, machine, metainfo, data
        self.trackers, self.nursery, self.dice = trackers, nursery, dice
        self.others = []
        self.session = self.torrent = None

    async def live(self, wishes, bootstrap):
        async with session_on(self.machine, bootstrap=bootstrap) as self.session:
            for _ in range(wishes):
                if self.torrent is None:
                    self.torrent = self.session.add(self.metainfo)
                await trio.sleep(self.dice.choice([0.0, 0.3, self.dice.expovariate(1 / 20), 2 * NAP]))
                await self.do(self.dice.choice(WISHES))
            await trio.sleep(2000)  # announces come again

    async def do(self, what):
        self.world.trace.record(what)
        torrent, dice = self.torrent, self.dice
        match what:
            case "select":
                torrent.select_files([0])
            case "select all":
                torrent.select_files(None)
            case "add a tracker":
                torrent.add_tracker(dice.choice(self.trackers).udp_url)
            case "name a peer":
                torrent.add_peer(*dice.choice(self.others))
            case "name a dead peer":
                torrent.add_peer("50.1.1.1", dice.randrange(1, 9))
            case "follow":
                self.nursery.start_soon(self.follow, torrent)
            case "read":
                with trio.move_on_after(5), contextlib.suppress(tl.TorrentError):
                    async with torrent.open(1) as file:
                        self.world.trace.record("read", len(await file.read(100_000)))
            case "be called":
                stranger = Stranger(self.world.host(), self.metainfo.info, self.data, has=0)
                with contextlib.suppress(tl.TorrentError), trio.move_on_after(30):
                    talk = await stranger.call(self.nursery, where(self.machine, self.session))
                    if talk is not None:
                        await talk.say(wm.Interested())
                        await trio.sleep(3)
                        talk.stream.close()
            case "trackers fail" | "trackers are silent" | "trackers work":
                for tracker in self.trackers:
                    tracker.failure = "no" if what == "trackers fail" else ""
                    tracker.silent = what == "trackers are silent"
            case "remove":
                await self.session.remove(torrent)
                self.torrent = None
            case "cable out":
                self.machine.network.plugged = False
                await trio.sleep(20)
                self.machine.network.plugged = True
            case "pause" | "resume" | "recheck" | "announce":
                getattr(torrent, what)()

    async def follow(self, torrent):
        """What happens is recorded, and when."""
        with trio.move_on_after(30):
            async with torrent.events() as events:
                async for event in events:
                    self.world.trace.record(type(event).__name__)


async def lives(world, seed):
    """Two who have everything, two who want it, all undecided."""
    dice = random.Random(seed)
    trackers = [world.tracker() for _ in range(3)]
    for tracker in trackers:
        tracker.interval = dice.choice([60, 300, 900])
    tiers = [[trackers[0].url, trackers[1].url], [trackers[2].url]]
    metainfo, data = world.torrent(200_000, 300_000, trackers=tiers)
    async with dht(world) as nodes, background() as nursery:
        people = []
        for number in range(4):
            machine = world.host()
            if number < 2:
                machine.put(metainfo.info, data)
            people.append(Person(world, machine, metainfo, data, trackers, nursery, random.Random(f"{seed}/{number}")))
        for person in people:
            person.others = [(other.machine.network.ip, dice.randrange(50_000, 50_003)) for other in people]
        async with trio.open_nursery() as all_of_them:
            for person in people:
                all_of_them.start_soon(person.live, 12, nodes.bootstrap)


def course(seed, *, nap=NAP, wakes=True):
    """All that happens, with its times, and how often torrents were visited."""
    happened = []
    with contextlib.ExitStack() as stack:
        visits = stack.enter_context(counted())
        stack.enter_context(mock.patch.object(naps, "NAP", nap))
        if not wakes:
            wake = naps.Naps.wake
            stack.enter_context(
                mock.patch.object(naps.Naps, "wake", lambda self, one: None if one in self._asleep else wake(self, one))
            )
            stack.enter_context(mock.patch.object(naps, "NAP", 1e6))
        run_simulation(lives, seed, seed=seed, trace=Trace(happened.append), time_limit=20_000)
    return happened, visits.total()


@pytest.mark.parametrize("seed", range(6))
def test_nobody_can_tell_who_sleeps(seed):
    slept, visits = course(seed)
    awake, all_visits = course(seed, nap=0.0)
    first = next((pair for pair in zip(slept, awake, strict=False) if pair[0] != pair[1]), None)
    assert first is None
    assert len(slept) == len(awake)
    assert visits < all_visits / 2, "or this has shown nothing"


def test_control_without_waking_things_come_late_or_never():
    # In some worlds nothing happens to a torrent just while it sleeps.
    assert any(course(seed, wakes=False)[0] != course(seed, nap=0.0)[0] for seed in (1, 2))


@simulated()
async def test_a_hundred_idle_torrents_are_hardly_visited_and_the_busy_one_is(world):
    machine = world.host()
    tracker = world.tracker()
    many = [world.torrent(20_000, name=f"idle{number}", trackers=[tracker.url]) for number in range(100)]
    for metainfo, data in many:
        machine.put(metainfo.info, data)
    async with background() as nursery, session_on(machine) as session:
        torrents = [session.add(metainfo) for metainfo, _ in many]
        for torrent in torrents:
            await torrent.wait_complete()
        await trio.sleep(60)
        with counted() as visits:
            await trio.sleep(300)
        assert visits.total() <= 100 * 300 / NAP * 1.1
        assert len(visits) == 100, "nobody is forgotten"

        stranger = Stranger(world.host(), many[7][0].info, has=0)
        talk = await stranger.call(nursery, where(machine, session))
        with counted() as visits:
            await trio.sleep(60)
        assert visits["idle7"] == 60 / TICK
        assert visits.total() < 60 / TICK + 100 * (60 / NAP + 1)
        talk.stream.close()
        await trio.sleep(60)
        with counted() as visits:
            await trio.sleep(300)
        assert visits["idle7"] <= 300 / NAP + 1
        await trio.sleep(2000)
        assert len(tracker.announces) >= 2 * 100, "and when the time has come everybody announces"
