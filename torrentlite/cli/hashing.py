"""Hashing what is to be shared, with its progress shown."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable

import trio

from .. import Metainfo, create
from ..metainfo.text import display
from . import units
from .files import full_path, require_path
from .output import Job, Output
from .progress import Glance
from .terminal import Mode


class Tally:
    """How far hashing is, as told from any thread; its glance has a rate and a time left."""

    def __init__(self, name: str, stage: str = "hashing") -> None:
        self._name = name
        self._stage = stage
        self._began = trio.current_time()
        self.done = 0
        self.total = 0

    def __call__(self, done: int, total: int) -> None:
        """Take note."""
        self.done, self.total = done, total

    def glance(self) -> Glance:
        """The glance of this moment."""
        seconds = trio.current_time() - self._began
        rate = self.done / seconds if seconds > 0 else 0.0
        eta = (self.total - self.done) / rate if rate > 0 else None
        return Glance(
            name=display(self._name),
            stage=self._stage,
            done=self.done,
            total=self.total,
            down_rate=rate,
            eta=eta,
            moved=self.done,
        )


async def hash_path(
    path: str,
    output: Output,
    *,
    state_dir: pathlib.Path | None,
    trackers: Iterable[str] = (),
    web_seeds: Iterable[str] = (),
    private: bool = False,
    comment: str = "",
    piece_length: int | None = None,
) -> Metainfo:
    """Make the metainfo of a file or folder, showing how far it is.

    Raises:
        StorageError: it is not there or cannot be read.
    """
    require_path(path, "share")
    path = full_path(path)
    name = os.path.basename(path)
    tally = Tally(name)
    if output.mode is Mode.PLAIN:
        output.note(f"hashing {display(name)}")
    job = Job(tally.glance)
    with output.showing(job):
        metainfo = await create(
            path,
            trackers=trackers,
            web_seeds=web_seeds,
            private=private,
            comment=comment,
            piece_length=piece_length,
            progress=tally,
            state_dir=state_dir,
        )
        output.tell(job)
    seconds = trio.current_time() - job.began
    output.note(f"hashed {display(name)}: {units.size(metainfo.total)} in {units.duration(seconds)}")
    return metainfo
