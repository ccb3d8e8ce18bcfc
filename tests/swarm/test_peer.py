"""One connection: what a session says, bears and answers. The other side is a script."""

import collections
from types import SimpleNamespace

import pytest
import trio

from tests.strangers import Stranger, background, session_on, simulated, until, where
from torrentlite.limits import (
    MAX_ALLOWED_FAST,
    MAX_REJECTS,
    MAX_UNWANTED_BLOCKS,
    MESSAGES_IN_A_ROW,
    REQUEST_TIMEOUT,
    SNUB_TIMEOUT,
)
from torrentlite.metainfo.layout import BLOCK_SIZE
from torrentlite.swarm import serving
from torrentlite.swarm.peer import Peer
from torrentlite.wire import messages as wm
from torrentlite.wire.peerwire import PeerWire


async def seeded(world, *sizes, **torrent):
    metainfo, data = world.torrent(*sizes, **torrent)
    machine = world.host()
    machine.put(metainfo.info, data)
    return metainfo, data, machine


# -- what it is told ---------------------------------------------------------------------------------------------------


@simulated()
async def test_the_first_words_of_a_seed(world):
    metainfo, data, machine = await seeded(world)
    async with background() as nursery, session_on(machine, request_queue=77) as session:
        await session.add(metainfo).wait_complete()
        talk = await Stranger(world.host(), metainfo.info, has=0).call(nursery, where(machine, session))
        await talk.hear(wm.ExtendedHandshake)
        first, said = talk.heard
        assert first == wm.HaveAll()
        assert talk.theirs.peer_id.startswith(b"-Tl")
        assert (talk.theirs.fast, talk.theirs.extended) == (True, True)
        assert said.metadata_size == len(metainfo.info.raw)
        assert (said.reqq, said.port, said.upload_only) == (77, session.port, True)
        assert said.your_ip == talk.stream.local.host
        assert said.client.startswith("torrentlite/")


@pytest.mark.parametrize("fast", [True, False])
@simulated()
async def test_the_first_words_of_who_has_a_part(world, fast):
    metainfo, data, seed = await seeded(world, 300_000)
    machine = world.host()
    async with background() as nursery, session_on(machine) as session:
        torrent = session.add(metainfo)
        await torrent.wait_checked()
        empty = Stranger(world.host(), metainfo.info, has=0, fast=fast, extended=False)
        talk = await empty.call(nursery, where(machine, session))
        await trio.sleep(1)
        assert talk.heard == ([wm.HaveNone()] if fast else [])
        part = await Stranger(world.host(), metainfo.info, data, has=0b101).serve(nursery)
        torrent.add_peer(*part.place)
        await talk.hear(wm.Have, 2)
        assert {message.piece for message in talk.all(wm.Have)} == {0, 2}, "who is there is told of each piece"
        other = await Stranger(world.host(), metainfo.info, has=0, fast=fast).call(nursery, where(machine, session))
        assert (await other.hear(wm.Bitfield)).data == bytes([0b10100000])
        assert other.heard[0] == wm.Bitfield(bytes([0b10100000]))


# -- serving -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fast", [True, False])
@simulated()
async def test_requests_are_answered_in_order_or_refused(world, fast):
    metainfo, data, machine = await seeded(world, 300_000, piece_length=64 << 10)
    layout = metainfo.info.layout
    async with background() as nursery, session_on(machine) as session:
        await session.add(metainfo).wait_complete()
        stranger = Stranger(world.host(), metainfo.info, has=0, fast=fast)
        talk = await stranger.call(nursery, where(machine, session))
        blocks = [block for piece in range(layout.piece_count) for block in layout.blocks(piece)]
        await talk.say(wm.Request(*blocks[0]))
        await trio.sleep(1)
        assert talk.all(wm.Piece) == []
        assert talk.all(wm.RejectRequest) == ([wm.RejectRequest(*blocks[0])] if fast else []), "it is choked"
        await talk.say(wm.Interested())
        await talk.hear(wm.Unchoke)
        odd = [
            (0, 5, 1000),
            (1, BLOCK_SIZE - 1, BLOCK_SIZE),
            (layout.piece_count - 1, layout.piece_size(layout.piece_count - 1) - 3, 3),
        ]
        await talk.say(*[wm.Request(*block) for block in [*blocks, *odd]])
        await talk.hear(wm.Piece, len(blocks) + len(odd))
        for message, block in zip(talk.all(wm.Piece), [*blocks, *odd], strict=True):
            start = layout.offset(block[0], block[1])
            assert (message.piece, message.begin) == tuple(block[:2])
            assert message.data == data[start : start + block[2]]


