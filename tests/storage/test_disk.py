import hashlib
import os
import pathlib

import pytest
import trio

from tests.storage.worlds import Home, Shape, content_of, letters, write_piece, wrong_claims
from torrentlite.errors import FileInTheWayError, StorageError
from torrentlite.metainfo.layout import BLOCK_SIZE, Block
from torrentlite.storage.disk import Disk, Verdict
from torrentlite.storage.memory import MemoryStorage
from torrentlite.storage.origin import open_storage
from torrentlite.wire import bitfield


@pytest.fixture
def shape() -> Shape:
    return Shape({"a": letters(150, 1), "b/c": letters(10, 2), "b/empty": b"", "d": letters(300, 3)})


@pytest.fixture
def home(tmp_path: pathlib.Path, shape: Shape) -> Home:
    return Home(tmp_path, shape)


async def write_all(home: Home, disk: Disk, pieces: int | None = None) -> int:
    bits = home.shape.full if pieces is None else pieces
    for piece in bitfield.members(bits):
        assert await write_piece(disk, piece, home.shape.pieces[piece]) is Verdict.RIGHT
    return bits


def kill(disk: Disk) -> None:
    """What the system does for a process that is killed: close its files."""
    disk._storage.close()
    if disk._journal is not None:
        disk._journal.close()


async def test_whole_journey(home: Home, shape: Shape) -> None:
    disk = home.disk()
    assert await home.open(disk) == 0
    assert home.hashed == 0
    assert home.lying() == ["top/b/empty"]
    have = await write_all(home, disk)
    assert disk.dirty == len(shape.data)
    mark = shape.info.hashes.hex[:8]
    assert home.lying() == [*(f"top/{name}.{mark}.part" for name in ("a", "b/c")), "top/b/empty", f"top/d.{mark}.part"]
    assert await disk.commit(have) == [0, 1, 3]
    assert disk.dirty == 0
    assert home.lying() == ["top/a", "top/b/c", "top/b/empty", "top/d"]
    for file in shape.all:
        assert home.final(file).read_bytes() == shape.content(file)
    assert [pathlib.Path(path) for path in disk.paths()] == [home.final(file) for file in sorted(shape.all)]
    assert disk.top() == home.folder / "top"
    await disk.close(have)


async def test_second_start_hashes_nothing(home: Home, shape: Shape) -> None:
    disk = home.disk()
    await home.open(disk)
    some = await write_all(home, disk, 0b1011)
    await disk.close(some)
    again = home.disk()
    assert await home.open(again) == some
    assert home.hashed == 0
    rest = await write_all(home, again, shape.full & ~some)
    await again.close(some | rest)
    last = home.disk()
    assert await home.open(last) == shape.full
    assert home.hashed == 0
    await last.close(shape.full)


async def test_wrong_piece_is_not_written(home: Home) -> None:
    disk = home.disk()
    await home.open(disk)
    assert await write_piece(disk, 0, bytes(64)) is Verdict.WRONG
    assert await write_piece(disk, 0, b"short") is Verdict.WRONG
    assert home.lying() == ["top/b/empty"]
    await disk.close(0)


async def test_several_pieces_in_one_hop(home: Home, shape: Shape) -> None:
    disk = home.disk()
    await home.open(disk)
    calls = len(home.offload.calls)
    verdicts = await disk.write_pieces([(0, shape.pieces[0]), (1, bytes(64)), (2, bytearray(shape.pieces[2]))])
    assert verdicts == [Verdict.RIGHT, Verdict.WRONG, Verdict.RIGHT]
    assert len(home.offload.calls) == calls + 1
    await disk.close(0b101)


async def test_without_a_journal_what_lies_there_is_hashed(tmp_path: pathlib.Path, shape: Shape) -> None:
    home = Home(tmp_path, shape, journal=False)
    disk = home.disk()
    await home.open(disk)
    have = await write_all(home, disk, 0b101101)
    await disk.commit(have)
    await disk.close(have)
    assert not home.state.exists()
    again = home.disk()
    assert await home.open(again) == have
    assert home.hashed > 0
    await again.close(have)


