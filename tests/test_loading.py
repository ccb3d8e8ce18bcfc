"""A .torrent from a URL: what a server may do is bounded (the rest of it is in ``tests/net/test_http.py``)."""

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
    monkeypatch.setattr("torrentlite.loading.RealNetwork", lambda: network)
    words = "404" if pause == 1.0 else f"within {limits.LOAD_DEADLINE:g} seconds"
    with pytest.raises(tl.TorrentError, match=words):
        await tl.load("http://t.example/a.torrent")
    assert trio.current_time() <= limits.LOAD_DEADLINE
