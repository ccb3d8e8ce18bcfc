"""What a text means; and a .torrent from a URL: what a server may do is bounded (the rest: ``tests/net/test_http.py``)."""

import pathlib

import pytest
import trio

import torrentlite as tl
from tests.net.memory import MemoryNetwork, Server
from torrentlite import limits


@pytest.mark.parametrize("pause", [1.0, limits.LOAD_DEADLINE])
async def test_a_server_has_so_long(pause, nursery, monkeypatch, autojump_clock):
    network = MemoryNetwork(nursery)
    network.names = {"t.example": ["192.0.2.1"]}
    network.serve("192.0.2.1", 80, Server(b"HTTP/1.1 404 No\r\n", b"Content-Length: 0\r\n\r\n", pause=pause))
    monkeypatch.setattr("torrentlite.swarm.world.RealNetwork", lambda *_: network)
    words = "404" if pause == 1.0 else f"within {limits.LOAD_DEADLINE:g} seconds"
    with pytest.raises(tl.TorrentError, match=words):
        await tl.load("http://t.example/a.torrent")
    assert trio.current_time() <= limits.LOAD_DEADLINE


@pytest.mark.parametrize(
    ("host", "bound"), [("192.0.2.7", "192.0.2.7"), ("", ""), ("0.0.0.0", ""), ("::", ""), ("127.0.0.1", "")]
)
async def test_it_is_asked_from_the_address_of_the_session(host, bound, nursery, monkeypatch):
    asked = []

    def refuse(*way):
        asked.append(way)
        return MemoryNetwork(nursery)

    monkeypatch.setattr("torrentlite.swarm.world.RealNetwork", refuse)
    with pytest.raises(tl.NetworkError):
        await tl.load("http://192.0.2.1/a.torrent", settings=tl.Settings(host=host))
    assert asked == [(bound, "")]


HEX = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize("text", [HEX, HEX.upper(), f"magnet:?xt=urn:btih:{HEX}", f"MAGNET:?xt=urn:btih:{HEX}"])
@pytest.mark.parametrize("pasted", ["{}", " {}\n"])
async def test_a_link_or_a_hash_is_what_it_is_to_a_session(text, pasted):
    found = await tl.load(pasted.format(text))
    assert found == tl.Magnet.parse(text)
    assert found.info_hash == HEX


@pytest.mark.parametrize("text", ["ab" * 32, "1220" + "ab" * 32])
async def test_a_hash_of_v2_is_no_path(text):
    found = await tl.load(text)
    assert isinstance(found, tl.Magnet)
    assert found.hashes == (None, bytes.fromhex("ab" * 32))
    assert found.info_hash == "ab" * 32


@pytest.mark.parametrize("name", [HEX, "a2" * 16, "ab" * 32])
async def test_a_file_wins_over_a_hash_of_its_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.bin").write_bytes(b"data")
    metainfo = await tl.create(tmp_path / "data.bin")
    (tmp_path / name).write_bytes(metainfo.encode())
    assert await tl.load(name) == metainfo


async def test_a_path_is_no_link_whatever_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (HEX, f"magnet:?xt=urn:btih:{HEX}", "http://host.example/x.torrent"):
        with pytest.raises(tl.SourceError, match="no such file"):
            await tl.load(pathlib.Path(name))
