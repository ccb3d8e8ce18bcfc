"""Connections that are dead and do not say so: who fetches over one gives it up, who serves over one takes its peer back.

Each with a control run in which the defence is off.
"""

import math

import pytest
import trio

from tests.strangers import Stranger, background, session_on, simulated, until, where
from torrentlite import limits
from torrentlite.limits import CALLS_AGAIN, NUDGE, REQUEST_TIMEOUT, SNUB_TIMEOUT
from torrentlite.swarm import admission, peer as peer_module
from torrentlite.wire import messages as wm


async def lose_connections(machine):
    """Its system forgets them, and nobody hears of it."""
    machine.network.plugged = False
    machine.network.reset_connections()
    await trio.sleep(1)
    machine.network.plugged = True


@pytest.mark.parametrize("defended", [True, False])
@simulated()
async def test_a_peer_that_owes_us_blocks_and_is_not_heard_of(world, monkeypatch, defended):
    """It was fast until then."""
    if not defended:
        monkeypatch.setattr(limits, "SNUB_TIMEOUT", math.inf)
    metainfo, data = world.torrent(8 << 20)
    async with background() as nursery, session_on(world.host()) as session:
        seed = await Stranger(world.host(up=50_000), metainfo.info, data).serve(nursery)
        torrent = session.add(metainfo, peers=[seed.place])
        await until(lambda: torrent.stats().downloaded)
        world.network.partition([seed.machine.network])
        await trio.sleep(SNUB_TIMEOUT - 2)
        assert len(torrent.peers()) == 1
        await trio.sleep(5)
        assert len(torrent.peers()) == (not defended)


@pytest.mark.parametrize("slow", [{"up": 100}, {"delay": SNUB_TIMEOUT + 20}])
@simulated()
async def test_a_peer_that_is_slow_stays(world, slow):
    """Its bytes drip in; or a block comes at once, but seldom: for a new connection it would begin to wait anew."""
    metainfo, data = world.torrent(64 << 10)
    async with background() as nursery, session_on(world.host()) as session:
        host = world.host(up=slow.pop("up", 100_000))
        seed = await Stranger(host, metainfo.info, data, **slow).serve(nursery)
        torrent = session.add(metainfo, peers=[seed.place])
        await torrent.wait_complete()
        assert len(seed.talks) == 1
        assert trio.current_time() > 4 * SNUB_TIMEOUT


@pytest.mark.parametrize("defended", [True, False])
@simulated()
async def test_a_seed_takes_back_who_lost_its_connection(world, monkeypatch, defended):
    """The network was gone for two minutes: the fetcher calls again at once, the seed has its old connection still."""
    if not defended:
        monkeypatch.setattr(admission, "CALLS_AGAIN", math.inf)
    metainfo, data = world.torrent(8 << 20)
    machine, seed = world.host(), world.host(up=50_000)
    seed.put(metainfo.info, data)
    async with session_on(seed) as serving, session_on(machine) as session:
        source = serving.add(metainfo)
        await source.wait_complete()
        torrent = session.add(metainfo, peers=[where(seed, serving)])
        await until(lambda: torrent.stats().downloaded)
        world.network.partition([seed.network])
        await trio.sleep(115)
        assert torrent.peers() == ()
        assert len(source.peers()) == 1, "it does not know yet"
        came = torrent.stats().downloaded
        world.network.heal()
        await trio.sleep(15)
        assert (torrent.stats().downloaded > came) is defended


@pytest.mark.parametrize("defended", [True, False])
@simulated()
async def test_a_connection_that_the_other_side_has_lost(world, monkeypatch, defended):
    """Nothing is asked of it, for its queue is full: but a keep-alive is answered with a reset."""
    if not defended:
        monkeypatch.setattr(peer_module, "NUDGE", math.inf)
    metainfo, data = world.torrent(8 << 20)
    async with background() as nursery, session_on(world.host()) as session:
        silent = {"answer": lambda request, right: None}
        seed = await Stranger(world.host(), metainfo.info, data, **silent).serve(nursery)
        session.add(metainfo, peers=[seed.place])
        await until(lambda: seed.talks and seed.talk.all(wm.Request))
        await trio.sleep(3)
        await lose_connections(seed.machine)
        await trio.sleep(NUDGE + 3)
        assert len(seed.talks) == 1 + defended, "with the next one"
        await trio.sleep(REQUEST_TIMEOUT)
        assert len(seed.talks) == 2


@pytest.mark.parametrize("defended", [True, False])
@simulated()
async def test_a_peer_that_calls_us_because_it_lost_our_call(world, monkeypatch, defended):
    """It is let in beside the old connection, and we look whether that one lives."""
    if not defended:
        monkeypatch.setattr(admission, "CALLS_AGAIN", math.inf)
    metainfo, data = world.torrent()
    machine = world.host()
    machine.put(metainfo.info, data)
    async with background() as nursery, session_on(machine) as session:
        other = Stranger(world.host(), metainfo.info, has=0, peer_id=b"-AA0001-smaller id..")
        torrent = session.add(metainfo, peers=[(await other.serve(nursery)).place])
        await until(torrent.peers)
        await trio.sleep(10)
        await lose_connections(other.machine)
        again = await other.call(nursery, where(machine, session))
        await trio.sleep(3)
        assert not again.ended
        assert [peer.incoming for peer in torrent.peers()] == ([True] if defended else [False, True])


@pytest.mark.parametrize(("silent", "same_host"), [(CALLS_AGAIN - 1, True), (CALLS_AGAIN, True), (CALLS_AGAIN, False)])
@simulated()
async def test_who_makes_way_for_the_same_peer(world, silent, same_host):
    """A silent connection, for one from the same host: somebody else may only know the peer id, and is another peer."""
    metainfo, data = world.torrent()
    machine = world.host()
    machine.put(metainfo.info, data)
    async with background() as nursery, session_on(machine) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        first = Stranger(world.host(), metainfo.info, has=0, peer_id=b"-XX0001-the same id.")
        other = first if same_host else Stranger(world.host(), metainfo.info, has=0, peer_id=first.peer_id)
        old = await first.call(nursery, where(machine, session))
        await until(torrent.peers)
        await trio.sleep(1)
        await old.say(wm.KeepAlive())
        await trio.sleep(silent)
        new = await other.call(nursery, where(machine, session))
        await trio.sleep(1)
        makes_way = same_host and silent >= CALLS_AGAIN
        assert (old.ended, new.ended) == (makes_way, same_host and not makes_way)
