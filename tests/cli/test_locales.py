"""Where the locale's encoding is not UTF-8: names on the disk have the bytes that they have everywhere else."""

from __future__ import annotations

import hashlib
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

from .running import Place

LOOPBACK = ("--listen", "127.0.0.1:0")
FILES = {"süß/日本.txt": 70_000, "süß/plain": 5, "é": 20_000}


@pytest.fixture(params=["C", "en_US.ISO-8859-1"])
def locale(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> dict[str, str]:
    """What makes Python take the encoding of this locale for names."""
    if request.param != "C":
        made = [shutil.which("localedef") or "", "-i", "en_US", "-f", "ISO-8859-1", str(tmp_path / request.param)]
        if not made[0] or subprocess.run(made, capture_output=True, check=False).returncode:
            pytest.skip("localedef, or what it reads, is missing")
    kept = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "utf-8:backslashreplace"}
    return {"LOCPATH": str(tmp_path), "LC_ALL": request.param, **kept}


def names(folder: pathlib.Path) -> set[bytes]:
    """What lies in a folder, in bytes."""
    found = (os.path.join(above, file) for above, _, files in os.walk(bytes(folder)) for file in files)
    return {os.path.relpath(path, bytes(folder)) for path in found}


def test_what_is_made_shared_and_fetched(place: Place, locale: dict[str, str]) -> None:
    data = {name: place.make_file(f"from/set/{name}", size, seed) for seed, (name, size) in enumerate(FILES.items())}
    assert place.tl("create", "from/set", "-O", "a.torrent").code == 0
    assert place.tl("create", "from/set", "-O", "b.torrent", **locale).code == 0
    verified = place.tl("verify", "b.torrent", "from", **locale)
    assert (verified.code, verified.out) == (0, "all 6 pieces match: 87.9 KiB in from/set\n")
    with place.start("seed", "a.torrent", "-o", "from", *LOOPBACK, "--json", **locale) as seed:
        peer = ("--peer", f"127.0.0.1:{seed.event('listening')['port']}", *LOOPBACK)
        for folder, flags in {"all": (), "some": ("-s", "2")}.items():
            fetched = place.tl("fetch", "a.torrent", "-o", folder, *peer, *flags, **locale)
            assert fetched.code == 0, fetched
        assert fetched.out == f"{place / 'some/set/süß/日本.txt'}\n", "as the system has it"
        digest = hashlib.sha256(data["süß/日本.txt"]).hexdigest()
        for sha256, code in {digest: 0, "0" * 64: 6}.items():
            again = place.tl("fetch", "a.torrent", "-o", "some", "-s", "2", "--sha256", sha256, *peer, **locale)
            assert again.code == code, again
        assert seed.end(signal.SIGTERM).code == 0
    assert names(place / "all/set") == set(map(str.encode, FILES))
    assert names(place / "some/set") == {"süß/日本.txt".encode()}
    assert place.tl("verify", "a.torrent", "all").code == 0, "under the usual one"


def test_a_torrent_of_that_name(place: Place, locale: dict[str, str]) -> None:
    data = place.make_file("from/日本.bin", 100_000)
    assert place.tl("create", "from/日本.bin", "-O", "a.torrent").code == 0
    with place.start("seed", "a.torrent", "-o", "from", *LOOPBACK, "--json", **locale) as seed:
        peer = ("--peer", f"127.0.0.1:{seed.event('listening')['port']}", *LOOPBACK)
        fetched = place.tl("fetch", "a.torrent", "-o", "down", *peer, **locale)
        assert (fetched.code, fetched.out) == (0, f"{place / 'down/日本.bin'}\n")
        assert seed.end(signal.SIGTERM).code == 0
    assert (place / "down/日本.bin").read_bytes() == data


def test_original_names(place: Place, locale: dict[str, str]) -> None:
    """One that is no UTF-8, and one that is not safe: there they are looked for as they are."""
    folder = bytes(place / "from")
    os.mkdir(folder)
    for name in (b"\xfcber", "aux.日本".encode()):
        pathlib.Path(os.fsdecode(os.path.join(folder, name))).write_bytes(name)
    assert place.tl("create", "from", "-O", "a.torrent", **locale).code == 0
    verified = place.tl("verify", "a.torrent", "from", **locale)
    assert (verified.code, verified.out) == (0, "all 1 piece match: 14 B in from\n")
    seeded = place.tl("seed", "a.torrent", "--seed-time", "0", *LOOPBACK, **locale)
    assert seeded.code == 0, seeded
