"""Hybrids and pad files as libtorrent makes them."""

from __future__ import annotations

import hashlib
import os
import pathlib
from types import SimpleNamespace

import pytest

from torrentlite import bencode
from torrentlite.errors import MetainfoError
from torrentlite.metainfo.magnet import Magnet
from torrentlite.metainfo.metainfo import Info, Metainfo

libtorrent = pytest.importorskip("libtorrent")

CONTENTS = {
    "a": b"a" * 20_000,
    "empty": b"",
    "one": b"1",
    "sub/exactly": b"x" * 32_768,
    "sub/odd": b"o" * (5 * 16_384 + 1),
    "sub/same": b"o" * (5 * 16_384 + 1),
    "z": b"z" * 100,
}


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> pathlib.Path:
    top = tmp_path / "top"
    for name, content in CONTENTS.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(content)
    (top / "one").chmod(0o755)
    (top / "link").symlink_to("a")
    return top


def made_by_libtorrent(
    path: pathlib.Path, flags: int = libtorrent.create_torrent.symlinks, piece_length: int = 16384
) -> bytes:
    files = libtorrent.list_files(os.fspath(path), lambda _: True, flags)
    torrent = libtorrent.create_torrent(files, piece_length, flags)
    torrent.add_tracker("http://t.example/announce", 0)
    torrent.add_tracker("udp://t.example:80", 1)
    libtorrent.set_piece_hashes(torrent, os.fspath(path.parent))
    return bytes(libtorrent.bencode(torrent.generate()))


def pieces(metainfo: Metainfo) -> list[bytes]:
    """The pieces' digests, worked out from the files as ``Info`` describes them."""
    data = b"".join(
        bytes(file.length) if file.pad else b"" if file.symlink else CONTENTS["/".join(file.path[1:])]
        for file in metainfo.files
    )
    length = metainfo.piece_length
    return [hashlib.sha1(data[at : at + length]).digest() for at in range(0, len(data), length)]


def test_a_hybrid_is_read_by_its_v1_half(tree: pathlib.Path) -> None:
    data = made_by_libtorrent(tree)
    metainfo = Metainfo.from_bytes(data)
    oracle = libtorrent.load_torrent_buffer(data).ti
    assert metainfo.info.hashes.v1 == oracle.info_hashes().v1.to_bytes()
    assert metainfo.info.hashes.v2 == oracle.info_hashes().v2.to_bytes()
    assert any(file.pad for file in metainfo.files)
    assert metainfo.info.layout.total == oracle.total_size()
    assert metainfo.total == sum(map(len, CONTENTS.values()))
    assert [metainfo.info.piece_hash(piece) for piece in range(oracle.num_pieces())] == pieces(metainfo)

    files = {"/".join(file.path): file for file in metainfo.files if not file.pad}
    assert files.keys() == {f"top/{name}" for name in [*CONTENTS, "link"]}
    assert [name for name, file in files.items() if file.symlink] == ["top/link"]
    assert [name for name, file in files.items() if file.executable and not file.symlink] == ["top/one"]
    assert all(file.offset % 16384 == 0 for file in files.values() if file.length)
    assert metainfo.warnings == ()


@pytest.mark.parametrize("flags", [libtorrent.create_torrent.symlinks, libtorrent.create_torrent.v1_only])
def test_written_again_it_is_the_same(tree: pathlib.Path, flags: int) -> None:
    data = made_by_libtorrent(tree, flags)
    assert Metainfo.from_bytes(data).encode() == data


def test_one_file(tree: pathlib.Path) -> None:
    metainfo = Metainfo.from_bytes(made_by_libtorrent(tree / "sub" / "odd"))
    assert metainfo.info.hashes.v2 is not None
    assert [file.path for file in metainfo.files] == [("odd",)]
    assert not metainfo.info.multi


