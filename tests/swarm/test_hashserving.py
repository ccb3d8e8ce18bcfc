"""What a peer that asks for hashes is told (BEP 52)."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, strategies as st

from tests.swarm.layers import layers_of
from torrentlite.limits import HASHES_ASKED, LEAVES_ASKED
from torrentlite.metainfo import merkle
from torrentlite.metainfo.merkle import DIGEST
from torrentlite.swarm.hashserving import HashServer
from torrentlite.wire.messages import Hashes, HashRequest, uncle_count

BASE = 2
COUNTS = (2, 3, 4, 5, 100, 511, 512, 513, 514, 1024, 1025, 1500, 5000)
LAYERS = layers_of(COUNTS, BASE)
ROOTS = dict(zip(COUNTS, LAYERS, strict=True))


def server(base: int = BASE) -> HashServer:
    return HashServer(LAYERS.get, base)


def proven(answer: Hashes) -> bool:
    """Whether the answer leads to the root, as it does when all uncles were asked for."""
    cut = answer.length * DIGEST
    uncles = merkle.split(answer.hashes[cut:])
    assert len(uncles) == uncle_count(answer.length, answer.proofs)
    return merkle.leads_to(answer.root, answer.hashes[:cut], answer.base, answer.index, uncles)


@given(st.sampled_from(COUNTS), st.data())
def test_any_part_of_any_layer_with_any_proof(count: int, data: st.DataObject) -> None:
    top = merkle.height(count)
    rise = data.draw(st.integers(0, min(9, top)))
    index = data.draw(st.integers(0, (1 << top - rise) - 1)) << rise
    proofs = data.draw(st.integers(0, top - 1))
    root = ROOTS[count]
    served = server()
    whole = served.answer(HashRequest(root, BASE, index, 1 << rise, top - 1))
    assert whole is not None
    assert proven(whole)
    assert whole.hashes[: DIGEST << rise] == merkle.part(LAYERS[root], BASE, index, 1 << rise)
    answer = served.answer(HashRequest(root, BASE, index, 1 << rise, proofs))
    assert answer is not None
    assert whole.hashes.startswith(answer.hashes)
    assert len(answer.hashes) == DIGEST * ((1 << rise) + uncle_count(1 << rise, proofs))
    assert served.answer(HashRequest(root, BASE, index, 1 << rise, top)) is None


R = ROOTS[1500]


@pytest.mark.parametrize(
    "request_",
    [
        HashRequest(b"?" * 32, BASE, 0, 512, 10),
        HashRequest(R, 0, 0, 512, 10),
        HashRequest(R, BASE + 1, 0, 512, 9),
        HashRequest(R, BASE, 2048, 512, 10),
        HashRequest(R, BASE, 2**32 - 512, 512, 10),
        HashRequest(R, BASE, 0, 0, 10),
        HashRequest(R, BASE, 0, 3, 10),
        HashRequest(R, BASE, 3, 3, 10),
        HashRequest(R, BASE, 256, 512, 10),
        HashRequest(R, BASE, 1, 2, 10),
        HashRequest(R, BASE, 0, 2 * HASHES_ASKED, 10),
        HashRequest(R, BASE, 0, 2**31, 10),
        HashRequest(R, BASE, 0, 512, 11),
        HashRequest(R, BASE, 0, 512, 2**32 - 1),
        HashRequest(ROOTS[2], BASE, 0, 2, 1),
        HashRequest(ROOTS[3], BASE, 0, 8, 1),
        HashRequest(ROOTS[3], BASE, 4, 2, 1),
    ],
    ids=repr,
)
def test_what_is_rejected(request_: HashRequest) -> None:
    assert server().answer(request_) is None


def test_the_longest() -> None:
    answer = server().answer(HashRequest(R, BASE, 1024, HASHES_ASKED, 10))
    assert answer is not None
    assert len(answer.hashes) == DIGEST * (HASHES_ASKED + 2)
    assert answer.hashes[476 * DIGEST : 512 * DIGEST] == merkle.nothing(BASE) * 36, "beyond the end of the file"


def test_a_view_will_do() -> None:
    request = HashRequest(R, BASE, 512, 256, 10)
    assert HashServer(lambda root: memoryview(LAYERS[root]), BASE).answer(request) == server().answer(request)


def test_the_tree_above_is_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    served, request = server(), HashRequest(R, BASE, 512, HASHES_ASKED, 10)
    first = served.answer(request)

    def never(*_: object) -> bytes:
        raise AssertionError("a layer is lifted again")

    monkeypatch.setattr(merkle, "root_of", never)
    asked = []
    lift = merkle.lift
    monkeypatch.setattr(merkle, "lift", lambda layer, *rest: asked.append(len(layer)) or lift(layer, *rest))
    assert served.answer(request) == first
    assert sum(asked) <= 2 * DIGEST * HASHES_ASKED


# -- the hashes of blocks ----------------------------------------------------------------------------------------------


def blocks_of(count: int, base: int) -> tuple[list[bytes], bytes, bytes]:
    """Hashes of the blocks of each piece of a file of so many blocks, the piece layer, and the root."""
    leaves = random.Random(count).randbytes(DIGEST * count)
    size = DIGEST << base
    pieces = [leaves[at : at + size] for at in range(0, len(leaves), size)]
    return pieces, merkle.lift(leaves, 0, base), merkle.root_of(leaves, 0)


@pytest.mark.parametrize(("count", "base"), [(8, 2), (9, 2), (20, 1), (21, 1), (100, 5), (1500, 1), (5000, 3)])
def test_the_blocks_of_a_piece(count: int, base: int) -> None:
    pieces, layer, root = blocks_of(count, base)
    served = HashServer({root: layer}.get, base)
    top = merkle.height(count)
    for piece in {0, 1, len(pieces) // 2, len(pieces) - 1}:
        for proofs in range(top):
            request = HashRequest(root, 0, piece << base, 1 << base, proofs)
            assert served.piece_of(request) == piece
            answer = served.leaf_answer(request, pieces[piece])
            assert answer is not None
            assert answer.hashes.startswith(pieces[piece])
            assert proven(answer) is (proofs == top - 1)
        assert served.leaf_answer(HashRequest(root, 0, piece << base, 1 << base, top), pieces[piece]) is None
        wrong = pieces[piece][:-1] + bytes([pieces[piece][-1] ^ 1])
        assert served.leaf_answer(request, wrong) is None, "blocks that are not those of the torrent"
        assert served.leaf_answer(request, b"") is None


def test_blocks_that_are_not_to_be_had() -> None:
    pieces, layer, root = blocks_of(9, 2)  # three pieces, so that the tree has room for a fourth
    served = HashServer({root: layer}.get, 2)
    good = HashRequest(root, 0, 8, 4, 3)
    assert served.piece_of(good) == 2
    for wrong in (
        HashRequest(b"?" * 32, 0, 8, 4, 3),
        HashRequest(root, 2, 0, 4, 1),
        HashRequest(root, 1, 0, 4, 2),
        HashRequest(root, 0, 12, 4, 3),
        HashRequest(root, 0, 16, 4, 3),
        HashRequest(root, 0, 2, 4, 3),
        HashRequest(root, 0, 8, 2, 3),
        HashRequest(root, 0, 8, 8, 3),
        HashRequest(root, 0, 8, 0, 3),
        HashRequest(root, 0, 8, 4, 4),
    ):
        assert served.piece_of(wrong) is None, wrong
        assert served.leaf_answer(wrong, pieces[2]) is None
    assert HashServer({root: merkle.leaves(b"")}.get, 0).piece_of(HashRequest(root, 0, 0, 1, 0)) is None


@pytest.mark.parametrize("size", [LEAVES_ASKED, 2 * LEAVES_ASKED])
def test_pieces_of_too_many_blocks(size: int) -> None:
    base = merkle.height(size)
    layer = bytes(2 * DIGEST)
    served = HashServer({b"r": layer}.get, base)
    assert served.piece_of(HashRequest(b"r", 0, size, size, 3)) == (1 if size == LEAVES_ASKED else None)


NUMBERS = st.sampled_from([0, 1, 2, 3, 4, 8, 9, 10, 11, 12, 256, 512, 1024, 2**31, 2**32 - 1]) | st.integers(
    0, 2**32 - 1
)


@given(st.sampled_from([*LAYERS, b"?" * 32]), st.sampled_from([0, BASE, BASE + 1]), *[NUMBERS] * 3)
def test_any_request_gets_a_right_answer_or_none(root: bytes, base: int, index: int, length: int, proofs: int) -> None:
    request = HashRequest(root, base, index, length, proofs)
    served = server()
    answer = served.answer(request)
    if answer is not None:
        assert answer.request == request
        assert len(answer.hashes) == DIGEST * (length + uncle_count(length, proofs))
    piece = served.piece_of(request)
    assert piece is None or piece < len(LAYERS[root]) // DIGEST
    assert served.leaf_answer(request, bytes(DIGEST)) is None
