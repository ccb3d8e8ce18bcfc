"""What the torrents of a session lie in."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence

from ..metainfo.metainfo import Metainfo
from ..storage.adoption import Adoption
from ..storage.disk import Disk
from ..storage.files import FileStorage
from ..storage.foreign import ForeignStorage
from ..storage.journal import Journal
from ..storage.origin import open_storage
from ..storage.pool import FilePool
from ..storage.storage import Storage
from .content import DiskFactory
from .world import StorageFactory, World


class Disks:
    """Makes the disk of each torrent, when its metadata is known. They share the open files.

    Args:
        world: what the session stands on.
        state_dir: where resume data is kept; None for nowhere.
    """

    def __init__(self, world: World, state_dir: str | os.PathLike[str] | None) -> None:
        self._world = world
        self._state_dir = state_dir
        self._files = FilePool()

    def of_files(self, save_to: pathlib.Path, *, overwrite: bool, reuse: Sequence[str] = ()) -> DiskFactory:
        """Files in a save folder, unless the world says otherwise; what is missing may lie in ``reuse``."""

        def make(metainfo: Metainfo) -> Disk:
            info, offload = metainfo.info, self._world.offload
            if self._world.storage is not None:
                return Disk(info, self._world.storage(info), offload, None)
            storage = open_storage(info, save_to, origin=metainfo.origin, overwrite=overwrite, pool=self._files)
            adoption = Adoption(info, storage, reuse) if reuse and isinstance(storage, FileStorage) else None
            journal = None
            if self._state_dir is not None and not storage.read_only:
                journal = Journal(self._state_dir, info.hashes.wire, save_to, info.layout.piece_count)
            return Disk(info, storage, offload, journal, adoption)

        return make

    def of_storage(self, factory: StorageFactory) -> DiskFactory:
        """A storage of the user's, which is made once, however often it is opened."""
        made: list[Storage] = []

        def make(metainfo: Metainfo) -> Disk:
            if not made:
                made.append(ForeignStorage(factory, metainfo.info))
            return Disk(metainfo.info, made[0], self._world.offload, None)

        return make
