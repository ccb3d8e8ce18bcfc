"""Torrents of v2 (BEP 52) in a swarm: pieces that end with their files, and a magnet whose hashes come from peers."""

import functools

import pytest
import trio

import torrentlite as tl
from tests.strangers import Stranger, background, session_on, simulated, spoil, until, where, without_hashes
from tests.swarm.test_webseeds import files_of
from torrentlite.limits import ANSWERS_AT_ONCE, MAX_HASH_REQUESTS, METADATA_TIMEOUT
from torrentlite.metainfo import merkle
from torrentlite.swarm.hashserving import HashServer
from torrentlite.wire import bitfield, messages as wm
from torrentlite.wire.address import Address, Scope

PIECE = 64 << 10
SIZES = 300_000, 5, 100_000, 0, PIECE, 3 * PIECE + 1


def made(world, *sizes, **torrent):
    metainfo, data = world.torrent(*(sizes or SIZES), version="v2", **torrent)
    seed = world.host()
    seed.put(metainfo.info, data)
    return metainfo, data, seed


@simulated()
async def test_files_are_fetched_and_nothing_of_their_gaps(world):
    metainfo, data, seed = made(world)
    middle, last = world.host(), world.host()
    async with session_on(seed) as sharing, session_on(middle) as one, session_on(last) as other:
        sharing.add(metainfo)
        first = one.add(metainfo, peers=[where(seed, sharing)])
        second = other.add(metainfo, peers=[where(middle, one), where(seed, sharing)])
        for torrent, machine in ((first, middle), (second, last)):
            await torrent.wait_complete()
            assert machine.disk.storage(metainfo.info).content() == data
            stats = torrent.stats()
            assert (stats.done, stats.total, stats.downloaded - stats.wasted) == (sum(SIZES),) * 3
            assert [file.done for file in torrent.files()] == [file.size for file in torrent.files()]
        assert torrent.info_hash == metainfo.info_hash == metainfo.hashes.v2.hex()


@simulated()
async def test_from_link_to_files(world):
    metainfo, data, seed = made(world)
    machine, last = world.host(), world.host()
    async with session_on(machine) as session, session_on(last) as other:
        async with session_on(seed) as sharing:
            sharing.add(metainfo)
            torrent = session.add(metainfo.magnet, peers=[where(seed, sharing)])
            async with torrent.events() as events:
                assert (await torrent.wait_metadata()).info.pieces == metainfo.info.pieces
                await torrent.wait_complete()
                kinds = []
                async for event in events:
                    kinds.append(type(event))
                    if isinstance(event, tl.Completed):
                        break
            assert kinds.count(tl.MetadataReceived) == 1
        assert machine.disk.storage(metainfo.info).content() == data
        assert torrent.magnet == metainfo.magnet
        assert torrent.metainfo.encode() == metainfo.encode()
        # Who has them from a peer gives them on.
        second = other.add(metainfo.info_hash, peers=[where(machine, session)])
        await second.wait_complete()
        assert last.disk.storage(metainfo.info).content() == data


@simulated()
async def test_who_lies_about_hashes_is_banned_and_the_others_go_on(world):
    metainfo, data, seed = made(world, 2000 * 16_384, piece_length=16_384)

    async def lie(talk, message):
        if isinstance(message, wm.HashRequest):
            answer = wm.Hashes(message.root, message.base, message.index, message.length, message.proofs, b"h" * 16_448)
            await talk.say(answer)
        return isinstance(message, wm.HashRequest)

    async with background() as nursery, session_on(world.host()) as session, session_on(seed) as sharing:
        sharing.add(metainfo)
        liar = await Stranger(world.host(), metainfo.info, data, react=lie).serve(nursery)
        torrent = session.add(metainfo.magnet, peers=[liar.place])
        with pytest.raises(trio.TooSlowError), trio.fail_after(30):
            await torrent.wait_metadata()
        assert liar.talk.ended
        again = len(liar.talks)
        torrent.add_peer(*liar.place)
        await trio.sleep(30)
        assert len(liar.talks) == again
        torrent.add_peer(*where(seed, sharing))
        await torrent.wait_complete()


async def refuse(talk, message):
    """Who gives no hashes, and says so."""
    if isinstance(message, wm.HashRequest):
        await talk.say(message.refusal)
    return isinstance(message, wm.HashRequest)


