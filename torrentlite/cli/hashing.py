"""Hashing what is to be shared, with its progress shown."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable

import trio

from .. import Metainfo, create
from ..metainfo.build import Version
from ..metainfo.text import display
from ..stats import Reason, Why
from . import units
from .files import full_path, require_path
from .listing import note_warnings
from .output import Job, Output
from .progress import FINE, PATIENCE, Glance
from .terminal import Mode


class Tally:
    """How far hashing is, as told from any thread; its glance has a rate and a time left."""

    def __init__(self, name: str, stage: str = "hashing") -> None:
        self._name = name
        self._stage = stage
        self._began = self._since = trio.current_time()
        self._seen = 0
        self.done = 0
        self.total = 0

    def __call__(self, done: int, total: int) -> None:
        """Take note."""
        self.done, self.total = done, total

    def glance(self) -> Glance:
        """The glance of this moment."""
        now = trio.current_time()
        if self.done != self._seen:
            self._seen, self._since = self.done, now
        still = now - self._since
        why = FINE
        if still >= PATIENCE:
            why = Why(Reason.DISK, f"nothing could be read for {units.duration(still)}", (("quiet", round(still)),))
        seconds = now - self._began
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
            why=why,
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
    version: Version = "v1",
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
            version=version,
            progress=tally,
            state_dir=state_dir,
        )
        output.tell(job)
    seconds = trio.current_time() - job.began
    output.note(f"hashed {display(name)}: {units.size(metainfo.total)} in {units.duration(seconds)}")
    note_warnings(metainfo, output)
    return metainfo
