"""BEP 54 with libtorrent: it knows which pieces a bounded storage of ours has, and fetches those."""

import functools
import pathlib
import random

import pytest
import trio

import torrentlite as tl

from .clients import missing

pytestmark = pytest.mark.interop

ALONE = {"host": "127.0.0.1", "dht": False, "lsd": False, "port_map": False}
PIECE = 64 << 10


@pytest.fixture
def lt():
    try:
        import libtorrent
    except ImportError:
        missing("libtorrent")
    return libtorrent


async def test_libtorrent_follows_what_comes_and_goes(lt, tmp_path: pathlib.Path):
    data = random.Random(1).randbytes(100 * PIECE)
    (tmp_path / "film.bin").write_bytes(data)
    metainfo = await tl.create(tmp_path / "film.bin", piece_length=PIECE)
    theirs = lt.session(
        {"listen_interfaces": "127.0.0.1:0", "enable_dht": False, "enable_lsd": False, "enable_upnp": False,
         "enable_natpmp": False, "enable_outgoing_utp": False}
    )  # fmt: skip
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(lt.bdecode(metainfo.encode()))
    params.save_path = str(tmp_path / "theirs")
    params.flags &= ~(lt.torrent_flags.paused | lt.torrent_flags.auto_managed)
    async with tl.open_session(tl.Settings(**ALONE)) as sharing, tl.open_session(tl.Settings(**ALONE)) as session:
        await sharing.add(metainfo, tmp_path).wait_complete()
        storage = functools.partial(tl.CacheStorage, limit=10 * PIECE)
        torrent = session.add(metainfo, storage=storage, peers=[("127.0.0.1", sharing.port)])
        await torrent.wait_checked()
        handle = theirs.add_torrent(params)
        handle.connect_peer(("127.0.0.1", session.port))

        def known() -> int:
            peers = handle.get_peer_info()
            return sum(1 << piece for piece, has in enumerate(peers[0].pieces) if has) if peers else -1

        with trio.fail_after(60):
            async with torrent.open() as file:
                for part in range(25):
                    assert await file.read(4 * PIECE) == data[part * 4 * PIECE :][: 4 * PIECE]
                    await trio.sleep(0.02)
            have = torrent.pieces().have
            assert 8 <= have.bit_count() <= 10
            while known() != have or not handle.status().num_pieces:
                await trio.sleep(0.02)
        assert session.stats().internal_errors == 0
        assert len(handle.get_peer_info()) == 1
