from __future__ import annotations

import shlex

import pytest

from torrentlite.cli import arguments, values
from torrentlite.cli.exits import UsageError


def test_flags_and_words_may_be_mixed() -> None:
    args = arguments.parse(["fetch", "a", "-o", "dir", "b", "--seed", "c", "-v", "-v"])
    assert (args.command, args.source, args.output, args.seed, args.verbose) == (
        "fetch",
        ["a", "b", "c"],
        "dir",
        True,
        2,
    )


@pytest.mark.parametrize(
    ("words", "what", "hint"),
    [
        ("--json info x", "'--json' stands before the command", "flags come after it: tl COMMAND … --json"),
        ("fetch --bad", "fetch does not know '--bad'", "tl fetch --help lists its flags"),
        ("verify x --quite=1", "verify does not know '--quite'", "did you mean --quiet?"),
        ("fetch x --tiemout 5", "fetch does not know '--tiemout'", "did you mean --timeout?"),
        ("fetch --seed", "missing: SRC", "usage: tl fetch SRC… [flags]   (tl fetch --help)"),
        ("verify -- --bad", "missing: PATH", "usage: tl verify SRC PATH [flags]   (tl verify --help)"),
        (
            "seed x --listen ::1:0",
            "--listen: '::1:0' is not HOST:PORT (an IPv6 address goes in brackets)",
            "usage: tl seed PATH… [flags]   (tl seed --help)",
        ),
    ],
)
def test_what_is_wrong_is_named(words: str, what: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        arguments.parse(words.split())
    assert (str(caught.value), caught.value.hint) == (what, hint)


def test_stdin_stays_stdin_after_two_dashes() -> None:
    assert arguments.parse(["fetch", "--list", "--", "-"]).source == ["-"]


def test_words_after_two_dashes_are_paths() -> None:
    assert arguments.parse(["seed", "-q", "--", "-x", "--json", "y"]).path == ["./-x", "./--json", "y"]


def test_every_flag_of_fetch() -> None:
    line = (
        "fetch a -o d -s 1,3-5 -s *.mkv --list --listen [::1]:0 --peer h:1 --peer [fe80::1%eth0]:2 -t udp://t:6969 "
        "-d 500k -u 2M --seed --timeout 30m --sequential --overwrite --json -q -vv --plain --no-color --log-file l "
        "--state-dir s"
    )
    args = arguments.parse(line.split())
    assert args.select == ["1,3-5", "*.mkv"]
    assert args.listen == ("::1", 0)
    assert args.peer == [("h", 1), ("fe80::1%eth0", 2)]
    assert (args.down, args.up, args.timeout) == (500 << 10, 2 << 20, 1800.0)


def test_every_flag_of_create() -> None:
    line = (
        "create p -t udp://t:1 -t http://t/announce -w https://w/ -O f --piece-size 1M --private --comment c --magnet"
    )
    args = arguments.parse(line.split())
    assert (args.tracker, args.web_seed) == (["udp://t:1", "http://t/announce"], ["https://w/"])
    assert (args.piece_size, args.private, args.comment, args.magnet) == (1 << 20, True, "c", True)
    assert (args.v2, args.hybrid) == (False, False)
    assert (arguments.parse(["create", "p", "--v2"]).v2, arguments.parse(["create", "p", "--hybrid"]).hybrid) == (
        True,
    ) * 2
    with pytest.raises(UsageError):
        arguments.parse(["create", "p", "--v2", "--hybrid"])


@pytest.mark.parametrize(
    ("text", "found"), [("6881", ("", 6881)), ("0", ("", 0)), ("h:1", ("h", 1)), (":5", ("", 5)), ("[::]:5", ("::", 5))]
)
def test_listen(text: str, found: tuple[str, int]) -> None:
    assert values.parse_listen(text) == found


def test_ports() -> None:
    assert [values.parse_port(text) for text in ("0", "1", "06881", "65535")] == [0, 1, 6881, 65535]
    for text in ("", "-1", "65536", "99999", "100000", "+1", "1.0", "x", "１", "1 "):
        with pytest.raises(ValueError, match="not a port"):
            values.parse_port(text)


@pytest.mark.parametrize("text", ["", "x", "h:", "h:65536", "h:-1", "::1:5", "[::1]", "h h:1", "h:1:2", "h:１"])
def test_bad_listen(text: str) -> None:
    with pytest.raises(ValueError):
        values.parse_listen(text)


@pytest.mark.parametrize("text", ["h:65536", "h:123456", "[::1]:99999"])
def test_what_a_port_is(text: str) -> None:
    for parse in (values.parse_listen, values.parse_peer):
        with pytest.raises(ValueError, match=r"^'.*': a port is 1 to 65535$"):
            parse(text)
    with pytest.raises(ValueError, match="a port is 1 to 65535"):
        values.parse_peer("h:0")
    with pytest.raises(ValueError, match="'99999': a port is 1 to 65535"):
        values.parse_listen("99999")


def test_a_demo_of_nothing() -> None:
    with pytest.raises(UsageError, match="--size: '0' is nothing; write 16M"):
        arguments.parse(["demo", "--size", "0"])


@pytest.mark.parametrize("text", ["", ":1", "h:0", "h", "[]:1"])
def test_bad_peer(text: str) -> None:
    with pytest.raises(ValueError):
        values.parse_peer(text)


@pytest.mark.parametrize(
    ("line", "what", "hint"),
    [
        ("", "a command is missing", "fetch, seed"),
        ("fecth x", "unknown command 'fecth'", "did you mean 'fetch'?"),
        ("magnet:?xt=urn:btih:x", "a command is missing", "tl fetch 'magnet:?xt=urn:btih:x'"),
        (f"{'a' * 40}", "a command is missing", "tl fetch"),
        ("fetch", "missing: SRC", "usage: tl fetch SRC"),
        ("fetch x --ouput y", "fetch does not know '--ouput'", "did you mean --output?"),
        ("fetch x --ouput=y", "'--ouput=y'", "did you mean --output?"),
        ("fetch x --outp y", "does not know '--outp'", "--output"),
        ("fetch x -d 2Mb", "-d/--down: '2Mb': bytes, never bits", "usage"),
        ("fetch x --peer y", "--peer: 'y' is not HOST:PORT", "usage"),
        ("fetch x --timeout", "--timeout", "usage"),
        ("seed x -t gopher://x", "udp://", "usage"),
        ("create x -w ftp://x", "http://", "usage"),
        ("create x --piece-size 3M", "power of two", "usage"),
        ("create x y", "create takes no 'y' as well", "usage: tl create PATH"),
        ("magnet x --seed", "does not know '--seed'", ""),
    ],
)
def test_what_makes_no_sense_is_said_with_what_was_meant(line: str, what: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        arguments.parse(line.split())
    assert what in str(caught.value)
    assert hint in caught.value.hint


def test_a_path_without_a_command(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))
    open("a file.txt", "w").close()
    open("x.torrent", "w").close()
    with pytest.raises(UsageError) as caught:
        arguments.parse(["a file.txt"])
    assert caught.value.hint == "did you mean: tl seed 'a file.txt'"
    with pytest.raises(UsageError) as caught:
        arguments.parse(["x.torrent"])
    assert caught.value.hint == "did you mean: tl fetch x.torrent"


@pytest.mark.parametrize("words", [[command, "--help"] for command in arguments.COMMANDS] + [["--help"], ["help"]])
def test_help_goes_to_stdout(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        arguments.parse(words)
    assert caught.value.code == 0
    out, err = capsys.readouterr()
    assert "usage: tl " in out
    assert not err
    assert max(map(len, out.splitlines())) <= 120


def test_the_overview_fits_a_screen() -> None:
    lines = arguments.overview().splitlines()
    assert len(lines) <= 23, "and the prompt below it"
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("command", arguments.COMMANDS)
def test_every_command_has_examples_that_can_be_parsed(command: str) -> None:
    examples = arguments.COMMANDS[command].examples
    assert examples
    for example in examples:
        assert len(example) <= 78
        line = example.partition("   #")[0].partition(" &&")[0].partition(" >")[0].strip()
        words = shlex.split(line.removeprefix('eval "$(').removesuffix(')"'))
        assert words[:2] == ["tl", command]
        assert arguments.parse(words[1:]).command == command


@pytest.mark.parametrize("player", ["mpv 'x", "", "  ", "''", "mpv \\"])
def test_a_player_that_is_no_command(player: str) -> None:
    with pytest.raises(UsageError, match="--player"):
        arguments.parse(["stream", "x", "--player", player])
    assert arguments.parse(["stream", "x", "--player", "mpv 'x y'"]).player == "mpv 'x y'"
