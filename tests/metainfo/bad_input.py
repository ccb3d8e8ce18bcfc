"""Input that must be refused, as data: what it is, which error it is, and words that say why.

The tests here check the errors of the library; those of the command line take the same table for its exit codes.
"""

from __future__ import annotations

import base64
import functools
from typing import Any, NamedTuple

from torrentlite import bencode
from torrentlite.errors import BencodeError, MagnetError, MetainfoError, UnsupportedTorrentError


class BadInput(NamedTuple):
    """One case. ``words`` stand in this order in the error's text."""

    name: str
    data: bytes | str
    error: type[Exception]
    words: str


HEX = "0123456789abcdef0123456789abcdef01234567"
V2_HEX = "12" * 32
ROOT = b"r" * 32


def info(*without: str, **changes: Any) -> dict[str, Any]:
    """A good info dictionary of one file with 40,000 bytes in 3 pieces; ``_`` in a name stands for a space."""
    fields: dict[str, Any] = {"length": 40_000, "name": "file", "piece length": 16384, "pieces": b"h" * 60}
    fields |= {key.replace("_", " "): value for key, value in changes.items()}
    return {key: value for key, value in fields.items() if key not in without}


def torrent(fields: Any, **around: Any) -> bytes:
    """A .torrent around anything."""
    return bencode.encode({"announce": "http://t.example/announce", "info": fields, **around})


def folder(*files: Any, **changes: Any) -> bytes:
    """A .torrent of several files, which have to make up 40,000 bytes."""
    return torrent(info("length", files=list(files), **changes))


def hybrid(tree: Any, *, files: Any = None, layers: Any = None, **changes: Any) -> bytes:
    """A hybrid; by default its v1 half is one file called "file"."""
    fields = info(file_tree=tree, meta_version=2, **changes)
    if files is not None:
        del fields["length"]
        fields["files"] = files
    return torrent(fields, **({} if layers is None else {"piece layers": layers}))


def v2(tree: Any, *, layers: Any = None, **changes: Any) -> bytes:
    """A v2-only torrent."""
    fields = info("pieces", "length", file_tree=tree, meta_version=2, **changes)
    return torrent(fields, **({} if layers is None else {"piece layers": layers}))


def leaf(length: Any = 40_000, root: Any = ROOT) -> dict[str, Any]:
    """A file in a file tree."""
    return {"": {"length": length, "pieces root": root}}


def entry(*path: Any, length: Any = 40_000, **changes: Any) -> dict[str, Any]:
    """A file in a list of files."""
    return {"length": length, "path": list(path), **changes}


