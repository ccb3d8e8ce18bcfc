"""One connection to a peer of a host; nobody takes another's place; who makes room in a full swarm (BEP 40)."""

import itertools
from types import SimpleNamespace

import pytest
import trio

import torrentlite as tl
from tests.strangers import Stranger, background, session_on, simulated, until, where
from torrentlite.limits import SEATED, SIMULTANEOUS
from torrentlite.strategy.priority import priority
from torrentlite.swarm.admission import Admission
from torrentlite.wire import messages as wm
from torrentlite.wire.address import Address

ADDRESSES = {"a": ("40.0.0.1", "2a40::1"), "b": ("41.0.0.1", "2a41::1")}
DIALS = [("a", "b", 0), ("a", "b", 1), ("b", "a", 0), ("b", "a", 1)]
"""Who dials whom, over IPv4 or IPv6."""


class Side:
    """One end of connections whose handshakes end in any order."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.peer_id = name.encode() * 20
        commons = SimpleNamespace(peer_id=self.peer_id, settings=tl.Settings(connections_per_ip=0), connected=0)
        peerlist = SimpleNamespace(banned=lambda key: None)
        self.peers: dict[SimpleNamespace, None] = {}
        self.admission = Admission(
            SimpleNamespace(open=True, commons=commons, peerlist=peerlist, peers=self.peers, blame_key=str)
        )

    def greeted(self, dial):
        caller, called, family, *_ = dial
        other = called if caller == self.name else caller
        ours, theirs = (Address(ADDRESSES[name][family], 1) for name in (self.name, other))
        stream = SimpleNamespace(local=ours, remote=theirs)
        incoming = called == self.name
        hello = SimpleNamespace(peer_id=other.encode() * 20)
        refused = self.admission.refusal(stream, hello, incoming=incoming)
        for peer in [peer for peer in self.peers if peer.closed]:
            del self.peers[peer]
        if not refused:
            now = trio.current_time()
            peer = Peer(peer_id=hello.peer_id, incoming=incoming, stream=stream, connected_at=now, dial=dial)
            peer.last_received, peer.sender = now, SimpleNamespace(keep_alive=lambda now, interval: None)
            peer.closed, peer.close = False, lambda why: setattr(peer, "closed", True)
            self.peers[peer] = None

    @property
    def left(self):
        return {peer.dial for peer in self.peers}


class Peer(SimpleNamespace):
    __hash__ = object.__hash__


@pytest.mark.parametrize("dials", [each for count in (1, 2, 3, 4) for each in itertools.combinations(DIALS, count)])
async def test_however_many_are_dialled_at_once_both_sides_keep_the_same_ones(dials, autojump_clock):
    """One between any two hosts: what comes by IPv6 has no say about what came by IPv4, for it may be somebody else."""
    for here, there in itertools.product(itertools.permutations(dials), repeat=2):
        one, two = Side("a"), Side("b")
        for dial in here:
            one.greeted(dial)
        for dial in there:
            two.greeted(dial)
        assert one.left == two.left
        assert sorted(family for *_, family in one.left) == sorted({family for *_, family in dials})


TWICE = [("a", "b", 0), ("a", "b", 0, "again"), ("b", "a", 0), ("b", "a", 0, "again")]
PAUSES = [0, SIMULTANEOUS - 0.1, SIMULTANEOUS + 0.1]


@pytest.mark.parametrize("pauses", list(itertools.product(PAUSES, repeat=2)))
@pytest.mark.parametrize("dials", [each for count in (2, 3) for each in itertools.combinations(TWICE, count)])
async def test_whatever_was_dialled_when_no_two_sides_drop_all(dials, pauses, autojump_clock):
    """Their clocks do not agree what was at once, nor about which was first."""
    for here, there in itertools.product(itertools.permutations(dials), repeat=2):
        sides = Side("a"), Side("b")
        for side, order, pause in zip(sides, (here, there), pauses, strict=True):
            for dial in order:
                side.greeted(dial)
                await trio.sleep(pause)
        assert sides[0].left & sides[1].left


def as_libtorrent(self, peer, stream, *, incoming):
    """Whoever comes with the id of a peer may take its place, from anywhere and at any time."""
    return stream if incoming == (peer.peer_id > self._swarm.commons.peer_id) else peer


@pytest.mark.parametrize("defended", [True, False])
@pytest.mark.parametrize("we_call", [True, False])
@pytest.mark.parametrize("thief_comes", ["before", "at once", "after"])
@simulated()
async def test_who_has_learned_a_seeds_peer_id_takes_nothing_from_it(
    world, monkeypatch, thief_comes, we_call, defended
):
    """A peer id is told in every handshake. The thief chokes, says something now and then, and sends nothing."""
    if not defended:
        monkeypatch.setattr(Admission, "_stays", as_libtorrent)
    metainfo, data = world.torrent(4 << 20)
    peer_id = b"-ZZ0001-larger than " if we_call else b"-AA0001-smaller than"
    seed = Stranger(world.host(up=50_000), metainfo.info, data, peer_id=peer_id)
    thief = Stranger(world.host(), metainfo.info, data, peer_id=peer_id, unchokes=False)
    async with background() as nursery, session_on(world.host("40.0.0.1")) as session:
        torrent = session.add(metainfo)
        await torrent.wait_checked()
        here = ("40.0.0.1", session.port)

        async def connect(stranger, outgoing):
            if outgoing:
                torrent.add_peer(*(await stranger.serve(nursery)).place)
            else:
                nursery.start_soon(keep_calling, stranger)

        async def keep_calling(stranger):
            while True:
                talk = await stranger.call(nursery, here)
                if talk is not None:
                    await talk.wait_ended()
                await trio.sleep(5)

        async def steal():
            await connect(thief, not we_call)
            while True:
                await trio.sleep(2)
                if thief.talks:
                    await thief.talk.say(wm.KeepAlive())

        if thief_comes == "before":
            nursery.start_soon(steal)
            await trio.sleep(SIMULTANEOUS + 5)
            assert len(torrent.peers()) == 1
        await connect(seed, we_call)
        if thief_comes == "after":
            await trio.sleep(SIMULTANEOUS + 5)
        if thief_comes != "before":
            await until(lambda: torrent.stats().downloaded)
            nursery.start_soon(steal)
        with trio.move_on_after(300) as patience:
            await torrent.wait_complete()
        assert thief.talks
        assert patience.cancelled_caught is not defended
        if defended:
            assert len(seed.talks) == 1


@simulated()
async def test_a_full_swarm_has_room_for_who_has_a_higher_priority(world):
    metainfo, data = world.torrent(2 << 20)
    machine = world.host("40.0.0.1")
    async with background() as nursery, session_on(machine, connections_per_torrent=4) as session:
        torrent = session.add(metainfo)
        await torrent.wait_checked()
        ours = Address("40.0.0.1", session.port)
        callers = [Stranger(world.host(f"{50 + number}.7.0.1"), metainfo.info, has=0) for number in range(12)]

        def rank(stranger):
            return priority(ours, Address(stranger.machine.network.ip, 1))

        callers.sort(key=rank)
        lowest, rest = callers[:4], callers[4:]
        for stranger in lowest:
            assert await stranger.call(nursery, where(machine, session))
        await until(lambda: len(torrent.peers()) == 4)
        await rest[0].call(nursery, where(machine, session))
        await trio.sleep(1)
        assert rest[0].talk.ended, "everybody has some time to become of use"
        await trio.sleep(SEATED)
        for stranger in rest[1:]:
            await stranger.call(nursery, where(machine, session))
            await trio.sleep(SEATED + 1)
        there = {peer.host for peer in torrent.peers()}
        assert there == {stranger.machine.network.ip for stranger in callers[-4:]}
        await lowest[0].call(nursery, where(machine, session))
        await trio.sleep(1)
        assert lowest[0].talk.ended
        assert len(torrent.peers()) == 4


@simulated()
async def test_who_is_of_use_or_was_named_by_hand_stays(world):
    metainfo, data = world.torrent(8 << 20)
    seed = world.host(up=20_000)
    seed.put(metainfo.info, data)
    machine = world.host("40.0.0.1")
    async with (
        background() as nursery,
        session_on(seed) as sharing,
        session_on(machine, connections_per_torrent=2) as session,
    ):
        sharing.add(metainfo)
        torrent = session.add(metainfo)
        await torrent.wait_checked()
        torrent.add_peer(*where(seed, sharing))
        named = await Stranger(world.host(), metainfo.info, has=0).serve(nursery)
        torrent.add_peer(*named.place)
        await until(lambda: len(torrent.peers()) == 2)
        await trio.sleep(SEATED + 1)
        before = {peer.host for peer in torrent.peers()}
        for number in range(10):
            await Stranger(world.host(f"{50 + number}.7.0.1"), metainfo.info, has=0).call(
                nursery, where(machine, session)
            )
        await trio.sleep(5)
        assert {peer.host for peer in torrent.peers()} == before
