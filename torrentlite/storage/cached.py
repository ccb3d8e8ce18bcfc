"""Reads that never wait for a disk, where the system can promise that."""

from __future__ import annotations

import enum
import errno
import os
from collections.abc import Sequence
from typing import Final

from . import platform
from .storage import Room

_NOWAIT: Final[int] = getattr(os, "RWF_NOWAIT", 0) if hasattr(os, "preadv") else 0


class Way(enum.Enum):
    """How to read files of a device in the loop."""

    NOWAIT = "ask for what is in memory only"
    INLINE = "it is all in memory"
    THREAD = "not at all"


class CachedReads:
    """Remembers for each device what it can do: tmpfs and overlayfs refuse ``RWF_NOWAIT``, with errno 95."""

    def __init__(self) -> None:
        self._ways: dict[int, Way] = {}
        self._in_memory: dict[int, bool] = {}

    def in_memory(self, device: int) -> bool:
        """Whether nothing there waits for a disk (``platform.in_memory``, asked once)."""
        known = self._in_memory.get(device)
        if known is None:
            known = self._in_memory[device] = platform.in_memory(device)
        return known

    def way(self, device: int) -> Way:
        """What is known, or hoped, of this device."""
        return self._ways.get(device, Way.NOWAIT if _NOWAIT else Way.THREAD)

    def fill(self, fd: int, device: int, buffers: Sequence[Room], offset: int, size: int) -> bool:
        """Fill the buffers (of ``size`` bytes together) if that needs no waiting. Never raises."""
        way = self.way(device)
        try:
            if way is Way.NOWAIT:
                # A short count means that the rest is not in memory.
                return os.preadv(fd, buffers, offset, _NOWAIT) == size
            if way is Way.INLINE:
                return os.preadv(fd, buffers, offset) == size
        except OSError as error:
            if way is Way.NOWAIT and error.errno in (errno.EOPNOTSUPP, errno.ENOTSUP):
                self._ways[device] = Way.INLINE if self.in_memory(device) else Way.THREAD
                return self.fill(fd, device, buffers, offset, size)
        return False
