"""Encrypted connections: sessions with different wishes, peers of one kind only, and what strangers may cost us."""

import contextlib
import itertools
import random
from typing import get_args

import pytest
import trio

import torrentlite as tl
from tests.strangers import Stranger, background, session_on, simulated, until, where
from torrentlite.limits import HANDSHAKE_TIMEOUT, MAX_PENDING_PER_IP, MSE_PER_SECOND, MSE_PER_SECOND_AND_IP
from torrentlite.settings import Encryption
from torrentlite.wire import rc4
from torrentlite.wire.handshake import Handshake
from torrentlite.wire.mse import KEY_SIZE, Called, Caller, Method

WISHES = get_args(Encryption)
BOTH = Method.PLAIN | Method.RC4


@pytest.mark.parametrize(("ours", "theirs"), list(itertools.product(WISHES, WISHES)))
@simulated()
async def test_sessions_with_any_wishes_meet(world, ours, theirs):
    metainfo, data = world.torrent(300_000)
    seed, machine = world.host(), world.host()
    seed.put(metainfo.info, data)
    async with session_on(seed, encryption=theirs) as sharing, session_on(machine, encryption=ours) as session:
        await sharing.add(metainfo).wait_complete()
        torrent = session.add(metainfo, peers=[where(seed, sharing)])
        if {ours, theirs} == {"off", "require"}:
            await trio.sleep(300)
            assert torrent.stats().done == 0
            return
        await until(torrent.peers)
        (peer,) = torrent.peers()
        assert peer.encrypted is ("require" in (ours, theirs) or (ours == "prefer" and theirs != "off"))
        await torrent.wait_complete()
        assert machine.disk.storage(metainfo.info).content() == data


@pytest.mark.parametrize("wish", ["allow", "prefer"])
@simulated()
async def test_without_the_library_handshakes_can_be_encrypted(world, monkeypatch, wish):
    """By RC4 in Python; and this seed takes no plain ones."""
    monkeypatch.setattr(rc4, "_library", lambda: None)
    metainfo, data = world.torrent(300_000)
    seed, machine = world.host(), world.host()
    seed.put(metainfo.info, data)
    async with session_on(seed, encryption=wish) as sharing, session_on(machine, encryption=wish) as session:
        monkeypatch.setattr(sharing._commons.encryption, "choose", lambda offered: offered & Method.PLAIN or None)
        monkeypatch.setattr(sharing._commons.encryption, "takes_plain", False)
        await sharing.add(metainfo).wait_complete()
        torrent = session.add(metainfo, peers=[where(seed, sharing)])
        await torrent.wait_complete()
        assert not any(peer.encrypted for peer in torrent.peers())


@simulated()
async def test_required_without_the_library_is_refused_at_once(world, monkeypatch):
    monkeypatch.setattr(rc4, "is_fast", lambda: False)
    with pytest.raises(tl.TorrentError, match="cryptography") as caught:
        async with tl.open_session(tl.Settings(encryption="require"), world=world.host()):
            raise AssertionError("it was opened")
    assert "torrentlite[crypto]" in str(caught.value.hint)


def test_no_such_wish():
    with pytest.raises(ValueError, match="off, allow, prefer, require"):
        tl.Settings(encryption="on")  # type: ignore[arg-type]


@simulated()
async def test_a_peer_that_hangs_up_is_called_the_other_way_at_once_and_later_one_way_each_time(world):
    metainfo, _ = world.torrent(300_000)
    busy = world.host()
    (listener,) = await busy.network.listen("", 7000, fallback=False)
    firsts: list[tuple[float, bytes]] = []

    async def answer_nobody():
        while True:
            stream = await listener.accept()
            buffer = memoryview(bytearray(20))
            await stream.receive_into(buffer)
            firsts.append((trio.current_time(), bytes(buffer)))
            stream.close()

    async with background() as nursery, session_on(world.host()) as session:
        nursery.start_soon(answer_nobody)
        session.add(metainfo, peers=[(busy.network.ip, 7000)])
        await trio.sleep(600)
    listener.close()
    plain = [said.startswith(b"\x13BitTorrent") for _, said in firsts]
    assert plain[:2] == [True, False]
    assert firsts[1][0] - firsts[0][0] < 2
    assert len(plain) > 5
    assert plain[2:] == [number % 2 == 0 for number in range(len(plain) - 2)]
    assert all(two - one >= 1 for (one, _), (two, _) in itertools.pairwise(firsts[1:]))