BENCODED = [
    BadInput("nothing", b"", BencodeError, "ends inside a value at byte 0"),
    BadInput("a web page", b"<html>", BencodeError, "unexpected b'<' at byte 0"),
    BadInput("cursor goes back", b"d0:i0e-6:", BencodeError, "unexpected b'-' at byte 6"),
    BadInput("key with a negative length", b"d-1:ai0ee", BencodeError, "unexpected b'-' at byte 1"),
    BadInput("integer: minus zero", b"i-0e", BencodeError, "bad integer at byte 0"),
    BadInput("integer: leading zero", b"i03e", BencodeError, "bad integer at byte 0"),
    BadInput("integer: negative leading zero", b"i-03e", BencodeError, "bad integer at byte 0"),
    BadInput("integer: leading space", b"i 5e", BencodeError, "bad integer at byte 0"),
    BadInput("integer: trailing space", b"i5 e", BencodeError, "bad integer at byte 0"),
    BadInput("integer: plus", b"i+5e", BencodeError, "bad integer at byte 0"),
    BadInput("integer: underscore", b"i1_0e", BencodeError, "bad integer at byte 0"),
    BadInput("integer: empty", b"ie", BencodeError, "bad integer at byte 0"),
    BadInput("integer: only a minus", b"i-e", BencodeError, "bad integer at byte 0"),
    BadInput("integer: hexadecimal", b"i0x5e", BencodeError, "bad integer at byte 0"),
    BadInput("integer: a fraction", b"i1.5e", BencodeError, "bad integer at byte 0"),
    BadInput("integer: Arabic digits", "i٣e".encode(), BencodeError, "bad integer at byte 0"),
    BadInput("integer: 5,000 digits", b"i" + b"9" * 5000 + b"e", BencodeError, "bad integer at byte 0"),
    BadInput("integer: 21 digits", b"i" + b"9" * 21 + b"e", BencodeError, "bad integer at byte 0"),
    BadInput("integer: never ends", b"li12", BencodeError, "bad integer at byte 1"),
    BadInput("string: leading zero", b"05:hello", BencodeError, "bad string length at byte 0"),
    BadInput("string: underscore", b"1_0:0123456789", BencodeError, "bad string length at byte 0"),
    BadInput("string: no colon", b"5hello", BencodeError, "bad string length at byte 0"),
    BadInput("string: longer than the data", b"l5:abce", BencodeError, "string at byte 1 runs past the end"),
    BadInput("string: 4 GiB", b"4294967296:a", BencodeError, "string at byte 0 runs past the end"),
    BadInput("string: 10^20 bytes", b"1" + b"0" * 20 + b":a", BencodeError, "bad string length at byte 0"),
    BadInput("key: plus", b"d+1:ai0ee", BencodeError, "unexpected b'+' at byte 1"),
    BadInput("key: leading space", b"d 1:ai0ee", BencodeError, "unexpected b' ' at byte 1"),
    BadInput("key: an integer", b"di5ei0ee", BencodeError, "unexpected b'i' at byte 1"),
    BadInput("key without a value", b"d1:ae", BencodeError, "unexpected b'e' at byte 4"),
    BadInput("list without its end", b"l", BencodeError, "ends inside a value at byte 1"),
    BadInput("dictionary without its end", b"d1:ai0e", BencodeError, "ends inside a value at byte 7"),
    BadInput("one end too many", b"lee", BencodeError, "1 more bytes after the value that ends at byte 2"),
    BadInput("a second value", b"i0ei0e", BencodeError, "3 more bytes after the value that ends at byte 3"),
    BadInput("line break at the end", b"de\n", BencodeError, "1 more bytes after the value that ends at byte 2"),
    BadInput("100,000 lists begun", b"l" * 100_000, BencodeError, "nested more than"),
    BadInput("100,000 lists", b"l" * 100_000 + b"e" * 100_000, BencodeError, "nested more than"),
    BadInput("100,000 dictionaries", b"d1:a" * 100_000, BencodeError, "nested more than"),
]

