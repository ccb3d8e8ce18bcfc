import pytest
from hypothesis import given, strategies as st

from torrentlite.stats import Reason, State
from torrentlite.strategy.verdict import PATIENCE, Facts, why

LOADING = Facts(state=State.DOWNLOADING, left=1 << 20, peers=3, interesting=2, unchoked=1, known=5, needed=7)
STILL = LOADING._replace(quiet=90.0)
ALONE = Facts(state=State.DOWNLOADING, left=1 << 20, quiet=90.0, needed=7)


@pytest.mark.parametrize(
    ("facts", "reason", "message"),
    [
        (Facts(state=State.PAUSED), Reason.PAUSED, "paused"),
        (Facts(state=State.CLOSED), Reason.PAUSED, "removed from the session"),
        (Facts(state=State.CHECKING, quiet=90.0), Reason.CHECKING, "checking what is on the disk"),
        (Facts(state=State.SEEDING, quiet=9e9, peers=1), Reason.COMPLETE, "complete, 1 peer connected"),
        (
            Facts(state=State.PAUSED, disk=True, error="No space left on device: a.iso"),
            Reason.DISK,
            "No space left on device: a.iso; waiting to try again",
        ),
        (LOADING._replace(disk=True), Reason.DISK, "the disk refuses; waiting to try again"),
        (Facts(state=State.ERROR, error="Permission denied: a.iso"), Reason.ERROR, "Permission denied: a.iso"),
        (Facts(state=State.ERROR), Reason.ERROR, "stopped by an error"),
        (
            Facts(state=State.SEEDING, peers=1, trackers=1, trackers_failed=1, tracker_message="unregistered torrent"),
            Reason.TRACKERS_FAIL,
            "the tracker fails: unregistered torrent",
        ),
        (
            Facts(state=State.SEEDING, trackers=2, trackers_failed=1, tracker_message="unregistered torrent"),
            Reason.COMPLETE,
            "complete, 0 peers connected",
        ),
        (
            Facts(state=State.SEEDING, quiet=PATIENCE, dht="joining"),
            Reason.NO_DHT,
            "no node of the DHT answers: who is not in this network finds it by its address alone",
        ),
        (Facts(state=State.SEEDING, quiet=PATIENCE - 1, dht="joining"), Reason.COMPLETE, "complete, 0 peers connected"),
        (Facts(state=State.SEEDING, quiet=90.0, dht="joined"), Reason.COMPLETE, "complete, 0 peers connected"),
        (Facts(state=State.SEEDING, quiet=90.0), Reason.COMPLETE, "complete, 0 peers connected"),
        (
            Facts(state=State.SEEDING, quiet=90.0, dht="joining", peers=1),
            Reason.COMPLETE,
            "complete, 1 peer connected",
        ),
        (
            Facts(state=State.SEEDING, quiet=90.0, dht="joining", trackers=1),
            Reason.COMPLETE,
            "complete, 0 peers connected",
        ),
        # moving, or too early to say
        (LOADING, Reason.FINE, "downloading from 1 peer"),
        (LOADING._replace(quiet=PATIENCE - 0.1), Reason.FINE, "downloading from 1 peer"),
        (LOADING._replace(left=0), Reason.FINE, "finishing"),
        (STILL._replace(left=0), Reason.FINE, "finishing"),
        (LOADING._replace(limited=True), Reason.LIMITED, "as fast as its download limit allows"),
        (ALONE._replace(quiet=3.0), Reason.FINE, "looking for peers"),
        (Facts(state=State.METADATA, quiet=3.0), Reason.FINE, "looking for peers"),
        (ALONE._replace(quiet=3.0, trackers=1, asking=1), Reason.FINE, "asking the tracker"),
        (ALONE._replace(quiet=3.0, trackers=5, asking=2), Reason.FINE, "asking 2 trackers"),
        (ALONE._replace(quiet=3.0, trackers=1, asking=1, calling=3), Reason.FINE, "calling 3 peers"),
        # who alone was asked has refused: there is nothing to wait for
        (
            ALONE._replace(quiet=0.1, trackers=1, trackers_failed=1, tracker_message="refused", lookups=True),
            Reason.TRACKERS_FAIL,
            "the tracker fails: refused",
        ),
        (
            Facts(state=State.METADATA, trackers=1, trackers_failed=1, tracker_message="refused"),
            Reason.TRACKERS_FAIL,
            "the tracker fails: refused",
        ),
        (ALONE._replace(quiet=3.0, trackers=1, trackers_failed=1, asking=1), Reason.FINE, "asking the tracker"),
        (ALONE._replace(quiet=3.0, trackers=1, trackers_failed=1, dht="joined"), Reason.FINE, "asking the DHT"),
        (ALONE._replace(quiet=3.0, trackers=1, trackers_failed=1, calling=1), Reason.FINE, "calling 1 peer"),
        (ALONE._replace(quiet=3.0, trackers=1, trackers_failed=1, known=1), Reason.FINE, "looking for peers"),
        (ALONE._replace(quiet=3.0, trackers=1, trackers_failed=1, web_seeds=1), Reason.FINE, "looking for peers"),
        (
            LOADING._replace(unchoked=0),
            Reason.FINE,
            "connected; waiting for 2 peers to give us a turn",
        ),
        (
            LOADING._replace(interesting=1, unchoked=0),
            Reason.FINE,
            "connected; waiting for it to give us a turn",
        ),
        (
            LOADING._replace(interesting=0, unchoked=0),
            Reason.FINE,
            "connected to 3 peers, none has anything for us yet",
        ),
        (Facts(state=State.METADATA, quiet=3.0, peers=2), Reason.FINE, "fetching the metadata"),
        # nothing can move, and it is not too early to say so
        (LOADING._replace(interface="there is no wg0"), Reason.INTERFACE, "there is no wg0"),
        (Facts(state=State.METADATA, interface="there is no wg0"), Reason.INTERFACE, "there is no wg0"),
        (Facts(state=State.SEEDING, peers=2, interface="there is no wg0"), Reason.INTERFACE, "there is no wg0"),
        (Facts(state=State.PAUSED, interface="there is no wg0"), Reason.PAUSED, "paused"),
        # nobody is connected
        (ALONE, Reason.NO_SOURCES, "no tracker and no peer is known, so there is nobody to ask"),
        (
            ALONE._replace(proxy="the proxy x does not answer", known=3, failing=3),
            Reason.PROXY,
            "the proxy x does not answer",
        ),
        (ALONE._replace(lookups=True), Reason.NO_PEERS, "nobody who was asked knows a peer"),
        (ALONE._replace(dht="joined", dht_nodes=9), Reason.NO_PEERS, "the DHT knows no peer"),
        (ALONE._replace(dht="joining"), Reason.NO_DHT, "no node of the DHT answers"),
        (ALONE._replace(dht="joining", trackers=1), Reason.NO_PEERS, "nobody who was asked knows a peer"),
        (
            ALONE._replace(dht="joined", trackers=1, trackers_failed=1, tracker_message="refused"),
            Reason.TRACKERS_FAIL,
            "the tracker fails, and the DHT knows no peer: refused",
        ),
        (
            ALONE._replace(trackers=2, trackers_failed=1),
            Reason.NO_PEERS,
            "nobody who was asked knows a peer",
        ),
        (
            ALONE._replace(trackers=1, trackers_failed=1, tracker_message="unregistered torrent"),
            Reason.TRACKERS_FAIL,
            "the tracker fails: unregistered torrent",
        ),
        (ALONE._replace(trackers=2, trackers_failed=2), Reason.TRACKERS_FAIL, "both trackers fail"),
        (ALONE._replace(trackers=3, trackers_failed=3), Reason.TRACKERS_FAIL, "all 3 trackers fail"),
        (
            ALONE._replace(web_seeds=2, web_failed=2),
            Reason.WEB_SEEDS_FAIL,
            "both web seeds fail, and no peer is connected",
        ),
        (ALONE._replace(trackers=1, asking=1), Reason.NO_PEERS, "the tracker has not answered yet"),
        (ALONE._replace(trackers=3, trackers_failed=1, asking=1), Reason.NO_PEERS, "no tracker has answered yet"),
        (
            ALONE._replace(trackers=1, asking=1, dht="joined"),
            Reason.NO_PEERS,
            "the tracker has not answered yet, and the DHT knows no peer",
        ),
        (ALONE._replace(trackers=1, asking=1, answered=1), Reason.NO_PEERS, "nobody who was asked knows a peer"),
        (
            ALONE._replace(known=1, failing=1, reached=1, closed="the gateway opens no port"),
            Reason.UNREACHABLE,
            "1 peer known; it was reached, and gave no handshake: it may not share this",
        ),
        (
            ALONE._replace(known=4, failing=4, reached=2),
            Reason.UNREACHABLE,
            "4 peers known; 2 were reached, and gave no handshake: they may not share this",
        ),
        (ALONE._replace(known=4, failing=4), Reason.UNREACHABLE, "4 peers known, none could be reached"),
        (ALONE._replace(unfound=1, unfound_message="cannot find x"), Reason.UNREACHABLE, "cannot find x"),
        (
            ALONE._replace(unfound=3, unfound_message="cannot find x", dht="joined"),
            Reason.UNREACHABLE,
            "none of 3 names of peers is found: cannot find x",
        ),
        (
            ALONE._replace(known=4, failing=4, closed="the gateway 192.168.1.1 opens no port"),
            Reason.UNREACHABLE,
            "4 peers known, none could be reached; and nobody can reach us: the gateway 192.168.1.1 opens no port",
        ),
        (ALONE._replace(known=4, failing=3), Reason.NO_PEERS, "4 peers known, none connected yet"),
        (
            ALONE._replace(state=State.METADATA, known=1, failing=1, trackers=1, trackers_failed=1),
            Reason.UNREACHABLE,
            "1 peer known, none could be reached",
        ),
        # somebody is, and nothing comes
        (Facts(state=State.METADATA, quiet=600.0, peers=3), Reason.NO_METADATA, "no metadata from 3 peers for 10 min"),
        (
            STILL._replace(interesting=0, unchoked=0, missing=7),
            Reason.MISSING_PIECES,
            "3 peers connected, none with any of the 7 pieces needed",
        ),
        (
            STILL._replace(interesting=0, unchoked=0, missing=1, needed=1),
            Reason.MISSING_PIECES,
            "3 peers connected, none with the piece needed",
        ),
        (
            STILL._replace(unchoked=0),
            Reason.CHOKED,
            "waiting for a turn: choked by 2 peers that could help",
        ),
        (STILL._replace(limited=True), Reason.LIMITED, "held back by its download limit"),
        (
            STILL._replace(waits=True),
            Reason.MISSING_PIECES,
            "3 peers connected, none with the piece that comes next",
        ),
        (STILL._replace(waits=True, web_seeds=1), Reason.SLOW, "asked 1 peer, and nothing came for 90 s"),
        (STILL, Reason.SLOW, "asked 1 peer, and nothing came for 90 s"),
        (STILL._replace(quiet=9000.0), Reason.SLOW, "asked 1 peer, and nothing came for 2 h"),
    ],
)
def test_verdicts(facts: Facts, reason: Reason, message: str) -> None:
    verdict = why(facts)
    assert (verdict.reason, verdict.message) == (reason, message)


