"""The example of docs/storage.md is what it says it is: a storage."""

import pathlib
import re
import sqlite3

import pytest

import torrentlite as tl
from tests.strangers import session_on, simulated, where

PAGE = pathlib.Path(__file__).parent.parent / "docs" / "storage.md"


def example():
    code = re.search(r"<!-- example -->\n```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    namespace = {}
    exec(compile(code[1], str(PAGE), "exec"), namespace)
    return namespace["SqliteStorage"]


@simulated()
async def test_the_example_fetches_serves_and_finds_its_pieces_again(world, tmp_path):
    storage, made = example(), []

    def keep(info):
        made.append(storage(info, tmp_path / "db"))
        return made[-1]

    metainfo, data = world.torrent(100_000, 333_333, name="stuff", piece_length=32 << 10)
    seed, machine, third = world.host(), world.host(), world.host()
    seed.put(metainfo.info, data)
    async with session_on(seed) as sharing, session_on(machine) as session:
        await sharing.add(metainfo).wait_complete()
        torrent = session.add(metainfo, storage=keep, peers=[where(seed, sharing)])
        await torrent.wait_complete()
    async with session_on(machine) as session, session_on(third) as other:
        torrent = session.add(metainfo, storage=keep)
        await torrent.wait_complete()
        assert torrent.stats().downloaded == 0
        fetched = other.add(metainfo, storage=tl.MemoryStorage, peers=[where(machine, session)])
        await fetched.wait_complete()
        async with fetched.open("1.bin") as file:
            assert await file.read() == data[100_000:]
        torrent.recheck()
        await torrent.wait_complete()
    assert len(made) >= 2
    for each in made:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            each.db.execute("select 1")


def test_the_table_names_the_methods_there_are():
    for name in re.findall(r"`([a-z_]+)[(`]", PAGE.read_text(encoding="utf-8").split("## Your own")[1]):
        if name not in ("wanted", "aside", "lt_donthave"):
            assert hasattr(tl.Storage, name), name
