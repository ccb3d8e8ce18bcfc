"""Each defence against hostile peers, and the same attack without it: then it must succeed.

An attack is tried twice. With the defence what is promised holds; switched off, it does not: so the attack is one, the
promise can be broken, and it is this defence that keeps it. Blame and the endgame's places have their controls in
``test_hostile.py``, the bound on copies of metadata in ``test_bombs.py``, the DHT's in ``tests/dht/test_hostile.py``.
"""

from __future__ import annotations

import errno
import logging
import math
import os
import pathlib
import re
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest
import trio
import trio.testing

from tests.strangers import Stranger, Talk, background, session_on, spoil, until, where
from torrentlite import limits
from torrentlite.bencode import encode
from torrentlite.errors import NetworkError
from torrentlite.metainfo import text
from torrentlite.metainfo.paths import safe_paths
from torrentlite.net.network import RealNetwork
from torrentlite.settings import Settings
from torrentlite.storage import platform
from torrentlite.storage.beneath import Beneath
from torrentlite.strategy.doubles import Doubles
from torrentlite.strategy.peerlist import PeerList
from torrentlite.swarm.pex import PeerExchange
from torrentlite.swarm.uploads import Uploads
from torrentlite.testing import run_simulation
from torrentlite.wire import messages as wm
from torrentlite.wire.address import Address, Scope, write_compact
from torrentlite.wire.extensions import UT_PEX

BLOCK = 16 << 10
HALF_OPEN = Settings().half_open
ENTRIES, PORTS, TIMEOUT = limits.MAX_PEX_ENTRIES, limits.MAX_PORTS_PER_HOST, limits.REQUEST_TIMEOUT
"""As they are with the defence."""


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="torrentlite")


def nobody(request: wm.Request, right: bytes) -> None:
    """An answer that never comes."""


async def completes(torrent: Any, within: float) -> bool:
    with trio.move_on_after(within):
        await torrent.wait_complete()
    return bool(torrent.stats().progress == 1)


# -- what is fetched --------------------------------------------------------------------------------------------------


async def rubbish(world: Any) -> bool:
    """Who sends only rubbish spoils five pieces at most, however long it takes until the first one is checked."""
    metainfo, data = world.torrent(64 * BLOCK, piece_length=BLOCK)
    machine = world.host()
    machine.offload.duration = 0.5
    async with background() as nursery, session_on(machine, dht=False) as session:
        liar = await Stranger(
            world.host(latency=0.05), metainfo.info, data, answer=lambda _, right: spoil(right)
        ).serve(nursery)
        torrent = session.add(metainfo, peers=[liar.place])
        await trio.sleep(20)
        assert liar.spoiled, "the fault happened"
        return bool(torrent.stats().hash_failures <= 5)


async def comes_back(world: Any) -> bool:
    """Who was caught cannot go on by calling again."""
    metainfo, data = world.torrent(64 * BLOCK, piece_length=BLOCK)
    machine = world.host()
    async with background() as nursery, session_on(machine, dht=False) as session:
        torrent = session.add(metainfo)
        await torrent.wait_checked()
        liar = Stranger(world.host(), metainfo.info, data, answer=lambda _, right: spoil(right))
        for _ in range(10):
            await liar.call(nursery, where(machine, session))
            await trio.sleep(2)
        assert liar.spoiled, "the fault happened"
        return bool(torrent.stats().hash_failures <= 5)


async def takes_requests(world: Any) -> bool:
    """Who takes requests and never answers keeps none of them but one, as a probe."""
    metainfo, data = world.torrent(64 * BLOCK)
    async with background() as nursery, session_on(world.host(), dht=False) as session:
        silent = await Stranger(world.host(), metainfo.info, data, answer=nobody).serve(nursery)
        torrent = session.add(metainfo, peers=[silent.place])
        await until(lambda: silent.talks and len(silent.talk.all(wm.Request)) > 1)
        await trio.sleep(TIMEOUT + 2)
        return bool(torrent.peers()[0].queue <= 1)


async def holds_the_last_blocks(world: Any) -> bool:
    """Two who take requests and never answer do not keep a newcomer out until their time is up, and then again."""
    metainfo, data = world.torrent(2 * BLOCK, piece_length=2 * BLOCK)
    async with background() as nursery, session_on(world.host(), dht=False) as session:
        silent = [await Stranger(world.host(), metainfo.info, data, answer=nobody).serve(nursery) for _ in range(2)]
        torrent = session.add(metainfo, peers=[stranger.place for stranger in silent])
        await until(lambda: all(stranger.talks and stranger.talk.all(wm.Request) for stranger in silent))
        honest = await Stranger(world.host(), metainfo.info, data).serve(nursery)
        torrent.add_peer(*honest.place)
        return await completes(torrent, TIMEOUT)


