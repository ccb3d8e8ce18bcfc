"""Whether others can reach us, as far as their queries show (BEP 43). Pure."""

from __future__ import annotations

from typing import Final

from .. import limits
from ..wire.address import Address

_REMEMBERED: Final = 2000  # addresses that we sent something to
_SMALL: Final = 64  # addresses; in the public network they are more within minutes


class Reach:
    """Says when to be read-only.

    A query from an address that we have sent nothing to has passed every NAT and firewall on its way. Where none comes,
    nodes that have us in their tables would wait for our answers in vain, so we ask to be left out. As nobody then
    finds us any more, we show ourselves again after an hour.

    In a network of a few nodes everybody is soon known to everybody, and no strangers come. There silence shows
    nothing; if all fell silent because of it, there would be no network.

    Args:
        fixed: what the owner has chosen; None: decide here.
        now: the time.
    """

    def __init__(self, fixed: bool | None, now: float) -> None:
        self._fixed = fixed
        self._until = now + limits.DHT_REACHABLE_FOR
        self._sent: dict[str, None] = {}

    def read_only(self, now: float) -> bool:
        """Whether to answer nobody, and to say so."""
        if self._fixed is not None:
            return self._fixed
        if now >= self._until + limits.DHT_READ_ONLY_FOR:
            self._until = now + limits.DHT_REACHABLE_FOR
        return now >= self._until and len(self._sent) >= _SMALL

    def sent(self, to: Address) -> None:
        """We ask somebody, which opens a way back for the answer."""
        self._sent.pop(to.host, None)
        self._sent[to.host] = None
        if len(self._sent) > _REMEMBERED:
            del self._sent[next(iter(self._sent))]

    def asked(self, sender: Address, now: float) -> bool:
        """Somebody has asked us. Whether it was a stranger, to whom no NAT had a way open."""
        if sender.host in self._sent:
            return False
        self._until = max(self._until, now + limits.DHT_REACHABLE_FOR)
        return True
