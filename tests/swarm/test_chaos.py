"""Swarms in which everything happens: people who change their minds, disks and lines that fail, and hostile crowds.

Whatever the dice say: everybody completes, every byte is right, nobody innocent is banned, nothing is left behind.
"""

import contextlib
import errno
import random

import pytest
import trio

import torrentlite as tl
from tests.strangers import Stranger, background, session_on, simulated, spoil
from torrentlite.metainfo.layout import BLOCK_SIZE
from torrentlite.wire import messages as wm

WISHES = ["pause", "resume", "resume", "recheck", "announce", "select", "select all", "limit", "no limit", "remove"]
FAULTS = ["a call fails", "disk full", "cable out", "connections reset"]
TROUBLE = 60.0


class Person:
    """Somebody with a machine who cannot leave it alone for ``TROUBLE`` seconds, and then wants to be done."""

    def __init__(self, world, machine, sources, dice, *, seed):
        self.world = world
        self.machine = machine
        self.metainfo, self.link = sources
        self.dice = dice
        self.seed = seed
        self.done = False
        self.session = self.torrent = None

    async def live(self):
        calm = False
        while not calm:
            calm = trio.current_time() >= TROUBLE
            memory = self.dice.choice([64 << 20, 64 << 20, 256 << 10])
            utp = self.dice.choice(["allow", "prefer"])
            async with session_on(self.machine, piece_memory=memory, utp=utp) as self.session:
                self.torrent = self.session.add(self.metainfo if self.seed or self.dice.random() < 0.6 else self.link)
                bored_at = trio.current_time() + self.dice.expovariate(1 / 40)
                while trio.current_time() < min(bored_at, TROUBLE):
                    await trio.sleep(self.dice.expovariate(1 / 1.5))
                    await self.do(self.dice.choice(WISHES + FAULTS))
                if calm or trio.current_time() >= TROUBLE:
                    calm = True
                    await self.settle()

    async def do(self, what):
        self.world.trace.record(what)
        dice, machine, torrent = self.dice, self.machine, self.torrent
        match what:
            case "select":
                torrent.select_files([index for index in range(len(self.metainfo.files)) if dice.random() < 0.5])
            case "select all":
                torrent.select_files(None)
            case "limit":
                owner = dice.choice([self.session, torrent])
                owner.set_limits(upload=dice.choice([0, 20_000, 100_000]), download=dice.choice([0, 30_000, 100_000]))
            case "no limit":
                for owner in (self.session, torrent):
                    owner.set_limits(upload=0, download=0)
            case "remove":
                with trio.move_on_after(dice.choice([0, 0.01, 10])):
                    await self.session.remove(torrent)
                if torrent not in self.session.torrents:
                    self.torrent = self.session.add(self.metainfo)
            case "a call fails":
                machine.disk.fail_at = {machine.disk.calls + dice.randint(1, 6): dice.choice([errno.EIO, errno.ENOSPC])}
            case "disk full":
                machine.disk.error = errno.ENOSPC
                await trio.sleep(dice.choice([0.1, 3, 15]))
                machine.disk.error = 0
            case "cable out":
                machine.network.plugged = False
                await trio.sleep(dice.choice([0.1, 3, 15]))
                machine.network.plugged = True
            case "connections reset":
                machine.network.reset_connections()
            case _:
                getattr(torrent, what)()

    async def settle(self):
        self.machine.disk.fail_at = {}
        await self.do("no limit")
        self.torrent.resume()
        self.torrent.select_files(None)
        with trio.fail_after(8000):  # a tracker is asked again after half an hour, a peer after an hour
            await self.torrent.wait_complete()
        assert self.torrent.stats().hash_failures == 0
        self.done = True
        while not all(person.done for person in self.everybody):
            await trio.sleep(1)
        assert self.torrent.stats().left == 0


@pytest.mark.parametrize("seed", range(8))
def test_people_and_their_machines(seed):
    dice = random.Random(f"chaos {seed}")

    @simulated(seed=seed, time_limit=20_000)
    async def run(world):
        tracker = world.tracker()
        sizes = [dice.choice([0, 5, 20_000, 100_000]) for _ in range(dice.randint(1, 4))] + [150_000]
        metainfo, data = world.torrent(*sizes, trackers=[tracker.url], piece_length=dice.choice([16, 32, 64]) << 10)
        people = []
        for number in range(dice.randint(3, 4)):
            machine = world.host(
                up=dice.choice([50_000, 200_000]), latency=dice.choice([0.005, 0.05]), loss=dice.choice([0, 0, 0.02])
            )
            machine.offload.duration = dice.choice([0, 0.005, 0.05])
            machine.disk.cached = dice.random() < 0.5
            people.append(Person(world, machine, (metainfo, metainfo.magnet), dice, seed=not number))
        people[0].machine.put(metainfo.info, data)
        Person.everybody = people
        async with trio.open_nursery() as nursery:
            for person in people:
                nursery.start_soon(person.live)
        for person in people:
            assert person.machine.disk.storage(metainfo.info).content() == data
        happened = world.trace.counts
        assert sum(happened[what] for what in FAULTS) >= 10
        assert sum(happened[what] for what in WISHES) >= 20

    run()


