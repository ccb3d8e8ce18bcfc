"""Who else has everything: the question of a seed that wants to know whether it may go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..limits import MAX_COPIES

if TYPE_CHECKING:
    from ..metainfo.layout import Layout
    from ..wire.address import Address
    from .peer import Peer


class Copies:
    """Peers of one torrent that were seen with all of it, each counted once.

    A peer that comes back is known by its id, or, where its program was started anew, by where it can be called: so
    one that has both IPv4 and IPv6 is one, and several behind one router are several. They say themselves what they
    have, and nobody can look.
    """

    def __init__(self) -> None:
        self._ids: set[bytes] = set()
        self._homes: set[Address] = set()

    def __len__(self) -> int:
        return len(self._ids)

    def took_all(self, peer: Peer, layout: Layout) -> bool:
        """Whether one that leaves had what it lacked from us, and asks for nothing more.

        Transmission keeps its Haves for 10 s, to send several at once, and parts from seeds when it is one; the last
        of them it never says.
        """
        return bool(peer.uploaded) and not peer.uploads and peer.brought + peer.uploaded >= layout.stored

    def saw(self, peer: Peer) -> None:
        """This one has everything. Told after a while, or at its end, when it has said where it can be called."""
        home = peer.callable_at
        if peer.peer_id in self._ids or home in self._homes or len(self._ids) >= MAX_COPIES:
            return
        self._ids.add(peer.peer_id)
        if home is not None:
            self._homes.add(home)
