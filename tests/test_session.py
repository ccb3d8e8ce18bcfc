"""The door: sessions, what is added to them, and how they are left."""

import base64
import dataclasses
import errno
import gc
import hashlib
import logging
import os
import pathlib
import traceback
import weakref

import pytest
import trio

import torrentlite as tl
from tests.strangers import Stranger, background, session_on, simulated, until, where, without_hashes
from torrentlite.bencode import encode
from torrentlite.limits import SPARE_KEPT
from torrentlite.wire import messages as wm


def with_real_files(machine):
    """Simulated network and clock, real files."""
    return dataclasses.replace(machine, storage=None)


def tree(folder):
    return sorted(
        os.path.relpath(os.path.join(root, name), folder) for root, _, names in os.walk(folder) for name in names
    )


async def pair(world, *sizes, up=0, **torrent):
    metainfo, data = world.torrent(*(sizes or (200_000,)), **torrent)
    seed = world.host(up=up)
    seed.put(metainfo.info, data)
    return metainfo, data, seed


# -- adding ------------------------------------------------------------------------------------------------------------


@simulated()
async def test_all_the_ways_to_name_a_torrent(world):
    metainfo, data, _ = await pair(world)
    hashed = metainfo.info_hash
    for source in (
        metainfo,
        metainfo.encode(),
        metainfo.magnet,
        tl.Magnet.parse(metainfo.magnet),
        hashed,
        hashed.upper(),
        base64.b32encode(bytes.fromhex(hashed)).decode(),
    ):
        async with session_on(world.host()) as session:
            torrent = session.add(source)
            assert torrent.info_hash == hashed
            assert torrent.hashes.wire.hex() == hashed
            assert (torrent.metainfo is None) is not isinstance(source, tl.Metainfo | bytes)
            assert hashed in torrent.magnet
            assert session.torrents == (torrent,)
            for again in (metainfo, metainfo.encode(), hashed):
                with pytest.raises(tl.DuplicateTorrentError, match=torrent.name):
                    session.add(again)
            assert session.stats().torrents == 1
            await session.remove(torrent)
            session.add(metainfo)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("", tl.MagnetError),
        ("magnet:?dn=x", tl.MagnetError),
        ("magnet:?xt=urn:btih:12", tl.MagnetError),
        ("zz" * 20, tl.MagnetError),
        (b"", tl.MetainfoError),
        (b"garbage", tl.MetainfoError),
        (encode({"info": {"name": "x"}}), tl.MetainfoError),
    ],
)
@simulated()
async def test_what_is_no_torrent(world, source, error):
    async with session_on(world.host()) as session:
        with pytest.raises(error) as caught:
            session.add(source)
        assert str(caught.value)
        assert session.torrents == ()


@simulated()
async def test_who_adds_what_is_to_be_loaded_is_told_so(world):
    async with session_on(world.host()) as session:
        for text in ("x.torrent", "https://host.example/x.torrent"):
            with pytest.raises(tl.MagnetError, match="neither a magnet link nor an info-hash") as caught:
                session.add(text)
            assert "a path or URL goes through load" in caught.value.hint
        with pytest.raises(tl.MagnetError) as caught:
            session.add("magnet:?dn=x")
        assert "load" not in caught.value.hint
        with pytest.raises(TypeError, match="this is a .*Path; a path or URL goes through load"):
            session.add(pathlib.Path("x.torrent"))
        forgotten = tl.load("x.torrent")
        with pytest.raises(TypeError, match="source: .* write await before it"):
            session.add(forgotten)
        forgotten.close()
        with pytest.raises(TypeError, match="source: .* this is a NoneType$"):
            session.add(None)
        for peer in ("192.0.2.1:6881", ("192.0.2.1", "6881"), ("192.0.2.1",)):
            with pytest.raises(TypeError, match=r"peers: \(host, port\) is expected"):
                session.add("ab" * 20, peers=[peer])
        assert session.torrents == ()


