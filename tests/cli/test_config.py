"""Flag over environment over config.toml over default; and what is said when one of them makes no sense."""

from __future__ import annotations

import argparse
import pathlib
from typing import get_args

import pytest

from torrentlite.cli import arguments, config, values
from torrentlite.cli.exits import UsageError
from torrentlite.settings import Encryption, Utp

from .running import Place


@pytest.fixture
def write(tmp_path: pathlib.Path):  # type: ignore[no-untyped-def]
    def write(text: str | bytes) -> pathlib.Path:
        path = config.config_file()
        assert path is not None and path.is_relative_to(tmp_path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def parse(*words: str) -> argparse.Namespace:
    return arguments.parse(list(words))


SAMPLES = {
    "DIR": ("x/y", "x/y"), "FILE": ("x/y", "x/y"), "WHICH": ("'a b' 2", ["a b", "2"]), "TIME": ("1m", 60.0),
    "[HOST:]PORT": ("[::1]:5", ("::1", 5)), "HOST:PORT": ("h:1 h:2", [("h", 1), ("h", 2)]), "RATE": ("2k", 2048),
    "PORT": ("8000", 8000), "N": ("3", 3), "R": ("1.5", 1.5), "SIZE": ("32k", 32768), "TEXT": ("some words", "some words"),
    "HEX": ("ab" * 32, "ab" * 32), "CMD": ("mpv --quiet", "mpv --quiet"), "COUNT": ("3", 3),
    "URL": ("https://a/ https://b/", ["https://a/", "https://b/"]), "WHEN": ("prefer", "prefer"),
    "PROXY": ("socks5://a:1", "socks5://a:1"), "OTHER": ("'a b' c", ["a b", "c"]), "NAME": ("wg0", "wg0"),
}  # fmt: skip


@pytest.mark.parametrize("command", arguments.COMMANDS)
def test_every_flag_has_a_variable(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parser = arguments.CommandParser(command)
    assert parser.flags
    words = ["x"] * sum(action.nargs != "?" for action in parser.words)
    if parser.words and parser.words[0].choices:
        words[0] = next(iter(parser.words[0].choices))
    for flag in parser.flags:
        name = config.name_of(flag)
        variable = f"TL_{name.upper().replace('-', '_')}"
        if flag.nargs == 0:
            text, value = ("2", 2) if name == "verbose" else ("yes", True)
        else:
            text, value = SAMPLES[str(flag.metavar)]
            if isinstance(value, list) and not config.is_repeatable(flag):
                text, value = text.split()[0], value[0]
        default = parser.defaults[flag.dest]
        assert getattr(parse(command, *words), flag.dest) == default != value
        monkeypatch.setenv(variable, text)
        assert getattr(parse(command, *words), flag.dest) == value, variable
        monkeypatch.setenv(variable, "")
        assert getattr(parse(command, *words), flag.dest) == default, "an empty one says nothing"
        monkeypatch.delenv(variable)


def test_the_words_for_encryption_are_those_of_the_settings() -> None:
    assert get_args(Encryption) == values.ENCRYPTION
    assert get_args(Utp) == values.UTP


def test_flag_over_environment_over_file(write, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    assert parse("fetch", "x").output == "."
    write('output = "of the file"\ntracker = ["udp://file:1"]\nseed = true\nverbose = 2\n')
    assert parse("fetch", "x").output == "of the file"
    assert parse("fetch", "x").tracker == ["udp://file:1"]
    monkeypatch.setenv("TL_OUTPUT", "of the environment")
    monkeypatch.setenv("TL_TRACKER", "udp://environment:1 udp://environment:2")
    monkeypatch.setenv("TL_SEED", "no")
    args = parse("fetch", "x")
    assert (args.output, args.seed, args.verbose) == ("of the environment", False, 2)
    assert args.tracker == ["udp://environment:1", "udp://environment:2"]
    args = parse("fetch", "x", "-o", "typed", "-t", "udp://typed:1", "-t", "udp://typed:2", "--seed", "-v")
    assert (args.output, args.seed, args.verbose) == ("typed", True, 1)
    assert args.tracker == ["udp://typed:1", "udp://typed:2"]


def test_a_table_is_for_its_command(write) -> None:  # type: ignore[no-untyped-def]
    write(
        """
        listen = 51413            # a number is as good as a text
        down = "2M"
        ratio = 2
        piece-size = "1M"         # no flag of fetch: for those that have it

        [fetch]
        ratio = 1.5
        select = ["*.mkv", 3]
        state_dir = "~/state"
        reuse = ["~/old", "older"]

        [seed]
        up = 1000
        """
    )
    args = parse("fetch", "x")
    assert (args.listen, args.down, args.up, args.ratio) == (("", 51413), 2 << 20, 0, 1.5)
    assert args.select == ["*.mkv", "3"]
    assert args.state_dir == str(pathlib.Path("~/state").expanduser())
    assert args.reuse == [str(pathlib.Path("~/old").expanduser()), "older"]
    args = parse("seed", "x")
    assert (args.listen, args.up, args.ratio) == (("", 51413), 1000, 2.0)
    assert parse("create", "x").piece_size == 1 << 20
    assert not hasattr(parse("magnet", "x"), "listen")


@pytest.mark.parametrize(
    ("text", "where", "what", "hint"),
    [
        ("down = [", ":1", "invalid value", ""),
        ("down = 5\n\nup = ", ":3", "invalid value", ""),
        ('a = 1\ndown = "2M"', ":1: a", "there is no flag of that name", ""),
        ('down = "2M"\n\nouptut = "x"', ":3: ouptut", "there is no flag of that name", "did you mean output?"),
        ('# down\n"down" = "2Mb"', ":2: down", "'2Mb': bytes, never bits", ""),
        ("[fetch]\nseed = 1", ":2: seed", "it is true or false", ""),
        ("verbose = 'x'", ":1: verbose", "it is a number from 0 to 9", ""),
        ("down = true", ":1: down", "it is a text or a number", ""),
        ("down = 2030-01-01", ":1: down", "it is a text or a number", ""),
        ("tracker = [1, [2]]", ":1: tracker", "'1' is not a URL", ""),
        ("[fecth]\nseed = true", ":1: fecth", "there is no command of that name", "did you mean fetch?"),
        (
            "seed = true\n[create]\nseed = true",
            ":3: seed",
            "tl create has no flag of that name",
            "did you mean web-seed?",
        ),
        ("[seed]\n[fetch]\nratio = -1", ":3: ratio", "'-1' is not a ratio", ""),
        ("encryption = 'on'", ":1: encryption", "'on' is not one of off, allow, prefer, require", ""),
        ("fetch.ratio = -1", ":1: ratio", "'-1' is not a ratio", ""),
        ("[seed]\nratio = 1\n[fetch]\n'ratio' = -1", ":4: ratio", "'-1' is not a ratio", ""),
        ("\nfetch . no_such-flag = -1", ":2: no_such-flag", "tl fetch has no flag", ""),
        ("\nfetch = { ratio = -1 }", ":2: ratio", "'-1' is not a ratio", ""),
        ("[fetch]\nup = 1\n[fetch.ratio]\nx = 1", ":3: ratio", "it is a text or a number", ""),
        ("[[fetch]]\nup = 1", ":1: fetch", "there is no flag of that name", ""),
        ("up = " + "9" * 5000, "'", "a number of thousands of digits", ""),
        ("up = 0x" + "f" * 6000, ":1: up", "it is too large", ""),
        ("up = " + "9" * 400, ":1: up", "is too large", ""),
        ("x = " + "[" * 50_000, "'", "nested too deeply", ""),
        ('output = "a\\u0000"', ":1: output", "it has a NUL character", ""),
        ("[fetch]\nno_such-flag = 1", ":2: no_such-flag", "tl fetch has no flag", ""),
        ("fetch = 1", ":1: fetch", "there is no flag of that name", ""),
        (b"down = '\xff'", "'", "is not UTF-8", ""),
        (b"#" * (2 << 20), "'", "too large", ""),
    ],
)
def test_a_file_that_makes_no_sense(text: str | bytes, where: str, what: str, hint: str, write) -> None:  # type: ignore[no-untyped-def]
    path = write(text)
    with pytest.raises(UsageError) as caught:
        parse("fetch", "x")
    assert f"{path}{where}" in str(caught.value)
    assert what in str(caught.value)
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("TL_DOWN", "2Mb", "TL_DOWN: '2Mb': bytes, never bits"),
        ("TL_SEED", "maybe", "TL_SEED: 'maybe' is neither 1 nor 0"),
        ("TL_VERBOSE", "much", "TL_VERBOSE: 'much' is not a number"),
        ("TL_PEER", "h:1 h", "TL_PEER: 'h' is not HOST:PORT"),
        ("TL_ENCRYPTION", "on", "TL_ENCRYPTION: 'on' is not one of off, allow, prefer, require"),
        ("TL_SELECT", "'a", "TL_SELECT: no closing quotation"),
    ],
)
def test_a_variable_that_makes_no_sense(name: str, text: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(UsageError) as caught:
        parse("fetch", "x")
    assert what in str(caught.value)


def test_a_file_that_cannot_be_read(write) -> None:  # type: ignore[no-untyped-def]
    path = write("")
    path.unlink()
    path.mkdir()
    with pytest.raises(UsageError) as caught:
        parse("fetch", "x")
    assert str(caught.value) == f"cannot read '{path}': is a directory"


def test_a_variable_of_no_flag_is_told_of(place: Place) -> None:
    place.make_file("a.bin", 1000)
    strange = {"TL_OUPTUT": "x", "TL_UPLOAD_LIMIT": "5", "TL_RATIO": "1", "TL_EMPTY": "", "TLX": "1"}
    said = place.tl("create", "a.bin", **strange).err.splitlines()
    assert said[:2] == [
        "TL_OUPTUT is set, and no flag is called so; did you mean TL_OUTPUT?",
        "TL_UPLOAD_LIMIT is set, and no flag is called so",
    ]
    assert not any("TL" in line for line in said[2:])
    assert place.tl("info", "a.bin.torrent", "-q", **strange).err == ""
    assert place.tl("info", "a.bin.torrent").err == ""
