"""The file in which a node's ids and table wait for the next run."""

from __future__ import annotations

import contextlib
import os
import pathlib
from typing import Final

from .. import limits
from ..storage import platform
from .state import SavedState, load

NAME: Final = "dht.state"


class StateFile:
    """A node's state on disk. The first process that opens it owns it; others read the nodes only.

    Nothing here raises: a node that cannot save its table is still a node.

    Args:
        folder: is made if it is not there.

    Attributes:
        owned: whether this process may save.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        folder = pathlib.Path(folder)
        self._path = folder / NAME
        self._lock: int | None = None
        self.owned = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / f"{NAME}.lock", os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
            self.owned = platform.lock(self._lock)
        except OSError:
            pass

    def read(self) -> SavedState:
        """What was saved; nothing where it is damaged. Ids belong to the owner."""
        try:
            with self._path.open("rb") as file:
                state = load(file.read(limits.DHT_MAX_STATE + 1))
        except OSError:
            return SavedState()
        return state if self.owned else SavedState(nodes=state.nodes)

    def write(self, data: bytes) -> bool:
        """Replace what is saved, whole or not at all. False: it could not be."""
        if not self.owned:
            return False
        temporary = self._path.with_name(f"{NAME}.new")
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()
            return False
        return True

    def close(self) -> None:
        """Leave it to others."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
            self.owned = False
