"""Torrents of v2 alone (BEP 52) with libtorrent, in both directions, by .torrent and by magnet, byte for byte."""

import os
import pathlib
import random

import pytest

import torrentlite
from tests.interop.clients import Libtorrent, Space, missing, tl_fetch, tl_seeding, wait_for
from tests.interop.datasets import digest

pytestmark = pytest.mark.interop

HOME = Space()
PIECE = 32 << 10
SIZES = {
    "1500 pieces": 1500 * PIECE - 5,
    "512 pieces": 512 * PIECE,
    "a/513 pieces": 512 * PIECE + 1,
    "a/b/three pieces": 3 * PIECE - 17_000,
    "a/b/the same": 3 * PIECE - 17_000,
    "a/one piece": PIECE,
    "one block": 16_384,
    "one byte": 1,
    "nothing": 0,
    "ünïcödé – 文件.txt": 2 * PIECE,
}


def make(root: pathlib.Path, flags: str = "v2_only") -> bytes:
    try:
        import libtorrent as lt
    except ImportError:
        missing("libtorrent")
    kind = getattr(lt.create_torrent, flags)
    maker = lt.create_torrent(lt.list_files(os.fspath(root), lambda _: True, kind), PIECE, kind)
    lt.set_piece_hashes(maker, os.fspath(root.parent))
    return bytes(lt.bencode(maker.generate()))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("originals") / "dataset"
    for name, size in SIZES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.Random("same" if "the same" in name or "three" in name else name).randbytes(size))
    return root


@pytest.fixture(scope="module")
def torrent(root):
    path = root.parent / "dataset.torrent"
    path.write_bytes(make(root))
    return path


def magnet(torrent):
    link = torrentlite.Metainfo.from_bytes(torrent.read_bytes()).magnet
    assert "btih" not in link
    return link


@pytest.mark.parametrize("how", ["torrent", "magnet"])
def test_from_libtorrent(root, torrent, tmp_path, how):
    with Libtorrent() as peer:
        handle = peer.add(torrent, root.parent)
        wait_for("libtorrent seeds", lambda: handle.status().is_seeding)
        source = torrent if how == "torrent" else magnet(torrent)
        tl_fetch(HOME, [source], tmp_path / "out", tmp_path, "--peer", f"127.0.0.1:{peer.port}")
    assert digest(tmp_path / "out" / root.name) == digest(root)


@pytest.mark.parametrize("how", ["torrent", "magnet"])
def test_to_libtorrent(root, torrent, tmp_path, how):
    with tl_seeding(HOME, [torrent], root.parent, tmp_path) as port, Libtorrent() as peer:
        handle = peer.add(torrent if how == "torrent" else magnet(torrent), tmp_path / "out", port)
        wait_for("libtorrent fetches", lambda: handle.status().is_seeding)
        wait_for("it has written", lambda: digest(tmp_path / "out" / root.name) == digest(root))


def test_a_hybrid_by_its_v2_hash_alone(root, tmp_path):
    """Who was given only that is among those who use the v2 half, where nobody asks for padding."""
    path = tmp_path / "hybrid.torrent"
    path.write_bytes(make(root, "canonical_files"))
    hashes = torrentlite.Metainfo.from_bytes(path.read_bytes()).hashes
    assert hashes.v1 is not None and hashes.v2 is not None
    with Libtorrent() as peer:
        handle = peer.add(path, root.parent)
        wait_for("libtorrent seeds", lambda: handle.status().is_seeding)
        link = f"magnet:?xt=urn:btmh:1220{hashes.v2.hex()}"
        tl_fetch(HOME, [link], tmp_path / "out", tmp_path, "--peer", f"127.0.0.1:{peer.port}")
    assert digest(tmp_path / "out" / root.name) == digest(root)
