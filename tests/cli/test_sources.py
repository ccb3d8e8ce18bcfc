from __future__ import annotations

import os
import pathlib

import pytest
import trio

import torrentlite
from torrentlite import Magnet, Metainfo
from torrentlite.cli import sources
from torrentlite.cli.arguments import parse
from torrentlite.cli.output import Output
from torrentlite.cli.terminal import Mode
from torrentlite.errors import MetainfoError, SourceError

HEX = "0123456789abcdef0123456789abcdef01234567"


async def read(source: str) -> Metainfo | Magnet:
    """As a command does."""
    return await sources.read(source, parse(["info", source]), Output(Mode.QUIET))


@pytest.mark.parametrize(
    "source",
    ["magnet:?xt=urn:btih:x", "MAGNET:?x", "http://h/x.torrent", "HTTPS://h/", HEX, HEX.upper(), "a2" * 16, "ab" * 32],
)
def test_links(source: str) -> None:
    assert sources.is_link(source)


async def test_a_link_that_was_pasted_with_blanks() -> None:
    assert sources.is_link(f" {HEX}\n")
    found = await read(f"\tmagnet:?xt=urn:btih:{HEX} \n")
    assert isinstance(found, torrentlite.Magnet)
    assert found.hashes.hex == HEX
    assert (await read(f" {HEX}\n")) == found


async def test_whom_one_waits_for_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    output, frames = Output(Mode.LIVE), list[str]()

    async def load(source: str, **_: object) -> Metainfo:
        (job,) = output._jobs
        glance = job.look()
        frames.append(f"{glance.stage}  {glance.name}")
        raise SourceError("it does not answer")

    monkeypatch.setattr(torrentlite, "load", load)
    url = "http://127.0.0.1:1/x.torrent"
    with pytest.raises(SourceError):
        await sources.read(url, parse(["info", url]), output)
    assert frames == [f"asking  {url}"]
    assert not output._jobs


@pytest.mark.parametrize("source", ["x.torrent", "-", HEX[1:], "ftp://x", "", "magnet", "a1" * 16])
def test_paths(source: str) -> None:
    assert not sources.is_link(source)


def test_a_file_whose_name_looks_like_a_hash(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / HEX).touch()
    assert not sources.is_link(HEX)


@pytest.mark.parametrize(
    ("path", "what", "hint"),
    [
        ("ubunut.torrent", "cannot read 'ubunut.torrent': no such file", "did you mean 'ubuntu.torrent'?   (a magnet"),
        ("nothing like it", "no such file", "(a magnet link starts with magnet:?xt=urn:btih:)"),
        ("ubunut", "no such file", "(a magnet link starts with magnet:?xt=urn:btih:)"),
        ("foldre", "no such file", "(a magnet link starts with magnet:?xt=urn:btih:)"),
        ("ftp://host/x.torrent", "no such file", "a URL starts with http:// or https://"),
        ("file:///x.torrent", "no such file", "a URL starts with http:// or https://"),
        ("https:/host/x.torrent", "no such file", "a URL starts with http:// or https://"),
        ("127.0.0.1:9/x.torrent", "no such file", "a URL starts with http:// or https://"),
        ("[::1]:9/x.torrent", "no such file", "a URL starts with http:// or https://"),
        ("c:/x.torrent", "no such file", "(a magnet link starts with magnet:?xt=urn:btih:)"),
        (HEX[1:], "no such file", "an info-hash has 40 hex or 32 base32 characters, of v2 64 hex; this has 39"),
        ("ab" * 32 + "c", "no such file", "an info-hash has 40 hex or 32 base32 characters, of v2 64 hex; this has 65"),
        ("ab" * 32 + "123456789", "no such file", "(a magnet link starts with"),
        ("folder", "it is a folder", "to share it: tl seed folder"),
        ("folder/my films", "it is a folder", "to share it: tl seed 'folder/my films'"),
        ("folder/my film.mkv", "not a .torrent", "to share it: tl seed 'folder/my film.mkv'"),
        ("ubuntu.torrent/x", "no such file", ""),
    ],
)
async def test_a_path_that_cannot_be_read(
    path: str, what: str, hint: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ubuntu.torrent").touch()
    (tmp_path / "folder/my films").mkdir(parents=True)
    (tmp_path / "folder/my film.mkv").write_bytes(b"a film")
    with pytest.raises((SourceError, MetainfoError)) as caught:
        await read(path)
    assert what in str(caught.value)
    assert hint in caught.value.hint
    assert ("did you mean" in hint) == ("did you mean" in caught.value.hint)


async def test_a_pipe_with_nobody_at_its_other_end_can_be_left(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with trio.move_on_after(0.05) as scope:
        await torrentlite.load(tmp_path / "pipe")
    assert scope.cancelled_caught
    (tmp_path / "pipe").open("wb").close()  # so the thread that was left ends too
