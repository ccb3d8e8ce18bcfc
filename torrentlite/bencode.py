"""Strict bencoding (BEP 3) on top of ``bencode.py``: bytes in; values, ends and raw spans out.

This is the only module that imports ``bencodepy``. That library reads numbers with ``int()``, so it also takes ``+5``,
``1_0`` and negative lengths; a negative length moves its cursor back, and the nine bytes ``d0:i0e-6:`` are read for
ever. Here integers and lengths must be written exactly as BEP 3 says, and every error names a byte.

Read leniently where nothing is ambiguous (keys out of order occur in the wild), written strictly. How large the input
may be is for the caller to bound; what it becomes in memory is then below 64 times that.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeAlias, cast

import bencodepy

from . import limits
from .errors import BencodeError

Value: TypeAlias = "int | bytes | list[Value] | dict[bytes, Value]"
"""What bencoding can say. Strings are always bytes: what is text is decoded by whoever knows that it is."""

Span: TypeAlias = tuple[int, int]
"""Where a value begins and ends in the bytes it was read from."""

_LENGTH: Final = re.compile(rb"(0|[1-9][0-9]{0,9}):").match
_INTEGER: Final = re.compile(rb"i(0|-?[1-9][0-9]{0,19})e").match
"""Twenty digits hold every 64-bit number, and ``int()`` never sees the thousands that would make it slow."""


class Raw(bencodepy.Bencached):
    """Bytes that are bencoded already: ``encode`` writes them as they are, so an info-hash survives."""

    def __init__(self, bencoded: bytes) -> None:
        self.bencoded = bencoded


def decode(data: bytes | bytearray | memoryview, *, max_depth: int = limits.MAX_BENCODE_DEPTH) -> Value:
    """The one value that these bytes are.

    Raises:
        BencodeError: they are not one strict value, or go on after it.
    """
    value, end = decode_prefix(data, max_depth=max_depth)
    if end != len(data):
        raise BencodeError(f"{len(data) - end} more bytes after the value that ends at byte {end}")
    return value


def decode_prefix(
    data: bytes | bytearray | memoryview, start: int = 0, *, max_depth: int = limits.MAX_BENCODE_DEPTH
) -> tuple[Value, int]:
    """The value that begins at ``start``, and where it ends (a ``ut_metadata`` message goes on with raw bytes, BEP 9).

    Raises:
        BencodeError: no strict value begins there.
    """
    return _run(_wire_decoder(max_depth), bytes(data), start)


def decode_with_spans(data: bytes | bytearray | memoryview) -> tuple[dict[bytes, Value], dict[bytes, Span]]:
    """A .torrent or info dictionary, and where each of its top-level values lies.

    An info-hash is of the bytes as received, never of a re-encoding. Nothing here may have two readings, so a key that
    occurs twice is an error in all dictionaries, and the number of values is bounded (``limits.MAX_METAINFO_TOKENS``).

    Raises:
        BencodeError: not one strict dictionary, or too much of it.
    """
    data = bytes(data)
    decoder = _MetainfoDecoder()
    value, end = _run(decoder, data, 0)
    if not isinstance(value, dict):
        raise BencodeError("not a dictionary but a single value")
    if end != len(data):
        raise BencodeError(f"{len(data) - end} more bytes after the dictionary that ends at byte {end}")
    return value, decoder.spans


def encode(value: object) -> bytes:
    """Write a value: int, bytes, str (as UTF-8), list, tuple, dict (keys sorted) or ``Raw``.

    Raises:
        TypeError: something in it is of another type; its name is in the text.
        ValueError: a dictionary has the same key as str and as bytes.
    """
    return _ENCODER.encode(cast(Any, value))


def _run(decoder: _Decoder, data: bytes, start: int) -> tuple[Value, int]:
    try:
        return decoder.decode_func[data[start : start + 1]](data, start)
    except RecursionError:  # our limits are far below Python's, but the caller may stand deep in its own stack
        raise BencodeError("nested too deep") from None


@functools.cache
def _wire_decoder(max_depth: int) -> _Decoder:
    return _Decoder(max_depth)


def _unexpected(data: bytes, start: int, **_: object) -> NoReturn:
    if start >= len(data):
        raise BencodeError(f"the data ends inside a value, at byte {start}")
    raise BencodeError(f"unexpected {data[start : start + 1]!r} at byte {start}")


class _Readers(dict[bytes, Callable[..., tuple[Value, int]]]):
    """The library's table from a value's first byte to its reader, with words for all other bytes."""

    def __missing__(self, first: bytes) -> Callable[..., NoReturn]:
        return _unexpected


class _Decoder(bencodepy.BencodeDecoder):
    """The library's decoder, strict. It keeps nothing between calls, so one serves all."""

    def __init__(self, max_depth: int) -> None:
        super().__init__(max_depth=max_depth)  # type: ignore[no-untyped-call]
        self.decode_func = cast(Any, _Readers(self.decode_func))

    def decode_int(self, x: bytes, f: int, **_: Any) -> tuple[int, int]:
        match = _INTEGER(x, f)
        if match is None:
            raise BencodeError(f"bad integer at byte {f}")
        return int(match[1]), match.end()

    def decode_string(self, x: bytes, f: int, kind: str = "", **_: Any) -> tuple[bytes, int]:
        match = _LENGTH(x, f)
        if match is None:
            if not x[f : f + 1].isdigit():  # only a key gets here without its first byte having been looked at
                _unexpected(x, f)
            raise BencodeError(f"bad string length at byte {f}")
        begin = match.end()
        end = begin + int(match[1])
        if end > len(x):
            raise BencodeError(f"the string at byte {f} runs past the end, byte {len(x)}")
        return x[begin:end], end

    def decode_list(self, x: bytes, f: int, depth: int = 0, **_: Any) -> tuple[Any, int]:
        self._check_depth(f, depth)
        return super().decode_list(x, f, depth=depth)

    def decode_dict(self, x: bytes, f: int, depth: int = 0, **_: Any) -> tuple[Any, int]:
        self._check_depth(f, depth)
        return super().decode_dict(x, f, depth=depth)

    def _check_depth(self, start: int, depth: int) -> None:
        if depth >= self.max_depth:
            raise BencodeError(f"nested more than {self.max_depth} deep at byte {start}")


