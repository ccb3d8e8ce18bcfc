"""Settings: what a user may choose. Everything that protects us is in ``limits.py`` instead."""

from __future__ import annotations

import dataclasses
import pathlib
import re
from typing import Final, Literal, get_args

from . import __version__

Encryption = Literal["off", "allow", "prefer", "require"]
"""Whether connections to peers are encrypted; see ``Settings.encryption``."""

Utp = Literal["off", "allow", "prefer"]
"""Whether peers are met over UDP; see ``Settings.utp``."""

USER_AGENT: Final = f"torrentlite/{__version__}"
"""What we call ourselves where nothing else was chosen."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Choices of one session; frozen, so a change is ``dataclasses.replace`` (limits: ``set_limits``).

    What finds peers without a server is on, as in every client: a magnet link often holds nothing but an info-hash, and
    of two who sit at home behind their routers one has to be reachable. A session that shall keep to itself is bound to
    loopback, or switches them off.

    Rates are bytes per second, 0 means unlimited.
    """

    host: str = ""
    """Listen on this address only; empty for all interfaces, IPv4 and IPv6."""
    interface: str = ""
    """The name of a network interface, such as ``wg0`` of a VPN: everything goes by it, in and out, or not at all
    (Linux; names are looked up as the system does it). While there is none of that name nothing goes, and all goes on
    when there is. ``host`` has to be an address of it. Empty for all."""
    port: int = 0
    """Listen on this TCP and UDP port; 0 for any free one."""
    port_fallback: bool = False
    """When ``port`` is taken, use a free one for this run instead of raising ListenError."""

    upload_limit: int = 0
    """Bytes per second over all torrents; 0 for unlimited."""
    download_limit: int = 0
    """Bytes per second over all torrents; 0 for unlimited. It paces requests, so it holds on average."""
    upload_slots: int = 8
    """Peers of a torrent that are unchoked at once, at least; more while that brings more. 0: nobody is served."""
    connections: int = 200
    """Connected peers over all torrents."""
    connections_per_torrent: int = 100
    """Connected peers of one torrent."""
    connections_per_ip: int = 3
    """Connected peers of one public IP address (private and loopback ones are not counted); 0 for no bound."""
    half_open: int = 30
    """Connection attempts under way at once."""

    web_seed_connections: int = 4
    """Connections to one web seed; 0: web seeds are not fetched from."""

    piece_memory: int = 64 << 20
    """Bytes of pieces that may be in flight or being checked, over all torrents."""
    overwrite: bool = False
    """Whether a different finished file under its final name may be replaced."""
    state_dir: str | pathlib.PurePath | None = None
    """Where resume data is kept; None: nothing is written outside the save folder."""

    dht: bool = True
    """Find and announce peers in the DHT (BEP 5), IPv4 and IPv6. Never those of private torrents."""
    bootstrap: tuple[tuple[str, int], ...] | None = None
    """(host, port) of DHT nodes to join by, besides those kept in ``state_dir``; None for the public ones.
    A session that is bound to loopback asks no public ones."""
    lsd: bool = True
    """Find peers on the local network by multicast (BEP 14). Not when bound to loopback, never in private torrents."""
    port_map: bool = True
    """Ask the gateway (PCP, NAT-PMP, UPnP) to let others in while the session lasts. Not when bound to loopback."""
    pex: bool = True
    """Tell peers about each other, and learn of others from them (BEP 11). Never in private torrents."""
    request_queue: int = 2000
    """Requests that we let a peer queue with us (``reqq``, BEP 10)."""
    encryption: Encryption = "allow"
    """Message Stream Encryption, which hides BitTorrent from networks that hold it back (it proves and guards nothing).
    ``allow``: with peers that take no other connections; ``prefer``: with all that can; ``require``: no connection is
    plain; ``off``: none is encrypted. Handshakes always can be; what follows them with the ``crypto`` extra only, which
    ``require`` needs."""
    utp: Utp = "allow"
    """Connections over UDP (uTP, BEP 29), which get through routers that let nobody call by TCP, make room for other
    traffic on a slow line, and cost more CPU. ``allow``: with peers that TCP does not reach, and those from the
    Internet who call so; ``prefer``: with all that can; ``off``: with none."""
    proxy: str = dataclasses.field(default="", repr=False)  # it may hold a password
    """``socks5://[user:password@]host[:port]``: everything goes through this SOCKS5 proxy, which looks up names too, or
    not at all. What it cannot carry is off, whatever is said here (and stays so in a ``replace`` of these settings that
    takes the proxy out): the DHT, uTP, UDP trackers, local discovery, the
    gateway's port, and being called by others. Empty: peers are met directly, and http(s) URLs (trackers, web seeds)
    asked for as ``http_proxy``, ``https_proxy``, ``all_proxy`` and ``no_proxy`` in the environment say."""
    seed_to_seeds: bool = False
    """Keep connections between two complete peers. Off: seeds drop seeds."""
    user_agent: str = ""
    """What HTTP trackers and the extension handshake are told; empty: ``torrentlite/VERSION``."""

    def __post_init__(self) -> None:
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            if each.type == "bool" and not isinstance(value, bool):
                raise TypeError(f"{each.name}: True or False is expected, and this is {value!r}")
            if each.type == "int":
                if not isinstance(value, int | float):
                    what = "a number of bytes per second" if each.name.endswith("_limit") else "a number"
                    raise TypeError(f"{each.name}: {what} is expected, and this is {value!r}")
                if value < 0 and each.name != "port":
                    raise ValueError(f"{each.name} must not be negative")
        if not isinstance(self.interface, str):
            raise TypeError(f"interface: a str is expected, and this is {self.interface!r}")
        if self.interface and (
            re.search(r"[\s/:\0\ud800-\udc7f\udd00-\udfff]", self.interface)
            or len(self.interface.encode(errors="surrogateescape")) > 15
        ):
            raise ValueError("an interface has a name of at most 15 bytes, without blanks, '/' and ':'")
        if not 0 <= self.port <= 65535:
            raise ValueError("port must be between 0 and 65535")
        if self.encryption not in get_args(Encryption):
            raise ValueError(f"encryption must be one of {', '.join(get_args(Encryption))}")
        if self.utp not in get_args(Utp):
            raise ValueError(f"utp must be one of {', '.join(get_args(Utp))}")
        if self.proxy:
            if not self.proxy.lower().startswith(("socks5://", "socks5h://", "socks://")):
                raise ValueError("proxy must begin with socks5://")
            # What it does not carry: a session shows by its settings what it does.
            for name, off in {"dht": False, "lsd": False, "port_map": False, "utp": "off"}.items():
                object.__setattr__(self, name, off)
        if self.state_dir is not None:  # where it is now, wherever the program goes later
            object.__setattr__(self, "state_dir", pathlib.Path(self.state_dir).absolute())
