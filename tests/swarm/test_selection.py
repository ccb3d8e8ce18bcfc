"""Which files are wanted: the arithmetic, and what it leaves on a real disk."""

import dataclasses
import hashlib
import os
import pathlib

import pytest
import trio
from hypothesis import given, strategies as st

import torrentlite as tl
from tests.strangers import session_on, simulated, until, where
from torrentlite.bencode import encode
from torrentlite.limits import MOST_PRIORITY
from torrentlite.metainfo.info import Info
from torrentlite.metainfo.layout import Layout
from torrentlite.swarm.selection import Choice, Selection, check_priority, files_of
from torrentlite.testing import SimulatedMachine
from torrentlite.wire import bitfield


def make_info(files, piece_length):
    """An info dictionary of (length, is a pad) each; no hash in it is right."""
    entries = []
    for number, (length, pad) in enumerate(files):
        entry = {"length": length, "path": [".pad", str(number)] if pad else [f"{number}.bin"]}
        if pad:
            entry["attr"] = "p"
        entries.append(entry)
    count = -(-sum(length for length, _ in files) // piece_length)
    return Info.from_bytes(
        encode({"files": entries, "name": "x", "piece length": piece_length, "pieces": bytes(20 * count)})
    )


torrents = st.tuples(
    st.lists(st.tuples(st.integers(0, 200), st.booleans()), min_size=1, max_size=12).filter(
        lambda files: any(length and not pad for length, pad in files)
    ),
    st.integers(1, 100),
)


@given(torrents, st.data())
def test_counts_agree_with_counting_every_byte(torrent, data):
    files, piece_length = torrent
    info = make_info(files, piece_length)
    chosen = data.draw(st.none() | st.lists(st.integers(0, len(files) - 1), max_size=6))
    selection = Selection(info, chosen)
    wanted = [
        number for number, (_, pad) in enumerate(files) if not pad and (chosen is None or number in chosen)
    ]  # fmt: skip
    owners = [number for number, (length, _) in enumerate(files) for _ in range(length)]
    have = data.draw(st.sets(st.integers(0, info.layout.piece_count - 1)))
    missing = [offset for offset, owner in enumerate(owners) if owner in wanted and offset // piece_length not in have]
    assert selection.files == frozenset(wanted)
    assert selection.total == sum(files[number][0] for number in wanted)
    assert set(bitfield.members(selection.pieces)) == {
        offset // piece_length for offset, owner in enumerate(owners) if owner in wanted
    }
    assert selection.left(bitfield.of(have)) == len(missing)
    assert sum(map(selection.bytes_of, range(info.layout.piece_count))) == selection.total
    stats = selection.file_stats(bitfield.of(have))
    real = [number for number, (_, pad) in enumerate(files) if not pad]
    for number, file in zip(real, stats, strict=True):
        done = sum(owner == number and offset // piece_length in have for offset, owner in enumerate(owners))
        assert (file.size, file.done, file.wanted) == (files[number][0], done, number in wanted)


PIECE = 16_384


def make_v2_info(lengths):
    """An info dictionary of version 2 (BEP 52), with a symlink for each length of None; pieces of 16 KiB."""
    tree = {}
    for number, length in enumerate(lengths):
        entry = {"attr": "l", "length": 0, "symlink path": ["0.bin"]} if length is None else {"length": length}
        if length:
            entry["pieces root"] = b"%032d" % number
        tree[f"{number:02}.bin"] = {"": entry}
    return Info.from_bytes(encode({"file tree": tree, "meta version": 2, "name": "x", "piece length": PIECE}))


aligned = st.lists(
    st.none() | st.sampled_from([0, 1, 5, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE]), min_size=1, max_size=9
)


@given(aligned.filter(any), st.data())
def test_counts_agree_where_every_file_begins_at_a_piece(lengths, data):
    info = make_v2_info(lengths)
    real = [index for index, entry in enumerate(info.files) if not (entry.pad or entry.symlink)]
    chosen = data.draw(st.none() | st.sets(st.sampled_from(real)))
    have = data.draw(st.sets(st.integers(0, info.layout.piece_count - 1)))
    sizes, wanted = [], set()
    for index, length in zip(real, (length for length in lengths if length is not None), strict=True):
        parts = [PIECE] * (length // PIECE) + [length % PIECE] * (length % PIECE > 0)
        if chosen is None or index in chosen:
            wanted.update(range(len(sizes), len(sizes) + len(parts)))
        sizes += parts
    selection = Selection(info, chosen)
    assert len(sizes) == info.layout.piece_count
    assert set(bitfield.members(selection.pieces)) == wanted
    assert selection.total == sum(sizes[piece] for piece in wanted)
    assert selection.left(bitfield.of(have)) == sum(sizes[piece] for piece in wanted - have)
    assert [selection.bytes_of(piece) for piece in range(len(sizes))] == [
        size if piece in wanted else 0 for piece, size in enumerate(sizes)
    ]


class InOne(Selection):
    def bytes_of(self, piece):
        raise AssertionError("a step for each piece")


@pytest.mark.parametrize("info", [make_info([(10, False)] * 9, 16), make_v2_info([10, None, PIECE + 5, 0, 7])])
def test_all_files_are_counted_without_a_step_for_each_piece(info):
    """Of 50,000 small files that would take longer than anything else may hold up the loop."""
    assert InOne(info).left(0) == info.total
    assert InOne(info).left(1) == info.total - info.layout.piece_size(0)


def test_pad_files_may_be_named_and_are_never_wanted():
    info = make_info([(10, False), (6, True), (10, False)], 16)
    assert Selection(info, [1]).files == frozenset()


@pytest.mark.parametrize(
    ("chosen", "by_hand", "linked"),
    [
        (None, None, None),
        ((), (), ()),
        ((2, 0), (2, 0), (2, 0)),
        ((1,), (1,), (1,)),
        ((0, 3), "no file 3", (0,)),
        ((2, *range(3, 99)), "no file 3", (2,)),
        ((7,), "no file 7", "none of the files"),
        ((-1,), "no file -1: there are 3, the first is 0", "none of the files"),
        (("2.bin", "x/0.bin", 1), (2, 0, 1), (2, 0, 1)),
        ((0, "3.bin"), "no file '3.bin'", "no file '3.bin'"),
        ((".pad/1",), "no file '.pad/1'", "no file '.pad/1'"),
    ],
)
def test_what_was_chosen_before_anybody_knew(chosen, by_hand, linked):
    info = make_info([(10, False), (6, True), (10, False)], 16)
    for expected, person in ((by_hand, True), (linked, False)):
        if isinstance(expected, str):
            with pytest.raises(tl.NoSuchFileError, match=expected):
                Choice(chosen, by_hand=person).of(info)
        else:
            assert Choice(chosen, by_hand=person).of(info) == expected


class Number:
    """As numbers of numpy are."""

    def __index__(self):
        return 2


def test_files_are_named_by_paths_or_indexes():
    assert files_of("select", None) is None
    assert files_of("select", iter(["a/b.bin", 0, Number()])) == ("a/b.bin", 0, 2)
    for text in ("a.bin", b"a.bin"):
        with pytest.raises(TypeError, match="select: several files are expected, and this is one text"):
            files_of("select", text)
    for wrong, name in ((None, "NoneType"), (1.0, "float"), (pathlib.Path("a.bin"), "PosixPath")):
        with pytest.raises(TypeError, match=f"select: paths .* expected, and this is a {name}$"):
            files_of("select", [0, wrong])


def test_what_is_not_there_makes_no_sense():
    """As other wishes that make none: who asks for ValueErrors gets it."""
    with pytest.raises(ValueError, match="no file 3"):
        Choice((3,)).of(make_info([(10, False)], 16))


# -- on a real disk, in a simulated network ---------------------------------------------------------------------------


def with_real_files(machine: SimulatedMachine) -> SimulatedMachine:
    return dataclasses.replace(machine, storage=None)


def tree(folder):
    return sorted(
        os.path.relpath(os.path.join(root, name), folder) for root, _, names in os.walk(folder) for name in names
    )


async def real(world, tmp_path, *sizes, up=0, piece_length=16 << 10):
    metainfo, data = world.torrent(*sizes, name="stuff", piece_length=piece_length)
    seed = world.host(up=up)
    seed.put(metainfo.info, data)
    starts = Layout(1, sizes).file_offsets
    parts = [data[start : start + size] for start, size in zip(starts, sizes, strict=True)]
    return metainfo, parts, seed, with_real_files(world.host())


def contents(tmp_path, metainfo):
    return {number: (tmp_path / "/".join(file.path)).read_bytes() for number, file in enumerate(metainfo.files)
            if (tmp_path / "/".join(file.path)).exists()}  # fmt: skip


@simulated()
async def test_deselected_files_leave_no_junk_and_selecting_later_completes(world, tmp_path):
    metainfo, parts, seed, machine = await real(world, tmp_path, 100_000, 50_000, 0, 70_000, 5, 90_000)
    async with session_on(seed) as sharing, session_on(machine) as session:
        sharing.add(metainfo)
        torrent = session.add(metainfo, tmp_path, select=[1, 3], peers=[where(seed, sharing)])
        await torrent.wait_complete()
        found = contents(tmp_path, metainfo)
        assert found == {1: parts[1], 3: parts[3]}
        extra = set(tree(tmp_path)) - {"stuff/1.bin", "stuff/3.bin"}
        assert all(name.endswith(".parts") for name in extra), extra
        torrent.select_files([0, 1, 2, 3])
        await torrent.wait_complete()
        assert contents(tmp_path, metainfo) == {number: parts[number] for number in range(4)}
        torrent.select_files(None)
        await torrent.wait_complete()
        assert contents(tmp_path, metainfo) == dict(enumerate(parts))
        await session.remove(torrent)
        assert tree(tmp_path) == sorted("/".join(file.path) for file in metainfo.files), "nothing else is left"


@simulated()
async def test_files_that_came_along_get_their_names_when_they_are_selected(world, tmp_path):
    """They lie in a piece of a file that was wanted: nothing is left to fetch, but there is something to do."""
    metainfo, parts, seed, machine = await real(world, tmp_path, 1000, 2000, 3000)
    async with session_on(seed) as sharing, session_on(machine) as session:
        sharing.add(metainfo)
        torrent = session.add(metainfo, tmp_path, select=[1], peers=[where(seed, sharing)])
        await torrent.wait_complete()
        assert contents(tmp_path, metainfo) == {1: parts[1]}
        before = torrent.stats().downloaded
        torrent.select_files([0, 1, 2])
        await torrent.wait_complete()
        assert contents(tmp_path, metainfo) == dict(enumerate(parts))
        assert torrent.stats().downloaded == before
        assert torrent.state is tl.State.SEEDING


@simulated()
async def test_deselecting_during_the_download(world, tmp_path):
    metainfo, parts, seed, machine = await real(world, tmp_path, 200_000, 200_000, 200_000, up=100_000)
    async with session_on(seed) as sharing, session_on(machine) as session:
        sharing.add(metainfo)
        torrent = session.add(metainfo, tmp_path, peers=[where(seed, sharing)])
        await until(lambda: torrent.stats().pieces_done >= 12)
        torrent.select_files([2])
        await torrent.wait_complete()
        assert contents(tmp_path, metainfo)[2] == parts[2]
        torrent.select_files([0, 2])
        await until(lambda: torrent.files()[0].done > 100_000)
        torrent.select_files([2])
        await torrent.wait_complete()
        torrent.select_files(None)
        await torrent.wait_complete()
        await session.remove(torrent)
        assert contents(tmp_path, metainfo) == dict(enumerate(parts))
        assert len(tree(tmp_path)) == 3


@simulated()
async def test_selecting_while_the_files_are_being_checked(world, tmp_path):
    metainfo, parts, seed, machine = await real(world, tmp_path, 100_000, 100_000, 100_000)
    machine.offload.duration = 0.3
    async with session_on(seed) as sharing, session_on(machine) as session:
        sharing.add(metainfo)
        torrent = session.add(metainfo, tmp_path, select=[0], peers=[where(seed, sharing)])
        await trio.sleep(0.1)
        assert torrent.state is tl.State.CHECKING
        torrent.select_files([1])
        await trio.sleep(0.3)
        torrent.select_files([2])
        await torrent.wait_complete()
        assert contents(tmp_path, metainfo) == {2: parts[2]}


@pytest.mark.parametrize("select", [None, [0], [2], [0, 4]])
@simulated()
async def test_pad_files_and_empty_files(world, tmp_path, select):
    """A torrent of aligned files, as libtorrent makes them: pads are neither written nor shown, and served as zeros."""
    piece = 16 << 10
    lengths = [(20_000, False), (2 * piece - 20_000, True), (0, False), (5, True), (piece - 5, False), (30_000, False)]
    rng = world.dice.rng("pads")
    bodies = [bytes(length) if pad else rng.randbytes(length) for length, pad in lengths]
    data = b"".join(bodies)
    info = make_info(lengths, piece)
    digests = b"".join(hashlib.sha1(data[at : at + piece]).digest() for at in range(0, len(data), piece))
    fields = tl.Info.from_bytes(info.raw.replace(bytes(len(info.pieces)), digests))
    metainfo = tl.Metainfo(info=fields, trackers=(), web_seeds=())
    first, second = with_real_files(world.host()), with_real_files(world.host())
    (tmp_path / "a" / "x").mkdir(parents=True)
    for number, (_, pad) in enumerate(lengths):
        if not pad:
            (tmp_path / "a" / "x" / f"{number}.bin").write_bytes(bodies[number])
    async with session_on(first) as sharing, session_on(second) as session:
        shared = sharing.add(metainfo, tmp_path / "a")
        torrent = session.add(metainfo, tmp_path / "b", select=select, peers=[where(first, sharing)])
        await shared.wait_complete()
        await torrent.wait_complete()
        wanted = [number for number, (_, pad) in enumerate(lengths) if not pad and (select is None or number in select)]
        assert [file.path for file in torrent.files()] == ["x/0.bin", "x/2.bin", "x/4.bin", "x/5.bin"]
        assert torrent.stats().total == sum(lengths[number][0] for number in wanted)
        for number in wanted:
            assert (tmp_path / "b" / "x" / f"{number}.bin").read_bytes() == bodies[number]
        await session.remove(torrent)
        names = {name for name in tree(tmp_path / "b") if not name.endswith(".parts")}
        assert names == {f"x/{number}.bin" for number in wanted}
        assert not any("pad" in name for name in tree(tmp_path))


def test_a_torrent_without_any_byte_is_none():
    with pytest.raises(tl.MetainfoError, match="no data"):
        make_info([(0, False), (0, False)], 16384)
    with pytest.raises(tl.MetainfoError, match="no data"):
        make_info([(0, False), (16384, True)], 16384)


def test_priorities_of_so_many_levels():
    for priority in (MOST_PRIORITY, -MOST_PRIORITY):
        check_priority(priority, 0, None)
    for priority in (MOST_PRIORITY + 1, -MOST_PRIORITY - 1):
        with pytest.raises(ValueError, match="a priority is between"):
            check_priority(priority, 0, None)
