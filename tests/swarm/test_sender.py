"""What waits to be sent to one peer is bounded, and small things do not wait behind big ones."""

import pytest
import trio

from tests.strangers import Stranger, background, session_on, simulated, until, where
from torrentlite.limits import OUTBOX_PART, PEER_IDLE_TIMEOUT, UPLOAD_BATCH_BLOCKS
from torrentlite.metainfo.layout import BLOCK_SIZE
from torrentlite.wire import messages as wm


async def sharing(world, *sizes, **torrent):
    metainfo, data = world.torrent(*sizes, **torrent)
    machine = world.host()
    machine.put(metainfo.info, data)
    return metainfo, data, machine


def requests(metainfo, times=1):
    layout = metainfo.info.layout
    return wm.encode_requests(
        [block for _ in range(times) for piece in range(layout.piece_count) for block in layout.blocks(piece)]
    )


@simulated()
async def test_somebody_who_asks_for_everything_and_never_reads(world):
    """Its requests are a few numbers, its data stays on the disk, and it goes when it has been silent for too long."""
    metainfo, data, machine = await sharing(world, 4 << 20)
    async with background() as nursery, session_on(machine) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        stranger = Stranger(world.host(), metainfo.info, has=0)
        talk = await stranger.dial(where(machine, session))
        await talk.greet(stranger.hello)
        await talk.say(wm.Interested())
        await until(lambda: torrent.peers() and not torrent.peers()[0].am_choking)
        await talk.say(requests(metainfo))
        await trio.sleep(10)
        (peer,) = torrent._life.swarm.peers
        assert peer.uploaded < 2 << 20, "what the network takes, no more"
        assert peer.sender.size < 1000
        assert len(peer.uploads) > 100
        honest = await Stranger(world.host(), metainfo.info, has=0).call(nursery, where(machine, session))
        await honest.say(wm.Interested())
        await honest.hear(wm.Unchoke)
        await honest.say(requests(metainfo))
        await honest.hear(wm.Piece, 256)
        await trio.sleep(200)
        assert peer not in torrent._life.swarm.peers


