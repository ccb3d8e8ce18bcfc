from __future__ import annotations

import time
from typing import Any

import pytest
import trio

from torrentlite.cli.hashing import Tally
from torrentlite.cli.output import Job, process_age
from torrentlite.cli.progress import Glance, Pulse, fields, line, look, reason
from torrentlite.stats import Reason, State, Why

from .glances import CHOKED, FINE, stats


@pytest.mark.parametrize(
    ("state", "peers", "sharing", "stage"),
    [
        (State.METADATA, 0, False, "looking for peers"),
        (State.METADATA, 1, False, "metadata"),
        (State.CHECKING, 0, False, "checking"),
        (State.DOWNLOADING, 0, False, "looking for peers"),
        (State.DOWNLOADING, 2, False, "downloading"),
        (State.SEEDING, 0, False, "done"),
        (State.SEEDING, 0, True, "seeding"),
        (State.SEEDING, 2, True, "seeding"),
        (State.PAUSED, 0, False, "paused"),
    ],
)
def test_stages_in_words(state: State, peers: int, sharing: bool, stage: str) -> None:
    assert look(stats(state=state, peers=peers), FINE, sharing=sharing).stage == stage


def test_the_moment_between_the_last_block_and_the_disk() -> None:
    assert look(stats(left=0, peers=0), FINE).stage == "finishing"


def test_every_state_has_a_stage() -> None:
    for state in State:
        assert look(stats(state=state), FINE).stage


def test_a_check_counts_what_it_checked() -> None:
    glance = look(stats(state=State.CHECKING, checked=3, check_total=10), FINE)
    assert (glance.done, glance.total, glance.eta) == (3, 10, None)


def test_a_name_that_would_draw_on_the_terminal() -> None:
    glance = look(stats(name="\x1b[2Jx\u202ey[/][link=z]"), Why(Reason.DISK, "a\x07b\nc"))
    assert glance.name == "\ufffd[2Jx\ufffdy[/][link=z]"
    assert line(glance).isprintable()


def test_a_plain_line() -> None:
    assert line(look(stats(), FINE)) == (
        "41.2 %  downloading debian.iso  1.65 of 4.00 GiB  ↓ 20.5 MiB/s  38 peers  1m57s left"
    )
    assert line(look(stats(peers=0, down_rate=0.0), CHOKED)) == (
        "41.2 %  looking for peers debian.iso  1.65 of 4.00 GiB  (all 3 peers choke us)"
    )
    assert line(look(stats(state=State.SEEDING, uploaded=5 << 20, peers=1), FINE, sharing=True)) == (
        "seeding debian.iso  ↑ 0 B/s  5.00 MiB shared  1 peer"
    )
    assert line(look(stats(state=State.SEEDING, uploaded=5 << 20, peers=0, copies=2), FINE, sharing=True)) == (
        "seeding debian.iso  ↑ 0 B/s  5.00 MiB shared  2 others have it  0 peers"
    )
    assert len(line(look(stats(name="x" * 500), FINE))) < 200


def test_lines_are_due_at_each_tenth_and_after_thirty_seconds() -> None:
    pulse = Pulse(0.0)
    due = []
    for second in range(101):
        done = min(second, 40) if second < 90 else second
        if pulse.line_due(Glance("x", "downloading", done=done, total=100), float(second)):
            due.append(second)
    # Standing still from 40 on; at 100 % the owner has the last word.
    assert due == [10, 20, 30, 40, 70, 90]


def test_a_fast_transfer_says_each_tenth_once() -> None:
    pulse = Pulse(0.0)
    steps = [pulse.line_due(Glance("x", "downloading", done=done, total=1000), 0.0) for done in range(1001)]
    assert sum(steps) == 9


def test_a_stage_counts_from_where_it_begins() -> None:
    pulse = Pulse(0.0)
    assert pulse.line_due(Glance("x", "checking", done=95, total=100), 1.0) is False
    assert pulse.line_due(Glance("x", "downloading", done=55, total=100), 2.0) is False
    assert pulse.line_due(Glance("x", "downloading", done=61, total=100), 3.0) is True


def test_a_seed_that_nobody_asks_says_nothing() -> None:
    pulse = Pulse(0.0)
    idle = Glance("x", "seeding", total=100, steady=True)
    assert not any(pulse.line_due(idle, float(second)) for second in range(1000))
    assert pulse.line_due(Glance("x", "seeding", total=100, steady=True, uploaded=7), 1000.0)
    assert not pulse.line_due(Glance("x", "seeding", total=100, steady=True, uploaded=7), 2000.0)
    assert pulse.line_due(Glance("x", "seeding", total=100, steady=True, uploaded=7, copies=1), 2000.0)


def test_what_it_waits_for_is_said_once_and_at_once() -> None:
    pulse = Pulse(0.0)
    still, choked = look(stats(), FINE), look(stats(), CHOKED)
    due = [pulse.line_due(glance, 1.0) for glance in (still, choked, choked, still, choked)]
    assert due == [False, True, False, False, True]


