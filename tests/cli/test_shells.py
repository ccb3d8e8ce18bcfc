"""Completions and the manual page: complete, understood by the real shells, and in the wheel."""

from __future__ import annotations

import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import sys
import time
import zipfile

import pytest

from torrentlite.cli import arguments, shells
from torrentlite.cli.main import main
from torrentlite.cli.shells import tree

ROOT = pathlib.Path(__file__).parents[2]
BRANCHES = {branch.name: branch for branch in tree.branches()}


def need(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        if os.environ.get("TORRENTLITE_REQUIRE_INTEROP"):
            pytest.fail(f"{program} is not installed")
        pytest.skip(f"{program} is not installed")
    return path


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder to complete names of, with the scripts beside it."""
    for shell, make in shells.SCRIPTS.items():
        (tmp_path / f"script.{shell}").write_text(make())
    folder = tmp_path / "here"
    for name in ("photos", "my films"):
        (folder / name).mkdir(parents=True)
    for name in ("a film.torrent", "debian.torrent", "debian.iso"):
        (folder / name).touch()
    return folder


# -- complete ----------------------------------------------------------------------------------------------------------


def test_every_command_and_flag_is_in_the_tree() -> None:
    assert list(BRANCHES) == list(arguments.COMMANDS)
    for name, branch in BRANCHES.items():
        parser = arguments.CommandParser(name)
        known = {option for action in parser._actions for option in action.option_strings}
        assert {option for flag in branch.flags for option in flag.options} == known
        assert len(branch.words) == len(parser.words)
        for flag in branch.flags:
            assert flag.help, f"tl {name} {flag.options} has no help"


def test_every_flag_is_in_the_manual() -> None:
    page = shells.SHARED["man/man1/tl.1"]().replace("\\-", "-")
    for name, branch in BRANCHES.items():
        assert f"\n.SS tl {name}\n" in page
        assert f"\n\\fBtl {name}\\fR" in page
        for flag in branch.flags:
            assert all(f"\\fB{option}\\fR" in page for option in flag.options)


@pytest.mark.parametrize("shell", shells.SCRIPTS)
def test_the_command_prints_the_script(shell: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["completions", shell]) == 0
    assert capfd.readouterr().out == shells.SCRIPTS[shell]()


# -- understood --------------------------------------------------------------------------------------------------------

CASES = [
    (["fe"], {"fetch"}),
    (["fetch", "--out"], {"--output"}),
    (["fetch", "x", "-o", "p"], {"photos"}),
    (["fetch", "--output=p"], {"photos"}),
    (["fetch", "--output", "my"], {"my films"}),
    (["fetch", "deb"], {"debian.torrent"}),
    (["fetch", "a"], {"a film.torrent"}),
    (["seed", "deb"], {"debian.torrent", "debian.iso"}),
    (["magnet", "--q"], {"--quiet", "--qr"}),
    (["completions", ""], {"bash", "zsh", "fish"}),
    (["completions", "z"], {"zsh"}),
    (["help", "ma"], {"magnet"}),
    (["fetch", "--tracker", "deb"], set()),
    (["demo", "deb"], set()),
]
IDS = [" ".join(words) for words, _ in CASES]


@pytest.mark.parametrize(("words", "found"), CASES, ids=IDS)
def test_bash(words: list[str], found: set[str], folder: pathlib.Path) -> None:
    # "=" is a word of its own to bash.
    split = [part for word in words for part in re.split("(=)", word) if part or not word]
    program = 'source "$1"; shift; COMP_WORDS=(tl "$@"); COMP_CWORD=$#; _tl; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(
        [need("bash"), "--norc", "-c", program, "bash", folder.parent / "script.bash", *split],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert set(done.stdout.splitlines()) - {""} == found


def test_bash_knows_every_flag(folder: pathlib.Path) -> None:
    program = 'source "$1"; for name in $2; do COMP_WORDS=(tl $name -) COMP_CWORD=2; _tl; echo "${COMPREPLY[@]}"; done'
    done = subprocess.run(
        ["bash", "--norc", "-c", program, "bash", folder.parent / "script.bash", " ".join(BRANCHES)],
        capture_output=True,
        text=True,
        check=True,
    )
    for branch, line in zip(BRANCHES.values(), done.stdout.splitlines(), strict=True):
        assert set(line.split()) == {option for flag in branch.flags for option in flag.options}


@pytest.mark.parametrize(("words", "found"), CASES, ids=IDS)
def test_fish(words: list[str], found: set[str], folder: pathlib.Path) -> None:
    home = {"HOME": str(folder.parent), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [
            need("fish"),
            "--no-config",
            "-c",
            f"source '{folder.parent}/script.fish'; complete -C '{' '.join(['tl', *words])}'",
        ],
        cwd=folder,
        env=home,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    offered = {line.split("\t")[0].replace("\\ ", " ").rstrip("/") for line in done.stdout.splitlines()}
    offered = {each.removeprefix("--output=") for each in offered}
    # Where nothing begins so, fish offers what contains it.
    offered = {each for each in offered if each.startswith(words[-1].split("=")[-1])}
    if words == ["fetch", "deb"]:
        offered.remove("debian.iso")  # by a suffix fish orders, and leaves nobody out
    assert offered == found


@pytest.mark.parametrize("how", ["fpath", "eval"])
def test_zsh(how: str, folder: pathlib.Path) -> None:
    """Typed on a terminal: zsh tells nobody else what it would offer."""
    functions = folder.parent / "functions"
    functions.mkdir()
    load = f"source {folder.parent}/script.zsh"
    if how == "fpath":
        shutil.copy(folder.parent / "script.zsh", functions / "_tl")
        load = ":"
    setup = (
        f"PS1='> '; fpath=({functions} $fpath); autoload -U compinit; compinit -u -D; {load}; unsetopt beep; echo READY"
    )
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [need("zsh"), "-f", "-i"],
        cwd=folder,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={"PATH": os.environ["PATH"], "HOME": str(folder.parent), "TERM": "dumb"},
        start_new_session=True,
    )
    os.close(slave)
    seen = ""

    def until(text: str) -> None:
        nonlocal seen
        deadline = time.monotonic() + 20
        while text not in seen:
            assert select.select([master], [], [], deadline - time.monotonic())[0], f"{text!r} did not come: {seen!r}"
            seen += os.read(master, 65536).decode(errors="replace")
        seen = seen.partition(text)[2]

    try:
        os.write(master, setup.encode() + b"\n")
        until("echo READY")
        until("READY")
        for typed, completed in (
            ("tl fet", "tl fetch "),
            ("tl fetch --outp", "tl fetch --output="),
            ("tl fetch --output ph", "tl fetch --output photos/"),
            ("tl fetch deb", "tl fetch debian.torrent "),
            ("tl completions f", "tl completions fish "),
            ("tl seed --rat", "tl seed --ratio="),
        ):
            os.write(master, f"{typed}\t".encode())
            until(completed)
            os.write(master, b"\x15")
    finally:
        process.kill()
        process.wait()
        os.close(master)


def test_mandoc_finds_nothing_wrong(tmp_path: pathlib.Path) -> None:
    page = tmp_path / "tl.1"
    page.write_text(shells.SHARED["man/man1/tl.1"]())
    done = subprocess.run([need("mandoc"), "-Tlint", page], capture_output=True, text=True, check=False)
    # No date: the same source makes the same wheel on any day.
    assert [line for line in done.stdout.splitlines() if "missing date" not in line] == []


# -- in place ----------------------------------------------------------------------------------------------------------


def test_nothing_but_python_is_needed_to_make_them() -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from torrentlite.cli.shells import SHARED; print(len(SHARED))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) == len(shells.SHARED)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What is in the wheel, but for the package itself."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (file,) = folder.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if not name.startswith("torrentlite/")]
        return {name.partition("/")[2]: archive.read(name).decode() for name in names}


def test_the_wheel_has_them(wheel: dict[str, str]) -> None:
    shared = {name.removeprefix("data/share/"): text for name, text in wheel.items() if name.startswith("data/")}
    assert shared == {place: make() for place, make in shells.SHARED.items()}


def test_the_wheel_has_a_readme_that_stands_alone(wheel: dict[str, str]) -> None:
    """An index of packages shows it, where no file of the source is."""
    head, _, shown = wheel["METADATA"].partition("\n\n")
    assert "Description-Content-Type: text/markdown" in head
    links = re.findall(r"\]\(([^)]*)\)", shown)
    assert links
    assert [link for link in links if not link.startswith("https://")] == []
    assert "[exit codes](docs/cli.md)" not in shown
    assert "exit codes (`docs/cli.md`)" in shown
    assert "| `tests/fuzz`, `tests/reliability/bombs.py`," in shown
    assert shown.splitlines()[0] == "# torrentlite"


def test_every_command_and_flag_is_described() -> None:
    """In docs/cli.md: a row for each, which names the commands that have it."""
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in page.splitlines() if line.startswith("|")]
    for name, branch in BRANCHES.items():
        assert f"| `tl {name}" in page
        for option in (option for flag in branch.flags for option in flag.options):
            whole = re.compile(rf"`[^`]*(?<![\w-]){re.escape(option)}(?![\w-])[^`]*`")
            owners = [row[2] for row in rows if whole.search(row[1])]
            assert option in ("-h", "--help") or any(name in each or "all" in each for each in owners), (name, option)