async def refuses(world: Any) -> bool:
    """Who refuses everything is not asked for ever."""
    metainfo, data = world.torrent(64 * BLOCK)

    async def reject(talk: Talk, message: Any) -> bool:
        if isinstance(message, wm.Request):
            await talk.say(wm.RejectRequest(*message))
        return isinstance(message, wm.Request)

    async with background() as nursery, session_on(world.host(), dht=False) as session:
        stranger = await Stranger(world.host(latency=0.05), metainfo.info, data, react=reject).serve(nursery)
        session.add(metainfo, peers=[stranger.place])
        await trio.sleep(20)
        assert len(stranger.talk.all(wm.Request)) > limits.MAX_REJECTS
        return stranger.talks[0].ended


async def unasked(world: Any) -> bool:
    """Who sends blocks that nobody asked for is sent away."""
    metainfo, data = world.torrent(64 * BLOCK)
    machine = world.host()
    async with background() as nursery, session_on(machine, dht=False) as session:
        torrent = session.add(metainfo)
        await torrent.wait_checked()
        stranger = Stranger(world.host(), metainfo.info, data, unchokes=False)
        talk = await stranger.call(nursery, where(machine, session))
        assert talk is not None
        await talk.say(*[wm.piece_header(0, 0, 100) + bytes(100)] * (limits.MAX_UNWANTED_BLOCKS + 1))
        await trio.sleep(5)
        return talk.ended


async def promises_metadata(world: Any) -> bool:
    """Who promises metadata and does not give it does not keep others from being asked."""
    metainfo, data = world.torrent(64 * BLOCK)

    async def mute(talk: Talk, message: Any) -> bool:
        return isinstance(message, wm.MetadataRequest)

    async with background() as nursery, session_on(world.host(), dht=False) as session:
        torrent = session.add(metainfo.magnet)
        for _ in range(limits.METADATA_PARALLEL):
            torrent.add_peer(*(await Stranger(world.host(), metainfo.info, react=mute).serve(nursery)).place)
        await until(lambda: torrent.stats().peers == limits.METADATA_PARALLEL)
        await trio.sleep(2)
        torrent.add_peer(*(await Stranger(world.host(), metainfo.info, data).serve(nursery)).place)
        with trio.move_on_after(limits.METADATA_TIMEOUT + 10) as patience:
            await torrent.wait_metadata()
        return not patience.cancelled_caught


# -- what is asked of us ----------------------------------------------------------------------------------------------


async def asks_for_everything(world: Any) -> bool:
    """Requests of one peer that wait are so many and no more."""
    metainfo, data = world.torrent(256 * BLOCK)
    machine = world.host(up=10_000)
    machine.put(metainfo.info, data)
    async with background() as nursery, session_on(machine, dht=False, request_queue=50) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        talk = await Stranger(world.host(), metainfo.info, has=0).call(nursery, where(machine, session))
        assert talk is not None
        await talk.say(wm.Interested())
        await talk.hear(wm.Unchoke)
        layout = metainfo.info.layout
        await talk.say(*[wm.Request(*block) for piece in range(layout.piece_count) for block in layout.blocks(piece)])
        await trio.sleep(1)
        (peer,) = torrent._life.swarm.peers
        return len(peer.uploads) <= 50


async def _silent_callers(world: Any, place: str, count: int) -> int:
    """Of so many callers from one place that do not say hello, how many are waited for."""
    metainfo, data = world.torrent(BLOCK)
    machine, crowd = world.host(), world.host(place, latency=0)
    machine.put(metainfo.info, data)
    async with session_on(machine, dht=False) as session:
        await session.add(metainfo).wait_complete()
        for _ in range(count):
            await Stranger(crowd, metainfo.info).dial(where(machine, session))
        await trio.sleep(1)
        waited_for: int = session.stats().pending_handshakes
        return waited_for


async def says_nothing(world: Any) -> bool:
    """Callers that do not say hello are so many and no more."""
    most = limits.MAX_PENDING_HANDSHAKES
    return await _silent_callers(world, "10.5.5.5", most + 20) <= most


async def same_place(world: Any) -> bool:
    """Of one public address only a few may be silent, so one machine does not take all places."""
    most = limits.MAX_PENDING_PER_IP
    return await _silent_callers(world, "11.5.5.5", 3 * most) <= most


# -- whom we are told of ----------------------------------------------------------------------------------------------


def peer_exchange(*named: Address) -> bytes:
    said = bytes([20, UT_PEX]) + encode({"added": write_compact(list(named))})
    return len(said).to_bytes(4, "big") + said


