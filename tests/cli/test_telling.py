from __future__ import annotations

import http.server
import pathlib
import signal
import threading
import urllib.parse
from collections.abc import Iterator

import pytest

from torrentlite import Completed, MetadataReceived, PeerBanned, PieceFailed, StateChanged, TrackerReplied
from torrentlite.cli.telling import in_words
from torrentlite.stats import State

from .running import Place
from .test_transfers import LOOPBACK

URL = "udp://tracker.example:6969"


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (StateChanged(State.CHECKING, State.DOWNLOADING), "downloading"),
        (StateChanged(State.DOWNLOADING, State.ERROR, "no\x1b space"), "error: no\ufffd space"),
        (MetadataReceived("x", 3 << 20, 2), "the metadata is here: 2 files, 3.00 MiB"),
        (PieceFailed(1118, ("198.51.100.2", "198.51.100.3")),
         "piece 1,118 was wrong; parts of it came from 198.51.100.2, 198.51.100.3"),
        (PeerBanned("198.51.100.2", "sent wrong data"), "198.51.100.2 is banned: sent wrong data"),
        (TrackerReplied(URL, True, "", 1), f"{URL} names 1 peer"),
        (TrackerReplied(URL, True, "slow down", 3), f"{URL} names 3 peers, and warns: slow down"),
        (TrackerReplied(URL, False, "unregistered torrent", 0), f"{URL} fails: unregistered torrent"),
        (TrackerReplied(URL, False, "", 0), f"{URL} fails"),
        (Completed((pathlib.Path("/x"),)), ""),
    ],
)  # fmt: skip
def test_words(event: object, words: str) -> None:
    assert in_words(event, {}) == words  # type: ignore[arg-type]


def test_the_same_answer_is_no_news() -> None:
    told: dict[str, str] = {}
    refused, fine = TrackerReplied(URL, False, "unregistered torrent", 0), TrackerReplied(URL, True, "", 2)
    assert [bool(in_words(event, told)) for event in (refused, refused, fine, fine, refused)] == [
        True, False, True, False, True,
    ]  # fmt: skip


@pytest.fixture
def refusing() -> Iterator[str]:
    """The URL of a tracker that knows none of our torrents."""

    class Tracker(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert urllib.parse.urlsplit(self.path).path == "/announce"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"d14:failure reason20:unregistered torrente")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Tracker) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/announce"
        server.shutdown()
        thread.join()


def test_a_seed_says_that_its_tracker_refuses(place: Place, refusing: str) -> None:
    place.make_file("film.bin", 100_000)
    with place.start("seed", "film.bin", "-t", refusing, *LOOPBACK) as run:
        run.line()
        said = run.wait_for_words("the tracker fails")
        assert said.startswith("seeding film.bin") and said.endswith("(the tracker fails: unregistered torrent)")
        assert run.end(signal.SIGINT).code == 0


def test_in_json_it_has_its_evidence(place: Place, refusing: str) -> None:
    place.make_file("film.bin", 100_000)
    with place.start("seed", "film.bin", "-t", refusing, *LOOPBACK, "--json") as run:
        told = run.event("tracker")
        assert (told["ok"], told["message"]) == (False, "unregistered torrent")
        progress = run.event("progress", reason="trackers fail")
        assert progress["why"] == "the tracker fails: unregistered torrent"
        assert progress["evidence"].items() >= {"trackers": 1, "trackers failed": 1}.items()
        assert run.end(signal.SIGINT).code == 0
