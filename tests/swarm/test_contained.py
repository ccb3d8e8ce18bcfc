"""A bug of ours is contained where it meets a remote: that one goes, it is counted, and everything else goes on."""

import pytest
import trio

from tests.strangers import Stranger, background, session_on, simulated, until, where
from torrentlite.limits import LAST_WORDS
from torrentlite.swarm import asking, greeting
from torrentlite.swarm.peer import Peer
from torrentlite.swarm.sender import Sender
from torrentlite.swarm.slots import Slots
from torrentlite.wire import bitfield, messages as wm


class Planted(Exception):
    """What nobody expects."""


def once(function):
    """The same function, but that the first call raises."""
    calls = []

    def wrapper(*args):
        calls.append(args)
        if len(calls) == 1:
            raise Planted
        return function(*args)

    return wrapper


KINDS = [
    wm.Bitfield,
    wm.Have,
    wm.Unchoke,
    wm.Choke,
    wm.ExtendedHandshake,
    wm.RejectRequest,
    wm.Interested,
    wm.KeepAlive,
]


@pytest.mark.parametrize("kind", KINDS)
@simulated()
async def test_a_bug_in_the_answer_to_any_message(world, monkeypatch, kind):
    metainfo, data = world.torrent(400_000)
    count = metainfo.info.layout.piece_count
    said = {
        wm.Bitfield: lambda talk: wm.encode(wm.Bitfield(bitfield.to_wire(1, count))),
        wm.ExtendedHandshake: lambda talk: talk.extended_handshake(),
        wm.Have: lambda talk: wm.encode(wm.Have(1)),
        wm.RejectRequest: lambda talk: wm.encode(wm.RejectRequest(0, 0, 5)),
    }.get(kind, lambda talk: wm.encode(kind()))
    async with background() as nursery, session_on(world.host(), bugs=1) as session:
        monkeypatch.setitem(Peer._HANDLERS, kind, once(Peer._HANDLERS[kind]))
        torrent = session.add(metainfo)
        unlucky = await Stranger(world.host(), metainfo.info, opening=said, unchokes=False).serve(nursery)
        torrent.add_peer(*unlucky.place)
        await until(lambda: session.stats().internal_errors)
        await until(lambda: unlucky.talk.ended)
        assert torrent.peers() == ()
        honest = await Stranger(world.host(), metainfo.info, data).serve(nursery)
        torrent.add_peer(*honest.place)
        await torrent.wait_complete()


@simulated()
async def test_a_bug_while_sending(world, monkeypatch):
    metainfo, data = world.torrent(400_000)
    async with background() as nursery, session_on(world.host(), bugs=1) as session:
        torrent = session.add(metainfo)
        strangers = [await Stranger(world.host(up=50_000), metainfo.info, data).serve(nursery) for _ in range(3)]
        for stranger in strangers:
            torrent.add_peer(*stranger.place)
        await until(lambda: torrent.stats().done)
        monkeypatch.setattr(Sender, "_flush", once(Sender._flush))
        await until(lambda: session.stats().internal_errors)
        await trio.sleep(1)
        assert len(torrent.peers()) == 2
        await torrent.wait_complete()


@simulated()
async def test_a_bug_in_a_handshake(world, monkeypatch):
    metainfo, data = world.torrent(400_000)
    async with background() as nursery, session_on(world.host(), bugs=1) as session:
        monkeypatch.setattr("torrentlite.swarm.dialler.greet", once(greeting.greet))
        honest = await Stranger(world.host(), metainfo.info, data).serve(nursery)
        torrent = session.add(metainfo, peers=[honest.place])
        await until(lambda: session.stats().internal_errors)
        assert session.stats().half_open == 0
        other = await Stranger(world.host(), metainfo.info, data).serve(nursery)
        torrent.add_peer(*other.place)
        await torrent.wait_complete()


