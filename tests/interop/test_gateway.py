"""A session at home, behind a real gateway (Debian's miniupnpd and the kernel's NAT), is called from outside."""

import random
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.interop.runs import only, script, tl
from tests.net.lan import OUTSIDE, Machine
from tests.net.portmap.test_miniupnpd import gateway_at_home

pytestmark = pytest.mark.interop

KNOCK = f"""
import socket, sys
try:
    socket.create_connection(({OUTSIDE!r}, int(sys.argv[1])), 3)
except OSError as error:
    print("closed", error)
"""


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> Iterator[tuple[Machine, Machine, Machine]]:
    with gateway_at_home(tmp_path_factory.mktemp("miniupnpd")) as machines:
        yield machines


@pytest.mark.parametrize(("protocol", "name"), [("pcp", "PCP"), ("natpmp", "NAT-PMP"), ("upnp", "UPnP")])
def test_a_seed_behind_a_router_is_reached_and_the_port_closed_when_it_leaves(network, tmp_path, protocol, name):
    home, _, outside = network
    film = tmp_path / "film.bin"
    film.write_bytes(random.Random(protocol).randbytes(500_000))
    command = script("-m", "tests.interop.one_protocol", protocol)
    with tl(home, tmp_path, "seed", "seed", film, "--listen", "0", *only("port-map"), command=command) as seed:
        info_hash = seed.wait("seeding")["info_hash"]
        mapped = seed.wait("port_map", state="mapped")
        assert (mapped["protocol"], mapped["external_host"]) == (name, OUTSIDE)
        peer = ("--peer", f"{OUTSIDE}:{mapped['port']}")
        with tl(outside, tmp_path, "fetch", "fetch", info_hash, "-o", tmp_path / "out", *only(), *peer) as fetch:
            fetch.complete()
        assert (tmp_path / "out/film.bin").read_bytes() == film.read_bytes()
    knock = [*outside.prefix, sys.executable, "-c", KNOCK, str(mapped["port"])]
    done = subprocess.run(knock, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("closed"), "the port was closed on leaving"


def test_without_port_mapping_nobody_is_let_in(network, tmp_path):
    home, _, outside = network
    film = tmp_path / "film.bin"
    film.write_bytes(bytes(1000))
    with tl(home, tmp_path, "seed", "seed", film, "--listen", "0", *only()) as seed:
        port = seed.wait("listening")["port"]
        seed.wait("seeding")
        assert not seed.events("port_map")
        knock = [*outside.prefix, sys.executable, "-c", KNOCK, str(port)]
        assert subprocess.run(knock, capture_output=True, text=True, check=True).stdout.startswith("closed")
