"""Machines of one network that find each other with no server at all: local discovery (BEP 14) and PEX (BEP 11)."""

import pathlib
import random

import pytest
import trio

import torrentlite
from tests.interop.runs import only, tl
from tests.net.lan import lan

pytestmark = pytest.mark.interop

ANYWHERE = ("--listen", "0")


@pytest.fixture
def film(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "film.bin"
    path.write_bytes(random.Random(7).randbytes(3_000_000))
    return path


@pytest.mark.parametrize("order", ["seed first", "fetch first"])
def test_found_by_local_discovery_within_five_seconds(tmp_path, film, order, record_property):
    flags = (*ANYWHERE, *only("lsd"))
    with lan(2) as (one, two):
        if order == "seed first":
            with tl(one, tmp_path, "seed", "seed", film, *flags) as seed:
                info_hash = seed.wait("seeding")["info_hash"]
                with tl(two, tmp_path, "fetch", "fetch", info_hash, "-o", tmp_path / "out", *flags) as fetch:
                    assert fetch.complete().keys() <= {"lsd", "incoming"}
                    seconds = fetch.events("complete")[0]["ts"] - fetch.events("listening")[0]["ts"]
        else:
            info_hash = trio.run(torrentlite.create, film).info_hash
            with tl(one, tmp_path, "fetch", "fetch", info_hash, "-o", tmp_path / "out", *flags) as fetch:
                fetch.wait("progress", stage="looking for peers")
                with tl(two, tmp_path, "seed", "seed", film, *flags) as seed:
                    begun = seed.wait("seeding")["ts"]
                    fetch.complete()
                    seconds = fetch.events("complete")[0]["ts"] - begun
        record_property("seconds", seconds)
        assert seconds < 5
        assert (tmp_path / "out/film.bin").read_bytes() == film.read_bytes()


def test_a_seed_that_has_company_calls_whoever_comes_later(tmp_path, film):
    """It announces itself only every five minutes; and who has peers does not ask for more."""
    flags = (*ANYWHERE, *only("lsd"))
    with lan(3) as (one, two, three), tl(one, tmp_path, "seed", "seed", film, *flags) as seed:
        info_hash = seed.wait("seeding")["info_hash"]
        slow = ("fetch", info_hash, *flags, "-d", "50k")
        with tl(two, tmp_path, "slow", *slow, "-o", tmp_path / "slow") as first:
            first.wait("progress", stage="downloading")
            with tl(three, tmp_path, "late", "fetch", info_hash, "-o", tmp_path / "late", *flags) as late:
                late.complete()
                assert first.process.poll() is None, "the other was there all the time"


def test_peers_of_peers(tmp_path, film):
    flags = (*ANYWHERE, *only("pex"))
    with lan(3) as (one, two, three), tl(one, tmp_path, "seed", "seed", film, *flags) as seed:
        info_hash, port = seed.wait("seeding")["info_hash"], seed.wait("listening")["port"]
        known = ("--peer", f"{one.address}:{port}", "-d", "50k", "-o", tmp_path / "one")
        with tl(two, tmp_path, "between", "fetch", info_hash, *flags, *known) as between:
            between.wait("progress", stage="downloading")
            via = f"{two.address}:{between.wait('listening')['port']}"
            with tl(three, tmp_path, "far", "fetch", info_hash, *flags, "--peer", via, "-o", tmp_path / "two") as far:
                assert far.complete() == {"peer": 1, "pex": 1}
            assert between.process.poll() is None
        assert (tmp_path / "two/film.bin").read_bytes() == film.read_bytes()