def test_evidence_is_what_was_counted() -> None:
    evidence = dict(why(STILL._replace(trackers=2, trackers_failed=1)).evidence)
    assert evidence == {
        "quiet": 90,
        "peers": 3,
        "interesting": 2,
        "unchoked": 1,
        "needed": 7,
        "known": 5,
        "trackers": 2,
        "trackers failed": 1,
    }


HOSTILE = "\x1b]0;pwned\x07\nsecond line \u202egpj.exe" + "x" * 10_000


@pytest.mark.parametrize(
    "facts",
    [
        ALONE._replace(trackers=1, trackers_failed=1, tracker_message=HOSTILE),
        Facts(state=State.ERROR, error=HOSTILE),
        Facts(state=State.PAUSED, disk=True, error=HOSTILE),
    ],
)
def test_words_from_outside_are_fit_to_be_shown(facts: Facts) -> None:
    message = why(facts).message
    assert "pwned" in message
    assert message.isprintable()
    assert len(message) < 400


COUNTS = st.integers(0, 5)


@given(
    st.builds(
        Facts,
        state=st.sampled_from(State),
        error=st.sampled_from(["", "No space left on device"]),
        disk=st.booleans(),
        left=COUNTS,
        quiet=st.floats(0, 1e6),
        limited=st.booleans(),
        trackers=COUNTS,
        trackers_failed=COUNTS,
        tracker_message=st.text(max_size=5),
        dht=st.sampled_from(["", "joining", "joined"]),
        lookups=st.booleans(),
        known=COUNTS,
        failing=COUNTS,
        peers=COUNTS,
        interesting=COUNTS,
        unchoked=COUNTS,
        missing=COUNTS,
        needed=COUNTS,
    )
)
def test_there_is_always_a_verdict(facts: Facts) -> None:
    verdict = why(facts)
    assert verdict.message
    moving = facts.quiet < PATIENCE or not facts.left
    if verdict.reason is Reason.FINE:
        assert moving


def test_who_waits_no_longer_wants_to_know_now() -> None:
    facts = Facts(state=State.DOWNLOADING, left=1, quiet=1.0, known=1, failing=1)
    assert why(facts).reason is Reason.FINE
    assert why(facts, patience=0).reason is Reason.UNREACHABLE
