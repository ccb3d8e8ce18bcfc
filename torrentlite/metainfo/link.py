"""What a person types or pastes: whether a link, a hash or a URL is meant. What is none of them is a path."""

from __future__ import annotations

import re
import urllib.parse
from typing import Final

from ..limits import MAX_MAGNET_SIZE

V1_HEX: Final = re.compile("[0-9A-Fa-f]{40}")
V1_BASE32: Final = re.compile("[A-Za-z2-7]{32}")
V2: Final = re.compile("(?:1220)?[0-9A-Fa-f]{64}")
"""SHA-256; 12 20 in front says so in a multihash."""
_STRANGE_URL: Final = re.compile(r"\s*(?:[A-Za-z][A-Za-z0-9+.-]+:/|[A-Za-z0-9.-]+:[0-9]+/|\[[0-9A-Fa-f:.]+\])")
URL_HINT: Final = "a URL starts with http:// or https://"
KEY_URN: Final = "urn:btpk:"


def is_magnet(text: str) -> bool:
    """Whether this is to be a magnet link or an info-hash, usable or not, maybe with blanks around it.

    A file may have the name of a hash: who takes paths too looks whether there is one.
    """
    text = text.strip()
    return text[:7].lower() == "magnet:" or any(kind.fullmatch(text) for kind in (V1_HEX, V1_BASE32, V2))


def is_url(text: str) -> bool:
    """Whether this is to be a URL of a .torrent, likewise."""
    return text.lstrip()[:8].lower().startswith(("http://", "https://"))


def is_strange_url(text: str) -> bool:
    """Whether this looks like a URL that nobody here can ask: of another scheme, with too few slashes, or with none."""
    return not is_url(text) and _STRANGE_URL.match(text) is not None


def fields_of(query: str) -> dict[str, list[str]]:
    """A magnet link's parameters, those of one name together: ``tr``, ``tr.1`` and ``TR`` are one name."""
    fields: dict[str, list[str]] = {}
    query = query.replace("&amp;", "&")  # a link copied from the source of a web page
    for key, value in urllib.parse.parse_qsl(query):
        fields.setdefault(re.sub(r"\.[0-9]+$", "", key.lower()), []).append(value)
    return fields


def is_mutable(text: str) -> bool:
    """Whether this is to be a magnet link that names a key (BEP 46), and no torrent: its owner says which one."""
    scheme, _, query = text.strip().partition("?")
    if scheme.lower() != "magnet:" or len(text) > MAX_MAGNET_SIZE:
        return False
    fields = fields_of(query)
    topics = (topic.lower().removeprefix("urn:") for topic in fields.get("xt", ()))
    named = any(topic.startswith(("btih:", "btmh:")) for topic in topics)
    return not named and any(source.lower().startswith(KEY_URN) for source in fields.get("xs", ()))
