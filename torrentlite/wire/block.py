"""What a request names."""

from __future__ import annotations

from typing import NamedTuple


class Block(NamedTuple):
    """A part of a piece: what one request asks for."""

    piece: int
    begin: int
    length: int
