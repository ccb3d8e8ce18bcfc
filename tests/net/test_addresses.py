from __future__ import annotations

import ipaddress

import pytest

from torrentlite.net import addresses


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "192.168.7.7", "2001:db8::1"])
def test_a_listener_on_one_address_is_reached_there(host: str) -> None:
    assert addresses.reachable_at([host]) == [host]


def test_all_interfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ["127.0.0.1", "::1", "fe80::1", "2600::5", "10.1.2.3", "169.254.3.3", "fd00::1", "192.168.1.2"]
    monkeypatch.setattr(addresses, "machine_addresses", lambda _: found)
    monkeypatch.setattr(addresses, "default_sources", lambda _: [])
    assert addresses.reachable_at(["::", "0.0.0.0"]) == ["10.1.2.3", "192.168.1.2", "2600::5", "fd00::1"]
    assert addresses.reachable_at(["0.0.0.0"]) == ["10.1.2.3", "192.168.1.2"]
    assert addresses.reachable_at(["127.0.0.1", "::1"]) == ["127.0.0.1", "::1"]


def test_a_link_stays_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "machine_addresses", lambda _: [f"10.0.0.{number}" for number in range(1, 100)])
    assert len(addresses.reachable_at(["0.0.0.0"])) == 8
    many = [f"10.0.0.{number}" for number in range(1, 100)] + [f"fd00::{number}" for number in range(1, 100)]
    monkeypatch.setattr(addresses, "machine_addresses", lambda _: many)
    monkeypatch.setattr(addresses, "default_sources", lambda _: ["10.0.0.50", "fd00::50"])
    assert addresses.reachable_at(["::", "0.0.0.0"]) == [
        "10.0.0.50", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "fd00::50", "fd00::1",
    ]  # fmt: skip
    assert addresses.reachable_at(["::"])[0] == "fd00::50"
    assert len(addresses.reachable_at(["::"])) == 8


def test_this_machine_knows_its_addresses() -> None:
    found = addresses.machine_addresses()
    assert "127.0.0.1" in found
    assert len(found) == len(set(found))
    for each in found:
        ipaddress.ip_address(each)
