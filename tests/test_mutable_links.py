"""A link that stays, over loopback: published by one session, followed by ``load`` and ``fetch``."""

import pathlib

import pytest
import trio

import torrentlite as tl
from torrentlite.dht import open_node

KEY = bytes(range(32))


async def test_load_and_fetch_follow_it(tmp_path: pathlib.Path) -> None:
    (tmp_path / "data.bin").write_bytes(bytes(range(256)) * 1000)
    async with open_node(host="127.0.0.1", routers=()) as node:
        nodes = (tuple(node.addresses[0]),)
        settings = tl.Settings(host="127.0.0.1", bootstrap=nodes)
        async with tl.open_session(settings) as session:
            torrent = session.add(await tl.create(tmp_path / "data.bin"), tmp_path)
            with trio.fail_after(60):
                link = await torrent.publish(KEY)
                assert await tl.load(f" {link}\n", nodes=nodes) == tl.Magnet(tl.InfoHashes(torrent.hashes.v1))
                with pytest.raises(tl.DhtError, match="nobody in the DHT"):
                    await tl.load(str(link._replace(salt=b"other")), nodes=nodes)
                (path,) = await tl.fetch(str(link), tmp_path / "down", settings=settings, timeout=60)
            assert path.read_bytes() == (tmp_path / "data.bin").read_bytes()


async def test_what_is_not_asked(tmp_path: pathlib.Path) -> None:
    link = str(tl.MutableLink(bytes(32)))
    with pytest.raises(tl.DhtError, match="switched off"):
        await tl.fetch(link, tmp_path, settings=tl.Settings(dht=False))
    for nodes, wrong in (
        (["127.0.0.1:1"], TypeError),
        ([("127.0.0.1", "1")], TypeError),
        ([("127.0.0.1", 0)], ValueError),
    ):
        with pytest.raises(wrong):
            await tl.load(link, nodes=nodes)  # type: ignore[arg-type]


async def test_nobody_to_ask(autojump_clock) -> None:
    with pytest.raises(tl.NetworkError, match="no node of the DHT answers"):
        await tl.load(str(tl.MutableLink(bytes(32))), nodes=[("127.0.0.1", 9)])
