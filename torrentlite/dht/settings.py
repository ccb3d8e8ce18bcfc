"""What a node's owner may choose. What protects us is in ``limits.py``."""

from __future__ import annotations

import dataclasses

from .. import limits


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DhtSettings:
    """Choices of one node. Rates are bytes per second of payload; 0 means unlimited."""

    upload_limit: int = 64_000
    """Everything that is sent. A lookup takes about 6,000 bytes; up to four seconds' worth may be saved up."""
    answer_limit: int = 16_000
    """Answers to others' queries, as a part of ``upload_limit``."""
    address_limit: float = limits.DHT_ADDRESS_RATE
    """Answers to one IP address."""
    big_answers: float = limits.DHT_BIG_ANSWERS
    """Answers a second to one IP address that hold an item (BEP 44) or Bloom filters (BEP 33)."""
    read_only: bool | None = None
    """Answer no queries, and say so (BEP 43). None: as long as nobody seems to be able to reach us."""

    def __post_init__(self) -> None:
        for name in ("upload_limit", "answer_limit", "address_limit", "big_answers"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
