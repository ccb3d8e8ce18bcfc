"""A session through which peers and torrents pass is left as it was before. Hours of that: ``python -m tests.reliability
soak``."""

import collections
import random
import subprocess
import sys

import pytest

from tests.reliability import soak
from tests.reliability.samples import LONG_ENOUGH, SLOPE, Sample, growing, left_over, slope

linux = pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors as Linux tells them")


def line(an_hour, noise=0.0, seconds=6300, start=50.0):
    """Memory that grows by so many MiB an hour, looked at four times a minute."""
    rng = random.Random(1)
    return [(900.0 + at, start + an_hour * at / 3600 + rng.gauss(0, noise)) for at in range(0, seconds, 15)]


def test_a_slope():
    rise, error = slope(line(1.5))
    assert rise == pytest.approx(1.5) and error == pytest.approx(0, abs=1e-9)
    rise, error = slope(line(-3.0, noise=0.5))
    assert abs(rise + 3.0) < 4 * error
    assert 0 < error < 0.2


@pytest.mark.parametrize("an_hour", [-5.0, 0.0, SLOPE * 0.8])
def test_memory_that_stays(an_hour):
    assert growing(line(an_hour, noise=0.3)) == []


@pytest.mark.parametrize("an_hour", [SLOPE * 1.3, 2.0, 500.0])
def test_memory_that_grows_is_noticed(an_hour):
    (said,) = growing(line(an_hour, noise=0.3))
    assert "MiB an hour" in said


def test_too_short_for_a_slope():
    assert growing([]) == growing(line(500.0)[:2]) == growing(line(500.0, seconds=LONG_ENOUGH - 30)) == []


BEFORE = Sample(0, 50, 16, 6, 10, names=collections.Counter(a=9, b=1), ours=collections.Counter(Life=1))


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (Sample(0, 90, 16, 6, 10, names=BEFORE.names, ours=BEFORE.ours), []),
        (Sample(0, 90, 15, 5, 9), []),
        (Sample(0, 50, 17, 6, 10), ["at the end: 17 fds, there were 16"]),
        (Sample(0, 50, 17, 7, 10), ["at the end: 17 fds, there were 16", "at the end: 7 sockets, there were 6"]),
        (
            Sample(0, 50, 16, 6, 12, names=BEFORE.names + collections.Counter(b=2)),
            ["at the end: 12 tasks, there were 10 (b, b)"],
        ),
        (
            Sample(0, 50, 16, 6, 10, ours=collections.Counter(Life=2, Peer=3)),
            ["at the end: objects left over: 1 Life, 3 Peer"],
        ),
    ],
)
def test_what_is_left_over(after, said):
    assert left_over(BEFORE, after, "at the end") == said


def begin(*words):
    command = [sys.executable, "-m", "tests.reliability", "soak", "--rounds", "1", "--pace", "0", "--speed", "3000000"]
    return subprocess.Popen(
        [*command, *words], cwd=soak.ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.fixture(scope="module")
def runs():
    """A round, and one that loses one thing of each kind: what each said, and its exit status. Both wait most of the time."""
    leaks = [word for leak in soak.LEAKS for word in ("--leak", leak)]
    with begin() as sound, begin("--settle", "1", *leaks) as leaking:
        try:
            yield [(process.communicate(timeout=300)[0], process.returncode) for process in (sound, leaking)]
        finally:
            sound.kill()
            leaking.kill()


@linux
def test_everything_is_back_after_a_round(runs):
    said, status = runs[0]
    assert "BAD" not in said and said.endswith("all is well\n"), said
    assert status == 0
    for name in soak.HAPPENS:
        assert f" {name}\n" in said


@linux
def test_what_is_lost_is_noticed(runs):
    said, status = runs[1]
    assert status == 1
    for when in ("with no torrent left", "with the session closed"):
        start = f"BAD: {when}: "
        about = [text.removeprefix(start) for text in said.splitlines() if text.startswith(start)]
        assert [text.split(",")[0].split()[1] for text in about[:3]] == ["fds", "sockets", "tasks"], said
        assert about[2].endswith("(trio.sleep_forever)")
        assert "1 Life," in about[3] and "1 Torrent" in about[3]
