"""Torrents of v2 alone (BEP 52), as libtorrent makes them."""

from __future__ import annotations

import hashlib
import os
import pathlib

import pytest
from hypothesis import given, strategies as st

from torrentlite import bencode, limits
from torrentlite.errors import MetainfoError
from torrentlite.metainfo import digest, merkle
from torrentlite.metainfo.info import Info, InfoHashes
from torrentlite.metainfo.layout import Layout
from torrentlite.metainfo.magnet import Magnet
from torrentlite.metainfo.metainfo import Metainfo

from .test_hybrid import CONTENTS, libtorrent, made_by_libtorrent, tree as tree

V2_ONLY = libtorrent.create_torrent.v2_only


def digests(metainfo: Metainfo) -> list[bytes]:
    """The pieces' digests, worked out from the files as ``Info`` describes them."""
    info, found = metainfo.info, []
    for file in info.files:
        data = b"" if file.pad or file.symlink else CONTENTS["/".join(file.path[1:] or file.path)]
        starts = range(0, len(data), info.piece_length)
        found += [info.hashing.of(data[start : start + info.piece_length]) for start in starts]
    return found


@pytest.mark.parametrize("piece_length", [16_384, 32_768, 65_536, 131_072])
def test_a_folder(tree: pathlib.Path, piece_length: int) -> None:
    data = made_by_libtorrent(tree, V2_ONLY | libtorrent.create_torrent.symlinks, piece_length)
    metainfo, theirs = Metainfo.from_bytes(data), libtorrent.load_torrent_buffer(data).ti
    info = metainfo.info
    assert metainfo.warnings == ()
    assert info.hashes == InfoHashes(None, theirs.info_hashes().v2.to_bytes())
    assert info.hashes.wire == theirs.info_hashes().v2.to_bytes()[:20]
    assert metainfo.info_hash == theirs.info_hashes().v2.to_bytes().hex()
    assert {file.path: file.length for file in info.files if not (file.pad or file.symlink)} == {
        ("top", *name.split("/")): len(content) for name, content in CONTENTS.items()
    }
    with pytest.deprecated_call():
        files = theirs.files()  # with the gaps, so that indexes mean the same
    pad = libtorrent.file_storage.flag_pad_file
    theirs_are = [
        (files.file_size(i), files.file_offset(i), bool(files.file_flags(i) & pad)) for i in range(files.num_files())
    ]
    ours = [(entry.length, entry.offset, entry.pad) for entry in info.files]
    assert ours == theirs_are[: len(ours)]  # it fills the last piece too
    assert info.layout.piece_count == theirs.num_pieces()
    assert [info.piece_hash(piece) for piece in range(info.layout.piece_count)] == digests(metainfo)
    assert [entry.path[1:] for entry in info.files if entry.executable and not entry.symlink] == [("one",)]
    assert Metainfo.from_bytes(metainfo.encode()) == metainfo
    assert metainfo.encode() == Metainfo.from_bytes(metainfo.encode()).encode()
    assert bencode.decode(metainfo.encode())[b"piece layers"] == bencode.decode(data)[b"piece layers"]


def test_one_file(tree: pathlib.Path) -> None:
    metainfo = Metainfo.from_bytes(made_by_libtorrent(tree / "sub" / "odd", V2_ONLY))
    assert [file.path for file in metainfo.files] == [("odd",)]
    assert not metainfo.info.multi
    assert [metainfo.info.piece_hash(piece) for piece in range(6)] == digests_of(CONTENTS["sub/odd"], 16_384)


def test_one_file_is_called_what_the_tree_calls_it(tree: pathlib.Path) -> None:
    """BEP 52: "name: A display name for the torrent. It is purely advisory"."""
    fields = bencode.decode(made_by_libtorrent(tree / "sub" / "odd", V2_ONLY))
    assert isinstance(fields, dict) and isinstance(fields[b"info"], dict)
    fields[b"info"][b"name"] = b"a nice word"
    info = Metainfo.from_bytes(bencode.encode(fields)).info
    assert (info.display_name, info.name, info.files[0].path) == ("a nice word", "odd", ("odd",))


def digests_of(data: bytes, length: int) -> list[bytes]:
    return [digest.tree(length).of(data[at : at + length]) for at in range(0, len(data), length)]


