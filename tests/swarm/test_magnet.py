"""Torrents that begin as a magnet link: the metadata comes from peers, and some of them lie about it."""

import dataclasses
import hashlib

import pytest
import trio

import torrentlite as tl
from tests.strangers import Stranger, background, session_on, simulated, until, where
from torrentlite.bencode import encode
from torrentlite.limits import (
    MAX_METADATA,
    MAX_METADATA_QUEUED,
    MAX_METADATA_REQUESTS,
    METADATA_PARALLEL,
    METADATA_PIECE,
    METADATA_TIMEOUT,
    PEER_IDLE_TIMEOUT,
)
from torrentlite.wire import bitfield, messages as wm


def many_pieces(world, **torrent):
    """A torrent whose info dictionary takes several pieces of metadata."""
    metainfo, data = world.torrent(40_000_000 // 1000 * 50, piece_length=1024, name="magnetic", **torrent)
    assert len(metainfo.info.raw) > 2 * METADATA_PIECE
    return metainfo, data


@simulated()
async def test_from_link_to_files(world):
    metainfo, data = world.torrent(300_000, 100_000)
    seed, machine = world.host(), world.host()
    seed.put(metainfo.info, data)
    async with session_on(seed) as sharing, session_on(machine) as session:
        sharing.add(metainfo)
        torrent = session.add(metainfo.magnet, peers=[where(seed, sharing)])
        assert torrent.state is tl.State.METADATA
        assert torrent.metainfo is None
        assert torrent.name == "made-up"
        assert (await torrent.wait_metadata()).info == metainfo.info
        await torrent.wait_complete()
        assert machine.disk.storage(metainfo.info).content() == data
        assert torrent.magnet == metainfo.magnet


@pytest.mark.parametrize("version", ["v1", "hybrid"])
@simulated()
async def test_the_two_hashes_of_a_link_are_of_one_torrent(world, version):
    metainfo, data = world.torrent(300_000, version=version)
    other, _ = world.torrent(300_000, version="v2", name="other")
    seed = world.host()
    seed.put(metainfo.info, data)
    async with session_on(seed) as sharing, session_on(world.host()) as session:
        sharing.add(metainfo)
        wrong = tl.Magnet(metainfo.hashes._replace(v2=other.hashes.v2))
        torrent = session.add(wrong, peers=[where(seed, sharing)])
        async with torrent.events() as events:
            for wait in (torrent.wait_info, torrent.wait_metadata):
                with pytest.raises(tl.MetainfoError, match="two hashes are not of one torrent"):
                    await wait()
            torrent.resume()  # it is no other torrent by that
            with pytest.raises(tl.MetainfoError, match="two hashes are not of one torrent"):
                await torrent.wait_complete()
            assert torrent.metainfo is None
            await session.remove(torrent)
            assert not [event async for event in events if isinstance(event, tl.PeerBanned)]
        # The peer's SHA-1 was right.
        right = session.add(tl.Magnet(metainfo.hashes), peers=[where(seed, sharing)])
        await right.wait_complete()


@simulated()
async def test_metadata_goes_both_ways(world):
    """Who got it from a peer serves it to the next."""
    metainfo, data = many_pieces(world)
    seed, middle, last = world.host(), world.host(), world.host()
    seed.put(metainfo.info, data)
    async with session_on(middle) as between, session_on(last) as session:
        async with session_on(seed) as sharing:
            sharing.add(metainfo)
            first = between.add(metainfo.magnet, peers=[where(seed, sharing)])
            await first.wait_metadata()
        second = session.add(metainfo.info_hash, peers=[where(middle, between)])
        assert (await second.wait_metadata()).info.raw == metainfo.info.raw
        assert first.metainfo.info.raw == metainfo.info.raw


@simulated()
async def test_what_peers_said_before_the_metadata_is_replayed(world):
    metainfo, data = world.torrent(400_000)
    count = metainfo.info.layout.piece_count
    said = [
        lambda: wm.encode(wm.Bitfield(bitfield.to_wire(0b0000011, count))),
        lambda: wm.encode(wm.HaveNone()) + wm.encode_haves([2, 3]),
        lambda: wm.encode_haves([4, 4, 4]),
        lambda: wm.encode(wm.Bitfield(bitfield.to_wire(0b0100000, count))) + wm.encode_haves([6]),
    ]
    async with background() as nursery, session_on(world.host()) as session:
        torrent = session.add(metainfo.magnet)
        held = trio.Event()

        async def wait_for_all(talk, message):
            if isinstance(message, wm.MetadataRequest):
                await held.wait()
            return False

        strangers = []
        for number, words in enumerate(said):
            stranger = Stranger(
                world.host(), metainfo.info, data, react=wait_for_all,
                opening=lambda talk, words=words, number=number: (
                    words() + talk.extended_handshake(metadata_size=len(metainfo.info.raw) if number < 2 else None)
                ),
            )  # fmt: skip
            strangers.append(await stranger.serve(nursery))
            torrent.add_peer(*stranger.place)
        await until(lambda: len(torrent.peers()) == len(said))
        await trio.sleep(1)
        assert torrent.metainfo is None
        assert not torrent.stats().seeds
        held.set()
        await torrent.wait_metadata()
        await until(lambda: torrent.pieces().have.bit_count() == 7)
        await torrent.wait_complete()
        for stranger, pieces in zip(strangers, ({0, 1}, {2, 3}, {4}, {5, 6}), strict=True):
            assert {request.piece for request in stranger.talk.all(wm.Request)} == pieces
            assert not stranger.talk.ended


@pytest.mark.parametrize(
    "words",
    [
        lambda count: wm.encode(wm.Bitfield(bytes(count // 8 + 2))),
        lambda count: wm.encode(wm.Bitfield(b"\xff" * ((count + 7) // 8))),
        lambda count: wm.encode_haves([count]),
        lambda count: wm.encode_haves([(1 << 21) - 1]),
    ],
    ids=["long bitfield", "spare bits", "have behind the end", "have far behind the end"],
)
@simulated()
async def test_what_was_said_before_must_fit_when_the_metadata_comes(world, words):
    metainfo, data = world.torrent(400_000)
    assert metainfo.info.layout.piece_count % 8
    async with background() as nursery, session_on(world.host()) as session:
        torrent = session.add(metainfo.magnet)
        liar = Stranger(world.host(), metainfo.info, opening=lambda talk: words(metainfo.info.layout.piece_count))
        torrent.add_peer(*(await liar.serve(nursery)).place)
        await until(lambda: torrent.stats().peers == 1)
        await trio.sleep(1)
        assert not liar.talk.ended, "nobody can know better yet"
        honest = await Stranger(world.host(), metainfo.info, data).serve(nursery)
        torrent.add_peer(*honest.place)
        await torrent.wait_metadata()
        await trio.sleep(1)
        assert liar.talk.ended
        await torrent.wait_complete()


def other_info(world, metainfo):
    """Another info dictionary of the same length."""
    raw = bytearray(metainfo.info.raw)
    raw[-30] ^= 1
    return bytes(raw)


@simulated()
async def test_a_liar_is_banned_and_the_others_go_on(world):
    metainfo, data = many_pieces(world)
    async with background() as nursery, session_on(world.host()) as session:
        torrent = session.add(metainfo.magnet)
        liars = []
        for metadata in (other_info(world, metainfo), other_info(world, metainfo)[:-1], bytes(100)):
            liar = await Stranger(world.host(), metainfo.info, data, metadata=metadata).serve(nursery)
            liars.append(liar)
            torrent.add_peer(*liar.place)
        await until(lambda: all(liar.talks and liar.talk.ended for liar in liars))
        assert torrent.state is tl.State.METADATA
        assert all(torrent._life.swarm.peerlist.banned(liar.machine.network.ip) for liar in liars)
        honest = await Stranger(world.host(), metainfo.info, data).serve(nursery)
        torrent.add_peer(*honest.place)
        await torrent.wait_metadata()
        assert not torrent._life.swarm.peerlist.banned(honest.machine.network.ip)
        await trio.sleep(100)
        assert all(len(liar.talks) == 1 for liar in liars)


@pytest.mark.parametrize("crowd", [METADATA_PARALLEL, 5 * METADATA_PARALLEL])
@pytest.mark.parametrize("manner", ["silent", "refusing", "one piece every 19 s"])
@simulated()
async def test_peers_that_promise_metadata_and_do_not_give_it_hold_nobody_up(world, manner, crowd):
    metainfo, data = many_pieces(world)
    huge = 1000 * METADATA_PIECE

    def promise(talk):
        return talk.extended_handshake(metadata_size=huge)

    async def react(talk, message):
        if not isinstance(message, wm.MetadataRequest):
            return False
        if manner == "refusing":
            await talk.say(talk.wire.encode_metadata_reject(message.piece))
        elif manner == "one piece every 19 s":
            await trio.sleep(METADATA_TIMEOUT - 1)
            await talk.say(talk.wire.encode_metadata_data(message.piece, huge, bytes(METADATA_PIECE)))
        return True

    async with background() as nursery, session_on(world.host()) as session:
        torrent = session.add(metainfo.magnet)
        for _ in range(crowd):
            stranger = Stranger(
                world.host(),
                metainfo.info,
                react=react,
                opening=lambda talk: talk.extended_handshake(metadata_size=huge),
            )
            torrent.add_peer(*(await stranger.serve(nursery)).place)
        await until(lambda: torrent.stats().peers == crowd)
        await trio.sleep(1)
        honest = await Stranger(world.host(), metainfo.info, data).serve(nursery)
        torrent.add_peer(*honest.place)
        with trio.fail_after((crowd / METADATA_PARALLEL + 1) * METADATA_TIMEOUT):
            await torrent.wait_metadata()


@pytest.mark.parametrize("size", [0, -1, MAX_METADATA + 1, 1 << 40, 1 << 63])
@simulated()
async def test_sizes_that_nobody_has(world, size):
    metainfo, data = world.torrent()
    async with background() as nursery, session_on(world.host()) as session:
        torrent = session.add(metainfo.magnet)
        stranger = Stranger(
            world.host(), metainfo.info, opening=lambda talk: talk.extended_handshake(metadata_size=size)
        )
        torrent.add_peer(*(await stranger.serve(nursery)).place)
        await until(lambda: torrent.stats().peers == 1)
        await trio.sleep(5)
        assert stranger.talk.all(wm.MetadataRequest) == []
        assert torrent.stats().metadata_total == 0


@simulated()
async def test_metadata_that_is_right_and_useless_is_an_error(world):
    """The info-hash fits, but it is no torrent: nobody lied but who made the link."""
    metainfo, _ = world.torrent()
    raw = encode({"name": "x", "piece length": 16384, "pieces": b"x" * 19, "length": 5})
    hashes = tl.InfoHashes(hashlib.sha1(raw).digest())
    info = dataclasses.replace(metainfo.info, raw=raw, hashes=hashes)
    async with background() as nursery, session_on(world.host()) as session:
        torrent = session.add(tl.Magnet(hashes))
        stranger = await Stranger(world.host(), info, has=0).serve(nursery)
        torrent.add_peer(*stranger.place)
        for wait in (torrent.wait_info, torrent.wait_metadata):
            with pytest.raises(tl.MetainfoError):
                await wait()
        assert torrent.state is tl.State.ERROR
        assert torrent.why().reason is tl.Reason.ERROR
        await until(lambda: stranger.talk.ended)


@pytest.mark.parametrize("how", ["added", "selected", "linked"])
@simulated()
async def test_files_that_are_not_there_are_not_taken_for_complete(world, how):
    """Nobody knows which files a magnet has before the metadata is here; then who chose is told."""
    metainfo, data = world.torrent(60_000, 10_000)
    link = metainfo.magnet + "&so=2-3" * (how == "linked")
    async with background() as nursery, session_on(world.host()) as session:
        stranger = await Stranger(world.host(), metainfo.info, data).serve(nursery)
        torrent = session.add(link, peers=[stranger.place], select=[2] if how == "added" else None)
        if how == "selected":
            torrent.select_files([0, 2])
        for wait in (torrent.wait_metadata, torrent.wait_complete):
            with pytest.raises(tl.NoSuchFileError) as caught:
                await wait()
        assert "there are " in caught.value.hint
        assert await torrent.wait_info() == metainfo.info, "it shows those that are"
        torrent.resume()
        with pytest.raises(tl.NoSuchFileError):
            await torrent.wait_complete()
        torrent.select_files([1])
        torrent.resume()
        await torrent.wait_complete()
        assert [file.wanted for file in torrent.files()] == [False, True]


@pytest.mark.parametrize("how", ["added", "selected"])
@simulated()
async def test_files_are_named_by_path_before_anybody_knows_them(world, how):
    metainfo, data = world.torrent(60_000, 10_000, 5_000)
    async with background() as nursery, session_on(world.host()) as session:
        stranger = await Stranger(world.host(), metainfo.info, data).serve(nursery)
        wish = ["made-up/1.bin", "2.bin"]
        torrent = session.add(metainfo.magnet, peers=[stranger.place], select=wish if how == "added" else None)
        if how == "selected":
            torrent.select_files(wish)
        await torrent.wait_complete()
        assert [file.wanted for file in torrent.files()] == [False, True, True]


@simulated()
async def test_a_path_that_is_not_there_is_told_of_with_those_that_are(world):
    metainfo, data = world.torrent(60_000, 10_000)
    async with background() as nursery, session_on(world.host()) as session:
        stranger = await Stranger(world.host(), metainfo.info, data).serve(nursery)
        torrent = session.add(metainfo.magnet, peers=[stranger.place], select=["0.bin", "9.bin"])
        with pytest.raises(tl.NoSuchFileError, match="no file '9.bin'") as caught:
            await torrent.wait_complete()
        assert "made-up/0.bin" in caught.value.hint


@simulated()
async def test_a_link_may_name_more_files_than_there_are(world):
    metainfo, data = world.torrent(60_000, 10_000)
    async with background() as nursery, session_on(world.host()) as session:
        stranger = await Stranger(world.host(), metainfo.info, data).serve(nursery)
        torrent = session.add(f"{metainfo.magnet}&so=1-4294967295", peers=[stranger.place])
        await torrent.wait_complete()
        assert [file.wanted for file in torrent.files()] == [False, True]


@simulated()
async def test_pausing_before_and_while_the_metadata_comes(world):
    metainfo, data = many_pieces(world)
    async with background() as nursery, session_on(world.host()) as session:
        stranger = await Stranger(world.host(up=10_000), metainfo.info, data).serve(nursery)
        torrent = session.add(metainfo.magnet, peers=[stranger.place])
        torrent.pause()
        await trio.sleep(5)
        assert all(talk.ended for talk in stranger.talks)
        torrent.resume()
        await until(lambda: torrent.stats().metadata_done)
        assert torrent.stats().metadata_total == len(metainfo.info.raw)
        torrent.pause()
        await trio.sleep(5)
        assert torrent.state is tl.State.PAUSED
        assert torrent.metainfo is None
        torrent.resume()
        await torrent.wait_metadata()


@simulated()
async def test_a_flood_of_metadata_requests_from_somebody_who_does_not_read(world):
    metainfo, data = many_pieces(world)
    machine = world.host()
    machine.put(metainfo.info, data)
    async with session_on(machine) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        stranger = Stranger(world.host(), metainfo.info, has=0)
        talk = await stranger.dial(where(machine, session))
        await talk.greet(stranger.hello)
        await talk.say(talk.extended_handshake())
        talk.wire.peer_extensions["ut_metadata"] = 1
        most = 0
        for _ in range(120):
            await talk.say(b"".join(talk.wire.encode_metadata_request(number % 3) for number in range(100)))
            await trio.sleep(0.01)
            for peer in torrent._life.swarm.peers:
                most = max(most, peer.sender.size)
        (peer,) = torrent._life.swarm.peers
        assert len(peer.sender.asked) == MAX_METADATA_QUEUED
        assert most < 1 << 20, "requests wait and refusals, not what was asked for"
        await trio.sleep(PEER_IDLE_TIMEOUT + 5)
        assert torrent.peers() == ()


@simulated()
async def test_metadata_requests_are_answered_up_to_a_bound(world):
    metainfo, data = world.torrent()
    machine = world.host()
    machine.put(metainfo.info, data)
    async with background() as nursery, session_on(machine) as session:
        await session.add(metainfo).wait_complete()
        talk = await Stranger(world.host(), metainfo.info, has=0).call(nursery, where(machine, session))
        await talk.hear(wm.ExtendedHandshake)
        for _ in range(50):
            await talk.say(b"".join(talk.wire.encode_metadata_request(number % 2) for number in range(100)))
            await trio.sleep(1)
        good, bad = len(talk.all(wm.MetadataData)), len(talk.all(wm.MetadataReject))
        assert good + bad == 5000
        assert good == MAX_METADATA_REQUESTS // 2, "piece 1 is not there"


@simulated()
async def test_who_lets_us_ask_before_the_metadata_is_asked_at_once(world):
    """It will not say so again; a tick later would be a second lost at every start."""
    metainfo, data = world.torrent(400_000)
    asked_at = []

    async def react(talk, message):
        if isinstance(message, wm.Request):
            asked_at.append(trio.current_time())
        return isinstance(message, wm.Interested)  # it has said Unchoke already

    def opening(talk):
        return (
            wm.encode(wm.HaveAll())
            + talk.extended_handshake(metadata_size=len(metainfo.info.raw))
            + wm.encode(wm.Unchoke())
        )

    async with background() as nursery, session_on(world.host()) as session:
        stranger = await Stranger(world.host(), metainfo.info, data, react=react, opening=opening).serve(nursery)
        torrent = session.add(metainfo.magnet, peers=[stranger.place])
        await torrent.wait_metadata()
        known_at = trio.current_time()
        await torrent.wait_complete()
        assert asked_at[0] - known_at < 0.5
