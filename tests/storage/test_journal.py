from __future__ import annotations

import errno
import os
import pathlib
import subprocess
import sys

import pytest
import trio
from hypothesis import HealthCheck, given, settings, strategies as st

from tests.storage.worlds import Home, Shape, content_of, letters, write_piece, wrong_claims
from torrentlite import limits
from torrentlite.errors import DiskFullError, StorageError
from torrentlite.storage.journal import Journal, Resume
from torrentlite.storage.storage import Stamp
from torrentlite.wire import bitfield

HASH = bytes(range(20))
STAMPS = {0: Stamp(10, 2**63 + 5, 3), 7: Stamp(0, 0, 2**64 - 1)}


def journal(folder: pathlib.Path, *, info_hash: bytes = HASH, save: str = "save", count: int = 100) -> Journal:
    return Journal(folder / "state", info_hash, folder / save, count)


def read(folder: pathlib.Path, *, count: int = 100) -> Resume:
    found = journal(folder, count=count)
    resume = found.load()
    found.close()
    return resume


def test_nothing_is_known_at_first(tmp_path: pathlib.Path) -> None:
    new = journal(tmp_path)
    assert not new.load().known
    new.close()
    assert os.stat(new.path).st_mode & 0o077 == 0


def test_a_state_folder_that_cannot_be_made_is_called_so(tmp_path: pathlib.Path) -> None:
    (tmp_path / "state").write_bytes(b"")
    with pytest.raises(StorageError, match=r"cannot make the state folder '.*resume': Not a directory") as caught:
        journal(tmp_path).load()
    assert caught.value.hint == "choose another state folder (Settings.state_dir, --state-dir)"


def test_what_was_written_is_read(tmp_path: pathlib.Path) -> None:
    first = journal(tmp_path)
    first.load()
    first.rewrite(0b1001, {}, clean=False)
    first.written([5, 6, 99])
    first.written([5])
    first.synced(1 << 5 | 1 << 99, STAMPS)
    first.close()
    again = journal(tmp_path)
    resume = again.load()
    assert resume.known
    assert not resume.torn
    assert not resume.clean
    assert resume.synced == 0b1001 | 1 << 5 | 1 << 99
    assert resume.written == {6}
    assert resume.stamps == STAMPS
    # Writing goes on where it ended.
    again.written([3])
    again.close()
    last = read(tmp_path)
    assert last.synced == 1 | 1 << 5 | 1 << 99
    assert last.written == {3, 6}


def test_clean_end(tmp_path: pathlib.Path) -> None:
    first = journal(tmp_path)
    first.load()
    first.rewrite(0b11, STAMPS, clean=True)
    first.close()
    again = journal(tmp_path)
    resume = again.load()
    assert (resume.clean, resume.synced, resume.stamps) == (True, 0b11, STAMPS)
    again.written([50])
    again.close()
    assert not read(tmp_path).clean


def sample(folder: pathlib.Path) -> bytes:
    first = journal(folder)
    pathlib.Path(first.path).unlink(missing_ok=True)
    first.load()
    first.rewrite(0b1001, STAMPS, clean=False)
    first.written([5])
    first.synced(1 << 5, {1: Stamp(1, 2, 3)})
    first.written([8, 9])
    first.close()
    return pathlib.Path(first.path).read_bytes()


def test_every_byte_flipped(tmp_path: pathlib.Path) -> None:
    data = sample(tmp_path)
    path = pathlib.Path(journal(tmp_path).path)
    torn = 0
    for position in range(len(data)):
        for mask in (1, 0x80, 0xFF):
            path.write_bytes(data[:position] + bytes([data[position] ^ mask]) + data[position + 1 :])
            resume = read(tmp_path)
            # Either it is worthless, or it looks cut off: then what comes before is true, and the rest is hashed.
            assert not resume.known or resume.torn
            assert not resume.clean
            assert resume.synced & ~(0b1001 | 1 << 5) == 0
            torn += resume.torn
    assert 0 < torn < len(data)


def test_every_length(tmp_path: pathlib.Path) -> None:
    data = sample(tmp_path)
    path = pathlib.Path(journal(tmp_path).path)
    whole = 0
    for size in range(len(data)):
        for tail in (b"", bytes(9), bytes(100)):
            path.write_bytes(data[:size] + tail)
            resume = read(tmp_path)
            assert resume.synced & ~(0b1001 | 1 << 5) == 0
            assert resume.torn or not tail or not resume.known
            whole += resume.known and not resume.torn
    assert whole == 5  # cut off between records


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300), keep=st.integers(0, 400))
def test_any_bytes(tmp_path: pathlib.Path, data: bytes, keep: int) -> None:
    head = sample(tmp_path)[:keep]
    pathlib.Path(journal(tmp_path).path).write_bytes(head + data)
    assert read(tmp_path).synced & ~(0b1001 | 1 << 5) == 0


def test_record_in_another_place_is_not_believed(tmp_path: pathlib.Path) -> None:
    data = sample(tmp_path)
    size = len(data)
    first = journal(tmp_path)
    first.load()
    first.synced(1 << 8, {})
    first.close()
    path = pathlib.Path(first.path)
    record = path.read_bytes()[size:]
    path.write_bytes(data + record + record)
    assert not read(tmp_path).known


