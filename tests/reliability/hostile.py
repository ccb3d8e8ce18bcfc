"""One honest seed, and twenty who are not, of eighteen kinds: the download completes, soon, and nobody innocent pays.

``python -m tests.reliability hostile --runs 1000`` tells it with a thousand seeds, under the virtual clock. Each run is
compared with the same world without the twenty.
"""

from __future__ import annotations

import collections
import random
import statistics
import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import trio

import torrentlite as tl
from tests.strangers import Stranger, Talk, background, session_on, spoil, where
from torrentlite.bencode import encode
from torrentlite.errors import NetworkError
from torrentlite.events import PieceFailed
from torrentlite.testing import run_simulation
from torrentlite.wire import bitfield, messages as wm
from torrentlite.wire.extensions import UT_PEX

SIZE = 3 << 20
PIECE = 64 << 10
CROWD = 20
PATIENCE = 1000
"""Virtual seconds until a run is given up."""
CORRUPT = ("corrupt", "corrupts some blocks", "colludes")
KINDS = (
    *CORRUPT,
    "snubs",
    "lies about pieces",
    "drips",
    "never reads",
    "floods with requests",
    "rejects",
    "lies about metadata",
    "floods with peers",
    "abuses the fast extension",
    "begins with garbage",
    "resets",
    "announces huge messages",
    "has the same peer id",
    "chokes and unchokes",
    "gives a little, then chokes and unchokes",
)


class Result(NamedTuple):
    """What a run came to: seconds of virtual time, without and with the crowd; who lied, and how often in pieces."""

    clean: float
    taken: float
    corrupters: int
    banned: int
    most_bad_pieces: int
    kinds: frozenset[str]


def _framed(kind: int, body: bytes = b"") -> bytes:
    return struct.pack(">IB", 1 + len(body), kind) + body


def _extended(number: int, said: object, after: bytes = b"") -> bytes:
    return _framed(20, bytes([number]) + encode(said) + after)


