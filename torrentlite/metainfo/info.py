"""The info dictionary: the part of a torrent that its info-hash names (BEP 3, 27, 47, 52)."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from .. import bencode, limits
from ..bencode import Value
from ..errors import BencodeError, MetainfoError, UnsupportedTorrentError
from . import merkle
from .digest import SHA1, Hashing, tree as tree_hashing
from .filetree import TreeFile, check_alignment, layers_needed, tree_files
from .hybrid import check_halves
from .layout import BLOCK_SIZE, Layout, aligned
from .paths import safe_name, safe_paths
from .text import display

HASH_SIZE: Final = 20
"""Bytes of an info-hash as peers, trackers and the DHT know it, and of a SHA-1 digest."""


class InfoHashes(NamedTuple):
    """What a torrent is looked up by: SHA-1 (20 bytes), SHA-256 (32 bytes), or of a hybrid both.

    A hybrid is used by its v1 half, and so among those who know it by its SHA-1.
    """

    v1: bytes | None
    v2: bytes | None = None

    @property
    def only_v2(self) -> bool:
        """Whether it is used as a torrent of v2: it has no other hash."""
        return self.v1 is None

    @property
    def wire(self) -> bytes:
        """20 bytes: how peers, trackers and the DHT know it. BEP 52: "For some uses … it is truncated to 20 bytes"."""
        if self.v1 is not None:
            return self.v1
        assert self.v2 is not None
        return self.v2[:HASH_SIZE]

    @property
    def hex(self) -> str:
        """The v1 hash in 40 hex digits; of a torrent that has none the v2 hash in 64."""
        return (self.v1 or self.v2 or b"").hex()

    def name(self, parts: Iterable[bytes]) -> bool:
        """Whether they are those of an info dictionary, given in parts: by SHA-1 where there is one."""
        make = hashlib.sha1 if self.v1 is not None else hashlib.sha256
        digest = make(usedforsecurity=False)
        for part in parts:
            digest.update(part)
        return digest.digest() == (self.v1 or self.v2)


class FileEntry(NamedTuple):
    """One file of a torrent, in the order of its bytes.

    Attributes:
        path: safe components below the save folder; in a multi-file torrent the first is its top folder.
        raw_path: the same as the torrent has them, for URLs of web seeds.
        length: bytes; 0 for a symlink.
        offset: where it begins in the torrent's bytes.
        pad: zeros for alignment (BEP 47), never written, never shown; its ``path`` is not unique.
        symlink: a link (BEP 47), never created; its ``path`` is not kept apart from others.
        executable: to be marked as executable (BEP 47).
    """

    path: tuple[str, ...]
    raw_path: tuple[bytes, ...]
    length: int
    offset: int
    pad: bool = False
    symlink: bool = False
    executable: bool = False


@dataclasses.dataclass(frozen=True)
class Info:
    """An info dictionary, checked: every number in it is within bounds and agrees with the others.

    Two are equal if their bytes are. Made by ``from_bytes``; what a new torrent needs is in ``build.py``.

    Attributes:
        raw: the bencoded bytes as received; the hashes are of these.
        hashes: its info-hashes; without v1, what else is here is of v2.
        name: the file, or the top folder, below the save folder.
        display_name: the name as its maker wrote it, fit to be shown.
        piece_length: bytes of each piece but short ones (``Layout``).
        pieces: the pieces' digests, one after the other, each ``hashing.size`` bytes; of v2 the roots of their trees,
            and empty until the layers are known (``lacks_layers``).
        hashing: what makes a digest of a piece.
        layers_needed: of v2, root and number of pieces of each file that is larger than a piece.
        files: all of them, pad files and symlinks included.
        private: peers come from its trackers only (BEP 27).
        multi: a folder of files; False for one file.
        source: a word that private trackers put in to give the same files another hash.
    """

    raw: bytes = dataclasses.field(repr=False)
    hashes: InfoHashes = dataclasses.field(compare=False)
    name: str = dataclasses.field(compare=False)
    display_name: str = dataclasses.field(compare=False)
    piece_length: int = dataclasses.field(compare=False)
    pieces: bytes = dataclasses.field(repr=False, compare=False)
    files: tuple[FileEntry, ...] = dataclasses.field(repr=False, compare=False)
    private: bool = dataclasses.field(compare=False)
    multi: bool = dataclasses.field(compare=False)
    source: str = dataclasses.field(default="", compare=False)
    hashing: Hashing = dataclasses.field(default=SHA1, repr=False, compare=False)
    layers_needed: Mapping[bytes, int] = dataclasses.field(default_factory=dict, repr=False, compare=False)
    _roots: tuple[bytes, ...] = dataclasses.field(default=(), repr=False, compare=False)

    @classmethod
    def from_bytes(cls, raw: bytes, *, v2: bool = False) -> Info:
        """Read an info dictionary, as it stands in a .torrent or comes from peers (BEP 9).

        Args:
            v2: use the v2 half of a hybrid, whose SHA-1 nobody has asked for.

        Raises:
            UnsupportedTorrentError: valid, but of another kind (a later version, Merkle).
            MetainfoError: anything else that makes it unusable.
        """
        raw = bytes(raw)
        if len(raw) > limits.MAX_TORRENT_FILE:
            raise MetainfoError(f"an info dictionary of {len(raw)} bytes; {limits.MAX_TORRENT_FILE} are allowed")
        try:
            fields, _ = bencode.decode_with_spans(raw)
        except BencodeError as error:
            raise MetainfoError(f"the info dictionary is not bencoded: {error}") from error
        return cls.from_fields(raw, fields, v2=v2)

    @classmethod
    def from_fields(cls, raw: bytes, fields: dict[bytes, Value], *, v2: bool = False) -> Info:
        """The same for who has decoded it already: ``fields`` are what ``raw`` says, strictly read.

        Raises:
            MetainfoError: as ``from_bytes``.
        """
        versions = _versions(fields)
        v2 = v2 or not versions.v1
        if v2 and not versions.v2:
            raise MetainfoError("a v1 torrent, where one of v2 was asked for")
        piece_length = _piece_length(fields)
        raw_name = _name(fields)
        tree: list[TreeFile] = []
        if versions.v2:
            check_alignment(piece_length)
            tree = tree_files(fields.get(b"file tree"))
        multi = not _is_single(fields, tree) if v2 else b"files" in fields
        if v2 and not multi:
            raw_name = tree[0].path[0]
        files = _aligned(tree, raw_name if multi else None, piece_length) if v2 else _files(fields, raw_name)
        if not any(entry.length for entry in files if not entry.pad):
            raise MetainfoError("the torrent holds no data")
        info = cls(
            raw=raw,
            hashes=InfoHashes(
                None if v2 else hashlib.sha1(raw).digest(), hashlib.sha256(raw).digest() if versions.v2 else None
            ),
            name=safe_name(raw_name),
            display_name=display(_name(fields)) or safe_name(raw_name),  # BEP 52: it is "purely advisory"
            piece_length=piece_length,
            pieces=b"" if v2 else _pieces(fields, piece_length, files[-1].offset + files[-1].length),
            files=files,
            private=fields.get(b"private", 0) != 0,  # BEP 27 says 1; a torrent that says anything is not to be leaked
            multi=multi,
            source=_text(fields.get(b"source")),
            hashing=tree_hashing(piece_length) if v2 else SHA1,
            layers_needed=layers_needed(tree, piece_length),
            _roots=tuple(file.root for file in tree if file.length) if v2 else (),
        )
        if v2:
            if info.layout.piece_count > limits.MAX_PIECES:
                raise MetainfoError(f"{info.layout.piece_count} pieces; {limits.MAX_PIECES} are allowed")
            return info.with_layers({}) if not info.layers_needed else info
        if versions.v2:
            top = 1 if info.multi else 0
            real = [files[index] for index in info.wanted_files]
            check_halves(tree, piece_length, [(f.raw_path[top:], f.length, f.offset) for f in real])
        return info

    @property
    def lacks_layers(self) -> bool:
        """Whether the digests of its pieces have to come from elsewhere: a .torrent has them, a magnet's peers do."""
        return not self.pieces

    def require_layers(self) -> None:
        """Look whether the digests of its pieces are here.

        Raises:
            MetainfoError: they are not.
        """
        if self.lacks_layers:
            raise MetainfoError("this v2 torrent lacks its piece layers", hint="use its magnet link: peers have them")

    def with_layers(self, layers: Mapping[bytes, bytes]) -> Info:
        """The same with the digests of its pieces (BEP 52, "piece layers").

        Args:
            layers: by the root of their file, those of ``layers_needed``, checked.
        """
        top = merkle.height(self.piece_length // BLOCK_SIZE)
        lengths = (entry.length for entry in self.files if entry.length and not entry.pad)
        digests = [
            layers[root]
            if length > self.piece_length
            else merkle.grown(root, merkle.height(-(-length // BLOCK_SIZE)), top)
            for root, length in zip(self._roots, lengths, strict=True)
        ]
        return dataclasses.replace(self, pieces=b"".join(digests))

    def layer(self, root: bytes) -> memoryview | None:
        """The digests of the pieces of a file larger than one, by its root; None where there is no such file."""
        pieces = self._layered.get(root)
        if pieces is None:
            return None
        return memoryview(self.pieces)[pieces.start * merkle.DIGEST : pieces.stop * merkle.DIGEST]

    def first_piece(self, root: bytes) -> int:
        """Where the pieces of such a file begin (of one of them, where several are the same).

        Raises:
            KeyError: there is no such file.
        """
        return self._layered[root].start

    @functools.cached_property
    def _layered(self) -> dict[bytes, range]:
        files = (i for i, entry in enumerate(self.files) if entry.length and not entry.pad)
        return {
            root: self.layout.pieces_of_file(file)
            for root, file in zip(self._roots, files, strict=False)
            if self.files[file].length > self.piece_length
        }

    @functools.cached_property
    def layout(self) -> Layout:
        """How the bytes fall into pieces, blocks and files."""
        gaps = [i for i, entry in enumerate(self.files) if entry.pad] if self.hashes.only_v2 else []
        return Layout(self.piece_length, [entry.length for entry in self.files], gaps)

    @functools.cached_property
    def wanted_files(self) -> tuple[int, ...]:
        """The indexes of the real files: neither padding nor symlinks."""
        return tuple(i for i, entry in enumerate(self.files) if not (entry.pad or entry.symlink))

    @functools.cached_property
    def total(self) -> int:
        """Bytes of the real files."""
        return sum(entry.length for entry in self.files if not entry.pad)

    def piece_hash(self, piece: int) -> bytes:
        """The digest that a piece must have."""
        size = self.hashing.size
        return self.pieces[piece * size : (piece + 1) * size]


class _Versions(NamedTuple):
    """Which descriptions of its files an info dictionary holds."""

    v1: bool
    v2: bool


def _versions(fields: dict[bytes, Value]) -> _Versions:
    """What it is. BEP 52: the version is looked at first, for the clearest answer."""
    version = fields.get(b"meta version", 1)
    if isinstance(version, int) and version > 2:
        raise UnsupportedTorrentError(f"a torrent of version {version}, which is newer than torrentlite")
    if b"pieces" in fields:
        return _Versions(True, version == 2)
    if version != 2 and b"root hash" in fields:
        raise UnsupportedTorrentError("a Merkle torrent (BEP 30), which v2 has replaced")
    return _Versions(version != 2, version == 2)


def _piece_length(fields: dict[bytes, Value]) -> int:
    length = fields.get(b"piece length")
    if not isinstance(length, int):
        raise MetainfoError("the piece length is missing or not a number")
    if not 1 <= length <= limits.MAX_PIECE_LENGTH:
        raise MetainfoError(f"a piece length of {length} bytes; 1 to {limits.MAX_PIECE_LENGTH} are allowed")
    return length


def _pieces(fields: dict[bytes, Value], piece_length: int, total: int) -> bytes:
    pieces = fields.get(b"pieces")
    if not isinstance(pieces, bytes):
        raise MetainfoError("the piece hashes are missing or not a string")
    count, rest = divmod(len(pieces), HASH_SIZE)
    if rest:
        raise MetainfoError(f"{len(pieces)} bytes of piece hashes, which is not a multiple of {HASH_SIZE}")
    if count > limits.MAX_PIECES:
        raise MetainfoError(f"{count} pieces; {limits.MAX_PIECES} are allowed")
    needed = -(-total // piece_length)
    if count != needed:
        raise MetainfoError(f"the piece hashes are {count}, but {total} bytes are {needed} pieces of {piece_length}")
    return pieces


def _name(fields: dict[bytes, Value]) -> bytes:
    name = fields.get(b"name.utf-8", fields.get(b"name"))
    if not isinstance(name, bytes):
        raise MetainfoError("the name is missing or not a string")
    return name


def _text(value: Value | None) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else ""


class _Entry(NamedTuple):
    """A file as the dictionary has it, its torrent's name in front."""

    path: tuple[bytes, ...]
    length: int
    attributes: bytes


def _files(fields: dict[bytes, Value], name: bytes) -> tuple[FileEntry, ...]:
    listed = fields.get(b"files")
    if listed is None:
        attributes = _attributes(fields)  # of one file, only "executable" makes sense
        entries = [_Entry((name,), _length(fields, "the file"), b"x" if b"x" in attributes else b"")]
    elif not isinstance(listed, list) or not listed:
        raise MetainfoError("the list of files is empty or not a list")
    elif len(listed) > limits.MAX_FILES:
        raise MetainfoError(f"{len(listed)} files; {limits.MAX_FILES} are allowed")
    else:
        entries = [_entry(entry, f"file {number}", name) for number, entry in enumerate(listed, 1)]

    safe = iter(safe_paths([entry.path for entry in entries if not _is_special(entry)]))
    files = []
    offset = 0
    for entry in entries:
        path = tuple(map(safe_name, entry.path)) if _is_special(entry) else next(safe)
        flags = entry.attributes
        files.append(FileEntry(path, entry.path, entry.length, offset, b"p" in flags, b"l" in flags, b"x" in flags))
        offset += entry.length
    return tuple(files)


def _is_single(fields: dict[bytes, Value], tree: Sequence[TreeFile]) -> bool:
    """Whether a file tree is one file without a folder. BEP 52: "file tree: {name.ext: {"": {length: ...}}}".

    Where there is a v1 half too, that says so, as in libtorrent: both halves are to lie in the same place.
    """
    listed = fields.get(b"file tree")
    alone = isinstance(listed, dict) and len(listed) == 1 and len(tree) == 1 and len(tree[0].path) == 1
    return alone and b"files" not in fields


def _aligned(tree: Sequence[TreeFile], name: bytes | None, piece_length: int) -> tuple[FileEntry, ...]:
    """The files of v2, with the gaps between them as pad files: so the same hybrid would have them in its v1 half."""
    if not tree:
        raise MetainfoError("the file tree is empty")
    if any(b"p" in file.attributes for file in tree):
        raise MetainfoError("padding in a file tree, which needs none")
    top = () if name is None else (name,)
    safe = iter(safe_paths([(*top, *file.path) for file in tree if not file.symlink]))
    files: list[FileEntry] = []
    offset = 0
    for index, length in aligned((file.length for file in tree), piece_length):
        if index is None:
            files.append(FileEntry((".pad", str(length)), (b".pad", b"%d" % length), length, offset, pad=True))
        else:
            file = tree[index]
            raw = (*top, *file.path)
            path = tuple(map(safe_name, raw)) if file.symlink else next(safe)
            files.append(FileEntry(path, raw, length, offset, False, file.symlink, b"x" in file.attributes))
        offset += length
    return tuple(files)


def _is_special(entry: _Entry) -> bool:
    """Whether nothing of that name will ever lie on the disk, so that it cannot be in anybody's way."""
    return b"p" in entry.attributes or b"l" in entry.attributes


def _entry(value: Value, what: str, top: bytes) -> _Entry:
    if not isinstance(value, dict):
        raise MetainfoError(f"{what} is not a dictionary")
    attributes = _attributes(value)
    length = 0 if b"l" in attributes else _length(value, what)  # BEP 47: a symlink takes no place, whatever it says
    path = value.get(b"path.utf-8", value.get(b"path"))
    if path is None and b"p" in attributes:
        path = [b".pad", b"%d" % length]
    if not isinstance(path, list) or not path:
        raise MetainfoError(f"{what} has no path")
    components = [component for component in path if isinstance(component, bytes)]
    if len(components) != len(path):
        raise MetainfoError(f"{what} has a path that is not made of strings")
    if len(path) > limits.MAX_FILE_DEPTH:  # also where it is padding, whose path nobody else looks at
        raise MetainfoError(f"{what} is {len(path)} folders deep; {limits.MAX_FILE_DEPTH} are allowed")
    return _Entry((top, *components), length, attributes)


def _attributes(value: dict[bytes, Value]) -> bytes:
    attributes = value.get(b"attr")
    return attributes if isinstance(attributes, bytes) else b""


def _length(value: dict[bytes, Value], what: str) -> int:
    length = value.get(b"length")
    if not isinstance(length, int):
        raise MetainfoError(f"the length of {what} is missing or not a number")
    if not 0 <= length <= _LONGEST:
        raise MetainfoError(f"{what} has a length of {length} bytes")
    return length


_LONGEST: Final = limits.MAX_PIECES * limits.MAX_PIECE_LENGTH