TORRENTS = [
    BadInput("empty file", b"", MetainfoError, "empty"),
    BadInput("web page", b"<!DOCTYPE html><html>", MetainfoError, "not a .torrent unexpected b'<'"),
    BadInput("magnet link in a file", f"magnet:?xt=urn:btih:{HEX}".encode(), MetainfoError, "not a .torrent"),
    BadInput("zeros", bytes(100), MetainfoError, "not a .torrent unexpected b'\\x00' at byte 0"),
    BadInput("half a .torrent", torrent(info())[:80], MetainfoError, "not a .torrent"),
    BadInput("a list", b"le", MetainfoError, "not a .torrent not a dictionary"),
    BadInput("an integer", b"i5e", MetainfoError, "not a .torrent not a dictionary"),
    BadInput("bytes after its end", torrent(info()) + b"x", MetainfoError, "1 more bytes after the dictionary"),
    BadInput("cursor goes back", b"d4:infod0:i0e-6:ee", MetainfoError, "not a .torrent unexpected b'-'"),
    BadInput("101 lists deep", b"d4:info" + b"l" * 101, MetainfoError, "nested more than 100 deep"),
    BadInput("no info", bencode.encode({"announce": "http://t/a"}), MetainfoError, "no info dictionary"),
    BadInput("a tracker's reply", b"d8:intervali1800e5:peers0:e", MetainfoError, "no info dictionary"),
    BadInput("info is a string", torrent("info"), MetainfoError, "no info dictionary"),
    BadInput("info is empty", torrent({}), MetainfoError, "piece length missing"),
    BadInput("info twice", b"d4:infode4:infodee", MetainfoError, "key b'info' for the second time"),
    BadInput(
        "pieces twice",
        torrent(info()).replace(b"6:pieces", b"6:pieces0:6:pieces"),
        MetainfoError,
        "key b'pieces' for the second time",
    ),
    BadInput(
        "length twice in a file",
        folder(entry("a")).replace(b"6:lengthi40000e", b"6:lengthi40000e6:lengthi1e"),
        MetainfoError,
        "key b'length' for the second time",
    ),
    BadInput("no name", torrent(info("name")), MetainfoError, "name missing"),
    BadInput("name is a number", torrent(info(name=5)), MetainfoError, "name not a string"),
    BadInput("no piece length", torrent(info("piece length")), MetainfoError, "piece length missing"),
    BadInput("piece length 0", torrent(info(piece_length=0)), MetainfoError, "piece length of 0"),
    BadInput("piece length negative", torrent(info(piece_length=-16384)), MetainfoError, "piece length of -16384"),
    BadInput("piece length is text", torrent(info(piece_length="16384")), MetainfoError, "piece length not a number"),
    BadInput("piece length 2^40", torrent(info(piece_length=1 << 40)), MetainfoError, "piece length of 1099511627776"),
    BadInput("no pieces", torrent(info("pieces")), MetainfoError, "piece hashes missing"),
    BadInput("pieces is a list", torrent(info(pieces=[b"h" * 20] * 3)), MetainfoError, "piece hashes not a string"),
    BadInput("pieces of 59 bytes", torrent(info(pieces=b"h" * 59)), MetainfoError, "59 bytes not a multiple of 20"),
    BadInput("too few pieces", torrent(info(pieces=b"h" * 40)), MetainfoError, "piece hashes are 2 3 pieces"),
    BadInput("too many pieces", torrent(info(pieces=b"h" * 80)), MetainfoError, "piece hashes are 4 3 pieces"),
    BadInput("pieces empty", torrent(info(pieces=b"")), MetainfoError, "piece hashes are 0 3 pieces"),
    BadInput("2^31 pieces of 1 byte", torrent(info(length=1 << 31, piece_length=1)), MetainfoError, "are 3 but"),
    BadInput("neither length nor files", torrent(info("length")), MetainfoError, "length missing"),
    BadInput("length is text", torrent(info(length="40000")), MetainfoError, "length not a number"),
    BadInput("length negative", torrent(info(length=-1)), MetainfoError, "length of -1"),
    BadInput("length 2^63", torrent(info(length=1 << 63)), MetainfoError, "length of 9223372036854775808"),
    BadInput("no data", torrent(info(length=0, pieces=b"")), MetainfoError, "holds no data"),
    BadInput("files is a dictionary", torrent(info("length", files={})), MetainfoError, "files not a list"),
    BadInput("files is empty", folder(), MetainfoError, "files empty"),
    BadInput("files holds a string", folder(entry("a"), "b"), MetainfoError, "file 2 not a dictionary"),
    BadInput("file without a path", folder({"length": 40_000}), MetainfoError, "file 1 no path"),
    BadInput("file with an empty path", folder(entry()), MetainfoError, "file 1 no path"),
    BadInput("path is a string", folder({"length": 40_000, "path": "a/b"}), MetainfoError, "file 1 no path"),
    BadInput("path of a number", folder(entry("a", 5)), MetainfoError, "file 1 path not made of strings"),
    BadInput("path of lists", folder(entry(["a"])), MetainfoError, "file 1 path not made of strings"),
    BadInput("file without a length", folder({"path": ["a"]}), MetainfoError, "length of file 1 missing"),
    BadInput("file length -1", folder(entry("a"), entry("b", length=-1)), MetainfoError, "file 2 length of -1"),
    BadInput("file length 2^63", folder(entry("a", length=1 << 63)), MetainfoError, "file 1 length of 92233720368547"),
    BadInput("sum is too large", folder(*[entry("a", length=1 << 48)] * 5), MetainfoError, "piece hashes are 3"),
    BadInput("only empty files", folder(entry("a", length=0), pieces=b""), MetainfoError, "holds no data"),
    BadInput("only padding", folder(entry("a", attr="p")), MetainfoError, "holds no data"),
    BadInput("only a symlink", folder(entry("a", attr="l"), pieces=b""), MetainfoError, "holds no data"),
    BadInput("200 folders deep", folder(entry(*"d" * 200)), MetainfoError, "200 folders deep"),
    BadInput("Merkle", torrent(info("pieces", root_hash=b"h" * 20)), UnsupportedTorrentError, "Merkle BEP 30"),
    BadInput("v2 without a version", torrent(info("pieces", file_tree={})), MetainfoError, "piece hashes missing"),
    BadInput("v2: no file tree", torrent(info("pieces", "length", meta_version=2)), MetainfoError, "v2 no file tree"),
    BadInput("v2: tree is empty", v2({}), MetainfoError, "file tree empty"),
    BadInput("v2: no bytes", v2({"file": leaf(0)}), MetainfoError, "holds no data"),
    BadInput("v2: no layers", v2({"file": leaf()}), MetainfoError, "lacks its piece layers"),
    BadInput("v2: wrong layer", v2({"file": leaf()}, layers={ROOT: b"l" * 96}), MetainfoError, "layer root"),
    BadInput("v2: short layer", v2({"file": leaf()}, layers={ROOT: b"l" * 64}), MetainfoError, "wrong size"),
    BadInput("v2: piece length", v2({"file": leaf()}, piece_length=20_000), MetainfoError, "power of two"),
    BadInput("v2: pieces of 8 KiB", v2({"file": leaf()}, piece_length=8192), MetainfoError, "power of two"),
    BadInput("v2: one root, two sizes", v2({"a": leaf(40_000), "b": leaf(60_000)}), MetainfoError, "different size"),
    BadInput("v2: too long", v2({"a": leaf(1 << 60)}), MetainfoError, "without a length"),
    BadInput("v2: too many pieces", v2({"a": leaf(1 << 45)}), MetainfoError, "pieces are allowed"),
    BadInput("v2: padding", v2({"a": {"": {"length": 5, "pieces root": ROOT, "attr": "p"}}}), MetainfoError, "padding"),
    BadInput("v2: too deep", v2(functools.reduce(lambda tree, _: {"d": tree}, range(200), leaf())), MetainfoError, "deep"),
    BadInput("version 3", torrent(info(meta_version=3)), UnsupportedTorrentError, "version 3 newer"),
    BadInput("hybrid without a file tree", torrent(info(meta_version=2)), MetainfoError, "v2 no file tree"),
    BadInput("hybrid: tree is a list", hybrid([]), MetainfoError, "v2 no file tree"),
    BadInput("hybrid: tree of strings", hybrid({"file": "x"}), MetainfoError, "something else than dictionaries"),
    BadInput("hybrid: other name", hybrid({"elif": leaf()}), MetainfoError, "halves different files"),
    BadInput("hybrid: other size", hybrid({"file": leaf(39_999)}), MetainfoError, "halves different files or sizes"),
    BadInput("hybrid: tree is empty", hybrid({}), MetainfoError, "halves different files"),
    BadInput("hybrid: a file more", hybrid({"file": leaf(), "g": leaf()}), MetainfoError, "halves different files"),
    BadInput("hybrid: file and folder", hybrid({"file": {**leaf(), "g": leaf()}}), MetainfoError, "also a folder"),
    BadInput("hybrid: the tree is a file", hybrid(leaf()), MetainfoError, "also a folder"),
    BadInput("hybrid: file is a string", hybrid({"file": {"": "x"}}), MetainfoError, "also a folder"),
    BadInput("hybrid: no length", hybrid({"file": leaf(length="x")}), MetainfoError, "without a length"),
    BadInput("hybrid: length -1", hybrid({"file": leaf(length=-1)}), MetainfoError, "without a length"),
    BadInput("hybrid: no root", hybrid({"file": {"": {"length": 40_000}}}), MetainfoError, "without a hash"),
    BadInput("hybrid: root of zeros", hybrid({"file": leaf(root=bytes(32))}), MetainfoError, "without a hash"),
    BadInput("hybrid: root of 31 bytes", hybrid({"file": leaf(root=b"r" * 31)}), MetainfoError, "without a hash"),
    BadInput("hybrid: root is a number", hybrid({"file": leaf(root=5)}), MetainfoError, "without a hash"),
    BadInput(
        "hybrid: piece length", hybrid({"file": leaf()}, piece_length=20_000, pieces=b"h" * 40), MetainfoError,
        "power of two not 20000",
    ),
    BadInput(
        "hybrid: other order",
        hybrid({"a": leaf(0), "b": leaf()}, files=[entry("b"), entry("a", length=0)]),
        MetainfoError,
        "halves different files",
    ),
    BadInput(
        "hybrid: not aligned",
        hybrid({"a": leaf(20_000), "b": leaf(20_000)}, files=[entry("a", length=20_000), entry("b", length=20_000)]),
        MetainfoError,
        "not begin every file at a piece",
    ),
    BadInput("hybrid: layers are a list", hybrid({"file": leaf()}, layers=[]), MetainfoError, "not a dictionary"),
    BadInput("hybrid: no layer", hybrid({"file": leaf()}, layers={}), MetainfoError, "layers not those"),
    BadInput(
        "hybrid: layer of no file", hybrid({"file": leaf()}, layers={b"x" * 32: b"l" * 96}), MetainfoError,
        "layers not those",
    ),
    BadInput("hybrid: short layer", hybrid({"file": leaf()}, layers={ROOT: b"l" * 64}), MetainfoError, "wrong size"),
    BadInput("hybrid: wrong layer", hybrid({"file": leaf()}, layers={ROOT: b"l" * 96}), MetainfoError, "layer root"),
]  # fmt: skip

