"""Targets: bencoding, .torrent files, magnet links, and the texts, names and URLs in them."""

from __future__ import annotations

import random
import re

import bencode2

from tests.fuzz.target import Target
from tests.metainfo import bad_input
from torrentlite import bencode
from torrentlite.errors import BencodeError, MagnetError, MetainfoError, NetworkError, SourceError
from torrentlite.limits import MAX_FILES, MAX_NAME
from torrentlite.metainfo.info import Info
from torrentlite.metainfo.link import is_magnet, is_mutable
from torrentlite.metainfo.magnet import Magnet
from torrentlite.metainfo.metainfo import Metainfo
from torrentlite.metainfo.mutable import MutableLink
from torrentlite.metainfo.paths import safe_paths
from torrentlite.metainfo.text import display
from torrentlite.metainfo.urls import clean_url
from torrentlite.net.url import parse_url, punycode
from torrentlite.testing.torrent import made_up_torrent
from torrentlite.tracker.redact import redact, scrub
from torrentlite.wire import bitfield

# Written out once more, and by numbers, not taken from the code that it is to check.
_DRAWS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")

_HEX = bad_input.HEX
_TORRENTS = [case.data for case in bad_input.TORRENTS if isinstance(case.data, bytes) and len(case.data) < 4096] + [
    bad_input.torrent(bad_input.info()),
    bad_input.torrent(bad_input.info(private=1, source="x"), **{"announce-list": [["udp://t.example:6969"]], "nodes": [["1.2.3.4", 5]]}),
    bad_input.folder(bad_input.entry("a", "b.txt", length=20_000), bad_input.entry("c", length=20_000, attr="x")),
    bad_input.folder(bad_input.entry("a"), bad_input.entry(".pad", "0", length=0, attr="p"), bad_input.entry("l", length=0, attr="l")),
    bad_input.hybrid({"file": bad_input.leaf()}),
    made_up_torrent(random.Random(1), [20_000, 5, 70_000], piece_length=16384, version="v2")[0].encode(),
    made_up_torrent(random.Random(2), [40_000], piece_length=32768, version="v2")[0].encode(),
    made_up_torrent(random.Random(3), [20_000, 5, 0, 40_000], piece_length=16384, version="hybrid")[0].encode(),
]  # fmt: skip
_BENCODED = [case.data for case in bad_input.BENCODED if isinstance(case.data, bytes) and len(case.data) < 4096] + [
    b"de", b"le", b"i0e", b"0:", b"d1:ai-1e1:bl1:ci5eee", b"d1:a0:1:bd1:cleee",
]  # fmt: skip
_WORDS = [
    b"info", b"length", b"files", b"path", b"path.utf-8", b"name", b"name.utf-8", b"pieces", b"piece length", b"private",
    b"attr", b"meta version", b"file tree", b"pieces root", b"piece layers", b"root hash", b"announce", b"announce-list",
    b"url-list", b"nodes", b"creation date", b"comment", b"..", b"/", b"\x1b[2J", b"CON", b"a\\b", b"\xff\xfe", b"h" * 20,
]  # fmt: skip
_LINKS = [
    str(case.data).encode() for case in [*bad_input.LINKS, *bad_input.HASHES] if len(case.data) < 4096
] + [
    f"magnet:?xt=urn:btih:{_HEX}&dn=a%20name&tr=http%3A%2F%2Ft.example%2Fannounce&x.pe=1.2.3.4:5&so=0,2-5".encode(),
    f"magnet:?xt=urn:btih:{_HEX}&xt=urn:btmh:1220{bad_input.V2_HEX}&x.pe=[2001:db8::1]:99&ws=http://w.example/".encode(),
    b"abcdefghijklmnopqrstuvwxyz234567",
]  # fmt: skip
_URLS = [
    b"http://t.example/announce?passkey=0123456789abcdef", b"udp://t.example:6969", b"https://user:word@t.example:443/a%20b?c#d",
    b"http://[2001:db8::1]:80/x", b"http://t\xc3\xa9.example/", b"ws://x/", b"http://0x7f.1/", b"http://t.example:99999/",
    b"http://a@b@c/", b"http://[::1%25eth0]/", b"//x", b"http:///announce", b"http://xn--bcher-kva.example/announce/deadbeefdeadbeef",
]  # fmt: skip


def _decode(data: bytes) -> None:
    value = bencode.decode(data)
    assert bencode.decode(bencode.encode(value)) == value


def _prefix(data: bytes) -> None:
    start = data[0] % (len(data) + 1) if data else 0
    value, end = bencode.decode_prefix(data, start, max_depth=8)
    assert start < end <= len(data)
    assert bencode.decode(data[start:end], max_depth=8) == value


def _spans(data: bytes) -> None:
    value, spans = bencode.decode_with_spans(data)
    assert value.keys() == spans.keys()
    for key, (start, stop) in spans.items():
        assert bencode.decode(data[start:stop], max_depth=100) == value[key]


def _against_bencode2(data: bytes) -> None:
    """What another strict reader takes, we take, and as the same value; the other way round it may miss order."""
    try:
        theirs: object = bencode2.bdecode(data)
    except Exception:
        theirs = None
    try:
        ours = bencode.decode(data, max_depth=100)
    except BencodeError as error:
        # It counts neither depth nor digits.
        deep_or_long = (
            "nested" in str(error)
            or re.search(rb"i-?[0-9]{20,}e|[0-9]{11,}:", data)
            or data.count(b"l") + data.count(b"d") > 100
        )
        assert theirs is None or deep_or_long, (theirs, error)  # noqa: PT017
        return
    if theirs is not None:
        assert ours == theirs
        assert bencode2.bencode(ours) == bencode.encode(ours)


