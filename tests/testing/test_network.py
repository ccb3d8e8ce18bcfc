import pytest
import trio

from torrentlite.errors import ForbiddenAddressError, ListenError, NetworkError
from torrentlite.testing import simulated
from torrentlite.testing.dial import GIVE_UP
from torrentlite.wire.address import Address, Scope, scope_of


@simulated()
async def test_hosts_get_public_addresses_of_their_own(world):
    ips = [world.network.host().ip for _ in range(600)]
    assert len(set(ips)) == 600
    assert all(scope_of(ip) is Scope.PUBLIC for ip in ips)
    assert len({ip.rpartition(".")[0] for ip in ips}) == 600, "each in a /24 of its own"


@simulated()
async def test_automatic_addresses_keep_clear_of_given_ones(world):
    given = world.network.host("11.0.1.1")
    assert [world.network.host().ip for _ in range(2)] == ["11.0.2.1", "11.0.3.1"]
    assert world.network.find("11.0.1.1") is given
    assert world.network.find("11.0.9.9") is None


@pytest.mark.parametrize("addresses", [("example.org",), ("1.2.3.4", "1.2.3.4"), ("::ffff:11.0.0.1", "11.0.0.1")])
@simulated()
async def test_addresses_that_cannot_be_given(world, addresses):
    *first, last = addresses
    for address in first:
        world.network.host(address)
    with pytest.raises(ValueError, match=r"taken|not an IP"):
        world.network.host(last)


@pytest.mark.parametrize("wrong", [{"up": -1}, {"down": -1}, {"latency": -0.1}, {"loss": 1}, {"send_buffer": 0}])
@simulated()
async def test_numbers_that_make_no_sense(world, wrong):
    with pytest.raises(ValueError, match="negative"):
        world.network.host(**wrong)


@simulated()
async def test_both_ends_know_their_addresses(world, net):
    near, far = await net.connect(a := world.network.host(), b := world.network.host())
    assert (near.local, near.remote) == (far.remote, far.local)
    assert (near.local.host, near.remote.host) == (a.ip, b.ip)


@simulated()
async def test_connecting_over_ipv6(world, net):
    a, b = world.network.host("1.1.1.1", "2a00::1"), world.network.host("2a00::2", "2.2.2.2")
    near, _ = await net.connect(a, b)
    assert (near.local.host, near.remote.host) == ("2a00::1", "2a00::2")
    near, _ = await net.connect(a, b, ip="2.2.2.2")
    assert (near.local.host, near.remote.host) == ("1.1.1.1", "2.2.2.2")


@simulated()
async def test_no_way_to_the_other_family(world):
    with pytest.raises(NetworkError, match="unreachable"):
        await world.network.host("2a00::1").connect(Address(world.network.host().ip, 1))


@simulated()
async def test_loopback_is_the_host_itself(world, net):
    host, other = world.network.host(latency=5), world.network.host()
    start = trio.current_time()
    near, far = await net.connect(host, host, ip="127.0.0.1")
    await near.send_vectored([b"to myself"])
    assert await net.receive(far, 9) == b"to myself"
    assert trio.current_time() - start < 0.1
    (listener,) = await host.listen("127.0.0.1", 0, fallback=False)
    for who, ip in ((other, "127.0.0.1"), (other, host.ip), (host, host.ip)):
        with pytest.raises(NetworkError, match="refused"):
            await who.connect(Address(ip, listener.address.port))


@simulated()
async def test_refused_after_a_round_trip(world):
    a, b = world.network.host(latency=0.2), world.network.host(latency=0.3)
    with pytest.raises(NetworkError, match="Connection refused"):
        await a.connect(Address(b.ip, 1))
    assert trio.current_time() == pytest.approx(1.0, abs=0.01)
    assert world.trace.counts["refused"] == 1


@simulated()
async def test_nobody_there_is_a_long_wait(world):
    with pytest.raises(NetworkError, match="timed out"):
        await world.network.host().connect(Address("11.9.9.9", 1))
    assert trio.current_time() == pytest.approx(GIVE_UP, abs=1)
    assert world.trace.counts["unanswered"] == 7
    assert world.timeline.pending == 0


@simulated()
async def test_a_cancelled_connect_leaves_nothing(world):
    a, b = world.network.host(latency=0.1), world.network.host(latency=0.1)
    (listener,) = await b.listen("", 6881, fallback=False)
    for moment in (0.05, 0.15, 0.25, 0.35):  # on the way there, on the way back, about to arrive
        with trio.move_on_after(moment):
            await a.connect(Address(b.ip, 6881))
        with trio.move_on_after(moment):
            await a.connect(Address("11.9.9.9", 6881))
    await trio.sleep(1)
    assert not a.streams
    listener.close()
    await trio.sleep(1)
    assert world.network.stats().sockets == 0
    assert world.timeline.pending == 0