@pytest.mark.parametrize("react", [without_hashes, refuse])
@simulated()
async def test_who_gives_no_hashes_holds_nobody_up(world, react):
    metainfo, data, seed = made(world)

    async with background() as nursery, session_on(world.host()) as session, session_on(seed) as sharing:
        sharing.add(metainfo)
        others = [await Stranger(world.host(), metainfo.info, data, react=react).serve(nursery) for _ in range(5)]
        torrent = session.add(metainfo.magnet, peers=[other.place for other in others])
        await until(lambda: all(other.talks and other.talk.all(wm.HashRequest) for other in others[:1]))
        torrent.add_peer(*where(seed, sharing))
        with trio.fail_after(METADATA_TIMEOUT):
            await torrent.wait_metadata()


@simulated()
async def test_a_pause_between_metadata_and_hashes(world):
    metainfo, data, seed = made(world)

    async with background() as nursery, session_on(world.host()) as session, session_on(seed) as sharing:
        sharing.add(metainfo)
        silent = await Stranger(world.host(), metainfo.info, data, react=without_hashes).serve(nursery)
        torrent = session.add(metainfo.magnet, peers=[silent.place])
        await until(lambda: silent.talks and silent.talk.all(wm.HashRequest))
        assert torrent.state is tl.State.METADATA
        assert torrent.metainfo is None
        torrent.pause()
        await silent.talk.wait_ended()
        torrent.resume()
        assert torrent.state is tl.State.METADATA
        torrent.add_peer(*where(seed, sharing))
        await torrent.wait_complete()
        asked = [message for talk in silent.talks for message in talk.all(wm.MetadataRequest)]
        assert len(asked) == 1, "the metadata is not fetched twice"


@simulated()
async def test_the_files_of_a_magnet_are_known_before_its_hashes(world):
    metainfo, data, seed = made(world)
    async with background() as nursery, session_on(world.host()) as session, session_on(seed) as sharing:
        sharing.add(metainfo)
        silent = await Stranger(world.host(), metainfo.info, data, react=without_hashes).serve(nursery)
        torrent = session.add(metainfo.magnet, peers=[silent.place])
        with trio.fail_after(5):
            info = await torrent.wait_info()
        assert (info, info.files, info.lacks_layers) == (metainfo.info, metainfo.files, True)
        assert (torrent.metainfo, torrent.state, torrent.name) == (None, tl.State.METADATA, metainfo.name)
        with trio.move_on_after(60) as waiting:
            await torrent.wait_metadata()
        assert waiting.cancelled_caught
        assert torrent.why().message.startswith("no hashes of the pieces from 1 peer for ")
        torrent.pause()
        assert await torrent.wait_info() is info
        torrent.resume()
        torrent.add_peer(*where(seed, sharing))
        hashed = (await torrent.wait_metadata()).info
        assert await torrent.wait_info() is hashed
        assert hashed.pieces == metainfo.info.pieces


@simulated()
async def test_what_is_selected_before_the_hashes_are_here(world):
    metainfo, data, seed = made(world)
    async with background() as nursery, session_on(world.host()) as session, session_on(seed) as sharing:
        sharing.add(metainfo)
        silent = await Stranger(world.host(), metainfo.info, data, react=without_hashes).serve(nursery)
        torrent = session.add(metainfo.magnet, peers=[silent.place])
        info = await torrent.wait_info()
        torrent.select_files(["1.bin", info.wanted_files[2]])
        for wrong in "nothing.bin", len(info.files):
            with pytest.raises(tl.NoSuchFileError, match="made-up has no file "):
                torrent.select_files([wrong])
        torrent.add_peer(*where(seed, sharing))
        await torrent.wait_complete()
        assert [file.wanted for file in torrent.files()] == [False, True, True, False, False, False]
        stats = torrent.stats()
        assert stats.downloaded - stats.wasted == stats.total == SIZES[1] + SIZES[2]


