import ipaddress

import pytest
from hypothesis import given, strategies as st

from torrentlite.wire.address import Address, Scope, parse_host, read_compact, scope_of, write_compact

ipv4 = st.ip_addresses(v=4).map(str)
ports = st.integers(0, 65535)


@pytest.mark.parametrize(
    ("host", "scope"),
    [
        ("8.8.8.8", Scope.PUBLIC),
        ("2a00:1450:4001::1", Scope.PUBLIC),
        ("10.0.0.1", Scope.PRIVATE),
        ("172.16.0.1", Scope.PRIVATE),
        ("192.168.1.1", Scope.PRIVATE),
        ("100.64.0.1", Scope.PRIVATE),
        ("fd00::1", Scope.PRIVATE),
        ("127.0.0.1", Scope.LOOPBACK),
        ("127.255.255.254", Scope.LOOPBACK),
        ("::1", Scope.LOOPBACK),
        ("::ffff:127.0.0.1", Scope.LOOPBACK),
        ("::ffff:10.0.0.1", Scope.PRIVATE),
        ("::ffff:8.8.8.8", Scope.PUBLIC),
        ("0.0.0.0", Scope.FORBIDDEN),
        ("0.1.2.3", Scope.FORBIDDEN),
        ("::", Scope.FORBIDDEN),
        ("169.254.169.254", Scope.FORBIDDEN),
        ("::ffff:169.254.169.254", Scope.FORBIDDEN),
        ("fe80::1", Scope.FORBIDDEN),
        ("224.0.0.1", Scope.FORBIDDEN),
        ("ff02::1", Scope.FORBIDDEN),
        ("255.255.255.255", Scope.FORBIDDEN),
        ("240.0.0.1", Scope.FORBIDDEN),
        ("example.org", Scope.FORBIDDEN),
        ("", Scope.FORBIDDEN),
    ],
)
def test_scope(host: str, scope: Scope) -> None:
    assert scope_of(host) is scope
    assert Address(host, 6881).scope is scope


def test_port_0_is_never_contacted() -> None:
    assert Address("8.8.8.8", 0).scope is Scope.FORBIDDEN


def test_wider_scopes_are_larger() -> None:
    assert Scope.PUBLIC > Scope.PRIVATE > Scope.LOOPBACK > Scope.FORBIDDEN


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("1.2.3.4", "1.2.3.4"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("2001:0DB8:0:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("1.2.3", None),
        ("01.2.3.4", None),
        ("2130706433", None),
        ("0x7f.1", None),
        ("example.org", None),
        ("", None),
    ],
)
def test_parse_host(text: str, host: str | None) -> None:
    assert parse_host(text) == host


def test_text() -> None:
    assert str(Address("1.2.3.4", 80)) == "1.2.3.4:80"
    assert str(Address("2001:db8::1", 80)) == "[2001:db8::1]:80"
    assert Address("::1", 1).is_ipv6
    assert not Address("127.0.0.1", 1).is_ipv6


def test_compact_bytes() -> None:
    assert Address("1.2.3.4", 0x1AE1).compact() == b"\1\2\3\4\x1a\xe1"
    assert Address("2001:db8::1", 1).compact() == ipaddress.ip_address("2001:db8::1").packed + b"\0\1"


@given(st.lists(st.builds(Address, ipv4, ports)))
def test_compact_list_of_ipv4(addresses: list[Address]) -> None:
    assert read_compact(write_compact(addresses)) == addresses
    assert write_compact(addresses, ipv6=True) == b""


def test_compact_list_of_ipv6() -> None:
    addresses = [Address("2001:db8::1", 1), Address("fd00::2", 65535)]
    data = write_compact([*addresses, Address("1.2.3.4", 1)], ipv6=True)
    assert len(data) == 36
    assert read_compact(data, ipv6=True) == addresses


def test_mapped_addresses_in_an_ipv6_list_become_ipv4() -> None:
    data = ipaddress.ip_address("::ffff:1.2.3.4").packed + b"\0\1"
    assert read_compact(data, ipv6=True) == [Address("1.2.3.4", 1)]


@given(st.binary(max_size=100), st.booleans())
def test_whole_entries_only_and_nothing_raises(data: bytes, ipv6: bool) -> None:
    assert len(read_compact(data, ipv6=ipv6)) == len(data) // (18 if ipv6 else 6)