@simulated()
async def test_many_torrents_at_once_and_both_ways(world):
    """Each machine seeds what the other fetches, several at a time, over one port each."""
    one, two = world.host(up=400_000), world.host(up=400_000)
    shares = []
    for number in range(6):
        metainfo, data = world.torrent(100_000 + number, 3, name=f"share {number}")
        (one, two)[number % 2].put(metainfo.info, data)
        shares.append((metainfo, data))
    async with session_on(one) as first, session_on(two) as second:
        torrents = []
        for metainfo, _ in shares:
            torrents.append(first.add(metainfo, peers=[where(two, second)]))
            torrents.append(second.add(metainfo))
        assert first.torrents == tuple(torrents[::2])
        for torrent in torrents:
            await torrent.wait_complete()
        for metainfo, data in shares:
            assert one.disk.storage(metainfo.info).content() == data
            assert two.disk.storage(metainfo.info).content() == data
        assert first.stats().downloaded == second.stats().uploaded > 300_000
        assert first.stats().torrents == 6


@simulated()
async def test_an_idle_torrent_has_no_task(world):
    async with session_on(world.host()) as session:
        session.add(world.torrent(5, name="first")[0])
        await trio.sleep(5)
        before = trio.lowlevel.current_statistics().tasks_living
        for number in range(50):
            session.add(world.torrent(5, name=f"number {number}")[0])
        for torrent in session.torrents:
            await torrent.wait_checked()
        await trio.sleep(5)
        assert trio.lowlevel.current_statistics().tasks_living == before


@simulated()
async def test_a_peer_that_is_gone_is_held_by_nobody(world):
    metainfo, data = world.torrent(1_000_000)
    seed = world.host()
    seed.put(metainfo.info, data)
    async with session_on(seed) as sharing:
        torrent = sharing.add(metainfo)
        async with session_on(world.host()) as session:
            await session.add(metainfo, peers=[where(seed, sharing)]).wait_complete()
            gone = weakref.ref(next(iter(torrent._life.swarm.peers)))
        await until(lambda: not torrent.peers())
        gc.collect()
        assert gone() is None


@simulated()
async def test_who_only_shares_holds_no_memory_for_pieces(world):
    metainfo, _, seed = await pair(world, 1_000_000)
    async with session_on(seed) as sharing, session_on(world.host()) as session:
        sharing.add(metainfo)
        torrent = session.add(metainfo, peers=[where(seed, sharing)])
        await torrent.wait_complete()
        memory = session._commons.memory
        assert memory._spare_bytes > 0, "there is some for the next torrent, if one comes soon"
        await trio.sleep(SPARE_KEPT + 1)
        assert memory._spare_bytes == 0
        assert torrent.state is tl.State.SEEDING


@simulated()
async def test_in_order(world):
    metainfo, data = world.torrent(640_000, piece_length=16 << 10)
    async with background() as nursery, session_on(world.host()) as session:
        stranger = await Stranger(world.host(up=100_000), metainfo.info, data).serve(nursery)
        torrent = session.add(metainfo, peers=[stranger.place], sequential=True)
        await torrent.wait_complete()
        asked = [request.piece for request in stranger.talk.all(wm.Request)]
        assert asked == sorted(asked)


# -- files -------------------------------------------------------------------------------------------------------------


@simulated()
async def test_nothing_is_written_but_the_files(world, tmp_path):
    metainfo, data, seed = await pair(world, 100_000, 50_000)
    machine = with_real_files(world.host())
    async with session_on(seed) as sharing, session_on(machine) as session:
        sharing.add(metainfo)
        torrent = session.add(metainfo, tmp_path / "new" / "folder", peers=[where(seed, sharing)])
        (top,) = await torrent.wait_complete()
        assert top == tmp_path / "new" / "folder" / "made-up"
        assert torrent.save_to == tmp_path / "new" / "folder"
        assert (top / "0.bin").read_bytes() + (top / "1.bin").read_bytes() == data
    assert tree(tmp_path) == ["new/folder/made-up/0.bin", "new/folder/made-up/1.bin"]


