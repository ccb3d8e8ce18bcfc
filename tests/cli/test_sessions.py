"""A magnet's metadata by way of a session that goes on, in a simulated world."""

from __future__ import annotations

import argparse

import pytest
import trio

import torrentlite as tl
from tests.strangers import Stranger, Talk, background, session_on, simulated, where
from torrentlite.cli import sessions
from torrentlite.cli.output import Output
from torrentlite.cli.terminal import Mode
from torrentlite.wire import messages as wm


async def look(output: Output) -> None:
    while True:
        await trio.sleep(0.5)
        output.tick()


@pytest.mark.parametrize("end", ["there", "given up", "cancelled"])
@simulated()
async def test_the_session_forgets_the_magnet_however_that_ends(world, end: str) -> None:  # type: ignore[no-untyped-def]
    """Else it would go on asking around, and save to a folder that is gone."""
    metainfo, data = world.torrent(100_000)
    magnet, output = tl.Magnet.parse(metainfo.magnet), Output(Mode.QUIET)
    async with background() as nursery, session_on(world.host()) as session:
        nursery.start_soon(look, output)
        stranger = await Stranger(world.host(), metainfo.info, data).serve(nursery)
        args = argparse.Namespace(peer=[stranger.place] if end == "there" else [], tracker=[], timeout=5.0, proxy="")
        with trio.move_on_after(2 if end == "cancelled" else 60) as waiting:
            if end == "given up":
                with pytest.raises(tl.NoPeersError, match=r"^made-up: no peers for .*: .*nobody"):
                    await sessions.metadata_in(session, magnet, args, output)
            else:
                assert (await sessions.metadata_in(session, magnet, args, output)).info == metainfo.info
        assert waiting.cancelled_caught is (end == "cancelled")
        assert session.torrents == ()


@simulated()
async def test_who_is_reached_and_does_not_share_it_is_no_matter_for_a_doctor(world) -> None:  # type: ignore[no-untyped-def]
    magnet, output = tl.Magnet.parse(world.torrent(100_000)[0].magnet), Output(Mode.QUIET)
    other = world.host()
    async with background() as nursery, session_on(other) as elsewhere, session_on(world.host()) as session:
        nursery.start_soon(look, output)
        args = argparse.Namespace(peer=[where(other, elsewhere)], tracker=[], timeout=5.0, proxy="")
        with pytest.raises(tl.NoPeersError, match="1 peer known; it was reached") as caught:
            await sessions.metadata_in(session, magnet, args, output)
        assert caught.value.hint == "is it shared there just now, and is that its port?"


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (wm.MetadataRequest, r"^[0-9a-f]{64}: no metadata from 1 peer for \d+ s$"),
        (wm.HashRequest, r"^made-up: no hashes of the pieces from 1 peer for \d+ s$"),
    ],
    ids=["metadata", "hashes"],
)
@simulated()
async def test_what_of_a_magnet_is_missing_is_said(world, held: type, said: str) -> None:  # type: ignore[no-untyped-def]
    """Of v2 the metadata may be here, its name with it, and the hashes of the pieces not (BEP 52)."""
    metainfo, data = world.torrent(100_000, version="v2")
    output = Output(Mode.QUIET)

    async def keep_back(talk: Talk, message: object) -> bool:
        return isinstance(message, held)

    async with background() as nursery, session_on(world.host()) as session:
        nursery.start_soon(look, output)
        stranger = await Stranger(world.host(), metainfo.info, data, react=keep_back).serve(nursery)
        args = argparse.Namespace(peer=[stranger.place], tracker=[], timeout=5.0, proxy="")
        with pytest.raises(tl.NoPeersError, match=said):
            await sessions.metadata_in(session, tl.Magnet(metainfo.hashes), args, output)
        assert session.torrents == ()
