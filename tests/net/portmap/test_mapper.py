import os

import pytest
import trio

from tests.net.portmap.conftest import PORT, at_home
from tests.net.portmap.scripted import OUTSIDE
from torrentlite import limits
from torrentlite.net.network import RealNetwork
from torrentlite.testing import simulated

NAMES = {"pcp": "PCP", "natpmp": "NAT-PMP", "upnp": "UPnP"}
BOTH = {("TCP", PORT): ("192.168.1.2", PORT, limits.MAP_LIFETIME), ("UDP", PORT): ("192.168.1.2", PORT, 3600)}


@pytest.mark.parametrize("speaks", NAMES)
@simulated()
async def test_a_port_is_opened_and_closed(world, home, speaks):
    async with home(world, speaks=(speaks,)) as here:
        here.start()
        stats = await here.until("mapped")
        assert here.router.mappings == BOTH
        assert (stats.protocol, stats.gateway, stats.external_host) == (NAMES[speaks], "192.168.1.1", OUTSIDE)
        assert (stats.tcp_port, stats.udp_port, stats.mapped) == (PORT, PORT, True)
        assert limits.MAP_LIFETIME - 10 < stats.expires <= limits.MAP_LIFETIME
        await here.leave()
        assert here.router.mappings == {}
        assert here.mapper.stats().state == "off"
        assert not here.mapper.stats().mapped
        assert [stats.state for stats in here.told] == ["searching", "mapped", "off"]


@pytest.mark.parametrize("speaks", NAMES)
async def test_over_real_sockets(speaks, monkeypatch):
    monkeypatch.setattr(limits, "MAP_GRACE", 0.01)
    network = RealNetwork()
    async with at_home(network, network, "127.0.0.1", os.urandom, speaks=(speaks,)) as here:
        here.start()
        stats = await here.until("mapped")
        assert stats.protocol == NAMES[speaks]
        assert {(key, inside[:2]) for key, inside in here.router.mappings.items()} == {
            (("TCP", PORT), ("127.0.0.1", PORT)),
            (("UDP", PORT), ("127.0.0.1", PORT)),
        }
        await here.leave()
        assert here.router.mappings == {}


@simulated()
async def test_of_all_protocols_the_best_opens_and_it_alone(world, home):
    async with home(world) as here:
        here.start()
        assert (await here.until("mapped")).protocol == "PCP"
        await trio.sleep(60)
        assert here.asked("pcp") == ["announce", "map TCP", "map UDP"]
        assert set(here.asked("natpmp")) <= {"address"}
        assert not [what for what in here.asked("upnp") if "PortMapping" in what]


@simulated()
async def test_a_better_protocol_is_waited_for_but_not_for_long(world, home):
    async with home(world, speaks=("natpmp", "upnp")) as here:
        here.router.twist = lambda request, reply: reply if request[0] == 0 else None  # PCP: silence
        here.start()
        began = trio.current_time()
        assert (await here.until("mapped")).protocol == "NAT-PMP"
        assert limits.MAP_GRACE <= trio.current_time() - began < limits.MAP_GRACE + 0.5


@simulated()
async def test_who_refuses_by_one_protocol_is_asked_by_the_next(world, home):
    async with home(world) as here:
        here.router.refuses = 2  # PCP: not allowed; NAT-PMP: switched off
        here.start()
        stats = await here.until("mapped")
        assert stats.protocol == "UPnP"
        await here.leave()
        assert here.router.mappings == {}


@simulated()
async def test_nobody_answers(world, home):
    async with home(world, speaks=()) as here:
        here.start()
        stats = await here.until("failed")
        assert "neither PCP nor NAT-PMP nor UPnP" in stats.message
        assert trio.current_time() < 10
        here.router.speaks = ("natpmp",)
        await here.until("mapped", seconds=limits.MAP_SEARCH_AGAIN + 20)


@simulated()
async def test_the_reasons_of_all_refusals_are_told(world, home):
    async with home(world) as here:
        here.router.refuses = 2
        here.router.faults = {"AddPortMapping": [606] * 9}
        here.start()
        stats = await here.until("failed")
        assert "PCP: the gateway refuses: it is not allowed" in stats.message
        assert "NAT-PMP: the gateway refuses: it is switched off there" in stats.message
        assert "UPnP: the gateway refuses: Nope (606)" in stats.message