def test_a_folder_of_one_file_is_a_folder(tmp_path: pathlib.Path) -> None:
    (tmp_path / "top" / "sub").mkdir(parents=True)
    (tmp_path / "top" / "sub" / "a").write_bytes(b"a")
    metainfo = Metainfo.from_bytes(made_by_libtorrent(tmp_path / "top", V2_ONLY))
    assert [file.path for file in metainfo.files] == [("top", "sub", "a")]
    assert metainfo.info.multi


def test_an_info_dictionary_alone_lacks_the_layers(tree: pathlib.Path) -> None:
    whole = Metainfo.from_bytes(made_by_libtorrent(tree, V2_ONLY)).info
    info = Info.from_bytes(whole.raw)
    assert info.lacks_layers
    assert info.layers_needed == {root: n for root in info.layers_needed if (n := len(whole.layer(root) or b"") // 32)}
    assert len(info.layers_needed) == 3  # of "a", of "sub/exactly", and one of "sub/odd" and "sub/same"
    found = info.with_layers({root: whole.layer(root) or b"" for root in info.layers_needed})
    assert found.pieces == whole.pieces
    assert whole.layer(b"r" * 32) is None


def test_no_torrent_file_is_made_without_the_layers(tree: pathlib.Path) -> None:
    """It would be one that nobody can use, we ourselves included."""
    whole = Metainfo.from_bytes(made_by_libtorrent(tree, V2_ONLY))
    lacking = Metainfo(Info.from_bytes(whole.info.raw))
    with pytest.raises(MetainfoError, match="lacks its piece layers") as caught:
        lacking.encode()
    assert "magnet link" in caught.value.hint
    assert lacking.magnet == str(Magnet(whole.hashes, whole.name))


def test_where_every_file_is_a_piece_nothing_is_lacking(tree: pathlib.Path) -> None:
    info = Metainfo.from_bytes(made_by_libtorrent(tree, V2_ONLY, 131_072)).info
    assert not Info.from_bytes(info.raw).lacks_layers


def test_the_v2_half_of_a_hybrid(tree: pathlib.Path) -> None:
    """Who was given its SHA-256 alone is among those who use that half."""
    hybrid = Metainfo.from_bytes(made_by_libtorrent(tree)).info
    flags = V2_ONLY | libtorrent.create_torrent.symlinks
    alone = Metainfo.from_bytes(made_by_libtorrent(tree, flags)).info
    half = Info.from_bytes(hybrid.raw, v2=True)
    assert half.hashes == InfoHashes(None, hashlib.sha256(hybrid.raw).digest())
    assert half.files == alone.files[: len(half.files)]
    assert half.with_layers({root: alone.layer(root) or b"" for root in half.layers_needed}).pieces == alone.pieces


def test_the_v2_half_of_v1_is_none() -> None:
    raw = bencode.encode({"length": 1, "name": "a", "piece length": 16384, "pieces": b"h" * 20})
    assert Info.from_bytes(raw).hashes.v2 is None
    with pytest.raises(MetainfoError, match="v1"):
        Info.from_bytes(raw, v2=True)


def test_links_of_libtorrent(tree: pathlib.Path) -> None:
    data = made_by_libtorrent(tree, V2_ONLY)
    link = libtorrent.make_magnet_uri(libtorrent.load_torrent_buffer(data).ti)
    metainfo = Metainfo.from_bytes(data)
    assert Magnet.parse(link).hashes == metainfo.hashes
    assert libtorrent.parse_magnet_uri(metainfo.magnet).info_hashes.v2.to_bytes() == metainfo.hashes.v2
    assert Magnet.parse(metainfo.magnet).hashes == metainfo.hashes


# -- digests -----------------------------------------------------------------------------------------------------------


@given(st.binary(min_size=1, max_size=70_000), st.lists(st.integers(1, 40_000), min_size=1))
def test_a_digest_in_parts(data: bytes, cuts: list[int]) -> None:
    whole = digest.tree(131_072).of(data)
    parts, at = digest.tree(131_072).new(), 0
    while at < len(data):
        for cut in cuts:
            parts.update(data[at : at + cut])
            at += cut
    assert parts.digest() == whole
    blocks = [hashlib.sha256(data[i : i + 16_384]).digest() for i in range(0, len(data), 16_384)]
    blocks += [bytes(32)] * (8 - len(blocks))
    while len(blocks) > 1:
        blocks = [hashlib.sha256(a + b).digest() for a, b in zip(blocks[::2], blocks[1::2], strict=True)]
    assert whole == blocks[0]


# -- a layout with gaps ------------------------------------------------------------------------------------------------

LENGTHS = st.lists(st.integers(1, 70_000), min_size=1, max_size=40)


def aligned(lengths: list[int], piece_length: int) -> Layout:
    """Files with the gaps that BEP 52 leaves between them."""
    found, gaps = [], []
    for length in lengths:
        if found and sum(found) % piece_length:
            gaps.append(len(found))
            found.append(piece_length - sum(found) % piece_length)
        found.append(length)
    return Layout(piece_length, found, gaps)


@given(LENGTHS, st.sampled_from([16_384, 32_768]), st.data())
def test_pieces_before_a_gap_are_short(lengths: list[int], piece_length: int, data: st.DataObject) -> None:
    layout = aligned(lengths, piece_length)
    sizes = [min(piece_length, length - at) for length in lengths for at in range(0, length, piece_length)]
    assert [layout.piece_size(piece) for piece in range(layout.piece_count)] == sizes
    assert sum(layout.bytes_of_pieces(1 << piece) for piece in range(layout.piece_count)) == sum(lengths)
    chosen = data.draw(st.sets(st.integers(0, layout.piece_count - 1), min_size=1))
    bits = sum(1 << piece for piece in chosen)
    assert layout.bytes_of_pieces(bits) == sum(sizes[piece] for piece in chosen)
    assert layout.least_of(bits) == min(sizes[piece] for piece in chosen)
    for piece in chosen:  # no byte of a gap belongs to a piece
        assert not layout.gaps.intersection(layout.files_of_piece(piece))
    runs = list(layout.unbroken(range(layout.piece_count)))
    assert [piece for run in runs for piece in run] == list(range(layout.piece_count))
    assert all(layout.piece_size(piece) == piece_length for run in runs for piece in run[:-1])


def test_a_layer_stands_for_the_pieces_of_its_file() -> None:
    data = os.urandom(5 * 32_768 + 1)
    layer = b"".join(digests_of(data, 32_768))
    assert merkle.root_of(layer, 1) == merkle.root_of(merkle.leaves(data), 0)


def test_a_small_file_with_the_root_of_a_large_one(tree: pathlib.Path) -> None:
    """The hashes of two blocks, as a file: its only block has the hash that is above them."""
    large = os.urandom(2 * 16_384)
    layer = merkle.leaves(large)
    root = merkle.root_of(layer, 0)
    assert merkle.root_of(merkle.leaves(layer), 0) == root
    files = {
        b"large": {b"": {b"length": len(large), b"pieces root": root}},
        b"small": {b"": {b"length": len(layer), b"pieces root": root}},
    }
    info = {b"file tree": files, b"meta version": 2, b"name": b"n", b"piece length": 16_384}
    data = bencode.encode({b"info": info, b"piece layers": {root: layer}})
    metainfo = Metainfo.from_bytes(data)
    assert metainfo.encode() == data
    assert bytes(metainfo.info.layer(root) or b"") == layer
    assert metainfo.info.pieces == layer + root


@pytest.mark.parametrize("depth", [limits.MAX_TREE_DEPTH, limits.MAX_TREE_DEPTH + 1])
def test_how_deep_a_tree_may_be(depth: int) -> None:
    tree: dict[bytes, object] = {b"": {b"length": 5, b"pieces root": b"r" * 32}}
    for _ in range(depth):
        tree = {b"d": tree}
    raw = bencode.encode({b"file tree": tree, b"meta version": 2, b"name": b"n", b"piece length": 16_384})
    if depth > limits.MAX_TREE_DEPTH:
        with pytest.raises(MetainfoError, match="deeper than the 96 folders"):
            Info.from_bytes(raw)
    else:
        assert len(Info.from_bytes(raw).files[0].path) == 1 + depth
