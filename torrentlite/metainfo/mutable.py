"""Links that lead to whatever their owner says last (BEP 46)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from .. import limits
from ..errors import MagnetError
from .link import KEY_URN, fields_of, is_mutable
from .text import display

_KEY: Final = re.compile("[0-9a-f]{64}")
_SALT: Final = re.compile("(?:[0-9a-f]{2})*")


class MutableLink(NamedTuple):
    """A link that stays, while what it leads to changes: ``magnet:?xs=urn:btpk:KEY&s=SALT``. ``str()`` of it is that.

    Attributes:
        key: its owner's public key (ed25519), 32 bytes.
        salt: which of the owner's links, at most 64 bytes.
    """

    key: bytes
    salt: bytes = b""

    @classmethod
    def parse(cls, text: str) -> MutableLink:
        """Read one.

        Raises:
            MagnetError: it is none.
        """
        text = text.strip()
        if not is_mutable(text):
            raise MagnetError(f"no link of BEP 46: '{display(text, limit=60)}'")
        fields = fields_of(text.partition("?")[2])
        keys = {each[len(KEY_URN) :].lower() for each in fields["xs"] if each.lower().startswith(KEY_URN)}
        salts = {each.lower() for each in fields.get("s", [""])}
        if len(keys) > 1 or len(salts) > 1:
            raise MagnetError("the link names several keys, or several salts")
        (key,), (salt,) = keys, salts
        if not _KEY.fullmatch(key):
            raise MagnetError(
                f"the key '{display(key, limit=80)}' is not whole",
                hint=f"copy the whole link: after xs={KEY_URN} come 64 hex digits",
            )
        if not _SALT.fullmatch(salt) or len(salt) > 2 * limits.DHT_MAX_SALT:
            raise MagnetError(f"the salt is no hex digits, or more than {limits.DHT_MAX_SALT} bytes")
        return cls(bytes.fromhex(key), bytes.fromhex(salt))

    def __str__(self) -> str:
        return f"magnet:?xs={KEY_URN}{self.key.hex()}" + (f"&s={self.salt.hex()}" if self.salt else "")
