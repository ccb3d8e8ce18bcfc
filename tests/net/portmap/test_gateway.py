import io

import pytest

from torrentlite import limits
from torrentlite.net.portmap.gateway import default_gateway, parse_routes

HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
LOCAL = "eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"


def route(
    gateway: str = "0101A8C0", *, to: str = "00000000", mask: str = "00000000", flags: str = "0003", metric=0
) -> str:
    return f"eth0\t{to}\t{gateway}\t{flags}\t0\t0\t{metric}\t{mask}\t0\t0\t0\n"


def test_the_default_route_tells():
    assert parse_routes(HEAD + LOCAL + route(), "little") == "192.168.1.1"
    assert parse_routes(HEAD + route("C0A80101"), "big") == "192.168.1.1"


def test_the_cheapest_one_of_several():
    table = HEAD + route("0101A8C0", metric=600) + route("0100000A", metric=100) + route("0200000A", metric=100)
    assert parse_routes(table, "little") == "10.0.0.1"


def test_of_one_interface():
    table = HEAD + route("0101A8C0") + route("0100000A", metric=100).replace("eth0", "wg0")
    assert parse_routes(table, "little", interface="wg0") == "10.0.0.1"
    assert parse_routes(table, "little", interface="wg") is None


@pytest.mark.parametrize(
    "line",
    [
        route(to="0001A8C0"),  # to one network
        route(mask="00000080"),  # half of the Internet (a VPN's trick)
        route(flags="0001"),  # no gateway on it
        route(flags="0002"),  # not up
        route("00000000"),
        route("zz"),
        route("0101A8C0FF"),
        "eth0\t00000000\n",
        "\n",
        "",
    ],
)
def test_routes_that_lead_to_none(line):
    assert parse_routes(HEAD + line + LOCAL, "little") is None


@pytest.mark.parametrize("before", [0, limits.MAX_ROUTES])
def test_a_routing_table_without_end(monkeypatch, before):
    table = HEAD + "x" * before + "\n" + route()
    monkeypatch.setattr("builtins.open", lambda *args, **options: io.StringIO(table))
    assert (default_gateway() is None) is bool(before)
