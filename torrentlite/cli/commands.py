"""The commands and their words: what --help, the man page and the completions are made of."""

from __future__ import annotations

from typing import Final, NamedTuple


class Command(NamedTuple):
    """One command.

    Attributes:
        arguments: what stands after its name, for the usage line.
        summary: what it does, in a few words.
        examples: command lines that could be typed as they are.
    """

    arguments: str
    summary: str
    examples: tuple[str, ...]


SRC: Final = """\
SRC is a .torrent file, a magnet link, an info-hash, an http(s) URL of a
.torrent, or - (a .torrent on stdin)."""

COMMANDS: Final = {
    "fetch": Command(
        "SRC…",
        "download, verify, and leave when complete",
        (
            "tl fetch debian.torrent -o ~/Downloads",
            "tl fetch 'magnet:?xt=urn:btih:…' -s '*.mkv'",
            "tl fetch debian.torrent --ratio 1.0     # share as much as was taken",
            "tl fetch photos.torrent -o - | tar x    # in order, nothing else is kept",
        ),
    ),
    "seed": Command(
        "PATH…",
        "share a file or a folder until Ctrl-C",
        (
            "tl seed holiday.mp4",
            "tl seed photos/ -t udp://tracker.example:6969",
            "tl seed debian.torrent -o ~/Downloads   # its data lies there",
            "tl seed nightly/ --publish nightly.key  # a link that stays when it changes",
        ),
    ),
    "create": Command(
        "PATH",
        "write a .torrent",
        (
            "tl create photos/ -t udp://tracker.example:6969 -O photos.torrent",
            "tl create disk.img --piece-size 1M --comment 'nightly build' --magnet",
        ),
    ),
    "stream": Command(
        "SRC [FILE]",
        "play a file over HTTP while it downloads",
        (
            "tl stream film.torrent --player mpv",
            "tl stream 'magnet:?xt=urn:btih:…' '*.mkv' -o ~/Videos   # and keep it",
            "tl stream data.torrent 2 --port 8000    # file 2 of tl fetch --list",
        ),
    ),
    "info": Command(
        "SRC",
        "show what a torrent holds",
        ("tl info debian.torrent", "tl info 'magnet:?xt=urn:btih:…' --json"),
    ),
    "verify": Command(
        "SRC PATH",
        "compare data on disk with a torrent",
        ("tl verify photos.torrent photos/", "tl verify debian.torrent ~/Downloads && echo all right"),
    ),
    "magnet": Command(
        "SRC",
        "print the magnet link of a torrent",
        ("tl magnet debian.torrent", "tl magnet debian.torrent --qr           # for a phone"),
    ),
    "peers": Command(
        "SRC",
        "ask each tracker and the DHT once who has it",
        ("tl peers debian.torrent", "tl peers 'magnet:?xt=urn:btih:…' --json"),
    ),
    "dht": Command(
        "lookup|node [HASH]",
        "ask the DHT once, or run a node of it",
        (
            "tl dht lookup 0123456789abcdef0123456789abcdef01234567",
            "tl dht node --listen 6881               # others can join by it: --bootstrap",
        ),
    ),
    "doctor": Command(
        "",
        "find out what keeps torrents from working here",
        ("tl doctor", "tl doctor -o /mnt/disk                  # is that a good place?", "tl doctor --json"),
    ),
    "demo": Command(
        "",
        "share and fetch a file over loopback, with nothing else",
        ("tl demo", "tl demo --size 1G"),
    ),
    "completions": Command(
        "SHELL",
        "print the tab completion for bash, zsh or fish",
        (
            'eval "$(tl completions bash)"          # for this shell',
            "tl completions zsh > ~/.zfunc/_tl",
            "tl completions fish > ~/.config/fish/completions/tl.fish",
        ),
    ),
}

EXITS: Final = {
    "0": "done; also Ctrl-C of seed, and of fetch --seed after completion",
    "1": "unexpected: a bug; -vv shows where",
    "2": "usage: the command line, a variable or config.toml makes no sense",
    "3": "no peers, metadata or progress before --timeout",
    "4": "bad or missing torrent, magnet or URL",
    "5": "disk or permission; a different file in the way",
    "6": "data does not match",
    "7": "the network refused everything; a port that is in use",
    "130, 143, 129": "interrupted by SIGINT, SIGTERM, SIGHUP before it was done; state is saved",
}
"""The exit codes, for the manual."""

FILES: Final = {
    "~/.config/torrentlite/config.toml": "flags that are always given; the place is that of the platform",
    "~/.local/state/torrentlite": "resume data, hash cache and kept port; --state-dir names another place",
}
"""The files, for the manual."""
