import ipaddress

import pytest

from torrentlite.dht.bloom import BloomFilter

BEP33 = """
 F6C3F5EA A07FFD91 BDE89F77 7F26FB2B FF37BDB8 FB2BBAA2 FD3DDDE7 BACFFF75 EE7CCBAE
 FE5EEDB1 FBFAFF67 F6ABFF5E 43DDBCA3 FD9B9FFD F4FFD3E9 DFF12D1B DF59DB53 DBE9FA5B
 7FF3B8FD FCDE1AFB 8BEDD7BE 2F3EE71E BBBFE93B CDEEFE14 8246C2BC 5DBFF7E7 EFDCF24F
 D8DC7ADF FD8FFFDF DDFFF7A4 BBEEDF5C B95CE81F C7FCFF1F F4FFFFDF E5F7FDCB B7FD79B3
 FA1FC77B FE07FFF9 05B7B7FF C7FEFEFF E0B8370B B0CD3F5B 7F2BD93F EB4386CF DD6F7FD5
 BFAF2E9E BFFFFEEC D67ADBF7 C67F17EF D5D75EBA 6FFEBA7F FF47A91E B1BFBB53 E8ABFB57
 62ABE8FF 237279BF EFBFEEF5 FFC5FEBF DFE5ADFF ADFEE1FB 737FFFFB FD9F6AEF FEEE76B6
 FD8F72EF
"""


def test_the_vector_of_bep_33():
    bloom = BloomFilter()
    for index in range(256):
        bloom.add((int(ipaddress.IPv4Address("192.0.2.0")) + index).to_bytes(4, "big"))
    for index in range(0x3E8):
        bloom.add((int(ipaddress.IPv6Address("2001:DB8::")) + index).to_bytes(16, "big"))
    assert bytes(bloom) == bytes.fromhex(BEP33)
    assert bloom.estimate() == pytest.approx(1224.9308, abs=0.0001)
    assert bytes([192, 0, 2, 7]) in bloom


def test_a_union_counts_nobody_twice():
    one, other = BloomFilter(), BloomFilter()
    for index in range(100):
        one.add(bytes([1, 1, 1, index]))
        other.add(bytes([1, 1, 1, index + 50]))
    both = BloomFilter(bytes(one))
    both.update(other)
    assert one.estimate() == pytest.approx(100, rel=0.1)
    assert both.estimate() == pytest.approx(150, rel=0.1)


def test_the_ends():
    assert BloomFilter().estimate() < 1
    assert BloomFilter(b"\xff" * 256).estimate() > 6000
    assert bytes(4) not in BloomFilter()
    for size in (0, 255, 257):
        with pytest.raises(ValueError):
            BloomFilter(bytes(size))