@simulated()
async def test_no_gateway_then_one(world, home):
    async with home(world) as here:
        gateway, here.where = here.where, None
        here.start()
        await here.until("no gateway")
        await trio.sleep(600)
        here.where = gateway
        await here.until("mapped", seconds=limits.MAP_GATEWAY_CHECK + 5)


@simulated()
async def test_a_gateway_that_no_router_can_be(world, home):
    async with home(world) as here:
        for host in ("0.0.0.0", "169.254.169.254", "224.0.0.1", "fd00::1", "x"):
            here.where = here.where._replace(host=host)
            assert isinstance(here.mapper._place(), str)


@simulated()
async def test_a_public_address_needs_nobody(world, home):
    router, client = world.host("11.0.0.1"), world.host("11.0.0.2")
    async with at_home(client.network, router.network, "11.0.0.1", client.secret) as here:
        here.start()
        await here.until("not needed")
        assert here.router.heard == []


@pytest.mark.parametrize("speaks", NAMES)
@simulated()
async def test_renewed_at_half_life(world, home, speaks):
    async with home(world, speaks=(speaks,)) as here:
        here.start()
        await here.until("mapped")
        what = "AddPortMapping TCP" if speaks == "upnp" else "map TCP"
        for renewals in range(4):
            assert here.asked(speaks).count(what) == renewals + 1
            assert here.mapper.stats().expires > limits.MAP_LIFETIME / 2 - 60
            await trio.sleep(limits.MAP_LIFETIME / 2 + 1)
        assert here.router.mappings == BOTH
        assert [stats.state for stats in here.told] == ["searching", "mapped"]


@simulated()
async def test_a_gateway_away_for_a_while_costs_nothing(world, home):
    async with home(world, speaks=("natpmp",)) as here:
        here.start()
        await here.until("mapped")
        here.router.speaks = ()
        await trio.sleep(limits.MAP_LIFETIME * 0.7)  # one renewal has failed
        assert here.mapper.stats().state == "mapped"
        here.router.mappings.clear()
        here.router.speaks = ("natpmp",)
        await trio.sleep(limits.MAP_LIFETIME * 0.25)
        assert here.router.mappings == BOTH


@simulated()
async def test_a_gateway_that_is_gone(world, home):
    async with home(world, speaks=("natpmp",)) as here:
        here.start()
        await here.until("mapped")
        here.router.speaks = ()
        here.router.heard.clear()
        await here.until("failed", seconds=limits.MAP_LIFETIME + 100)
        assert not here.mapper.stats().mapped


@pytest.mark.parametrize("speaks", ["pcp", "natpmp"])
@simulated()
async def test_a_restarted_gateway_is_asked_anew_for_both_ports(world, home, speaks):
    async with home(world, speaks=(speaks,)) as here:
        here.start()
        await here.until("mapped")
        await trio.sleep(limits.MAP_LIFETIME / 2 - 100)
        here.router.mappings.clear()
        here.router.nonces.clear()
        here.router.born = trio.current_time()
        await trio.sleep(200)
        assert here.router.mappings == BOTH


@pytest.mark.parametrize("speaks", ["pcp", "natpmp"])
@simulated()
async def test_an_epoch_that_jumps_makes_nobody_hammer(world, home, speaks):
    async with home(world, speaks=(speaks,)) as here:
        epochs = iter([10_000_000, 5, 4_000_000_000, 0] * 100_000)

        def jump(request, reply):
            here.router.epoch = next(epochs)
            return reply

        here.router.twist = jump
        here.start()
        await here.until("mapped")
        here.router.heard.clear()
        await trio.sleep(3600)
        maps = [what for what in here.asked(speaks) if what.startswith("map")]
        assert 2 <= len(maps) <= 2 * 3600 / limits.MAP_RETRY
        assert here.mapper.stats().state == "mapped"


