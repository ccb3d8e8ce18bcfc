"""nginx as a web seed, for us and for libtorrent."""

import dataclasses
import pathlib
import random
import subprocess

import pytest
import trio

import torrentlite as tl
from benchmarks.nginx import nginx, nginx_program
from tests.interop.clients import TL, Libtorrent, missing, wait_for
from tests.interop.datasets import make_dataset

pytestmark = pytest.mark.interop

MIB = 1 << 20

# What can be had below /NAME/: the same files, each time in another way.
WAYS = """
location /whole/ { alias %(root)s/; max_ranges 0; }
location /one/ { alias %(root)s/; limit_conn connections 1; limit_conn_status 503; }
location ~ ^/there/(.*)$ { return 302 /$1; }
location ~ ^/loop/(.*)$ { return 301 /loop/$1; }
location /slow/ { alias %(root)s/; limit_rate 2m; }
location /drips/ { alias %(root)s/; limit_rate 200; }
location /packed/ { alias %(root)s/; gzip on; gzip_types *; gzip_min_length 1; }
location /busy/ { add_header Retry-After 3600 always; return 503; }
location /unsatisfied/ { return 416; }
location /hangs-up/ { return 444; }
location /wrong/ { alias %(root)s/wrong/; }
location /longer/ { alias %(root)s/longer/; }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A file, a folder, and two files of the same name that are others."""
    root = tmp_path_factory.mktemp("www")
    rng = random.Random(7)
    (root / "disk.img").write_bytes(rng.randbytes(9 * MIB + 4321))
    (root / "photos" / "ein Ordner").mkdir(parents=True)
    for name, size in (("a.jpg", 300_000), ("ein Ordner/ü#?.jpg", 700_001), ("empty", 0), ("z", 5)):
        (root / "photos" / name).write_bytes(rng.randbytes(size))
    for name, change in (("wrong", b""), ("longer", b"x")):
        (root / name).mkdir()
        (root / name / "disk.img").write_bytes(bytes(9 * MIB + 4321) + change)
    return root


@pytest.fixture(scope="module")
def url(folder, tmp_path_factory):
    if nginx_program() is None:
        missing("nginx")
    work = tmp_path_factory.mktemp("nginx")
    zone = "limit_conn_zone $server_name zone=connections:1m;"
    with nginx(folder, work, server=WAYS % {"root": folder}, http=zone) as url:
        yield url


def made(path, **options):
    return trio.run(lambda: tl.create(path, piece_length=128 << 10, **options))


def fetch(metainfo, to, *urls, seconds=60.0):
    """Fetch from these alone, and look at them."""

    async def run():
        async with tl.open_session(tl.Settings(host="127.0.0.1", dht=False)) as session:
            torrent = session.add(dataclasses.replace(metainfo, origin=None), to, web_seeds=urls)
            with trio.fail_after(seconds):
                await torrent.wait_complete()
            assert session.stats().internal_errors == 0
            return torrent.web_seeds(), torrent.stats()

    return trio.run(run)


def same(folder: pathlib.Path, to: pathlib.Path, name: str) -> bool:
    """Whether the file or folder is there, byte for byte."""
    return subprocess.run(["diff", "-r", folder / name, to / name], check=False).returncode == 0


@pytest.mark.parametrize("way", ["", "whole/", "one/", "there/", "slow/"])
def test_one_file(folder, url, tmp_path, way):
    metainfo = made(folder / "disk.img")
    (look,), stats = fetch(metainfo, tmp_path, url + way)
    assert same(folder, tmp_path, "disk.img")
    assert look.ranges == (way != "whole/")
    assert (stats.hash_failures, stats.downloaded - stats.wasted) == (0, metainfo.total)
    assert look.failures == 0


@pytest.mark.parametrize("way", ["", "whole/"])
def test_a_folder_with_names_of_all_kinds(folder, url, tmp_path, way):
    metainfo = made(folder / "photos")
    fetch(metainfo, tmp_path, url + way)
    assert same(folder, tmp_path, "photos")


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("wrong/", "it sent wrong data"),
        ("longer/", "its file has"),
        ("nothing/", "it answers 404 (Not Found)"),
        ("unsatisfied/", "it answers 416"),
        ("busy/", "it answers 503 (Service Unavailable)"),
        ("loop/", "more than 5 redirects"),
        ("hangs-up/", "hung up"),
        ("drips/", ""),
    ],
)
def test_a_bad_mirror_beside_a_good_one(folder, url, tmp_path, way, words):
    metainfo = made(folder / "disk.img")
    (bad, good), stats = fetch(metainfo, tmp_path, f"{url}{way}disk.img", f"{url}slow/disk.img")
    assert same(folder, tmp_path, "disk.img")
    assert words in bad.message
    assert (bad.state == "dropped") == (way == "wrong/")
    assert good.downloaded
    if way == "drips/":
        assert bad.downloaded < 2 * 128 * 1024, "it did drip"
    assert stats.hash_failures == 0 or way == "wrong/"


