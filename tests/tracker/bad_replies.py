"""Bad answers of trackers, as data: what came, and what is made of it.

``HTTP`` are bodies with status 200, ``HTTP_RAW`` whole answers as they stand on the wire, ``UDP`` replies to an
announce: action and what follows the transaction id. The outcome is an error's pattern, or what is in the reply.
"""

import gzip

from torrentlite import limits
from torrentlite.wire.address import Address

NONSENSE = "not one of a tracker"
PEER = b"\x08\x08\x08\x08\x1a\xe1"
PEER6 = b"\x26\x06\x47\x00" + bytes(10) + b"\x11\x11\x1a\xe1"
NOWHERE = b"\0\0\0\0\1\1" + b"\xff\xff\xff\xff\1\1" + b"\xa9\xfe\xa9\xfe\0\x50" + b"\xe0\0\0\1\1\1"
GOOD = (Address("8.8.8.8", 6881),)
GOOD6 = (Address("2606:4700::1111", 6881),)
USUAL = limits.ANNOUNCE_INTERVAL


def text(data: bytes) -> bytes:
    return b"%d:%b" % (len(data), data)


def dictionary(**entries: bytes) -> bytes:
    """``warning_message=...`` for the key ``warning message``; values are encoded already."""
    pairs = sorted((name.replace("_", " ").encode(), value) for name, value in entries.items())
    return b"d" + b"".join(text(key) + value for key, value in pairs) + b"e"