@simulated()
async def test_another_file_in_the_way(world, tmp_path):
    metainfo, data, seed = await pair(world)
    (tmp_path / "made-up").write_bytes(b"something precious")
    async with session_on(seed) as sharing, session_on(with_real_files(world.host())) as session:
        sharing.add(metainfo)
        torrent = session.add(metainfo, tmp_path, peers=[where(seed, sharing)])
        with pytest.raises(tl.FileInTheWayError):
            await torrent.wait_complete()
        assert torrent.state is tl.State.ERROR
        assert torrent.why().reason is tl.Reason.ERROR
        assert (tmp_path / "made-up").read_bytes() == b"something precious"
        await session.remove(torrent)
        torrent = session.add(metainfo, tmp_path, peers=[where(seed, sharing)], overwrite=True)
        await torrent.wait_complete()
        assert (tmp_path / "made-up").read_bytes() == data


@simulated()
async def test_an_error_can_be_cured_and_resumed(world, tmp_path):
    metainfo, data, seed = await pair(world)
    (tmp_path / "made-up").mkdir()
    async with session_on(seed) as sharing, session_on(with_real_files(world.host())) as session:
        sharing.add(metainfo)
        torrent = session.add(metainfo, tmp_path, peers=[where(seed, sharing)])
        with pytest.raises(tl.StorageError):
            await torrent.wait_complete()
        torrent.resume()
        with pytest.raises(tl.StorageError):
            await torrent.wait_complete()
        (tmp_path / "made-up").rmdir()
        torrent.resume()
        await torrent.wait_complete()
        assert torrent.error is None


@simulated()
async def test_resume_data_saves_hashing_and_a_second_user_is_told(world, tmp_path):
    metainfo, data, seed = await pair(world, 300_000, up=100_000)
    state = tmp_path / "state"
    async with session_on(seed) as sharing:
        sharing.add(metainfo)
        async with session_on(with_real_files(world.host()), state_dir=state) as session:
            torrent = session.add(metainfo, tmp_path / "save", peers=[where(seed, sharing)])
            await until(lambda: torrent.stats().pieces_done >= 2)
            async with session_on(with_real_files(world.host()), state_dir=state) as other:
                with pytest.raises(tl.StorageError, match="being saved"):
                    await other.add(metainfo, tmp_path / "save").wait_complete()
        async with session_on(with_real_files(world.host()), state_dir=state) as session:
            torrent = session.add(metainfo, tmp_path / "save", peers=[where(seed, sharing)])
            await torrent.wait_checked()
            assert torrent.stats().pieces_done >= 2
            assert torrent.stats().check_total == 0, "what was saved is not hashed"
            await torrent.wait_complete()
    assert {name.split("/")[0] for name in tree(tmp_path)} == {"save", "state"}


@simulated()
async def test_a_magnet_that_is_resumed_knows_its_files_before_its_hashes(world, tmp_path):
    metainfo, data, seed = await pair(world, 300_000, 100_000, version="v2")
    async with background() as nursery, session_on(seed) as sharing:
        sharing.add(metainfo)
        for turn in "begun", "resumed":
            async with session_on(with_real_files(world.host()), state_dir=tmp_path / "state") as session:
                silent = await Stranger(world.host(), metainfo.info, data, react=without_hashes).serve(nursery)
                torrent = session.add(metainfo.magnet, tmp_path / "save", peers=[silent.place])
                assert (await torrent.wait_info()).lacks_layers
                assert torrent.metainfo is None
                torrent.add_peer(*where(seed, sharing))
                await torrent.wait_complete()
                assert torrent.stats().check_total == 0
                assert (torrent.stats().downloaded == 0) is (turn == "resumed")


async def test_what_create_hashed_is_not_hashed_by_add(tmp_path):
    (tmp_path / "data.bin").write_bytes(os.urandom(200_000))
    metainfo = await tl.create(tmp_path / "data.bin")
    async with tl.open_session(tl.Settings(host="127.0.0.1")) as session:
        torrent = session.add(metainfo, tmp_path)
        await torrent.wait_complete()
        assert torrent.stats().check_total == 0
        again = tl.Metainfo.from_bytes(metainfo.encode())
        await session.remove(torrent)
        torrent = session.add(again, tmp_path)
        await torrent.wait_complete()
        assert torrent.stats().checked == 200_000, "from elsewhere it is"
        assert session.stats().internal_errors == 0


