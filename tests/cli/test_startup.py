from __future__ import annotations

import subprocess
import sys

import pytest

from .running import Place

HEAVY = ("trio", "rich", "httpx2", "bencodepy", "platformdirs", "asyncio")


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["fetch", "--help"], ["fecth"], ["fetch", "x", "--no"]])
def test_nothing_heavy_is_imported_for_a_word_of_advice(words: list[str]) -> None:
    program = (
        "import sys; from torrentlite.cli.main import main; main(sys.argv[1:]); "
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"


def test_version(place: Place) -> None:
    result = place.tl("--version")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("tl 0.")


def test_usage_errors_leave_with_two(place: Place) -> None:
    result = place.tl("fecth", "x")
    assert (result.code, result.out) == (2, "")
    assert result.err == "tl: unknown command 'fecth'\n    did you mean 'fetch'?\n"


@pytest.mark.parametrize(
    ("words", "code"),
    [("--help >&-", 0), ("create x.bin >&-", 0), ("create x.bin <&- >&- 2>&-", 0), ("nonsense 2>&-", 2)],
)
def test_closed_standard_streams(place: Place, words: str, code: int) -> None:
    place.make_file("x.bin", 1000)
    line = f"{sys.executable} -m torrentlite {words}"
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, env=place.environment(), cwd=place.folder, check=False
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    if "create" in words:
        assert (place / "x.bin.torrent").read_bytes().startswith(b"d")


def test_help_in_a_locale_without_unicode(place: Place) -> None:
    result = place.tl("--help", PYTHONUTF8="0", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert result.code == 0
    assert "fetch SRC" in result.out


def test_help_into_a_closed_pipe(place: Place) -> None:
    program = f"{sys.executable} -m torrentlite --help | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, env=place.environment(), check=False)
    assert done.stderr == ""


def test_what_a_fetch_seldom_needs_is_not_waited_for(place: Place) -> None:
    later = ("httpx2", "httpcore2", "rich", "segno", "asyncio", "http.client", "tomllib", "tarfile")
    program = (
        "import sys; from torrentlite.cli.main import main; "
        f"main(['fetch', {'ab' * 20!r}, '--timeout', '0.1s', '--listen', '127.0.0.1:0', '--no-dht']); "
        f"print([name for name in {later!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=place.environment()
    )
    assert done.stderr.splitlines()[-1] == "[]"