class Crowd:
    """Hostile peers, each on a machine of its own with a public address.

    Attributes:
        everybody: all of them, with their kinds.
        bad: the pieces that each sent a wrong block of.
        failures: by address, how many pieces turned out wrong that it had a hand in.
    """

    def __init__(self, world: Any, metainfo: Any, data: bytes, nursery: trio.Nursery, dice: random.Random) -> None:
        self._world, self._metainfo, self._data, self._nursery, self._dice = world, metainfo, data, nursery, dice
        self._same_id = b"-XX0001-same peer id"[:20]
        self._conspiracy: list[int] = []
        self.everybody: list[tuple[str, Stranger]] = []
        self.bad: dict[Stranger, set[int]] = {}
        self.failures: collections.Counter[str] = collections.Counter()

    async def count_failures(self, torrent: tl.Torrent) -> None:
        """Note who had a hand in pieces that turned out wrong."""
        async with torrent.events() as events:
            async for event in events:
                if isinstance(event, PieceFailed):
                    self.failures.update(event.peers)

    async def add(self, kind: str) -> Stranger:
        """One more, who serves."""
        machine = self._world.host(up=300_000, latency=self._dice.choice([0.005, 0.03]))
        made = Stranger(machine, self._metainfo.info, self._data, **self._manners(kind))
        self.everybody.append((kind, made))
        self.bad[made] = set()
        if kind in CORRUPT:
            made._answer = self._liar(kind, made)
        return await made.serve(self._nursery)

    def _liar(self, kind: str, who: Stranger) -> Callable[[wm.Request, bytes], bytes]:
        def answer(request: wm.Request, right: bytes) -> bytes:
            lies = {
                "corrupt": True,
                "corrupts some blocks": self._dice.random() < 0.3,
                "colludes": request.piece not in self._conspiracy and self._dice.random() < 0.5,
            }[kind]
            if not lies:
                return right
            if kind == "colludes":
                self._conspiracy.append(request.piece)  # one block of each piece, whoever of them it is
            self.bad[who].add(request.piece)
            return spoil(right)

        return answer

    def _manners(self, kind: str) -> dict[str, Any]:
        async def reject(talk: Talk, message: Any) -> bool:
            if isinstance(message, wm.Request):
                await talk.say(wm.RejectRequest(*message))
            return isinstance(message, wm.Request)

        async def lie(talk: Talk, message: Any) -> bool:
            """Now it has these pieces, now those, and never the one that it is asked for."""
            if isinstance(message, wm.Request):
                says = bitfield.to_wire(self._dice.getrandbits(count) | 1 << message.piece, count)
                await talk.say(wm.RejectRequest(*message), wm.Bitfield(says))
            return isinstance(message, wm.Request)

        async def flood(talk: Talk, message: Any) -> bool:
            if isinstance(message, wm.Interested):
                await talk.say(wm.Interested(), wm.Unchoke(), *[wm.Request(0, 0, 16384)] * 2000)
            return False

        async def never_read(talk: Talk, message: Any) -> bool:
            await trio.sleep_forever()
            return True

        async def peers(talk: Talk, message: Any) -> bool:
            if isinstance(message, wm.Interested):
                for _ in range(20):
                    places = b"".join(self._dice.randbytes(4) + b"\x1a\xe1" for _ in range(300))
                    await talk.say(_extended(UT_PEX, {"added": places}))
            return False

        async def reset(talk: Talk, message: Any) -> bool:
            if isinstance(message, wm.Request):
                talk.stream.reset()  # type: ignore[attr-defined]
            return isinstance(message, wm.Request)

        async def give_a_little(talk: Talk, message: Any) -> bool:
            return await flap(talk, message) if not isinstance(message, wm.Request) or message.begin else False

        async def flap(talk: Talk, message: Any) -> bool:
            if isinstance(message, wm.Request):
                await talk.say(wm.Choke(), wm.RejectRequest(*message))
                await trio.sleep(0.5)
                await talk.say(wm.Unchoke())
            return isinstance(message, wm.Request)

        count = self._metainfo.info.layout.piece_count
        fast = b"".join(
            _framed(17, struct.pack(">I", n % count)) + _framed(13, struct.pack(">I", n % count)) for n in range(500)
        )
        manners: dict[str, dict[str, Any]] = {
            "snubs": {"answer": lambda request, right: None},
            "lies about pieces": {"react": lie},
            "drips": {"delay": 12.0, "answer": lambda request, right: right},
            "never reads": {"react": never_read},
            "floods with requests": {"react": flood},
            "rejects": {"react": reject},
            "lies about metadata": {"metadata": bytes(len(self._metainfo.info.raw))},
            "floods with peers": {"react": peers},
            "abuses the fast extension": {"opening": lambda talk: _framed(14) + fast, "unchokes": False, "react": reject},
            "begins with garbage": {"opening": lambda talk: self._dice.randbytes(3000)},
            "resets": {"react": reset},
            "announces huge messages": {"opening": lambda talk: b"\xff\xff\xff\xff"},
            "has the same peer id": {"peer_id": self._same_id, "answer": lambda request, right: None},
            "chokes and unchokes": {"react": flap},
            "gives a little, then chokes and unchokes": {"react": give_a_little, "answer": lambda request, right: right},
        }  # fmt: skip
        nothing: dict[str, Any] = {} if kind in CORRUPT else {"answer": lambda request, right: None}
        return nothing | manners.get(kind, {})  # of the others few send any: nobody is to be faster for them