async def test_addresses_that_are_none_are_refused_where_they_are_named(tmp_path):
    (tmp_path / "data.bin").write_bytes(bytes(100_000))
    async with tl.open_session(tl.Settings(host="127.0.0.1")) as session:
        for none in ("nonsense", "wss://tracker.example", "udp://tracker.example"):
            with pytest.raises(tl.SourceError):
                session.add("ab" * 20, tmp_path, trackers=[none])
        torrent = session.add("ab" * 20, tmp_path, trackers=["udp://127.0.0.1:9"])
        with pytest.raises(tl.SourceError):
            torrent.add_tracker("nonsense")
        assert [tracker.url for tracker in torrent.trackers()] == ["udp://127.0.0.1:9"]
        for name in ("trackers", "web_seeds"):  # one text, which would be taken for its letters
            one, said = {name: "http://tracker.example/announce"}, f"{name}: several URLs are expected"
            with pytest.raises(TypeError, match=said):
                session.add("cd" * 20, tmp_path, **one)
            with pytest.raises(TypeError, match=said):
                await tl.fetch(tmp_path / "not read.torrent", tmp_path, **one)
            with pytest.raises(TypeError, match=said):
                await tl.create(tmp_path / "data.bin", **one)
    with pytest.raises(TypeError, match="select: several files"):
        await tl.fetch(tmp_path / "not read.torrent", tmp_path, select="data.bin")
    with pytest.raises(TypeError, match="peers"):
        await tl.fetch(tmp_path / "not read.torrent", tmp_path, peers=["127.0.0.1:9"])


async def test_the_save_folder_is_where_it_was_when_it_was_named(tmp_path, monkeypatch):
    for name in ("here", "there", "shared"):
        (tmp_path / name).mkdir()
    (tmp_path / "shared" / "data.bin").write_bytes(os.urandom(200_000))
    metainfo = await tl.create(tmp_path / "shared" / "data.bin")
    monkeypatch.chdir(tmp_path)
    settings = tl.Settings(host="127.0.0.1", state_dir="state")
    async with tl.open_session(settings) as seed, tl.open_session(settings) as session:
        seed.add(metainfo, tmp_path / "shared")
        monkeypatch.chdir(tmp_path / "here")
        torrent = session.add(metainfo.magnet, "down", peers=[("127.0.0.1", seed.port)])
        assert torrent.save_to == tmp_path / "here" / "down"
        monkeypatch.chdir(tmp_path / "there")
        assert await torrent.wait_complete() == (tmp_path / "here" / "down" / "data.bin",)
        torrent.recheck()
        await torrent.wait_complete()
        with pytest.raises(ValueError, match="null"):
            session.add("ab" * 20, "a\0b")
    assert tree(tmp_path / "there") == []
    assert (tmp_path / "state" / "resume").is_dir()


async def test_added_while_it_is_still_being_removed(tmp_path):
    (tmp_path / "data.bin").write_bytes(os.urandom(200_000))
    metainfo = await tl.create(tmp_path / "data.bin")
    fresh = tl.Metainfo.from_bytes(metainfo.encode())
    async with tl.open_session(tl.Settings(host="127.0.0.1", state_dir=tmp_path / "state")) as session:
        torrent = session.add(fresh, tmp_path)
        await torrent.wait_complete()
        for paused in (False, True, False):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(session.remove, torrent)
                while torrent in session.torrents:
                    await trio.lowlevel.checkpoint()
                torrent = session.add(fresh, tmp_path, paused=paused)
                if paused:  # and gone again, before it was opened
                    nursery.start_soon(session.remove, torrent)
                    while torrent in session.torrents:
                        await trio.lowlevel.checkpoint()
                    torrent = session.add(fresh, tmp_path)
                with trio.fail_after(10):
                    await torrent.wait_complete()
        assert session.stats().internal_errors == 0


