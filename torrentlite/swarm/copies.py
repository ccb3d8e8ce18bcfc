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
    several behind one router are several. libtorrent has an id for each connection; it is known by IPv6 after IPv4, or
    the other way round, by its port and program. Two that are alike in that are counted as one: better a seed stays too
    long than that it leaves too early. They say themselves what they have, and nobody can look.
    """

    def __init__(self) -> None:
        self._ids: set[bytes] = set()
        self._homes: set[Address] = set()
        self._doors: set[tuple[bool, int, bytes]] = set()

    def __len__(self) -> int:
        return len(self._ids)

    def took_all(self, peer: Peer, layout: Layout) -> bool:
        """Whether one that has hung up had what it lacked from us, and asks for nothing more.

        Transmission keeps its Haves for 10 s, to send several at once, and parts from seeds when it is one; the last
        of them it never says. Of a connection that ended otherwise nobody knows whether what was sent has arrived.
        """
        return (
            peer.hung_up and bool(peer.uploaded) and not peer.uploads and peer.brought + peer.uploaded >= layout.stored
        )

    def saw(self, peer: Peer) -> None:
        """This one has everything. Told after a while, or at its end, when it has said where it can be called."""
        home, program = peer.callable_at, peer.peer_id[:8]
        if peer.peer_id in self._ids or home in self._homes or len(self._ids) >= MAX_COPIES:
            return
        if home is not None:
            if (not home.is_ipv6, home.port, program) in self._doors:
                return
            self._homes.add(home)
            self._doors.add((home.is_ipv6, home.port, program))
        self._ids.add(peer.peer_id)
