import ipaddress

import pytest
from hypothesis import given, strategies as st

from torrentlite.strategy.priority import crc32c, priority
from torrentlite.wire.address import Address


def at(host: str, port: int = 6881) -> Address:
    return Address(host, port)


def test_crc32c() -> None:
    assert crc32c(b"") == 0
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, appendix B.4
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E


def test_the_examples_of_bep_40() -> None:
    assert priority(at("123.213.32.10"), at("98.76.54.32")) == 0xEC2D7224
    assert priority(at("123.213.32.10"), at("123.213.32.234")) == 0x99568189


@pytest.mark.parametrize(
    ("ours", "theirs", "hashed"),
    [
        # IPv4: FF.FF.55.55, in the same /16 FF.FF.FF.55, in the same /24 everything
        ("10.1.255.255", "10.2.255.255", "0a015555 0a025555"),
        ("10.1.255.255", "10.1.254.255", "0a01fe55 0a01ff55"),
        ("10.1.255.255", "10.1.255.254", "0a01fffe 0a01ffff"),
        # IPv6: six whole bytes, seven in the same /48, eight in the same /56
        (
            "2001:db8:1:ffff::ffff",
            "2001:db8:2:ffff::ffff",
            "20010db8000155550000000000005555 20010db8000255550000000000005555",
        ),
        (
            "2001:db8:1:ffff::ffff",
            "2001:db8:1:feff::ffff",
            "20010db80001fe550000000000005555 20010db80001ff550000000000005555",
        ),
        (
            "2001:db8:1:ffff::ffff",
            "2001:db8:1:fffe::ffff",
            "20010db80001fffe0000000000005555 20010db80001ffff0000000000005555",
        ),
    ],
)
def test_the_masks(ours: str, theirs: str, hashed: str) -> None:
    assert priority(at(ours), at(theirs)) == crc32c(bytes.fromhex(hashed))


def test_ports_decide_behind_one_address() -> None:
    assert priority(at("10.0.0.1", 0x1234), at("10.0.0.1", 0x0A0B)) == crc32c(bytes.fromhex("0a0b1234"))


def test_families_do_not_mix() -> None:
    with pytest.raises(ValueError, match="different families"):
        priority(at("10.0.0.1"), at("::1"))


HOSTS = st.one_of(
    st.tuples(*[st.ip_addresses(v=4)] * 2),
    st.tuples(*[st.ip_addresses(v=6)] * 2),
)


@given(HOSTS, st.integers(1, 65535), st.integers(1, 65535))
def test_both_ends_agree(
    hosts: tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, ...], port_a: int, port_b: int
) -> None:
    a, b = at(str(hosts[0]), port_a), at(str(hosts[1]), port_b)
    assert priority(a, b) == priority(b, a) < 1 << 32
