from __future__ import annotations

import base64
import urllib.parse

import pytest
from hypothesis import example, given, strategies as st

from torrentlite import limits
from torrentlite.errors import MagnetError, TorrentError
from torrentlite.metainfo.magnet import Magnet
from torrentlite.metainfo.metainfo import InfoHashes
from torrentlite.metainfo.text import display

DIGEST = bytes(range(20))
HEX = DIGEST.hex()
LINK = f"magnet:?xt=urn:btih:{HEX}"


def test_everything_at_once() -> None:
    magnet = Magnet.parse(
        f"magnet:?xt=urn:btih:{HEX}&xt=urn:btmh:1220{'ab' * 32}&dn=Some+name%20here&tr=http%3A%2F%2Ft.example%2Fa"
        "&tr=udp://u.example:80&ws=http://w.example/f&x.pe=192.0.2.1:6881&x.pe=[2001:db8::1]:6882&x.pe=Host.example:1"
        "&so=0,2,6-8&xs=http://localhost/x&as=http://localhost/y&xl=5&kt=word"
    )
    assert magnet == Magnet(
        hashes=InfoHashes(DIGEST, b"\xab" * 32),
        name="Some name here",
        trackers=("http://t.example/a", "udp://u.example:80"),
        peers=(("192.0.2.1", 6881), ("2001:db8::1", 6882), ("host.example", 1)),
        web_seeds=("http://w.example/f",),
        select=(0, 2, 6, 7, 8),
    )
    assert "localhost" not in str(magnet)


@pytest.mark.parametrize(
    "text",
    [HEX, HEX.upper(), base64.b32encode(DIGEST).decode(), base64.b32encode(DIGEST).decode().lower(), f" {HEX}\n", LINK,
     LINK.upper().replace("MAGNET:?XT=URN:BTIH:", "MAGNET:?XT=urn:BTIH:"), f"magnet:?xt.1=urn:btih:{HEX}",
     "magnet:?xt=urn:btih:" + base64.b32encode(DIGEST).decode(), f"magnet:?xt=urn%3Abtih%3A{HEX}",
     f"magnet:?xt=urn:btih:{HEX}&xt=urn:btih:{HEX.upper()}", f"magnet:?xt=urn:sha1:X&xt=urn:btih:{HEX}"],
)  # fmt: skip
def test_all_ways_to_write_the_hash(text: str) -> None:
    assert Magnet.parse(text) == Magnet(InfoHashes(DIGEST))


def test_a_link_copied_from_the_source_of_a_page() -> None:
    magnet = Magnet.parse(f"{LINK}&amp;dn=x&amp;tr=http://t/a")
    assert (magnet.name, magnet.trackers) == ("x", ("http://t/a",))


def test_numbered_parameters() -> None:
    assert Magnet.parse(f"{LINK}&tr.1=http://a/&tr.2=http://b/").trackers == ("http://a/", "http://b/")


