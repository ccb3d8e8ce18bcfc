"""Small torrents of all shapes, and disks without threads to put them on."""

from __future__ import annotations

import hashlib
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, TypeVarTuple

import trio

from torrentlite import bencode
from torrentlite.metainfo.info import Info
from torrentlite.metainfo.layout import Layout
from torrentlite.storage.adoption import Adoption
from torrentlite.storage.disk import Disk, Verdict
from torrentlite.storage.files import FileStorage
from torrentlite.storage.journal import Journal
from torrentlite.storage.offload import Call
from torrentlite.storage.storage import Buffer, Storage
from torrentlite.wire import bitfield

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

FAILING = (
    "pwrite",
    "preadv",
    "ftruncate",
    "link",
    "rename",
    "replace",
    "unlink",
    "mkdir",
    "fdatasync",
    "fsync",
    "open",
)
"""The calls of ``os`` by which a storage changes files, or reads them: each can fail."""


class Inline:
    """An Offload that calls at once."""

    def __init__(self) -> None:
        self.parallel = 1
        self.calls: list[str] = []

    async def run(self, fn: Callable[[*Ts], T], *args: *Ts, abandon: bool = False) -> T:
        await trio.lowlevel.checkpoint()
        self.calls.append(getattr(fn, "__name__", ""))
        return fn(*args)

    def running(self) -> tuple[Call, ...]:
        return ()


class Shape:
    """A torrent and its bytes.

    Args:
        files: name ("a/b" in a folder, "" for a torrent of one file) to content; an int is a pad file of that length.
    """

    def __init__(
        self,
        files: Mapping[str, bytes | int],
        *,
        piece_length: int = 64,
        name: str = "top",
        attr: Mapping[str, str] = {},
    ) -> None:
        self.contents = [content if isinstance(content, bytes) else bytes(content) for content in files.values()]
        self.data = b"".join(self.contents)
        self.pieces = [self.data[start : start + piece_length] for start in range(0, len(self.data), piece_length)]
        fields: dict[str, object] = {
            "name": name,
            "piece length": piece_length,
            "pieces": b"".join(hashlib.sha1(piece).digest() for piece in self.pieces),
        }
        if list(files) == [""]:
            fields["length"] = len(self.data)
        else:
            entries = []
            for path, content in files.items():
                size = content if isinstance(content, int) else len(content)
                entry: dict[str, object] = {"length": size, "path": path.split("/")}
                if isinstance(content, int):
                    entry["attr"] = "p"
                elif path in attr:
                    entry["attr"] = attr[path]
                entries.append(entry)
            fields["files"] = entries
        self.info = Info.from_bytes(bencode.encode(fields))
        self.layout = self.info.layout
        self.all = frozenset(self.info.wanted_files)
        self.full = bitfield.full(len(self.pieces))

    def content(self, file: int) -> bytes:
        return self.contents[file]

    def pieces_of(self, files: Sequence[int]) -> int:
        return bitfield.of(piece for file in files for piece in self.layout.pieces_of_file(file))


class _Adoption(Adoption):
    """Remembers how much was done before the hashing."""

    work = 0

    async def run(self, *args: Any) -> tuple[list[int], int]:
        adopted, self.work = await super().run(*args)
        return adopted, self.work


class Home:
    """A save folder and a state folder, for one Disk after the other."""

    def __init__(
        self,
        folder: pathlib.Path,
        shape: Shape,
        *,
        journal: bool = True,
        overwrite: bool = False,
        reuse: Sequence[pathlib.Path] = (),
    ) -> None:
        self.folder = folder / "save"
        self.state = folder / "state"
        self.shape = shape
        self.journal = journal
        self.overwrite = overwrite
        self.reuse = reuse
        self.hashed = -1
        self.offload = Inline()

    def storage(self) -> FileStorage:
        return FileStorage(self.shape.info, self.folder, overwrite=self.overwrite)

    def disk(self, storage: Storage | None = None) -> Disk:
        info = self.shape.info
        journal = Journal(self.state, info.hashes.wire, self.folder, info.layout.piece_count) if self.journal else None
        storage = storage or self.storage()
        adoption = None
        if self.reuse:
            assert isinstance(storage, FileStorage)
            adoption = _Adoption(info, storage, [str(place) for place in self.reuse])
        return Disk(info, storage, self.offload, journal, adoption)

    async def open(self, disk: Disk, wanted: frozenset[int] | None = None, *, recheck: bool = False) -> int:
        """Open a disk and note how many bytes were hashed."""

        def progress(done: int, total: int) -> None:
            self.hashed = total - (disk._adoption.work if isinstance(disk._adoption, _Adoption) else 0)

        return await disk.open(wanted=self.shape.all if wanted is None else wanted, recheck=recheck, progress=progress)

    def final(self, file: int) -> pathlib.Path:
        return self.folder.joinpath(*self.shape.info.files[file].path)

    def part(self, file: int) -> pathlib.Path:
        final = self.final(file)
        return final.with_name(f"{final.name}.{self.shape.info.hashes.hex[:8]}.part")

    def aside(self) -> pathlib.Path:
        info = self.shape.info
        return self.folder / f".{info.name}.{info.hashes.hex[:8]}.parts"

    def put(self, file: int, content: bytes) -> None:
        """Lay a file there under its final name."""
        self.final(file).parent.mkdir(parents=True, exist_ok=True)
        self.final(file).write_bytes(content)

    def lying(self) -> list[str]:
        """All files in the save folder."""
        found = []
        for above, _, names in os.walk(self.folder):
            found += [os.path.relpath(os.path.join(above, name), self.folder) for name in names]
        return sorted(found)


async def write_piece(disk: Disk, piece: int, data: Buffer) -> Verdict:
    """Write a single one."""
    (verdict,) = await disk.write_pieces([(piece, data)])
    return verdict


async def content_of(disk: Disk, layout: Layout, pieces: int) -> list[bytes]:
    """What the disk says that these pieces are."""
    found = []
    for piece in bitfield.members(pieces):
        buffer = bytearray(layout.piece_size(piece))
        await disk.read_back(piece, 0, buffer)
        found.append(bytes(buffer))
    return found


def wrong_claims(found: Sequence[bytes], shape: Shape, pieces: int) -> list[int]:
    """Pieces that are claimed and not right."""
    claimed = bitfield.members(pieces)
    return [piece for piece, data in zip(claimed, found, strict=True) if data != shape.pieces[piece]]


def letters(size: int, seed: int = 0) -> bytes:
    """Bytes that differ from place to place."""
    return b"".join(hashlib.sha256(b"%d %d" % (seed, n)).digest() for n in range(size // 32 + 1))[:size]