HTTP = {
    "nothing": (b"", NONSENSE),
    "a web page": (b"<html><body>It works!</body></html>", NONSENSE),
    "an integer": (b"i0e", NONSENSE),
    "a string": (b"4:fail", NONSENSE),
    "a list": (b"le", NONSENSE),
    "an empty dictionary": (b"de", NONSENSE),
    "a dictionary of something else": (b"d3:foo3:bare", NONSENSE),
    "cut off": (b"d8:intervali1800e5:peers6:\x08\x08", NONSENSE),
    "with something behind": (dictionary(interval=b"i1800e") + b"\n<!-- 0.1 s -->", NONSENSE),
    "a negative length": (b"d0:i0e-6:", NONSENSE),
    "a length beyond all": (b"d99999999999999999999:x", NONSENSE),
    "very deep": (b"d5:peers" + b"l" * 100_000 + b"e" * 100_001, NONSENSE),
    "a huge number": (b"d8:intervali" + b"9" * 5000 + b"ee", NONSENSE),
    "a refusal": (dictionary(failure_reason=text(b"not registered")), "^not registered$"),
    "a refusal with peers": (dictionary(failure_reason=text(b"no"), peers=text(PEER)), "^no$"),
    "a refusal that draws": (dictionary(failure_reason=text(b"\x1b[2Jgo\x9b1m\r\non")), "^\ufffd\\[2Jgo\ufffd1m on$"),
    "a refusal in no UTF-8": (dictionary(failure_reason=text(b"n\xff\xfeo")), "^n\ufffd\ufffdo$"),
    "a refusal of a megabyte": (dictionary(failure_reason=text(b"x" * 1_000_000)), "^x{254}…$"),
    "an empty refusal": (dictionary(failure_reason=b"0:"), "without a reason"),
    "a refusal that is a number": (dictionary(failure_reason=b"i404e"), "without a reason"),
    "no interval": (dictionary(peers=text(PEER)), {"interval": USUAL, "peers": GOOD}),
    "an interval of 0": (dictionary(interval=b"i0e"), {"interval": 0}),
    "an interval below 0": (dictionary(interval=b"i-1e"), {"interval": USUAL}),
    "an interval for ever": (dictionary(interval=b"i9223372036854775807e"), {"interval": USUAL}),
    "an interval in letters": (dictionary(interval=text(b"1800")), {"interval": USUAL}),
    "a least interval below 0": (dictionary(interval=b"i60e", min_interval=b"i-5e"), {"min_interval": 0}),
    "peers that are a number": (dictionary(interval=b"i60e", peers=b"i7e"), {"peers": ()}),
    "peers that are a dictionary": (dictionary(interval=b"i60e", peers=b"de"), {"peers": ()}),
    "peers and a half": (dictionary(peers=text(PEER + PEER[:5])), {"peers": GOOD}),
    "peers6 of 17 bytes": (dictionary(peers6=text(PEER6[:17])), {"peers": ()}),
    "peers6 that are a list": (dictionary(peers6=b"le", peers=text(PEER)), {"peers": GOOD}),
    "peers at port 0": (dictionary(peers=text(PEER[:4] + b"\0\0" + PEER)), {"peers": GOOD}),
    "peers twice": (dictionary(peers=text(PEER * 500)), {"peers": GOOD}),
    "peers nowhere": (dictionary(peers=text(NOWHERE + PEER)), {"peers": GOOD}),
    "peers without end": (
        dictionary(peers=text(b"".join(b"\x08\x08%b\x1a\xe1" % i.to_bytes(2, "big") for i in range(5000)))),
        {"count": limits.MAX_TRACKER_PEERS},
    ),
    "peers beyond the limit, which are not even read": (
        dictionary(peers=text(PEER * limits.MAX_TRACKER_PEERS + b"\x08\x08\x08\x08\1\1")),
        {"peers": GOOD},
    ),
    "long peers beyond the limit": (
        dictionary(peers=b"l" + b"de" * limits.MAX_TRACKER_PEERS + b"d2:ip7:8.8.8.84:porti1ee" + b"e"),
        {"peers": ()},
    ),
    "long peers of all kinds": (
        dictionary(
            peers=b"l"
            b"i5e"
            b"0:"
            b"le"
            b"de"
            + dictionary(ip=text(b"8.8.8.8"))
            + dictionary(port=b"i6881e")
            + dictionary(ip=text(b"8.8.8.8"), port=b"i0e")
            + dictionary(ip=text(b"8.8.8.8"), port=b"i65536e")
            + dictionary(ip=text(b"8.8.8.8"), port=b"i-1e")
            + dictionary(ip=text(b"8.8.8.8"), port=text(b"6881"))
            + dictionary(ip=b"i134744072e", port=b"i6881e")
            + dictionary(ip=text(b"router.example"), port=b"i80e")
            + dictionary(ip=text(b"8.8.8.8\r\n"), port=b"i6881e")
            + dictionary(ip=text(b"\xff\xfe\x00"), port=b"i6881e")
            + dictionary(ip=text(b"8" * 10_000), port=b"i6881e")
            + dictionary(ip=text(b"8.8.8.8"), port=b"i6881e", peer_id=b"i0e")
            + b"e"
        ),
        {"peers": GOOD},
    ),
    "counts below 0": (
        dictionary(interval=b"i60e", complete=b"i-1e", incomplete=b"i99999999999999e"),
        {"seeders": -1, "leechers": -1},
    ),
    "counts in letters": (dictionary(complete=text(b"many"), incomplete=b"i3e"), {"seeders": -1, "leechers": 3}),
    "a warning that draws": (dictionary(peers=b"0:", warning_message=text(b"\x1b]0;x")), {"warning": "\ufffd]0;x"}),
    "a warning that is a list": (dictionary(interval=b"i60e", warning_message=b"le"), {"warning": ""}),
    "a long tracker id": (
        dictionary(interval=b"i60e", tracker_id=text(b"x" * (limits.MAX_TRACKER_ID + 1))),
        {"tracker_id": b""},
    ),
    "the longest tracker id": (
        dictionary(interval=b"i60e", tracker_id=text(b"x" * limits.MAX_TRACKER_ID)),
        {"tracker_id": b"x" * limits.MAX_TRACKER_ID},
    ),
    "a tracker id that is a number": (dictionary(interval=b"i60e", tracker_id=b"i5e"), {"tracker_id": b""}),
    "an outer address of 5 bytes": (dictionary(interval=b"i60e", external_ip=text(b"12345")), {"external_ip": ""}),
    "an outer address in text": (dictionary(interval=b"i60e", external_ip=text(b"8.8.8.8")), {"external_ip": ""}),
    "unsorted keys": (b"d5:peers6:" + PEER + b"8:intervali60ee", {"peers": GOOD, "interval": 60}),
}