async def _story(world: Any, crowd_size: int) -> tuple[float, Crowd, frozenset[Stranger], bool, float]:
    dice = world.dice.rng("crowd")
    metainfo, data = world.torrent(SIZE, piece_length=PIECE)
    honest_machine, machine = world.host(up=200_000, latency=0.02), world.host(up=100_000, latency=0.01)
    magnet = dice.random() < 0.3
    async with background() as nursery:
        crowd = Crowd(world, metainfo, data, nursery, dice)
        honest = await Stranger(honest_machine, metainfo.info, data).serve(nursery)
        for number in range(crowd_size):
            await crowd.add(KINDS[number] if number < len(KINDS) else dice.choice(KINDS))
        async with session_on(machine, dht=False) as session:
            torrent = session.add(metainfo.magnet if magnet else metainfo)
            nursery.start_soon(crowd.count_failures, torrent)
            places = [stranger.place for _, stranger in crowd.everybody]
            places.insert(dice.randrange(len(places) + 1), honest.place)
            began = trio.current_time()
            for place in places:
                torrent.add_peer(*place)
            for _, stranger in crowd.everybody:
                if dice.random() < 0.3:  # and calls by itself besides
                    nursery.start_soon(_call, stranger, nursery, where(machine, session))
            with trio.fail_after(PATIENCE):
                await torrent.wait_complete()
            taken = trio.current_time() - began
            await trio.sleep(1)
            banned = torrent._life.swarm.peerlist.banned
            guilty = frozenset(stranger for _, stranger in crowd.everybody if banned(stranger.machine.network.ip))
            assert machine.disk.storage(metainfo.info).content() == data
            return taken, crowd, guilty, banned(honest_machine.network.ip), session.stats().internal_errors


async def _call(stranger: Stranger, nursery: trio.Nursery, place: tuple[str, int]) -> None:
    try:
        await stranger.call(nursery, place)
    except NetworkError:
        pass


def tell(seed: int) -> Result:
    """One run, held to everything that is promised but for its time."""
    clean, *_ = run_simulation(_story, 0, seed=f"hostile {seed}", time_limit=7200)
    taken, crowd, guilty, honest_banned, bugs = run_simulation(_story, CROWD, seed=f"hostile {seed}", time_limit=7200)
    assert not honest_banned, "the honest seed is banned"
    assert not bugs
    corrupters = [stranger for kind, stranger in crowd.everybody if crowd.bad[stranger]]
    liars = {stranger for kind, stranger in crowd.everybody if kind == "lies about metadata"} | set(corrupters)
    assert guilty <= liars, "an innocent one is banned"
    most = max((crowd.failures[stranger.machine.network.ip] for stranger in corrupters), default=0)
    assert most <= 5, f"{most} pieces spoiled by one"
    return Result(
        clean,
        taken,
        len(corrupters),
        len(guilty & set(corrupters)),
        most,
        frozenset(kind for kind, _ in crowd.everybody),
    )


def results(runs: int, seed: int = 0) -> Iterator[Result]:
    """So many runs."""
    for number in range(seed, seed + runs):
        try:
            yield tell(number)
        except BaseException as error:
            error.add_note(f"hostile run {number}")
            raise


def run(runs: int, seed: int, say: Callable[[str], None]) -> int:
    """So many runs, and a table; returns how many broke a promise: above twice the clean time, or a corrupter free."""
    found: list[Result] = []
    broken = 0
    for number, result in enumerate(results(runs, seed), seed):
        found.append(result)
        if result.taken > 2 * result.clean or result.banned < result.corrupters:
            broken += 1
            say(f"run {number}: {result}")
        if len(found) % 50 == 0:
            say(f"{len(found)} runs")
    ratios = sorted(result.taken / result.clean for result in found)
    say(f"{len(found)} runs, {CROWD} hostile peers each, {len(frozenset().union(*(r.kinds for r in found)))} kinds")
    say(f"time, as a multiple of that without them: median {statistics.median(ratios):.2f}, most {ratios[-1]:.2f}")
    say(f"peers that spoiled pieces: {sum(r.corrupters for r in found)}, banned: {sum(r.banned for r in found)}")
    say(f"most pieces that one of them spoiled: {max(r.most_bad_pieces for r in found)}; honest seeds banned: 0")
    say(f"runs above 2, or with a corrupter that was not banned: {broken}")
    return broken
