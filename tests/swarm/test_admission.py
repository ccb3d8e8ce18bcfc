"""One connection to a peer, also where it has two addresses; and who makes room in a full swarm (BEP 40)."""

import itertools
from types import SimpleNamespace

import pytest
import trio

import torrentlite as tl
from tests.strangers import Stranger, background, session_on, simulated, until, where
from torrentlite.limits import SEATED
from torrentlite.strategy.priority import priority
from torrentlite.swarm.admission import Admission
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
        caller, called, family = dial
        other = called if caller == self.name else caller
        ours, theirs = (Address(ADDRESSES[name][family], 1) for name in (self.name, other))
        stream = SimpleNamespace(local=ours, remote=theirs)
        incoming = called == self.name
        hello = SimpleNamespace(peer_id=other.encode() * 20)
        if not self.admission.refusal(stream, hello, incoming=incoming):
            peer = Peer(peer_id=hello.peer_id, incoming=incoming, stream=stream, connected_at=0.0, dial=dial)
            peer.last_received, peer.sender = 0.0, SimpleNamespace(keep_alive=lambda now, interval: None)
            peer.close = lambda why: self.peers.pop(peer)
            self.peers[peer] = None

    @property
    def left(self):
        return [peer.dial for peer in self.peers]


class Peer(SimpleNamespace):
    __hash__ = object.__hash__


@pytest.mark.parametrize("dials", [each for count in (1, 2, 3, 4) for each in itertools.combinations(DIALS, count)])
async def test_however_many_are_dialled_at_once_both_sides_keep_the_same_one(dials, autojump_clock):
    for here, there in itertools.product(itertools.permutations(dials), repeat=2):
        one, two = Side("a"), Side("b")
        for dial in here:
            one.greeted(dial)
        for dial in there:
            two.greeted(dial)
        assert one.left == two.left
        assert len(one.left) == 1


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
