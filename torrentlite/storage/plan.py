"""How a new torrent is hashed, and put together from the hashes: as one of v1, of v2, or a hybrid of both."""

from __future__ import annotations

from typing import Final

from ..metainfo import merkle
from ..metainfo.build import V2File, Version, build_info, build_v2_info
from ..metainfo.digest import ROOTS, SHA1, both
from ..metainfo.info import Info
from ..metainfo.layout import Layout, aligned
from ..metainfo.metainfo import Origin
from .walk import Listing


class Plan:
    """What is decided before anything is read.

    Args:
        listing: the files.
        piece_length: bytes, a power of two from 16 KiB.
        version: who can use the torrent.

    Attributes:
        layout: how the files fall into pieces.
        origin: the files, with nothing where ``layout`` has gaps.
        hashing: what is needed of each piece.
    """

    def __init__(self, listing: Listing, piece_length: int, version: Version) -> None:
        self._listing = listing
        self._version = version
        files = listing.origin.files
        lengths = [file.size if file is not None else 0 for file in files]
        places: list[tuple[int | None, int]] = (
            list(enumerate(lengths)) if version == "v1" else list(aligned(lengths, piece_length))
        )
        gaps = [place for place, (index, _) in enumerate(places) if index is None]
        self._places: Final = [place for place, (index, _) in enumerate(places) if index is not None]
        self.layout: Final = Layout(piece_length, [length for _, length in places], gaps)
        self.origin: Final = Origin(
            listing.origin.root, tuple(None if index is None else files[index] for index, _ in places)
        )
        fill = piece_length if listing.paths[0] else 0  # one file alone has no padding behind it
        self.hashing: Final = {"v1": SHA1, "v2": ROOTS, "hybrid": both(fill)}[version]

    def build(
        self, name: str | bytes, digests: bytes, *, private: bool
    ) -> tuple[Info, dict[bytes, bytes] | None, Origin]:
        """The info dictionary, the piece layers for beside it, and what both were made from.

        Args:
            name: of the file or the folder.
            digests: of all pieces, by ``hashing``.
            private: peers come from its trackers only (BEP 27).

        Raises:
            MetainfoError: there may be no such torrent.
        """
        layout = self.layout
        lengths = [layout.file_lengths[place] for place in self._places]
        if self._version == "v1":
            listed = list(zip(self._listing.paths, lengths, strict=True))
            info = build_info(name, listed, piece_length=layout.piece_length, pieces=digests, private=private)
            return info, None, self.origin
        sha1s, roots = b"", digests
        if self._version == "hybrid":
            step = self.hashing.size
            sha1s = b"".join([digests[at : at + SHA1.size] for at in range(0, len(digests), step)])
            roots = b"".join([digests[at + SHA1.size : at + step] for at in range(0, len(digests), step)])
        files = []
        for path, length, place in zip(self._listing.paths, lengths, self._places, strict=True):
            pieces = layout.pieces_of_file(place)
            layer = roots[pieces.start * merkle.DIGEST : pieces.stop * merkle.DIGEST]
            files.append(V2File(path, length, layer))
        info, layers = build_v2_info(name, files, piece_length=layout.piece_length, pieces=sha1s, private=private)
        rest = len(info.files) - len(self.origin.files)  # the padding behind the last file
        return info, layers, self.origin._replace(files=self.origin.files + (None,) * rest)
