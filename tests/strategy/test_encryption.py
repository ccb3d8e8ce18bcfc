"""How peers are called, and what is agreed on with them."""

import itertools
from typing import get_args

import pytest

from torrentlite.settings import Encryption
from torrentlite.strategy.encryption import EncryptionPolicy
from torrentlite.wire import rc4
from torrentlite.wire.mse import Method

BOTH = Method.PLAIN | Method.RC4
WISHES = get_args(Encryption)


@pytest.fixture(autouse=True, params=[True, False], ids=["with the library", "without"])
def library(request, monkeypatch):
    monkeypatch.setattr(rc4, "is_fast", lambda: request.param)
    return request.param


def calls(wish, takes, rounds):
    """How a peer that takes these connections is called, attempt by attempt, with whether it answered."""
    policy, known, met, made = EncryptionPolicy(wish), None, False, []
    for full in rounds:
        attempts = []
        for encrypted in policy.attempts(known):
            answered = encrypted in takes and not full
            attempts.append(encrypted)
            if answered:
                known, met = encrypted, True
                break
        else:
            known, met = policy.unanswered(known, met=met), False
        made.append(attempts)
    return made


@pytest.mark.parametrize(
    ("wish", "takes", "made"),
    [
        ("allow", [False, True], [[False], [False], [False]]),
        ("allow", [False], [[False], [False], [False]]),
        ("allow", [True], [[False, True], [True], [True]]),
        ("allow", [], [[False, True], [False], [True], [False]]),
        ("prefer", [False, True], [[True], [True], [True]]),
        ("prefer", [False], [[True, False], [False], [False]]),
        ("prefer", [], [[True, False], [True], [False], [True]]),
        ("require", [False], [[True], [True], [True]]),
        ("off", [True], [[False], [False], [False]]),
    ],
)
def test_how_a_peer_is_called(wish, takes, made):
    assert calls(wish, takes, [False] * len(made)) == made


def test_one_that_was_full_is_called_in_its_own_way_again():
    full = [False, True, True, True, True, False, False]
    assert calls("allow", [False], full) == [[False], [False], [False, True], [False], [True], [False], [False]]
    assert calls("allow", [True], [False, True, False, False]) == [[False, True], [True], [False, True], [True]]


@pytest.mark.parametrize(("ours", "theirs"), list(itertools.product(WISHES, WISHES)))
def test_two_with_the_same_wishes_or_others_find_a_way_if_there_is_one(ours, theirs, library):
    one, two = EncryptionPolicy(ours), EncryptionPolicy(theirs)
    if not library and "require" in (ours, theirs):
        return  # such a session is not opened
    ways = [
        encrypted
        for encrypted in one.attempts(None)
        if (two.takes_encrypted and two.choose(one.offered) is not None if encrypted else two.takes_plain)
    ]
    assert bool(ways) == ({ours, theirs} != {"off", "require"})
    if ways and "require" in (ours, theirs):
        assert ways == [True]
        assert two.choose(one.offered) is Method.RC4


@pytest.mark.parametrize(
    ("wish", "offered", "with_library", "without_it"),
    [
        ("allow", BOTH, Method.PLAIN, Method.PLAIN),
        ("allow", Method.RC4, Method.RC4, None),
        ("prefer", BOTH, Method.RC4, Method.PLAIN),
        ("prefer", Method.PLAIN, Method.PLAIN, Method.PLAIN),
        ("require", BOTH, Method.RC4, None),
        ("require", Method.PLAIN, None, None),
        ("allow", Method(0), None, None),
    ],
)
def test_what_is_chosen(wish, offered, with_library, without_it, library):
    assert EncryptionPolicy(wish).choose(offered) is (with_library if library else without_it)


def test_what_is_offered(library):
    offered = [EncryptionPolicy(wish).offered for wish in ("allow", "prefer", "require")]
    assert offered == ([BOTH, Method.RC4, Method.RC4] if library else [Method.PLAIN, Method.PLAIN, Method(0)])
