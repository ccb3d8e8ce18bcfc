"""What lies elsewhere on the machine when a torrent begins (``reuse``), and what becomes of it while it is copied."""

from __future__ import annotations

import contextlib
import os
import pathlib
import random
import time
from collections.abc import Callable, Iterator, Sequence
from os import replace, truncate, unlink  # as they are, where somebody lets them fail for the others
from typing import Any

import torrentlite as tl
from torrentlite import limits
from torrentlite.storage import adoption

KINDS = ("whole", "whole", "linked", "changed", "shorter", "longer", "restless", "renamed", "symlink", "")
"""Of the donor of one file: as it should be, the same with a second name in the save folder, with other bytes in the middle,
without its end, with more behind it, changed while it is copied, as it should be under another name, a link to where the
file itself is to be, and none."""
STEP = 1 << 15
"""Bytes that are copied before a kill may come, or the donor be changed; in the product many more, and nothing would be
between the first and the last of them."""
PAUSE = 0.004
"""Seconds that a step of copying takes at most: else nobody would be killed while it is done."""


class Elsewhere:
    """The donors of one torrent, in a folder of them, and the save folder itself by another name.

    Args:
        metainfo: the torrent.
        data: its bytes.
        folder: in which the save folder is.
        rng: decides.
        first: numbers of the files that are wanted at first; None for all.

    Attributes:
        places: where the torrent may look.
        given: pieces that need not be fetched, if what lies there is read: all their bytes lie where they are looked for.
        border: pieces that lie in a file that is wanted at first and in one that is copied later, and are then hashed again.
        lying: what was laid into the save folder.
    """

    def __init__(
        self,
        metainfo: tl.Metainfo,
        data: bytes,
        folder: pathlib.Path,
        rng: random.Random,
        first: Sequence[int] | None = None,
    ) -> None:
        self._folder = folder
        self._rng = rng
        self._right = {
            entry.path: data[entry.offset : entry.offset + entry.length]
            for entry in (metainfo.files[index] for index in metainfo.info.wanted_files)
        }
        self._kinds = {path: rng.choice(KINDS) for path in self._right}
        self._laid: dict[str, tuple[Any, ...]] = {}  # by path, how it looked
        self._restless: dict[str, tuple[Any, ...]] = {}
        self.places = [folder / "donors", folder / "save by another name"]
        self.lying: set[pathlib.Path] = set()
        lacking, early, late = set[int](), set[int](), set[int]()
        for index in metainfo.info.wanted_files:
            pieces = metainfo.info.layout.pieces_of_file(index)
            (early if first is None or index in first else late).update(pieces)
            if self._kinds[metainfo.files[index].path] not in ("whole", "linked"):
                lacking.update(pieces)
        self.given = early - late - lacking
        self.border = early & late

    def lay(self) -> None:
        """Make them."""
        save = self._folder / "save"
        save.mkdir(exist_ok=True)
        if not self.places[1].is_symlink():
            self.places[1].symlink_to("save")
        for path, right in self._right.items():
            place = self.places[0].joinpath(*path)
            place.parent.mkdir(parents=True, exist_ok=True)
            kind = self._kinds[path]
            if kind == "symlink":
                place.symlink_to(save.joinpath(*path))
            if kind in ("symlink", ""):
                continue
            if kind == "renamed":
                place = place.with_name(f"formerly {place.name}")
            place.write_bytes(self._like(right, kind))
            if kind == "linked":
                second = save.joinpath("old", *path)
                second.parent.mkdir(parents=True, exist_ok=True)
                second.hardlink_to(place)
                self.lying.add(second)
            (self._restless if kind == "restless" else self._laid)[os.path.realpath(place)] = _look(place)

    def _like(self, right: bytes, kind: str) -> bytes:
        middle = self._rng.randrange(len(right) + 1)
        match kind:
            case "changed":
                return (right[:middle] + self._rng.randbytes(9) + right[middle + 9 :])[: len(right)]
            case "shorter":
                return right[:middle]
            case "longer":
                return right + self._rng.randbytes(middle + 1)
        return right

    def changed(self) -> int:
        """How many are not as they were laid, but for those that others change."""
        return sum(before != _look(place) for place, before in self._laid.items())

    def changed_meanwhile(self) -> int:
        """And of those."""
        return sum(before != _look(place) for place, before in self._restless.items())

    def disturb(self, path: str) -> None:
        """It is being copied: whoever it belongs to may change it now."""
        if path in self._restless and self._rng.random() < 0.5:
            with contextlib.suppress(
                OSError
            ):  # another torrent took it for its own, and was faster; or there is no power
                _change(path, self._rng)


@contextlib.contextmanager
def disturbed(
    all_of_them: Sequence[Elsewhere], tell: Callable[[], object] = lambda: None, pause: float = 0
) -> Iterator[None]:
    """For the length of a block, what is copied is copied in small steps, and the restless are changed meanwhile.

    Args:
        all_of_them: whose donors.
        tell: called before every step.
        pause: seconds that a step takes at most.
    """
    real, sizes = adoption._copy_in_kernel, (limits.READ_CHUNK, limits.HASH_BATCH)

    def copy(source: int, target: int, offset: int, length: int) -> int:
        tell()
        time.sleep(pause * random.random())
        for donors in all_of_them:
            donors.disturb(os.readlink(f"/proc/self/fd/{source}"))
        return real(source, target, offset, length)

    if not all_of_them:
        yield
        return
    adoption._copy_in_kernel = copy
    limits.READ_CHUNK = limits.HASH_BATCH = STEP  # type: ignore[misc]
    try:
        yield
    finally:
        adoption._copy_in_kernel = real
        limits.READ_CHUNK, limits.HASH_BATCH = sizes  # type: ignore[misc]


def _look(place: str | pathlib.Path) -> tuple[Any, ...]:
    try:
        status = os.lstat(place)
        return status.st_mode, status.st_nlink, status.st_mtime_ns, pathlib.Path(place).read_bytes()
    except OSError as error:
        return (error.errno,)


def _change(path: str, rng: random.Random) -> None:
    """As whoever it belongs to may."""
    size = os.path.getsize(path)
    match rng.choice(["write", "write", "cut", "append", "replace", "remove"]):
        case "write":
            with open(path, "r+b") as file:
                file.seek(rng.randrange(size + 1))
                file.write(rng.randbytes(100))
        case "cut":
            truncate(path, rng.randrange(size + 1))
        case "append":
            with open(path, "ab") as file:
                file.write(rng.randbytes(1000))
        case "replace":
            with open(f"{path}.new", "wb") as file:
                file.write(rng.randbytes(size))
            replace(f"{path}.new", path)
        case "remove":
            unlink(path)
