"""The books of a torrent's pieces and files, against a plain model of them: sets of numbers, one state a piece."""

from __future__ import annotations

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from torrentlite.storage.ledger import Batch, Ledger
from torrentlite.storage.storage import NO_STAMP, Stamp
from torrentlite.wire import bitfield

from .worlds import Shape

INFO = Shape({"a": b"a" * 30, "b": b"", ".pad": 2, "c": b"c" * 17, "d": b"d" * 64, "e": b"e"}, piece_length=16).info
SIZES = INFO.layout.file_lengths
FILES = sorted(INFO.wanted_files)
SOLID = [file for file in FILES if SIZES[file]]
pieces = st.sets(st.integers(0, INFO.layout.piece_count - 1))
files = st.sets(st.sampled_from(FILES))


class Books(RuleBasedStateMachine):
    """Everything that a disk does to its ledger, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.layout = INFO.layout
        self.batch: Batch | None = None
        self.meanwhile: set[int] = set()
        self.stamps = 0

    def stamp(self, file: int) -> Stamp:
        self.stamps += 1
        return Stamp(SIZES[file], self.stamps, file)

    def of_file(self, file: int) -> set[int]:
        return set(self.layout.pieces_of_file(file))

    @initialize(synced=pieces, right=pieces, there=files)
    def look(self, synced: set[int], right: set[int], there: set[int]) -> None:
        stamps = {file: self.stamp(file) for file in there}
        right -= synced
        self.ledger = Ledger(INFO, bitfield.of(synced), bitfield.of(right), stamps)
        self.state = dict.fromkeys(synced, "synced") | dict.fromkeys(right, "unsynced")
        self.final = {file for file in there if self.of_file(file) <= synced | right}
        self.ledger.found_finished(there)
        self.ledger.flush_found()
        self.found = {file for file in SOLID if self.of_file(file) & right}
        self.named = set(self.final)
        self.touched = set(FILES)

    @rule(some=pieces)
    def got_right(self, some: set[int]) -> None:
        self.ledger.got_right(some)
        self.state.update(dict.fromkeys(some, "unsynced"))
        self.meanwhile |= some

    @rule(some=pieces)
    def discard(self, some: set[int]) -> None:
        self.ledger.discard(bitfield.of(some))
        for piece in some:
            if self.state.get(piece) != "unsure":
                self.state.pop(piece, None)
        self.meanwhile |= some

    @rule(some=files)
    def touch(self, some: set[int]) -> None:
        self.ledger.touch(some)
        self.touched |= some

    @rule(file=st.sampled_from(FILES))
    def displaced(self, file: int) -> None:
        self.ledger.displaced(file)
        self.named.discard(file)
        self.final.discard(file)
        assert self.ledger.stamps[file] == self.ledger.news[file] == NO_STAMP

    @rule(some=files)
    def lose(self, some: set[int]) -> None:
        self.ledger.lose(some)
        lost = set().union(*map(self.of_file, some))
        for piece, state in self.state.items():
            if piece in lost and state == "unsynced":
                self.state[piece] = "unsure"

    @rule(have=pieces)
    def begin_commit(self, have: set[int]) -> None:
        here = {piece for piece, state in self.state.items() if state != "unsure"}
        fresh = {piece for piece in have if self.state.get(piece) == "unsynced"}
        self.batch = batch = self.ledger.batch(bitfield.of(have))
        assert batch.pieces == bitfield.of(fresh)
        self.meanwhile = set()
        self.touched |= {file for file in SOLID if self.of_file(file) & fresh}
        whole = [file for file in sorted(self.touched - self.named) if self.of_file(file) <= have & here]
        assert batch.whole == whole
        assert batch.flush == self.found | set(whole)

    @rule(some=files, touched_by_others=files)
    def flushed(self, some: set[int], touched_by_others: set[int]) -> None:
        before, stamps = dict(self.ledger.stamps), {}
        for file in some:
            known = self.ledger.stamps.get(file)
            stamps[file] = self.stamp(file) if known is None or file in touched_by_others else known
        self.ledger.flushed(stamps, self.final.__contains__)
        for file, stamp in stamps.items():
            if file in self.final and before.get(file) != stamp:
                assert file in self.ledger.changed
                assert self.ledger.stamps.get(file) == before.get(file), "nobody vouches for what was not hashed"
            else:
                assert self.ledger.stamps[file] == self.ledger.news[file] == stamp

    @rule()
    def end_commit(self) -> None:
        if self.batch is not None:
            self.ledger.synced_now()
            self.found.clear()
            fresh = set(bitfield.members(self.batch.pieces)) - self.meanwhile
            self.state.update(dict.fromkeys(fresh, "synced"))
            self.ledger.named(self.batch.whole)
            self.named |= set(self.batch.whole)
            self.touched -= self.named
            self.batch = None

    def pieces_in(self, state: str) -> set[int]:
        return {piece for piece, its in self.state.items() if its == state}

    @invariant()
    def says_what_is(self) -> None:
        ledger = self.ledger
        for state in ("synced", "unsynced", "unsure"):
            assert set(bitfield.members(getattr(ledger, state))) == self.pieces_in(state)
        assert ledger.here == ledger.synced | ledger.unsynced
        assert ledger.dirty == sum(map(self.layout.piece_size, self.pieces_in("unsynced")))


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=200, stateful_step_count=30)
