"""RC4, by the test vectors of RFC 6229, in Python and by the library."""

import pytest

from torrentlite.wire import rc4

# RFC 6229, 2: key; the key stream at 0, and at 1024.
VECTORS = [
    ("0102030405", "b2396305f03dc027ccc3524a0a1118a8", "30abbcc7c20b01609f23ee2d5f6bb7df"),
    ("0102030405060708090a0b0c0d0e0f10", "9ac7cc9a609d1ef7b2932899cde41b97", "bdf0324e6083dcc6d3cedd3ca8c53c16"),
]


@pytest.fixture(params=["python", "library"])
def make(request, monkeypatch):
    if request.param == "python":
        monkeypatch.setattr(rc4, "_library", lambda: None)
    else:
        assert rc4.is_fast(), "the tests bring the package along"
    return rc4.rc4


@pytest.mark.parametrize(("key", "start", "later"), VECTORS)
def test_past_the_beginning(make, key, start, later):
    assert make(bytes.fromhex(key)).update(bytes(16)).hex() == later


def test_in_pieces_and_in_place(make):
    key, data = bytes(range(20)), bytes(range(256)) * 3
    whole = make(key).update(data)
    assert whole != data
    stream, out = make(key), bytearray(data)
    view = memoryview(out)
    for start in (0, 1, 2, 100, 500):
        stop = {0: 1, 1: 2, 2: 100, 100: 500, 500: len(data)}[start]
        assert stream.update_into(view[start:stop], view[start:stop]) == stop - start
    assert bytes(out) == whole
    assert make(key).update(whole) == data
    assert make(key).update(b"") == b""


def test_what_python_alone_does_is_the_cipher():
    for key, start, _ in VECTORS:
        assert rc4._Plain(bytes.fromhex(key)).update(bytes(16)).hex() == start


def test_without_the_library_only_handshakes_are_encrypted(monkeypatch):
    assert rc4.is_fast()
    monkeypatch.setitem(__import__("sys").modules, "cryptography.hazmat.decrepit.ciphers.algorithms", None)
    rc4._library.cache_clear()
    try:
        assert not rc4.is_fast()
        assert rc4.rc4(b"key").update(b"abc") == rc4._Plain(b"key").update(bytes(1024) + b"abc")[1024:]
    finally:
        monkeypatch.undo()
        rc4._library.cache_clear()
