"""The files of a v2 torrent, or of the v2 half of a hybrid, and the hashes that a .torrent has of them (BEP 52)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from .. import limits
from ..bencode import Value
from ..errors import MetainfoError
from . import merkle
from .layout import BLOCK_SIZE


class TreeFile(NamedTuple):
    """A file of the file tree.

    Attributes:
        path: its components.
        length: bytes; 0 for a symlink.
        root: of its hash tree; empty for an empty file.
        attributes: letters (BEP 47).
    """

    path: tuple[bytes, ...]
    length: int
    root: bytes
    attributes: bytes

    @property
    def symlink(self) -> bool:
        """Whether it is a link, which has no bytes."""
        return b"l" in self.attributes


def check_layers(layers: Value, needed: Mapping[bytes, int], piece_length: int) -> dict[bytes, bytes]:
    """The ``piece layers`` of a .torrent, each by its root, checked.

    Args:
        needed: root and number of pieces of each file that is larger than a piece.

    Raises:
        MetainfoError: a layer is missing, of no file, or does not lead to its root.
    """
    if not isinstance(layers, dict):
        raise MetainfoError("the piece layers are not a dictionary")
    if needed.keys() != layers.keys():
        raise MetainfoError("the piece layers are not those of its files")
    base = merkle.height(piece_length // BLOCK_SIZE)
    found = {}
    for root, layer in layers.items():
        if not isinstance(layer, bytes) or len(layer) != merkle.DIGEST * needed[root]:
            raise MetainfoError("a piece layer has the wrong size")
        if merkle.root_of(layer, base) != root:
            raise MetainfoError("a piece layer does not lead to the root of its file")
        found[root] = layer
    return found


def layers_needed(files: Iterable[TreeFile], piece_length: int) -> dict[bytes, int]:
    """Root and number of pieces of each file that is larger than a piece.

    Raises:
        MetainfoError: two files of different size have the same root.
    """
    needed: dict[bytes, int] = {}
    for file in files:
        if file.length > piece_length:
            count = -(-file.length // piece_length)
            if needed.setdefault(file.root, count) != count:
                raise MetainfoError("the file tree has two files of different size with the same hash")
    return needed


def check_alignment(piece_length: int) -> None:
    """Refuse a piece length that no hash tree has.

    Raises:
        MetainfoError: it is no power of two, or smaller than a block.
    """
    if piece_length < BLOCK_SIZE or piece_length & (piece_length - 1):
        raise MetainfoError(f"a v2 piece length must be a power of two from {BLOCK_SIZE}, not {piece_length}")


def too_deep() -> MetainfoError:
    """The error for a file that lies in too many folders."""
    return MetainfoError(f"the file tree is deeper than the {limits.MAX_TREE_DEPTH} folders allowed")


def tree_files(tree: Value | None) -> list[TreeFile]:
    """The tree's files in order.

    Raises:
        MetainfoError: it is no file tree, or too large.
    """
    if not isinstance(tree, dict):
        raise MetainfoError("the v2 torrent has no file tree")
    found: list[TreeFile] = []
    pending: list[tuple[tuple[bytes, ...], Value]] = [((), tree)]
    while pending:
        if len(found) + len(pending) > limits.MAX_FILES:
            raise MetainfoError(f"more than {limits.MAX_FILES} files")
        path, node = pending.pop()
        if not isinstance(node, dict):
            raise MetainfoError("the file tree holds something else than dictionaries")
        if b"" not in node:
            if len(path) >= limits.MAX_TREE_DEPTH:
                raise too_deep()
            pending.extend(((*path, name), child) for name, child in reversed(node.items()))
            continue
        properties = node[b""]
        if not isinstance(properties, dict) or len(node) != 1 or not path:
            raise MetainfoError("the file tree has a file that is also a folder")
        found.append(_tree_file(path, properties))
    return found


def _tree_file(path: tuple[bytes, ...], properties: dict[bytes, Value]) -> TreeFile:
    attributes = properties.get(b"attr")
    if not isinstance(attributes, bytes):
        attributes = b""
    if b"l" in attributes:  # BEP 47: a symlink takes no place, whatever it says
        return TreeFile(path, 0, b"", attributes)
    length = properties.get(b"length")
    root = properties.get(b"pieces root", b"")
    if not isinstance(length, int) or not 0 <= length <= limits.MAX_PIECES * limits.MAX_PIECE_LENGTH:
        raise MetainfoError("the file tree has a file without a length")
    if not isinstance(root, bytes) or (length and (len(root) != merkle.DIGEST or not any(root))):
        raise MetainfoError("the file tree has a file without a hash")
    return TreeFile(path, length, root, attributes)
