import pytest
from hypothesis import given, strategies as st

from torrentlite.wire.clients import client_name, make_peer_id


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"-qB4620-", "qBittorrent 4.6.2"),
        (b"-TR4060-", "Transmission 4.0.6"),
        (b"-LT20B0-", "libtorrent 2.0.11"),
        (b"-DE211s-", "Deluge 2.1.1"),
        (b"-UT355W-", "µTorrent 3.5.5"),
        (b"-lt0D80-", "rTorrent 0.13.8"),
        (b"-Tl0100-", "torrentlite 0.1"),
        (b"-TL1234-", "Tribler 1.2.3.4"),
        (b"-zz1000-", "zz 1.0"),
        (b"A2-1-36-0-", "aria2 1.36"),
        (b"M7-10-5--", "Mainline 7.10.5"),
        (b"T03I-----", "BitTornado 0.3.I"),
        (b"", "unknown"),
        (b"\0" * 8, "unknown"),
        (b"-q\xff4620-", "unknown"),
        (b"-qB46\x1b0-", "unknown"),
        (b"-\xd9\xa1B4620-", "unknown"),
    ],
)
def test_client_name(start: bytes, name: str) -> None:
    assert client_name(start.ljust(20, b"\xfe")) == name


@given(st.binary(max_size=20))
def test_any_bytes_give_a_short_visible_name(peer_id: bytes) -> None:
    name = client_name(peer_id)
    assert name.isprintable()
    assert 0 < len(name) < 50


@pytest.mark.parametrize(
    ("version", "start"),
    [
        ("0.1.0", b"-Tl0100-"),
        ("1.2.3.4.5", b"-Tl1234-"),
        ("0.12.3", b"-Tl0C30-"),
        ("2", b"-Tl2000-"),
        ("0.1.0rc1", b"-Tl0100-"),
        ("0.99.0", b"-Tl0Z00-"),
    ],
)
def test_our_peer_id(version: str, start: bytes) -> None:
    peer_id = make_peer_id(version, b"abcdefghijkl")
    assert peer_id == start + b"abcdefghijkl"
    assert client_name(peer_id).startswith("torrentlite ")


@pytest.mark.parametrize(("version", "random12"), [("0.1", b"short"), ("dev", bytes(12)), ("", bytes(12))])
def test_no_peer_id_from_nonsense(version: str, random12: bytes) -> None:
    with pytest.raises(ValueError, match="no peer id"):
        make_peer_id(version, random12)
