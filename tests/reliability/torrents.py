"""What who is killed, and who has its power cut, has in common: torrents, a seed in a process, and a look at the files."""

from __future__ import annotations

import contextlib
import os
import pathlib
import pickle
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, get_args

import trio

import torrentlite as tl
from tests.reliability.elsewhere import Elsewhere
from tests.scripted import ScriptedSeed
from torrentlite.metainfo.build import Version
from torrentlite.storage.journal import Journal
from torrentlite.testing.torrent import made_up_torrent

RATE = 4_000_000
"""Bytes a second of the seed: a torrent takes a few tenths of a second."""


class Promises:
    """Counts, as a dataclass: those from ``false_claims`` on have to stay 0."""

    def broken(self) -> dict[str, int]:
        """Which promises were broken, and how often."""
        names = [entry.name for entry in fields(self)]  # type: ignore[arg-type]  # of what inherits from this
        return {name: getattr(self, name) for name in names[names.index("false_claims") :] if getattr(self, name)}

    def bad(self) -> int:
        """How many broken promises."""
        return sum(self.broken().values())


@dataclass
class Torrent:
    """A torrent of a schedule, and what is known of it.

    Attributes:
        port: where a seed of it listens.
        verified: pieces that were called right at some time.
        elsewhere: where its data may lie, too.
        first: the files that are wanted at first; None for all.
    """

    metainfo: tl.Metainfo
    data: bytes
    port: int = 0
    verified: set[int] = field(default_factory=set)
    elsewhere: Elsewhere | None = None
    first: list[int] | None = None

    @classmethod
    def made_up(cls, rng: random.Random, number: int) -> Torrent:
        """One file, a few of very different sizes, or many small ones: a few dozen pieces together, of any version."""
        sizes = [rng.choice([0, 1, 40_000, 300_000, 700_000]) for _ in range(rng.randint(2, 6))] + [200_000]
        if rng.random() < 0.4:
            sizes = [rng.randrange(500_000, 1_500_000)]
        elif rng.random() < 0.4:
            sizes = [rng.randrange(40_000) for _ in range(50)]
        piece = rng.choice([16384, 32768, 65536, 131072])
        version: Version = rng.choice(get_args(Version))
        return cls(*made_up_torrent(rng, sizes, name=f"made-up {number}", piece_length=piece, version=version))

    def lay_elsewhere(self, folder: pathlib.Path, rng: random.Random) -> None:
        """Let some of it, or what is like it, lie beside the save folder."""
        real = self.metainfo.info.wanted_files
        self.first = sorted(rng.sample(real, rng.randint(1, len(real)))) if rng.random() < 0.5 else None
        self.elsewhere = Elsewhere(self.metainfo, self.data, folder, rng, self.first)
        self.elsewhere.lay()

    @property
    def reuse(self) -> list[pathlib.Path]:
        """Where to look."""
        return self.elsewhere.places if self.elsewhere else []

    @property
    def given(self) -> set[int]:
        """What lies there, and need not be fetched."""
        return self.elsewhere.given if self.elsewhere else set()

    def files(self) -> list[tl.FileEntry]:
        """Those that are to lie on the disk."""
        return [self.metainfo.files[index] for index in self.metainfo.info.wanted_files]

    def synced(self, folder: pathlib.Path) -> int:
        """What its journal says: the pieces that are on the disk, as bits."""
        info = self.metainfo.info
        journal = Journal(folder / "state", info.hashes.wire, folder / "save", info.layout.piece_count)
        try:
            return journal.load().synced if os.path.exists(journal.path) else 0  # loading would make one
        finally:
            journal.close()

    def right(self, folder: pathlib.Path, piece: int) -> bool:
        """Whether the bytes of a piece lie in the files, by our own reading of them."""
        layout, files = self.metainfo.info.layout, self.metainfo.files
        at = layout.offset(piece)
        for span in layout.spans(at, layout.piece_size(piece)):
            if files[span.file].pad:
                at += span.length
                continue
            final = folder.joinpath("save", *files[span.file].path)
            mark = self.metainfo.info_hash[:8]
            path, start = final.with_name(f"{final.name}.{mark}.part"), span.offset
            if final.exists():
                path = final
            elif not path.exists():  # of a file that was not wanted
                path, start = folder / "save" / f".{self.metainfo.name}.{mark}.parts", at
            try:
                with open(path, "rb") as file:
                    file.seek(start)
                    if file.read(span.length) != self.data[at : at + span.length]:
                        return False
            except FileNotFoundError:
                return False
            at += span.length
        return True

    def false_names(self, folder: pathlib.Path) -> int:
        """Files under their final names that are not what they are called."""
        false = 0
        for entry in self.files():
            path = folder.joinpath("save", *entry.path)
            right = self.data[entry.offset : entry.offset + entry.length]
            false += path.exists() and path.read_bytes() != right
        return false


