"""Looking at what lies on the disk, for as long as the disk refuses for now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import trio

from ..errors import DiskTroubleError, TorrentError
from ..limits import DISK_RETRY
from .content import Content
from .crew import Crew
from .pieces import Pieces
from .trouble import bugs_stop

T = TypeVar("T")


class OpeningOwner(Protocol):
    """What an opening asks of its torrent."""

    @property
    def content(self) -> Content | None:
        """Its files."""

    def opened(self, pieces: Pieces, *, stays_paused: bool) -> None:
        """It is known what is here."""

    def storage_failed(self, error: TorrentError) -> None:
        """The disk refuses for good."""

    def disk_trouble(self, error: DiskTroubleError | None) -> None:
        """The disk refuses for now (None: it works again)."""


class Opening:
    """The files of one torrent being opened and checked: at most one attempt counts, the newest.

    Attributes:
        look_again: it failed, and who put that right may have changed what lies there.
        recheck: hash everything at the next opening.
        stays_paused: it was asked for while the torrent was paused, and leaves it so.
    """

    def __init__(self, owner: OpeningOwner, crew: Crew) -> None:
        self._owner = owner
        self._crew = crew
        self._scope: trio.CancelScope | None = None
        self._number = 0
        self.look_again = False
        self.recheck = False
        self.stays_paused = False

    @property
    def under_way(self) -> bool:
        """Whether it is being looked at."""
        return self._scope is not None

    def start(self) -> None:
        """Look (again)."""
        self.cancel()
        self._number += 1
        self._scope = self._crew.start(self._run, self._number, name="open files")

    def cancel(self) -> None:
        """Stop looking."""
        if self._scope is not None:
            self._scope.cancel()

    async def _run(self, number: int) -> None:
        content = self._owner.content
        assert content is not None
        try:
            pieces = await self.patiently(lambda: content.open(recheck=self.recheck))
        except TorrentError as error:
            self._owner.storage_failed(error)
            return
        finally:
            if self._number == number:
                self._scope = None
        if self._number == number:
            self._owner.opened(pieces, stays_paused=self.stays_paused)

    def succeeded(self) -> None:
        """What was looked at counts."""
        self.look_again = self.recheck = False

    async def patiently(self, use_disk: Callable[[], Awaitable[T]]) -> T:
        """Do this, and again every DISK_RETRY seconds while the disk refuses for now.

        Raises:
            TorrentError: it refuses for good.
        """
        trouble = False
        while True:
            try:
                with bugs_stop(self._owner):
                    result = await use_disk()
                break
            except DiskTroubleError as error:
                trouble = True
                self._owner.disk_trouble(error)
            await trio.sleep(DISK_RETRY)
        if trouble:
            self._owner.disk_trouble(None)
        return result