@pytest.mark.parametrize("how", ["added", "selected", "linked"])
@simulated()
async def test_files_that_are_not_there_are_told_of_before_the_hashes(world, how):
    metainfo, data, seed = made(world)
    link = metainfo.magnet + "&so=77" * (how == "linked")
    async with background() as nursery, session_on(world.host()) as session, session_on(seed) as sharing:
        sharing.add(metainfo)
        silent = await Stranger(world.host(), metainfo.info, data, react=without_hashes).serve(nursery)
        torrent = session.add(link, peers=[silent.place], select=["nosuch.bin"] if how == "added" else None)
        if how == "selected":
            torrent.select_files([1, 77])
        for _ in range(2):
            for wait in (torrent.wait_metadata, torrent.wait_complete):
                with trio.fail_after(5), pytest.raises(tl.NoSuchFileError, match="no file|none of the files"):
                    await wait()
            assert torrent.state is tl.State.ERROR
            assert (await torrent.wait_info()).lacks_layers, "it shows those that are"
            torrent.resume()
        assert not silent.talk.all(wm.HashRequest)
        torrent.select_files(["1.bin"])
        torrent.resume()
        torrent.add_peer(*where(seed, sharing))
        await torrent.wait_complete()
        assert torrent.stats().total == SIZES[1]


@simulated()
async def test_what_is_to_be_read_first_has_to_be_there_before_the_hashes_are(world):
    metainfo, data, seed = made(world)
    async with background() as nursery, session_on(world.host()) as session, session_on(seed) as sharing:
        sharing.add(metainfo)
        silent = await Stranger(world.host(), metainfo.info, data, react=without_hashes).serve(nursery)
        torrent = session.add(metainfo.magnet, peers=[silent.place])
        torrent.prioritize("1.bin", 1)
        with trio.fail_after(5), pytest.raises(tl.NoSuchFileError):  # it waits for no more than the metadata
            await torrent.open("nosuch.bin").__aenter__()
        with pytest.raises(tl.NoSuchFileError):
            torrent.prioritize("nosuch.bin")
        with pytest.raises(ValueError, match="no range of pieces"):
            torrent.prioritize(range(metainfo.info.layout.piece_count + 1))
        for wrong in "nosuch.bin", None, 77:
            with trio.fail_after(5), pytest.raises(tl.NoSuchFileError):
                await torrent.open(wrong).__aenter__()
        torrent.prioritize("1.bin", 2)
        torrent.add_peer(*where(seed, sharing))
        async with torrent.open("2.bin") as file:
            assert await file.read() == data[metainfo.files[file.file].offset :][: SIZES[2]]
        first = metainfo.info.wanted_files[1]
        assert torrent._life.reading._levels == {2: bitfield.span(metainfo.info.layout.pieces_of_file(first))}


@simulated()
async def test_who_has_just_given_the_metadata_is_not_blamed(world):
    metainfo, data, _ = made(world)
    async with background() as nursery, session_on(world.host()) as session:
        silent = await Stranger(world.host(), metainfo.info, data, react=without_hashes).serve(nursery)
        torrent = session.add(metainfo.magnet)
        await trio.sleep(300)
        torrent.add_peer(*silent.place)
        await torrent.wait_info()
        assert torrent.why().message == "fetching the hashes of the pieces", "not that none came for 5 min"


@simulated()
async def test_nothing_is_fetched_or_checked_without_hashes_of_pieces(world):
    """All data would be wrong, and whoever sends it a liar."""
    metainfo, _, _ = made(world)
    lacking = tl.Metainfo(tl.Info.from_bytes(metainfo.info.raw))
    async with session_on(world.host()) as session:
        with pytest.raises(tl.MetainfoError, match="lacks its piece layers"):
            session.add(lacking)
        assert session.torrents == ()
    for use in tl.verify, tl.fetch:
        with pytest.raises(tl.MetainfoError, match="lacks its piece layers"):
            await use(lacking, "/nowhere")


@pytest.mark.parametrize("version", ["v1", "hybrid", "v2"])
@simulated()
async def test_of_a_torrent_that_was_added_all_is_known_at_once(world, version):
    metainfo, _ = world.torrent(*SIZES, version=version)
    async with session_on(world.host()) as session:
        torrent = session.add(metainfo, paused=True)
        now = trio.current_time()
        assert await torrent.wait_info() is metainfo.info
        assert trio.current_time() == now
        with trio.CancelScope() as scope:
            scope.cancel()
            await torrent.wait_info()
        assert scope.cancelled_caught, "every wait is a checkpoint"


