from __future__ import annotations

import random

from hypothesis import given, strategies as st

from torrentlite import limits
from torrentlite.strategy.blame import Blame

TRUTH = [b"t0", b"t1", b"t2", b"t3"]


def spoiled(*indexes: int) -> list[bytes]:
    return [b"x" + digest if index in indexes else digest for index, digest in enumerate(TRUTH)]


def test_who_sent_a_whole_wrong_piece_did_it() -> None:
    blame: Blame[str] = Blame()
    assert blame.wrong(1, spoiled(2), ["a"] * 4) == ["a"]
    assert not blame.parole("a")
    assert not blame.suspects(1)


def test_a_right_copy_tells_who_lied() -> None:
    blame: Blame[str] = Blame()
    assert blame.wrong(1, spoiled(2), ["a", "b", "c", "a"]) == []
    assert [blame.parole(peer) for peer in "abcd"] == [True, True, True, False]
    assert blame.suspects(1)
    assert blame.right(1, TRUTH) == ["c"]
    assert not any(blame.parole(peer) for peer in "abcd")
    assert not blame.suspects(1)


def test_several_liars_in_one_piece() -> None:
    blame: Blame[str] = Blame()
    blame.wrong(1, spoiled(0, 2, 3), ["a", "b", "c", "a"])
    assert blame.right(1, TRUTH) == ["a", "c"]


def test_all_wrong_copies_of_a_piece_are_remembered() -> None:
    blame: Blame[str] = Blame()
    blame.wrong(1, spoiled(0), ["a", "b", "b", "b"])
    blame.wrong(1, spoiled(3), ["c", "c", "c", "d"])
    assert blame.right(1, TRUTH) == ["a", "d"]


def test_a_right_piece_that_was_never_wrong_blames_nobody() -> None:
    blame: Blame[str] = Blame()
    blame.wrong(1, spoiled(0), ["a", "b", "b", "b"])
    assert blame.right(2, TRUTH) == []
    assert blame.parole("b")


def test_parole_ends_with_the_last_open_case() -> None:
    blame: Blame[str] = Blame()
    blame.wrong(1, spoiled(0), ["a", "b", "b", "b"])
    blame.wrong(2, spoiled(0), ["c", "b", "b", "b"])
    blame.right(1, TRUTH)
    assert blame.parole("b")
    blame.right(2, TRUTH)
    assert not blame.parole("b")


def test_a_known_liar_explains_a_wrong_piece() -> None:
    blame: Blame[str] = Blame()
    blame.wrong(1, spoiled(0), ["a", "b", "b", "b"])
    blame.wrong(2, spoiled(0), ["a", "c", "c", "c"])
    blame.wrong(3, spoiled(0, 1, 2, 3), ["a"] * 4)
    assert not blame.parole("b")
    assert not blame.parole("c")
    blame.wrong(4, spoiled(0, 1), ["a", "b", "d", "d"])
    assert not blame.parole("d")
    assert blame.right(4, TRUTH) == ["a", "b"], "but a second liar does not hide behind the first"


def test_who_is_found_out_by_one_piece_explains_the_others() -> None:
    blame: Blame[str] = Blame()
    blame.wrong(1, spoiled(0), ["a", "b", "b", "b"])
    blame.wrong(2, spoiled(0), ["a", "c", "c", "c"])
    assert blame.right(1, TRUTH) == ["a"]
    assert not any(blame.parole(peer) for peer in "abc")
    blame.wrong(3, spoiled(0), ["a", "d", "d", "d"])
    assert not blame.parole("d"), "nor does he bring suspicion on anybody later"


def test_evidence_is_bounded_and_what_is_forgotten_keeps_nobody_on_parole() -> None:
    blame: Blame[int] = Blame()
    blocks = 4096
    digests = [b""] * blocks
    for piece in range(40):
        blame.wrong(piece, digests, [piece] * (blocks - 1) + [1000 + piece])
    kept = [piece for piece in range(40) if blame.suspects(piece)]
    assert kept == list(range(40 - limits.MAX_BLAME_BLOCKS // blocks, 40))
    assert [piece for piece in range(40) if blame.parole(piece)] == kept
    assert [piece for piece in range(40) if blame.parole(1000 + piece)] == kept


def test_copies_of_one_piece_are_bounded() -> None:
    blame: Blame[int] = Blame()
    for copy in range(20):
        blame.wrong(1, spoiled(0), [copy, 100, 100, 100])
    assert blame.right(1, TRUTH) == list(range(20 - limits.MAX_WRONG_COPIES, 20))
    assert blame._blocks == 0
    assert not blame.parole(100)


def test_one_huge_copy_is_kept_whatever_the_bound() -> None:
    blame: Blame[int] = Blame()
    blocks = limits.MAX_BLAME_BLOCKS + 1
    blame.wrong(1, [b"x"] * blocks, [1] * (blocks - 1) + [2])
    assert blame.suspects(1)


def test_known_liars_are_bounded() -> None:
    blame: Blame[int] = Blame()
    for peer in range(limits.MAX_LIARS + 10):
        blame.wrong(peer, spoiled(0), [peer] * 4)
    assert len(blame._liars) == limits.MAX_LIARS


@given(st.integers(0, 1 << 32), st.integers(2, 8), st.floats(0.05, 1.0))
def test_evidence_convicts_exactly_those_who_lied(seed: int, peers: int, lies: float) -> None:
    rng = random.Random(seed)
    blame: Blame[int] = Blame()
    liars: set[int] = set()
    convicted: list[int] = []
    wrong: list[int] = []
    for piece in range(12):
        senders = [rng.randrange(peers) for _ in TRUTH]
        lied = {index for index, sender in enumerate(senders) if sender % 3 == 0 and rng.random() < lies}
        if lied:
            wrong.append(piece)
            liars |= {senders[index] for index in lied}
            convicted += blame.wrong(piece, spoiled(*lied), senders)
    rng.shuffle(wrong)
    for piece in wrong:
        convicted += blame.right(piece, TRUTH)
    assert set(convicted) == liars
    assert not any(blame.parole(peer) for peer in range(peers))
    assert blame._blocks == 0