async def test_holes_are_not_hashed(tmp_path: pathlib.Path) -> None:
    size = 1 << 20
    shape = Shape({"": letters(size)}, piece_length=16384, name="big")
    home = Home(tmp_path, shape, journal=False)
    disk = home.disk()
    await home.open(disk)
    await write_all(home, disk, 1 << 3 | 1 << 60)
    await disk.close(1 << 3 | 1 << 60)
    assert home.part(0).stat().st_size == size
    again = home.disk()
    assert await home.open(again) == 1 << 3 | 1 << 60
    assert home.hashed == 2 * 16384
    await again.close(0)


async def test_recheck_hashes_everything_and_changes_nothing(home: Home, shape: Shape) -> None:
    disk = home.disk()
    await home.open(disk)
    have = await write_all(home, disk, 0b1100111)
    await disk.commit(have)

    def look() -> list[tuple[str, int, str]]:
        return [
            (name, (home.folder / name).stat().st_mtime_ns, hashlib.sha1((home.folder / name).read_bytes()).hexdigest())
            for name in home.lying()
        ]

    before = look()
    assert await home.open(disk, recheck=True) == have
    assert home.hashed >= shape.layout.bytes_of_pieces(have)
    assert look() == before
    await disk.close(have)
    assert look() == before


async def test_recheck_finds_what_rotted(home: Home, shape: Shape) -> None:
    disk = home.disk()
    await home.open(disk)
    have = await write_all(home, disk, 0b1111000)
    await disk.commit(have)
    spot = shape.layout.offset(5) - shape.layout.file_offsets[3]
    with home.part(3).open("r+b") as file:
        file.seek(spot)
        file.write(b"!!!")
    right = await home.open(disk, recheck=True)
    assert right == have & ~(1 << 5)
    await disk.close(right)
    again = home.disk()
    assert await home.open(again) == right
    await again.close(right)


# -- selection -----------------------------------------------------------------------------------------------------


async def test_neighbours_that_nobody_wants_leave_no_junk(home: Home, shape: Shape) -> None:
    disk = home.disk()
    await home.open(disk, frozenset({0}))
    have = await write_all(home, disk, shape.pieces_of([0]))
    assert await disk.commit(have) == [0]
    assert home.lying() == [home.aside().name, "top/a"]
    assert not wrong_claims(await content_of(disk, shape.layout, have), shape, have)
    await disk.close(have)

    again = home.disk()
    assert await home.open(again, frozenset({0})) == have
    assert home.hashed == 0
    # What is kept beside the others is used when its file is wanted after all.
    await again.select(shape.all)
    assert not wrong_claims(await content_of(again, shape.layout, have), shape, have)
    assert set(await again.commit(have)) == {1, 2}  # c lies in the border piece altogether
    rest = await write_all(home, again, shape.full & ~have)
    assert await again.commit(have | rest) == [3]
    assert home.lying() == ["top/a", "top/b/c", "top/b/empty", "top/d"]
    assert home.final(3).read_bytes() == shape.content(3)
    await again.close(shape.full)


async def test_selection_changes_between_runs(home: Home, shape: Shape) -> None:
    disk = home.disk()
    await home.open(disk, frozenset({3}))
    have = await write_all(home, disk, shape.pieces_of([3]))
    await disk.close(have)
    assert home.lying() == [home.aside().name, "top/d"]
    again = home.disk()
    assert await home.open(again, shape.all) == have
    assert home.lying() == [home.aside().name, f"top/{home.part(0).name}", "top/b/c", "top/b/empty", "top/d"]
    rest = await write_all(home, again, shape.full & ~have)
    await again.commit(have | rest)
    assert home.lying() == ["top/a", "top/b/c", "top/b/empty", "top/d"]
    await again.close(shape.full)


