"""Whether there is room for what is to come."""

from __future__ import annotations

import errno

from ..errors import StorageError


def check_room(needed: int, free: int | None, path: str) -> None:
    """Raise StorageError if ``needed`` bytes do not fit into ``free`` ones (None: nobody knows)."""
    if free is not None and needed > free:
        raise StorageError(
            f"not enough space: {_words(needed)} needed, {_words(free)} free",
            errno=errno.ENOSPC,
            path=path,
            hint="free some space, choose another folder, or select fewer files",
        )


def _words(size: int) -> str:
    value = float(size)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{size} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
