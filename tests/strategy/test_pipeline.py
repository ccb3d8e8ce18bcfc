import copy
import itertools
from collections import deque
from collections.abc import Iterator

import pytest
from hypothesis import given, strategies as st

from torrentlite import limits
from torrentlite.metainfo.layout import BLOCK_SIZE, Block
from torrentlite.strategy.pipeline import LEAST, QUEUE_TIME, START, USUAL, Pipeline

KIB, MIB = 1 << 10, 1 << 20


def blocks(first: int, count: int) -> list[Block]:
    return [Block(index // 64, index % 64 * BLOCK_SIZE, BLOCK_SIZE) for index in range(first, first + count)]


class Line:
    """A peer that serves requests in order at a rate, behind a line with a delay each way."""

    def __init__(self, rate: float, delay: float, *, reqq: int | None = None) -> None:
        self.rate, self.delay = rate, delay
        self.now = 0.0
        self.pipeline = Pipeline(0.0)
        if reqq is not None:
            self.pipeline.reqq = reqq
        self.most = 0
        self._fresh: Iterator[int] = itertools.count()
        self._queue: deque[tuple[float, Block]] = deque()  # when it reaches the peer
        self._free_at = 0.0

    def _ask(self) -> None:
        room = self.pipeline.room(self.now)
        wanted = [blocks(next(self._fresh), 1)[0] for _ in range(room)]
        self.pipeline.sent(wanted, self.now)
        self._queue.extend((self.now + self.delay, block) for block in wanted)
        self.most = max(self.most, self.pipeline.outstanding)

    def run(self, until: float) -> int:
        """Bytes that arrive until then."""
        arrived = 0
        self._ask()
        while self._queue:
            reached, block = self._queue[0]
            done = max(self._free_at, reached) + block.length / self.rate
            if done + self.delay > until:
                break
            self._queue.popleft()
            self._free_at = done
            self.now = done + self.delay
            assert not self.pipeline.got([block], self.now)
            arrived += block.length
            self._ask()
        self.now = until
        return arrived


@pytest.mark.parametrize(
    ("rate", "delay", "reqq"),
    [
        (8 * KIB, 0.05, None),
        (64 * KIB, 0.05, None),
        (1 * MIB, 0.02, None),
        (20 * MIB, 0.1, None),
        (20 * MIB, 0.1, 2000),
        (100 * MIB, 0.1, 2000),
        (100 * MIB, 0.0005, 250),
    ],
)
def test_keeps_a_peer_busy(rate: int, delay: float, reqq: int | None) -> None:
    line = Line(rate, delay, reqq=reqq)
    line.run(5.0)
    assert line.run(7.0) >= 0.95 * rate * 2 - BLOCK_SIZE


@pytest.mark.parametrize("rate", [4 * KIB, 64 * KIB, 512 * KIB])
def test_a_slow_peer_is_promised_no_more_than_a_few_seconds(rate: int) -> None:
    line = Line(rate, 0.02)
    line.run(30.0)
    assert line.pipeline.outstanding <= max(LEAST, QUEUE_TIME * rate / BLOCK_SIZE + 1)
    assert line.most <= START + 2 * QUEUE_TIME * rate / BLOCK_SIZE


def test_the_queue_is_long_after_the_first_few_mebibytes() -> None:
    line = Line(1024 * MIB, 0.0001)
    line.run(4 / 1024)
    assert line.pipeline.target >= 400


def test_a_queue_beyond_the_usual_only_where_the_round_trip_needs_it() -> None:
    near, far = Line(100 * MIB, 0.001, reqq=2000), Line(100 * MIB, 0.1, reqq=2000)
    near.run(5.0)
    far.run(5.0)
    assert near.most <= USUAL
    assert USUAL < far.most <= 2000


@pytest.mark.parametrize(
    ("said", "taken"), [(10, 10), (1, 1), (0, 1), (-1, 1), (1 << 63, limits.MAX_OUTSTANDING), (250, 250)]
)
def test_never_asks_for_more_than_the_peer_queues(said: int, taken: int) -> None:
    line = Line(50 * MIB, 0.1, reqq=said)
    assert line.pipeline.reqq == taken
    line.run(3.0)
    assert line.most <= taken


def test_asks_in_batches() -> None:
    pipeline = Pipeline(0.0)
    first = blocks(0, pipeline.room(0.0))
    assert len(first) == START
    pipeline.sent(first, 0.0)
    pipeline.forget(first.pop())
    pipeline.forget(first.pop())
    assert pipeline.outstanding * 4 == START * 3
    assert pipeline.room(0.0) == 0
    pipeline.forget(first.pop())
    assert pipeline.room(0.0) == 3


def test_knows_what_was_outstanding() -> None:
    pipeline = Pipeline(0.0)
    (block,) = blocks(5, 1)
    pipeline.sent([block], 0.0)
    piece, begin, length = block
    assert pipeline.got([(piece, begin, length - 1)], 1.0)
    assert pipeline.got([(piece, begin + 1, length)], 1.0)
    assert not pipeline.got([(piece, begin, length)], 1.0)
    assert pipeline.got([(piece, begin, length)], 1.0) == [(piece, begin, length)]
    assert pipeline.outstanding == 0


# -- peers that do not answer ------------------------------------------------------------------------------------------


def test_a_silent_peer_loses_everything_and_is_probed_with_one_block() -> None:
    pipeline = Pipeline(0.0)
    pipeline.sent(blocks(0, 8), 0.0)
    assert pipeline.overdue(limits.REQUEST_TIMEOUT - 0.1) == []
    assert pipeline.overdue(limits.REQUEST_TIMEOUT) == blocks(0, 8)
    assert pipeline.outstanding == 0
    assert pipeline.room(20.0) == 1
    pipeline.sent(blocks(8, 1), 20.0)
    assert pipeline.room(20.0) == 0
    assert pipeline.overdue(39.9) == []  # the probe has its own time
    assert pipeline.overdue(40.0) == blocks(8, 1)


def test_a_silent_peer_that_wakes_up_gets_its_queue_back() -> None:
    pipeline = Pipeline(0.0)
    pipeline.sent(blocks(0, 8), 0.0)
    pipeline.overdue(20.0)
    pipeline.sent(blocks(8, 1), 20.0)
    assert not pipeline.got(blocks(8, 1), 21.0)
    assert pipeline.room(21.0) == START


def test_a_block_that_is_passed_over_goes_to_others() -> None:
    pipeline = Pipeline(0.0)
    pipeline.sent(blocks(0, 1), 0.0)
    now = 0.0
    for index in range(1, 200):
        now = index * 0.5
        pipeline.sent(blocks(index, 1), now)
        assert not pipeline.got(blocks(index, 1), now + 0.1)
        if overdue := pipeline.overdue(now):
            assert overdue == blocks(0, 1)
            break
    assert now == limits.BLOCK_TIMEOUT


def test_what_a_peer_holds_when_it_becomes_slow_is_free_again_within_a_minute() -> None:
    pipeline = Pipeline(0.0)
    pipeline.sent(blocks(0, 500), 0.0)
    held = deque(blocks(0, 500))
    freed = 0
    for second in range(2, 62, 2):
        assert not pipeline.got([held.popleft()], float(second))
        pipeline.room(float(second))
        freed += len(pipeline.overdue(float(second)))
    assert freed == len(held) == 470
    assert pipeline.outstanding == 0
    assert pipeline.target <= 4


def test_a_connection_is_lost_when_a_peer_that_sent_blocks_is_quiet_as_never_before() -> None:
    newcomer, pipeline, heard = Pipeline(0.0), Pipeline(0.0), 0.0
    newcomer.sent(blocks(0, 1), 0.0)
    assert not any(newcomer.lost(quiet, quiet) for quiet in map(float, range(130))), "no block has ever come"
    pipeline.sent(blocks(0, 1), 0.0)
    pipeline.got(blocks(0, 1), heard)
    for number, (slowest, most) in enumerate([(10, limits.SNUB_TIMEOUT), (50, 100), (40, 100), (90, 180)], 1):
        pipeline.sent(blocks(number, 1), heard)
        assert not any(pipeline.lost(float(quiet), heard + quiet) for quiet in range(slowest + 1))
        heard += slowest + 1
        pipeline.got(blocks(number, 1), heard)
        assert not pipeline.lost(0.0, heard)
        silent = copy.deepcopy(pipeline)
        silent.sent(blocks(9, 1), heard)
        assert not any(silent.lost(float(quiet), heard + quiet) for quiet in range(int(most) + 1))
        assert silent.lost(most + 1, heard + most + 1)
    assert not pipeline.lost(1000.0, heard + 1000), "it owes us nothing"


def test_snubbed_after_a_minute_of_silence() -> None:
    pipeline = Pipeline(0.0)
    pipeline.sent(blocks(0, 8), 0.0)
    for now in range(60):
        pipeline.overdue(float(now))
        if not pipeline.outstanding:
            pipeline.sent(blocks(100 + now, pipeline.room(float(now))), float(now))
        assert not pipeline.snubbed(float(now))
    assert pipeline.snubbed(60.0)
    probe = blocks(140, 1)
    pipeline.sent(probe, 60.0)
    pipeline.got(probe[:1], 61.0)
    assert not pipeline.snubbed(61.0)


def test_the_wait_for_a_block_that_came_is_no_silence_before_the_next() -> None:
    pipeline = Pipeline(0.0)
    pipeline.sent(blocks(0, 2), 0.0)
    pipeline.got(blocks(0, 1), 50.0)
    assert pipeline.silence(50.0) == 0.0
    pipeline.room(51.0)
    assert pipeline.silence(60.0) == 10.0
    assert not pipeline.snubbed(61.0)


def test_nobody_snubs_us_who_owes_us_nothing() -> None:
    pipeline = Pipeline(0.0)
    assert not pipeline.snubbed(1000.0)
    pipeline.sent(blocks(0, 1), 1000.0)
    pipeline.got(blocks(0, 1), 1001.0)
    assert not pipeline.snubbed(5000.0)


def test_the_time_in_which_it_chokes_us_is_no_silence() -> None:
    pipeline = Pipeline(0.0)
    for hour in range(3):
        start = hour * 3600.0
        pipeline.sent(blocks(hour, 1), start)
        pipeline.room(start + 15.0)
        pipeline.drop()
        assert not pipeline.snubbed(start + 3599.0)
    pipeline.sent(blocks(9, 1), 20000.0)
    assert not pipeline.snubbed(20014.9)
    assert pipeline.snubbed(20015.1)  # who unchokes for a moment and never sends is found out all the same


# -- taking back -------------------------------------------------------------------------------------------------------


def test_revokes_the_newest() -> None:
    pipeline = Pipeline(0.0)
    pipeline.sent(blocks(0, 8), 0.0)
    assert pipeline.revoke(3, 1.0) == blocks(5, 3)[::-1]
    assert pipeline.outstanding == 5
    spared = blocks(0, 1)[0].piece
    assert pipeline.revoke(100, 1.0, spare=1 << spared) == [block for block in blocks(0, 5) if block.piece != spared]
    assert sorted(pipeline.revoke(100, 1.0)) == [block for block in blocks(0, 5) if block.piece == spared]
    assert pipeline.revoke(1, 1.0) == []


def test_what_stands_behind_what_is_waited_for_is_not_in_its_way() -> None:
    pipeline = Pipeline(0.0)
    asked = [Block(piece, 0, BLOCK_SIZE) for piece in (1, 2, 9, 3, 9, 4, 5)]
    asked[4] = Block(9, BLOCK_SIZE, BLOCK_SIZE)
    pipeline.sent(asked, 0.0)
    assert [block.piece for block in pipeline.revoke(6, 0.0, spare=1 << 9, to_the_end=False)] == [3, 2]
    assert pipeline.revoke(6, 0.0, spare=1 << 8, to_the_end=False) == []
    assert [block.piece for block in pipeline.revoke(6, 0.0, spare=1 << 9)] == [5, 4, 1]


def test_what_is_taken_back_stays_the_peers_until_it_answers() -> None:
    pipeline = Pipeline(0.0)
    pipeline.sent(blocks(0, 8), 0.0)
    crossed, refused, *silent = pipeline.revoke(8, 1.0)
    assert not pipeline.got([crossed], 1.1)
    assert pipeline.got([crossed], 1.1)
    assert pipeline.rejected(refused, choking=False)
    assert pipeline.rejects == 0
    assert not pipeline.rejected(refused, choking=False)
    assert pipeline.overdue(1.0 + limits.CANCEL_TIMEOUT - 0.1) == []
    assert pipeline.overdue(1.0 + limits.CANCEL_TIMEOUT) == silent
    assert pipeline.crossed(*silent[0])
    assert not pipeline.crossed(*silent[0])
    pipeline.sent(blocks(0, 2), 20.0)
    assert pipeline.revoke(1, 20.0, hold=False) == blocks(1, 1)
    assert pipeline.overdue(39.0) == []
    assert pipeline.got(blocks(1, 1), 20.1)
    assert pipeline.crossed(*blocks(1, 1)[0])


def test_drops_all_and_begins_anew() -> None:
    line = Line(20 * MIB, 0.01)
    line.run(3.0)
    pipeline = line.pipeline
    assert pipeline.target > 100
    dropped = pipeline.drop()
    assert len(dropped) > 100
    assert all(type(block) is Block for block in dropped)
    assert pipeline.room(60.0) == START


def test_idle_time_says_nothing_about_the_rate() -> None:
    line = Line(1 * MIB, 0.01)
    line.run(5.0)
    pipeline, before = line.pipeline, line.pipeline.rate
    assert before == pytest.approx(MIB, rel=0.1)
    pipeline.revoke(1000, 5.0, hold=False)
    pipeline.room(5.0)
    for index in range(64):  # an hour later, a second of the same rate
        now = 3600 + index / 64
        pipeline.sent(blocks(index, 1), now)
        pipeline.got(blocks(index, 1), now + 1 / 64)
        pipeline.room(now + 1 / 64)
    assert pipeline.rate == pytest.approx(before, rel=0.1)


def test_counts_needless_rejections_only() -> None:
    pipeline = Pipeline(0.0)
    pipeline.sent(blocks(0, 8), 0.0)
    assert pipeline.forget(blocks(0, 1)[0])
    assert not pipeline.rejected(blocks(0, 1)[0], choking=False)  # the answer to our Cancel
    assert pipeline.rejects == 0
    assert pipeline.rejected(blocks(1, 1)[0], choking=True)
    assert pipeline.rejects == 0
    assert pipeline.rejected(blocks(2, 1)[0], choking=False)
    assert pipeline.rejected(blocks(3, 1)[0], choking=False)
    assert pipeline.rejects == 2
    assert not pipeline.got(blocks(4, 1), 1.0)
    assert pipeline.rejects == 0


def test_after_the_last_rejection_of_a_choke_it_begins_anew() -> None:
    line = Line(20 * MIB, 0.01)
    line.run(3.0)
    pipeline = line.pipeline
    for _, block in list(line._queue):
        assert pipeline.rejected(block, choking=True)
    assert pipeline.target == START


@given(st.lists(st.tuples(st.sampled_from("sgfrdol"), st.integers(0, 40), st.floats(0, 15)), max_size=60))
def test_a_block_leaves_exactly_once(steps: list[tuple[str, int, float]]) -> None:
    pipeline, now = Pipeline(0.0), 0.0
    model: set[Block] = set()
    for step, number, passed in steps:
        now += passed
        (block,) = blocks(number, 1)
        gone: list[Block] = []
        if step == "s":
            fresh = [each for each in blocks(number, 5) if each not in model]
            pipeline.sent(fresh, now)
            model.update(fresh)
        elif step == "g":
            assert pipeline.got([block], now) == ([] if block in model else [block])
            model.discard(block)
        elif step == "f":
            assert pipeline.forget(block) == (block in model)
            model.discard(block)
        elif step == "r":
            gone = pipeline.revoke(number // 8, now, hold=False)
        elif step == "d":
            gone = pipeline.drop()
        elif step == "o":
            gone = pipeline.overdue(now)
        else:
            assert 0 <= pipeline.room(now) <= pipeline.target
        assert len(set(gone)) == len(gone)
        assert model.issuperset(gone)
        model.difference_update(gone)
        assert pipeline.outstanding == len(model)
        assert 1 <= pipeline.target <= pipeline.reqq
        assert isinstance(pipeline.snubbed(now), bool)


def test_so_many_cancelled_blocks_are_remembered() -> None:
    pipeline = Pipeline(0.0)
    first, *others = blocks(0, limits.MAX_CANCELLED + 1)
    for block in (first, *others[:-1]):
        pipeline.sent([block], 0.0)
        pipeline.forget(block)
    assert pipeline.crossed(*first)
    pipeline.sent([first], 0.0)
    pipeline.forget(first)
    pipeline.sent(others[-1:], 0.0)
    pipeline.forget(others[-1])
    assert not pipeline.crossed(*others[0]), "the oldest is forgotten"
    assert pipeline.crossed(*first)