@pytest.mark.parametrize(
    "peer",
    ["192.0.2.1", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:٣", "[192.0.2.1:80", "[zz]:80", "2001:db8::1:80", ":80",
     "a b:80", "a/b:80", "x" * 254 + ":80", "user@host:80", "[fe80::1%25eth0]:80"],
)  # fmt: skip
def test_peers_that_cannot_be(peer: str) -> None:
    link = f"{LINK}&x.pe={urllib.parse.quote(peer)}&x.pe=192.0.2.7:7"
    assert Magnet.parse(link).peers == (("192.0.2.7", 7),)


def test_peers_in_their_shortest_form() -> None:
    magnet = Magnet.parse(f"{LINK}&x.pe=[2001:DB8:0:0::1]:80&x.pe=[::ffff:192.0.2.1]:80&x.pe=192.0.2.1:80")
    assert magnet.peers == (("2001:db8::1", 80), ("192.0.2.1", 80))


@pytest.mark.parametrize(
    ("so", "select"),
    [("5", (5,)), ("3-3", (3,)), ("8,1-3,2-4,1", (1, 2, 3, 4, 8)), ("0-2&so=1-4", (0, 1, 2, 3, 4)), ("00007", (7,))],
)
def test_selected_files(so: str, select: tuple[int, ...]) -> None:
    assert Magnet.parse(f"{LINK}&so={so}").select == select


def test_more_files_than_a_torrent_has() -> None:
    ranges = ",".join(f"{number}-4294967295" for number in range(10_000))
    select = Magnet.parse(f"{LINK}&so={ranges}").select
    assert select == tuple(range(limits.MAX_FILES))
    assert str(Magnet.parse(f"{LINK}&so=5-4294967295")).endswith(f"&so=5-{limits.MAX_FILES - 1}")


def test_ten_thousand_of_everything() -> None:
    link = LINK + "".join(
        f"&tr=http://t/{n}&ws=http://w/{n}&x.pe=192.0.2.1:{n % 65535 + 1}&dn={n}" for n in range(10_000)
    )
    magnet = Magnet.parse(link)
    assert magnet.trackers == tuple(f"http://t/{n}" for n in range(limits.MAX_TRACKERS))
    assert magnet.web_seeds == tuple(f"http://w/{n}" for n in range(limits.MAX_WEB_SEEDS))
    assert len(magnet.peers) == limits.MAX_MAGNET_PEERS
    assert magnet.name == "0"


def test_trackers_that_are_none() -> None:
    assert Magnet.parse(f"{LINK}&tr=nonsense&tr=http://a/%0d%0ab&tr=&tr=http://t/a").trackers == ("http://t/a",)


def test_a_hostile_name() -> None:
    assert Magnet.parse(f"{LINK}&dn=%1b%5b2J%0aa%e2%80%aeb%ff").name == "\ufffd[2J a\ufffdb\ufffd"
    assert len(Magnet.parse(f"{LINK}&dn={'x' * 10_000}").name) == limits.MAX_DISPLAY


HOSTS = st.sampled_from(["192.0.2.1", "2001:db8::1", "host.example", "10.0.0.1"])
URLS = st.text(
    st.characters(categories=("L", "N", "P", "S"), exclude_characters="\u115f\u1160\u3164\uffa0"), max_size=20
)
MAGNETS = st.builds(
    Magnet,
    hashes=st.builds(
        InfoHashes,
        st.binary(min_size=20, max_size=20).filter(any),  # libtorrent takes a hash of zeros for none
        st.none() | st.binary(min_size=32, max_size=32).filter(any),
    ),
    name=st.text(st.characters(categories=("L", "N", "P", "S", "Zs"), exclude_characters="\u115f\u1160\u3164\uffa0")),
    trackers=st.lists(URLS.map("http://t/{}".format), unique=True, max_size=3).map(tuple),
    peers=st.lists(st.tuples(HOSTS, st.integers(1, 65535)), unique=True, max_size=3).map(tuple),
    web_seeds=st.lists(URLS.map("https://w/{}".format), unique=True, max_size=3).map(tuple),
    select=st.none() | st.sets(st.integers(0, 30), min_size=1).map(lambda chosen: tuple(sorted(chosen))),
)


@given(MAGNETS)
def test_a_link_says_what_the_magnet_says(magnet: Magnet) -> None:
    link = str(magnet)
    assert link.isascii()
    assert " " not in link
    assert Magnet.parse(link) == magnet


@given(MAGNETS)
@example(Magnet(InfoHashes(DIGEST), name="a+b &=#%"))
def test_libtorrent_reads_it_alike(magnet: Magnet) -> None:
    libtorrent = pytest.importorskip("libtorrent")
    read = libtorrent.parse_magnet_uri(str(magnet))
    assert read.info_hashes.v1.to_bytes() == magnet.hashes.v1
    assert (read.info_hashes.v2.to_bytes() if read.info_hashes.has_v2() else None) == magnet.hashes.v2
    assert read.name == magnet.name
    assert read.trackers == list(magnet.trackers)
    assert read.url_seeds == list(magnet.web_seeds)
    assert set(read.peers) == {peer for peer in magnet.peers if peer[0] != "host.example"}  # it takes no names
    if magnet.select is not None:
        assert tuple(index for index, priority in enumerate(read.file_priorities) if priority) == magnet.select


@given(st.text() | st.text().map(lambda text: f"{LINK}&{text}") | st.text("=&%+.:[]-,0123trxdnswope").map(LINK.__add__))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        magnet = Magnet.parse(text)
    except TorrentError as error:
        refusal = str(error)
        assert display(refusal) == refusal
    else:
        assert Magnet.parse(str(magnet)) == magnet


def test_text_that_was_never_unicode() -> None:
    with pytest.raises(MagnetError, match="neither"):
        Magnet.parse("\udcff")
    assert str(Magnet.parse(f"{LINK}&dn=a\udcffb&tr=http://\udcff/")) == f"{LINK}&dn=a%EF%BF%BDb"


def test_the_longest_link() -> None:
    start = f"{LINK}&dn="
    assert Magnet.parse(start + "x" * (limits.MAX_MAGNET_SIZE - len(start))).name
    with pytest.raises(MagnetError, match=f"{limits.MAX_MAGNET_SIZE} are allowed"):
        Magnet.parse(start + "x" * (limits.MAX_MAGNET_SIZE - len(start) + 1))


def test_the_longest_name_of_a_peer() -> None:
    host = "h" * (limits.MAX_HOST_NAME - len(":80"))
    assert Magnet.parse(f"{LINK}&x.pe={host}:80").peers == ((host, 80),)
    assert Magnet.parse(f"{LINK}&x.pe={host}h:80").peers == ()