class _MetainfoDecoder(_Decoder):
    """For one large input: counts its values, refuses double keys, keeps the spans of the outermost dictionary.

    Lists and dictionaries count what is in them: a call for each value was a fifth of the time of 50,000 files.
    """

    def __init__(self) -> None:
        super().__init__(limits.MAX_METAINFO_DEPTH)
        self.spans: dict[bytes, Span] = {}
        self._left = limits.MAX_METAINFO_TOKENS - 1  # the outermost is in nothing

    def decode_list(self, x: bytes, f: int, depth: int = 0, **_: Any) -> tuple[Any, int]:
        self._check_depth(f, depth)
        found: list[Value] = []
        f += 1
        while (first := x[f : f + 1]) != b"e":
            self._count(1, f)
            value, f = self.decode_func[first](x, f, depth=depth + 1)
            found.append(value)
        return found, f + 1

    def decode_dict(self, x: bytes, f: int, depth: int = 0, **_: Any) -> tuple[Any, int]:
        self._check_depth(f, depth)
        found: dict[bytes, Value] = {}
        f += 1
        while x[f : f + 1] != b"e":
            self._count(2, f)
            key, begin = self.decode_string(x, f)
            if key in found:
                raise BencodeError(f"the key {key[:40]!r} for the second time at byte {f}")
            found[key], f = self.decode_func[x[begin : begin + 1]](x, begin, depth=depth + 1)
            if depth == 0:
                self.spans[key] = (begin, f)
        return found, f + 1

    def _count(self, values: int, start: int) -> None:
        self._left -= values
        if self._left < 0:
            raise BencodeError(f"more than {limits.MAX_METAINFO_TOKENS} values, at byte {start}")


class _Writers(dict[Any, Any]):
    """The library's table from a type to its writer; where it would say a bare ``KeyError``, words."""

    def __missing__(self, kind: type) -> NoReturn:
        raise TypeError(f"cannot bencode a {kind.__name__}")


class _Encoder(bencodepy.BencodeEncoder):
    """The library's encoder, strict."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.encode_func = _Writers({**self.encode_func, Raw: self.encode_bencached})

    def encode_dict(self, x: dict[Any, Any], r: Any) -> None:
        for key in x:
            if not isinstance(key, bytes | str):
                raise TypeError(f"cannot bencode a {type(key).__name__} as a key")
        # Not looked for in ``x`` itself: bytes and str hash alike, and compared they are a warning (python -b).
        written = {key for key in x if isinstance(key, bytes)}
        for key in x:
            if isinstance(key, str) and key.encode() in written:
                raise ValueError(f"the key {key!r} both as str and as bytes")
        super().encode_dict(x, r)


_ENCODER: Final = _Encoder()
