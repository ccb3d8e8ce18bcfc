"""Two at home, each behind a router (the kernel's NAT) that lets in only what answers: nobody can call either by TCP."""

import contextlib
import random
import sys
import time
from collections.abc import Iterator

import pytest

from tests.interop import dhtnodes
from tests.interop.clients import Libtorrent, wait_for
from tests.interop.runs import only, space, tl
from tests.net.lan import Machine, two_homes
from torrentlite.blocking import create

pytestmark = pytest.mark.interop

NODES = 8


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> Iterator[tuple[Machine, Machine, Machine]]:
    log = tmp_path_factory.mktemp("nodes") / "log"
    with two_homes() as machines:
        outside = machines[2]
        command = [sys.executable, dhtnodes.__file__, outside.address, str(NODES)]
        with outside.running(*command, out=log, errors=log):
            wait_for("the DHT", lambda: "listens" in log.read_text())
            yield machines


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("originals") / "film.bin"
    path.write_bytes(random.Random(1).randbytes(20_000_000))
    return path


def test_they_meet_by_the_dht_alone(network, film, tmp_path):
    one, other, outside = network
    bootstrap = ["--bootstrap", f"{outside.address}:{dhtnodes.PORT}"]
    with tl(one, tmp_path, "seed", "seed", film, "--listen", "0", *only("dht"), *bootstrap) as seed:
        link = seed.wait("seeding")["info_hash"]
        began = time.monotonic()
        with tl(other, tmp_path, "fetch", "fetch", link, "-o", tmp_path / "out", *only("dht"), *bootstrap) as fetch:
            fetch.complete()
        print(f"after {time.monotonic() - began:.1f} s")
    assert (tmp_path / "out/film.bin").read_bytes() == film.read_bytes()


def test_they_meet_by_a_peer_that_both_have_called(network, film, tmp_path):
    """BEP 55. It fetches too, at a byte a second, and serves nobody."""
    one, other, outside = network
    torrent = tmp_path / "film.torrent"
    torrent.write_bytes(create(film).encode())
    with tl(outside, tmp_path, "middle", "fetch", torrent, "-o", tmp_path / "middle", *only("pex"),
            "--listen", "6999", "--down", "1", "--up", "1") as middle:  # fmt: skip
        middle.wait("listening")
        peer = ["--peer", f"{outside.address}:6999"]
        with tl(one, tmp_path, "seed", "seed", film, "--listen", "0", *only("pex"), *peer) as seed:
            link = seed.wait("seeding")["info_hash"]
            with tl(other, tmp_path, "fetch", "fetch", link, "-o", tmp_path / "out", *only("pex"), *peer) as fetch:
                fetch.complete()
    assert (tmp_path / "out/film.bin").read_bytes() == film.read_bytes()


@pytest.mark.parametrize("who", ["libtorrent in the middle", "libtorrent at home"])
def test_they_meet_with_the_help_of_libtorrent(network, film, tmp_path, who):
    """It brings two of us together, and it is brought together with one of us."""
    one, other, outside = network
    torrent = tmp_path / "film.torrent"
    torrent.write_bytes(create(film).encode())
    slow = {"download_rate_limit": 10_000, "upload_rate_limit": 10_000}  # of all that it says
    # In the middle it finds those only who are connected to it by uTP: it compares the port.
    eager = ["--utp", "prefer"] if who == "libtorrent in the middle" else []
    flags = ["-o", tmp_path / "out", *only("pex"), "--peer", f"{outside.address}:6999", "--listen", "6881", *eager]
    seed_flags = [*only("pex"), "--peer", f"{outside.address}:6999", "--listen", "6881", *eager]
    with contextlib.ExitStack() as stack:
        if who == "libtorrent in the middle":
            middle = stack.enter_context(
                Libtorrent(space(outside), listen_interfaces=f"{outside.address}:6999", **slow)
            )
            middle.add(torrent, tmp_path / "middle", 1, host=outside.address)
            stack.enter_context(tl(one, tmp_path, "seed", "seed", film, *seed_flags)).wait("seeding")
        else:
            limits = ["--listen", "6999", "--down", "1", "--up", "1"]
            middle = stack.enter_context(
                tl(outside, tmp_path, "middle", "fetch", torrent, "-o", tmp_path / "middle", *only("pex"), *limits)
            )
            middle.wait("listening")
            home = stack.enter_context(Libtorrent(space(one), listen_interfaces=f"{one.address}:6881"))
            handle = home.add(torrent, film.parent)
            handle.connect_peer((outside.address, 6999))
        with tl(other, tmp_path, "fetch", "fetch", torrent, *flags) as fetch:
            fetch.complete()
    assert (tmp_path / "out/film.bin").read_bytes() == film.read_bytes()