def test_a_torrent_that_a_person_has_stopped_is_not_late() -> None:
    pulse = Pulse(0.0)
    assert pulse.idle(look(stats(state=State.PAUSED), FINE), 500.0) == 0


def test_trouble_has_the_name_of_what_it_is() -> None:
    full = Why(Reason.DISK, "No space left on device: a.iso; waiting to try again")
    assert look(stats(), full).stage == "waiting for the disk"
    assert look(stats(state=State.ERROR), Why(Reason.ERROR, "Permission denied")).stage == "stopped by an error"


def test_only_more_than_ever_is_progress() -> None:
    pulse = Pulse(0.0)
    assert pulse.idle(Glance("x", "downloading", moved=10), 5.0) == 0
    assert pulse.idle(Glance("x", "downloading", moved=10), 9.0) == 4
    # A recheck starts again from nothing: less than before is no progress, and neither is coming back to it.
    assert pulse.idle(Glance("x", "downloading", moved=3), 10.0) == 5
    assert pulse.idle(Glance("x", "downloading", moved=10), 11.0) == 6
    assert pulse.idle(Glance("x", "downloading", moved=11), 12.0) == 0
    assert pulse.idle(Glance("x", "seeding", moved=0, steady=True), 50.0) == 0


def test_wrong_data_is_no_progress() -> None:
    before = look(stats(downloaded=500, wasted=0), FINE).moved
    assert look(stats(downloaded=900, wasted=400), FINE).moved == before


def test_json_fields() -> None:
    event, values = fields(look(stats(), CHOKED))
    assert event == "progress"
    assert values == {
        "done": 1690 << 20,
        "total": 4 << 30,
        "down_bps": 41 << 19,
        "up_bps": 0,
        "peers": 38,
        "web_seeds": 0,
        "sources": {},
        "eta_s": None,
        "uploaded": 0,
        "copies": 0,
        "stage": "downloading",
        "why": "all 3 peers choke us",
        "reason": "choked",
        "evidence": {},
    }
    assert fields(look(stats(), FINE))[1] == values | {"eta_s": 117, "why": None, "reason": "fine"}
    assert fields(look(stats(state=State.CHECKING, checked=1, check_total=2), FINE)) == (
        "checking",
        {"done": 1, "total": 2},
    )


QUIET = (("quiet", 9),)


@pytest.mark.parametrize(
    ("changes", "why", "known"),
    [
        ({}, FINE, True),
        ({}, Why(Reason.LIMITED, ""), True),
        ({"peers": 0, "web_seeds": 1}, FINE, True),
        ({}, Why(Reason.FINE, "", (("quiet", 5),)), True),
        ({}, Why(Reason.FINE, "", QUIET), False),
        ({"peers": 0}, FINE, False),
        ({}, Why(Reason.DISK, "full"), False),
        ({}, Why(Reason.SLOW, "nothing came"), False),
        ({}, CHOKED, False),
        ({"state": State.PAUSED}, Why(Reason.PAUSED, ""), False),
        ({"state": State.METADATA}, FINE, False),
        ({"state": State.ERROR}, Why(Reason.ERROR, ""), False),
    ],
)
def test_a_time_left_while_something_comes(changes: dict[str, Any], why: Why, known: bool) -> None:
    """A rate that fades makes it years."""
    assert (look(stats(**changes), why).eta is not None) is known


async def test_a_check_has_a_rate_and_a_time_left(autojump_clock: object) -> None:
    done = 0
    job = Job(lambda: look(stats(state=State.CHECKING, checked=done, check_total=1000 << 20, down_rate=0.0), FINE))
    first = job.glance(trio.current_time())
    assert (first.eta, first.down_rate) == (None, 0)
    await trio.sleep(10)
    done = 200 << 20
    glance = job.glance(trio.current_time())
    assert (glance.down_rate, glance.eta) == (20 << 20, 40)
    assert "20.0 MiB/s" in line(glance) and "40s left" in line(glance)


async def test_hashing_that_stands_still_says_so(autojump_clock: object) -> None:
    tally = Tally("holiday")
    job = Job(tally.glance)
    tally(100, 1000)
    assert not reason(job.glance(trio.current_time()))
    await trio.sleep(25)
    assert reason(job.glance(trio.current_time())) == "nothing could be read for 25s"
    tally(200, 1000)
    assert not reason(job.glance(trio.current_time()))


@pytest.mark.parametrize("proc", [True, False])
def test_how_long_it_took_does_not_change_with_the_date(proc: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not proc:  # as where the system does not say when a process began
        monkeypatch.setattr("builtins.open", nowhere)
    before, now = process_age(), time.time()
    assert before > 0
    monkeypatch.setattr(time, "time", lambda: now - 7200)
    assert before <= process_age() < before + 60


def nowhere(*_: object) -> None:
    raise FileNotFoundError