@pytest.mark.parametrize("what", ["other torrent", "other folder", "newer version", "too big", "not ours"])
def test_foreign_record_is_worth_nothing(tmp_path: pathlib.Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = sample(tmp_path)
    mine = journal(tmp_path)
    path = pathlib.Path(mine.path)
    match what:
        case "other torrent":
            mine = journal(tmp_path, info_hash=bytes(20))
            pathlib.Path(mine.path).write_bytes(data)
        case "other folder":
            mine = journal(tmp_path, save="elsewhere")
            pathlib.Path(mine.path).write_bytes(data)
        case "newer version":
            path.write_bytes(data[:10] + b"\x02" + data[11:])
        case "too big":
            monkeypatch.setattr(limits, "MAX_JOURNAL", len(data) - 1)
        case _:
            path.write_bytes(b"hello")
    assert not mine.load().known
    mine.rewrite(0b1, {}, clean=False)
    mine.close()
    monkeypatch.undo()


def test_fewer_pieces_than_claimed(tmp_path: pathlib.Path) -> None:
    sample(tmp_path)
    assert not read(tmp_path, count=9).known
    assert read(tmp_path, count=10).known


def test_same_folder_by_another_name(tmp_path: pathlib.Path) -> None:
    (tmp_path / "save").mkdir()
    (tmp_path / "link").symlink_to("save")
    assert journal(tmp_path).path == journal(tmp_path, save="link").path


def test_grows_only_so_far(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "JOURNAL_SLACK", 200)
    monkeypatch.setattr("torrentlite.storage.platform.flush", lambda fd: None)
    mine = journal(tmp_path)
    mine.load()
    mine.rewrite(0, {}, clean=False)
    for piece in range(90):
        mine.written([piece, 99])
        mine.synced(1 << piece, {piece % 3: Stamp(piece, piece, piece)})
        assert os.path.getsize(mine.path) < 1000
    mine.close()
    resume = read(tmp_path)
    assert resume.synced == bitfield.full(90)
    assert resume.written == {99}
    assert resume.stamps[2] == Stamp(89, 89, 89)


def test_full_disk_leaves_no_half_record(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = journal(tmp_path)
    mine.load()
    mine.rewrite(0b1, {}, clean=False)
    real = os.pwrite

    def full(fd: int, data: memoryview, offset: int) -> int:
        real(fd, data[:5], offset)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(DiskFullError, match="No space"):
            mine.written([5, 6, 7])
    mine.written([8])
    mine.close()
    resume = read(tmp_path)
    assert (resume.torn, resume.written) == (False, {8})


def test_locked_against_another_process(tmp_path: pathlib.Path) -> None:
    mine = journal(tmp_path)
    mine.load()
    mine.rewrite(1, {}, clean=False)  # a new file, and the lock goes with it
    program = (
        "import sys, pathlib\n"
        "from torrentlite.storage.journal import Journal\n"
        "from torrentlite.errors import StorageError\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "try:\n    Journal(folder / 'state', bytes(range(20)), folder / 'save', 100).load()\n"
        "except StorageError as error:\n    print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "by another session or process" in run.stdout
    other = journal(tmp_path, save="elsewhere")
    other.load()
    other.close()
    mine.close()


def test_state_folder_that_cannot_be_used(tmp_path: pathlib.Path) -> None:
    (tmp_path / "state").write_bytes(b"")
    with pytest.raises(StorageError, match="state"):
        read(tmp_path)


def test_damage_means_hashing_this_torrent_only(tmp_path: pathlib.Path) -> None:
    """Every third byte of two real journals; the other torrent is not hashed."""
    shape, other = Shape({"a": letters(200, 1)}), Shape({"b": letters(200, 2)}, name="other")

    async def prepare(home: Home, have: int) -> None:
        disk = home.disk()
        await home.open(disk)
        for piece in bitfield.members(have):
            await write_piece(disk, piece, home.shape.pieces[piece])
        await disk.close(have)

    async def look(home: Home) -> int:
        disk = home.disk()
        have = await home.open(disk)
        assert not wrong_claims(await content_of(disk, home.shape.layout, have), home.shape, have)
        disk._storage.close()
        if disk._journal:
            disk._journal.close()
        return have

    async def main() -> None:
        home, neighbour = Home(tmp_path, shape), Home(tmp_path, other)
        await prepare(home, 0b101)
        await prepare(neighbour, 0b11)
        path = next(home.state.rglob(f"{shape.info.hashes.hex}*"))
        data = path.read_bytes()
        for position in range(0, len(data), 3):
            path.write_bytes(data[:position] + bytes([data[position] ^ 0x55]) + data[position + 1 :])
            assert await look(home) == 0b101
        assert await look(neighbour) == 0b11
        assert neighbour.hashed == 0

    trio.run(main)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="asks Linux what was flushed")
def test_the_way_to_it_is_on_the_disk(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each folder that is made is flushed into the one above it, before anything is said to be synced."""
    done: list[tuple[str, str]] = []
    mkdir, fsync = os.mkdir, os.fsync

    def noting_mkdir(path: str) -> None:
        mkdir(path)
        done.append(("made in", os.path.dirname(path)))

    def noting_fsync(fd: int) -> None:
        fsync(fd)
        done.append(("flushed", os.readlink(f"/proc/self/fd/{fd}")))

    monkeypatch.setattr(os, "mkdir", noting_mkdir)
    monkeypatch.setattr(os, "fsync", noting_fsync)
    new = journal(tmp_path / "not" / "yet")
    new.load()
    new.close()
    above = [tmp_path, tmp_path / "not", tmp_path / "not/yet", tmp_path / "not/yet/state"]
    assert done == [(what, str(folder)) for folder in above for what in ("made in", "flushed")]