@simulated()
async def test_a_private_magnet_keeps_to_its_tracker_before_it_has_hashes(world):
    metainfo, data, _ = made(world, private=True)

    async with background() as nursery, session_on(world.host()) as session:
        chosen = await Stranger(world.host(), metainfo.info, data, react=without_hashes).serve(nursery)
        other = await Stranger(world.host(), metainfo.info, data, react=without_hashes, metadata=None).serve(nursery)
        torrent = session.add(metainfo.magnet, peers=[chosen.place])
        torrent._life.finding.peers_found((Address(*other.place),), "pex", Scope.LOOPBACK)
        assert session._commons.lsd._wanted, "nobody knows yet"
        await until(lambda: chosen.talks and chosen.talk.all(wm.HashRequest))
        assert torrent.metainfo is None
        await until(lambda: not other.talks or other.talk.ended)
        assert not chosen.talk.ended
        assert not session._commons.lsd._wanted


@simulated()
async def test_wrong_pieces_and_who_sent_them(world):
    metainfo, data, seed = made(world)
    async with background() as nursery, session_on(world.host()) as session, session_on(seed) as sharing:
        sharing.add(metainfo)
        spoiler = Stranger(world.host(), metainfo.info, data, answer=lambda request, right: spoil(right))
        await spoiler.serve(nursery)
        torrent = session.add(metainfo, peers=[spoiler.place, where(seed, sharing)])
        await torrent.wait_complete()
        assert spoiler.spoiled
        assert torrent.stats().hash_failures
        await until(lambda: spoiler.talk.ended)


@pytest.mark.parametrize("storage", [tl.MemoryStorage, functools.partial(tl.CacheStorage, limit=8 * PIECE)])
@simulated()
async def test_reading_across_the_files(world, storage):
    metainfo, data, seed = made(world)
    async with session_on(seed) as sharing, session_on(world.host()) as session:
        sharing.add(metainfo)
        torrent = session.add(metainfo.magnet, storage=storage, peers=[where(seed, sharing)])
        await torrent.wait_metadata()
        for index in metainfo.info.wanted_files:
            entry = metainfo.files[index]
            async with torrent.open(index) as file:
                assert await file.read() == data[entry.offset : entry.offset + entry.length]


@simulated()
async def test_only_wanted_files_are_fetched(world):
    metainfo, data, seed = made(world)
    async with session_on(seed) as sharing, session_on(world.host()) as session:
        sharing.add(metainfo)
        torrent = session.add(metainfo, peers=[where(seed, sharing)], select=["made-up/0.bin", "made-up/1.bin"])
        await torrent.wait_complete()
        assert torrent.stats().downloaded == sum(SIZES[:2]), "no piece holds bytes of a neighbour"
        torrent.select_files(None)
        await torrent.wait_complete()
        assert torrent.stats().downloaded == sum(SIZES)


@simulated()
async def test_web_seeds(world):
    """Ranges end with their files: nothing is asked for that lies between two."""
    metainfo, data, _ = made(world)
    server = world.web_server(files_of(metainfo, data))
    machine = world.host()
    async with session_on(machine) as session:
        torrent = session.add(metainfo, web_seeds=[server.url])
        with trio.fail_after(60):
            await torrent.wait_complete()
        assert machine.disk.storage(metainfo.info).content() == data
        stats = torrent.stats()
        assert (stats.downloaded, stats.wasted, server.sent) == (sum(SIZES), 0, sum(SIZES))


# -- who asks us -------------------------------------------------------------------------------------------------------


async def asker(world, nursery, sharing, seed, metainfo):
    """Somebody connected to the seed, who may ask for blocks."""
    stranger = Stranger(world.host(), metainfo.info, b"", has=0)
    return await stranger.call(nursery, where(seed, sharing))


@simulated()
async def test_hashes_of_blocks_for_who_may_ask_for_them(world):
    metainfo, data, seed = made(world)
    async with background() as nursery, session_on(seed) as sharing:
        await sharing.add(metainfo).wait_complete()
        talk = await asker(world, nursery, sharing, seed, metainfo)
        root = next(iter(metainfo.info.layers_needed))
        piece = metainfo.info.first_piece(root)
        request = wm.HashRequest(root, 0, 0, 4, 4)
        await talk.say(request)
        assert await talk.hear(wm.HashReject) == request.refusal, "choked"
        await talk.say(wm.Interested())
        await talk.hear(wm.Unchoke)
        await talk.say(request)
        answer = await talk.hear(wm.Hashes)
        start = metainfo.info.layout.offset(piece)
        assert answer.hashes[:128] == merkle.leaves(data[start : start + 4 * 16_384])


