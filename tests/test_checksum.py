"""A file against the SHA-256 that somebody gave for it. Nothing is fetched here: it lies there already, or is made."""

import functools
import hashlib
import threading

import pytest
import trio
import trio.testing

import torrentlite as tl
from tests.strangers import on_loopback, without_hashes
from torrentlite.checksum import check_sha256, parse_sha256

DATA = bytes(range(200)) * 999
DIGEST = hashlib.sha256(DATA).hexdigest()
SETTINGS = tl.Settings(host="127.0.0.1", dht=False)


@pytest.fixture
async def torrent(tmp_path):
    (tmp_path / "file").write_bytes(DATA)
    path = tmp_path / "file.torrent"
    path.write_bytes((await tl.create(tmp_path / "file")).encode())
    return path


async def test_the_right_one(torrent, tmp_path):
    assert await tl.fetch(torrent, tmp_path, sha256=DIGEST, settings=SETTINGS) == (tmp_path / "file",)
    assert await tl.fetch(torrent, tmp_path, sha256=DIGEST.upper(), settings=SETTINGS)


async def test_what_lay_there_before_stays(torrent, tmp_path):
    with pytest.raises(tl.VerifyError, match=DIGEST) as caught:
        await tl.fetch(torrent, tmp_path, sha256="0" * 64, settings=SETTINGS)
    assert "0" * 64 in str(caught.value)
    assert (tmp_path / "file").read_bytes() == DATA


async def test_what_was_fetched_before_the_last_start_is_put_aside(torrent, tmp_path):
    """Nothing is left to fetch, and nobody had said that it is finished."""
    metainfo = tl.Metainfo.from_bytes(torrent.read_bytes())
    (tmp_path / "file").rename(tmp_path / f"file.{metainfo.info_hash[:8]}.part")
    with pytest.raises(tl.VerifyError, match=DIGEST):
        await tl.fetch(torrent, tmp_path, sha256="0" * 64, settings=SETTINGS)
    assert not (tmp_path / "file").exists()
    assert (tmp_path / "file.wrong").read_bytes() == DATA


async def test_what_lay_there_stays_also_where_its_neighbour_is_fetched(tmp_path):
    """They share a piece."""
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "a").write_bytes(DATA)
    (tmp_path / "pack" / "b").write_bytes(DATA)
    path = tmp_path / "pack.torrent"
    path.write_bytes((await tl.create(tmp_path / "pack")).encode())
    (tmp_path / "there" / "pack").mkdir(parents=True)
    (tmp_path / "there" / "pack" / "a").write_bytes(DATA)
    async with tl.open_session(SETTINGS) as seed:
        seed.add(path.read_bytes(), tmp_path)
        with pytest.raises(tl.VerifyError, match=DIGEST):
            await tl.fetch(
                path,
                tmp_path / "there",
                select=[0],
                sha256="0" * 64,
                peers=[("127.0.0.1", seed.port)],
                settings=SETTINGS,
            )
    assert [entry.name for entry in (tmp_path / "there" / "pack").iterdir()] == ["a"]


@pytest.fixture
async def folder(tmp_path):
    (tmp_path / "folder").mkdir()
    for name, data in (("a", DATA), ("b", DATA[::-1])):
        (tmp_path / "folder" / name).write_bytes(data)
    return await tl.create(tmp_path / "folder")


@pytest.mark.parametrize("select", [None, [], ["a", "b"]])
async def test_several_files(folder, tmp_path, select):
    count = 2 if select is None else len(select)
    with pytest.raises(tl.VerifyError, match=f"of one file, and {count} of folder"):
        await tl.fetch(folder, tmp_path, select=select, sha256=DIGEST, settings=SETTINGS)


async def test_several_files_are_told_of_before_the_hashes_of_their_pieces(folder, tmp_path):
    """Of v2 these come last, or never."""
    folder = await tl.create(tmp_path / "folder", version="v2", piece_length=16_384)
    with on_loopback(folder.info, react=without_hashes) as silent:
        fetch = functools.partial(tl.fetch, save_to=tmp_path / "x", sha256=DIGEST, settings=SETTINGS, timeout=10)
        with pytest.raises(tl.VerifyError, match="of one file, and 2 of folder"):
            await fetch(folder.magnet, peers=[("127.0.0.1", silent.port)])
        with pytest.raises(tl.NoSuchFileError, match="no file 'c'"):
            await fetch(folder.magnet, peers=[("127.0.0.1", silent.port)], select=["c"])


@pytest.mark.parametrize("by_link", [False, True])
async def test_one_of_several(folder, tmp_path, by_link):
    """Chosen by hand, or by the link."""
    magnet = tl.Magnet.parse(folder.magnet)
    async with tl.open_session(SETTINGS) as seed:
        seed.add(folder, tmp_path)
        fetch = functools.partial(
            tl.fetch,
            magnet._replace(select=(0,)) if by_link else magnet,
            select=None if by_link else ["a"],
            peers=[("127.0.0.1", seed.port)],
            settings=SETTINGS,
        )
        await fetch(save_to=tmp_path / "right", sha256=DIGEST)
        with pytest.raises(tl.VerifyError, match=DIGEST):
            await fetch(save_to=tmp_path / "wrong", sha256="0" * 64)
    assert [path.name for path in (tmp_path / "right" / "folder").iterdir()] == ["a"]
    assert [path.name for path in (tmp_path / "wrong" / "folder").iterdir()] == ["a.wrong"]


async def test_there_is_no_thread_to_read_it_in(torrent, tmp_path, no_new_threads):
    go, refused = threading.Event(), []

    async def hold():
        try:
            await trio.to_thread.run_sync(go.wait, abandon_on_cancel=True, limiter=trio.CapacityLimiter(1))
        except RuntimeError as error:
            refused.append(error)

    threading.stack_size(0)
    async with tl.open_session(SETTINGS) as session, trio.open_nursery() as nursery:
        there = session.add(torrent.read_bytes(), tmp_path)
        await there.wait_complete()
        threading.stack_size(1 << 46)
        while not refused:  # Trio keeps those that have nothing to do
            nursery.start_soon(hold)
            await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(tl.DiskTroubleError, match="no thread may be started"):
            await check_sha256(there, session, bytes.fromhex(DIGEST))
        go.set()
        threading.stack_size(0)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("text", [DIGEST, DIGEST.upper(), f"sha256:{DIGEST}", f" {DIGEST}\n"])
def test_how_tools_write_it(text):
    assert parse_sha256(text).hex() == DIGEST


@pytest.mark.parametrize("text", ["", "beef", "g" * 64, "0" * 63, "0" * 65, "０" * 64, " " + "0" * 63])
async def test_what_is_no_sha256(torrent, text):
    with pytest.raises(ValueError, match="64 hex digits"):
        parse_sha256(text)
    with pytest.raises(ValueError, match="64 hex digits"):
        await tl.fetch(torrent, sha256=text)
