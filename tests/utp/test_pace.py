"""How fast, and how long what waits before a narrow line: the figures of BEP 29 and LEDBAT (RFC 6817)."""

from __future__ import annotations

import pytest

from tests.utp.channel import Pair, Reno
from tests.utp.test_transfer import made_up
from torrentlite.utp.ledbat import TARGET

TARGET_SECONDS = TARGET / 1e6


def streaming(rate, *, queue=1e9, seconds=60, delay=0.03, **options):
    """A caller with more to say than the line carries in that time, after a while."""
    line = {"rate": rate, "queue": queue, "delay": delay, **options}
    pair = Pair(up=line, down={"delay": delay})
    pair.start()
    pair.caller.say(made_up(int(rate * seconds)))
    return pair


def share(pair, seconds):
    """Of the line, in the next seconds."""
    before = len(pair.called.heard)
    pair.run(seconds)
    pair.check()
    return (len(pair.called.heard) - before) / seconds / pair.caller.line.rate


@pytest.mark.parametrize("rate", [50_000.0, 300_000.0, 1_000_000.0])
@pytest.mark.parametrize("delay", [0.005, 0.08])
def test_alone_it_fills_the_line_and_hardly_waits(rate, delay):
    pair = streaming(rate, delay=delay, seconds=25)
    pair.run(10)
    assert share(pair, 10) > 0.93  # headers are 48 of 1400
    line = pair.caller.line
    assert line.overflowed == 0
    assert line.standing(10) < 1.15 * TARGET_SECONDS
    assert max(waited for when, waited in line.waits if when > 10) < 1.3 * TARGET_SECONDS


def test_the_beginning_fills_no_queue_for_long():
    pair = streaming(500_000.0, delay=0.05, seconds=12)
    pair.run(10)
    line = pair.caller.line
    assert max(waited for _, waited in line.waits) < 0.35
    assert line.standing(2) < TARGET_SECONDS
    assert len(pair.called.heard) > 0.9 * 10 * 500_000


def test_a_short_queue_overflows_little():
    pair = streaming(300_000.0, queue=9_000.0, seconds=40)
    pair.run(10)
    assert share(pair, 20) > 0.7
    assert pair.caller.line.overflowed < 0.05 * pair.caller.line.sent


@pytest.mark.parametrize("rate", [100_000.0, 1_000_000.0])
def test_it_makes_room_for_others_and_takes_it_back(rate):
    pair = streaming(rate, queue=0.4 * rate, seconds=60)
    pair.run(15)
    other = Reno(pair.caller.line, back=0.03)
    other.go()
    pair.run(15)
    before = other.arrived
    assert share(pair, 20) < 0.08
    assert (other.arrived - before) / 20 / rate > 0.9
    other.stopped = True
    pair.run(10)
    assert share(pair, 10) > 0.85


@pytest.mark.parametrize("loss", [0.001, 0.01])
def test_some_loss_is_no_end(loss):
    pair = streaming(200_000.0, loss=loss, seconds=30)
    pair.run(5)
    assert share(pair, 20) > 0.5


def test_jitter_is_no_queue():
    """Of three delays the shortest counts."""
    pair = streaming(200_000.0, jitter=0.02, seconds=40)
    pair.run(15)
    assert share(pair, 20) > 0.7


def test_both_ways_at_once():
    """Acknowledgements wait in the queue of the other direction, and slow nobody."""
    pair = Pair(up={"rate": 200_000.0, "delay": 0.03})
    pair.start()
    pair.caller.say(made_up(5_000_000))
    pair.called.say(made_up(5_000_000, 1))
    pair.run(10)
    before = [len(end.heard) for end in pair]
    pair.run(10)
    pair.check()
    for end, had in zip(pair, before, strict=True):
        assert (len(end.heard) - had) / 10 > 0.8 * 200_000
        assert end.line.standing(10) < 1.2 * TARGET_SECONDS


def test_it_uses_a_line_that_grew_and_shrank():
    pair = streaming(200_000.0, seconds=120)
    line = pair.caller.line
    pair.run(10)
    line.rate = 800_000.0
    pair.run(10)
    assert share(pair, 10) > 0.9
    line.rate = 100_000.0
    pair.run(30)
    assert share(pair, 10) > 0.9
    assert line.standing(pair.timeline.now - 10) < 1.5 * TARGET_SECONDS
