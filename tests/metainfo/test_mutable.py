"""Links that stay (BEP 46)."""

import pytest
from hypothesis import given, strategies as st

from torrentlite import Magnet, MagnetError, MutableLink
from torrentlite.dht.item import mutable_target
from torrentlite.limits import DHT_MAX_SALT, MAX_MAGNET_SIZE
from torrentlite.metainfo.link import is_mutable

KEY = "8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e"
LINK = f"magnet:?xs=urn:btpk:{KEY}"
HASH = "ab" * 20


@pytest.mark.parametrize(
    ("more", "target"),
    [("", "cc3f9d90b572172053626f9980ce261a850d050b"), ("&s=6e", "59ee7c2cb9b4f7eb1986ee2d18fd2fdb8a56554f")],
)
def test_the_vectors_of_bep_46(more, target):
    link = MutableLink.parse(LINK + more)
    assert mutable_target(link.key, link.salt).hex() == target
    assert str(link) == LINK + more


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=DHT_MAX_SALT))
def test_there_and_back(key, salt):
    link = MutableLink(key, salt)
    assert is_mutable(str(link))
    assert MutableLink.parse(str(link)) == link


@pytest.mark.parametrize(
    "text",
    [
        f"  {LINK}\n",
        f"magnet:?dn=news&xs=urn:btpk:{KEY.upper()}",
        f"MAGNET:?xs=URN:BTPK:{KEY}&xs=http%3A%2F%2Fhost.example%2Ffile&tr=udp%3A%2F%2Fhost.example%3A1",
        f"magnet:?xs=urn%3Abtpk%3A{KEY}&amp;dn=x",
        f"magnet:?xt=urn:sha1:ABC&xs=urn:btpk:{KEY}",
    ],
)
def test_in_whatever_way_it_is_written(text):
    assert is_mutable(text)
    assert MutableLink.parse(text) == MutableLink(bytes.fromhex(KEY))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no link of BEP 46"),
        (HASH, "no link of BEP 46"),
        (f"magnet:?xt=urn:btih:{HASH}", "no link of BEP 46"),
        (f"magnet:?xt.1=urn%3Abtih%3A{HASH}&xs=urn:btpk:{KEY}", "no link of BEP 46"),
        (f"magnet:?dn=a%26xs%3Durn%3Abtpk%3A{KEY}", "no link of BEP 46"),
        (f"magnet:xs=urn:btpk:{KEY}", "no link of BEP 46"),
        (f"magnet:?xt=btih:{HASH}&xs=urn:btpk:{KEY}", "no link of BEP 46"),
        (f"{LINK}&xs=urn:btpk:{'0' * 64}", "several"),
        (f"{LINK}&s=6e&s=6f", "several"),
        (f"http://host.example/?xs=urn:btpk:{KEY}", "no link of BEP 46"),
        (LINK[:-1], "not whole"),
        (LINK + "0", "not whole"),
        (LINK[:-1] + "g", "not whole"),
        ("magnet:?xs=urn:btpk:", "not whole"),
        (LINK + "&s=6", "salt"),
        (LINK + "&s=zz", "salt"),
        (LINK + "&s=" + "00" * (DHT_MAX_SALT + 1), "salt"),
        (LINK + "&dn=" + "x" * MAX_MAGNET_SIZE, "no link of BEP 46"),
    ],
)
def test_what_is_none(text, why):
    with pytest.raises(MagnetError, match=why):
        MutableLink.parse(text)


def test_a_link_that_names_a_torrent_leads_to_that():
    assert Magnet.parse(f"magnet:?xt=urn:btih:{HASH}&xs=urn:btpk:{KEY}").info_hash == HASH


def test_it_is_no_magnet_link_of_a_torrent():
    with pytest.raises(MagnetError, match="names a key") as caught:
        Magnet.parse(LINK)
    assert "load" in caught.value.hint