async def names_peers(world: Any, *, messages: int, size: int, host: str = "") -> tuple[int, int]:
    """A peer names so many others: how many of them are known then, and how many are dialled at once at most."""
    metainfo, data = world.torrent(64 * BLOCK)
    machine = world.host()
    async with background() as nursery, session_on(machine, dht=False, half_open=HALF_OPEN) as session:
        torrent = session.add(metainfo)
        await torrent.wait_checked()
        talk = await Stranger(world.host(), metainfo.info, has=0).call(nursery, where(machine, session))
        assert talk is not None
        most = 0
        for number in range(messages):
            if host:
                named = tuple(Address(host, 1000 + index) for index in range(size))
            else:
                named = tuple(Address(f"11.{100 + number}.{n >> 8}.{n & 255}", 6881) for n in range(size))
            await talk.say(peer_exchange(*named))
            await trio.sleep(1)
            most = max(most, session.stats().half_open)
        assert not talk.ended
        return len(torrent._life.swarm.peerlist), most


async def names_thousands(world: Any) -> bool:
    """Of one message so many are taken and no more."""
    known, _ = await names_peers(world, messages=1, size=2000)
    assert known, "some of them"
    return known <= ENTRIES + 1


async def names_again(world: Any) -> bool:
    """Who names others all the time is not listened to."""
    known, _ = await names_peers(world, messages=10, size=50)
    assert known
    return known <= 51


async def names_a_victim(world: Any) -> bool:
    """A thousand ports of one public address are not all dialled: it may be somebody's target."""
    known, _ = await names_peers(world, messages=1, size=100, host="11.77.7.7")
    assert known
    return known <= PORTS + 1


async def names_the_dead(world: Any) -> bool:
    """Attempts under way are so many and no more."""
    _, most = await names_peers(world, messages=1, size=200)
    return most <= Settings().half_open


async def names_what_is_inside(world: Any) -> bool:
    """A peer from outside cannot make us connect to somebody inside."""
    metainfo, data = world.torrent(64 * BLOCK)
    inside, machine = world.host("10.9.9.9"), world.host()
    async with background() as nursery, session_on(machine, dht=False) as session:
        (door,) = await inside.network.listen("", 0, fallback=False)
        torrent = session.add(metainfo)
        await torrent.wait_checked()
        talk = await Stranger(world.host(), metainfo.info, has=0).call(nursery, where(machine, session))
        assert talk is not None
        await talk.say(peer_exchange(Address("10.9.9.9", door.address.port)))
        with trio.move_on_after(20):
            (await door.accept()).close()
            return False
        return True


class Defence(NamedTuple):
    """An attack, which tells whether the promise was kept; and what to set to have no defence: (where, name, value)."""

    attack: Callable[[Any], Awaitable[bool]]
    off: tuple[tuple[Any, str, Any], ...]


ADD = PeerList.add


def add_whatever_its_scope(self: PeerList, address: Address, source: str, within: Scope, now: float) -> bool:
    return ADD(self, address, source, Scope.LOOPBACK, now)


DEFENCES = {
    "trust": Defence(rubbish, ((limits, "FIRST_TRUST", 1 << 20),)),
    "bans": Defence(comes_back, ((PeerList, "ban", lambda self, key, reason: None),)),
    "time-outs": Defence(takes_requests, ((limits, "REQUEST_TIMEOUT", math.inf),)),
    "places for late blocks": Defence(
        holds_the_last_blocks, ((Doubles, "_most_askers", lambda self, asker, download: limits.MAX_ASKERS - 1),)
    ),
    "rejects are counted": Defence(refuses, (("torrentlite.swarm.asking", "MAX_REJECTS", math.inf),)),
    "unwanted blocks are counted": Defence(unasked, (("torrentlite.swarm.asking", "MAX_UNWANTED_BLOCKS", math.inf),)),
    "metadata in time": Defence(promises_metadata, (("torrentlite.swarm.metadata", "METADATA_TIMEOUT", math.inf),)),
    "a bounded queue": Defence(
        asks_for_everything, ((Uploads, "add", lambda self, blocks: self._queue.update(dict.fromkeys(blocks)) or []),)
    ),
    "pending handshakes": Defence(says_nothing, (("torrentlite.swarm.reception", "MAX_PENDING_HANDSHAKES", math.inf),)),
    "pending of one address": Defence(same_place, (("torrentlite.swarm.reception", "MAX_PENDING_PER_IP", math.inf),)),
    "entries of peer exchange": Defence(names_thousands, ((limits, "MAX_PEX_ENTRIES", 1 << 20),)),
    "peer exchange once a minute": Defence(names_again, ((PeerExchange, "heard", lambda self, peer, now: True),)),
    "ports of one host": Defence(names_a_victim, ((limits, "MAX_PORTS_PER_HOST", 1 << 20),)),
    "half-open connections": Defence(names_the_dead, ((__name__, "HALF_OPEN", 10_000),)),
    "scopes": Defence(names_what_is_inside, ((PeerList, "add", add_whatever_its_scope),)),
}


