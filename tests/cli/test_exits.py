from __future__ import annotations

import pathlib

import pytest

from torrentlite import errors
from torrentlite.cli import exits
from torrentlite.cli.exits import Exit


@pytest.mark.parametrize(
    ("error", "code", "kind"),
    [
        (exits.UsageError("x"), 2, "usage"),
        (errors.NoSuchFileError("x"), 2, "no_such_file"),
        (errors.NoPeersError("x"), 3, "no_peers"),
        (errors.MetainfoError("x"), 4, "metainfo"),
        (errors.UnsupportedTorrentError("x"), 4, "unsupported_torrent"),
        (errors.MagnetError("x"), 4, "magnet"),
        (errors.SourceError("x"), 4, "source"),
        (errors.StorageError("x"), 5, "storage"),
        (errors.DiskFullError("x"), 5, "disk_full"),
        (errors.DiskTroubleError("x"), 5, "disk"),
        (errors.FileInTheWayError("x"), 5, "file_in_the_way"),
        (PermissionError(13, "Permission denied", "x"), 5, "disk"),
        (errors.VerifyError("x"), 6, "verify"),
        (errors.NetworkError("x"), 7, "network"),
        (errors.ListenError("x"), 7, "listen"),
        (errors.TrackerError("x"), 7, "tracker"),
        (ZeroDivisionError("x"), 1, "unexpected"),
        (ExceptionGroup("many", [errors.NoPeersError("x")]), 3, "no_peers"),
    ],
)
def test_codes_and_kinds(error: Exception, code: int, kind: str) -> None:
    assert exits.code_of(error) == code
    assert exits.kind_of(exits.unwrap(error)) == kind


def test_every_error_of_the_library_has_a_code_of_its_own_kind() -> None:
    kinds = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Exception)]
    unexpected = {each for each in kinds if exits.code_of(each("x")) is Exit.UNEXPECTED}
    # These reach nobody but us: a torrent that we removed or added twice ourselves.
    assert unexpected == {
        errors.TorrentError,
        errors.ProtocolError,
        errors.DuplicateTorrentError,
        errors.TorrentPausedError,
        errors.TorrentRemovedError,
    }


def test_not_allowed_to_read_a_torrent_is_the_disks_fault() -> None:
    error = errors.SourceError("x")
    error.__cause__ = PermissionError()
    assert exits.code_of(error) == Exit.DISK


def test_three_lines_at_most_and_safe_to_show() -> None:
    error = errors.SourceError("bad \x1b[31m name\n\u202egpj.exe", hint="one\ntwo\nthree\x07")
    lines = exits.explain(error)
    assert lines == ["tl: bad \ufffd[31m name \ufffdgpj.exe", "    one", "    two"]


def test_a_bug_says_that_it_is_one() -> None:
    what, hint = exits.explain(KeyError("x"))
    assert "KeyError" in what
    assert "-vv" in hint


def test_a_path_that_was_meant(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ubuntu.torrent").touch()
    monkeypatch.chdir(tmp_path)
    assert exits.closest_path("ubunut.torrent") == "ubuntu.torrent"
    assert exits.closest_path(str(tmp_path / "ubunut.torrent")) == str(tmp_path / "ubuntu.torrent")
    assert exits.closest_path("quite else") == ""
    assert exits.closest_path("no folder/ubuntu.torrent") == ""
