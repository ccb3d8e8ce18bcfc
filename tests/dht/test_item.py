import sys

import pytest

from torrentlite import limits
from torrentlite.dht import signing
from torrentlite.dht.item import Item, make_item, mutable_target, read_item, sign_item, signed_bytes
from torrentlite.errors import DhtError

# BEP 44. The private key there is the expanded one, which no library takes, so signatures are only checked with it.
KEY = bytes.fromhex("77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548")
VALUE = b"12:Hello World!"
BEP44 = [
    (
        b"",
        b"3:seqi1e1:v12:Hello World!",
        "4a533d47ec9c7d95b1ad75f576cffc641853b750",
        (
            "305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff"
            "1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01"
        ),
    ),
    (
        b"foobar",
        b"4:salt6:foobar3:seqi1e1:v12:Hello World!",
        "411eba73b6f087ca51a3795d9c8c938d365e32c1",
        (
            "6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d17d"
            "df9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9a08"
        ),
    ),
]


@pytest.mark.parametrize(("salt", "signed", "target", "signature"), BEP44)
def test_the_mutable_vectors_of_bep_44(salt, signed, target, signature):
    item = Item(VALUE, KEY, salt, 1, bytes.fromhex(signature))
    assert signed_bytes(VALUE, 1, salt) == signed
    assert item.target.hex() == target
    assert item.genuine()
    assert item.value == b"Hello World!"
    for other in (
        item._replace(sequence=2),
        item._replace(salt=salt + b"x"),
        item._replace(encoded=b"12:Hello Worle!"),
        item._replace(signature=bytes(64)),
        item._replace(signature=item.signature[:-1]),
        item._replace(key=bytes(32)),
    ):
        assert not other.genuine()


def test_the_immutable_vector_of_bep_44():
    item = make_item(b"Hello World!")
    assert item.encoded == VALUE
    assert item.target.hex() == "e5f96f6f38320f0f33959cb4d3d656452117aadb"
    assert item.genuine()


def test_signing():
    key = signing.SigningKey(bytes(range(32)))
    item = sign_item({"a": [1, b"x"]}, key, 7, b"salt")
    assert item.genuine()
    assert item.target == mutable_target(key.public, b"salt")
    assert item.value == {b"a": [1, b"x"]}
    values = {b"v": {b"a": [1, b"x"]}, b"k": key.public, b"seq": 7, b"sig": item.signature}
    assert read_item(values, item.target, b"salt") == item
    first = sign_item(b"x", key, 0)
    assert read_item({b"v": b"x", b"k": key.public, b"seq": 0, b"sig": first.signature}, first.target, b"") == first
    for change in ({b"seq": 8}, {b"seq": -1}, {b"seq": 1 << 63}, {b"sig": b"x"}, {b"sig": 5}, {b"k": bytes(32)},
                   {b"v": b"other"}, {b"seq": b"7"}):  # fmt: skip
        assert read_item(values | change, item.target, b"salt") is None
    assert read_item(values, item.target, b"other salt") is None
    assert read_item({b"v": b"x"}, make_item(b"y").target, b"") is None
    assert read_item({}, item.target, b"salt") is None


def test_what_the_dht_cannot_hold():
    key = signing.SigningKey(bytes(32))
    most = bytes(limits.DHT_MAX_ITEM - len(b"996:"))
    assert len(make_item(most).encoded) == limits.DHT_MAX_ITEM
    for value in (most + b"x", 1.5, {1: 2}, None):
        with pytest.raises(DhtError):
            make_item(value)
    nested: object = 1
    for _ in range(20):
        nested = [nested]
    with pytest.raises(DhtError):
        make_item(nested)
    sign_item(1, key, limits.DHT_MAX_SEQ, bytes(limits.DHT_MAX_SALT))
    with pytest.raises(DhtError):
        sign_item(1, key, 1, bytes(limits.DHT_MAX_SALT + 1))
    for sequence in (-1, limits.DHT_MAX_SEQ + 1):
        with pytest.raises(DhtError):
            sign_item(1, key, sequence)


def test_without_cryptography(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "cryptography"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    assert not signing.available()
    item = Item(VALUE, KEY, b"", 1, bytes(64))
    with pytest.raises(DhtError, match="cryptography") as caught:
        item.genuine()
    assert "torrentlite[crypto]" in caught.value.hint
    with pytest.raises(DhtError, match="cryptography"):
        signing.SigningKey(bytes(32))
    assert make_item(b"x").genuine(), "immutable ones need none"
