"""What is shared in a benchmark: files of random bytes and their .torrent, in a folder that goes away."""

from __future__ import annotations

import argparse
import contextlib
import pathlib
import random
import shutil
import tempfile
from collections.abc import Iterator

import trio

import torrentlite
from torrentlite.metainfo.build import Version

from .sizes import size

MIB = 1 << 20


class Material:
    """A file, or many in a folder, and its torrent.

    Attributes:
        root: a folder for everything.
        data: the folder in which the file or the folder lies.
        torrent: the .torrent.
        size: bytes.
    """

    def __init__(
        self, root: pathlib.Path, total: int, piece_size: int, files: int = 1, version: Version = "v1"
    ) -> None:
        self.root = root
        self.data = root / "data"
        self.torrent = root / "file.torrent"
        self.size = total
        self.data.mkdir()
        rng = random.Random(1)
        if files == 1:
            shared = self.data / "file.bin"
            with shared.open("wb") as file:
                for at in range(0, total, MIB):
                    file.write(rng.randbytes(min(MIB, total - at)))
        else:
            shared = self.data / "files"
            shared.mkdir()
            for number in range(files):
                folder = shared / f"{number // 1000:03}"
                folder.mkdir(exist_ok=True)
                (folder / f"{number:06}.bin").write_bytes(rng.randbytes(total // files))
            self.size = total // files * files
        metainfo = trio.run(lambda: torrentlite.create(shared, piece_length=piece_size, version=version))
        self.torrent.write_bytes(metainfo.encode())

    def fresh(self) -> pathlib.Path:
        """An empty folder to fetch into; what was fetched before is gone."""
        out = self.root / "out"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        return out


@contextlib.contextmanager
def material(folder: str, total: int, piece_size: int, files: int = 1, version: Version = "v1") -> Iterator[Material]:
    """Make it below ``folder``."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="torrentlite-") as root:
        yield Material(pathlib.Path(root), total, piece_size, files, version)


def words(name: str, doc: str | None, *, total: str = "", runs: int = 5) -> argparse.ArgumentParser:
    """A parser with ``--runs --quick``, which all take, and with ``total`` ``--size --piece-size --folder`` too."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks {name}",
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if total:
        parser.add_argument("--size", type=size, default=size(total), help=f"bytes of the data (default {total})")
        parser.add_argument("--piece-size", type=size, default=size("1M"), help="default 1M")
        parser.add_argument("--folder", default="/dev/shm", help="where the data goes (default: tmpfs)")
    parser.add_argument("--runs", type=int, default=runs, help=f"rounds (default {runs})")
    parser.add_argument("--quick", action="store_true", help="once, and small: to see that it works")
    return parser