@simulated()
async def test_who_hangs_up_at_what_is_inside_is_not_called_twice_each_time_either(world):
    """As a full libtorrent does: it sends its key, and looks at the torrent after that."""
    metainfo, _ = world.torrent(300_000)
    busy = world.host()
    (listener,) = await busy.network.listen("", 7000, fallback=False)
    calls: list[str] = []
    times: list[float] = []

    async def answer(stream):
        data = await receive(stream)
        calls.append("plain" if data.startswith(b"\x13") else "encrypted")
        times.append(trio.current_time())
        side = Called(lambda mark: None, lambda offered: None, random.Random(1).randbytes)
        with contextlib.suppress(tl.NetworkError, tl.ProtocolError):
            while calls[-1] == "encrypted" and data:
                said = side.received(data)
                if said:
                    await stream.send_vectored([said])
                data = await receive(stream)
        stream.close()

    async def answer_all():
        while True:
            await answer(await listener.accept())

    async with background() as nursery, session_on(world.host()) as session:
        nursery.start_soon(answer_all)
        session.add(metainfo, peers=[(busy.network.ip, 7000)])
        await trio.sleep(600)
    listener.close()
    assert len(calls) > 5
    assert calls[:2] == ["plain", "encrypted"]
    assert calls[2:] == [("plain", "encrypted")[number % 2] for number in range(len(calls) - 2)]
    assert all(two - one >= 1 for one, two in itertools.pairwise(times[1:]))


@pytest.mark.parametrize(("ours", "theirs"), list(itertools.product(["allow", "prefer"], ["allow", "prefer"])))
@simulated()
async def test_one_of_the_two_has_no_library(world, monkeypatch, ours, theirs):
    """It takes encrypted handshakes, and nothing else that is encrypted."""
    metainfo, data = world.torrent(300_000)
    seed, machine = world.host(), world.host()
    seed.put(metainfo.info, data)
    async with session_on(seed, encryption=theirs) as sharing, session_on(machine, encryption=ours) as session:
        monkeypatch.setattr(sharing._commons.encryption, "choose", lambda offered: offered & Method.PLAIN or None)
        await sharing.add(metainfo).wait_complete()
        await session.add(metainfo, peers=[where(seed, sharing)]).wait_complete()


@pytest.mark.parametrize("wish", ["pause", "ban", "none"])
@simulated()
async def test_who_is_not_wanted_any_more_is_not_called_the_other_way(world, wish):
    metainfo, _ = world.torrent(300_000)
    slow = world.host()
    (listener,) = await slow.network.listen("", 7000, fallback=False)
    calls = []

    async def hang_up_later():
        while True:
            stream = await listener.accept()
            calls.append(trio.current_time())
            await trio.sleep(3)
            stream.close()

    async with background() as nursery, session_on(world.host()) as session:
        nursery.start_soon(hang_up_later)
        torrent = session.add(metainfo, peers=[(slow.network.ip, 7000)])
        await until(lambda: calls)
        if wish == "pause":
            torrent.pause()
        elif wish == "ban":
            torrent._life.swarm.peerlist.ban(slow.network.ip, "for this test")
        await trio.sleep(10)
    listener.close()
    assert (len(calls) > 1) is (wish == "none")


async def sharing(world, **settings):
    metainfo, data = world.torrent(100_000)
    machine = world.host()
    machine.put(metainfo.info, data)
    return metainfo, machine