async def test_an_error_does_not_hold_on_to_who_met_it(tmp_path):
    """One object raised again and again has a traceback through the frames of all of them."""
    (tmp_path / "data.bin").write_bytes(os.urandom(100_000))
    metainfo = await tl.create(tmp_path / "data.bin")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "data.bin").write_bytes(bytes(100_000))
    lengths, errors = set(), []
    async with tl.open_session(tl.Settings(host="127.0.0.1")) as session:
        torrent = session.add(tl.Metainfo.from_bytes(metainfo.encode()), tmp_path / "other")
        for _ in range(3):
            with pytest.raises(tl.FileInTheWayError) as caught:
                await torrent.wait_complete()
            errors.append(caught.value)
            lengths.add(len(list(traceback.walk_tb(caught.value.__traceback__))))
        assert len(lengths) == 1
        assert {(str(error), error.hint, error.path) for error in errors} == {
            (str(torrent.error), torrent.error.hint, torrent.error.path)
        }


# -- in a hurry --------------------------------------------------------------------------------------------------------


async def test_fetch_gives_up_in_time_and_says_why(tmp_path):
    settings = tl.Settings(host="127.0.0.1")
    with pytest.raises(tl.NoPeersError, match=r"not complete after 0\.1 s"):
        await tl.fetch("ab" * 20, tmp_path, settings=settings, timeout=0.1)
    with pytest.raises(tl.SourceError, match="no such file"):
        await tl.fetch(tmp_path / "nothing.torrent", tmp_path, settings=settings)
    assert tree(tmp_path) == []


async def test_the_time_for_a_fetch_is_that_for_its_source_too(tmp_path):
    os.mkfifo(tmp_path / "x.torrent")
    with trio.fail_after(10), pytest.raises(TimeoutError, match=r"x\.torrent: not read after 0\.1 s"):
        await tl.fetch(tmp_path / "x.torrent", tmp_path, settings=tl.Settings(host="127.0.0.1"), timeout=0.1)


async def test_fetch_takes_what_add_takes(tmp_path):
    shared, out = tmp_path / "shared" / "stuff", tmp_path / "out"
    shared.mkdir(parents=True)
    for name in "abc":
        (shared / name).write_bytes(os.urandom(100_000))
    metainfo = await tl.create(shared, piece_length=1 << 14)
    (tmp_path / "x.torrent").write_bytes(metainfo.encode())
    (out / "stuff").mkdir(parents=True)
    (out / "stuff" / "b").write_bytes(b"another one")
    settings = tl.Settings(host="127.0.0.1")
    digest = hashlib.sha256((shared / "b").read_bytes()).hexdigest()
    async with tl.open_session(settings) as session:
        await session.add(metainfo, tmp_path / "shared").wait_complete()
        ways = {"peers": [("127.0.0.1", session.port)], "settings": settings, "timeout": 20}
        with pytest.raises(tl.FileInTheWayError):
            await tl.fetch(tmp_path / "x.torrent", out, select=[1], **ways)
        with pytest.raises(tl.SourceError):
            await tl.fetch(tmp_path / "x.torrent", out, trackers=["nonsense"], **ways)
        with pytest.raises(tl.NoSuchFileError, match="no file 'd'"):
            await tl.fetch(tmp_path / "x.torrent", out, select=["d"], **ways)
        await tl.fetch(tmp_path / "x.torrent", out, select=iter(["stuff/b", 1]), overwrite=True, sha256=digest, **ways)
    assert (out / "stuff" / "b").read_bytes() == (shared / "b").read_bytes()
    assert not (out / "stuff" / "a").exists()


async def test_fetch_takes_what_load_and_create_and_parse_return(tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "data.bin").write_bytes(os.urandom(100_000))
    metainfo = await tl.create(tmp_path / "shared" / "data.bin")
    settings = tl.Settings(host="127.0.0.1")
    async with tl.open_session(settings) as session:
        await session.add(metainfo, tmp_path / "shared").wait_complete()
        ways = {"peers": [("127.0.0.1", session.port)], "settings": settings, "timeout": 20}
        for number, source in enumerate((metainfo, tl.Magnet.parse(metainfo.magnet), metainfo.encode())):
            (path,) = await tl.fetch(source, tmp_path / str(number), **ways)
            assert path.read_bytes() == (tmp_path / "shared" / "data.bin").read_bytes()
        with pytest.raises(tl.NoPeersError, match=r"data.bin: not complete after 0\.1 s"):
            await tl.fetch(metainfo, tmp_path / "late", settings=settings, timeout=0.1)
    with pytest.raises(
        TypeError, match="source: .* a path, URL, link or info-hash is expected, .* this is a NoneType$"
    ):
        await tl.fetch(None, tmp_path)
    coming = tl.load(metainfo.magnet)
    with pytest.raises(TypeError, match="source: .* write await before it"):
        await tl.fetch(coming, tmp_path)
    coming.close()


