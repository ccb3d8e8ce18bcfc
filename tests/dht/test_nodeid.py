import random

import pytest
from hypothesis import given, strategies as st

from torrentlite.dht.nodeid import crc32c, id_in_bucket, is_secure, make_id, number, shared_bits

# BEP 42: address, random number, the 21 bits that count and the last byte.
BEP42 = [
    ("124.31.75.21", 1, "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401"),
    ("21.75.31.124", 86, "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256"),
    ("65.23.51.170", 22, "a5d43220bc8f112a3d426c84764f8c2a1150e616"),
    ("84.124.73.14", 65, "1b0321dd1bb1fe518101ceef99462b947a01ff41"),
    ("43.213.53.83", 90, "e56f6cbf5b7c4be0237986d5243b87aa6d51305a"),
]


@pytest.mark.parametrize(("host", "rand", "node_id"), BEP42)
def test_the_vectors_of_bep_42(host, rand, node_id):
    raw = bytes.fromhex(node_id)
    assert raw[-1] == rand
    assert is_secure(raw, host)
    made = make_id(host, lambda count: bytes(count - 1) + bytes([rand]))
    assert made[:2] == raw[:2]
    assert made[2] & 0xF8 == raw[2] & 0xF8
    assert made[-1] == rand
    for bit in (0, 10, 20):
        assert not is_secure((number(raw) ^ 1 << 159 - bit).to_bytes(20, "big"), host)
    assert is_secure((number(raw) ^ 1 << 159 - 21).to_bytes(20, "big"), host), "only 21 bits count"
    assert not is_secure(raw[:-1] + bytes([rand ^ 1]), host)


def test_crc32c():
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"") == 0


@given(st.ip_addresses().map(str), st.integers(0, 1 << 32))
def test_what_is_made_is_secure(host, seed):
    node_id = make_id(host, random.Random(seed).randbytes)
    assert len(node_id) == 20
    assert is_secure(node_id, host)


def test_ipv6_takes_the_upper_half():
    node_id = make_id("2a00:1450:4001:81b::200e", random.Random(1).randbytes)
    assert is_secure(node_id, "2a00:1450:4001:81b::1")
    assert not is_secure(node_id, "2a01:1450:4001:81b::200e")


@pytest.mark.parametrize("host", ["10.0.0.1", "192.168.1.1", "172.16.0.1", "127.0.0.1", "::1", "fd00::1"])
def test_local_addresses_are_exempt(host):
    assert is_secure(bytes(20), host)


@given(st.binary(min_size=20, max_size=20), st.integers(0, 159), st.integers(0, 1 << 32))
def test_an_id_in_a_bucket(own, bits, seed):
    other = id_in_bucket(own, bits, random.Random(seed).randbytes)
    assert len(other) == 20
    assert shared_bits(number(own), number(other)) == bits