@pytest.mark.parametrize("reads", [True, False])
@simulated()
async def test_who_goes_on_talking_and_does_not_read(world, reads):
    """Nothing can be sent to it, and something waits: it goes. Who reads, if slowly, stays."""
    metainfo, data, machine = await sharing(world, 1 << 20)
    async with background() as nursery, session_on(machine) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        stranger = Stranger(world.host(down=5000) if reads else world.host(), metainfo.info, has=0)
        if reads:
            talk = await stranger.call(nursery, where(machine, session))
        else:
            talk = await stranger.dial(where(machine, session))
            await talk.greet(stranger.hello)
        await trio.sleep(1)
        # It is choked: as many bytes of refusals, more than the network takes.
        await talk.say(requests(metainfo, (3 << 19) // 17 // 64))
        await until(
            lambda: torrent._life.swarm.peers and next(iter(torrent._life.swarm.peers)).sender.size > 10 * OUTBOX_PART
        )
        began = trio.current_time()
        while trio.current_time() < began + 1.5 * PEER_IDLE_TIMEOUT and torrent.peers():
            await talk.say(wm.KeepAlive())
            await trio.sleep(1)
        assert bool(torrent.peers()) is reads
        if not reads:
            assert PEER_IDLE_TIMEOUT < trio.current_time() - began < PEER_IDLE_TIMEOUT + 10


@pytest.mark.parametrize("choked", [True, False])
@simulated()
async def test_a_flood_of_requests(world, choked):
    metainfo, data, machine = await sharing(world, 1 << 20, piece_length=16 << 10)
    async with background() as nursery, session_on(machine, request_queue=50, upload_limit=1_000_000) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        talk = await Stranger(world.host(), metainfo.info, has=0).call(nursery, where(machine, session))
        if not choked:
            await talk.say(wm.Interested())
            await talk.hear(wm.Unchoke)
        asked = 0
        for _ in range(20):
            await talk.say(requests(metainfo, 10))
            asked += 640
            assert all(peer.upload_queue <= 50 for peer in torrent.peers())
            await trio.sleep(0.1)
        await trio.sleep(3)
        assert not talk.ended
        answers = len(talk.all(wm.Piece)) + len(talk.all(wm.RejectRequest))
        if choked:
            assert (talk.all(wm.Piece), answers) == ([], asked)
        else:
            assert len(talk.all(wm.Piece)) < 500
            assert answers <= asked, "asking again for what waits is no new request"


@simulated()
async def test_a_flood_from_somebody_who_does_not_read_the_refusals(world, monkeypatch):
    bound = 128 << 10
    monkeypatch.setattr("torrentlite.swarm.peer.MAX_OUTBOX", bound)  # the real one takes seconds to fill
    metainfo, data, machine = await sharing(world, 1 << 20, piece_length=16 << 10)
    async with session_on(machine) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        stranger = Stranger(world.host(), metainfo.info, has=0)
        talk = await stranger.dial(where(machine, session))
        await talk.greet(stranger.hello)
        most = 0
        flood = requests(metainfo, 30)
        for _ in range(60):
            await talk.say(flood)
            await trio.sleep(0.02)
            most = max([most, *(peer.sender.size for peer in torrent._life.swarm.peers)])
            if talk.ended:
                break
        assert talk.ended
        assert bound // 2 < most <= bound + (256 << 10)


@simulated()
async def test_small_things_overtake_blocks(world):
    """With a low limit a Have does not wait for the blocks that were asked for before."""
    metainfo, data, seed = await sharing(world, 1 << 20)
    machine = world.host()
    async with background() as nursery, session_on(machine, upload_limit=5_000) as session:
        torrent = session.add(metainfo)
        part = await Stranger(world.host(), metainfo.info, data, has=0b1).serve(nursery)
        torrent.add_peer(*part.place)
        await until(lambda: torrent.stats().pieces_done == 1)
        talk = await Stranger(world.host(), metainfo.info, has=0).call(nursery, where(machine, session))
        await talk.say(wm.Interested())
        await talk.hear(wm.Unchoke)
        await talk.say(*[wm.Request(*block) for block in metainfo.info.layout.blocks(0)])
        await talk.hear(wm.Piece)
        await part.talk.say(wm.Have(1))
        await talk.hear(wm.Have)
        assert len(talk.all(wm.Piece)) <= 2
        assert torrent.peers()[1].upload_queue >= 2


@simulated()
async def test_blocks_are_read_when_their_turn_has_come(world):
    metainfo, data, machine = await sharing(world, 4 << 20)
    machine.disk.cached = False
    async with background() as nursery, session_on(machine) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        before = machine.disk.calls
        talk = await Stranger(world.host(down=100_000), metainfo.info, has=0).call(nursery, where(machine, session))
        await talk.say(wm.Interested())
        await talk.hear(wm.Unchoke)
        await talk.say(requests(metainfo))
        await talk.hear(wm.Piece, 3)
        read = (machine.disk.calls - before) * UPLOAD_BATCH_BLOCKS * BLOCK_SIZE
        assert read < 4 << 20
        await talk.say(wm.NotInterested())
        await talk.hear(wm.Choke)
        assert torrent.peers()[0].upload_queue == 0


@simulated()
async def test_choked_while_its_blocks_are_read(world):
    """After the wait for the disk the session looks again: the answer is a refusal, not data."""
    metainfo, data, machine = await sharing(world, 1 << 20)
    async with background() as nursery, session_on(machine) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        machine.disk.cached = False
        machine.disk.seek = 15
        talk = await Stranger(world.host(), metainfo.info, has=0).call(nursery, where(machine, session))
        await talk.say(wm.Interested())
        await talk.hear(wm.Unchoke)
        blocks = metainfo.info.layout.blocks(0)
        await talk.say(*[wm.Request(*block) for block in blocks])
        await trio.sleep(1)
        await talk.say(wm.NotInterested())
        await talk.hear(wm.Choke)
        await talk.hear(wm.RejectRequest, len(blocks))
        await trio.sleep(20)
        assert talk.all(wm.Piece) == []
        assert torrent.stats().uploaded == 0


@simulated()
async def test_old_clients_may_ask_for_more_than_a_block(world):
    metainfo, data, machine = await sharing(world, 1 << 20, piece_length=256 << 10)
    async with session_on(machine) as session:
        await session.add(metainfo).wait_complete()
        stranger = Stranger(world.host(), metainfo.info, has=0, fast=False, extended=False)
        talk = await stranger.dial(where(machine, session))
        await talk.greet(stranger.hello)
        await talk.say(wm.Interested(), *[wm.Request(1, begin, 128 << 10) for begin in (0, 100_000)])
        got = b""
        with trio.move_on_after(5):
            while True:
                buffer = bytearray(1 << 18)
                count = await talk.stream.receive_into(memoryview(buffer))
                got += buffer[:count]
                if got.endswith(wm.encode(wm.Unchoke())):
                    await talk.say(*[wm.Request(1, begin, 128 << 10) for begin in (0, 100_000)])
        for begin in (0, 100_000):
            start = (256 << 10) + begin
            assert wm.piece_header(1, begin, 128 << 10) + data[start : start + (128 << 10)] in got
