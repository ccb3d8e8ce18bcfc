"""The v2 half of a hybrid torrent (BEP 52), as far as one must look at it who uses the v1 half.

Both halves must describe the same files in the same order and place, or a v1 client and a v2 client would share
different things under one name. The hash trees themselves are for v2 clients; only what the .torrent carries of them
is checked, so that a broken one is refused before it is spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from ..errors import MetainfoError
from .filetree import TreeFile, check_alignment

V1File: TypeAlias = tuple[tuple[bytes, ...], int, int]
"""Path below the top folder, length, offset in the torrent's bytes."""


def check_halves(tree: Sequence[TreeFile], piece_length: int, v1: Sequence[V1File]) -> None:
    """Compare the file tree with the real files of the v1 half.

    Raises:
        MetainfoError: they disagree, or the v2 half is broken in itself.
    """
    check_alignment(piece_length)
    v2 = [(file.path, file.length) for file in tree if not file.symlink]
    if [(path, length) for path, length, _ in v1] != v2:
        raise MetainfoError("the two halves of this hybrid name different files or sizes")
    if any(length and offset % piece_length for _, length, offset in v1):
        raise MetainfoError("the v1 half of this hybrid does not begin every file at a piece")