async def test_a_new_version_takes_what_is_the_same_from_the_old_one(tmp_path):
    old, new = tmp_path / "old" / "set", tmp_path / "new" / "set"
    for folder in (old, new):
        folder.mkdir(parents=True)
    for name in "abcd":
        data = os.urandom(200_000)
        (old / name).write_bytes(data)
        (new / name).write_bytes(
            {"a": data, "b": data[:120_000] + os.urandom(80_000), "c": data + b"more"}.get(name, b"")
        )
    before = tree(old)
    metainfo = await tl.create(new, piece_length=1 << 14)
    settings = tl.Settings(host="127.0.0.1", state_dir=tmp_path / "state")
    async with tl.open_session(tl.Settings(host="127.0.0.1")) as seed, tl.open_session(settings) as session:
        await seed.add(metainfo, tmp_path / "new").wait_complete()
        torrent = session.add(
            metainfo.magnet, tmp_path / "out", reuse=[tmp_path / "old"], peers=[("127.0.0.1", seed.port)]
        )
        await torrent.wait_complete()
        stats = torrent.stats()
        assert stats.done == stats.total == 600_004
        assert stats.downloaded + stats.reused >= stats.total
        assert stats.downloaded < 80_000 + 4 * (1 << 14)
        assert stats.reused > 520_000 - 4 * (1 << 14)
    assert tree(tmp_path / "out" / "set") == tree(new)
    for name in tree(new):
        assert (tmp_path / "out" / "set" / name).read_bytes() == (new / name).read_bytes()
    assert tree(old) == before
    assert await tl.fetch(metainfo, tmp_path / "again", reuse=[new], settings=settings) == (tmp_path / "again" / "set",)


@simulated()
async def test_what_was_taken_from_elsewhere_is_in_the_stats(world, tmp_path):
    metainfo, data, seed = await pair(world, 200_000, 100_000)
    top = tmp_path / "old" / metainfo.info.name
    top.mkdir(parents=True)
    first, second = (metainfo.info.files[index].path[-1] for index in metainfo.info.wanted_files)
    (top / first).write_bytes(data[:150_000])
    (top / second).write_bytes(bytes(100_000))
    async with (
        session_on(seed) as sharing,
        tl.open_session(tl.Settings(), world=with_real_files(world.host())) as session,
    ):
        sharing.add(metainfo)
        torrent = session.add(metainfo, tmp_path / "new", reuse=[tmp_path / "old"], peers=[where(seed, sharing)])
        await torrent.wait_checked()
        kept = torrent.stats().done
        assert kept == 150_000 // metainfo.info.piece_length * metainfo.info.piece_length
        await torrent.wait_complete()
        torrent.recheck()  # now all is here: nothing is copied, and what was is still told
        await torrent.wait_complete()
        stats = torrent.stats()
        assert (stats.reused, stats.downloaded) == (kept, 300_000 - kept)
        assert session.stats().internal_errors == 0


