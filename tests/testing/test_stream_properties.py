"""Whatever the network is like and however it is used, bytes arrive whole and in order, and nothing is left."""

import trio
from hypothesis import given, settings, strategies as st

from torrentlite.errors import NetworkError
from torrentlite.testing import NetworkStats, run_simulation
from torrentlite.wire.address import Address

rates = st.sampled_from([0, 3_000, 100_000, 5_000_000])
hosts = st.fixed_dictionaries(
    {
        "up": rates,
        "down": rates,
        "latency": st.sampled_from([0, 0.001, 0.3]),
        "loss": st.sampled_from([0, 0.01, 0.5]),
        "send_buffer": st.sampled_from([1000, 128 << 10]),
    }
)
messages = st.lists(st.integers(0, 300) | st.integers(0, 40_000), max_size=5)


async def conversation(world, near, far, there, back, room, pause, cut):
    a, b = world.network.host(**near), world.network.host(**far)
    (listener,) = await b.listen("", 6881, fallback=False)
    sent, heard, broken = {}, {}, []

    async def send(stream, name, sizes):
        for number, size in enumerate(sizes):
            data = bytes([number + 1]) * size
            sent[name] = sent.get(name, b"") + data
            await stream.send_vectored([data[: size // 3], data[size // 3 :]])
            await trio.sleep(pause)
        stream.send_eof()

    async def receive(stream, name):
        buffer = memoryview(bytearray(room))
        heard[name] = b""
        while size := await stream.receive_into(buffer):
            heard[name] += bytes(buffer[:size])
            await trio.sleep(pause / 10)

    async def talk(stream, sending, receiving, sizes):
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send, stream, sending, sizes)
                nursery.start_soon(receive, stream, receiving)
        except* NetworkError:
            broken.append(stream)
        stream.close()

    async with trio.open_nursery() as nursery:
        if cut is not None:
            world.timeline.call_after(cut, a.reset_connections)
        near_end = await a.connect(Address(b.ip, 6881))
        nursery.start_soon(talk, near_end, "there", "back", there)
        nursery.start_soon(talk, await listener.accept(), "back", "there", back)
    listener.close()
    for way in ("there", "back"):
        if broken:
            assert sent.get(way, b"").startswith(heard[way])
        else:
            assert heard[way] == sent.get(way, b"")
    assert not broken or cut is not None
    await trio.sleep(300)
    assert world.network.stats() == NetworkStats(hosts=2, sockets=0, held=0)
    assert world.timeline.pending == 0


@settings(deadline=None, max_examples=60)
@given(
    near=hosts,
    far=hosts,
    there=messages,
    back=messages,
    room=st.sampled_from([1000, 256 << 10]),
    pause=st.sampled_from([0, 0.01, 3]),
    cut=st.none() | st.floats(0, 20),
    seed=st.integers(0, 2**32),
)
def test_bytes_arrive_whole_or_the_connection_breaks(near, far, there, back, room, pause, cut, seed):
    run_simulation(conversation, near, far, there, back, room, pause, cut, seed=seed)