@simulated()
async def test_a_cancelled_request_is_refused_and_not_sent(world):
    metainfo, data, machine = await seeded(world)
    blocks = [block for piece in range(16) for block in metainfo.info.layout.blocks(piece)]
    async with background() as nursery, session_on(machine, upload_limit=50_000) as session:
        await session.add(metainfo).wait_complete()
        talk = await Stranger(world.host(), metainfo.info, has=0).call(nursery, where(machine, session))
        await talk.say(wm.Interested())
        await talk.hear(wm.Unchoke)
        await talk.say(*[wm.Request(*block) for block in blocks])
        await talk.hear(wm.Piece, 3)
        await talk.say(*[wm.Cancel(*block) for block in blocks[10:]], wm.Cancel(*blocks[0]), wm.Cancel(*blocks[50]))
        await talk.hear(wm.RejectRequest, len(blocks) - 10)
        await talk.hear(wm.Piece, 10)
        await trio.sleep(10)
        assert len(talk.all(wm.Piece)) == 10
        assert talk.all(wm.RejectRequest) == [wm.RejectRequest(*block) for block in blocks[10:]], (
            "each is answered once"
        )


@simulated()
async def test_a_choked_peer_is_told_what_will_not_come(world):
    metainfo, data, machine = await seeded(world, piece_length=16 << 10)
    blocks = [block for piece in range(64) for block in metainfo.info.layout.blocks(piece)]
    async with background() as nursery, session_on(machine, upload_limit=3_000, upload_slots=1) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        talks = []
        for _ in range(2):
            talk = await Stranger(world.host(), metainfo.info, has=0).call(nursery, where(machine, session))
            await talk.say(wm.Interested())
            talks.append(talk)
        await talks[0].hear(wm.Unchoke)
        await talks[0].say(*[wm.Request(*block) for block in blocks])
        while not talks[0].all(wm.Choke):
            for talk in talks:
                await talk.say(wm.KeepAlive())
            await trio.sleep(10)
        order = [type(message) for message in talks[0].heard if not isinstance(message, wm.Piece)]
        assert order.index(wm.Choke) < order.index(wm.RejectRequest)
        assert len(talks[0].all(wm.Piece)) + len(talks[0].all(wm.RejectRequest)) == len(blocks)


# -- fetching ----------------------------------------------------------------------------------------------------------


@simulated()
async def test_requests_keep_a_queue_filled_and_name_every_block_once(world):
    metainfo, data = world.torrent(2 << 20)
    async with background() as nursery, session_on(world.host()) as session:
        stranger = await Stranger(world.host(up=500_000, latency=0.1), metainfo.info, data).serve(nursery)
        torrent = session.add(metainfo, peers=[stranger.place])
        started = trio.current_time()
        await torrent.wait_complete()
        assert trio.current_time() - started < 1.5 * (2 << 20) / 500_000 + 1, "the line never runs dry"
        asked = [tuple(request) for request in stranger.talk.all(wm.Request)]
        assert len(asked) == len(set(asked)) == 128


@simulated()
async def test_the_other_sides_queue_length_is_kept_to(world):
    metainfo, data = world.torrent(1 << 20)
    waiting, most = 0, 0

    async def react(talk, message):
        nonlocal waiting, most
        if isinstance(message, wm.Request):
            waiting += 1
            most = max(most, waiting)
            nursery.start_soon(answer, talk, message)
            return True
        return False

    async def answer(talk, request):
        nonlocal waiting
        await trio.sleep(0.5)
        waiting -= 1
        await stranger.send_block(talk, request)

    async with background() as nursery, session_on(world.host()) as session:
        stranger = Stranger(
            world.host(), metainfo.info, data, react=react,
            opening=lambda talk: wm.encode(wm.HaveAll()) + talk.extended_handshake(reqq=3),
        )  # fmt: skip
        torrent = session.add(metainfo, peers=[(await stranger.serve(nursery)).place])
        await torrent.wait_complete()
        assert most == 3


