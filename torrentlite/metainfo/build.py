"""Putting a new torrent together from what was measured and hashed (``storage/hashing.py`` does the reading)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from .. import bencode, limits
from ..errors import MetainfoError
from . import merkle
from .filetree import too_deep
from .info import Info
from .layout import BLOCK_SIZE, aligned
from .metainfo import Metainfo, Origin
from .urls import clean_url

_MOST_PIECES: Final = 2000
_LARGEST_AUTOMATIC: Final = 16 << 20


def automatic_piece_length(total: int) -> int:
    """The piece length for a torrent of ``total`` bytes: a power of two, so that there are 1,000 to 2,000 pieces.

    Only whole pieces are passed on and can be found wrong, so many small ones spread a torrent faster and waste less.
    But each costs 20 bytes of .torrent (a magnet's peers send those before anything begins) and a ``have`` message
    from every peer to every peer. At 2,000 pieces that is 40 KB, three rounds of BEP 9, and still fine steps of half a
    per mille. Below 16 KiB, one block, nothing is gained; above 16 MiB a piece takes too long to be of use, so from 32
    GB on there are more pieces instead, until ``limits.MAX_PIECES`` makes them grow again.
    """
    length = BLOCK_SIZE
    while total > length * (_MOST_PIECES if length < _LARGEST_AUTOMATIC else limits.MAX_PIECES):
        length *= 2
    return length


def check_piece_length(length: int) -> int:
    """The length, if new torrents may have it. (Old ones may have any, see ``Info``.)

    Raises:
        MetainfoError: not a power of two from 16 KiB to ``limits.MAX_PIECE_LENGTH``, as other programs expect.
    """
    if not BLOCK_SIZE <= length <= limits.MAX_PIECE_LENGTH or length & (length - 1):
        raise MetainfoError(
            f"a piece length of {length} bytes",
            hint=f"a power of two from {BLOCK_SIZE >> 10} KiB to {limits.MAX_PIECE_LENGTH >> 20} MiB",
        )
    return length


Version = Literal["v1", "v2", "hybrid"]
"""Who can use a torrent: everybody (BEP 3), who speaks version 2 (BEP 52), or both."""


def build_info(
    name: str | bytes,
    files: Sequence[tuple[Sequence[bytes], int]],
    *,
    piece_length: int,
    pieces: bytes,
    private: bool = False,
    source: str = "",
    executable: Collection[int] = (),
) -> Info:
    """An info dictionary of version 1.

    Args:
        name: of the file or the folder, as it is on the disk.
        files: components below the folder and length of each, in the order of their bytes; a torrent that is one file
            without a folder has one entry without components.
        piece_length: bytes of each piece but the last.
        pieces: SHA-1 digests, one after the other.
        private: peers come from its trackers only (BEP 27).
        source: some private trackers' word to give the same files another hash.
        executable: indexes of the files to be marked so (BEP 47).

    Raises:
        MetainfoError: what ``Info.from_bytes`` would not take: no bytes at all, too many files, too deep.
    """
    fields: dict[str, object] = {"name": _bytes(name), "piece length": piece_length, "pieces": pieces}
    marked = frozenset(executable)
    entries = []
    for index, (path, length) in enumerate(files):
        entry: dict[str, object] = {"length": length}
        if path:
            entry["path"] = list(path)
        if index in marked:
            entry["attr"] = "x"
        entries.append(entry)
    if len(files) == 1 and not files[0][0]:
        fields.update(entries[0])
    else:
        fields["files"] = entries
    if private:
        fields["private"] = 1
    if source:
        fields["source"] = _bytes(source)
    return Info.from_bytes(bencode.encode(fields))


class V2File(NamedTuple):
    """A file for the file tree.

    Attributes:
        path: components below the folder; none where the torrent is this one file.
        length: bytes.
        layer: the roots of the trees of its pieces, each as small as holds the piece (``digest.ROOTS``).
    """

    path: tuple[bytes, ...]
    length: int
    layer: bytes


def build_v2_info(
    name: str | bytes,
    files: Sequence[V2File],
    *,
    piece_length: int,
    pieces: bytes = b"",
    private: bool = False,
) -> tuple[Info, dict[bytes, bytes]]:
    """An info dictionary of version 2, or a hybrid, and the layers that belong beside it.

    Args:
        name: of the file or the folder, as it is on the disk.
        files: in the order of their paths.
        piece_length: bytes, a power of two from 16 KiB.
        pieces: for a hybrid, the SHA-1 digests of v1, where the gaps between files are zeros and so is the rest of the
            last piece (but not where a torrent is one file).
        private: peers come from its trackers only (BEP 27).

    Raises:
        MetainfoError: what ``Info.from_bytes`` would not take.
    """
    base = merkle.height(piece_length // BLOCK_SIZE)
    tree: dict[bytes, object] = {}
    layers: dict[bytes, bytes] = {}
    for file in files:
        if len(file.path) > limits.MAX_TREE_DEPTH:
            raise too_deep()
        properties: dict[str, object] = {"length": file.length}
        if file.length:
            root = file.layer
            if file.length > piece_length:
                rest = -(-(file.length % piece_length or piece_length) // BLOCK_SIZE)  # blocks of the last piece
                last = merkle.grown(file.layer[-merkle.DIGEST :], merkle.height(rest), base)
                layer = file.layer[: -merkle.DIGEST] + last
                root = merkle.root_of(layer, base)
                layers[root] = layer
            properties["pieces root"] = root
        folder = tree
        *folders, last_part = file.path or (_bytes(name),)
        for part in folders:
            folder = folder.setdefault(part, {})  # type: ignore[assignment]  # no file has the name of a folder
        folder[last_part] = {b"": properties}
    fields: dict[str, object] = {"file tree": tree, "meta version": 2, "name": _bytes(name)}
    fields["piece length"] = piece_length
    if pieces and not files[0].path:
        fields |= {"pieces": pieces, "length": files[0].length}
    elif pieces:
        fields |= {"pieces": pieces, "files": [_v1_entry(*entry) for entry in padded(files, piece_length)]}
    if private:
        fields["private"] = 1
    info = Info.from_bytes(bencode.encode(fields))
    return (info if pieces else info.with_layers(layers)), layers


def padded(files: Sequence[V2File], piece_length: int) -> Iterator[tuple[V2File | None, int]]:
    """The files of a hybrid's v1 half with the padding between them, and behind the last: that is None, and a length.

    BEP 52: "a multifile torrent must use BEP 47 padding files to achieve identical alignment".
    """
    total = 0
    for index, length in aligned((file.length for file in files), piece_length):
        yield None if index is None else files[index], length
        total += length
    if total % piece_length:
        yield None, -total % piece_length


def _v1_entry(file: V2File | None, length: int) -> dict[str, object]:
    if file is None:
        return {"attr": "p", "length": length, "path": [".pad", str(length)]}
    return {"length": length, "path": list(file.path)}


def build_metainfo(
    info: Info,
    *,
    layers: Mapping[bytes, bytes] | None = None,
    trackers: Iterable[str | Iterable[str]] = (),
    web_seeds: Iterable[str] = (),
    comment: str = "",
    created_by: str = "",
    creation_date: int | None = None,
    origin: Origin | None = None,
) -> Metainfo:
    """A .torrent around an info dictionary.

    Args:
        info: what is shared.
        layers: of a hybrid, the piece layers of its v2 half.
        trackers: URLs, each a tier of its own, or tiers of URLs (BEP 12).
        web_seeds: URLs (BEP 19).
        comment: for people.
        created_by: the program.
        creation_date: Unix seconds.
        origin: what ``info`` was made from.

    Raises:
        MetainfoError: a tracker or web seed that is not a URL.
    """
    tiers = [(tier,) if isinstance(tier, str) else tuple(tier) for tier in trackers]
    seen: set[str] = set()
    return Metainfo(
        info=info,
        trackers=tuple(urls for tier in tiers if (urls := _urls(tier, "tracker", seen))),
        web_seeds=_urls(web_seeds, "web seed", set()),
        comment=_bytes(comment).decode(errors="replace"),
        created_by=created_by,
        creation_date=creation_date,
        extra=((b"piece layers", bencode.encode(layers)),) if layers is not None and not info.hashes.only_v2 else (),
        origin=origin,
    )


def _urls(raws: Iterable[str], what: str, seen: set[str]) -> tuple[str, ...]:
    """Here it is a person who speaks, so what is wrong is said instead of left out."""
    urls = []
    for raw in raws:
        url = clean_url(raw)
        if url is None:
            raise MetainfoError(f"the {what} {raw!r} is not a URL", hint="such as http://host:port/announce")
        if url not in seen:
            seen.add(url)
            urls.append(url)
    return tuple(urls)


def _bytes(text: str | bytes) -> bytes:
    """Names on the disk and words of the command line may be bytes that are no UTF-8; they stay what they are."""
    return text if isinstance(text, bytes) else text.encode(errors="surrogateescape")
