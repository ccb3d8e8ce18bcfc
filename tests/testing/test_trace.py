import enum

import pytest

from torrentlite.testing import Dice, Trace
from torrentlite.wire.address import Address


class Colour(enum.Enum):
    RED = 1


async def trace_of(*events):
    trace = Trace()
    for event in events:
        trace.record(*event)
    return trace.digest()


async def test_the_digest_depends_on_kinds_details_and_order(autojump_clock):
    a, b = ("a", 1), ("b", "x", b"y", 1.5, None, (2, ("z",)), Address("1.2.3.4", 5))
    assert await trace_of(a, b) == await trace_of(a, b)
    assert len({await trace_of(a, b), await trace_of(b, a), await trace_of(a), await trace_of(("a", 2), b)}) == 4


async def test_the_digest_depends_on_the_time(autojump_clock):
    before = await trace_of(("a",))
    autojump_clock.jump(1)
    assert await trace_of(("a",)) != before


async def test_events_are_counted_and_shown(autojump_clock):
    lines = []
    trace = Trace(lines.append)
    trace.record("refused", 1)
    trace.record("refused", 2)
    assert trace.counts == {"refused": 2}
    assert lines == ["(0.0, 'refused', 1)", "(0.0, 'refused', 2)"]


@pytest.mark.parametrize("part", [{1}, {}, object(), Colour.RED, [1], (1, {2}), True.__class__])
async def test_what_may_look_different_elsewhere_is_refused(autojump_clock, part):
    trace = Trace()
    with pytest.raises(TypeError):
        trace.record("event", part)
    assert trace.counts == {}


def test_dice_fall_the_same_way_for_the_same_seed_and_name():
    one, same, other = Dice(1), Dice(1), Dice(2)
    assert one.rng("a").random() == same.rng("a").random() != other.rng("a").random()
    assert one.rng("a").random() != one.rng("b").random()
    assert one.secret("a")(20) == same.secret("a")(20) != one.rng("a").randbytes(20)
    secret = one.secret("a")
    assert secret(20) != secret(20)


def test_dice_are_the_same_in_every_version():
    assert Dice("seed").rng("name").getrandbits(32) == 839046447