@simulated()
async def test_who_is_silent_is_replaced_and_its_late_blocks_are_welcome(world):
    metainfo, data = world.torrent(1 << 20)
    held = []

    async def react(talk, message):
        if isinstance(message, wm.Request) and message.begin:
            held.append(message)
            return True
        return False

    async with background() as nursery, session_on(world.host()) as session:
        silent = await Stranger(world.host(), metainfo.info, data, react=react).serve(nursery)
        torrent = session.add(metainfo, peers=[silent.place])
        await until(lambda: held)
        await trio.sleep(1)
        asked = len(held)
        (peer,) = torrent._life.swarm.peers
        assert not peer.is_slow(trio.current_time(), 0.0)
        await trio.sleep(REQUEST_TIMEOUT + 5)
        assert torrent.peers()[0].queue <= 1, "one probe at most"
        assert peer.is_slow(trio.current_time(), 0.0), "it is not to hold up who is not"
        await silent.talk.say(wm.KeepAlive())  # else its connection would be taken for dead
        await trio.sleep(SNUB_TIMEOUT - 10)
        assert torrent.peers()[0].snubbed
        slow = await Stranger(world.host(up=30_000), metainfo.info, data).serve(nursery)
        torrent.add_peer(*slow.place)
        await trio.sleep(3)
        wasted = torrent.stats().wasted
        for request in held[:asked]:
            await silent.send_block(silent.talk, request)
        await trio.sleep(0.1)
        assert not peer.is_slow(trio.current_time(), 0.0)
        await torrent.wait_complete()
        assert torrent.stats().wasted - wasted < asked * BLOCK_SIZE, "most of what came late was still of use"
        assert not silent.talk.ended


@simulated()
async def test_in_the_end_several_are_asked_and_the_slow_ones_are_cancelled(world):
    metainfo, data = world.torrent(256 << 10)
    held = []

    async def react(talk, message):
        if isinstance(message, wm.Request):
            held.append(message)
            return True
        return False

    async with background() as nursery, session_on(world.host()) as session:
        silent = await Stranger(world.host(), metainfo.info, data, react=react).serve(nursery)
        torrent = session.add(metainfo, peers=[silent.place])
        await until(lambda: len(held) >= 8)
        quick = await Stranger(world.host(), metainfo.info, data).serve(nursery)
        torrent.add_peer(*quick.place)
        started = trio.current_time()
        await torrent.wait_complete()
        assert trio.current_time() - started < REQUEST_TIMEOUT / 2, "nobody waited for the time-out"
        await trio.sleep(1)
        assert set(silent.talk.all(wm.Cancel)) == {wm.Cancel(*request) for request in held}


@pytest.mark.parametrize("kind", ["unasked", "twice", "another place", "another length", "outside"])
@simulated()
async def test_blocks_that_nobody_asked_for(world, kind):
    """They are of no use and of no harm; who sends too many has to go."""
    metainfo, data = world.torrent(512 << 10)
    size = BLOCK_SIZE

    def nasty(number):
        match kind:
            case "unasked":
                return wm.piece_header(7, 3 * size, size) + bytes(size)
            case "twice":
                return b""
            case "another place":
                return wm.piece_header(number % 8, 100, size) + bytes(size)
            case "another length":
                return wm.piece_header(number % 8, 0, 100) + bytes(100)
        return wm.piece_header(number % 8, (64 << 10) + size, size) + bytes(size)

    sent = 0

    async def react(talk, message):
        nonlocal sent
        if isinstance(message, wm.Request) and message.piece != 7:
            sent += 1
            if kind == "twice":
                await honest.send_block(talk, message)
            else:
                await talk.say(nasty(sent))
            await honest.send_block(talk, message)
            return True
        return False

    async with background() as nursery, session_on(world.host()) as session:
        honest = await Stranger(world.host(), metainfo.info, data, has=0x7F).serve(nursery)
        odd = await Stranger(world.host(), metainfo.info, data, has=0x7F, react=react).serve(nursery)
        torrent = session.add(metainfo, peers=[odd.place])
        await until(lambda: torrent.stats().pieces_done == 7)
        assert sent >= 20
        assert torrent.stats().wasted > 0
        assert torrent.stats().hash_failures == 0
        assert not odd.talk.ended
        flood = b"".join(
            nasty(number) or wm.piece_header(0, 0, size) + data[:size] for number in range(MAX_UNWANTED_BLOCKS)
        )
        await odd.talk.say(flood)
        await until(lambda: odd.talk.ended)
        rest = await Stranger(world.host(), metainfo.info, data).serve(nursery)
        torrent.add_peer(*rest.place)
        await torrent.wait_complete()