@pytest.mark.parametrize("piece_length", [32_768, 65_536, 131_072])
def test_larger_pieces_have_layers_further_up(tree: pathlib.Path, piece_length: int) -> None:
    metainfo = Metainfo.from_bytes(made_by_libtorrent(tree, piece_length=piece_length))
    assert metainfo.piece_length == piece_length
    assert metainfo.warnings == ()


def test_links_of_libtorrent(tree: pathlib.Path) -> None:
    data = made_by_libtorrent(tree)
    link = libtorrent.make_magnet_uri(libtorrent.load_torrent_buffer(data).ti)
    metainfo = Metainfo.from_bytes(data)
    assert Magnet.parse(link).hashes == metainfo.info.hashes
    assert libtorrent.parse_magnet_uri(metainfo.magnet).info_hashes.v2.to_bytes() == metainfo.info.hashes.v2


def test_from_peers_it_comes_without_piece_layers(tree: pathlib.Path) -> None:
    whole = Metainfo.from_bytes(made_by_libtorrent(tree))
    fetched = Metainfo(Info.from_bytes(whole.info.raw))
    assert fetched.info == whole.info
    again = Metainfo.from_bytes(fetched.encode())
    assert again.info.hashes == whole.info.hashes
    assert "piece layers" in again.warnings[0]


@pytest.fixture
def parts(tree: pathlib.Path) -> SimpleNamespace:
    """A hybrid taken apart, to be put together wrong."""
    top = bencode.decode(made_by_libtorrent(tree))
    assert isinstance(top, dict)
    return SimpleNamespace(top=top, info=top[b"info"], tree=top[b"info"][b"file tree"], layers=top[b"piece layers"])


def refused(parts: SimpleNamespace) -> str:
    with pytest.raises(MetainfoError) as raised:
        Metainfo.from_bytes(bencode.encode(parts.top))
    return str(raised.value)


def test_taken_apart_and_put_together_it_is_right(parts: SimpleNamespace) -> None:
    assert Metainfo.from_bytes(bencode.encode(parts.top)).warnings == ()


def test_one_wrong_byte_in_a_layer(parts: SimpleNamespace) -> None:
    for root, layer in parts.layers.items():
        parts.layers[root] = layer[:-1] + bytes([layer[-1] ^ 1])
        assert "does not lead to the root" in refused(parts)
        parts.layers[root] = layer


def test_two_layers_exchanged(parts: SimpleNamespace) -> None:
    (one, first), (two, second) = list(parts.layers.items())[:2]
    parts.layers[one], parts.layers[two] = second, first
    assert "layer" in refused(parts)


def test_a_layer_too_few_and_one_too_many(parts: SimpleNamespace) -> None:
    root, layer = parts.layers.popitem()
    assert "not those" in refused(parts)
    parts.layers |= {root: layer, b"x" * 32: layer}
    assert "not those" in refused(parts)


def test_a_file_that_only_v2_clients_would_see(parts: SimpleNamespace) -> None:
    parts.tree[b"extra"] = {b"": {b"length": 0}}
    assert "different files" in refused(parts)


def test_a_file_that_only_v1_clients_would_see(parts: SimpleNamespace) -> None:
    parts.info[b"files"].append({b"length": 0, b"path": [b"extra"]})
    assert "different files" in refused(parts)


def test_a_folder_of_its_own_for_v2_clients(parts: SimpleNamespace) -> None:
    parts.tree[b"moved"] = parts.tree.pop(b"sub")
    assert "different files" in refused(parts)


def test_padding_with_another_size(parts: SimpleNamespace) -> None:
    pads = [file for file in parts.info[b"files"] if file.get(b"attr") == b"p"]
    pads[0][b"length"] += 1
    pads[1][b"length"] -= 1
    assert "not begin every file at a piece" in refused(parts)


def test_padding_at_the_end_is_not_needed(parts: SimpleNamespace) -> None:
    files = parts.info[b"files"]
    assert files.pop()[b"attr"] == b"p"
    assert Metainfo.from_bytes(bencode.encode(parts.top)).total == sum(map(len, CONTENTS.values()))
