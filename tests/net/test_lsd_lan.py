"""Local discovery between machines: network namespaces around a bridge, IPv4 and IPv6, with libtorrent among them."""

import contextlib
import hashlib
import json
import pathlib
import sys

import pytest

from tests.interop.clients import wait_for
from tests.net.lan import Machine, lan

pytestmark = pytest.mark.interop

ONE, TWO, THREE = (hashlib.sha1(text).hexdigest() for text in (b"one", b"two", b"three"))
SCRIPT = pathlib.Path(__file__).with_name("neighbour.py")


class Neighbour:
    """A program on one machine of the LAN."""

    def __init__(self, machine: Machine, work: pathlib.Path, kind: str, port: int, *hashes: str) -> None:
        self.machine = machine
        self.out = work / f"{machine.address}.json"
        self.errors = work / f"{machine.address}.log"
        self.command = [sys.executable, str(SCRIPT), kind, str(port), str(work), *hashes]

    @contextlib.contextmanager
    def running(self):
        with self.machine.running(*self.command, out=self.out, errors=self.errors) as process:
            self.process = process
            wait_for(f"{self.command[2]} at {self.machine.address}", lambda: "null" in self.said(), process=process)
            yield self

    def said(self) -> list[str]:
        return self.out.read_text().rpartition("\n")[0].splitlines()

    def found(self) -> set[tuple[str, str, int]]:
        return {tuple(json.loads(line)) for line in self.said() if line != "null"}

    def wait_for(self, *peers: tuple[str, str, int]) -> None:
        wait_for(f"{peers} at {self.machine.address}", lambda: set(peers) <= self.found(), process=self.process)


def test_machines_of_a_lan_hear_of_each_other(tmp_path):
    with lan(3) as (first, second, third), contextlib.ExitStack() as stack:
        start = stack.enter_context
        one = start(Neighbour(first, tmp_path, "tl", 6001, ONE, TWO).running())
        two = start(Neighbour(second, tmp_path, "tl", 6002, TWO, THREE).running())
        # Whoever comes later is heard of by those who are there; so each pair meets.
        one.wait_for((TWO, "10.79.0.2", 6002), (TWO, "fd79::2", 6002))
        start(Neighbour(third, tmp_path, "tl", 6003, ONE).running())
        one.wait_for((ONE, "10.79.0.3", 6003), (ONE, "fd79::3", 6003))
        assert {info_hash for info_hash, _, _ in one.found()} == {ONE, TWO}
        assert two.found() <= {(TWO, "10.79.0.1", 6001), (TWO, "fd79::1", 6001)}, "it does not share what the third has"


@pytest.mark.parametrize("order", ["ours first", "theirs first"])
def test_with_libtorrent(tmp_path, order):
    pytest.importorskip("libtorrent")
    with lan(2) as (first, second), contextlib.ExitStack() as stack:
        neighbours = [
            Neighbour(first, tmp_path, "tl", 6001, ONE),
            Neighbour(second, tmp_path, "libtorrent", 6002, ONE),
        ]
        if order == "theirs first":
            neighbours.reverse()
        for neighbour in neighbours:
            stack.enter_context(neighbour.running())
        if order == "ours first":
            neighbours[0].wait_for((ONE, "10.79.0.2", 6002))
        else:
            neighbours[0].wait_for((ONE, "10.79.0.1", 6001))
