"""Dice that fall the same way whenever the seed is the same."""

from __future__ import annotations

import random
from collections.abc import Callable


class Dice:
    """Sources of chance, one for each name, all from one seed.

    What one of them gives does not depend on how often the others were thrown, so a host more changes nothing for the
    hosts that were there before.

    Args:
        seed: a number or text.
    """

    def __init__(self, seed: int | str) -> None:
        self.seed = seed

    def __repr__(self) -> str:
        return f"<Dice of seed {self.seed!r}>"

    def rng(self, name: str) -> random.Random:
        """A new generator at its beginning; the same for the same seed and name."""
        return random.Random(f"{self.seed}/{name}")  # text is seeded by its SHA-512, not by its hash()

    def secret(self, name: str) -> Callable[[int], bytes]:
        """What stands in for ``os.urandom``: anything but secret, and the same for the same seed and name."""
        return self.rng(f"{name}/secret").randbytes
