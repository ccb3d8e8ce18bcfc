import urllib.parse

import pytest
from hypothesis import given, strategies as st

from tests.tracker.bad_replies import PEER, PEER6, dictionary, text
from torrentlite import limits
from torrentlite.bencode import encode as bencode
from torrentlite.errors import TrackerError
from torrentlite.tracker.announce import (
    UNKNOWN,
    AnnounceReply,
    AnnounceRequest,
    ScrapeReply,
    announce_query,
    parse_announce,
    parse_scrape,
    refusal,
    scrape_query,
    scrape_target,
)
from torrentlite.wire.address import Address, Scope

REQUEST = AnnounceRequest(info_hash=bytes(range(20)), peer_id=b"-Tl0100-ab~&=+ %\xff\0zz", port=6881)


def fields(request: AnnounceRequest) -> dict[str, bytes]:
    query = announce_query(request)
    assert query.isascii()
    assert not set(query) & set(' "<>\r\n#')
    return {
        name: urllib.parse.unquote_to_bytes(value) for name, _, value in (f.partition("=") for f in query.split("&"))
    }


def test_what_is_said():
    assert fields(REQUEST) == {
        "info_hash": REQUEST.info_hash,
        "peer_id": REQUEST.peer_id,
        "port": b"6881",
        "uploaded": b"0",
        "downloaded": b"0",
        "left": b"%d" % limits.LEFT_UNKNOWN,
        "compact": b"1",
        "key": b"00000000",
        "numwant": b"200",
    }


def test_before_the_metadata_something_is_left():
    assert int(fields(REQUEST)["left"]) > 0


def test_events_ids_and_keys():
    request = AnnounceRequest(
        info_hash=bytes(20), peer_id=bytes(20), port=1, left=0, event="completed", key=0xBEEF, tracker_id=b"a&b\xff"
    )
    said = fields(request)
    assert (said["event"], said["key"], said["trackerid"], said["left"]) == (
        b"completed",
        b"0000BEEF",
        b"a&b\xff",
        b"0",
    )


def test_who_leaves_wants_nobody():
    request = AnnounceRequest(info_hash=bytes(20), peer_id=bytes(20), port=1, event="stopped", numwant=50)
    assert fields(request)["numwant"] == b"0"


@given(st.binary(min_size=20, max_size=20))
def test_every_hash_arrives(info_hash):
    request = AnnounceRequest(info_hash=info_hash, peer_id=bytes(20), port=1)
    assert fields(request)["info_hash"] == info_hash
    assert urllib.parse.unquote_to_bytes(scrape_query([info_hash])) == b"info_hash=" + info_hash


def test_a_full_answer():
    body = dictionary(
        interval=b"i1800e",
        min_interval=b"i900e",
        complete=b"i5e",
        incomplete=b"i7e",
        peers=text(PEER),
        peers6=text(PEER6),
        warning_message=text("très lent".encode()),
        tracker_id=text(b"\x00id"),
        external_ip=text(b"\x08\x08\x04\x04"),
    )
    assert parse_announce(body, scope=Scope.PRIVATE) == AnnounceReply(
        interval=1800,
        min_interval=900,
        seeders=5,
        leechers=7,
        peers=(Address("8.8.8.8", 6881), Address("2606:4700::1111", 6881)),
        warning="très lent",
        tracker_id=b"\x00id",
        external_ip="8.8.4.4",
        scope=Scope.PRIVATE,
    )


@pytest.mark.parametrize(
    ("four", "six", "taken"),
    [
        (5000, 5000, (500, 500)),
        (5000, 0, (1000, 0)),
        (0, 5000, (0, 1000)),
        (5000, 200, (800, 200)),
        (3, 5000, (3, 997)),
    ],
)
def test_neither_family_crowds_the_other_out(four, six, taken):
    assert limits.MAX_TRACKER_PEERS == 1000
    answer = {
        "peers": b"".join(b"\x08\x08%b\1\1" % number.to_bytes(2, "big") for number in range(four)),
        "peers6": b"".join(b"\x2a\x00" + number.to_bytes(14, "big") + b"\1\1" for number in range(six)),
    }
    peers = parse_announce(bencode(answer)).peers
    assert (sum(not peer.is_ipv6 for peer in peers), sum(peer.is_ipv6 for peer in peers)) == taken


def test_the_long_form_of_peers():
    body = dictionary(
        interval=b"i1e",
        peers=b"l"
        + dictionary(ip=text(b"8.8.8.8"), port=b"i6881e", peer_id=text(bytes(20)))
        + dictionary(ip=text(b"2606:4700:0::1111"), port=b"i6881e")
        + dictionary(ip=text(b"::ffff:9.9.9.9"), port=b"i1e")
        + b"e",
    )
    hosts = [("8.8.8.8", 6881), ("2606:4700::1111", 6881), ("9.9.9.9", 1)]
    assert parse_announce(body).peers == tuple(Address(*host) for host in hosts)


def test_our_address_in_ipv6():
    assert parse_announce(dictionary(peers=b"0:", external_ip=text(PEER6[:16]))).external_ip == "2606:4700::1111"


def test_refusals_are_found_in_anything():
    assert refusal(dictionary(failure_reason=text(b"no"))) == "no"
    assert refusal(b"<html>") == refusal(b"le") == refusal(dictionary(interval=b"i1e")) == ""


# -- scrape -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("announce", "scrape"),
    [
        ("/announce", "/scrape"),
        ("/x/announce", "/x/scrape"),
        ("/announce.php", "/scrape.php"),
        ("/a?x=announce", None),
        ("/announce?x=2%0644", "/scrape?x=2%0644"),
        ("/announce/0123456789", "/scrape/0123456789"),
        ("/announce-site/announce", "/announce-site/scrape"),
        ("/a", None),
        ("/", None),
    ],
)
def test_where_to_scrape(announce, scrape):
    if scrape is None:
        with pytest.raises(TrackerError, match="cannot be scraped"):
            scrape_target(announce)
    else:
        assert scrape_target(announce) == scrape


def test_counts():
    one, two, short = b"x" * 20, b"y" * 20, b"z" * 19
    files = b"d" + text(one) + dictionary(complete=b"i1e", incomplete=b"i2e", downloaded=b"i3e")
    files += text(two) + dictionary(complete=b"i-1e") + text(short) + dictionary(complete=b"i1e") + b"e"
    assert parse_scrape(dictionary(files=files)) == {one: ScrapeReply(1, 2, 3), two: ScrapeReply(UNKNOWN)}


@pytest.mark.parametrize("body", [b"", b"le", b"de", dictionary(files=b"le"), dictionary(files=b"i1e")])
def test_no_counts(body):
    with pytest.raises(TrackerError, match="not one of a tracker"):
        parse_scrape(body)


def test_a_refused_scrape():
    with pytest.raises(TrackerError, match=r"^full scrape$"):
        parse_scrape(dictionary(failure_reason=text(b"full scrape")))