class Crowd:
    """Hostile peers of many kinds, each on a machine of its own."""

    def __init__(self, world, metainfo, data, nursery):
        self.world, self.metainfo, self.data, self.nursery = world, metainfo, data, nursery
        self.corrupting: list[Stranger] = []
        self.all: list[Stranger] = []

    async def add(self, *, corrupting=False, **manners):
        machine = self.world.host(up=400_000, latency=0.01)
        stranger = await Stranger(machine, self.metainfo.info, self.data, **manners).serve(self.nursery)
        self.all.append(stranger)
        if corrupting:
            self.corrupting.append(stranger)

    async def gather(self):
        lied = []

        def lie_once(request, right):
            lied.append(request)
            return spoil(right) if len(lied) <= 4 else right

        async def reject(talk, message):
            if isinstance(message, wm.Request):
                await talk.say(wm.RejectRequest(*message))
            return isinstance(message, wm.Request)

        async def flap(talk, message):
            if isinstance(message, wm.Request):
                await talk.say(wm.Choke(), wm.RejectRequest(*message))
                await trio.sleep(0.5)
                await talk.say(wm.Unchoke())
            return isinstance(message, wm.Request)

        async def junk(talk, message):
            if isinstance(message, wm.Request):
                await talk.say(wm.piece_header(message.piece, 1, 100) + bytes(100))
            return isinstance(message, wm.Request)

        async def flood(talk, message):
            if isinstance(message, wm.Interested):
                await talk.say(wm.Interested(), wm.Unchoke(), *[wm.Request(0, 0, BLOCK_SIZE)] * 3000)
            return False

        def huge(talk):
            return b"\xff\xff\xff\xff"

        for _ in range(3):
            await self.add(corrupting=True, answer=lambda request, right: spoil(right))
            await self.add(corrupting=True, answer=lambda request, right: spoil(right) if request.begin else right)
        for _ in range(4):
            await self.add(corrupting=True, answer=lie_once)
        for _ in range(2):
            await self.add(answer=lambda request, right: None)
            await self.add(react=reject)
            await self.add(react=flap)
            await self.add(react=junk)
            await self.add(react=flood)
            await self.add(opening=huge)
            await self.add(delay=15)
            await self.add(metadata=bytes(len(self.metainfo.info.raw)))


@pytest.mark.parametrize("seed", range(3))
def test_one_honest_seed_among_twenty_six(seed):
    @simulated(seed=seed)
    async def run(world):
        metainfo, data = world.torrent(3 << 20)
        async with background() as nursery, contextlib.AsyncExitStack() as stack:
            crowd = Crowd(world, metainfo, data, nursery)
            await crowd.gather()
            honest = await Stranger(world.host(up=200_000), metainfo.info, data).serve(nursery)
            order = [*crowd.all, honest]
            world.dice.rng("order").shuffle(order)
            machines = [world.host(up=200_000) for _ in range(2)]
            torrents = []
            for number, machine in enumerate(machines):
                session = await stack.enter_async_context(session_on(machine))
                torrent = session.add(metainfo.magnet if number else metainfo)
                for stranger in order:
                    torrent.add_peer(*stranger.place)
                for earlier in torrents:
                    torrent.add_peer(earlier[1].network.ip, earlier[2].port)
                torrents.append((torrent, machine, session))
            with trio.fail_after(240):
                for torrent, _, _ in torrents:
                    await torrent.wait_complete()
            await trio.sleep(1)
            innocent = [honest, *(s for s in crowd.all if not s.spoiled and s.metadata == metainfo.info.raw)]
            for torrent, machine, _ in torrents:
                banned = torrent._life.swarm.peerlist.banned
                assert machine.disk.storage(metainfo.info).content() == data
                assert not [s for s in innocent if banned(s.machine.network.ip)]
                assert not [other for _, other, _ in torrents if banned(other.network.ip)]
                assert torrent.state is tl.State.SEEDING
            liars = [s for s in crowd.corrupting if s.spoiled]
            assert len(liars) >= 5
            assert all(any(t._life.swarm.peerlist.banned(s.machine.network.ip) for t, _, _ in torrents) for s in liars)

    run()
