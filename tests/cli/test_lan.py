"""One line copied from one computer to the next: real interfaces, in namespaces of their own."""

from __future__ import annotations

import pathlib
import random
import subprocess
import sys

import pytest

from tests.net.lan import Machine, lan

NOTHING_ELSE = ("--no-dht", "--no-lsd", "--no-port-map", "--plain")


def tl(machine: Machine, place: pathlib.Path, *words: str) -> list[str]:
    state = ("--state-dir", str(place / f".{machine.namespace}"))
    return [*machine.prefix, sys.executable, "-m", "torrentlite", *words, *state, *NOTHING_ELSE]


@pytest.mark.interop
@pytest.mark.parametrize("family", ["IPv4 and IPv6", "IPv4", "IPv6"])
def test_a_neighbour_needs_nothing_but_the_link(family: str, tmp_path: pathlib.Path) -> None:
    data = random.Random(1).randbytes(1_000_000)
    (tmp_path / "x.bin").write_bytes(data)
    with lan(2) as (here, there):

        def ip(machine: Machine, *words: str) -> None:
            subprocess.run(["ip", "-n", machine.namespace, *words], check=True, capture_output=True)

        # An interface that leads nowhere, and one of containers.
        for name, address in (("lab0", "172.20.0.1/24"), ("docker0", "172.17.0.1/16")):
            ip(here, "link", "add", name, "type", "bridge")
            ip(here, "link", "set", name, "up")
            ip(here, "addr", "add", address, "dev", name)
        ip(here, "route", "add", "default", "via", "10.79.0.2")
        if family != "IPv4 and IPv6":
            ip(there, "-6" if family == "IPv4" else "-4", "addr", "flush", "dev", "eth0")
        command = tl(here, tmp_path, "seed", str(tmp_path / "x.bin"))
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as seed:
            try:
                assert seed.stdout is not None
                link = seed.stdout.readline().strip()
                peers = [part[5:].rpartition(":")[0] for part in link.split("&") if part.startswith("x.pe=")]
                assert peers == ["10.79.0.1", "172.20.0.1", "[fd79::1]"]
                done = subprocess.run(
                    tl(there, tmp_path, "fetch", link, "-o", str(tmp_path / "down"), "--timeout", "20"),
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert done.returncode == 0, done.stderr
                assert (tmp_path / "down/x.bin").read_bytes() == data
            finally:
                seed.terminate()
