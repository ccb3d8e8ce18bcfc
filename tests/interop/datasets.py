"""What is shared in the matrix: made from a seed, the same each time."""

import dataclasses
import functools
import hashlib
import pathlib
import random

import trio

import torrentlite
from tests.interop.clients import missing

KINDS = ("one file", "folder", "small pieces", "padded", "hybrid")
"""64 MiB; 200 files with all sorts of names; 300 KiB in pieces of 16 KiB; a v1 torrent of libtorrent's with pad files
(BEP 47); and what libtorrent makes by default, a hybrid (BEP 52) with pad files."""

SOURCES = ("torrent", "magnet")

_PIECE_SIZES = {"one file": 256 << 10, "folder": 64 << 10, "small pieces": 16 << 10}
_NAMES = (
    "empty",
    "one byte",
    "ünïcödé – 文件.txt",
    "深い/入れ子/δοκιμή.dat",
    "a/b/c/d/e/deep.bin",
    "[/] #1 %20 & 'q'.txt",
)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Data, a .torrent of it, and by which of the two it is to be fetched.

    Each has its own data and so its own info-hash: one program can fetch all of them at the same time.

    Attributes:
        kind: one of KINDS.
        how: one of SOURCES.
        root: the file or folder.
        torrent: the path of its .torrent, which names no tracker.
        metainfo: the same, read.
    """

    kind: str
    how: str
    root: pathlib.Path
    torrent: pathlib.Path
    metainfo: torrentlite.Metainfo

    @property
    def name(self) -> str:
        return self.root.name

    @property
    def info_hash(self) -> str:
        return self.metainfo.info_hash

    def source(self, tracker: str = "") -> str | pathlib.Path:
        """The path of a .torrent, or a magnet link; with that tracker if one is given."""
        metainfo = self.metainfo
        if tracker:
            metainfo = dataclasses.replace(metainfo, trackers=((tracker,),))
        if self.how == "magnet":
            return metainfo.magnet
        if not tracker:
            return self.torrent
        path = self.torrent.with_suffix(".tracked.torrent")
        path.write_bytes(metainfo.encode())
        return path

    def tracked(self, tracker: str) -> pathlib.Path:
        """A .torrent with that tracker, however it is to be fetched: for who seeds it."""
        source = dataclasses.replace(self, how="torrent").source(tracker)
        assert isinstance(source, pathlib.Path)
        return source

    @property
    def pads(self) -> dict[str, int]:
        """The pad files, as who takes them for ordinary files names them, and their sizes."""
        return {
            "/".join(part.decode() for part in entry.raw_path): entry.length
            for entry in self.metainfo.info.files
            if entry.pad
        }

    def original(self) -> dict[str, str]:
        """Relative path → SHA-256 of each file, the torrent's own name first; empty files too, pad files not."""
        return digest(self.root)


def digest(root: pathlib.Path) -> dict[str, str]:
    """Relative path → SHA-256 of what lies there, ``root``'s own name first."""
    files = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root.parent)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


EMPTY = hashlib.sha256().hexdigest()
"""The digest of an empty file."""


def make_dataset(kind: str, how: str, folder: pathlib.Path) -> Dataset:
    """Data in ``folder/data``, its .torrent in ``folder/torrents``."""
    data, torrents = folder / "data", folder / "torrents"
    data.mkdir(exist_ok=True)
    torrents.mkdir(exist_ok=True)
    root = _make_data(kind, how, data)
    torrent = torrents / f"{root.name}.torrent"
    if kind in _PIECE_SIZES:
        create = functools.partial(torrentlite.create, root, piece_length=_PIECE_SIZES[kind])
        torrent.write_bytes(trio.run(create).encode())
    else:
        torrent.write_bytes(_libtorrent_creates(root, hybrid=kind == "hybrid"))
    metainfo = torrentlite.Metainfo.from_bytes(torrent.read_bytes())
    has_pads = any(entry.pad for entry in metainfo.info.files)
    assert (has_pads, metainfo.info.hashes.v2 is not None) == (kind in ("padded", "hybrid"), kind == "hybrid")
    return Dataset(kind, how, root, torrent, metainfo)


def _make_data(kind: str, how: str, folder: pathlib.Path) -> pathlib.Path:
    rng = random.Random(f"{kind} by {how}")
    root = folder / f"{kind} by {how}".replace(" ", "-")
    if kind in ("one file", "small pieces"):
        root = root.with_suffix(".bin")
        root.write_bytes(rng.randbytes(64 << 20 if kind == "one file" else 300 << 10))
        return root
    for index in range(200 if kind == "folder" else 12):
        path = root / (_NAMES[index] if index < len(_NAMES) else f"part {index % 7}/file {index:03}.bin")
        path.parent.mkdir(parents=True, exist_ok=True)
        size = index if index < 2 else rng.choice([17, 4_000, 16_384, 40_000, 123_457])
        path.write_bytes(rng.randbytes(size))
    return root


def _libtorrent_creates(root: pathlib.Path, *, hybrid: bool) -> bytes:
    try:
        import libtorrent as lt
    except ImportError:
        missing("libtorrent")
    maker = lt.create_torrent
    flags = 0 if hybrid else maker.v1_only | maker.canonical_files
    creator = maker(lt.list_files(str(root)), 32 << 10, flags)
    lt.set_piece_hashes(creator, str(root.parent))
    encoded: bytes = lt.bencode(creator.generate())
    return encoded
