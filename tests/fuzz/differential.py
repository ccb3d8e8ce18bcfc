"""The same .torrent read by libtorrent and by us: where both take it they must agree, and what only we take has a name.

``python -m tests.fuzz.differential 1000000`` compares so many mutated ones and prints what came of them.
"""

from __future__ import annotations

import argparse
import collections
import random
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from tests.fuzz.documents import TARGETS
from tests.fuzz.mutate import Mutator
from tests.metainfo import bad_input
from torrentlite import bencode
from torrentlite.errors import MetainfoError
from torrentlite.metainfo.build import Version
from torrentlite.metainfo.metainfo import Metainfo
from torrentlite.testing.torrent import made_up_torrent

try:
    import libtorrent
except ImportError:  # there are no wheels for the newest Pythons
    libtorrent = None

SAME, BOTH_REFUSE, STRICTER = "the same", "both refuse", "only libtorrent takes it"

Fields = Mapping[bytes, Any]


def _tree_with_empty_folder(tree: Any) -> bool:
    if not isinstance(tree, dict):
        return False
    return any(name != b"" and (inner == {} or _tree_with_empty_folder(inner)) for name, inner in tree.items())


def _remains(info: Fields) -> bool:
    return b"pieces" not in info and (b"files" in info or b"length" in info)


def _unsorted(raw: bytes) -> bool:
    return bencode.encode(bencode.decode_with_spans(raw)[0]) != raw


LENIENT: dict[str, Callable[[Fields, bytes, int], bool]] = {
    # BEP 3 calls the name "purely advisory"; where nothing of it can be used, ours is "_".
    "a name that is none": lambda info, raw, code: code == 7 and not re.search(rb"[^./\\\x00-\x20\x7f-\xff]", info.get(b"name.utf-8", info.get(b"name"))),
    # For who reads the v1 half, keys of v2 are keys that he does not know.
    "keys of v2 without its version": lambda info, raw, code: code == 212 and info.get(b"meta version") != 2,
    # BEP 3 wants keys sorted, and files in the wild have them otherwise; libtorrent minds it only beside keys of v2.
    "keys of v2 out of order": lambda info, raw, code: code == 15 and (b"meta version" in info or b"file tree" in info) and _unsorted(raw),
    # BEP 47 describes attributes in lists of files; libtorrent makes a link, without content, of the only file.
    "the only file said to be a link": lambda info, raw, code: code == 12 and b"l" in info.get(b"attr", b""),
    # There is no file in it, so the halves describe the same files.
    "a hybrid with an empty folder": lambda info, raw, code: code == 213 and _tree_with_empty_folder(info.get(b"file tree")),
    # Without hashes of v1, what else v1 would have is of no use.
    "remains of a v1 half": lambda info, raw, code: _remains(info),
    # Whoever reads the v1 half takes padding as it is, and behind the last file it moves nothing.
    "a hybrid that ends in other padding": lambda info, raw, code: code == 213 and b"p" in info[b"files"][-1].get(b"attr", b"") if info.get(b"files") else False,
    # They get numbers, which takes linear time; libtorrent counts how often names meet.
    "many files of one name": lambda info, raw, code: code == 145 and len(info.get(b"files", [])) > 30,
}  # fmt: skip
"""What we take and libtorrent does not: a name, and how to know it (info dictionary, its bytes, libtorrent's error)."""


class Disagreement(Exception):
    """An input on which the two must not differ."""

    def __init__(self, data: bytes, what: str) -> None:
        super().__init__(f"{what}: {data!r}")
        self.data = data


