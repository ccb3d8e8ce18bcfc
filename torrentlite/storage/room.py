"""Whether there is room for what is to come."""

from __future__ import annotations

import errno

from ..errors import StorageError
from ..metainfo.text import display, size


def check_room(needed: int, free: int | None, path: str) -> None:
    """Raise StorageError if ``needed`` bytes do not fit into ``free`` ones (None: nobody knows) in this folder."""
    if free is not None and needed > free:
        raise StorageError(
            f"not enough space in '{display(path)}': {size(needed)} needed, {size(free)} free",
            errno=errno.ENOSPC,
            path=path,
            hint="free some space, choose another folder, or select fewer files",
        )
