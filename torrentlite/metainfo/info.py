"""The info dictionary: the part of a torrent that its info-hash names (BEP 3, 27, 47; the v1 half of BEP 52)."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from typing import Final, NamedTuple

from .. import bencode, limits
from ..bencode import Value
from ..errors import BencodeError, MetainfoError, UnsupportedTorrentError
from . import hybrid
from .layout import Layout
from .paths import safe_name, safe_paths
from .text import display

HASH_SIZE: Final = 20
"""Bytes of a SHA-1 digest: of an info-hash, and of each piece in ``pieces``."""
V2_ONLY: Final = "this is a v2-only torrent (BEP 52); torrentlite speaks v1 and hybrids"
V2_HINT: Final = "ask for a v1 or hybrid torrent of the same files"


class InfoHashes(NamedTuple):
    """What a torrent is looked up by: SHA-1 (20 bytes), and of a hybrid SHA-256 (32 bytes) too."""

    v1: bytes
    v2: bytes | None = None

    @property
    def hex(self) -> str:
        """The v1 hash in 40 hex digits."""
        return self.v1.hex()


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
        name: the file, or the top folder, below the save folder.
        display_name: the name as its maker wrote it, fit to be shown.
        piece_length: bytes of each piece but the last.
        pieces: the pieces' SHA-1 digests, one after the other.
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

    @classmethod
    def from_bytes(cls, raw: bytes) -> Info:
        """Read an info dictionary, as it stands in a .torrent or comes from peers (BEP 9).

        Raises:
            UnsupportedTorrentError: valid, but of another kind (v2 only, Merkle).
            MetainfoError: anything else that makes it unusable.
        """
        raw = bytes(raw)
        if len(raw) > limits.MAX_TORRENT_FILE:
            raise MetainfoError(f"an info dictionary of {len(raw)} bytes; {limits.MAX_TORRENT_FILE} are allowed")
        try:
            fields, _ = bencode.decode_with_spans(raw)
        except BencodeError as error:
            raise MetainfoError(f"the info dictionary is not bencoded: {error}") from error
        return cls.from_fields(raw, fields)

    @classmethod
    def from_fields(cls, raw: bytes, fields: dict[bytes, Value]) -> Info:
        """The same for who has decoded it already: ``fields`` are what ``raw`` says, strictly read.

        Raises:
            MetainfoError: as ``from_bytes``.
        """
        is_hybrid = _check_kind(fields)
        piece_length = _piece_length(fields)
        raw_name = _name(fields)
        files = _files(fields, raw_name)
        if not any(entry.length for entry in files if not entry.pad):
            raise MetainfoError("the torrent holds no data")
        info = cls(
            raw=raw,
            hashes=InfoHashes(hashlib.sha1(raw).digest(), hashlib.sha256(raw).digest() if is_hybrid else None),
            name=safe_name(raw_name),
            display_name=display(raw_name) or safe_name(raw_name),
            piece_length=piece_length,
            pieces=_pieces(fields, piece_length, files[-1].offset + files[-1].length),
            files=files,
            private=fields.get(b"private", 0) != 0,  # BEP 27 says 1; a torrent that says anything is not to be leaked
            multi=b"files" in fields,
            source=_text(fields.get(b"source")),
        )
        if is_hybrid:
            top = 1 if info.multi else 0
            real = [files[index] for index in info.wanted_files]
            hybrid.check_halves(
                fields.get(b"file tree"), piece_length, [(f.raw_path[top:], f.length, f.offset) for f in real]
            )
        return info

    @functools.cached_property
    def layout(self) -> Layout:
        """How the bytes fall into pieces, blocks and files."""
        return Layout(self.piece_length, [entry.length for entry in self.files])

    @functools.cached_property
    def wanted_files(self) -> tuple[int, ...]:
        """The indexes of the real files: neither padding nor symlinks."""
        return tuple(i for i, entry in enumerate(self.files) if not (entry.pad or entry.symlink))

    @functools.cached_property
    def total(self) -> int:
        """Bytes of the real files."""
        return sum(entry.length for entry in self.files if not entry.pad)

    def piece_hash(self, piece: int) -> bytes:
        """The SHA-1 digest that a piece must have."""
        return self.pieces[piece * HASH_SIZE : (piece + 1) * HASH_SIZE]


def _check_kind(fields: dict[bytes, Value]) -> bool:
    """Whether it is a hybrid. BEP 52: the version is looked at first, for the clearest answer."""
    version = fields.get(b"meta version", 1)
    if isinstance(version, int) and version > 2:
        raise UnsupportedTorrentError(f"a torrent of version {version}, which is newer than torrentlite")
    if b"pieces" not in fields:
        if version == 2 or b"file tree" in fields:
            raise UnsupportedTorrentError(V2_ONLY, hint=V2_HINT)
        if b"root hash" in fields:
            raise UnsupportedTorrentError("a Merkle torrent (BEP 30), which v2 has replaced")
    return version == 2


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