def raw(body: bytes, head: bytes = b"", status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n%b" % (status, len(body), head, body)


_FINE = dictionary(interval=b"i60e", peers=text(PEER))
_GZIP = b"Content-Encoding: gzip\r\n"

HTTP_RAW = {
    "packed": (raw(gzip.compress(_FINE), _GZIP), {"peers": GOOD}),
    "404": (raw(b"<html>", status=b"404 Not Found"), "HTTP status 404"),
    "404 with a tracker's words": (raw(dictionary(failure_reason=text(b"gone")), status=b"404 No"), "^gone$"),
    "503 with what looks fine": (raw(_FINE, status=b"503 Busy"), "HTTP status 503"),
    "a bomb": (raw(gzip.compress(bytes(50_000_000)), _GZIP), f"longer than {limits.MAX_TRACKER_REPLY} bytes"),
    "a bomb of peers": (raw(gzip.compress(dictionary(peers=text(PEER * 1_000_000))), _GZIP), "longer than"),
    "too long": (raw(bytes(limits.MAX_TRACKER_REPLY + 1)), "longer than"),
    "torn gzip": (raw(gzip.compress(_FINE)[:-9], _GZIP), "ends in the middle"),
    "no gzip at all": (raw(_FINE, _GZIP), "not proper gzip"),
    "no HTTP at all": (_FINE, "t.example"),
    "headers without end": (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000, "t.example"),
    "chunks of size -1": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n" + _FINE, "t.example"),
    "cut off by the length": (b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n" + _FINE, "t.example"),
    "to a file": (raw(b"", b"Location: file:///etc/passwd\r\n", b"302 Found"), "redirect cannot be followed"),
    "to a UDP tracker": (raw(b"", b"Location: udp://t.example:80\r\n", b"302 Found"), "redirect cannot be followed"),
    "to itself": (raw(b"", b"Location: /announce\r\n", b"302 Found"), "more than 5 redirects"),
}

# What follows action and transaction id.
UDP = {
    "no peers": (1, b"\0\0\7\x08" + bytes(8), {"interval": 1800, "peers": ()}),
    "peers and a half": (1, bytes(12) + PEER + PEER[:3], {"peers": GOOD}),
    "peers at port 0": (1, bytes(12) + PEER[:4] + b"\0\0", {"peers": ()}),
    "peers nowhere": (1, bytes(12) + b"\0\0\0\0\1\1" + b"\x7f\0\0\1\0\0" + PEER, {"peers": GOOD}),
    "an interval for ever": (1, b"\xff" * 4 + bytes(8), {"interval": 0xFFFFFFFF}),
    "counts beyond all": (1, bytes(4) + b"\xff" * 8, {"seeders": 0xFFFFFFFF, "leechers": 0xFFFFFFFF}),
    "peers without end": (
        1,
        bytes(12) + b"".join(b"\x08\x08%b\1\1" % i.to_bytes(2, "big") for i in range(5000)),
        {"count": limits.MAX_TRACKER_PEERS},
    ),
    "peers beyond the limit, which are not even read": (
        1,
        bytes(12) + PEER * limits.MAX_TRACKER_PEERS + b"\x08\x08\x08\x08\1\1",
        {"peers": GOOD},
    ),
    "a refusal": (3, b"no such torrent", "^no such torrent$"),
    "a refusal with a NUL": (3, b"no\0", "^no$"),
    "a refusal that draws": (3, b"\x1b[2J\xff", "^\ufffd\\[2J\ufffd$"),
    "an empty refusal": (3, b"", "without a reason"),
    "a refusal of 60 KB": (3, b"x" * 60_000, "^x{254}…$"),
}
