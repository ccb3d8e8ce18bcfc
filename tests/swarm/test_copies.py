"""Who else has everything: told from what peers say while we have it, each counted once."""

import functools

import pytest
import trio

from tests.strangers import Stranger, background, session_on, simulated, until, where
from torrentlite import CacheStorage
from torrentlite.errors import TorrentRemovedError
from torrentlite.limits import LAST_WORDS, MAX_COPIES
from torrentlite.wire import bitfield, messages as wm

PIECES = 16


@pytest.fixture(params=[False, True], ids=["seeds part", "seeds stay"])
def stays(request):
    return request.param


async def seeding(world):
    metainfo, data = world.torrent(1 << 20, piece_length=(1 << 20) // PIECES)
    machine = world.host()
    machine.put(metainfo.info, data)
    return metainfo, data, machine


@simulated()
async def test_who_fetches_it_all_is_counted_also_when_it_leaves_at_once(world, stays):
    metainfo, _, machine = await seeding(world)
    async with session_on(machine, seed_to_seeds=stays) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        for count in range(1, 8):
            async with session_on(world.host()) as other:
                await other.add(metainfo, peers=[where(machine, session)]).wait_complete()
            with trio.fail_after(2 * LAST_WORDS):
                await torrent.wait_copies(count)
            assert torrent.stats().copies == count


@simulated()
async def test_what_is_said_in_each_way_counts_and_a_part_does_not(world, stays):
    metainfo, data, machine = await seeding(world)
    everything = bitfield.full(PIECES)
    async with background() as nursery, session_on(machine, seed_to_seeds=stays) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()

        async def peer(*said, **kinds):
            stranger = Stranger(world.host(), metainfo.info, data, **kinds)
            talk = await stranger.call(nursery, where(machine, session))
            await talk.say(*said)
            await trio.sleep(2)
            return torrent.stats().copies

        assert await peer(has=everything >> 1) == 0
        # BEP 21: who wants no more, and has not all.
        assert await peer(has=everything >> 1, opening=lambda talk: talk.extended_handshake(upload_only=True)) == 0
        assert await peer(has=everything) == 1
        assert await peer(has=everything, extended=False) == 2
        assert await peer(opening=lambda talk: wm.encode(wm.HaveAll())) == 3
        assert await peer(*map(wm.Have, range(PIECES)), has=0) == 4
        assert await peer(wm.Bitfield(bitfield.to_wire(everything, PIECES)), has=0) == 5  # as aria2 does


@simulated()
async def test_who_comes_back_is_not_counted_again(world, stays):
    metainfo, data, machine = await seeding(world)
    here, there = world.host(), world.host()
    ids = {letter: b"-XX0001-" + letter * 12 for letter in (b"a", b"b", b"c")}

    async with background() as nursery, session_on(machine, seed_to_seeds=stays) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()

        async def come(home, name, port):
            def opening(talk):
                return wm.encode(wm.HaveAll()) + talk.extended_handshake(port=port)

            stranger = Stranger(home, metainfo.info, data, peer_id=ids[name], opening=opening)
            talk = await stranger.call(nursery, where(machine, session))
            await trio.sleep(2)
            talk.stream.close()
            await trio.sleep(1)
            return torrent.stats().copies

        assert await come(here, b"a", 7000) == 1
        assert await come(here, b"a", 7000) == 1
        assert await come(there, b"a", 7000) == 1, "it has two addresses"
        assert await come(here, b"b", 7000) == 1, "its program was started anew"
        assert await come(here, b"b", 7001) == 2, "two behind one router"
        assert await come(there, b"c", 7000) == 3


@simulated()
async def test_one_program_by_ipv4_and_by_ipv6_is_one_also_with_an_id_for_each_connection(world, stays):
    """As libtorrent's are. Of two programs that look the same in all of this, one is not counted: rather one too few."""
    metainfo, data, _ = await seeding(world)
    machine, home = world.host("12.0.0.1", "2400::1"), world.host("12.0.1.1", "2400:1::1")
    machine.put(metainfo.info, data)
    async with background() as nursery, session_on(machine, seed_to_seeds=stays) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()

        async def come(host, name, port):
            def opening(talk):
                return wm.encode(wm.HaveAll()) + talk.extended_handshake(port=port)

            peer_id = name + home.secret(12)
            await Stranger(home, metainfo.info, peer_id=peer_id, opening=opening).call(nursery, (host, session.port))
            await trio.sleep(2)
            return torrent.stats().copies

        assert await come("2400::1", b"-LT2110-", 7000) == 1
        assert await come("12.0.0.1", b"-LT2110-", 7000) == 1
        assert await come("12.0.0.1", b"-LT2110-", 7001) == 2, "another, on the same machine"
        assert await come("2400::1", b"-TR3000-", 7001) == 3, "a program of another kind"


@simulated()
async def test_a_copy_counts_only_while_we_have_everything(world):
    """Where it came from counts where it is still there then, or comes back; before that nobody asks."""
    metainfo, data = world.torrent(1 << 20)
    machine = world.host()
    async with background() as nursery, session_on(machine) as session:
        torrent = session.add(metainfo)
        await torrent.wait_checked()
        passing = Stranger(world.host(), metainfo.info, data, unchokes=False)
        talk = await passing.call(nursery, where(machine, session))
        await until(lambda: torrent.stats().seeds)
        talk.stream.close()
        await trio.sleep(2)
        assert torrent.stats().copies == 0
        stays = await Stranger(world.host(), metainfo.info, data).serve(nursery)
        torrent.add_peer(*stays.place)
        await torrent.wait_complete()
        await trio.sleep(2)
        assert torrent.stats().copies == 1


@simulated()
async def test_waits_end_as_others_do(world):
    metainfo, _, machine = await seeding(world)
    async with session_on(machine) as session:
        torrent = session.add(metainfo)
        for count in (0, -1, MAX_COPIES + 1):
            with pytest.raises(ValueError, match=r"between 1 and 10,000"):
                await torrent.wait_copies(count)
        with trio.move_on_after(1000) as scope:
            await torrent.wait_copies(MAX_COPIES)
        assert scope.cancelled_caught
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def wait():
                with pytest.raises(TorrentRemovedError):
                    await torrent.wait_copies()

            await trio.sleep(1)
            await session.remove(torrent)


@simulated()
async def test_liars_fill_no_memory(world, monkeypatch):
    monkeypatch.setattr("torrentlite.swarm.copies.MAX_COPIES", 3)
    metainfo, data, machine = await seeding(world)
    async with background() as nursery, session_on(machine) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        liar = world.host()
        for _ in range(6):
            await Stranger(liar, metainfo.info, data).call(nursery, where(machine, session))
            await trio.sleep(1)
        assert torrent.stats().copies == 3
        copies = torrent._life.swarm.copies
        assert len(copies._ids) == 3
        assert len(copies._homes) <= 3


@pytest.mark.parametrize(
    ("brought", "asked", "waits", "copies"),
    [
        (0, range(PIECES), True, 1),
        (0, range(PIECES), False, 0),  # it leaves before it has what it asked for
        (0, range(1, PIECES), True, 0),
        (0b1111, range(4, PIECES), True, 1),
        (0b1111, range(5, PIECES), True, 0),
        (bitfield.full(PIECES) >> 1, range(0), True, 0),
    ],
)
@simulated()
async def test_who_took_all_that_it_lacked_need_not_say_so(world, brought, asked, waits, copies):
    """As Transmission, which parts from seeds with its last Haves unsaid."""
    metainfo, data, machine = await seeding(world)
    async with background() as nursery, session_on(machine) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        talk = await Stranger(world.host(), metainfo.info, data, has=brought).call(nursery, where(machine, session))
        await talk.say(wm.Interested())
        await talk.hear(wm.Unchoke)
        blocks = [block for piece in asked for block in metainfo.info.layout.blocks(piece)]
        await talk.say(*[wm.Request(*block) for block in blocks])
        if waits and blocks:
            await talk.hear(wm.Piece, len(blocks))
        await trio.sleep(2 * waits)
        assert torrent.stats().copies == 0, "while it is here it may yet tell"
        talk.stream.close()
        await trio.sleep(1)
        assert torrent.stats().copies == copies


@simulated()
async def test_who_asks_for_something_again_has_not_got_it(world):
    """Its piece was wrong: so much was sent, and it leaves without all of it."""
    metainfo, data, machine = await seeding(world)
    async with background() as nursery, session_on(machine) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        talk = await Stranger(world.host(), metainfo.info, data, has=0).call(nursery, where(machine, session))
        await talk.say(wm.Interested())
        await talk.hear(wm.Unchoke)
        blocks = [block for piece in range(PIECES) for block in metainfo.info.layout.blocks(piece)]
        await talk.say(*[wm.Request(*block) for block in blocks])
        await talk.hear(wm.Piece, len(blocks))
        torrent.set_limits(upload=1)
        await talk.say(*[wm.Request(*block) for block in blocks[:3]])
        await talk.hear(wm.Piece, len(blocks) + 1)
        assert torrent.peers()[0].upload_queue == 2
        talk.stream.close()
        await until(lambda: not torrent.peers())
        assert torrent.stats().copies == 0


@pytest.mark.parametrize("end", ["it breaks off", "its cable is pulled", "we leave"])
@simulated()
async def test_what_was_sent_and_perhaps_never_arrived_is_no_copy(world, end):
    metainfo, data, machine = await seeding(world)
    home = world.host(down=100_000)
    async with background() as nursery, session_on(machine) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        talk = await Stranger(home, metainfo.info, data, has=0).call(nursery, where(machine, session))
        await talk.say(wm.Interested())
        await talk.hear(wm.Unchoke)
        blocks = [block for piece in range(PIECES) for block in metainfo.info.layout.blocks(piece)]
        await talk.say(*[wm.Request(*block) for block in blocks])
        await until(lambda: torrent.stats().uploaded == len(data))
        assert len(talk.all(wm.Piece)) < len(blocks), "the rest is on its way"
        match end:
            case "it breaks off":
                talk.stream.reset()
            case "its cable is pulled":
                home.network.plugged = False
            case "we leave":
                await session.remove(torrent)
        await until(lambda: not torrent.peers(), within=200)
        assert torrent.stats().copies == 0


@simulated()
async def test_who_reads_it_all_and_keeps_little_has_no_copy(world):
    """A cache in place of files (BEP 54), as one has who only looks at it."""
    metainfo, data, machine = await seeding(world)
    cache = functools.partial(CacheStorage, limit=len(data) // 2)
    async with session_on(machine) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        async with session_on(world.host()) as other:
            watched = other.add(metainfo, storage=cache, peers=[where(machine, session)])
            async with watched.open() as file:
                assert await file.read() == data
        await until(lambda: not torrent.peers())
        assert torrent.stats().uploaded >= len(data)
        assert torrent.stats().copies == 0
