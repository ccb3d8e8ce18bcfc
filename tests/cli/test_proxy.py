"""``--proxy`` as a person meets it: what is refused, what is said, and that its absence is no way round."""

from __future__ import annotations

import pytest

import torrentlite

from .running import Place

NOWHERE = "socks5://me:secret7@127.0.0.1:1"
HASH = "ab" * 20


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "127.0.0.1:1080", "socks5://", "socks5://h:99999"])
def test_what_is_no_proxy_is_bad_usage(place: Place, url: str) -> None:
    result = place.tl("fetch", HASH, "--proxy", url)
    assert (result.code, result.out) == (2, "")
    assert "--proxy: that is no proxy" in result.err


@pytest.mark.parametrize("url", ["http://me:secret7@h", "socks5://me:secret7@h:99999", "socks5://me:secret7/@h"])
def test_a_password_is_not_said(place: Place, url: str) -> None:
    for words, variables in ((("--proxy", url), {}), ((), {"TL_PROXY": url})):
        result = place.tl("fetch", HASH, *words, **variables)
        assert (result.code, result.out) == (2, "")
        assert "that is no proxy" in result.err
        assert "secret7" not in result.err
    assert "secret7" not in repr(torrentlite.Settings(proxy=NOWHERE))


def test_a_scheme_in_capitals_and_a_blank_are_no_trouble(place: Place) -> None:
    result = place.tl("magnet", "http://127.0.0.1:2/x.torrent", "--json", "--proxy", " SOCKS5://127.0.0.1:1")
    assert result.code == 7
    assert result.events[-1]["kind"] == "network"
    assert "the proxy socks5://127.0.0.1:1 cannot be reached" in result.events[-1]["message"]


@pytest.mark.parametrize("words", [("dht", "lookup", HASH), ("dht", "node"), ("doctor",),
                                   ("info", "magnet:?xs=urn:btpk:" + "ab" * 32)])  # fmt: skip
def test_what_no_proxy_carries_is_refused_and_not_done_without_it(place: Place, words: tuple[str, ...]) -> None:
    result = place.tl(*words, TL_PROXY=NOWHERE)
    assert (result.code, result.out) == (2, "")
    assert "no proxy carries" in result.err
    assert "--proxy ''" in result.err


def test_a_proxy_that_is_not_there_is_the_reason(place: Place) -> None:
    result = place.tl("fetch", HASH, "--peer", "127.0.0.1:2", "--timeout", "1s", TL_PROXY=NOWHERE)
    assert result.code == 3
    assert "the proxy socks5://127.0.0.1:1 cannot be reached" in result.err
    assert "look at --proxy" in result.err
    assert "secret7" not in result.err
    for words in (("info", "http://127.0.0.1:2/x.torrent"), ("magnet", "http://127.0.0.1:2/x.torrent"),
                  ("peers", HASH, "-t", "http://127.0.0.1:2/announce")):  # fmt: skip
        result = place.tl(*words, "--proxy", NOWHERE)
        assert result.code in (3, 7)
        assert "the proxy socks5://127.0.0.1:1 cannot be reached" in result.err + result.out
        assert "doctor" not in result.err


def test_who_shares_with_nobody_to_call_is_told(place: Place) -> None:
    place.make_file("film.bin", 100_000)
    with place.start("seed", "film.bin", "--proxy", NOWHERE) as run:
        run.wait_for_words("nobody can call us, and no tracker tells us whom to call")
    with place.start("seed", "film.bin", "--proxy", NOWHERE, "--json") as run:
        assert "x.pe" not in run.event("seeding")["magnet"]
