"""Sizes as people type them."""

from __future__ import annotations


def size(text: str) -> int:
    """``64M`` or ``4G`` as bytes."""
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    return int(text[:-1]) * units[text[-1].upper()]
