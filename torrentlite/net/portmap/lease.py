"""What a gateway grants, for how long, and when to ask again. Pure."""

from __future__ import annotations

import enum
import math
from typing import NamedTuple

from ... import limits
from ...errors import NetworkError


class GatewayError(NetworkError):
    """The gateway refused, or its answer is not one.

    Attributes:
        code: its own number for the refusal, or 0.
    """

    def __init__(self, message: str, *, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class NotSpokenError(GatewayError):
    """The gateway does not answer, or does not know the protocol: nothing to tell anybody about."""


class Transport(enum.Enum):
    """What a port is of; the values are the numbers of the Internet protocols."""

    TCP = 6
    UDP = 17


class Grant(NamedTuple):
    """A gateway's answer to one request for a port."""

    host: str
    """Its address outside, or empty where it does not know it."""
    port: int
    """The port outside."""
    lifetime: float
    """Seconds until it closes; ``math.inf`` until it is closed or the gateway restarts."""
    restarted: bool = False
    """Whether the gateway has lost what it granted before."""


class Lease:
    """One port that is open outside, until then. Times are of the caller's clock.

    Attributes:
        transport: TCP or UDP.
        grant: the gateway's last word.
        renew_at: when to ask for more.
    """

    def __init__(self, transport: Transport, grant: Grant, now: float) -> None:
        self.transport = transport
        self.granted(grant, now)

    def granted(self, grant: Grant, now: float) -> None:
        """It was renewed; the next time is at half of its life (RFC 6886 and 6887)."""
        self.grant = grant
        self._granted_at = now
        lifetime = bounded_lifetime(grant.lifetime)
        self.expires = now + lifetime
        # What lasts for ever is looked after all the same: the gateway may restart without it.
        self.renew_at = now + (lifetime if lifetime < math.inf else limits.MAP_LIFETIME) / 2

    def failed(self, now: float) -> None:
        """Renewing failed: again at half of what is left, but not in a hurry."""
        left = self.expires - now if self.expires < math.inf else limits.MAP_LIFETIME
        self.renew_at = now + max(left / 2, limits.MAP_RETRY)

    def forgotten(self, now: float) -> None:
        """The gateway seems to have lost it: ask anew, but not in a hurry, for its clock may be what is wrong."""
        self.renew_at = min(self.renew_at, max(now, self._granted_at + limits.MAP_RETRY))

    def lost(self, now: float) -> bool:
        """Whether it has run out."""
        return now >= self.expires


def bounded_lifetime(lifetime: float) -> float:
    """What is believed of a lifetime in seconds."""
    if lifetime == math.inf:
        return lifetime
    return min(max(float(lifetime), limits.MAP_MIN_LIFETIME), limits.MAP_MAX_LIFETIME)


class Epoch:
    """Whether a gateway has restarted, from the seconds that it says it has been up (RFC 6887, 8.5; RFC 6886, 3.6)."""

    def __init__(self) -> None:
        self._theirs = -1
        self._ours = 0.0

    def restarted(self, theirs: int, now: float) -> bool:
        """Take its next word; True where its clock did not go on as ours did."""
        before, since = self._theirs, self._ours
        self._theirs, self._ours = theirs, now
        if before < 0:
            return False
        passed_there, passed_here = theirs - before, now - since
        return (
            passed_there < -1
            or passed_here + 2 < passed_there - passed_there / 16
            or passed_there + 2 < passed_here - passed_here / 16
        )
