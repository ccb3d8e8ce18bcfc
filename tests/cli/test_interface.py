"""``--interface`` as a person meets it."""

from __future__ import annotations

import socket
import sys

import pytest

from torrentlite.net import addresses

from .running import Place

HASH = "ab" * 20
URL = "http://127.0.0.1:2/x.torrent"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has it")


@pytest.mark.parametrize("name", ["a/b", "a b", " ", "x" * 16])
def test_what_no_interface_is_called_is_bad_usage(place: Place, name: str) -> None:
    for words, variables in ((("--interface", name), {}), ((), {"TL_INTERFACE": name})):
        result = place.tl("fetch", HASH, *words, **variables)
        assert (result.code, result.out) == (2, "")
        assert f"{name!r}: an interface has a name of at most 15 bytes" in result.err


@pytest.mark.parametrize("words", [("fetch", HASH), ("seed", "film.bin"), ("info", URL), ("magnet", URL), ("peers", HASH),
                                   ("dht", "lookup", HASH), ("dht", "node"), ("doctor",)])  # fmt: skip
def test_one_that_is_not_there(place: Place, words: tuple[str, ...]) -> None:
    place.make_file("film.bin", 1000)
    result = place.tl(*words, "--json", TL_INTERFACE="tl-nowhere")
    assert result.code == 7
    error = next(event for event in result.events if event["event"] == "error")
    assert error["message"] == "there is no network interface tl-nowhere"
    assert error["hint"] == "there are: " + ", ".join(name for _, name in socket.if_nameindex())


def test_the_command_line_takes_back_what_the_environment_says(place: Place) -> None:
    result = place.tl("info", URL, "--interface", "", TL_INTERFACE="tl-nowhere")
    assert "Connection refused" in result.err


def test_an_address_that_it_does_not_have(place: Place) -> None:
    result = place.tl("fetch", HASH, "--interface", "lo", "--listen", "192.0.2.77:0")
    assert (result.code, result.err.splitlines()[0]) == (7, "tl: the network interface lo has no address 192.0.2.77")


def test_a_link_names_its_addresses_only() -> None:
    assert "127.0.0.1" in addresses.machine_addresses("lo")
    assert set(addresses.machine_addresses("lo")) <= {"127.0.0.1", "::1"}
    assert addresses.machine_addresses("tl-nowhere") == []
    assert addresses.reachable_at(["0.0.0.0", "::"], "tl-nowhere") == []
