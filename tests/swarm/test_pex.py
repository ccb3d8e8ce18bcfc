import trio

import torrentlite as tl
from tests.strangers import Stranger, background, session_on, where
from torrentlite.limits import PEX_FIRST, PEX_INTERVAL, PEX_MOST, PEX_TOO_SOON
from torrentlite.swarm.pex import PeerExchange
from torrentlite.testing import simulated
from torrentlite.wire import extensions as wire_extensions, messages as wm
from torrentlite.wire.address import Address

LONG_AGO = 0.0
TO = Address("12.0.0.1", 1)


def public(number):
    return Address(f"13.{number >> 8}.{number & 255}.1", 6881)


def test_at_most_once_a_minute_and_only_what_changed():
    pex = PeerExchange()
    pex.joined("a", LONG_AGO)
    others = [(public(1), False), (public(2), True), (TO, False)]
    assert pex.due("a", TO, others, PEX_FIRST - 1) is None
    first = pex.due("a", TO, others, PEX_FIRST)
    assert first.added == (public(1), public(2)), "never the receiver itself"
    assert first.seeds == {public(2)}
    assert pex.due("a", TO, others, PEX_FIRST + 1) is None
    now = PEX_FIRST + PEX_INTERVAL
    assert pex.due("a", TO, others, now) is None, "nothing changed"
    second = pex.due("a", TO, [(public(2), True), (public(3), False)], now + PEX_INTERVAL)
    assert second.added == (public(3),)
    assert second.dropped == (public(1),)


def test_fifty_at_a_time():
    pex = PeerExchange()
    pex.joined("a", LONG_AGO)
    many = [(public(number), False) for number in range(120)]
    told = []
    for turn in range(4):
        message = pex.due("a", TO, many, PEX_FIRST + turn * PEX_INTERVAL)
        if message is not None:
            assert len(message.added) <= PEX_MOST
            told += message.added
    assert told == [address for address, _ in many]


def test_the_internet_learns_nothing_of_our_network():
    inside = [(Address("192.168.1.5", 1), False), (Address("127.0.0.1", 2), False), (public(1), False)]
    for to, expected in ((TO, 1), (Address("192.168.1.9", 1), 2), (Address("127.0.0.1", 9), 3)):
        pex = PeerExchange()
        pex.joined("a", LONG_AGO)
        assert len(pex.due("a", to, inside, PEX_FIRST).added) == expected


def test_who_talks_too_often_is_not_heard():
    pex = PeerExchange()
    pex.joined("a", LONG_AGO)
    assert pex.heard("a", 1)
    assert not pex.heard("a", 30)
    assert not pex.heard("a", PEX_TOO_SOON)
    assert pex.heard("a", PEX_TOO_SOON + 1)
    assert not pex.heard("a", 2 * PEX_TOO_SOON)


async def meet(world, *, private=False, pex=True):
    """Left and right each know only the middle; returns whether they have met after two minutes."""
    metainfo, _ = world.torrent(1 << 20)
    if private:
        raw = metainfo.info.raw
        assert raw.endswith(b"e")
        # "private" sorts after "pieces".
        metainfo = tl.Metainfo(info=tl.Info.from_bytes(raw[:-1] + b"7:privatei1ee"))
        assert metainfo.private
    settings = tl.Settings(pex=pex)
    left, middle, right = (world.host() for _ in range(3))
    async with (
        tl.open_session(settings, world=middle) as m,
        tl.open_session(settings, world=left) as a,
        tl.open_session(settings, world=right) as b,
    ):
        m.add(metainfo)
        to = [(middle.network.addresses[0], m.port)]
        one = a.add(metainfo, peers=to)
        other = b.add(metainfo, peers=to)
        await trio.sleep(120)
        for session in (m, a, b):
            assert session.stats().internal_errors == 0
        met = {peer.host for peer in one.peers()} | {peer.host for peer in other.peers()}
        sources = {peer.source for torrent in (one, other) for peer in torrent.peers()}
        return left.network.addresses[0] in met and right.network.addresses[0] in met, sources


@simulated(seed=1)
async def test_peers_of_peers_are_found(world):
    met, sources = await meet(world)
    assert met
    assert "pex" in sources


@simulated(seed=1)
async def test_not_in_private_torrents(world):
    assert not (await meet(world, private=True))[0]


@simulated(seed=1)
async def test_not_when_switched_off(world):
    assert not (await meet(world, pex=False))[0]


@simulated()
async def test_who_talks_all_the_time_is_hardly_read(world, monkeypatch):
    """To read a message costs more than to send it."""
    read = []
    real = wire_extensions._parse_pex

    def parse(payload):
        read.append(trio.current_time())
        return real(payload)

    monkeypatch.setattr(wire_extensions, "_parse_pex", parse)
    metainfo, data = world.torrent()
    machine = world.host()
    machine.put(metainfo.info, data)
    async with background() as nursery, session_on(machine) as session:
        await session.add(metainfo).wait_complete()
        talk = await Stranger(world.host(), metainfo.info, has=0).call(nursery, where(machine, session))
        await talk.hear(wm.ExtendedHandshake)
        for _ in range(200):
            await talk.say(wire_extensions.encode_pex(wire_extensions.UT_PEX, wm.Pex((public(1),))) * 100)
            await trio.sleep(1)
        assert not talk.ended
    assert 4 <= len(read) <= 1 + 200 / PEX_TOO_SOON
