"""Whatever happens in whatever order, what the disk says that it has is there."""

from __future__ import annotations

import contextlib
import pathlib
import tempfile

import pytest
import trio
from hypothesis import HealthCheck, given, settings, strategies as st

from tests.storage.worlds import Home, Shape, content_of, letters, write_piece, wrong_claims
from torrentlite.errors import FileInTheWayError
from torrentlite.storage import platform
from torrentlite.storage.disk import Verdict
from torrentlite.wire import bitfield


@pytest.fixture(autouse=True)
def no_waiting_for_the_drive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "flush", lambda fd: None)
    monkeypatch.setattr(platform, "flush_folder", lambda folder: None)


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    piece_length = draw(st.sampled_from([16, 64]))
    files: dict[str, bytes | int] = {}
    for number in range(draw(st.integers(1, 7))):
        size = draw(st.one_of(st.integers(0, 20), st.integers(0, 200)))
        if number and draw(st.integers(0, 3)) == 0:
            files[f".pad/{number}"] = size
        else:
            files[draw(st.sampled_from(["", "x/", "x/y/"])) + f"file{number}"] = letters(size, number)
    files["last"] = letters(draw(st.integers(1, 100)), 99)
    return Shape(files, piece_length=piece_length)


class Story:
    """A disk and what must be true of it."""

    def __init__(self, home: Home, wanted: frozenset[int]) -> None:
        self.home = home
        self.shape = home.shape
        self.wanted = wanted
        layout, files = home.shape.layout, home.shape.info.files
        # What was written and reported as right, ever. Pieces of nothing but padding are there from the beginning.
        self.acknowledged = bitfield.of(
            piece
            for piece in range(layout.piece_count)
            if all(files[file].pad for file in layout.files_of_piece(piece))
        )
        self.clean = False
        self.disk = home.disk()

    async def start(self, *, recheck: bool = False) -> None:
        self.disk = self.home.disk()
        have = await self.home.open(self.disk, self.wanted, recheck=recheck)
        await self.check(have)
        assert self.acknowledged & ~have == 0, "what was right is here again"
        assert have == self.acknowledged, "and nothing else"
        if self.home.journal and self.clean and not recheck:
            assert self.home.hashed == 0
        self.clean = False

    async def check(self, have: int) -> None:
        assert not wrong_claims(await content_of(self.disk, self.shape.layout, have), self.shape, have)
        shape = self.shape
        for file in shape.info.wanted_files:
            if self.home.final(file).exists():
                assert self.home.final(file).read_bytes() == shape.content(file)
        allowed = {self.home.aside().name}
        for file in shape.info.wanted_files:
            allowed |= {
                str(path.relative_to(self.home.folder)) for path in (self.home.final(file), self.home.part(file))
            }
        assert set(self.home.lying()) <= allowed

    async def write(self, piece: int, *, spill: bool) -> None:
        data = self.shape.pieces[piece]
        if spill:
            middle = len(data) // 2
            await self.disk.spill(piece, [(middle, data[middle:])])
            await self.disk.spill(piece, [(0, data[:middle])])
            assert await self.disk.check_spilled(piece) is Verdict.RIGHT
        else:
            assert await write_piece(self.disk, piece, data) is Verdict.RIGHT
        self.acknowledged |= 1 << piece

    async def kill(self) -> None:
        """Nothing is saved; all that the system does is to close the files."""
        self.disk._storage.close()
        if self.disk._journal is not None:
            self.disk._journal.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), shape=shapes(), journal=st.booleans())