@simulated()
async def test_hash_requests_that_make_no_sense_are_refused(world):
    metainfo, _, seed = made(world)
    v1, data = world.torrent(300_000, name="of v1")
    seed.put(v1.info, data)
    async with background() as nursery, session_on(seed) as sharing:
        for each in (metainfo, v1):
            await sharing.add(each).wait_complete()
            talk = await asker(world, nursery, sharing, seed, each)
            asked = [wm.HashRequest(b"r" * 32, 2, 0, 2, 0), wm.HashRequest(b"r" * 32, 0, 2**32 - 2, 512, 2**32 - 1)]
            await talk.say(*asked)
            await talk.hear(wm.HashReject, 2)
            assert talk.all(wm.HashReject) == [request.refusal for request in asked]
            await talk.say(wm.Hashes(b"r" * 32, 0, 0, 2, 0, bytes(64)), wm.HashReject(b"r" * 32, 0, 0, 2, 0))
            await trio.sleep(1)
            assert not talk.ended, "nobody asked, and nothing came of it"


@simulated()
async def test_a_flood_of_hash_requests(world):
    metainfo, _, seed = made(world)
    async with background() as nursery, session_on(seed) as sharing:
        torrent = sharing.add(metainfo)
        await torrent.wait_complete()
        talk = await asker(world, nursery, sharing, seed, metainfo)
        root, count = next(iter(metainfo.info.layers_needed.items()))
        request = wm.HashRequest(root, 2, 0, 1 << merkle.height(count), 0)
        for _ in range(MAX_HASH_REQUESTS // 128 + 6):
            await talk.say(wm.encode(request) * 128)
            await trio.sleep(0.5)
        await until(lambda: len(talk.all(wm.HashReject)) >= 256)
        assert len(talk.all(wm.Hashes)) <= MAX_HASH_REQUESTS + 100
        assert not talk.ended


@simulated()
async def test_without_a_free_thread_hashes_are_refused(world):
    metainfo, _, seed = made(world, 65 * 16_384, piece_length=16_384)
    async with background() as nursery, session_on(seed) as sharing:
        await sharing.add(metainfo).wait_complete()
        talk = await asker(world, nursery, sharing, seed, metainfo)

        async def none_is_free(*args, **kwargs):
            raise tl.DiskTroubleError("no thread is free")

        seed.offload.run = none_is_free
        root, count = next(iter(metainfo.info.layers_needed.items()))
        await talk.say(wm.HashRequest(root, 0, 0, 1 << merkle.height(count), 0))
        await talk.hear(wm.HashReject)
        del seed.offload.run
        await talk.say(wm.HashRequest(root, 0, 0, 1 << merkle.height(count), 0))
        await talk.hear(wm.Hashes)


@simulated()
async def test_hashes_that_come_slowly_are_progress(world):
    metainfo, data, _ = made(world, *[2 * 16_384] * 40, piece_length=16_384)

    async def slowly(talk, message):
        if isinstance(message, wm.HashRequest):
            await trio.sleep(3)
        return False

    async with background() as nursery, session_on(world.host()) as session:
        slow = await Stranger(world.host(), metainfo.info, data, react=slowly).serve(nursery)
        torrent = session.add(metainfo.magnet, peers=[slow.place])
        await until(lambda: slow.talks and slow.talk.all(wm.HashRequest))
        seen = []
        while torrent.state is tl.State.METADATA:
            stats, why = torrent.stats(), torrent.why()
            seen.append(stats.metadata_done)
            assert stats.metadata_total == len(metainfo.info.raw) + 40 * 2 * 32
            assert (why.reason, why.message) == (tl.Reason.FINE, "fetching the hashes of the pieces")
            await trio.sleep(1)
        assert len(seen) > 60
        assert seen == sorted(seen)
        assert len(set(seen)) > 30


@simulated()
async def test_who_refuses_all_hashes_is_why_it_stands_still(world):
    metainfo, data, _ = made(world)

    async with background() as nursery, session_on(world.host()) as session:
        stranger = await Stranger(world.host(), metainfo.info, data, react=refuse).serve(nursery)
        torrent = session.add(metainfo.info_hash, peers=[stranger.place])
        assert torrent.name == metainfo.info_hash
        await until(lambda: stranger.talks and stranger.talk.all(wm.HashRequest))
        assert torrent.name == torrent.stats().name == metainfo.name
        await trio.sleep(60)
        why = torrent.why()
        assert why.reason is tl.Reason.NO_METADATA
        assert why.message.startswith("no hashes of the pieces from 1 peer for ")


@simulated()
async def test_small_files_fit_into_a_cache_though_their_gaps_would_not(world):
    metainfo, data, seed = made(world, *[10] * 50, piece_length=1 << 20)
    async with session_on(seed) as sharing, session_on(world.host()) as session:
        sharing.add(metainfo)
        storage = functools.partial(tl.CacheStorage, limit=1000)
        torrent = session.add(metainfo, storage=storage, peers=[where(seed, sharing)])
        await torrent.wait_complete()
        assert torrent.stats().done == 500


@simulated()
async def test_web_seeds_pass_over_the_gaps_in_a_range(world):
    metainfo, data, _ = made(world, *[20_000] * 60, piece_length=32_768)
    server = world.web_server(files_of(metainfo, data))
    machine = world.host()
    async with session_on(machine, web_seed_connections=1) as session:
        torrent = session.add(metainfo, web_seeds=[server.url])
        with trio.fail_after(60):
            await torrent.wait_complete()
        assert machine.disk.storage(metainfo.info).content() == data
        assert torrent.stats().hash_failures == 0


@pytest.mark.parametrize("count", [ANSWERS_AT_ONCE, ANSWERS_AT_ONCE + 1])
@simulated()
async def test_hashes_of_small_files_leave_together_and_take_no_threads(world, count):
    """Of 50,000 such files each answer had a thread and a send of its own: 7 seconds instead of one and a half."""
    metainfo, data, seed = made(world, *[20_000 + number for number in range(count)], piece_length=16_384)
    hopped, sent = [], []
    async with background() as nursery, session_on(seed) as sharing:
        torrent = sharing.add(metainfo)
        await torrent.wait_complete()
        talk = await Stranger(world.host(), metainfo.info, has=0).call(nursery, where(seed, sharing))
        (peer,) = torrent._life.swarm.peers
        run, send = seed.offload.run, peer.stream.send_vectored

        async def running(fn, *args, **more):
            hopped.append(fn)
            return await run(fn, *args, **more)

        async def sending(views):
            sent.append(sum(map(len, views)))
            await send(views)

        seed.offload.run, peer.stream.send_vectored = running, sending
        roots = list(metainfo.info.layers_needed)
        assert len(roots) == count
        await talk.say(b"".join(wm.encode(wm.HashRequest(root, 0, 0, 2, 0)) for root in roots))
        await talk.hear(wm.Hashes, count)
        assert [answer.root for answer in talk.all(wm.Hashes)] == roots
    assert [fn for fn in hopped if isinstance(getattr(fn, "__self__", None), HashServer)] == []
    size = len(wm.encode(talk.all(wm.Hashes)[0]))
    assert [total // size for total in sent if total >= size][:1] == [ANSWERS_AT_ONCE]
    assert len([total for total in sent if total >= size]) == -(-count // ANSWERS_AT_ONCE)


@simulated()
async def test_answers_that_take_a_read_hold_up_nothing_else(world):
    metainfo, data, seed = made(world, 40 * 65_536)
    async with background() as nursery, session_on(seed) as sharing:
        torrent = sharing.add(metainfo)
        await torrent.wait_complete()
        talk = await asker(world, nursery, sharing, seed, metainfo)
        await talk.say(wm.Interested())
        await talk.hear(wm.Unchoke)
        pieces = torrent._life.swarm.pieces
        leaves, read = pieces.disk.leaves, []

        async def slowly(piece):
            read.append(piece)
            await trio.sleep(1)
            return await leaves(piece)

        pieces.disk.leaves = slowly
        root = next(iter(metainfo.info.layers_needed))
        await talk.say(b"".join(wm.encode(wm.HashRequest(root, 0, 4 * piece, 4, 0)) for piece in range(10)))
        await until(lambda: len(read) == 1)
        await talk.say(wm.encode_requests([(0, 0, 16_384)]))
        await talk.hear(wm.Hashes)
        await talk.hear(wm.Piece)
        assert len(read) <= 3