@pytest.mark.parametrize(
    ("host", "within", "allowed"),
    [
        ("127.0.0.1", Scope.LOOPBACK, True),
        ("127.0.0.1", Scope.PRIVATE, False),
        ("10.0.0.1", Scope.PRIVATE, True),
        ("10.0.0.1", Scope.PUBLIC, False),
        ("11.0.0.1", Scope.PUBLIC, True),
        ("169.254.169.254", Scope.LOOPBACK, False),
        ("0.0.0.0", Scope.LOOPBACK, False),
    ],
)
@simulated()
async def test_the_rule_of_scopes_stands_here_too(world, host, within, allowed):
    world.network.host("10.0.0.1")
    world.network.names["it.example"] = [host]
    kind = NetworkError if allowed else ForbiddenAddressError
    who = world.network.host("10.0.0.2", "11.0.9.1")
    with pytest.raises(kind):
        await who.connect(Address(host, 80), within=within)
    for name in (host, "it.example"):
        if allowed:
            assert await who.resolve(name, 80, within=within) == [Address(host, 80)]
        else:
            with pytest.raises(ForbiddenAddressError):
                await who.resolve(name, 80, within=within)


@simulated()
async def test_names(world):
    host = world.network.host()
    world.network.names["two.example"] = ["2a00::1", "11.1.1.1", "10.0.0.1"]
    world.network.name_delay = 3
    assert await host.resolve("Two.Example", 80, within=Scope.PUBLIC) == [
        Address("2a00::1", 80),
        Address("11.1.1.1", 80),
    ]
    assert trio.current_time() == 3
    assert (await host.resolve("localhost", 80, within=Scope.LOOPBACK))[0].host == "127.0.0.1"
    for name, port in (("none.example", 80), ("b\u00fccher.example", 80), ("", 80), ("two.example", 0)):
        with pytest.raises(NetworkError):
            await host.resolve(name, port, within=Scope.LOOPBACK)


@simulated()
async def test_listening_on_both_families_takes_one_port(world):
    host = world.network.host("1.1.1.1", "2a00::1")
    for wanted in (0, 6881):
        listeners = await host.listen("", wanted, fallback=False)
        assert {listener.address.host for listener in listeners} == {"0.0.0.0", "::"}
        (port,) = {listener.address.port for listener in listeners}
        assert port == wanted or (not wanted and port)
        sockets = await host.open_datagrams("", port)
        assert {socket.address for socket in sockets} == {listener.address for listener in listeners}
        for bound in (*listeners, *sockets):
            bound.close()
    assert host.sockets == 0


@simulated()
async def test_taken_ports(world):
    host = world.network.host()
    (listener,) = await host.listen("", 6881, fallback=False)
    for where in ("", host.ip, "127.0.0.1"):
        with pytest.raises(ListenError, match="in use"):
            await host.listen(where, 6881, fallback=False)
    (other,) = await host.listen("", 6881, fallback=True)
    assert other.address.port != 6881
    listener.close()
    listener.close()
    await host.listen(host.ip, 6881, fallback=False)
    await host.listen("127.0.0.1", 6881, fallback=False)
    with pytest.raises(ListenError, match="in use"):
        await host.listen("", 6881, fallback=False)
    await host.open_datagrams("", 7000)
    with pytest.raises(ListenError, match="in use"):  # the port must be free for UDP as well
        await host.listen("", 7000, fallback=False)
    for where in ("11.9.9.9", "name.example"):
        with pytest.raises(ListenError):
            await host.listen(where, 0, fallback=False)


@simulated()
async def test_a_closed_listener_wakes_and_refuses(world):
    a, b = world.network.host(), world.network.host()
    (listener,) = await b.listen("", 6881, fallback=False)

    async def accept():
        with pytest.raises(NetworkError, match="closed"):
            await listener.accept()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        nursery.start_soon(accept)
        await trio.sleep(1)
        listener.close()
    await accept()
    with pytest.raises(NetworkError, match="refused"):
        await a.connect(Address(b.ip, 6881))


@simulated()
async def test_who_was_not_accepted_is_reset(world, net):
    a, b = world.network.host(), world.network.host()
    (listener,) = await b.listen("", 6881, fallback=False)
    stream = await a.connect(Address(b.ip, 6881))
    listener.close()
    with pytest.raises(NetworkError, match="reset"):
        await net.receive(stream)


@simulated()
async def test_a_full_backlog_does_not_answer(world, monkeypatch):
    monkeypatch.setattr("torrentlite.limits.LISTEN_BACKLOG", 2)
    a, b = world.network.host(), world.network.host()
    (listener,) = await b.listen("", 6881, fallback=False)
    for _ in range(2):
        await a.connect(Address(b.ip, 6881))
    with trio.move_on_after(5) as scope:
        await a.connect(Address(b.ip, 6881))
    assert scope.cancelled_caught
    async with trio.open_nursery() as nursery:
        nursery.start_soon(a.connect, Address(b.ip, 6881))
        await listener.accept()  # makes room for the next try
    assert len(a.streams) == 3
