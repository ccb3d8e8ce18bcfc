"""Hash trees of BEP 52 against a plain one, built as the BEP tells it: a full tree of all leaves, each node in a list."""

from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given, strategies as st

from torrentlite.metainfo import merkle
from torrentlite.metainfo.merkle import DIGEST


def digest_of(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


def plain_tree(leaves: list[bytes]) -> list[list[bytes]]:
    """All layers, the leaves first, padded to a power of two with hashes of zeros."""
    size = 1
    while size < len(leaves):
        size *= 2
    layers = [leaves + [bytes(32)] * (size - len(leaves))]
    while len(layers[-1]) > 1:
        below = layers[-1]
        layers.append([hashlib.sha256(below[2 * i] + below[2 * i + 1]).digest() for i in range(len(below) // 2)])
    return layers


COUNTS = st.integers(1, 70) | st.sampled_from([1, 2, 3, 4, 5, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65])


def test_what_stands_beyond_the_end() -> None:
    assert merkle.nothing(0) == bytes(32)
    assert merkle.nothing(1) == hashlib.sha256(bytes(64)).digest()
    assert merkle.nothing(3) == plain_tree([bytes(32)] * 8)[3][0]


@pytest.mark.parametrize(("count", "height"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (8, 3), (9, 4), (1024, 10)])
def test_height(count: int, height: int) -> None:
    assert merkle.height(count) == height


@pytest.mark.parametrize("size", [0, 1, 16_383, 16_384, 16_385, 40_000])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_leaves(size: int, kind: type) -> None:
    data = random.Random(size).randbytes(size)
    expected = [hashlib.sha256(data[at : at + 16_384]).digest() for at in range(0, size, 16_384)]
    assert merkle.leaves(kind(data)) == b"".join(expected)
    assert merkle.split(merkle.leaves(kind(data))) == expected


@given(COUNTS)
def test_every_layer_and_the_root(count: int) -> None:
    leaves = [digest_of(i) for i in range(count)]
    layers = plain_tree(leaves)
    for base in range(len(layers)):
        lifted = merkle.lift(b"".join(leaves), 0, base)
        own = -(-count // (1 << base))  # the others lie beyond the end
        assert lifted == b"".join(layers[base][:own])
        assert layers[base][own:] == [merkle.nothing(base)] * (len(layers[base]) - own)
        assert merkle.root_of(lifted, base) == layers[-1][0]


@given(COUNTS, st.integers(0, 3))
def test_a_tree_in_a_higher_one(count: int, more: int) -> None:
    leaves = [digest_of(i) for i in range(count)]
    low = merkle.height(count)
    padded = leaves + [bytes(32)] * ((1 << low + more) - count)
    assert merkle.grown(merkle.root_of(b"".join(leaves), 0), low, low + more) == plain_tree(padded)[-1][0]


@st.composite
def ranges(draw: st.DrawFn) -> tuple[int, int, int, int]:
    """Leaves of a file, height of a layer, and a range of it that may be asked for."""
    count = draw(COUNTS)
    top = merkle.height(count)
    base = draw(st.integers(0, top))
    rise = draw(st.integers(0, top - base))
    return count, base, draw(st.integers(0, (1 << top - base - rise) - 1)) << rise, 1 << rise


@given(ranges(), st.integers(0, 9))
def test_parts_and_their_proofs(where: tuple[int, int, int, int], most: int) -> None:
    count, base, index, length = where
    layers = plain_tree([digest_of(i) for i in range(count)])
    layer = merkle.lift(b"".join(layers[0][:count]), 0, base)
    hashes = merkle.part(layer, base, index, length)
    assert merkle.split(hashes) == layers[base][index : index + length]
    rise = merkle.height(length)
    expected, at = [], index // length
    for height in range(base + rise, len(layers) - 1):
        expected.append(layers[height][at - 1 if at % 2 else at + 1])
        at //= 2
    assert merkle.split(merkle.proof(layer, base, index, length, most)) == expected[:most]
    uncles = merkle.split(merkle.proof(layer, base, index, length, 99))
    assert uncles == expected
    assert merkle.leads_to(layers[-1][0], hashes, base, index, uncles)


@given(ranges(), st.data())
def test_nothing_else_leads_to_the_root(where: tuple[int, int, int, int], data: st.DataObject) -> None:
    count, base, index, length = where
    layer = merkle.lift(b"".join(digest_of(i) for i in range(count)), 0, base)
    root = merkle.root_of(layer, base)
    hashes = merkle.part(layer, base, index, length)
    uncles = merkle.split(merkle.proof(layer, base, index, length, 99))
    wrong = bytearray(hashes + b"".join(uncles))
    wrong[data.draw(st.integers(0, len(wrong) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    cut = length * DIGEST
    assert not merkle.leads_to(root, bytes(wrong[:cut]), base, index, merkle.split(bytes(wrong[cut:])))
    assert not merkle.leads_to(bytes(32), hashes, base, index, uncles)
    # Elsewhere; with too many uncles, with too few, with others first.
    for other in {index ^ length, index + (length << len(uncles)), index + (2 * length << len(uncles))} - {index}:
        assert not merkle.leads_to(root, hashes, base, other, uncles) or _is_the_same(layer, base, index, other, length)
    assert not merkle.leads_to(root, hashes, base, index, [*uncles, merkle.nothing(base)])
    if uncles:
        assert not merkle.leads_to(root, hashes, base, index, uncles[:-1])
        swapped = [uncles[-1], *uncles[:-1]]
        assert swapped == uncles or not merkle.leads_to(root, hashes, base, index, swapped)


def _is_the_same(layer: bytes, base: int, index: int, other: int, length: int) -> bool:
    top = 1 << merkle.height(len(layer) // DIGEST)
    return other < top and merkle.part(layer, base, index, length) == merkle.part(layer, base, other, length)


def test_a_layer_that_has_its_last_hash_twice() -> None:
    """What is missing counts as nothing, and not as the last hash once more (as in some other trees)."""
    three, twice = [digest_of(i) for i in range(3)], [digest_of(i) for i in (0, 1, 2, 2)]
    assert merkle.root_of(b"".join(three), 0) != merkle.root_of(b"".join(twice), 0)