@simulated()
async def test_a_bug_in_one_peer_is_contained(world, monkeypatch):
    """An exception that nobody expects ends that peer alone: it is counted, and everything else goes on."""
    metainfo, data = world.torrent(1 << 20)
    other, more = world.torrent(256 << 10, name="other")
    async with background() as nursery, session_on(world.host(), bugs=1) as session:
        first = await Stranger(world.host(up=100_000), metainfo.info, data).serve(nursery)
        second = await Stranger(world.host(up=100_000), metainfo.info, data).serve(nursery)
        third = await Stranger(world.host(up=50_000), other.info, more).serve(nursery)
        torrent = session.add(metainfo, peers=[first.place, second.place])
        beside = session.add(other, peers=[third.place])
        await until(lambda: torrent.stats().done)
        victim = next(peer for peer in torrent._life.swarm.peers if peer.address.port == first.port)

        got_pieces = asking.got_pieces

        def bug(peer, *blocks):
            if peer is victim:
                raise ZeroDivisionError("planted")
            got_pieces(peer, *blocks)

        monkeypatch.setattr(asking, "got_pieces", bug)
        await until(lambda: session.stats().internal_errors)
        await trio.sleep(0.1)
        assert len(torrent.peers()) == 1
        await torrent.wait_complete()
        await beside.wait_complete()


@pytest.mark.parametrize("step", ["_settle", "_start_checkers"])
@simulated()
async def test_a_bug_where_the_last_piece_is_handed_on_is_contained(world, monkeypatch, step):
    """The peer that brought it is gone, and no other piece will come: it is checked all the same."""
    metainfo, data = world.torrent(256 << 10)
    async with background() as nursery, session_on(world.host(), bugs=1) as session:
        seed = await Stranger(world.host(up=100_000), metainfo.info, data).serve(nursery)
        torrent = session.add(metainfo, peers=[seed.place])
        await until(lambda: torrent.stats().done)
        pieces = torrent._life.content.pieces
        hand_on = getattr(pieces, step)

        def bug(*arguments):
            if (
                len(pieces.picker.partials.checking) + pieces.picker.have.bit_count()
                == metainfo.info.layout.piece_count
            ):
                monkeypatch.setattr(pieces, step, hand_on)
                raise ZeroDivisionError("planted")
            hand_on(*arguments)

        monkeypatch.setattr(pieces, step, bug)
        with trio.fail_after(60):
            await torrent.wait_complete()
        assert session.stats().internal_errors == 1


@simulated()
async def test_a_bug_in_a_tick_is_contained(world, monkeypatch):
    metainfo, data = world.torrent(1 << 20)
    other, more = world.torrent(256 << 10, name="other")
    async with background() as nursery, session_on(world.host(), bugs=1) as session:
        first = await Stranger(world.host(up=100_000), metainfo.info, data).serve(nursery)
        second = await Stranger(world.host(up=100_000), metainfo.info, data).serve(nursery)
        torrent = session.add(metainfo, peers=[first.place, second.place])
        await until(lambda: torrent.stats().done)

        def bug(*_):
            raise ZeroDivisionError("planted")

        victim = next(peer for peer in torrent._life.swarm.peers if peer.address.port == first.port)
        monkeypatch.setattr(victim, "tick", bug, raising=False)
        await until(lambda: first.talk.ended)
        await torrent.wait_complete()
        third = await Stranger(world.host(), other.info, more).serve(nursery)
        await session.add(other, peers=[third.place]).wait_complete()


@simulated()
async def test_a_bug_where_the_last_peer_goes_holds_up_nobody_who_leaves(world, monkeypatch):
    """Who has everything waits for its peers' last words, and a bug may hide that the last of them is gone."""
    metainfo, data = world.torrent(256 << 10)
    machine = world.host()
    machine.put(metainfo.info, data)
    async with background() as nursery, session_on(machine, bugs=1) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        await Stranger(world.host(), metainfo.info, has=0).call(nursery, where(machine, session))
        await until(torrent.peers)
        monkeypatch.setattr(Slots, "left", once(Slots.left))
        began = trio.current_time()
        await session.remove(torrent)
        assert trio.current_time() - began <= LAST_WORDS
