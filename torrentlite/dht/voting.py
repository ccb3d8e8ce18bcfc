"""What others say our external address is (BEP 42). Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable

from .. import limits
from ..wire.address import Address, Scope, scope_of
from .contact import subnet


class Voting:
    """Believes in an external address when enough different networks name the same one.

    Only nodes that we asked have a vote, one for each /24 or /64; a single liar, or a block of them, decides nothing.

    Attributes:
        host: the address believed in, or an empty string.
    """

    def __init__(self, *, ipv6: bool) -> None:
        self._ipv6 = ipv6
        self._votes: dict[Hashable, str] = {}
        self.host = ""

    def vote(self, voter: Address, host: str) -> bool:
        """A node has named our address. Whether we now believe in another one than before."""
        if (":" in host) != self._ipv6 or scope_of(host) is not Scope.PUBLIC:
            return False
        key = subnet(voter)
        self._votes.pop(key, None)
        self._votes[key] = host
        if len(self._votes) > limits.DHT_MAX_VOTES:
            del self._votes[next(iter(self._votes))]
        winner, count = Counter(self._votes.values()).most_common(1)[0]
        if winner == self.host or count < limits.DHT_VOTERS or 2 * count <= len(self._votes):
            return False
        self.host = winner
        return True