async def test_unwanted_file_with_data_keeps_it(home: Home, shape: Shape) -> None:
    disk = home.disk()
    await home.open(disk)
    have = await write_all(home, disk, shape.pieces_of([3]))
    await disk.select({0})
    assert home.part(3).exists()
    assert not wrong_claims(await content_of(disk, shape.layout, have), shape, have)
    assert 3 in await disk.commit(have)  # it is whole, so why not
    await disk.close(have)


# -- files in the way ----------------------------------------------------------------------------------------------


async def test_right_file_under_its_name_is_complete(home: Home, shape: Shape) -> None:
    for file in shape.all:
        home.put(file, shape.content(file))
    before = [home.final(file).stat().st_mtime_ns for file in sorted(shape.all)]
    disk = home.disk()
    assert await home.open(disk) == shape.full
    await disk.close(shape.full)
    again = home.disk()
    assert await home.open(again) == shape.full
    assert home.hashed == 0
    await again.close(shape.full)
    assert [home.final(file).stat().st_mtime_ns for file in sorted(shape.all)] == before


@pytest.mark.parametrize("change", ["longer", "shorter", "other"])
async def test_different_file_is_in_the_way(home: Home, shape: Shape, change: str) -> None:
    right = shape.content(3)
    wrong = {"longer": right + b"!", "shorter": right[:-1], "other": right[:200] + b"?" + right[201:]}[change]
    home.put(3, wrong)
    disk = home.disk()
    with pytest.raises(FileInTheWayError, match="different file") as caught:
        await home.open(disk)
    assert caught.value.path == home.final(3)
    await disk.close(0)
    assert home.lying() == ["top/d"]
    assert home.final(3).read_bytes() == wrong