def switch_off(defence: Defence, monkeypatch: pytest.MonkeyPatch) -> None:
    for place, name, value in defence.off:
        if isinstance(place, str):
            monkeypatch.setattr(f"{place}.{name}", value)
        else:
            monkeypatch.setattr(place, name, value)


@pytest.mark.parametrize("name", DEFENCES)
def test_the_promise_is_kept(name: str) -> None:
    assert run_simulation(DEFENCES[name].attack, seed=1, time_limit=7200)


@pytest.mark.parametrize("name", DEFENCES)
def test_control_without_the_defence_it_is_not(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    switch_off(DEFENCES[name], monkeypatch)
    assert not run_simulation(DEFENCES[name].attack, seed=1, time_limit=7200)


# -- the door, the folder, the screen ---------------------------------------------------------------------------------


async def reaches_inside(resolved: str) -> bool:
    """What an outside source names, as an address or by a name, leads to nobody inside."""
    network, heard = RealNetwork(), []
    (listener,) = await network.listen("127.0.0.1", 0, fallback=False)
    async with trio.open_nursery() as nursery:

        async def accept() -> None:
            heard.append(await listener.accept())

        nursery.start_soon(accept)
        try:
            for address in await network.resolve(resolved, listener.address.port, within=Scope.PUBLIC):
                (await network.connect(address, within=Scope.PUBLIC)).close()
        except NetworkError:
            pass
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    for stream in heard:
        stream.close()
    listener.close()
    return bool(heard)


async def test_the_door_lets_nobody_in(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not await reaches_inside("127.0.0.1")
    monkeypatch.setattr("torrentlite.net.network.check_scope", lambda address, within: None)
    assert await reaches_inside("127.0.0.1"), "without the defence it would"


async def test_the_door_lets_nobody_in_by_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not await reaches_inside("localhost")
    monkeypatch.setattr("torrentlite.net.network.check_scope", lambda address, within: None)
    monkeypatch.setattr(Address, "scope", Scope.PUBLIC)
    assert await reaches_inside("localhost"), "without the defence it would"


def writes_outside(folder: pathlib.Path, plant: str) -> bool:
    """Somebody put a link where a torrent's file or folder will be: whether writing there writes outside."""
    outside = folder / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"mine")
    home = folder / "home"
    home.mkdir()
    match plant:
        case "a linked folder":
            (home / "top").symlink_to(outside)
        case "a linked file":
            (home / "top").mkdir()
            (home / "top" / "file").symlink_to(outside / "file")
        case "a hard link":
            (home / "top").mkdir()
            os.link(outside / "file", home / "top" / "file")
    try:
        fd = Beneath(str(home)).open(("top", "file"), os.O_RDWR).fd
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR, errno.EMLINK):
            raise
        return False
    os.write(fd, b"evil")
    os.close(fd)
    return (outside / "file").read_bytes() != b"mine"


PLANTS: dict[str, tuple[str, Any]] = {
    "a linked folder": ("torrentlite.storage.platform._OPEN_FLAGS", platform._OPEN_FLAGS & ~os.O_NOFOLLOW),
    "a linked file": ("torrentlite.storage.platform._OPEN_FLAGS", platform._OPEN_FLAGS & ~os.O_NOFOLLOW),
    "a hard link": ("torrentlite.storage.beneath._refuse_others", lambda status, *, writing: None),
}


@pytest.mark.parametrize("plant", PLANTS)
def test_nothing_is_written_outside(tmp_path: pathlib.Path, plant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "with").mkdir()
    assert not writes_outside(tmp_path / "with", plant)
    monkeypatch.setattr(*PLANTS[plant])
    (tmp_path / "without").mkdir()
    assert writes_outside(tmp_path / "without", plant), "without the defence it would"


@pytest.mark.parametrize("raw", [(b"..", b"..", b"x"), (b"/etc", b"x"), (b"a/../../x",)])
def test_no_name_leads_out(tmp_path: pathlib.Path, raw: tuple[bytes, ...]) -> None:
    def leads_out(*names: str) -> bool:
        return not os.path.normpath(os.path.join(tmp_path, "top", *names)).startswith(f"{tmp_path}/top/")

    assert not leads_out(*safe_paths([raw])[0])
    assert leads_out(*map(os.fsdecode, raw)), "without the defence it would"


def obeyed() -> bool:
    """Whether a terminal would obey, or be fooled by, what a stranger calls itself."""
    return bool(re.search("[\x00-\x1f\x7f-\x9f\u202e]", text.display("a\x1b[2J\x9b31m\u202egpj.exe\n")))


def test_a_terminal_obeys_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not obeyed()
    monkeypatch.setattr(text, "_HIDDEN", re.compile("(?!)"))
    assert obeyed(), "without the defence it would"
