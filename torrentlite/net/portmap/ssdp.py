"""Finding the description of a UPnP gateway: searches and their answers (UPnP Device Architecture 1.1, 1.3). Pure."""

from __future__ import annotations

from typing import Final

from ... import limits
from ...errors import SourceError
from ...wire.address import Address, parse_host
from ..url import Url, parse_url

GROUP: Final = Address("239.255.255.250", 1900)
"""Where UPnP devices listen."""

TARGETS: Final = (
    "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
    "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
    "urn:schemas-upnp-org:service:WANIPConnection:1",
    "urn:schemas-upnp-org:service:WANPPPConnection:1",
)
"""What is searched for: version 2 also answers to version 1, but not every device does as it should."""

_KINDS: Final = tuple(target.rpartition(":")[0].lower() for target in TARGETS)
_MAX_LINES: Final = 64


def searches() -> list[bytes]:
    """One datagram for each target."""
    return [
        (f'M-SEARCH * HTTP/1.1\r\nHOST: {GROUP}\r\nST: {target}\r\nMAN: "ssdp:discover"\r\nMX: 1\r\n\r\n').encode(
            "ascii"
        )
        for target in TARGETS
    ]


def parse_answer(data: bytes, sender: str) -> Url | None:
    """Where the answering device describes itself.

    None for everything but the answer of a gateway that names a place on itself: else one datagram could have us ask
    the machine next to it, ourselves or a cloud's metadata service.

    Args:
        data: the datagram.
        sender: the IP address that it came from.
    """
    if len(data) > limits.MAP_MAX_SSDP or not data.isascii():
        return None
    first, *lines = data.decode("ascii").split("\r\n")[:_MAX_LINES]
    version, _, status = first.partition(" ")
    if not version.startswith("HTTP/1.") or status.split(" ")[0] != "200":
        return None
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not line:
            break
        if colon:
            headers.setdefault(name.strip().lower(), value.strip())
    if headers.get("st", "").rpartition(":")[0].lower() not in _KINDS:
        return None
    return own_url(headers.get("location", ""), sender)


def own_url(text: str, host: str) -> Url | None:
    """A URL that leads to this IP address by plain HTTP and is written as such; None for any other."""
    try:
        url = parse_url(text, {"http": 80})
    except SourceError:
        return None
    return url if parse_host(url.host) == host and "%" not in url.host and not url.credentials else None