LINKS = [
    BadInput("nothing in it", "magnet:", MagnetError, "no info-hash"),
    BadInput("no hash", "magnet:?dn=name", MagnetError, "no info-hash"),
    BadInput("empty hash", "magnet:?xt=urn:btih:", MagnetError, "info-hash '' not whole"),
    BadInput("other network", "magnet:?xt=urn:sha1:YNCKHTQCWBTRNJIV4WNAE52SJUQCZO5C", MagnetError, "no info-hash"),
    BadInput("39 digits", f"magnet:?xt=urn:btih:{HEX[1:]}", MagnetError, "info-hash not whole"),
    BadInput("41 digits", f"magnet:?xt=urn:btih:{HEX}0", MagnetError, "info-hash not whole"),
    BadInput("not hexadecimal", f"magnet:?xt=urn:btih:{'g' * 40}", MagnetError, "info-hash not whole"),
    BadInput("not base32", f"magnet:?xt=urn:btih:{'1' * 32}", MagnetError, "info-hash not whole"),
    BadInput("escape codes", "magnet:?xt=urn:btih:%1b%5b2J", MagnetError, "info-hash '\ufffd[2J' not whole"),
    BadInput("a hash of all digits", f"magnet:?xt=urn:btih:{'٣' * 40}", MagnetError, "info-hash not whole"),
    BadInput("two torrents", f"magnet:?xt=urn:btih:{HEX}&xt=urn:btih:{'f' * 40}", MagnetError, "several torrents"),
    BadInput("v2 hash of SHA-1", f"magnet:?xt=urn:btmh:1114{HEX}", MagnetError, "info-hash not whole"),
    BadInput("v2 hash cut short", f"magnet:?xt=urn:btih:{HEX}&xt=urn:btmh:1220{V2_HEX[2:]}", MagnetError, "not whole"),
    BadInput("files: words", f"magnet:?xt=urn:btih:{HEX}&so=first", MagnetError, "files to fetch 'first'"),
    BadInput("files: backwards", f"magnet:?xt=urn:btih:{HEX}&so=8-6", MagnetError, "files to fetch '8-6'"),
    BadInput("files: negative", f"magnet:?xt=urn:btih:{HEX}&so=-1", MagnetError, "files to fetch '-1'"),
    BadInput("files: open end", f"magnet:?xt=urn:btih:{HEX}&so=3-", MagnetError, "files to fetch '3-'"),
    BadInput(
        "files: none has it", f"magnet:?xt=urn:btih:{HEX}&so=4294967295", MagnetError, "files that no torrent has"
    ),
    BadInput("endless", f"magnet:?xt=urn:btih:{HEX}&dn=" + "x" * (1 << 20), MagnetError, "1048576 are allowed"),
]

HASHES = [
    BadInput("39 digits", HEX[1:], MagnetError, "neither a magnet link nor an info-hash"),
    BadInput("v2 hash of 63 digits", V2_HEX[1:], MagnetError, "neither a magnet link nor an info-hash"),
    BadInput("v2 multihash of SHA-1", "1114" + V2_HEX, MagnetError, "neither a magnet link nor an info-hash"),
    BadInput("base64", base64.b64encode(b"h" * 20).decode(), MagnetError, "neither a magnet link nor an info-hash"),
    BadInput("other scheme", f"http://example.com/?xt=urn:btih:{HEX}", MagnetError, "neither a magnet link"),
    BadInput("nothing", "", MagnetError, "neither a magnet link nor an info-hash"),
    BadInput("escape codes", "\x1b]0;x\x07", MagnetError, "neither '\ufffd]0;x\ufffd'"),
]