@simulated()
async def test_what_cannot_be_reused_is_told_at_once(world, tmp_path, monkeypatch):
    metainfo, _, _ = await pair(world)
    (tmp_path / "file").write_bytes(b"x")
    machine = world.host()
    async with tl.open_session(tl.Settings(), world=with_real_files(machine)) as session:
        with pytest.raises(tl.StorageError, match="cannot reuse '.*nothing': no such file or folder") as caught:
            session.add(metainfo, tmp_path, reuse=[tmp_path / "file", tmp_path / "nothing"])
        assert caught.value.path == tmp_path / "nothing"
        os.mkfifo(tmp_path / "fifo")
        with pytest.raises(tl.StorageError, match="cannot reuse '.*fifo': it is neither a file nor a folder"):
            session.add(metainfo, tmp_path, reuse=[tmp_path / "fifo"])
        with monkeypatch.context() as patch:
            patch.setattr(os, "access", lambda *_, **__: False)
            with pytest.raises(tl.StorageError, match="cannot reuse '.*': permission denied") as caught:
                session.add(metainfo, tmp_path, reuse=[tmp_path])
            assert caught.value.errno == errno.EACCES
        for one in (tmp_path, str(tmp_path)):
            with pytest.raises(TypeError, match="reuse: several paths are expected, and this is one"):
                session.add(metainfo, tmp_path, reuse=one)
        with pytest.raises(ValueError, match="reuse: it is for files in save_to"):
            session.add(metainfo, tmp_path, reuse=[tmp_path], storage=tl.MemoryStorage)
        assert session.torrents == ()
        session.add(metainfo, tmp_path / "save", reuse=[tmp_path / "file"])
    with pytest.raises(tl.StorageError, match="cannot reuse"):
        await tl.fetch("http://127.0.0.1:1/x.torrent", tmp_path, reuse=[tmp_path / "nothing"])


async def test_fetch_of_what_is_here_already(tmp_path):
    (tmp_path / "data.bin").write_bytes(os.urandom(100_000))
    metainfo = await tl.create(tmp_path / "data.bin")
    (tmp_path / "x.torrent").write_bytes(metainfo.encode())
    found = await tl.fetch(tmp_path / "x.torrent", tmp_path, settings=tl.Settings(host="127.0.0.1"), timeout=10)
    assert found == (tmp_path / "data.bin",)


# -- the session itself ------------------------------------------------------------------------------------------------


@simulated()
async def test_looks_at_a_session(world):
    metainfo, data, seed = await pair(world, 600_000, up=200_000)
    machine = world.host("11.8.8.8", "2a01:db8::8")
    async with session_on(seed) as sharing, session_on(machine, port=7000) as session:
        assert session.port == 7000 == session.stats().port
        assert {(address.host, address.port) for address in session.addresses} == {("0.0.0.0", 7000), ("::", 7000)}
        assert session.settings.port == 7000
        assert "port 7000, 0 torrents" in repr(session)
        sharing.add(metainfo)
        torrent = session.add(metainfo, peers=[where(seed, sharing)])
        await until(lambda: torrent.stats().pieces_done >= 3)
        stats = session.stats()
        assert (stats.torrents, stats.peers, stats.half_open, stats.pending_handshakes) == (1, 1, 0, 0)
        assert 0 < stats.piece_memory <= session.settings.piece_memory
        assert stats.down_rate > 100_000
        assert stats.downloaded >= 3 * metainfo.piece_length
        await torrent.wait_complete()
        await trio.sleep(60)
        stats = session.stats()
        assert (stats.piece_memory, stats.peers) == (0, 0)
        assert stats.down_rate < 1


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"upload_limit": "2M"}, "upload_limit: a number of bytes per second is expected, and this is '2M'"),
        ({"port": "6881"}, "port: a number is expected, and this is '6881'"),
        ({"dht": "no"}, "dht: True or False is expected, and this is 'no'"),
        ({"overwrite": None}, "overwrite: True or False is expected, and this is None"),
    ],
)
def test_settings_of_another_type(wrong, what):
    with pytest.raises(TypeError) as caught:
        tl.Settings(**wrong)
    assert str(caught.value) == what


@simulated()
async def test_a_save_folder_that_is_none(world):
    async with session_on(world.host()) as session:
        for wrong in (None, 5, b"folder"):
            with pytest.raises(TypeError, match="save_to: a folder, as text or a path, is expected, and this is a"):
                session.add("ab" * 20, wrong)


@simulated()
async def test_limits_must_make_sense(world):
    async with session_on(world.host()) as session:
        torrent = session.add("ab" * 20)
        for owner in (session, torrent):
            for wrong in ({"upload": -1}, {"download": -5}, {"upload": 5, "download": -1}):
                with pytest.raises(ValueError, match="negative"):
                    owner.set_limits(**wrong)
            for name in ("upload", "download"):
                with pytest.raises(TypeError, match=f"{name}: a number of bytes per second .*, and this is '2M'"):
                    owner.set_limits(**{name: "2M"})
            owner.set_limits()
            owner.set_limits(upload=0, download=0)


