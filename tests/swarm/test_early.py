"""What peers say before the metadata is here, and how much of it is kept."""

from __future__ import annotations

import trio

from tests.strangers import Stranger, background, session_on, simulated, where
from torrentlite.limits import MAX_EARLY_BITFIELDS, MAX_EARLY_HAVES, MAX_MESSAGE
from torrentlite.swarm.early import Early
from torrentlite.wire import messages as wm


def test_in_the_order_in_which_it_was_said_and_once() -> None:
    early = Early()
    early.keep(wm.Have(3))
    early.keep(wm.HaveNone())
    early.keep(wm.Bitfield(b"\xf0"))
    assert early.size == 1
    assert early.take() == [wm.Bitfield(b"\xf0"), wm.Have(3)]
    assert early.take() == []


def test_so_many_haves_and_no_more() -> None:
    early = Early()
    for piece in range(MAX_EARLY_HAVES + 1):
        early.keep(wm.Have(piece))
    assert early.take() == [wm.Have(piece) for piece in range(MAX_EARLY_HAVES)]


@simulated()
async def test_so_many_bitfields_of_all_and_no_more(world):
    metainfo, _ = world.torrent(1 << 20)
    machine = world.host()
    longest = wm.encode(wm.Bitfield(bytes(MAX_MESSAGE - 1)))
    most = MAX_EARLY_BITFIELDS // (MAX_MESSAGE - 1)
    async with background() as nursery, session_on(machine, dht=False) as session:
        session.add(metainfo.magnet)
        talks = []
        for _ in range(most + 1):
            stranger = Stranger(world.host(), metainfo.info, opening=lambda talk: longest)
            talks.append(await stranger.call(nursery, where(machine, session)))
            await trio.sleep(1)
        assert [talk.ended for talk in talks] == [False] * most + [True]