@pytest.mark.parametrize("choking", [False, True])
@simulated()
async def test_who_rejects_everything_has_to_go(world, choking):
    metainfo, data = world.torrent(1 << 20)
    rejects = 0

    async def react(talk, message):
        nonlocal rejects
        if isinstance(message, wm.Request):
            rejects += 1
            if choking and rejects % 8 == 1:
                await talk.say(wm.Choke())
            await talk.say(wm.RejectRequest(*message))
            if choking and rejects % 8 == 0:
                await talk.say(wm.Unchoke())
            return True
        return False

    async with background() as nursery, session_on(world.host()) as session:
        stranger = await Stranger(world.host(), metainfo.info, data, react=react).serve(nursery)
        torrent = session.add(metainfo, peers=[stranger.place])
        if not choking:
            await until(lambda: stranger.talks and stranger.talk.ended)
            assert MAX_REJECTS < rejects <= MAX_REJECTS + 20
        else:
            await trio.sleep(5)
            assert rejects > MAX_REJECTS
        honest = await Stranger(world.host(up=100_000), metainfo.info, data).serve(nursery)
        torrent.add_peer(*honest.place)
        with trio.fail_after(60):
            await torrent.wait_complete()


@simulated()
async def test_allowed_fast_pieces_are_asked_for_while_choked(world):
    metainfo, data = world.torrent(1 << 20)
    async with background() as nursery, session_on(world.host()) as session:
        stranger = Stranger(
            world.host(), metainfo.info, data, unchokes=False,
            opening=lambda talk: wm.encode(wm.HaveAll())
            + b"".join(wm.encode(wm.AllowedFast(piece)) for piece in (3, 5, 5)),
        )  # fmt: skip
        torrent = session.add(metainfo, peers=[(await stranger.serve(nursery)).place])
        await until(lambda: torrent.stats().pieces_done == 2)
        await trio.sleep(5)
        assert torrent.pieces().have == 0b101000
        assert {request.piece for request in stranger.talk.all(wm.Request)} == {3, 5}


@pytest.mark.parametrize("offered_again", [False, True])
@simulated()
async def test_an_allowance_that_is_refused_after_all_is_not_used_again(world, offered_again):
    metainfo, data = world.torrent(1 << 20)

    async def react(talk, message):
        if isinstance(message, wm.Request):
            await talk.say(wm.RejectRequest(*message), *[wm.AllowedFast(3)] * offered_again)
        return isinstance(message, wm.Request)

    async with background() as nursery, session_on(world.host()) as session:
        stranger = Stranger(
            world.host(),
            metainfo.info,
            unchokes=False,
            react=react,
            opening=lambda talk: wm.encode(wm.HaveAll()) + wm.encode(wm.AllowedFast(3)),
        )
        torrent = session.add(metainfo, peers=[(await stranger.serve(nursery)).place])
        await until(lambda: torrent.peers())
        await trio.sleep(30)
        assert 0 < len(stranger.talk.all(wm.Request)) <= 4
        assert not stranger.talk.ended


