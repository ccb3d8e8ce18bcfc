"""What a session stands on, so that a simulated one can be given instead."""

from __future__ import annotations

import dataclasses
import functools
import os
import random
import time
from collections.abc import Callable

from ..dht.opening import ROUTERS
from ..net.environment import proxy_for
from ..net.interface import interface_trouble
from ..net.network import Network, RealNetwork
from ..net.portmap.gateway import Gateway, default_gateway
from ..net.proxied import ProxiedNetwork
from ..net.proxy import SOCKS, Proxy, direct
from ..net.url import Url
from ..storage.offload import Offload, ThreadOffload
from ..storage.storage import Storage

StorageFactory = Callable[..., Storage]


def no_gateway() -> Gateway | None:
    """There is none."""
    return None


def no_trouble() -> str:
    """None is known."""
    return ""


def never_asleep() -> float:
    """It is awake all the time."""
    return 0.0


@dataclasses.dataclass(slots=True, kw_only=True)
class World:
    """The outside of a session: the network, the place where disk calls run, the dice.

    Attributes:
        network: every socket and name look-up of the session comes from it.
        offload: where hashing and disk calls run; threads in the product.
        rng: for choices (which piece, which peer), never for secrets.
        secret: ``secret(n)`` gives n unpredictable bytes: peer ids, keys, tokens.
        gateway: tells who could open a port for us; None where there is nobody.
        wall: the time in seconds since 1970, as the system believes it to be.
        asleep: seconds that the machine has slept (suspended) so far, while Trio's clock stood still.
        routers: (host, port) of public DHT nodes, which a session joins by. Without any, a session has a DHT node only
            where ``Settings.bootstrap`` names somebody.
        proxies: whom to ask for an http(s) URL; None for nobody.
        trouble: why nothing at all can be reached, as far as it is known; or empty.
        interface: why the interface by which everything has to go is of no use now; or empty.
        storage: makes the storage of a torrent from its Info; None for files in the save folder.
    """

    network: Network
    offload: Offload
    rng: random.Random
    secret: Callable[[int], bytes] = os.urandom
    gateway: Callable[[], Gateway | None] = no_gateway
    wall: Callable[[], float] = time.time
    asleep: Callable[[], float] = never_asleep
    routers: tuple[tuple[str, int], ...] = ()
    proxies: Callable[[Url], Proxy | None] = direct
    trouble: Callable[[], str] = no_trouble
    interface: Callable[[], str] = no_trouble
    storage: StorageFactory | None = None

    def behind(self, proxy: str) -> World:
        """The same, of which this proxy is the only way out (``Settings.proxy``); itself where there is none.

        Raises:
            SourceError: that is no proxy of this kind.
        """
        if not proxy:
            return self
        network = ProxiedNetwork(self.network, Proxy.parse(proxy, SOCKS))
        return dataclasses.replace(
            self,
            network=network,
            proxies=direct,
            trouble=lambda: network.trouble,
            gateway=no_gateway,
            routers=(),
        )


def real_world(host: str = "", interface: str = "") -> World:
    """Sockets (from this address and by this interface only, where they are given), threads and the system's dice.

    Raises:
        ListenError: there is no such interface, or it has not that address.
    """
    return World(
        network=RealNetwork(host, interface),
        offload=ThreadOffload(),
        rng=random.Random(os.urandom(16)),
        gateway=functools.partial(default_gateway, interface),
        asleep=seconds_asleep,
        routers=ROUTERS,
        proxies=proxy_for,
        interface=functools.partial(interface_trouble, interface, host) if interface else no_trouble,
    )


def seconds_asleep() -> float:
    """How long this machine has slept since it was started, by two clocks of which one goes on meanwhile; 0 without.

    Neither of them jumps when somebody sets the date.
    """
    slept = 0.0
    if hasattr(time, "CLOCK_BOOTTIME"):  # Linux
        slept = time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
    elif hasattr(time, "CLOCK_UPTIME_RAW"):  # macOS
        slept = time.clock_gettime(time.CLOCK_MONOTONIC) - time.clock_gettime(time.CLOCK_UPTIME_RAW)
    return max(0.0, slept)