def test_any_story(data: st.DataObject, shape: Shape, journal: bool) -> None:
    files = st.frozensets(st.sampled_from(shape.info.wanted_files))

    async def tell(folder: pathlib.Path) -> None:
        story = Story(Home(folder, shape, journal=journal), data.draw(files))
        await story.start()
        for _ in range(data.draw(st.integers(0, 15))):
            match data.draw(st.sampled_from(["write", "write", "write", "spill", "commit", "select", "close", "kill"])):
                case "write" | "spill" as how:
                    missing = list(bitfield.members(shape.full & ~story.acknowledged))
                    for piece in data.draw(st.lists(st.sampled_from(missing), max_size=4)) if missing else []:
                        await story.write(piece, spill=how == "spill")
                case "commit":
                    await story.disk.commit(story.acknowledged)
                    await story.check(story.acknowledged)
                case "select":
                    story.wanted = data.draw(files)
                    await story.disk.select(story.wanted)
                    await story.check(story.acknowledged)
                case "close":
                    await story.disk.close(story.acknowledged)
                    story.clean = True
                    await story.start()
                case _:
                    await story.kill()
                    await story.start(recheck=data.draw(st.booleans()))
        await story.disk.select(shape.all)
        for piece in bitfield.members(shape.full & ~story.acknowledged):
            await story.write(piece, spill=False)
        await story.disk.commit(shape.full)
        await story.disk.close(shape.full)
        names = [home_path.relative_to(story.home.folder) for home_path in map(story.home.final, shape.all)]
        assert story.home.lying() == sorted(map(str, names))

    with tempfile.TemporaryDirectory() as folder:
        trio.run(tell, pathlib.Path(folder))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), shape=shapes(), journal=st.booleans(), overwrite=st.booleans())
def test_any_story_with_strangers(data: st.DataObject, shape: Shape, journal: bool, overwrite: bool) -> None:
    """Files of the same names, right and wrong ones, appear while nobody looks."""
    files = st.frozensets(st.sampled_from(shape.info.wanted_files))
    strangers: dict[int, bytes] = {}

    def appear(home: Home) -> None:
        for file in data.draw(files):
            if home.final(file).exists():
                continue
            right = shape.content(file)
            wrong = bytearray(right)
            if wrong:
                wrong[data.draw(st.integers(0, len(wrong) - 1))] ^= 1
            content = data.draw(st.sampled_from([right, bytes(wrong), right[:-1], right + b"!"]))
            home.put(file, content)
            if content != right:
                strangers[file] = content

    async def session(home: Home, wanted: frozenset[int]) -> None:
        disk = home.disk()
        claims = 0
        try:
            claims = await home.open(disk, wanted)
            assert not wrong_claims(await content_of(disk, shape.layout, claims), shape, claims)
            for piece in data.draw(st.lists(st.sampled_from(range(len(shape.pieces))), max_size=6, unique=True)):
                if not claims >> piece & 1:
                    assert await write_piece(disk, piece, shape.pieces[piece]) is Verdict.RIGHT
                    claims |= 1 << piece
            assert not wrong_claims(await content_of(disk, shape.layout, claims), shape, claims)
            if data.draw(st.booleans()):
                await disk.commit(claims)
            if data.draw(st.booleans()):
                await disk.select(data.draw(files))
            assert not wrong_claims(await content_of(disk, shape.layout, claims), shape, claims)
        finally:
            if data.draw(st.booleans()):
                disk._storage.close()
                if disk._journal is not None:
                    disk._journal.close()
            else:
                with contextlib.suppress(FileInTheWayError):
                    await disk.close(claims)

    async def tell(folder: pathlib.Path) -> None:
        home = Home(folder, shape, journal=journal, overwrite=overwrite)
        for _ in range(data.draw(st.integers(1, 4))):
            appear(home)
            with contextlib.suppress(FileInTheWayError) if strangers and not overwrite else contextlib.nullcontext():
                await session(home, data.draw(files))
            if not overwrite:
                assert all(home.final(file).read_bytes() == content for file, content in strangers.items())
        if not overwrite:
            for file in strangers:
                home.final(file).unlink()
        disk = home.disk()
        have = await home.open(disk)
        assert not wrong_claims(await content_of(disk, shape.layout, have), shape, have)
        for piece in bitfield.members(shape.full & ~have):
            assert await write_piece(disk, piece, shape.pieces[piece]) is Verdict.RIGHT
        await disk.close(shape.full)
        assert all(home.final(file).read_bytes() == shape.content(file) for file in shape.all)

    with tempfile.TemporaryDirectory() as folder:
        trio.run(tell, pathlib.Path(folder))
