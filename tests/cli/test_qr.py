from __future__ import annotations

import sys

import pytest
import segno

from torrentlite.cli import qr
from torrentlite.cli.main import main

LINK = f"magnet:?xt=urn:btih:{'ab' * 20}&dn=holiday.mp4&x.pe=192.168.1.20:51001"


def modules(lines: list[str]) -> list[list[bool]]:
    """The dark modules of what was drawn, upper and lower halves apart."""
    dark = {" ": (True, True), "█": (False, False), "▀": (False, True), "▄": (True, False)}
    rows = [[[dark[char][half] for char in line] for half in (0, 1)] for line in lines]
    return [row for pair in rows for row in pair]


def test_what_is_drawn_is_the_code() -> None:
    code = [[bool(dark) for dark in row] for row in segno.make_qr(LINK, error="l").matrix_iter(border=2)]
    drawn = modules(qr.draw(LINK, blocks=True))
    assert drawn[: len(code)] == code
    assert [[char == " " for char in line[::2]] for line in qr.draw(LINK, blocks=False)] == code


def test_a_link_too_long_for_any_code() -> None:
    assert qr.draw("x" * 5000, blocks=True) == []


def test_a_long_link_leaves_out_what_is_not_needed(monkeypatch: pytest.MonkeyPatch, capfd, tmp_path) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    link = LINK + "".join(f"&tr=udp%3A%2F%2Ftracker{number}.example%3A6969" for number in range(60))
    assert main(["magnet", link, "--qr"]) == 0
    out, err = capfd.readouterr()
    assert out == f"{link}\n".replace("&dn=holiday.mp4&x.pe=192.168.1.20:51001", "&dn=holiday.mp4").replace(
        "\n", "&x.pe=192.168.1.20:51001\n"
    )
    first, *code = err.splitlines()
    assert "leaves out" in first
    assert max(map(len, code)) <= 80
    assert len(code) < 45


def test_without_segno(monkeypatch: pytest.MonkeyPatch, capfd) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setitem(sys.modules, "segno", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["magnet", LINK, "--qr"]) == 2
    out, err = capfd.readouterr()
    assert (out, err) == ("", "tl: --qr needs the package segno\n    pip install 'torrentlite[qr]'\n")


def test_json_is_not_drawn_on(capfd) -> None:  # type: ignore[no-untyped-def]
    assert main(["magnet", LINK, "--qr", "--json"]) == 0
    out, err = capfd.readouterr()
    assert out.startswith('{"v": 1')
    assert err == ""
