"""create, info, verify, magnet and what they refuse: run inside this process, since they are many."""

from __future__ import annotations

import json
import os
import pathlib
import random
import shutil

import pytest

from torrentlite import limits
from torrentlite.cli.main import main
from torrentlite.errors import StorageError
from torrentlite.metainfo.metainfo import Metainfo

from ..metainfo.bad_input import HASHES, LINKS, TORRENTS, BadInput


@pytest.fixture(autouse=True)
def here(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / ".state"))
    return tmp_path


class Run:
    def __init__(self, capfd: pytest.CaptureFixture[str], *words: str) -> None:
        capfd.readouterr()
        self.code = main(list(words))
        self.out, self.err = capfd.readouterr()


@pytest.fixture
def tl(capfd: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    return lambda *words: Run(capfd, *words)


def make(name: str, size: int) -> bytes:
    data = random.Random(name).randbytes(size)
    path = pathlib.Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return data


@pytest.mark.parametrize("case", TORRENTS, ids=[case.name for case in TORRENTS])
def test_bad_torrents_leave_with_four(case: BadInput, tl, here: pathlib.Path) -> None:  # type: ignore[no-untyped-def]
    assert isinstance(case.data, bytes)
    (here / "bad.torrent").write_bytes(case.data)
    run = tl("magnet", "bad.torrent")
    assert (run.code, run.out) == (4, "")
    assert run.err.startswith("tl: ")
    assert len(run.err.splitlines()) <= 3
    assert "Traceback" not in run.err


# (A URL would be fetched: that is another source, not a bad link.)
BAD_LINKS = [case for case in LINKS + HASHES if not str(case.data).startswith("http")]


@pytest.mark.parametrize("case", BAD_LINKS, ids=[case.name for case in BAD_LINKS])
def test_bad_links_leave_with_four(case: BadInput, tl) -> None:  # type: ignore[no-untyped-def]
    run = tl("magnet", str(case.data))
    assert (run.code, run.out) == (4, "")
    assert run.err.startswith("tl: ")
    assert len(run.err.splitlines()) <= 3


@pytest.mark.parametrize("command", ["fetch", "info", "magnet", "verify"])
def test_a_missing_torrent(command: str, tl, here: pathlib.Path) -> None:  # type: ignore[no-untyped-def]
    (here / "ubuntu.torrent").touch()
    words = [command, "ubunut.torrent", *(["."] if command == "verify" else [])]
    run = tl(*words)
    assert run.code == 4
    assert run.err == (
        "tl: cannot read 'ubunut.torrent': no such file\n"
        "    did you mean 'ubuntu.torrent'?   (a magnet link starts with magnet:?xt=urn:btih:)\n"
    )
    run = tl(*words, "--json")
    error = next(json.loads(line) for line in run.out.splitlines() if '"error"' in line)
    assert (error["event"], error["kind"]) == ("error", "source")
    assert "no such file" in error["message"]
    assert "ubuntu.torrent" in error["hint"]
    assert run.err == ""


@pytest.mark.parametrize("command", ["seed", "create"])
def test_a_missing_path(command: str, tl, here: pathlib.Path) -> None:  # type: ignore[no-untyped-def]
    make("holiday.mp4", 10)
    run = tl(command, "hoilday.mp4")
    assert run.code == 5
    assert run.err == "tl: cannot share 'hoilday.mp4': no such file or folder\n    did you mean 'holiday.mp4'?\n"


def test_create_writes_what_was_asked_for(tl, here: pathlib.Path) -> None:  # type: ignore[no-untyped-def]
    make("photos/a.jpg", 100_000)
    make("photos/b/c.jpg", 50_000)
    flags = ["-t", "udp://one.example:1", "-t", "http://two.example/announce", "-w", "https://seed.example/"]
    run = tl("create", "photos/", *flags, "--piece-size", "32k", "--private", "--comment", "hello", "--magnet", "-q")
    assert (run.code, run.err) == (0, "")
    path, magnet = run.out.splitlines()
    assert path == "photos.torrent"
    assert magnet.startswith("magnet:?xt=urn:btih:")
    metainfo = Metainfo.from_bytes((here / "photos.torrent").read_bytes())
    assert [url for tier in metainfo.trackers for url in tier] == flags[1:4:2]
    assert metainfo.web_seeds == ("https://seed.example/",)
    assert (metainfo.piece_length, metainfo.private, metainfo.comment) == (32768, True, "hello")
    assert ["/".join(each.path) for each in metainfo.files] == ["photos/a.jpg", "photos/b/c.jpg"]
    assert tl("magnet", "photos.torrent").out.strip() == magnet
    assert tl("verify", "photos.torrent", "photos").code == 0


def test_what_is_left_out_of_a_folder_is_said(tl, here: pathlib.Path) -> None:  # type: ignore[no-untyped-def]
    make("set/a", 1000)
    (here / "set/elsewhere").symlink_to("/etc")
    os.mkfifo("set/pipe")
    sentences = {
        "left out 'elsewhere': a link that leads out of the folder",
        "left out 'pipe': it is not a regular file",
    }
    run = tl("create", "set")
    assert (run.code, run.out) == (0, "set.torrent\n")
    assert sentences <= set(run.err.splitlines())
    events = [json.loads(line) for line in tl("create", "set", "--json").out.splitlines()]
    (created,) = (event for event in events if event["event"] == "created")
    assert set(created["warnings"]) == sentences
    for number in range(30):  # no matter how many, it stays a screenful
        (here / f"set/{number}").symlink_to("nowhere")
    run = tl("create", "set", "--overwrite")
    assert run.err.count("left out '") == limits.MAX_CREATE_WARNINGS
    assert f"and {32 - limits.MAX_CREATE_WARNINGS} more were left out\n" in run.err


def test_create_does_not_replace_another_torrent(tl, here: pathlib.Path) -> None:  # type: ignore[no-untyped-def]
    make("x.bin", 1000)
    assert tl("create", "x.bin", "-O", "out.torrent").code == 0
    before = (here / "out.torrent").read_bytes()
    make("x.bin", 2000)
    run = tl("create", "x.bin", "-O", "out.torrent")
    assert run.code == 5
    assert "--overwrite" in run.err
    assert (here / "out.torrent").read_bytes() == before
    assert tl("create", "x.bin", "-O", "out.torrent", "--overwrite").code == 0
    assert (here / "out.torrent").read_bytes() != before
    assert sorted(os.listdir()) == [".state", "out.torrent", "x.bin"]


@pytest.mark.parametrize(
    ("target", "why"), [("folder", "it is a folder"), ("no/where.torrent", "no folder"), ("/dev/null", "it is no file")]
)
def test_create_says_where_it_cannot_write(target: str, why: str, tl, here: pathlib.Path) -> None:  # type: ignore[no-untyped-def]
    make("x.bin", 1000)
    (here / "folder").mkdir()
    run = tl("create", "x.bin", "-O", target)
    assert run.code == 5
    assert why in run.err


def test_create_in_a_folder_named_by_a_dot(tl, here: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    make("photos/a.jpg", 1000)
    monkeypatch.chdir("photos")
    run = tl("create", ".", "-O", "../out.torrent")
    assert run.code == 0
    assert Metainfo.from_bytes((here / "out.torrent").read_bytes()).name == "photos"


def test_a_torrent_in_the_folder_that_it_describes(tl, here: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    make("photos/a.jpg", 1000)
    monkeypatch.chdir("photos")
    note = (
        "'photos.torrent' will lie in the folder that it describes, and count as one of its files from then on; "
        "-O ../photos.torrent puts it beside"
    )
    run = tl("create", ".")
    assert (run.code, run.err.splitlines()[0]) == (0, note)
    again = tl("create", ".", "--json")
    assert again.code == 5, "it counts now"
    events = [json.loads(line) for line in tl("create", ".", "--json", "--overwrite").out.splitlines()]
    assert [event["warnings"] for event in events if event["event"] == "created"] == [[note]]
    monkeypatch.chdir("..")
    assert "will lie in" in tl("create", "photos", "-O", "photos/../photos/x.torrent").err
    for words in (["photos"], ["photos/a.jpg", "-O", "photos/a.torrent"]):
        assert "will lie in" not in tl("create", *words).err


def test_nothing_to_share(tl, here: pathlib.Path) -> None:  # type: ignore[no-untyped-def]
    (here / "empty").mkdir()
    run = tl("create", "empty")
    assert run.code in (4, 5)
    assert run.err.splitlines()[-1]
    assert os.listdir() == ["empty"] or sorted(os.listdir()) == [".state", "empty"]


def test_info_as_a_table(tl) -> None:  # type: ignore[no-untyped-def]
    make("photos/a.jpg", 100_000)
    make("photos/b/c.jpg", 50_000)
    assert tl("create", "photos", "-t", "udp://one.example:1", "--comment", "for you").code == 0
    run = tl("info", "photos.torrent")
    assert (run.code, run.err) == (0, "")
    rows = dict(line.split(None, 1) for line in run.out.split("\n\n")[0].splitlines())
    assert rows["name"] == "photos"
    assert rows["size"] == "146 KiB in 2 files (150,000 bytes)"
    assert rows["pieces"] == "10 × 16.0 KiB"
    assert rows["trackers"] == "udp://one.example:1"
    assert rows["comment"] == "for you"
    files = run.out.split("\n\n")[1].splitlines()
    assert [line.split() for line in files] == [
        ["1", "97.7", "KiB", "photos/a.jpg"],
        ["2", "48.8", "KiB", "photos/b/c.jpg"],
    ]
    assert "\x1b" not in run.out


def test_info_as_json(tl) -> None:  # type: ignore[no-untyped-def]
    make("x.bin", 100_000)
    tl("create", "x.bin", "-t", "udp://one.example:1")
    run = tl("info", "x.bin.torrent", "--json")
    (line,) = run.out.splitlines()
    found = json.loads(line)
    assert found["v"] == 1
    assert (found["name"], found["total"], found["pieces"]) == ("x.bin", 100_000, 7)
    assert found["files"] == [{"path": "x.bin", "size": 100_000}]
    assert found["trackers"] == [["udp://one.example:1"]]
    assert found["magnet"].startswith("magnet:?xt=urn:btih:" + found["info_hash"])


def test_info_of_a_torrent_on_stdin(tl, capfd: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    make("x.bin", 1000)
    tl("create", "x.bin")
    saved = os.dup(0)
    with open("x.bin.torrent", "rb") as file:
        os.dup2(file.fileno(), 0)
    try:
        assert "x.bin" in tl("info", "-").out
    finally:
        os.dup2(saved, 0)
        os.close(saved)


def test_verify_names_files_and_pieces(tl, here: pathlib.Path) -> None:  # type: ignore[no-untyped-def]
    data = bytearray(make("photos/a.jpg", 100_000))
    make("photos/b.jpg", 50_000)
    tl("create", "photos")
    good = tl("verify", "photos.torrent", "photos")
    assert (good.code, good.out) == (0, "all 10 pieces match: 146 KiB in photos\n")
    data[40_000] ^= 1
    data[99_999] ^= 1
    (here / "photos/a.jpg").write_bytes(data)
    bad = tl("verify", "photos.torrent", ".")
    assert bad.code == 6
    assert bad.out.splitlines() == [
        "bad data  ./photos/a.jpg: pieces 2 and 6",
        "bad data  ./photos/b.jpg: piece 6",
        "2 of 10 pieces do not match; 78.1 % of the data is right",
    ]
    run = tl("verify", "photos.torrent", "photos", "--json")
    verified = next(json.loads(line) for line in run.out.splitlines() if '"verified"' in line)
    assert (verified["ok"], verified["bad_pieces"]) == (False, [2, 6])
    assert verified["files"][0] == {"path": "photos/a.jpg", "problem": "bad data", "pieces": [2, 6], "message": ""}
    run = tl("verify", "photos.torrent", "./photos//", "--json")
    verified = next(json.loads(line) for line in run.out.splitlines() if '"verified"' in line)
    assert (verified["path"], verified["files"][0]["path"]) == ("./photos//", "./photos//a.jpg"), "as it was typed"
    (here / "photos/b.jpg").unlink()
    assert "missing  photos/b.jpg: pieces 6-9" in tl("verify", "photos.torrent", "photos").out
    gone = tl("verify", "photos.torrent", "photo")
    assert gone.code == 5
    assert "did you mean 'photos'?" in gone.err


def test_verify_beside_an_unfinished_fetch(tl, here: pathlib.Path) -> None:  # type: ignore[no-untyped-def]
    for name in ("photos/a.jpg", "one.bin"):
        make(name, 100_000)
        tl("create", name.partition("/")[0], "-O", f"{name[:3]}.torrent")
        part = f"{name}.{Metainfo.from_bytes((here / f'{name[:3]}.torrent').read_bytes()).info_hash[:8]}.part"
        (here / name).rename(part)
        why = f"{os.path.basename(part)} is there: it is not fetched whole yet"
        if name == "one.bin":
            run = tl("verify", "one.torrent", "one.bin")
            assert (run.code, run.err.splitlines()[0]) == (5, f"tl: cannot read 'one.bin': {why}")
        else:
            run = tl("verify", "pho.torrent", "photos")
            assert (run.code, run.out.splitlines()[0]) == (6, f"missing  {name} ({why}): pieces 0-6")
            run = tl("verify", "pho.torrent", "photos", "--json")
            (verified,) = (event for event in map(json.loads, run.out.splitlines()) if event["event"] == "verified")
            assert verified["files"][0]["message"] == why


def test_a_magnet_of_a_link_is_that_link_in_order(tl) -> None:  # type: ignore[no-untyped-def]
    run = tl("magnet", "AB" * 20)
    assert run.out == f"magnet:?xt=urn:btih:{'ab' * 20}\n"
    link = f"magnet:?dn=a%20b&xt=urn:btih:{'ab' * 20}&junk=1"
    assert tl("magnet", link).out == f"magnet:?xt=urn:btih:{'ab' * 20}&dn=a%20b\n"


def test_a_hostile_name_reaches_no_terminal(tl, here: pathlib.Path) -> None:  # type: ignore[no-untyped-def]
    from torrentlite.metainfo.build import build_info, build_metainfo

    evil = "\x1b]0;pwned\x07\x1b[2J\u202egpj[/][link=file:///x]"
    info = build_info(evil.encode(), [([evil.encode()], 5)], piece_length=16384, pieces=bytes(20))
    metainfo = build_metainfo(info, comment=evil, created_by=evil)
    (here / "evil.torrent").write_bytes(metainfo.encode())
    (here / "data").mkdir()
    for words in (["info"], ["magnet"], ["fetch", "--list"], ["verify", "-v"]):
        run = tl(words[0], "evil.torrent", *words[1:], *(["data"] if words[0] == "verify" else []))
        assert all(char.isprintable() or char == "\n" for char in run.out + run.err), words
        assert "\u202e" not in run.out + run.err


def test_a_state_folder_that_cannot_be_had(tl, here: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    make("x.bin", 1000)
    (here / "file").touch()
    run = tl("create", "x.bin", "--state-dir", "file")
    assert run.code == 5
    monkeypatch.setenv("XDG_STATE_HOME", str(here / "file"))
    run = tl("create", "x.bin")
    assert run.code == 0
    assert "nothing is remembered" in run.err


def test_a_state_folder_without_room(tl, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    make("x.bin", 1000)
    words = "nothing is remembered for next time: no room in "
    assert words not in tl("create", "x.bin").err
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=4095))
    run = tl("create", "x.bin")
    assert (run.code, words in run.err) == (0, True)


def test_a_folder_to_save_into_that_is_a_file(tl) -> None:  # type: ignore[no-untyped-def]
    make("x.bin", 1000)
    run = tl("fetch", "ab" * 20, "-o", "x.bin", "--timeout", "1")
    assert (run.code, run.err) == (5, "tl: cannot save into 'x.bin': it is not a folder\n    -o names a folder\n")
    run = tl("fetch", "ab" * 20, "-o", "x.bin/below/it", "--timeout", "1")
    words = "tl: cannot save into 'x.bin/below/it': 'x.bin' is not a folder"
    assert (run.code, run.err.splitlines()[0]) == (5, words)


@pytest.mark.parametrize("command", ["fetch", "seed", "stream", "doctor"])
def test_no_folder_at_all(command: str, tl) -> None:  # type: ignore[no-untyped-def]
    run = tl(command, *(() if command == "doctor" else ("x.torrent",)), "-o", "")
    assert (run.code, run.err.splitlines()[0]) == (2, "tl: -o/--output: '' names no folder; this one is .")


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["fetch", "ab" * 20, "--encryption", "require"], "--encryption require needs the package cryptography"),
        (["seed", "x.bin", "--publish", "key"], "--publish needs the package cryptography"),
        (["fetch", f"magnet:?xs=urn:btpk:{'ab' * 32}"], "a link that stays needs the package cryptography"),
        (["seed", "x.bin", "--qr"], "--qr needs the package segno"),
    ],
)
def test_an_extra_that_is_not_installed(words: list[str], what: str, tl, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    make("x.bin", 1000)
    monkeypatch.delenv("TL_NO_DHT", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    extra = "qr" if "segno" in what else "crypto"
    run = tl(*words)
    assert (run.code, run.out) == (2, "")
    assert run.err == f"tl: {what}\n    pip install 'torrentlite[{extra}]'\n"
    events = list(map(json.loads, tl(*words, "--json").out.splitlines()))
    assert [(each["kind"], each["message"]) for each in events if each["event"] == "error"] == [("usage", what)]
    assert not os.path.exists("key")


def test_a_log_that_cannot_be_written(tl) -> None:  # type: ignore[no-untyped-def]
    run = tl("magnet", "ab" * 20, "--log-file", "no/where")
    assert run.code == 5
    assert "--log-file" in run.err


def test_a_bug_is_said_and_shown_only_when_asked(tl, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    from torrentlite.cli import magnet

    async def broken(*_: object) -> int:
        raise ZeroDivisionError("by us")

    monkeypatch.setattr(magnet, "run", broken)
    run = tl("magnet", "ab" * 20)
    assert run.code == 1
    assert run.err.splitlines()[0] == "tl: unexpected ZeroDivisionError: by us"
    assert "Traceback" not in run.err
    assert "Traceback" in tl("magnet", "ab" * 20, "-vv").err


def test_a_fault_of_the_disk(tl, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    from torrentlite.cli import magnet

    async def broken(*_: object) -> int:
        raise StorageError("cannot write 'x': no space left", hint="free some")

    monkeypatch.setattr(magnet, "run", broken)
    run = tl("magnet", "ab" * 20)
    assert (run.code, run.err) == (5, "tl: cannot write 'x': no space left\n    free some\n")
