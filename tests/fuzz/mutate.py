"""Inputs made of other inputs: bytes turned over, numbers exaggerated, bencoded values exchanged for others."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from torrentlite import bencode
from torrentlite.errors import BencodeError

_NUMBERS: Final = (0, 1, -1, 2, 7, 20, 68, 127, 128, 255, 256, 16383, 16384, 16385, 65535, 65536, 1 << 20, 1 << 24,
                   (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, 1 << 63, 10**19, 10**30)  # fmt: skip
_DIGITS: Final = re.compile(rb"[0-9]+")
_POOL: Final = 3000


class Mutator:
    """Makes inputs.

    Args:
        rng: all chance comes from it, so that a run can be had again.
        seeds: to begin with.
        words: bytes to put in anywhere.
        max_size: bytes of the longest input.
        gentle: few changes at a time, most of them of bencoded values: much stays good.
    """

    def __init__(
        self,
        rng: random.Random,
        seeds: Sequence[bytes],
        words: Sequence[bytes],
        max_size: int,
        *,
        gentle: bool = False,
    ) -> None:
        self._rng = rng
        self._rate = 3.0 if gentle else 0.6
        self._pool = [seed for seed in seeds if len(seed) <= max_size] or [b""]
        self._kept = len(self._pool)
        self._words = list(words) or [b"\0"]
        self._max = max_size
        self._ways: list[Callable[[bytes], bytes]] = [
            self._flip, self._byte, self._delete, self._double, self._insert, self._splice, self._word, self._number,
            self._integer, self._cut, self._repeat, self._swap, self._tree, self._tree,
        ]  # fmt: skip
        if gentle:
            self._ways += [self._tree] * 20

    def keep(self, data: bytes) -> None:
        """This one did something new: more like it."""
        if len(self._pool) < _POOL:
            self._pool.append(data)
        else:
            self._pool[self._rng.randrange(self._kept, _POOL)] = data

    def make(self) -> bytes:
        """The next input."""
        rng = self._rng
        data = rng.choice(self._pool)
        for _ in range(1 + int(rng.expovariate(self._rate))):
            data = rng.choice(self._ways)(data)
        return data[: self._max]

    # -- bytes

    def _slice(self, data: bytes, most: int = 64) -> tuple[int, int]:
        start = self._rng.randrange(len(data) + 1)
        return start, min(len(data), start + 1 + int(self._rng.random() ** 3 * most))

    def _flip(self, data: bytes) -> bytes:
        if not data:
            return data
        at = self._rng.randrange(len(data))
        return data[:at] + bytes([data[at] ^ 1 << self._rng.randrange(8)]) + data[at + 1 :]

    def _byte(self, data: bytes) -> bytes:
        at = self._rng.randrange(len(data) + 1)
        return (
            data[:at]
            + bytes([self._rng.choice([0, 1, 10, 13, 27, 32, 37, 48, 57, 58, 100, 101, 105, 108, 127, 128, 255])])
            + data[at + 1 :]
        )

    def _delete(self, data: bytes) -> bytes:
        start, stop = self._slice(data)
        return data[:start] + data[stop:]

    def _double(self, data: bytes) -> bytes:
        start, stop = self._slice(data)
        return data[:stop] + data[start:]

    def _insert(self, data: bytes) -> bytes:
        at = self._rng.randrange(len(data) + 1)
        return data[:at] + self._rng.randbytes(self._rng.randrange(1, 20)) + data[at:]

    def _splice(self, data: bytes) -> bytes:
        other = self._rng.choice(self._pool)
        return data[: self._rng.randrange(len(data) + 1)] + other[self._rng.randrange(len(other) + 1) :]

    def _word(self, data: bytes) -> bytes:
        start, stop = self._slice(data, 8)
        return data[:start] + self._rng.choice(self._words) + data[stop if self._rng.random() < 0.5 else start :]

    def _number(self, data: bytes) -> bytes:
        found = list(_DIGITS.finditer(data))
        if not found:
            return self._byte(data)
        match = self._rng.choice(found)
        value = self._rng.choice(
            [b"%d" % self._rng.choice(_NUMBERS), b"%d" % (int(match[0][:19]) + self._rng.choice([-1, 1]))]
        )
        return data[: match.start()] + value + data[match.end() :]

    def _integer(self, data: bytes) -> bytes:
        size = self._rng.choice([1, 2, 4, 4, 8])
        at = self._rng.randrange(len(data) + 1)
        value = self._rng.choice(_NUMBERS) % (1 << 8 * size)
        return data[:at] + value.to_bytes(size, self._rng.choice(["big", "little"])) + data[at + size :]

    def _cut(self, data: bytes) -> bytes:
        return data[: self._rng.randrange(len(data) + 1)]

    def _repeat(self, data: bytes) -> bytes:
        start, stop = self._slice(data, 32)
        most = max(1, self._max // max(1, stop - start))
        return data[:start] + data[start:stop] * (1 + int(self._rng.random() ** 6 * most)) + data[stop:]

    def _swap(self, data: bytes) -> bytes:
        start, stop = self._slice(data)
        at = self._rng.randrange(len(data) + 1)
        return data[:start] + data[at : at + stop - start] + data[stop:]

    # -- bencoded values

    def _tree(self, data: bytes) -> bytes:
        """Exchange a value somewhere inside for another; lengths stay right, so readers get to see it."""
        start = data.find(b"d") if self._rng.random() < 0.3 else 0
        try:
            value, end = bencode.decode_prefix(data, max(0, start))
        except BencodeError:
            return self._flip(data)
        return data[: max(0, start)] + _encode(self._edit(value, 0)) + data[end:]

    def _edit(self, value: Any, depth: int) -> Any:
        rng = self._rng
        inner = isinstance(value, dict | list) and value and rng.random() < 0.85
        if not inner:
            return self._other(value)
        if isinstance(value, dict):
            value = dict(value)
            key = rng.choice(list(value))
            way = rng.random()
            if way < 0.1:
                del value[key]
            elif way < 0.2:
                value[rng.choice(self._words)] = self._other(value[key])
            else:
                value[key] = self._edit(value[key], depth + 1)
            return value
        value = list(value)
        at = rng.randrange(len(value))
        way = rng.random()
        if way < 0.1:
            del value[at]
        elif way < 0.2:
            value += [value[at]] * rng.choice([1, 2, 50])
        else:
            value[at] = self._edit(value[at], depth + 1)
        return value

    def _other(self, value: Any) -> Any:
        rng = self._rng
        way = rng.random()
        if isinstance(value, int) and way < 0.6:
            return rng.choice([rng.choice(_NUMBERS[:-1]), value + 1, value - 1, -value])
        if isinstance(value, bytes) and way < 0.6:
            return rng.choice(self._ways[:5])(value)[: self._max]
        return rng.choice(
            [
                0,
                -1,
                rng.choice(_NUMBERS[:-1]),
                b"",
                rng.choice(self._words),
                rng.randbytes(rng.choice([1, 4, 6, 20, 26, 32])),
                [],
                {},
                [value],
                {b"": value},
                [b""],
                {b"a": b""},
            ]
        )


def _encode(value: Any) -> bytes:
    """Also what no strict writer writes is written: keys in the order in which they are."""
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, bytes):
        return b"%d:%b" % (len(value), value)
    if isinstance(value, list):
        return b"l" + b"".join(map(_encode, value)) + b"e"
    return b"d" + b"".join(_encode(key) + _encode(inner) for key, inner in value.items()) + b"e"
