"""One web seed: when it is asked again, what it has, and what it is called."""

import random

import pytest

from torrentlite import limits
from torrentlite.errors import ForbiddenAddressError, NetworkError
from torrentlite.net.partial import RefusedError
from torrentlite.strategy.peerlist import RETRY_ANEW
from torrentlite.swarm.webseed import WebSeed, key_for, shown_url
from torrentlite.testing.torrent import made_up_torrent
from torrentlite.wire.address import Scope

RETRY = limits.WEB_SEED_RETRY


def made(url="http://w.example/f"):
    return WebSeed(url, key_for(url, ()), Scope.PUBLIC, connections=4)


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        (NetworkError("no answer"), [*RETRY, RETRY[-1]]),
        (RefusedError("500"), [*RETRY, RETRY[-1]]),
        (RefusedError("404", lasting=True), [*RETRY[limits.WEB_SEED_LASTING :], RETRY[-1]]),
        (ForbiddenAddressError("inside"), [*RETRY[limits.WEB_SEED_LASTING :], RETRY[-1]]),
        (RefusedError("503", retry_after=40.0), [40, 40, 40, 60]),
        (RefusedError("503", retry_after=3600.0), [3600, 3600]),
    ],
)
def test_how_long_it_is_left_alone(error, waits):
    seed, now = made(), 100.0
    for wait in waits:
        seed.failed(error, now)
        assert seed.stats(now).retry_in == wait
        assert not seed.usable(now + wait - 0.1)
        assert seed.usable(now + wait)
        now += wait
    seed.delivered(16384, now)
    assert (seed.failures, seed.message) == (0, "")
    seed.failed(error, now)
    assert seed.stats(now).retry_in == waits[0], "what works counts its failures anew"


def test_it_may_be_asked_sooner_but_not_at_once_nor_against_its_word():
    seed, now = made(), 0.0
    seed.try_again(now)
    assert seed.usable(now)
    for _ in RETRY:
        seed.failed(NetworkError("no answer"), now)
    seed.try_again(now + 1)
    assert seed.stats(now).retry_in == RETRY_ANEW
    seed.try_again(now + 2)
    assert seed.usable(now + RETRY_ANEW)
    now += RETRY_ANEW
    seed.failed(NetworkError("no answer"), now)
    assert seed.stats(now).retry_in == RETRY[-1], "one attempt each"
    seed.try_again(now + 100)
    assert seed.usable(now + 100)
    seed.failed(RefusedError("503", retry_after=1200.0), now)
    seed.try_again(now + 100)
    assert seed.stats(now).retry_in == 1200


def test_a_file_that_it_lacks_costs_its_pieces_for_a_while():
    metainfo, _ = made_up_torrent(random.Random(1), (40_000, 40_000, 40_000), piece_length=16384)
    seed, info = made(), metainfo.info
    assert seed.pieces(info, 0.0) == (1 << 8) - 1
    assert seed.file_failed(info, 1, RefusedError("404", lasting=True), 0.0)
    assert seed.pieces(info, 1.0) == 0b11100011
    assert not seed.file_failed(info, 1, RefusedError("404", lasting=True), 2.0), "that is known"
    assert seed.file_failed(info, 0, RefusedError("404", lasting=True), 2.0)
    assert not seed.file_failed(info, 2, RefusedError("404", lasting=True), 2.0), "then it has none at all"
    assert seed.pieces(info, 100.0) == (1 << 8) - 1, "they may have come by now"


def test_a_server_that_refuses_connections_gets_one_more_now_and_then():
    seed = made()
    seed.fetches = [object(), object()]  # type: ignore[list-item]
    seed.shrink(RefusedError("503"), 10.0)
    assert seed.most == 2
    seed.grow(10.0 + limits.WEB_SEED_GROW - 1)
    assert seed.most == 2
    for _ in range(9):
        seed.grow(10.0 + limits.WEB_SEED_GROW * 100)
    assert seed.most == 3
    seed.without_ranges()
    seed.grow(1e9)
    assert seed.most == 1, "without ranges there is one"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@h.example/a/b%20c.iso?token=abc#x", "https://h.example/a/b%20c.iso?…"),
        ("http://h.example:8080/", "http://h.example:8080/"),
        ("http://[2001:db8::1]/x", "http://[2001:db8::1]/x"),
        ("ftp://user:secret@h.example/x", "h.example/x"),
        ("https://h.example/\u202egnp.exe", "https://h.example/�gnp.exe"),
    ],
)
def test_what_is_shown_has_no_key_in_it(url, shown):
    assert shown_url(url) == shown


def test_two_of_one_name_are_kept_apart():
    keys = []
    for token in "abc":
        keys.append(key_for(f"http://h.example/x?{token}", keys))
    assert keys == ["http://h.example/x?…", "http://h.example/x?… (2)", "http://h.example/x?… (3)"]


def test_what_is_no_url_is_never_asked():
    seed = made("ftp://h.example/x")
    assert seed.dropped
    assert not seed.usable(1e9)
    assert seed.stats(0.0).state == "dropped"


@pytest.mark.parametrize("proven", [False, True])
def test_who_lacks_so_many_files_before_it_sent_anything_has_none(proven):
    most = limits.WEB_SEED_FILES
    metainfo, _ = made_up_torrent(random.Random(1), (40_000,) * (most + 9), piece_length=16384)
    seed, info = made(), metainfo.info
    if proven:
        seed.delivered(16384, 0.0)
    for file in range(most):
        assert seed.file_failed(info, file, RefusedError("404", lasting=True), 0.0)
    assert seed.file_failed(info, most, RefusedError("404", lasting=True), 0.0) is proven
