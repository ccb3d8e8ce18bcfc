"""A file against the SHA-256 that somebody gave for it. Nothing is fetched here: it lies there already, or is made."""

import hashlib

import pytest

import torrentlite as tl
from torrentlite.checksum import parse_sha256, the_one_file

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


async def test_several_files(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in "ab":
        (folder / name).write_bytes(DATA)
    metainfo = await tl.create(folder)
    path = tmp_path / "folder.torrent"
    path.write_bytes(metainfo.encode())
    with pytest.raises(tl.VerifyError, match="of one file, and 2"):
        await tl.fetch(path, tmp_path, sha256=DIGEST, settings=SETTINGS)
    assert the_one_file(metainfo, [1]) == 1


@pytest.mark.parametrize("text", [DIGEST, DIGEST.upper(), f"sha256:{DIGEST}", f" {DIGEST}\n"])
def test_how_tools_write_it(text):
    assert parse_sha256(text).hex() == DIGEST


@pytest.mark.parametrize("text", ["", "beef", "g" * 64, "0" * 63, "0" * 65, "０" * 64, " " + "0" * 63])
async def test_what_is_no_sha256(torrent, text):
    with pytest.raises(ValueError, match="64 hex digits"):
        parse_sha256(text)
    with pytest.raises(ValueError, match="64 hex digits"):
        await tl.fetch(torrent, sha256=text)