@simulated()
async def test_limits_are_read_back_where_all_else_is(world):
    async with session_on(world.host(), upload_limit=100) as session:
        torrent = session.add("ab" * 20)

        def limits():
            return [(stats.upload_limit, stats.download_limit) for stats in (session.stats(), torrent.stats())]

        assert limits() == [(100, 0), (0, 0)]
        session.set_limits(download=200)
        torrent.set_limits(upload=3, download=4)
        assert limits() == [(100, 200), (3, 4)]
        torrent.set_limits(upload=0)
        session.set_limits(upload=0)
        assert limits() == [(0, 200), (0, 4)]


@simulated()
async def test_a_session_that_was_left_takes_nothing(world):
    async with session_on(world.host()) as session:
        torrent = session.add("ab" * 20)
    with pytest.raises(RuntimeError, match="left"):
        session.add("cd" * 20)
    assert torrent.state is tl.State.CLOSED
    with pytest.raises(tl.TorrentRemovedError):
        await torrent.wait_complete()
    assert session.stats().torrents == 1
    assert torrent.stats().state is tl.State.CLOSED


@pytest.mark.parametrize("moment", [0.0, 0.005, 0.06, 0.3, 1.0])
@simulated()
async def test_leaving_at_any_moment_leaves_nothing(world, moment):
    """``session_on`` looks at what is left; peers, trackers, dials and pieces are under way."""
    tracker = world.tracker()
    metainfo, data, seed = await pair(world, 400_000, up=100_000, trackers=[tracker.url, tracker.udp_url])
    machine = world.host()
    async with session_on(seed) as sharing:
        sharing.add(metainfo)
        async with session_on(machine) as session:
            torrent = session.add(metainfo, peers=[where(seed, sharing), ("11.77.0.1", 5)])
            await trio.sleep(moment)
            left_at = trio.current_time()
        assert trio.current_time() - left_at <= 5
        assert torrent.state is tl.State.CLOSED
        await trio.sleep(10)
        assert sharing.stats().peers == 0


@simulated()
async def test_an_error_and_a_cancellation_in_the_block(world):
    machine = world.host()
    mine = KeyError("mine")
    with pytest.raises(KeyError) as caught:
        async with tl.open_session(world=machine) as session:
            session.add("ab" * 20)
            raise mine
    assert caught.value is mine
    with trio.move_on_after(1) as scope:
        async with tl.open_session(world=machine):
            await trio.sleep_forever()
    assert scope.cancelled_caught
    with pytest.raises(ExceptionGroup) as group:
        async with tl.open_session(world=machine), trio.open_nursery():
            raise mine
    assert group.value.exceptions == (mine,), "the caller's own nursery wraps, nobody else does"
    assert machine.network.sockets == 0


@simulated()
async def test_the_port_is_taken(world):
    machine = world.host()
    async with session_on(machine, port=6881):
        with pytest.raises(tl.ListenError):
            async with tl.open_session(tl.Settings(port=6881), world=machine):
                pass
        async with session_on(machine, port=6881, port_fallback=True) as other:
            assert other.port != 6881


@simulated()
async def test_logs_name_no_passkey(world, caplog):
    caplog.set_level(logging.DEBUG, "torrentlite")
    tracker = world.tracker()
    key = "0123456789abcdef0123456789abcdef"
    metainfo, data, _ = await pair(world, trackers=[tracker.url.replace("/announce", f"/{key}/announce")])
    async with session_on(world.host()) as session:
        torrent = session.add(metainfo, trackers=[f"http://tracker.example/announce?passkey={key}"])
        await trio.sleep(40)
        assert {row.state for row in torrent.trackers()} <= {"ok", "failed"}
        assert key not in str(torrent.trackers())
        assert key not in str(torrent.why())
    assert "tracker" in caplog.text
    assert key not in caplog.text
