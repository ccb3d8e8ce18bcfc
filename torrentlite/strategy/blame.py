"""A piece was wrong: who did it?

A hash covers a whole piece, so when several peers contributed, all are suspects and at least one is a liar. Three rules
find every liar, and never anybody else:

1. What comes whole from one peer and is wrong was that peer's lie.
2. Of a wrong piece with several contributors, a digest of every block is kept. When a right copy of that piece is
   there, the blocks that differ from it were lies, each of them of exactly one peer. It does not matter how many lied,
   or how seldom each does.
3. Until then its contributors are on *parole*: they get pieces alone (``Picker.pick(whole_piece=True)``), so that they
   cannot spoil what others send, and rule 1 is all it takes. The piece itself is fetched again from a single peer, who
   either delivers it or is caught.

A contributor known to lie explains a wrong piece, and nobody goes on parole for it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

from ..limits import MAX_BLAME_BLOCKS, MAX_LIARS, MAX_WRONG_COPIES

K = TypeVar("K", bound=Hashable)


class _WrongCopy(Generic[K]):
    """A wrong piece: the digest and the sender of each block, and who is on parole because of it."""

    __slots__ = ("digests", "parolees", "senders")

    def __init__(self, digests: Sequence[bytes], senders: Sequence[K]) -> None:
        self.digests = tuple(digests)
        self.senders = tuple(senders)
        self.parolees: list[K] = []


class Blame(Generic[K]):
    """Evidence about the wrong pieces of one torrent.

    ``K`` names a peer across connections (its IP address, or host and port where many share one): a liar that comes
    back is still the same, and everybody behind one name shares its fate.
    """

    __slots__ = ("_blocks", "_copies", "_liars", "_parole")

    def __init__(self) -> None:
        self._copies: dict[int, list[_WrongCopy[K]]] = {}  # by piece, the longest unsolved first
        self._blocks = 0
        self._parole: dict[K, int] = {}  # in how many unsolved copies each is a suspect
        self._liars: dict[K, None] = {}

    def wrong(self, piece: int, digests: Sequence[bytes], senders: Sequence[K]) -> list[K]:
        """A piece failed its hash.

        Args:
            piece: its number.
            digests: of each of its blocks, in order.
            senders: who sent each block.

        Returns:
            Who is known to have lied by this.
        """
        suspects = list(dict.fromkeys(senders))
        if len(suspects) == 1:
            self._convict(suspects)
            return suspects
        copy = _WrongCopy(digests, senders)
        self._copies.setdefault(piece, []).append(copy)
        self._blocks += len(copy.digests)
        if not any(suspect in self._liars for suspect in suspects):
            copy.parolees = suspects
            for suspect in suspects:
                self._parole[suspect] = self._parole.get(suspect, 0) + 1
        if len(self._copies[piece]) > MAX_WRONG_COPIES:
            self._forget_oldest(piece)
        while self._blocks > MAX_BLAME_BLOCKS and self._blocks > len(copy.digests):
            self._forget_oldest(next(iter(self._copies)))
        return []

    def suspects(self, piece: int) -> bool:
        """Whether there are wrong copies of this piece to compare with a right one."""
        return piece in self._copies

    def right(self, piece: int, digests: Sequence[bytes]) -> list[K]:
        """A piece that may have been wrong before is right, and its blocks have these digests.

        Returns:
            Who is known to have lied by this.
        """
        copies = self._copies.pop(piece, [])
        liars: dict[K, None] = {}
        for copy in copies:
            self._close(copy)
            for truth, digest, sender in zip(digests, copy.digests, copy.senders, strict=True):
                if digest != truth:
                    liars[sender] = None
        self._convict(liars)
        return list(liars)

    def parole(self, peer: K) -> bool:
        """Whether this peer is to be given pieces alone."""
        return peer in self._parole

    def _convict(self, liars: Iterable[K]) -> None:
        for liar in liars:
            self._liars[liar] = None
        while len(self._liars) > MAX_LIARS:
            del self._liars[next(iter(self._liars))]
        for copy in self._unsolved():
            if any(sender in self._liars for sender in copy.parolees):
                self._acquit(copy)

    def _unsolved(self) -> Iterator[_WrongCopy[K]]:
        for copies in self._copies.values():
            yield from copies

    def _acquit(self, copy: _WrongCopy[K]) -> None:
        """Nobody is on parole because of this copy any more."""
        for peer in copy.parolees:
            if self._parole[peer] == 1:
                del self._parole[peer]
            else:
                self._parole[peer] -= 1
        copy.parolees = []

    def _close(self, copy: _WrongCopy[K]) -> None:
        self._acquit(copy)
        self._blocks -= len(copy.digests)

    def _forget_oldest(self, piece: int) -> None:
        copies = self._copies[piece]
        self._close(copies.pop(0))
        if not copies:
            del self._copies[piece]
