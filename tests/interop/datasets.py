"""What is shared in the matrix: made from a seed, the same each time."""

import dataclasses
import hashlib
import pathlib
import random

KINDS = ("one file", "folder", "small pieces", "hybrid")


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Data under ``root`` and a .torrent of it.

    Attributes:
        kind: one of KINDS.
        root: the file or folder.
        torrent: the path of its .torrent.
    """

    kind: str
    root: pathlib.Path
    torrent: pathlib.Path

    @property
    def name(self) -> str:
        return self.root.name

    def digest(self, folder: pathlib.Path) -> dict[str, str]:
        """What of this data lies in a folder: relative path → SHA-256. Missing files are missing here."""
        return {
            path: hashlib.sha256((folder / path).read_bytes()).hexdigest()
            for path in self.files()
            if (folder / path).is_file()
        }

    def files(self) -> list[str]:
        """Relative paths, the torrent's own name first."""
        if self.root.is_file():
            return [self.name]
        return sorted(str(path.relative_to(self.root.parent)) for path in self.root.rglob("*") if path.is_file())

    def original(self) -> dict[str, str]:
        return self.digest(self.root.parent)


def make_data(kind: str, folder: pathlib.Path, seed: int = 7) -> pathlib.Path:
    """The data alone."""
    rng = random.Random(f"{kind} {seed}")
    slug = kind.replace(" ", "-")
    if kind == "one file":
        root = folder / f"{slug}.bin"
        root.write_bytes(rng.randbytes(64 << 20))
    elif kind == "small pieces":
        root = folder / f"{slug}.bin"
        root.write_bytes(rng.randbytes(300 << 10))
    else:
        count = 200 if kind == "folder" else 12
        root = folder / slug
        root.mkdir()
        names = [
            "empty",
            "one byte",
            "ünïcödé – 文件.txt",
            "深い/入れ子/δοκιμή.dat",
            "a/b/c/d/e/deep.bin",
            "[/] #1 %20 & 'q'.txt",
        ]
        for index in range(count):
            name = names[index] if index < len(names) else f"part {index % 7}/file {index:03}.bin"
            size = 0 if index == 0 else 1 if index == 1 else rng.choice([17, 4_000, 16_384, 40_000, 123_457])
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(rng.randbytes(size))
    return root