def compare(torrents: list[Torrent], folder: pathlib.Path) -> tuple[int, int]:
    """In the end: files that are not as they should be, and files that should not be there."""
    lying = {path for path in (folder / "save").rglob("*") if path.is_file()}
    differ = 0
    for torrent in torrents:
        lying -= torrent.elsewhere.lying if torrent.elsewhere else set()
        for entry in torrent.files():
            path = folder.joinpath("save", *entry.path)
            lying.discard(path)
            right = torrent.data[entry.offset : entry.offset + entry.length]
            differ += not path.exists() or path.read_bytes() != right
    return differ, len(lying)


class Seed:
    """A process that serves the torrents and notes what comes."""

    def __init__(self, torrents: list[Torrent]) -> None:
        self._torrents = torrents

    def __enter__(self) -> Seed:
        self._ask, theirs_in = _pipe(buffering=0)
        theirs_out, self._answers = _pipe()
        self._child = os.fork()
        if not self._child:
            self._ask.close()
            self._answers.close()
            die_with(lambda: trio.run(_serve, self._torrents, theirs_in, theirs_out))
        theirs_in.close()
        theirs_out.close()
        for torrent, port in zip(self._torrents, pickle.load(self._answers), strict=True):
            torrent.port = port
        return self

    def __exit__(self, *_: object) -> None:
        self._ask.close()
        self._answers.close()
        os.waitpid(self._child, 0)

    def notes(self) -> list[list[tuple[set[int], list[int]]]]:
        """What was told and asked on each connection since the last time, for each torrent."""
        self._ask.write(b"?")
        self._ask.flush()
        notes: list[list[tuple[set[int], list[int]]]] = pickle.load(self._answers)
        return notes


async def _serve(torrents: list[Torrent], orders: Any, out: Any) -> None:
    seeds = [ScriptedSeed(torrent.metainfo.info, torrent.data, rate=RATE) for torrent in torrents]
    async with contextlib.AsyncExitStack() as stack:
        for seed in seeds:
            await stack.enter_async_context(seed.serving())
        pickle.dump([seed.port for seed in seeds], out)
        out.flush()
        while True:
            await trio.lowlevel.wait_readable(orders)
            if not os.read(orders.fileno(), 1):
                return
            await trio.sleep(0.02)  # what the dead one said may still be on its way
            pickle.dump([list(zip(seed.told, seed.asked, strict=True)) for seed in seeds], out)
            out.flush()
            for seed in seeds:
                seed.told.clear()
                seed.asked.clear()


def _pipe(*, buffering: int = -1) -> tuple[Any, Any]:
    """The end to write to, and the one to read from."""
    reader, writer = os.pipe()
    return os.fdopen(writer, "wb"), os.fdopen(reader, "rb", buffering=buffering)


def die_with(main: Callable[[], object]) -> None:
    """Run the rest of a forked process's life."""
    code = 1
    try:
        main()
        code = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)
