"""What the disk has to do when everything wanted is here, and when other files are wanted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from ..errors import StorageError, TorrentError
from ..stats import State
from .content import Content
from .crew import Crew
from .opening import Opening


class FinishingOwner(Protocol):
    """What finishing asks of its torrent.

    Attributes:
        state: what it is doing.
    """

    state: State

    @property
    def content(self) -> Content | None:
        """Its files."""

    def finished(self) -> None:
        """What was wanted is synced, and its files have their names; look again whether that is still all."""

    def reselected(self) -> None:
        """The disk knows which files are wanted."""

    def storage_failed(self, error: TorrentError) -> None:
        """The disk refuses for good."""


class Finishing:
    """Syncs and names the files of one torrent, in a task, for as long as the disk refuses for now."""

    def __init__(self, owner: FinishingOwner, opening: Opening, crew: Crew) -> None:
        self._owner = owner
        self._opening = opening
        self._crew = crew
        self._under_way = False

    def start(self) -> None:
        """Everything wanted is verified. Once is enough: who is at it sees what comes meanwhile."""
        if not self._under_way and self._owner.state is not State.SEEDING:
            self._under_way = self._crew.start(self._finish, name="finish") is not None

    def reselect(self) -> None:
        """Other files are wanted."""
        self._crew.start(self._reselect, name="select files")

    async def _finish(self) -> None:
        try:
            done = await self._does(Content.finish)
        finally:
            self._under_way = False
        if done:
            self._owner.finished()

    async def _reselect(self) -> None:
        if await self._does(Content.reselect):
            self._owner.reselected()

    async def _does(self, step: Callable[[Content], Awaitable[None]]) -> bool:
        """Whether the disk does this, in the end; a refusal for good is told."""
        content = self._owner.content
        assert content is not None
        try:
            await self._opening.patiently(lambda: step(content))
        except StorageError as error:
            self._owner.storage_failed(error)
            return False
        return True
