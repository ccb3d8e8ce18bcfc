"""UPnP Internet gateways, version 1 and 2: what their descriptions say, and how they are asked (SOAP). Pure."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from typing import Final, NamedTuple

from ... import limits
from ...metainfo.text import display
from ...wire.address import Scope, parse_host, scope_of
from ..url import Url
from .lease import GatewayError, Transport
from .markup import parse_xml
from .ssdp import own_url

_TYPES: Final = (
    "urn:schemas-upnp-org:service:WANIPConnection:2",
    "urn:schemas-upnp-org:service:WANIPConnection:1",
    "urn:schemas-upnp-org:service:WANPPPConnection:1",
)
_DESCRIPTION: Final = "torrentlite"

CONFLICT: Final = frozenset({718, 729})
"""Refusals that another external port may help against: it is mapped to somebody else, or conflicts."""
ONLY_PERMANENT: Final = frozenset({402, 501, 725})
"""Refusals that come when a gateway knows no leases: 725 says so, others do not understand or fail."""
NOTHING_THERE: Final = 714
"""What is to be closed is closed."""


class Service(NamedTuple):
    """What a gateway's ports are asked from."""

    type: str
    control: Url


def parse_description(data: bytes, location: Url) -> list[Service]:
    """The services of a description that open ports, the best first; control URLs elsewhere are left out.

    Raises:
        GatewayError: there are none, or it is no description.
    """
    root = parse_xml(data)
    base = str(own_url(root.value("URLBase"), location.host) or location)
    found: list[tuple[int, Service]] = []
    for element in root.walk():
        kind = element.value("serviceType") if element.name == "service" else ""
        if kind not in _TYPES:
            continue
        control = _control_url(base, element.value("controlURL"), location.host)
        if control is not None:
            found.append((_TYPES.index(kind), Service(kind, control)))
    if not found:
        raise GatewayError("the gateway describes nothing that opens ports")
    found.sort(key=lambda ranked: ranked[0])
    return list(dict.fromkeys(service for _, service in found))[: limits.MAP_MAX_SERVICES]


def _control_url(base: str, text: str, host: str) -> Url | None:
    if not text or not text.isprintable():  # urljoin drops some of what is not
        return None
    try:
        return own_url(urllib.parse.urljoin(base, text), host)
    except ValueError:
        return None


def headers_of(service: Service, action: str) -> dict[str, str]:
    """What to send besides the envelope."""
    return {"Content-Type": 'text/xml; charset="utf-8"', "SOAPAction": f'"{service.type}#{action}"'}


def envelope(service: Service, action: str, arguments: Mapping[str, str | int]) -> bytes:
    """The body of a call; the arguments stay in their order, as some gateways want them."""
    import html  # 5 ms, for who meets a gateway that speaks UPnP

    inner = "".join(f"<{name}>{html.escape(str(value), quote=False)}</{name}>" for name, value in arguments.items())
    return (
        '<?xml version="1.0"?>\r\n'
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
        's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">'
        f'<s:Body><u:{action} xmlns:u="{service.type}">{inner}</u:{action}></s:Body></s:Envelope>\r\n'
    ).encode("ascii")


def add_arguments(
    transport: Transport, external: int, internal: int, local: str, lifetime: int
) -> dict[str, str | int]:
    """Of AddPortMapping; 0 seconds: for good."""
    return {
        **delete_arguments(transport, external),
        "NewInternalPort": internal,
        "NewInternalClient": local,
        "NewEnabled": 1,
        "NewPortMappingDescription": _DESCRIPTION,
        "NewLeaseDuration": lifetime,
    }


def delete_arguments(transport: Transport, external: int) -> dict[str, str | int]:
    """Of DeletePortMapping."""
    return {"NewRemoteHost": "", "NewExternalPort": external, "NewProtocol": transport.name}


def parse_reply(data: bytes, action: str, status: int) -> dict[str, str]:
    """What the action gave back, by name.

    Raises:
        GatewayError: a refusal, with its number as code, or no answer to this action.
    """
    if not 200 <= status < 300 and status != 500:  # 500 is how SOAP says no
        raise GatewayError(f"the gateway answers with status {status}")
    root = parse_xml(data)
    refusal = root.find("UPnPError")
    if refusal is not None:
        number = refusal.value("errorCode")
        code = int(number) if number.isascii() and number.isdecimal() and len(number) < 6 else 0
        text = display(refusal.value("errorDescription"), limit=80)
        raise GatewayError(f"the gateway refuses: {text or 'without a reason'} ({code})", code=code)
    answer = root.find(f"{action}Response")
    if answer is None or status == 500:
        raise GatewayError("the gateway's answer is none to the question")
    return {child.name: child.text for child in answer.children}


def external_host(values: Mapping[str, str]) -> str:
    """The address in an answer to GetExternalIPAddress, or empty: some have none yet, some answer anything."""
    host = parse_host(values.get("NewExternalIPAddress", "")) or ""
    return host if host and ":" not in host and scope_of(host) is not Scope.FORBIDDEN else ""