@simulated()
async def test_allowed_fast_and_suggestions_without_end(world):
    metainfo, data = world.torrent(20_000 * 300, piece_length=16 << 10)
    async with background() as nursery, session_on(world.host()) as session:
        torrent = session.add(metainfo)
        stranger = Stranger(world.host(), metainfo.info, data, unchokes=False, answer=lambda request, right: None)
        torrent.add_peer(*(await stranger.serve(nursery)).place)
        await until(lambda: torrent.peers())
        for piece in range(metainfo.info.layout.piece_count):
            await stranger.talk.say(wm.AllowedFast(piece), wm.SuggestPiece(piece))
        await trio.sleep(30)
        (peer,) = torrent._life.swarm.peers
        assert peer.allowed_fast.bit_count() == MAX_ALLOWED_FAST
        assert not stranger.talk.ended


@pytest.mark.parametrize("message", [wm.Have(1), wm.Request(1, 0, 16384), wm.KeepAlive()])
async def test_others_have_their_turn_in_a_flood_of_small_messages(message, autojump_clock, monkeypatch):
    """What a connection receives may be there at once, several times in a row: it takes no turn for that."""
    flood = memoryview(wm.encode(message) * 20_000)
    steps = 0

    class Flood:
        async def receive_into(self, buffer):
            nonlocal flood
            count = min(len(buffer), len(flood))
            buffer[:count] = flood[:count]
            flood = flood[count:]
            return count

    class Steps(trio.abc.Instrument):
        def before_task_step(self, task):
            nonlocal steps
            steps += 1

    handled = collections.Counter()

    def got(*args):
        handled[steps] += len(args[-1]) if isinstance(message, wm.Request) else 1

    def nothing(*args):
        pass

    monkeypatch.setattr(serving, "got_requests", got)
    peer = SimpleNamespace(
        wire=PeerWire(fast=True, extended=True, piece_count=9), stream=Flood(), _HANDLERS={type(message): got},
        peer_choking=True, allowed_fast=0, _check_outbox=nothing, close=nothing,
        swarm=SimpleNamespace(commons=SimpleNamespace(heard_at=0.0)),
    )  # fmt: skip
    trio.lowlevel.add_instrument(Steps())
    await Peer._read(peer)
    assert handled.total() == 20_000
    # Requests are dealt with together, all that came in one receive.
    one_receive = (256 << 10) // len(wm.encode(message)) + 1 if isinstance(message, wm.Request) else 0
    assert max(handled.values()) <= MESSAGES_IN_A_ROW + one_receive


@simulated()
async def test_choke_without_the_fast_extension_takes_all_requests_back(world):
    metainfo, data = world.torrent(512 << 10)
    rounds = 0

    async def react(talk, message):
        nonlocal rounds
        if isinstance(message, wm.Request) and rounds < 3:
            if len(talk.all(wm.Request)) % 8 == 0:
                rounds += 1
                await talk.say(wm.Choke())
                await trio.sleep(1)
                assert torrent.peers()[0].queue == 0
                await talk.say(wm.Unchoke())
            return True
        return False

    async with background() as nursery, session_on(world.host()) as session:
        stranger = await Stranger(world.host(), metainfo.info, data, react=react, fast=False).serve(nursery)
        torrent = session.add(metainfo, peers=[stranger.place])
        await torrent.wait_complete()
        assert rounds == 3


@simulated()
async def test_interest_follows_what_the_other_has(world):
    metainfo, data = world.torrent(320 << 10)
    async with background() as nursery, session_on(world.host()) as session:
        torrent = session.add(metainfo)
        stranger = await Stranger(world.host(), metainfo.info, data, has=0).serve(nursery)
        torrent.add_peer(*stranger.place)
        await until(lambda: torrent.peers())
        await trio.sleep(3)
        assert not torrent.peers()[0].am_interested
        stranger.has = 0b11
        await stranger.talk.say(wm.Have(0), wm.Have(0), wm.Have(1))
        await until(lambda: torrent.stats().pieces_done == 2)
        await trio.sleep(3)
        assert not torrent.peers()[0].am_interested
        await stranger.talk.say(wm.Have(2), wm.Have(3))
        await until(lambda: torrent.stats().pieces_done == 4)
        await trio.sleep(3)
        kinds = [type(m) for m in stranger.talk.heard if isinstance(m, wm.Interested | wm.NotInterested)]
        assert kinds == [wm.Interested, wm.NotInterested] * 2
