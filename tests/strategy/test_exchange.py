"""The picker, its memory and the blame together: pieces fetched from simulated peers that misbehave in every way.

There is no clock and no network: each step is one of the things that can happen, drawn by a seeded generator.
"""

from __future__ import annotations

import collections
import hashlib
import random
from collections.abc import Callable

import pytest

from torrentlite import limits
from torrentlite.metainfo.layout import BLOCK_SIZE, Block, Layout
from torrentlite.strategy.blame import Blame
from torrentlite.strategy.download import PieceDownload
from torrentlite.strategy.memory import PieceMemory
from torrentlite.strategy.picker import Picker
from torrentlite.wire import bitfield


class Remote:
    """A simulated peer."""

    def __init__(self, name: int, has: int) -> None:
        self.name = name
        self.has = has
        self.choking = False
        self.slow = False
        self.allowed_fast = 0
        self.queue: list[Block] = []  # what it is asked for
        self.late: list[Block] = []  # what it was asked for, and may still send
        self.lies = 0.0  # the chance that a block it sends is spoiled
        self.pace = 4  # blocks that it sends in a round

    def __repr__(self) -> str:
        return f"<Remote {self.name}>"


class Exchange:
    """A torrent being fetched from remotes, with all that the owner of a picker has to do."""

    def __init__(self, seed: int, *, pieces: int, piece_length: int, tail: int = 0, memory: int) -> None:
        self.rng = random.Random(seed)
        self.layout = Layout(piece_length, [(pieces - 1) * piece_length + (tail or piece_length)])
        self.truth = [self.rng.randbytes(self.layout.piece_size(piece)) for piece in range(pieces)]
        self.memory = PieceMemory(memory)
        self.picker: Picker[Remote] = Picker(self.layout, self.memory, self.rng)
        self.blame: Blame[int] = Blame()
        self.remotes: list[Remote] = []
        self.banned: list[int] = []
        self.checks: list[PieceDownload[Remote]] = []
        self.disk: dict[int, bytearray] = {}
        self.spilling: list[PieceDownload[Remote]] = []
        self.now = 0.0
        self.names = 0
        self.spoiled: collections.Counter[int] = collections.Counter()  # wrong pieces that each has a lie in

    # what happens

    def join(self, has: int) -> Remote:
        remote = Remote(self.names, has)
        self.names += 1
        self.remotes.append(remote)
        self.picker.add_peer(remote, has)
        return remote

    def leave(self, remote: Remote) -> None:
        self.remotes.remove(remote)
        self.picker.remove_peer(remote)

    def pick(self, remote: Remote, count: int, share: float | None = None) -> list[Block]:
        if remote.choking and not remote.allowed_fast:
            return []
        only = remote.allowed_fast if remote.choking else None
        parole = self.blame.parole(remote.name)
        blocks = self.picker.pick(remote, count, self.now, only=only, slow=remote.slow, whole_piece=parole, share=share)
        assert len(blocks) <= count
        for block in blocks:
            assert self.layout.block(block.piece, block.begin // BLOCK_SIZE) == block
            assert block not in remote.queue, "asked twice of one peer"
            assert remote.has >> block.piece & 1
            assert only is None or only >> block.piece & 1
        remote.queue += blocks
        for other, block in self.picker.overtaken():
            assert other is not remote
            other.queue.remove(block)
            other.late.append(block)
        return blocks

    def give_up(self, remote: Remote, blocks: list[Block]) -> None:
        for block in blocks:
            remote.queue.remove(block)
        remote.late += blocks
        self.picker.released(remote, blocks)

    def deliver(self, remote: Remote, block: Block) -> bool:
        piece, begin, length = block
        data = self.truth[piece][begin : begin + length]
        lie = self.rng.random() < remote.lies
        if lie:
            data = bytes(byte ^ 0xFF for byte in data[:8]) + data[8:]
        if block in remote.queue:
            remote.queue.remove(block)
        view = memoryview(data)
        arrival = self.picker.received_run(remote, piece, [(piece, begin, view)]) if begin % (2 * BLOCK_SIZE) else None
        arrival = arrival or self.picker.received(remote, piece, begin, view)
        if arrival.spilled:
            self.disk[piece][begin : begin + length] = data
        for other in arrival.cancel:
            other.queue.remove(block)
            other.late.append(block)
        if arrival.finished is not None:
            assert arrival.finished.piece == piece
            self.checks.append(arrival.finished)
        return arrival.accepted

    def spill(self) -> None:
        download = self.picker.partials.candidate_to_spill(self.now)
        if download is not None:
            self.disk[download.piece] = bytearray(download.size)
            for begin, data in self.picker.partials.spill(download):
                self.disk[download.piece][begin : begin + len(data)] = data
            self.spilling.append(download)

    def finish_spill(self) -> None:
        if self.spilling:
            self.picker.partials.spilled(self.spilling.pop(0))

    def check(self) -> None:
        """The verdict on the piece that has waited the longest."""
        if not self.checks:
            return
        download = self.checks.pop(0)
        piece = download.piece
        data = self.disk[piece] if download.buffer is None else download.buffer
        digests = [hashlib.sha1(data[at : at + BLOCK_SIZE]).digest() for at in range(0, len(data), BLOCK_SIZE)]
        if data == self.truth[piece]:
            liars = self.blame.right(piece, digests) if self.blame.suspects(piece) else []
            self.picker.piece_right(piece)
        else:
            senders = download.contributors()
            assert len(senders) == len(digests)
            right = [self.truth[piece][at : at + BLOCK_SIZE] for at in range(0, len(data), BLOCK_SIZE)]
            truth = [hashlib.sha1(block).digest() for block in right]
            self.spoiled.update(
                {who.name for who, sent, due in zip(senders, digests, truth, strict=True) if sent != due}
            )
            liars = self.blame.wrong(piece, digests, [sender.name for sender in senders])
            self.picker.piece_wrong(piece)
        self.ban(liars)

    def ban(self, names: list[int]) -> None:
        self.banned += [name for name in names if name not in self.banned]
        self.picker.distrust(lambda remote: remote.name in names)
        for remote in list(self.remotes):
            if remote.name in names:
                self.leave(remote)

    def round(self, queue: int) -> None:
        """A second in which everybody is asked, and sends at its pace."""
        self.now += 1.0
        for remote in self.rng.sample(self.remotes, len(self.remotes)):
            if remote in self.remotes:
                depth = min(queue, max(4, 3 * remote.pace))  # seconds of its rate
                self.pick(remote, max(0, depth - len(remote.queue)))
                for block in remote.queue[: remote.pace]:
                    if block in remote.queue:
                        self.deliver(remote, block)
        if self.memory.full:
            self.spill()
        self.finish_spill()

    @property
    def done(self) -> bool:
        return not self.picker.wanted & ~self.picker.have

    # what must be true at every moment

    def verify(self) -> None:
        picker = self.picker
        partials = picker.partials
        needed = picker.wanted & ~picker.have
        places = [picker.have, picker._wants.fresh, bitfield.of(partials.all), bitfield.of(picker.partials.checking)]
        places.append(bitfield.of(piece for piece in picker._wants.suspects if picker._choice._is_waiting(piece)))
        assert sum(place.bit_count() for place in places) >= needed.bit_count()
        for piece in bitfield.members(needed):
            assert sum(place >> piece & 1 for place in places) == 1, f"piece {piece} is in {places}"
        assert picker._wants.needed.bits == needed

        asked: dict[Remote, list[Block]] = {remote: [] for remote in self.remotes}
        for download in partials.all.values():
            assert download.missing == download.senders.count(None) > 0
            free = set(download.free)
            assert download.free == sorted(free, reverse=True)
            for index, sender in enumerate(download.senders):
                askers = [remote for remote, bits in download.asked.items() if bits >> index & 1]
                for remote in askers:
                    asked[remote].append(self.layout.block(download.piece, index))
                assert [sender is not None, index in free, bool(askers)].count(True) == 1
                assert len(askers) <= limits.MAX_ASKERS
            for remote in download.asked:
                assert picker._hands[remote].downloads[download.piece] is download
            if download.owner is not None:
                assert set(download.contributors()) | {r for r, bits in download.asked.items() if bits} <= {
                    download.owner
                }
        for remote in self.remotes:
            assert sorted(asked[remote]) == sorted(remote.queue) == sorted(picker.requests_of(remote))
            assert picker.interesting(remote) is bool(picker.pieces_of(remote) & needed)
            assert picker.pieces_of(remote) == remote.has
            for piece, download in picker._hands[remote].downloads.items():
                assert remote in partials.all[piece].asked
                assert partials.all[piece] is download
        opened = [d.piece for slow in (False, True) for d in partials.open(slow=slow)]
        assert sorted(opened) == sorted(d.piece for d in partials.all.values() if d.free and d.owner is None)
        assert sorted(partials.alone) == sorted(d.piece for d in partials.all.values() if d.owner is not None)

        downloads = [*partials.all.values(), *picker.partials.checking.values()]
        buffers = [d.buffer for d in downloads if d.buffer is not None]
        buffers += [d.leaving for d in self.spilling if d.leaving is not None]
        assert self.memory.used == sum(map(len, buffers))
        assert self.memory.used <= self.memory.limit + max(self.memory.limit // 4, self.layout.piece_length)
        counts = picker.availability.counts()
        assert counts == [sum(r.has >> piece & 1 for r in self.remotes) for piece in range(self.layout.piece_count)]

    # how it ends

    def complete(self) -> None:
        """From now on everybody behaves; the rest must come within a bounded number of rounds."""
        self.join(bitfield.full(self.layout.piece_count))
        for remote in self.remotes:
            remote.choking = False
            remote.lies = 0.0
        for _ in range(40 * self.layout.piece_count):
            if self.done:
                break
            self.round(8)
            while self.checks:
                self.check()
            self.verify()
        assert self.done
        while self.spilling:
            self.finish_spill()
        self.picker.close()
        assert self.memory.used == 0


def step(exchange: Exchange) -> None:
    """One random thing happens."""
    rng, remotes = exchange.rng, exchange.remotes
    everything = bitfield.full(exchange.layout.piece_count)
    remote = rng.choice(remotes) if remotes else exchange.join(everything)
    exchange.now += rng.random()

    def have() -> None:
        piece = rng.randrange(exchange.layout.piece_count)
        remote.has |= 1 << piece
        exchange.picker.peer_has(remote, piece)

    def bitfield_comes() -> None:
        # Only from a peer that was asked for nothing: the protocol has it come first.
        if not remote.queue and not remote.late:
            remote.has = rng.getrandbits(exchange.layout.piece_count)
            exchange.picker.set_pieces(remote, remote.has)

    def deliver() -> None:
        for _ in range(rng.randrange(6)):
            if remote.queue and remote in exchange.remotes:
                at = rng.randrange(len(remote.queue)) if rng.random() < 0.2 else 0
                assert exchange.deliver(remote, remote.queue[at])

    def late() -> None:
        if remote.late:
            exchange.deliver(remote, remote.late.pop(rng.randrange(len(remote.late))))

    def unsolicited() -> None:
        piece = rng.randrange(exchange.layout.piece_count)
        block = rng.choice(exchange.layout.blocks(piece))
        if block not in remote.queue + remote.late:
            download = exchange.picker.partials.all.get(piece)
            was_asked = download is not None and download._was_asked.get(remote, 0) >> block.begin // BLOCK_SIZE & 1
            assert was_asked or not exchange.deliver(remote, block)
        odd = rng.choice([Block(piece, block.begin + 1, block.length), Block(piece, block.begin, block.length - 1)])
        assert not exchange.picker.received(remote, *odd[:2], bytes(odd.length)).accepted

    def choke() -> None:
        remote.choking = not remote.choking
        remote.allowed_fast = rng.choice([0, rng.getrandbits(exchange.layout.piece_count)])
        if remote.choking:
            exchange.give_up(remote, list(remote.queue))

    def time_out() -> None:
        exchange.give_up(remote, rng.sample(remote.queue, rng.randint(0, len(remote.queue))))

    def select() -> None:
        wanted = rng.choice([everything, rng.getrandbits(exchange.layout.piece_count)])
        for other, block in exchange.picker.set_wanted(wanted):
            other.queue.remove(block)

    def clear() -> None:
        for other, block in exchange.picker.clear():
            other.queue.remove(block)
            other.late.append(block)

    def lose() -> None:
        for other, block in exchange.picker.set_have(exchange.picker.have & rng.getrandbits(100)):
            other.queue.remove(block)

    def turn() -> None:
        remote.slow = not remote.slow

    def steer() -> None:
        count = exchange.layout.piece_count
        urgent = rng.sample(range(count), min(count, rng.randrange(4)))
        windows = [bitfield.span(range(start, min(count, start + 3))) for start in rng.sample(range(count), 1)]
        allowed = rng.choice([None, rng.getrandbits(count)])
        exchange.picker.steer(urgent, windows, allowed)

    def shed() -> None:
        exchange.picker.shed(exchange.now + 20 * rng.random())

    actions: list[tuple[int, Callable[[], object]]] = [
        (30, lambda: exchange.pick(remote, rng.randrange(20))),
        (40, deliver),
        (5, have),
        (2, bitfield_comes),
        (4, late),
        (4, unsolicited),
        (3, choke),
        (3, time_out),
        (3, turn),
        (2, lambda: exchange.join(rng.choice([everything, rng.getrandbits(exchange.layout.piece_count)]))),
        (2, lambda: exchange.leave(remote)),
        (12, exchange.check),
        (2, exchange.spill),
        (3, exchange.finish_spill),
        (1, select),
        (1, clear),
        (1, lose),
        (1, lambda: exchange.picker.set_priority(rng.getrandbits(exchange.layout.piece_count))),
        (1, lambda: exchange.picker.set_sequential(rng.random() < 0.3)),
        (2, steer),
        (1, shed),
        (3, lambda: exchange.pick(remote, rng.randrange(20), share=rng.random())),
    ]
    rng.choices([action for _, action in actions], [weight for weight, _ in actions])[0]()


@pytest.mark.parametrize("seed", range(30))
def test_whatever_happens_the_books_balance_and_it_completes(seed: int) -> None:
    rng = random.Random(seed)
    blocks = rng.choice([1, 2, 3, 5])
    exchange = Exchange(
        seed,
        pieces=rng.randint(1, 24),
        piece_length=blocks * BLOCK_SIZE,
        tail=rng.choice([0, 1, BLOCK_SIZE - 1, BLOCK_SIZE]),
        memory=rng.choice([1, 3, 30]) * blocks * BLOCK_SIZE,
    )
    liars = rng.random() < 0.3
    for _ in range(300):
        step(exchange)
        exchange.verify()
        for remote in exchange.remotes:
            remote.lies = 0.2 if liars and remote.name % 4 == 0 else 0.0
    exchange.picker.set_wanted(bitfield.full(exchange.layout.piece_count))
    exchange.picker.steer((), (), None)
    for remote in exchange.remotes:
        exchange.give_up(remote, [block for block in remote.queue if block not in exchange.picker.requests_of(remote)])
    exchange.complete()
    assert all(name % 4 == 0 for name in exchange.banned)


def fetch_from_liars(
    seed: int,
    lies: list[float],
    *,
    honest: int = 19,
    blocks: int = 16,
    pieces: int = 60,
    queue: int = 32,
    turn: Callable[[Exchange], object] = lambda exchange: None,
) -> Exchange:
    """Fetch everything from honest peers and liars; the first ``honest`` are honest. ``turn`` is called every round."""
    exchange = Exchange(seed, pieces=pieces, piece_length=blocks * BLOCK_SIZE, memory=64 * blocks * BLOCK_SIZE)
    everything = bitfield.full(pieces)
    for name in range(honest + len(lies)):
        remote = exchange.join(everything)
        remote.pace = exchange.rng.randint(1, 16)
        if name >= honest:
            remote.lies = lies[name - honest]
    for number in range(pieces * blocks):
        if exchange.done:
            break
        turn(exchange)
        exchange.round(queue)
        if number % 5 == 0:
            exchange.verify()
        for _ in range(len(exchange.checks) // 2 + 1):  # verdicts come late: a disk takes its time
            exchange.check()
    assert exchange.done
    assert [name for name in exchange.banned if name < honest] == [], "never the innocent"
    assert sorted(exchange.banned) == sorted(exchange.spoiled), "every lie in a wrong piece is found out"
    for remote in exchange.remotes:
        assert not exchange.blame.parole(remote.name), "all is known in the end"
    return exchange


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("lies", [0.002, 0.02, 0.3, 1.0])
@pytest.mark.parametrize("liars", [1, 4, 10])
def test_liars_are_found_within_five_pieces_and_nobody_else(seed: int, lies: float, liars: int) -> None:
    exchange = fetch_from_liars(seed, [lies] * liars)
    assert max(exchange.spoiled.values(), default=0) <= 5


@pytest.mark.parametrize("blocks", [1, 4, 64])
@pytest.mark.parametrize("lies", [0.1, 1.0])
def test_whatever_the_size_of_pieces(blocks: int, lies: float) -> None:
    exchange = fetch_from_liars(0, [lies] * 5, blocks=blocks, pieces=400 // blocks + 10, queue=100)
    assert exchange.spoiled
    assert max(exchange.spoiled.values()) <= 5


def test_twenty_liars_cannot_stop_one_honest_peer() -> None:
    exchange = fetch_from_liars(1, [1.0, 0.5, 0.1, 0.02] * 5, honest=1)
    assert exchange.spoiled
    assert max(exchange.spoiled.values()) <= 5


def test_colluders_who_spoil_one_block_each_are_found() -> None:
    def one_lie(exchange: Exchange) -> None:
        for remote in exchange.remotes:
            if remote.name >= 19:
                remote.lies = 1.0 if exchange.now == remote.name - 18 else 0.0
                remote.pace = 1

    exchange = fetch_from_liars(2, [0.0] * 8, pieces=120, turn=one_lie)
    assert len(exchange.spoiled) >= 6
    assert set(exchange.spoiled.values()) == {1}


def test_sleepers_who_lie_after_long_honesty_are_found() -> None:
    def awake(exchange: Exchange) -> None:
        for remote in exchange.remotes:
            if remote.name >= 19 and exchange.picker.have.bit_count() > 30:
                remote.lies = 0.5

    assert len(fetch_from_liars(3, [0.0] * 4, turn=awake).banned) == 4


def test_new_liars_all_the_time_do_not_stop_the_fetch() -> None:
    def another(exchange: Exchange) -> None:
        if exchange.now % 2 == 0:
            exchange.join(bitfield.full(exchange.layout.piece_count)).lies = 1.0

    assert len(fetch_from_liars(4, [1.0], honest=3, turn=another).banned) > 10


def test_liars_who_stall_when_they_are_to_fetch_alone_cannot_hold_a_piece() -> None:
    def stall(exchange: Exchange) -> None:
        for remote in exchange.remotes:
            if remote.name >= 5 and exchange.blame.parole(remote.name):
                remote.pace = 0
                if exchange.now % 20 == 0:
                    exchange.give_up(remote, list(remote.queue))  # its requests time out
                    remote.slow = True

    exchange = fetch_from_liars(5, [0.2] * 10, honest=5, turn=stall)
    assert exchange.now < 400


@pytest.mark.parametrize("overlap", [True, False])
def test_slow_peers_that_fill_the_memory_do_not_stop_a_fast_one(overlap: bool) -> None:
    pieces, blocks = 24, 64
    exchange = Exchange(0, pieces=pieces, piece_length=blocks * BLOCK_SIZE, memory=4 * blocks * BLOCK_SIZE)
    half = bitfield.full(pieces // 2)
    for number in range(20):
        slow = exchange.join(half if overlap else 1 << number % (pieces // 2))
        slow.pace = 0
    for _ in range(3):  # they have begun what they can, long before
        exchange.round(40)
    fast = exchange.join(bitfield.full(pieces) if overlap else bitfield.full(pieces) ^ half)
    fast.pace = 100
    while fast.has & ~exchange.picker.have:
        assert exchange.now < 40
        exchange.round(300)
        exchange.verify()
        while exchange.checks:
            exchange.check()
    assert bool(exchange.disk) is not overlap, "spilling is for pieces that nobody else could complete"