@pytest.mark.parametrize("kind", ["folder", "padded", "hybrid"])
@pytest.mark.parametrize("server", ["", "max_ranges 0;"], ids=["ranges", "no ranges"])
def test_what_libtorrent_made_with_padding_and_odd_names(tmp_path, kind, server):
    """No server has the pad files, and nobody asks for them."""
    if nginx_program() is None:
        missing("nginx")
    dataset = make_dataset(kind, "nginx", tmp_path)
    with nginx(dataset.root.parent, tmp_path / "nginx", server=server) as url:
        out = tmp_path / "out"
        out.mkdir()
        (look,), _ = fetch(dataset.metainfo, out, url)
        assert same(dataset.root.parent, out, dataset.root.name)
    log = (tmp_path / "nginx" / "access.log").read_text()
    assert "GET /" in log
    assert ".pad" not in log
    assert " 404 " not in log
    assert (look.failures, look.message) == (0, "") or server


def test_the_command(folder, url, tmp_path):
    """``tl create -w``, ``tl fetch -w``, ``--sha256``, right and wrong."""
    torrent = tmp_path / "disk.torrent"
    digest = subprocess.run(["sha256sum", folder / "disk.img"], capture_output=True, text=True).stdout[:64]
    state = ["--state-dir", str(tmp_path / "state")]

    def run(*words):
        return subprocess.run([*TL, *map(str, words), *state], capture_output=True, text=True, timeout=60)

    assert run("create", folder / "disk.img", "-w", f"{url}disk.img", "-O", torrent).returncode == 0
    common = ("--listen", "127.0.0.1:0", "--no-dht", "--timeout", "30s")
    refused = run("fetch", torrent, "-o", tmp_path, "--listen", "127.0.0.1:0", "--no-dht", "--timeout", "1s")
    assert refused.returncode == 3
    assert "loopback" in refused.stderr, "what a torrent names does not lead to this machine"
    right = run("fetch", torrent, "-o", tmp_path, "-w", f"{url}disk.img", "--sha256", f"sha256:{digest}", *common)
    assert right.returncode == 0, right.stderr
    assert right.stdout == f"{tmp_path / 'disk.img'}\n"
    assert same(folder, tmp_path, "disk.img")
    # It lies there already: another checksum is an error, and moves nothing.
    again = run("fetch", torrent, "-o", tmp_path, "--sha256", "0" * 64, *common)
    assert (again.returncode, again.stdout) == (6, "")
    assert digest in again.stderr
    assert (tmp_path / "disk.img").exists()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    wrong = run("fetch", torrent, "-o", elsewhere, "-w", f"{url}disk.img", "--sha256", "0" * 64, *common)
    assert (wrong.returncode, wrong.stdout) == (6, "")
    assert [path.name for path in elsewhere.iterdir()] == ["disk.img.wrong"]


def test_fetch_in_one_call(folder, url, tmp_path):
    torrent = tmp_path / "disk.torrent"
    torrent.write_bytes(made(folder / "disk.img").encode())
    settings = tl.Settings(host="127.0.0.1", dht=False)
    digest = subprocess.run(["sha256sum", folder / "disk.img"], capture_output=True, text=True).stdout[:64]

    async def run(to, **options):
        return await tl.fetch(torrent, to, web_seeds=[f"{url}disk.img"], settings=settings, timeout=60, **options)

    assert trio.run(lambda: run(tmp_path, sha256=digest.upper())) == (tmp_path / "disk.img",)
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(tl.VerifyError, match="not the file that was meant") as caught:
        trio.run(lambda: run(other, sha256="1" * 64))
    assert "disk.img.wrong" in caught.value.hint
    with pytest.raises(ValueError, match="64 hex digits"):
        trio.run(lambda: run(other, sha256="beef"))


@pytest.mark.parametrize("name", ["disk.img", "photos"])
def test_libtorrent_fetches_what_we_made(folder, url, tmp_path, name):
    """Our .torrent, our idea of the URL: libtorrent finds the same files there."""
    torrent = tmp_path / "x.torrent"
    torrent.write_bytes(made(folder / name, web_seeds=[url]).encode())
    with Libtorrent() as libtorrent:
        handle = libtorrent.add(torrent, tmp_path, port=1)
        wait_for("libtorrent is done", lambda: handle.status().is_seeding)
        assert same(folder, tmp_path, name)