@pytest.mark.parametrize(("crowd", "most"), [(True, MSE_PER_SECOND), (False, MSE_PER_SECOND_AND_IP)])
@simulated()
async def test_only_so_many_encrypted_handshakes_a_second(world, crowd, most):
    """Each is a piece of work before the caller has shown that it knows anything."""
    metainfo, machine = await sharing(world)
    rng, one = random.Random(1), world.host("11.5.5.5")
    async with background() as nursery, session_on(machine) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        callers = [world.host() if crowd else one for _ in range(MSE_PER_SECOND + 7 if crowd else MAX_PENDING_PER_IP)]
        talks = [await Stranger(caller, metainfo.info).dial(where(machine, session)) for caller in callers]
        knocking = [await Stranger(world.host(), metainfo.info).dial(where(machine, session)) for _ in range(60)]
        await trio.sleep(1 - trio.current_time() % 1)
        async with trio.open_nursery() as calling:
            for talk in knocking:  # with that no key has come, and nothing has been done
                calling.start_soon(talk.say, b"GET / HTTP/1.1")
        await trio.sleep(0.2)
        heard = []

        async def hear(talk):
            await talk.say(rng.randbytes(KEY_SIZE))
            heard.append(await receive(talk.stream))

        async with trio.open_nursery() as hearing:
            for talk in talks:
                hearing.start_soon(hear, talk)
        assert sum(bool(key) for key in heard) == most
        plain = Stranger(world.host(), metainfo.info, has=0)
        assert await plain.call(nursery, where(machine, session)) is not None, "who calls plainly is let in"
        await trio.sleep(1)
        late = await Stranger(world.host(), metainfo.info).dial(where(machine, session))
        await late.say(rng.randbytes(KEY_SIZE))
        assert await receive(late.stream), "and in the next second all are"


async def receive(stream):
    """The next bytes; none where it was closed."""
    buffer = memoryview(bytearray(10_000))
    try:
        return bytes(buffer[: await stream.receive_into(buffer)])
    except tl.NetworkError:
        return b""


@simulated()
async def test_who_stops_in_the_middle_is_gone_after_the_handshake_time(world):
    metainfo, machine = await sharing(world)
    async with session_on(machine) as session:
        await session.add(metainfo).wait_complete()
        talks = [await Stranger(world.host(), metainfo.info).dial(where(machine, session)) for _ in range(3)]
        caller = Caller(metainfo.info.hashes.wire, BOTH, b"", random.Random(1).randbytes)
        key = caller.received(b"")
        for talk, said in zip(talks, (key[:1], key[:95], key), strict=True):
            await talk.say(said)
        await trio.sleep(HANDSHAKE_TIMEOUT - 1)
        assert session.stats().pending_handshakes == 3
        await trio.sleep(2)
        assert session.stats().pending_handshakes == 0


@pytest.mark.parametrize(("inside", "let_in"), [("right", True), ("another torrent", False), ("nonsense", False)])
@simulated()
async def test_what_is_inside_has_to_fit(world, inside, let_in):
    """By hand, the handshake not along with the encrypted one but after it: some wait for the answer."""
    metainfo, machine = await sharing(world)
    other, _ = world.torrent(50_000, name="other")
    async with session_on(machine) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        session.add(other)
        await trio.sleep(1)
        stranger = Stranger(world.host(), metainfo.info, has=0)
        talk = await stranger.dial(where(machine, session))
        caller = Caller(metainfo.info.hashes.wire, Method.RC4, b"", random.Random(1).randbytes)
        said = caller.received(b"")
        while caller.done is None:
            await talk.say(said)
            said = caller.received(await receive(talk.stream))
        hello = {
            "right": stranger.hello.encode(),
            "another torrent": Handshake(other.info.hashes.wire, bytes(20)).encode(),
            "nonsense": bytes(68),
        }[inside]
        await talk.say(caller.done.outgoing.update(hello))
        answer = await receive(talk.stream)
        assert bool(answer) is let_in
        if let_in:
            assert caller.done.incoming.update(answer)[28:48] == metainfo.info.hashes.wire
            await until(torrent.peers)
            assert torrent.peers()[0].encrypted


@simulated()
async def test_a_torrent_that_takes_nobody_is_not_named(world):
    metainfo, machine = await sharing(world)
    async with session_on(machine) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        for pause in (False, True):
            if pause:
                torrent.pause()
            talk = await Stranger(world.host(), metainfo.info).dial(where(machine, session))
            hello = Handshake(metainfo.info.hashes.wire, bytes(20)).encode()
            caller = Caller(metainfo.info.hashes.wire, BOTH, hello, random.Random(1).randbytes)
            await talk.say(caller.received(b""))
            await talk.say(caller.received(await receive(talk.stream)))
            assert bool(await receive(talk.stream)) is not pause
            talk.stream.close()
