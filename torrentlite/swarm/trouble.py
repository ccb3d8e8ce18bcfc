"""A disk that refuses for now: nothing is asked for meanwhile, and the same work is tried again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol

import trio

from ..errors import DiskTroubleError, TorrentError
from ..limits import DISK_RETRY


class FailureOwner(Protocol):
    """Who is stopped by it."""

    def storage_failed(self, error: TorrentError) -> None:
        """The disk refuses for good."""


@contextlib.contextmanager
def bugs_stop(owner: FailureOwner) -> Iterator[None]:
    """Where the disk is used: a bug of ours would be met there again and again, and who waits would wait for ever."""
    try:
        yield
    except TorrentError:
        raise
    except Exception as error:
        hint = "this is a bug; the log has its traceback"
        owner.storage_failed(TorrentError(f"internal error: {error!r}", hint=hint))
        raise


class TroubleOwner(Protocol):
    """Who is told of it."""

    def disk_trouble(self, error: DiskTroubleError | None) -> None:
        """The disk refuses for now (None: it works again)."""

    def want_requests(self) -> None:
        """There may be something new to ask for."""


class Trouble:
    """What the disk of one torrent last refused with.

    Attributes:
        error: that; None while it works.
    """

    def __init__(self, owner: TroubleOwner) -> None:
        self._owner = owner
        self.error: DiskTroubleError | None = None

    async def wait(self, error: DiskTroubleError) -> None:
        """It refuses: say so, and wait until the same work is to be tried again."""
        self.error = error
        self._owner.disk_trouble(error)
        await trio.sleep(DISK_RETRY)

    def over(self) -> None:
        """The disk has done something."""
        if self.error is not None:
            self.error = None
            self._owner.disk_trouble(None)
            self._owner.want_requests()