def _metainfo(data: bytes) -> None:
    metainfo = Metainfo.from_bytes(data)
    again = Metainfo.from_bytes(metainfo.encode())
    assert (again.info.hashes, again.files, again.info.raw) == (metainfo.info.hashes, metainfo.files, metainfo.info.raw)
    assert again.trackers == metainfo.trackers
    _check_info(metainfo.info)
    link = Magnet.parse(metainfo.magnet)
    assert link.hashes == metainfo.info.hashes
    assert not _DRAWS.search(metainfo.name)
    assert not [url for tier in metainfo.trackers for url in tier if _DRAWS.search(url)]


def _info(data: bytes) -> None:
    _check_info(Info.from_bytes(data))


def _check_info(info: Info) -> None:
    layout = info.layout
    assert len(info.pieces) == (0 if info.lacks_layers else info.hashing.size * layout.piece_count)
    assert layout.bytes_of_pieces(bitfield.full(layout.piece_count)) == layout.stored
    assert sum(layout.piece_size(piece) for piece in (0, layout.piece_count - 1)) <= 2 * info.piece_length
    assert sum(entry.length for entry in info.files) == layout.total
    assert len(info.files) <= MAX_FILES
    places: set[str] = set()
    for index in info.wanted_files:
        path = info.files[index].path
        _check_path(path)
        assert path[0] == info.name
        place = "/".join(path).casefold()
        assert place not in places
        places.add(place)
    for place in places:  # no file is where another one needs a folder
        above = place.rpartition("/")[0]
        while above:
            assert above not in places
            above = above.rpartition("/")[0]


def _check_path(path: tuple[str, ...]) -> None:
    for name in path:
        assert name not in ("", ".", "..")
        assert "/" not in name
        assert "\\" not in name
        assert not _DRAWS.search(name)
        assert len(name.encode()) <= MAX_NAME


_KEYED = f"magnet:?xs=urn:btpk:{'0f' * 32}".encode()


def _paths(data: bytes) -> None:
    raw = [line.split(b"/") for line in data.split(b"\n")]
    paths = safe_paths(raw)
    assert len(set(paths)) == len(paths)
    for path in paths:
        _check_path(path)


def _magnet(data: bytes) -> None:
    magnet = Magnet.parse(data.decode("utf-8", "surrogateescape"))
    assert Magnet.parse(str(magnet)) == magnet
    assert not _DRAWS.search(magnet.name)


def _mutable(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    assert isinstance(is_magnet(text), bool)
    link = MutableLink.parse(text)
    assert is_mutable(text)
    assert MutableLink.parse(str(link)) == link


def _display(data: bytes) -> None:
    for text in (data, data.decode("utf-8", "surrogateescape"), data.decode("utf-16", "surrogatepass")):
        shown = display(text)
        assert not _DRAWS.search(shown)
        assert len(shown) <= 255
        shown.encode()


def _urls(data: bytes) -> None:
    url = clean_url(data)
    if url is not None:
        assert not _DRAWS.search(url)
        assert clean_url(url) == url
    text = data.decode("utf-8", "surrogateescape")
    for shown in (redact(text), scrub("nothing to see", text)):
        assert not _DRAWS.search(shown)


def _net_url(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    punycode(text)
    url = parse_url(text)
    assert url.scheme in ("http", "https")
    assert str(url).isascii()
    assert str(url).isprintable()
    assert not set(url.host) & set("/\\@?# \r\n")
    assert 0 < url.port < 65536
    again = parse_url(str(url))
    assert again == url


TARGETS = [
    Target("bencode.decode", _decode, _BENCODED, (BencodeError,)),
    Target("bencode.prefix", _prefix, _BENCODED, (BencodeError,)),
    Target("bencode.spans", _spans, [*_BENCODED, *_TORRENTS], (BencodeError,)),
    Target("bencode.bencode2", _against_bencode2, [*_BENCODED, *_TORRENTS]),
    Target("metainfo.torrent", _metainfo, _TORRENTS, (MetainfoError,), 8192, _WORDS),
    Target("metainfo.info", _info, [bencode.encode(bad_input.info()), bencode.encode(bad_input.info("length", files=[bad_input.entry("a", "b")]))], (MetainfoError,), 8192, _WORDS),
    Target("metainfo.paths", _paths, [b"a/b/c\na/b/d", b"..\n/\n\\\nCON\nnul.txt", b"A\na\nA (1)", b"x.00000000.part\nx", "é\ne\u0301".encode(), b"x" * 600], (MetainfoError,)),
    Target("metainfo.magnet", _magnet, _LINKS, (MagnetError, MetainfoError), words=[b"&tr=", b"&x.pe=", b"&so=", b"xt=urn:btih:", b"%00", b"%e2%80%ae", b"&amp;", b"&ws="]),
    Target("metainfo.mutable", _mutable, [*_LINKS, _KEYED, _KEYED + b"&s=6e"], (MagnetError,), words=[b"xs=urn:btpk:", b"&s=", b"&xt=urn:btih:", b"&amp;", b"%3a", b"xs.1="]),
    Target("metainfo.text", _display, [b"name", b"\x1b[2J\x9b1m", "\u202egpj.exe".encode(), b"\xff\xfe\x00\xd8", b"a\r\nb\tc"], (UnicodeDecodeError,)),
    Target("metainfo.urls", _urls, _URLS),
    Target("net.url", _net_url, _URLS, (SourceError, NetworkError)),
]  # fmt: skip