def compare(data: bytes) -> str:
    """What came of it: one of the words above, or the name of a leniency.

    Raises:
        Disagreement: none of these.
    """
    ours: Metainfo | None = None
    theirs: Any = None
    code = 0
    try:
        ours = Metainfo.from_bytes(data)
    except MetainfoError:
        pass
    try:
        theirs = libtorrent.torrent_info(data)
    except RuntimeError as error:
        text = str(error)
        code = int(text.rpartition(":")[2].rstrip("]") or 0) if "[" in text else -1
    if ours is None:
        return BOTH_REFUSE if theirs is None else STRICTER
    if theirs is None:
        fields, _ = bencode.decode_with_spans(ours.info.raw)
        for name, known in LENIENT.items():
            if known(fields, ours.info.raw, code):
                return name
        raise Disagreement(data, f"only we take it, libtorrent says {code}")
    hashes = theirs.info_hashes()
    if ours.hashes.v1 is None and hashes.has_v1() and _remains(bencode.decode_with_spans(ours.info.raw)[0]):
        return "remains of a v1 half"
    both = hashes.v1.to_bytes() if hashes.has_v1() else None, hashes.v2.to_bytes() if hashes.has_v2() else None
    if tuple(ours.hashes) != both:
        raise Disagreement(data, "different info-hashes")
    if theirs.num_pieces() != ours.info.layout.piece_count or theirs.piece_length() != ours.piece_length:
        raise Disagreement(data, "different pieces")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        files = theirs.files()
    pad = libtorrent.file_flags_t.flag_pad_file
    mine = [(entry.length, entry.offset, entry.pad and entry.length > 0) for entry in ours.files]
    listed = [
        (files.file_size(n), files.file_offset(n), bool(files.file_flags(n) & pad) and files.file_size(n) > 0)
        for n in range(files.num_files())
    ]
    if ours.hashes.v1 is None and len(listed) == len(mine) + 1 and listed[-1][2]:
        del listed[-1]  # of v2 alone it fills the last piece too
    if mine != listed:
        raise Disagreement(data, f"different files: {mine} and {listed}")
    return SAME


def seeds() -> list[bytes]:
    """Good .torrents of many shapes."""
    rng = random.Random("torrents")
    found = []
    (target,) = [target for target in TARGETS if target.name == "metainfo.torrent"]
    for data in target.seeds:
        try:
            Metainfo.from_bytes(data)
        except MetainfoError:
            continue
        found.append(data)
    for _ in range(30):
        length = rng.choice([1, 1000, 16384, 1 << 18])
        files = []
        for number in range(rng.randrange(1, 8)):
            attributes = {"attr": rng.choice(["x", "h", "p", "l", "px"])} if rng.random() < 0.3 else {}
            size = 0 if attributes.get("attr") == "l" else rng.choice([0, 1, length, length * 2 + 1])
            files.append(
                bad_input.entry(*(f"d{rng.randrange(2)}", f"{number}")[rng.randrange(2) :], length=size, **attributes)
            )
        total = sum(entry["length"] for entry in files)
        fields = bad_input.info("length", files=files, piece_length=length, pieces=bytes(20 * -(-total // length)))
        found.append(bad_input.torrent(fields))
    for number in range(20):
        sizes = [rng.choice([0, 1, 16384, 16385, 40_000, 100_000]) for _ in range(rng.randrange(1, 6))] + [20_000]
        version: Version = "hybrid" if number % 2 else "v2"
        found.append(made_up_torrent(rng, sizes[-number:], piece_length=32768, version=version)[0].encode())
    return found


def run(count: int, seed: int = 0) -> collections.Counter[str]:
    """Compare so many; how often each answer came."""
    (target,) = [target for target in TARGETS if target.name == "metainfo.torrent"]
    mutator = Mutator(random.Random(f"differential {seed}"), seeds(), target.words, target.max_size, gentle=True)
    counts: collections.Counter[str] = collections.Counter()
    for _ in range(count):
        data = mutator.make()
        answer = compare(data)
        counts[answer] += 1
        if counts[answer] == 1 or (answer == SAME and counts[answer] % 50 == 0):
            mutator.keep(data)
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.differential", description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for answer, count in run(options.count, options.seed).most_common():
        print(f"{count:10,}  {answer}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