@pytest.mark.parametrize("lifetime", [1, 60, 2**32 - 1])
@pytest.mark.parametrize("speaks", ["pcp", "natpmp"])
@simulated()
async def test_lifetimes_are_held_to_bounds(world, home, speaks, lifetime):
    async with home(world, speaks=(speaks,)) as here:
        here.router.lifetime = lifetime
        here.start()
        stats = await here.until("mapped")
        assert limits.MAP_MIN_LIFETIME - 1 <= stats.expires <= limits.MAP_MAX_LIFETIME
        await trio.sleep(3600)
        assert here.asked(speaks).count("map TCP") <= 1 + 3600 / (limits.MAP_MIN_LIFETIME / 2)


@pytest.mark.parametrize("speaks", NAMES)
@simulated()
async def test_a_taken_port_leads_to_another_one(world, home, speaks):
    async with home(world, speaks=(speaks,)) as here:
        here.router.conflicts = {PORT}
        here.start()
        stats = await here.until("mapped")
        assert stats.tcp_port not in (0, PORT)
        assert stats.udp_port == stats.tcp_port, "the same number for both is wished for"
        assert {inside[1] for inside in here.router.mappings.values()} == {PORT}
        await here.leave()
        assert here.router.mappings == {}


@simulated()
async def test_moving_to_another_network(world, home):
    async with home(world, speaks=("natpmp",)) as here:
        here.start()
        await here.until("mapped")
        here.where = here.where._replace(host="192.168.1.77")  # nobody
        await here.until("failed", seconds=limits.MAP_GATEWAY_CHECK + 20)
        assert here.router.mappings == {}
        assert here.mapper.stats().gateway == "192.168.1.77"


@pytest.mark.parametrize("speaks", NAMES)
@simulated()
async def test_in_doubt_it_is_asked_soon(world, home, speaks):
    async with home(world, speaks=(speaks,)) as here:
        here.start()
        await here.until("mapped")
        await trio.sleep(limits.MAP_RETRY)
        here.router.mappings.clear()
        here.router.external = "12.9.9.9"
        here.mapper.doubt()
        await trio.sleep(limits.MAP_GATEWAY_CHECK + 5)
        assert here.router.mappings == BOTH
        assert here.told[-1].external_host == "12.9.9.9"
        what = "AddPortMapping TCP" if speaks == "upnp" else "map TCP"
        before = here.asked(speaks).count(what)
        for _ in range(600):
            here.mapper.doubt()
            await trio.sleep(1)
        asked = here.asked(speaks).count(what) - before
        assert 0 < asked <= 600 / limits.MAP_RETRY, "nobody is hammered"


@simulated()
async def test_in_doubt_a_gateway_that_failed_is_asked_again_too(world, home):
    async with home(world, speaks=()) as here:
        here.start()
        await here.until("failed")
        here.router.speaks = ("natpmp",)
        here.mapper.doubt()
        await here.until("mapped", seconds=limits.MAP_GATEWAY_CHECK + 5)


@simulated()
async def test_another_nat_outside_is_told(world, home):
    async with home(world, speaks=("natpmp",)) as here:
        here.router.external = "100.64.3.4"
        here.start()
        stats = await here.until("mapped")
        assert "not public" in stats.message


@pytest.mark.parametrize("speaks", NAMES)
@simulated()
async def test_leaving_takes_two_seconds_at_most(world, home, speaks):
    async with home(world, speaks=(speaks,)) as here:
        here.start()
        await here.until("mapped")
        here.router.twist = lambda request, reply: None
        here.router.twist_http = lambda request, reply: None
        began = trio.current_time()
        await here.leave()
        assert limits.MAP_UNMAP_TIMEOUT - 0.01 <= trio.current_time() - began <= limits.MAP_UNMAP_TIMEOUT + 0.1
        assert here.router.mappings == {}, "it was told all the same"


@pytest.mark.parametrize("after", [0, 0.001, 0.002, 0.005, 0.01, 0.1, 1, 1.5, 3])
@pytest.mark.parametrize("speaks", [(), *[(name,) for name in NAMES], tuple(NAMES)])
@simulated()
async def test_left_at_any_moment_nothing_stays_open(world, home, speaks, after):
    async with home(world, speaks=speaks) as here:
        sockets = here.network.sockets
        here.start()
        await trio.sleep(after)
        await here.leave()
        await trio.sleep(1)
        assert here.router.mappings == {}
        assert here.network.sockets == sockets
