"""The v2 half of a hybrid torrent (BEP 52), as far as one must look at it who uses the v1 half.

Both halves must describe the same files in the same order and place, or a v1 client and a v2 client would share
different things under one name. The hash trees themselves are for v2 clients; only what the .torrent carries of them
is checked, so that a broken one is refused before it is spread.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

from ..bencode import Value
from ..errors import MetainfoError
from .layout import BLOCK_SIZE

_DIGEST: Final = 32

V1File: TypeAlias = tuple[tuple[bytes, ...], int, int]
"""Path below the top folder, length, offset in the torrent's bytes."""


class TreeFile(NamedTuple):
    """A file of the file tree. ``root`` is the root of its hash tree, empty for an empty file."""

    path: tuple[bytes, ...]
    length: int
    root: bytes


def check_halves(tree: Value | None, piece_length: int, v1: Sequence[V1File]) -> None:
    """Compare the file tree with the real files of the v1 half.

    Raises:
        MetainfoError: they disagree, or the v2 half is broken in itself.
    """
    if piece_length < BLOCK_SIZE or piece_length & (piece_length - 1):
        raise MetainfoError(f"a hybrid's piece length must be a power of two from {BLOCK_SIZE}, not {piece_length}")
    v2 = _tree_files(tree, len(v1))
    if [(path, length) for path, length, _ in v1] != [(file.path, file.length) for file in v2]:
        raise MetainfoError("the two halves of this hybrid name different files or sizes")
    if any(length and offset % piece_length for _, length, offset in v1):
        raise MetainfoError("the v1 half of this hybrid does not begin every file at a piece")


def check_layers(layers: Value, tree: Value | None, piece_length: int) -> None:
    """Check the ``piece layers`` of a .torrent against the roots in its (checked) file tree.

    Raises:
        MetainfoError: a layer is missing, of no file, or does not lead to its root.
    """
    if not isinstance(layers, dict):
        raise MetainfoError("the piece layers are not a dictionary")
    needed = {file.root: file.length for file in _tree_files(tree) if file.length > piece_length}
    if needed.keys() != layers.keys():
        raise MetainfoError("the piece layers are not those of this hybrid's files")
    padding = bytes(_DIGEST)
    for _ in range((piece_length // BLOCK_SIZE).bit_length() - 1):
        padding = _parent(padding, padding)
    for root, layer in layers.items():
        if not isinstance(layer, bytes) or len(layer) != _DIGEST * -(-needed[root] // piece_length):
            raise MetainfoError("a piece layer has the wrong size")
        if _root(layer, padding) != root:
            raise MetainfoError("a piece layer does not lead to the root of its file")


def _tree_files(tree: Value | None, most: int | None = None) -> list[TreeFile]:
    """The tree's files in order, without symlinks; reading ends soon after ``most``."""
    if not isinstance(tree, dict):
        raise MetainfoError("the v2 half of this hybrid has no file tree")
    found: list[TreeFile] = []
    pending: list[tuple[tuple[bytes, ...], Value]] = [((), tree)]
    while pending and (most is None or len(found) <= most):
        path, node = pending.pop()
        if not isinstance(node, dict):
            raise MetainfoError("the file tree of this hybrid holds something else than dictionaries")
        if b"" not in node:
            pending.extend(((*path, name), child) for name, child in reversed(node.items()))
            continue
        properties = node[b""]
        if not isinstance(properties, dict) or len(node) != 1 or not path:
            raise MetainfoError("the file tree of this hybrid has a file that is also a folder")
        attributes = properties.get(b"attr")
        if not (isinstance(attributes, bytes) and b"l" in attributes):
            found.append(_tree_file(path, properties))
    return found


def _tree_file(path: tuple[bytes, ...], properties: dict[bytes, Value]) -> TreeFile:
    length = properties.get(b"length")
    root = properties.get(b"pieces root", b"")
    if not isinstance(length, int) or length < 0:
        raise MetainfoError("the file tree of this hybrid has a file without a length")
    if not isinstance(root, bytes) or (length and (len(root) != _DIGEST or not any(root))):
        raise MetainfoError("the file tree of this hybrid has a file without a hash")
    return TreeFile(path, length, root)


def _parent(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(left + right).digest()


def _root(layer: bytes, padding: bytes) -> bytes:
    """The root above a layer; ``padding`` stands for what is missing to a power of two."""
    nodes = [layer[at : at + _DIGEST] for at in range(0, len(layer), _DIGEST)]
    while len(nodes) > 1:
        if len(nodes) % 2:
            nodes.append(padding)
        nodes = [_parent(nodes[at], nodes[at + 1]) for at in range(0, len(nodes), 2)]
        padding = _parent(padding, padding)
    return nodes[0]