@pytest.mark.parametrize("change", ["longer", "shorter", "other"])
async def test_overwriting_keeps_what_matches(tmp_path: pathlib.Path, shape: Shape, change: str) -> None:
    home = Home(tmp_path, shape, overwrite=True)
    right = shape.content(3)
    wrong = {"longer": right + b"!", "shorter": right[:150], "other": right[:200] + b"?" + right[201:]}[change]
    home.put(3, wrong)
    for file in (0, 1):
        home.put(file, shape.content(file))
    disk = home.disk()
    have = await home.open(disk)
    broken = (200 + 160) // 64
    expected = {
        "longer": shape.full,
        "shorter": bitfield.span(range((150 + 160) // 64)),
        "other": shape.full & ~(1 << broken),
    }[change]
    assert have == expected
    if change != "longer":
        assert home.final(3).read_bytes() == wrong  # until the right one is whole
    rest = await write_all(home, disk, shape.full & ~have)
    await disk.close(have | rest)
    assert home.final(3).read_bytes() == right
    assert home.lying() == ["top/a", "top/b/c", "top/b/empty", "top/d"]


async def test_file_whose_neighbour_is_missing_is_kept(home: Home, shape: Shape) -> None:
    home.put(0, shape.content(0))
    home.put(3, shape.content(3))
    stamps = [home.final(file).stat().st_mtime_ns for file in (0, 3)]
    disk = home.disk()
    have = await home.open(disk)
    assert have == shape.full & ~(1 << 2)  # c is missing in the piece that all three share
    assert await write_piece(disk, 2, shape.pieces[2]) is Verdict.RIGHT
    assert set(await disk.commit(shape.full)) == {0, 1, 3}
    assert [home.final(file).stat().st_mtime_ns for file in (0, 3)] == stamps
    await disk.close(shape.full)


async def test_file_whose_neighbour_is_missing_and_that_is_different(home: Home, shape: Shape) -> None:
    wrong = shape.content(0)[:-1] + b"?"
    home.put(0, wrong)
    disk = home.disk()
    assert await home.open(disk) == 0b11  # nobody can know yet
    with pytest.raises(FileInTheWayError):
        await write_piece(disk, 2, shape.pieces[2])
    assert home.final(0).read_bytes() == wrong
    await disk.close(0b11)


async def test_file_that_turns_out_different_is_displaced(tmp_path: pathlib.Path, shape: Shape) -> None:
    home = Home(tmp_path, shape, overwrite=True)
    home.put(0, shape.content(0)[:-1] + b"?")
    disk = home.disk()
    assert await home.open(disk) == 0b11
    assert await write_piece(disk, 2, shape.pieces[2]) is Verdict.RIGHT
    assert home.part(0).read_bytes() == shape.content(0)
    assert set(await disk.commit(0b111)) == {0, 1}
    assert home.final(0).read_bytes() == shape.content(0)
    await disk.close(0b111)


async def test_unwanted_file_that_is_different_stays_untouched(home: Home, shape: Shape) -> None:
    wrong = shape.content(0)[:-1] + b"?"
    home.put(0, wrong)
    disk = home.disk()
    have = await home.open(disk, frozenset({3}))
    have |= await write_all(home, disk, shape.pieces_of([3]))
    await disk.commit(have)
    assert not wrong_claims(await content_of(disk, shape.layout, have), shape, have)
    assert home.final(0).read_bytes() == wrong
    with pytest.raises(FileInTheWayError):
        await disk.select({0, 3})
    await disk.close(have)


@pytest.mark.parametrize("known", ["at the start", "with others", "late"])
@pytest.mark.parametrize("clean", [True, False])
async def test_unwanted_file_that_is_different_is_never_claimed(
    home: Home, shape: Shape, clean: bool, known: str
) -> None:
    """It still looks as it did, but its place in the torrent is taken by other bytes."""
    first = b"?" if known == "at the start" else shape.content(0)[:1]
    home.put(0, first + shape.content(0)[1:-1] + b"?")
    if known == "with others":
        home.put(1, shape.content(1))
        home.put(3, shape.content(3))
    disk = home.disk()
    have = await home.open(disk, frozenset({3}))
    have |= await write_all(home, disk, shape.pieces_of([3]) & ~have)
    await disk.commit(have)
    assert not wrong_claims(await content_of(disk, shape.layout, have), shape, have)
    if clean:
        await disk.close(have)
    else:
        kill(disk)
    again = home.disk()
    found = await home.open(again, frozenset({3}))
    assert found == have & ~(1 << 2)
    assert not wrong_claims(await content_of(again, shape.layout, found), shape, found)
    await again.close(found)


async def test_name_taken_while_downloading(home: Home, shape: Shape) -> None:
    disk = home.disk()
    await home.open(disk)
    have = await write_all(home, disk)
    home.put(3, b"somebody else's")
    with pytest.raises(FileInTheWayError):
        await disk.commit(have)
    assert home.final(3).read_bytes() == b"somebody else's"
    assert home.part(3).read_bytes() == shape.content(3)
    home.final(3).unlink()
    assert 3 in await disk.commit(have)
    await disk.close(have)


async def test_name_taken_while_our_file_has_a_second_name(home: Home, shape: Shape) -> None:
    """Two names and a final one that is taken look like a renaming that was interrupted, and need not be one."""
    disk = home.disk()
    await home.open(disk)
    have = await write_all(home, disk)
    os.link(home.part(3), home.folder / "kept")
    home.put(3, b"somebody else's")
    with pytest.raises(FileInTheWayError):
        await disk.commit(have)
    assert home.final(3).read_bytes() == b"somebody else's"
    assert home.part(3).read_bytes() == shape.content(3)
    home.final(3).unlink()
    assert 3 in await disk.commit(have)
    await disk.close(have)


async def test_interrupted_renaming_is_finished(home: Home, shape: Shape) -> None:
    home.put(3, shape.content(3))
    os.link(home.final(3), home.part(3))
    disk = home.disk()
    assert await home.open(disk, frozenset({3})) == shape.pieces_of([3]) & ~(1 << 2)
    assert not home.part(3).exists()
    assert home.final(3).stat().st_nlink == 1
    await disk.close(0)


# -- changes behind our back -----------------------------------------------------------------------------------------


async def complete(home: Home) -> None:
    disk = home.disk()
    await home.open(disk)
    await disk.close(await write_all(home, disk))


async def test_touched_file_is_hashed_again(home: Home, shape: Shape) -> None:
    await complete(home)
    os.utime(home.final(3), ns=(1, 1))
    disk = home.disk()
    assert await home.open(disk) == shape.full
    assert home.hashed == shape.layout.bytes_of_pieces(shape.pieces_of([3]))
    await disk.close(shape.full)


async def test_replaced_file_is_noticed(home: Home, shape: Shape) -> None:
    await complete(home)
    stat = home.final(3).stat()
    other = home.final(3).with_name("other")
    other.write_bytes(bytes(300))
    os.utime(other, ns=(stat.st_mtime_ns, stat.st_mtime_ns))
    other.replace(home.final(3))
    disk = home.disk()
    with pytest.raises(FileInTheWayError):
        await home.open(disk)
    await disk.close(0)


async def test_missing_file_is_fetched_again(home: Home, shape: Shape) -> None:
    await complete(home)
    home.final(3).unlink()
    disk = home.disk()
    have = await home.open(disk)
    assert have == shape.full & ~shape.pieces_of([3])
    await write_all(home, disk, shape.full & ~have)
    await disk.close(shape.full)
    assert home.final(3).read_bytes() == shape.content(3)


async def test_unfinished_file_from_elsewhere_is_hashed(home: Home, shape: Shape) -> None:
    disk = home.disk()
    await home.open(disk)
    have = await write_all(home, disk, 0b1111000)
    await disk.close(have)
    copy = home.part(3).read_bytes()
    home.part(3).unlink()
    home.part(3).write_bytes(copy[:100] + bytes(100) + copy[200:])
    again = home.disk()
    found = await home.open(again)
    assert home.hashed > 0
    assert found < have
    assert not wrong_claims(await content_of(again, shape.layout, found), shape, found)
    await again.close(found)


async def test_truncated_file_is_an_error_while_reading(home: Home, shape: Shape) -> None:
    await complete(home)
    disk = home.disk()
    have = await home.open(disk)
    os.truncate(home.final(3), 10)
    block = Block(6, 0, 16)
    with pytest.raises(StorageError, match="shorter"):
        await disk.read([block], [bytearray(16)])
    assert not disk.read_now([block], [bytearray(16)])
    await disk.close(have)


async def test_replaced_keeper_of_neighbours_is_hashed(home: Home, shape: Shape) -> None:
    disk = home.disk()
    await home.open(disk, frozenset({0}))
    await disk.close(await write_all(home, disk, shape.pieces_of([0])))
    content = home.aside().read_bytes()
    home.aside().rename(home.folder / "old")
    home.aside().write_bytes(bytes(len(content)))
    again = home.disk()
    assert await home.open(again, frozenset({0})) == 0b011
    await again.close(0b011)


# -- blocks ----------------------------------------------------------------------------------------------------------


async def test_blocks_are_read_over_file_borders(home: Home, shape: Shape) -> None:
    await complete(home)
    disk = home.disk()
    await home.open(disk)
    blocks = [Block(0, 3, 61), Block(1, 0, 64), Block(2, 0, 64), Block(6, 10, 20), Block(2, 20, 20)]
    expected = [shape.pieces[b.piece][b.begin : b.begin + b.length] for b in blocks]
    buffers: list[bytearray | memoryview] = [bytearray(b.length) for b in blocks]
    await disk.read(blocks, buffers)
    assert [bytes(buffer) for buffer in buffers] == expected
    views: list[bytearray | memoryview] = [memoryview(bytearray(b.length)) for b in blocks]
    if disk.read_now(blocks, views):  # not on every file system
        assert [bytes(view) for view in views] == expected
    await disk.close(shape.full)


async def test_nothing_is_read_at_once_while_the_storage_is_changed(home: Home, shape: Shape) -> None:
    """Or a block is read of a piece that is being let go of, or of a file that is on its way elsewhere."""
    disk = home.disk(MemoryStorage(shape.info))
    await home.open(disk)
    await write_piece(disk, 0, shape.pieces[0])
    block, buffer = Block(0, 0, 64), bytearray(64)
    assert disk.read_now([block], [buffer])
    assert buffer == shape.pieces[0]
    async with disk._turns.alone():
        assert not disk.read_now([block], [buffer])
    assert disk.read_now([block], [buffer])
    await disk.close(1)


async def test_digests_of_blocks(home: Home) -> None:
    data = letters(BLOCK_SIZE * 2 + 5)
    digests = await home.disk().block_digests(memoryview(data))
    assert digests == [
        hashlib.sha1(data[start : start + BLOCK_SIZE]).digest() for start in range(0, len(data), BLOCK_SIZE)
    ]


# -- spilling ----------------------------------------------------------------------------------------------------------


async def test_spilled_piece(home: Home, shape: Shape) -> None:
    disk = home.disk()
    await home.open(disk)
    data = shape.pieces[2]
    await disk.spill(2, [(0, data[:16]), (32, data[32:48])])
    await disk.spill(2, [(16, bytes(16)), (48, data[48:])])
    assert await disk.check_spilled(2) is Verdict.WRONG
    await disk.spill(2, [(16, data[16:32])])
    buffer = bytearray(20)
    await disk.read_back(2, 10, buffer)
    assert buffer == data[10:30]
    assert await disk.check_spilled(2) is Verdict.RIGHT
    assert disk.dirty == 64
    await disk.commit(0b100)
    await disk.close(0b100)
    again = home.disk()
    assert await home.open(again) == 0b100
    assert home.hashed == 0
    await again.close(0b100)


async def test_unverified_bytes_never_touch_a_finished_file(home: Home, shape: Shape) -> None:
    home.put(0, shape.content(0))
    home.put(3, shape.content(3))
    disk = home.disk()
    have = await home.open(disk)
    await disk.spill(2, [(0, bytes(64))])  # a liar's
    assert await disk.check_spilled(2) is Verdict.WRONG
    assert home.final(0).read_bytes() == shape.content(0)
    await disk.spill(2, [(0, shape.pieces[2])])
    assert await disk.check_spilled(2) is Verdict.RIGHT
    assert set(await disk.commit(have | 1 << 2)) == {0, 1, 3}
    assert home.lying() == ["top/a", "top/b/c", "top/b/empty", "top/d"]
    assert [home.final(file).read_bytes() for file in sorted(shape.all)] == [
        shape.content(f) for f in sorted(shape.all)
    ]
    await disk.close(shape.full)


# -- beginnings and ends -----------------------------------------------------------------------------------------------


async def test_room_is_checked_before_anything_is_written(
    home: Home, monkeypatch: pytest.MonkeyPatch, shape: Shape
) -> None:
    monkeypatch.setattr("torrentlite.storage.platform.free_space", lambda path: 100)
    disk = home.disk()
    with pytest.raises(StorageError, match=rf"in '{home.folder}': 460 B needed, 100 B free"):
        await home.open(disk)
    await disk.close(0)
    assert not home.folder.exists()
    monkeypatch.setattr("torrentlite.storage.platform.free_space", lambda path: 332)
    assert await home.open(disk, frozenset({3})) == 0  # 300, and 32 of what borders on it
    with pytest.raises(StorageError, match="not enough space"):
        await disk.select(shape.all)
    await disk.close(0)


async def test_what_is_there_needs_no_room(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = Shape({"": letters(65536)}, piece_length=16384)
    home = Home(tmp_path, shape)
    disk = home.disk()
    await home.open(disk)
    have = await write_all(home, disk, 0b0111)
    await disk.close(have)
    monkeypatch.setattr("torrentlite.storage.platform.free_space", lambda path: 16384)
    assert await home.open(disk) == have
    await disk.close(have)


async def test_one_disk_at_a_time(home: Home) -> None:
    disk, other = home.disk(), home.disk()
    await home.open(disk)
    with pytest.raises(StorageError, match="another session or process"):
        await home.open(other)
    await other.close(0)
    await disk.close(0)
    third = home.disk()
    assert await home.open(third) == 0
    await third.close(0)


async def test_cancelled_check_leaves_everything_as_it_was(home: Home, shape: Shape) -> None:
    await complete(home)
    journal = next(home.state.rglob("*.journal")).read_bytes()
    disk = home.disk()
    with trio.CancelScope() as scope:

        def progress(done: int, total: int) -> None:
            scope.cancel()

        await disk.open(wanted=shape.all, recheck=True, progress=progress)
    assert scope.cancelled_caught
    await disk.close(0)
    assert next(home.state.rglob("*.journal")).read_bytes() == journal
    again = home.disk()
    assert await home.open(again) == shape.full
    assert home.hashed == 0
    await again.close(shape.full)


async def test_executable_is_marked(tmp_path: pathlib.Path) -> None:
    shape = Shape({"run": letters(10), "read": letters(10)}, attr={"run": "x"})
    home = Home(tmp_path, shape)
    await complete(home)
    assert os.access(home.final(0), os.X_OK)
    assert home.final(1).stat().st_mode & 0o111 == 0


async def test_padding_is_never_written(tmp_path: pathlib.Path) -> None:
    shape = Shape({"a": letters(50), ".pad/14": 14, "b": letters(70, 1), ".pad/200": 200, "c": letters(3, 2)})
    home = Home(tmp_path, shape)
    await complete(home)
    assert home.lying() == ["top/a", "top/b", "top/c"]
    for journal in (True, False):
        home.journal = journal
        disk = home.disk()
        assert await home.open(disk, recheck=True) == shape.full
        assert not wrong_claims(await content_of(disk, shape.layout, shape.full), shape, shape.full)
        await disk.close(shape.full)


async def test_links_in_a_torrent_are_not_created(tmp_path: pathlib.Path) -> None:
    shape = Shape({"a": letters(50), "link": b""}, attr={"link": "l"})
    home = Home(tmp_path, shape)
    await complete(home)
    assert home.lying() == ["top/a"]


async def test_file_with_a_folder_in_its_place(home: Home) -> None:
    home.final(3).mkdir(parents=True)
    disk = home.disk()
    with pytest.raises(StorageError, match="folder"):
        await home.open(disk)
    await disk.close(0)


async def test_storage_of_files_by_default(tmp_path: pathlib.Path, shape: Shape) -> None:
    home = Home(tmp_path, shape)
    disk = home.disk(open_storage(shape.info, home.folder))
    await home.open(disk)
    have = await write_all(home, disk)
    await disk.close(have)
    assert home.final(0).exists()


@pytest.mark.parametrize("what", ["other bytes", "the same bytes"])
async def test_finished_file_that_is_written_to_while_it_is_checked(home: Home, shape: Shape, what: str) -> None:
    """The stamp from after the check would vouch for bytes that nobody has hashed."""
    home.put(3, shape.content(3))
    looks = 0

    def progress(done: int, total: int) -> None:
        nonlocal looks
        if done == total > 0:
            looks += 1
            if looks == 1:
                with home.final(3).open("r+b") as file:
                    file.seek(100)
                    file.write(b"other" if what == "other bytes" else shape.content(3)[100:105])
                os.utime(home.final(3), ns=(1, 1))

    disk = home.disk()
    if what == "other bytes":
        with pytest.raises(FileInTheWayError):
            await disk.open(wanted=shape.all, progress=progress)
        await disk.close(0)
        return
    have = await disk.open(wanted=shape.all, progress=progress)
    assert looks == 2
    assert have.bit_count() == 5, "all but the first piece of the file, which has bytes of others"
    await disk.close(have)
    disk = home.disk()
    assert await home.open(disk) == have
    assert home.hashed == 0
    await disk.close(have)


async def test_what_a_liar_puts_into_the_padding_is_not_the_torrents_fault(tmp_path: pathlib.Path) -> None:
    shape = Shape({"a": letters(100, 1), ".pad/28": 28, "b": letters(64, 2)})
    home = Home(tmp_path, shape)
    disk = home.disk()
    await home.open(disk)
    await disk.spill(1, [(0, shape.pieces[1][:50] + b"x" * 14)])
    assert await disk.check_spilled(1) is Verdict.RIGHT
    await disk.close(0b10)
