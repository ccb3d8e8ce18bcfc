"""Peer ids: which program a peer runs, and ours (BEP 20).

A peer id is only a hint; the ``v`` of the extension handshake (BEP 10) is better where there is one.
"""

from __future__ import annotations

import re
import string
from typing import Final

# Two letters after the dash in Azureus style. The common ones of today; others are shown by their letters.
_CLIENTS: Final = {
    b"7T": "aTorrent",
    b"AG": "Ares",
    b"AZ": "Vuze",
    b"BC": "BitComet",
    b"BI": "BiglyBT",
    b"BT": "BitTorrent",
    b"BW": "BitTorrent Web",
    b"DE": "Deluge",
    b"FD": "Free Download Manager",
    b"FW": "FrostWire",
    b"GT": "anacrolix/torrent",
    b"KG": "KGet",
    b"KT": "KTorrent",
    b"LT": "libtorrent",
    b"LW": "LimeWire",
    b"MO": "MonoTorrent",
    b"PI": "PicoTorrent",
    b"RN": "rain",
    b"TL": "Tribler",
    b"TR": "Transmission",
    b"Tl": "torrentlite",
    b"UE": "µTorrent Embedded",
    b"UM": "µTorrent Mac",
    b"UT": "µTorrent",
    b"UW": "µTorrent Web",
    b"WD": "WebTorrent Desktop",
    b"WW": "WebTorrent",
    b"XL": "Xunlei",
    b"lt": "rTorrent",
    b"qB": "qBittorrent",
    b"st": "sharktorrent",
}
_SHADOW: Final = {b"A": "ABC", b"O": "Osprey", b"Q": "BTQueue", b"R": "Tribler", b"S": "Shadow", b"T": "BitTornado"}
_DASHED: Final = {b"M": "Mainline", b"Q": "Queen Bee", b"A2": "aria2"}

# The fourth character, if it is a letter, names the kind of release ("s" for stable), not a number.
_AZUREUS_ID: Final = re.compile(rb"-([0-9A-Za-z~]{2})([0-9A-Z]{3})([0-9A-Za-z])-")
_DASHED_ID: Final = re.compile(rb"(A2|M|Q)-?(\d{1,3})-(\d{1,3})-(\d{1,3})-")
_SHADOW_ID: Final = re.compile(rb"([AOQRST])([0-9A-Za-z.-]{5})---")

# One character a number up to 35: how version numbers above 9 are written in Azureus style.
_DIGITS: Final = string.digits + string.ascii_uppercase


def client_name(peer_id: bytes) -> str:
    """Name and version of the program behind a peer id, such as "qBittorrent 4.6.2"; "unknown" where it does not say.

    The text is made of our own words and of ASCII letters and digits, so it is fit to be shown.
    """
    if match := _AZUREUS_ID.match(peer_id):
        name = _CLIENTS.get(match[1], match[1].decode("ascii"))
        digits = match[2] + match[3] if match[3].isdigit() else match[2]
        return f"{name} {_version([_DIGITS.index(chr(digit)) for digit in digits])}"
    if match := _DASHED_ID.match(peer_id):
        return f"{_DASHED[match[1]]} {_version([int(number) for number in match.groups()[1:]])}"
    if match := _SHADOW_ID.match(peer_id):
        numbers = match[2].rstrip(b"-.").decode("ascii")
        return f"{_SHADOW[match[1]]} {'.'.join(numbers)}".rstrip()
    return "unknown"


def make_peer_id(version: str, random12: bytes) -> bytes:
    """Our own peer id: ``-Tl``, four digits of the version, a dash, and twelve random bytes.

    Args:
        version: numbers with dots between, such as "0.1.0"; the first four count, text after them does not.
        random12: twelve bytes that nobody can guess or tie to the user.

    Raises:
        ValueError: not twelve random bytes, or a version that does not begin with a number.
    """
    numbers = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    if len(random12) != 12 or numbers is None:
        raise ValueError(f"no peer id from version {version!r} and {len(random12)} random bytes")
    digits = [_DIGITS[min(int(number), len(_DIGITS) - 1)] for number in numbers[0].split(".")[:4]]
    return b"-Tl%s-%s" % ("".join(digits).ljust(4, "0").encode("ascii"), random12)


def _version(numbers: list[int]) -> str:
    """Numbers with dots between; zeros at the end are left out, down to two numbers."""
    while len(numbers) > 2 and numbers[-1] == 0:
        numbers = numbers[:-1]
    return ".".join(map(str, numbers))
