"""Who reads from a torrent while it downloads, and what that means for what is fetched.

A reader has a ``Window``. What it waits for is asked of all peers at once and before everything else (``Swarm.hurry``),
what it will come to comes next and in order, and then what is fetched anyway. A file that is not selected can be read
too: its pieces are then wanted as far as a reader comes, and no further.
"""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING, Protocol

import trio

from ..errors import NoSuchFileError
from ..limits import READ_AHEAD
from ..stats import State
from ..strategy.window import Window
from ..wire import bitfield
from .selection import check_priority, pieces_of

if TYPE_CHECKING:
    from .beginning import Beginning
    from .content import Content
    from .pieces import Pieces
    from .swarm import Swarm

log = logging.getLogger("torrentlite")


class ReadingOwner(Protocol):
    """What readers ask of their torrent."""

    @property
    def state(self) -> State:
        """What it is doing."""

    @property
    def beginning(self) -> Beginning:
        """What of it is known so far."""

    def wake(self) -> None:
        """There is something to do at each tick."""


class Place:
    """One reader as its torrent sees it.

    Attributes:
        window: where it is.
        news: set, and replaced, when it should look again.
    """

    __slots__ = ("news", "window")

    def __init__(self, window: Window) -> None:
        self.window = window
        self.news = trio.Event()

    def wake(self) -> None:
        """Let it look again."""
        self.news.set()
        self.news = trio.Event()


class Reading:
    """The readers of one torrent, the priorities, and the order in which pieces are fetched.

    Attributes:
        capacity: bytes that the torrent's storage holds; None for all.
        sequential: whether the rest is fetched in order; see ``set_sequential``.
    """

    def __init__(self, owner: ReadingOwner, swarm: Swarm, *, sequential: bool) -> None:
        self._owner = owner
        self._swarm = swarm
        self._content: Content | None = None
        self._waiting: list[tuple[str | int | range, int, int, int | None]] = []  # given before the metadata came
        self._pieces: Pieces | None = None
        self._places: dict[Place, None] = {}
        self._levels: dict[int, int] = {}
        self._selected = 0
        self._said: object = None
        self.sequential = sequential
        self.capacity: int | None = None

    def __len__(self) -> int:
        return len(self._places)

    def know(self, content: Content) -> None:
        """It is known what is shared."""
        self._content = content
        for wish in self._waiting:
            try:
                self.prioritize(*wish)
            except (NoSuchFileError, ValueError) as error:
                log.warning("%s: %s", content.info.name, error)
        self._waiting.clear()

    # -- what it means for the picker --------------------------------------------------------------------------------

    @property
    def pieces(self) -> int:
        """The pieces of the files that are being read from."""
        pieces = 0
        for place in self._places:
            pieces |= bitfield.span(place.window.pieces)
        return pieces

    @property
    def hungry(self) -> bool:
        """Whether readers may need something that is not here."""
        return bool(self._places and (self._pieces is None or self.pieces & ~self._pieces.picker.have))

    @property
    def sated(self) -> bool:
        """Whether there is nothing to fetch any more. Where no file is selected, a reader may come at any time."""
        content = self._content
        return content is not None and not content.left and bool(content.selection.files) and not self.hungry

    def settle(self) -> None:
        """Readers came, went or have everything: seeds are of use to a finished torrent, or are not."""
        swarm = self._swarm
        if swarm.pieces is None or self._owner.state is not State.SEEDING:
            return  # while it is being fetched anyway it does not matter
        if self.sated is swarm.complete:
            return
        if swarm.complete:
            swarm.go_on()
            swarm.dialler.dial_more(trio.current_time())
        else:
            swarm.completed()

    @property
    def waiting(self) -> bool:
        """Whether a reader waits for something."""
        return any(place.window.asked for place in self._places)

    @property
    def next_missing(self) -> int:
        """The pieces that readers need next and that are not here: one of each that waits."""
        missing = 0
        if self._pieces is not None:
            have = self._pieces.picker.have
            for place in self._places:
                missing |= next((1 << piece for piece in place.window.urgent() if not have >> piece & 1), 0)
        return missing

    def begin(self, pieces: Pieces) -> None:
        """The pieces are known, and checked."""
        self._pieces = pieces
        self._said = None
        pieces.picker.set_sequential(self.sequential)
        self._set_levels(pieces)
        self.steer()
        self.wake()

    def end(self) -> None:
        """The files are closed."""
        self._pieces = None

    def select(self, selected: int) -> None:
        """These pieces are fetched in any case."""
        self._selected = selected
        self.steer()

    @property
    def wanted(self) -> int:
        """The pieces to be fetched, as far as readers come."""
        return self._selected | self.pieces

    def set_sequential(self, sequential: bool) -> None:
        """See ``Torrent.set_sequential``."""
        self.sequential = sequential
        if self._pieces is not None:
            self._pieces.picker.set_sequential(sequential)

    def prioritize(self, what: str | int | range, priority: int, start: int, stop: int | None) -> None:
        """See ``Torrent.prioritize``."""
        check_priority(priority, start, stop)
        info = self._owner.beginning.info
        bits = bitfield.span(pieces_of(info, what, start, stop)) if info is not None else 0
        if self._content is None:  # after those that were given before its files were known
            self._waiting.append((what, priority, start, stop))
            return
        levels = {level: chosen & ~bits for level, chosen in self._levels.items()}
        if priority:
            levels[priority] = levels.get(priority, 0) | bits
        self._levels = {level: chosen for level, chosen in levels.items() if chosen}
        if self._pieces is not None:
            self._set_levels(self._pieces)
            self._ask()

    def _set_levels(self, pieces: Pieces) -> None:
        first = [self._levels[level] for level in sorted(self._levels, reverse=True) if level > 0]
        below = sorted(level for level in self._levels if level < 0)
        if below:
            # Everything else, then the less bad ones: so they too have an order among themselves.
            behind = 0
            for level in below:
                behind |= self._levels[level]
            first.append(bitfield.full(pieces.layout.piece_count) & ~behind)
            first += [self._levels[level] for level in reversed(below)]
        pieces.picker.set_priority(*first)

    # -- readers -----------------------------------------------------------------------------------------------------

    def join(self, place: Place) -> None:
        """A reader comes."""
        self._places[place] = None
        self._owner.wake()
        self._change()

    def leave(self, place: Place) -> None:
        """A reader goes."""
        if self._places.pop(place, self) is None:
            self._change()

    def _change(self) -> None:
        if self._pieces is not None:
            self._pieces.want(self.wanted)
            for peer in list(self._swarm.peers):
                peer.reconsider_interest()
        self.steer()
        self.settle()

    def steer(self) -> None:
        """A window has moved: fetch what is needed there from now on."""
        pieces = self._pieces
        if pieces is None:
            return
        have, read = pieces.picker.have, self.pieces
        if not read & ~have:
            if self._said is not None:
                self._said = None
                pieces.picker.steer((), (), None)
            return
        windows = [place.window for place in self._places]
        most = self._most()
        spans = [(window.urgent(most), window.wanted(most)) for window in windows]
        if (spans, self._selected) == self._said:
            return
        self._said = (spans, self._selected)
        turns = itertools.chain.from_iterable(itertools.zip_longest(*(urgent for urgent, _ in spans)))
        urgent = [piece for piece in dict.fromkeys(turns) if piece is not None and not have >> piece & 1]
        ahead = [bitfield.span(wanted) & ~have for _, wanted in spans]
        allowed = None
        if read & ~self._selected:
            allowed = self._selected | bitfield.of(urgent)
            for window in ahead:
                allowed |= window
        pieces.picker.steer(urgent, [window for window in ahead if window], allowed)
        self._ask(hurry=bool(urgent))

    def _ask(self, *, hurry: bool = False) -> None:
        swarm, now = self._swarm, trio.current_time()
        if swarm.downloading:
            if hurry:
                swarm.hurry(now)
            swarm.request_idle(now)

    def _most(self) -> int:
        """Bytes of one window: in a bounded storage all of them take half of it."""
        return READ_AHEAD if self.capacity is None else self.capacity // 2 // max(1, len(self._places))

    def kept(self) -> int:
        """The pieces that a bounded storage should not let go now."""
        kept = 0
        for place in self._places:
            kept |= bitfield.span(place.window.wanted(self._most())) | bitfield.span(place.window.here())
        return kept

    def gone(self, pieces: list[int]) -> None:
        """A bounded storage has let go of these: say so, and see whether a reader needs them all the same."""
        self._swarm.announce_gone(pieces)
        self._said = None

    def verified(self, pieces: list[int]) -> None:
        """These are here: whoever waits for one of them looks again."""
        for place in self._places:
            window = place.window
            if window.asked and any(piece in window.urgent() for piece in pieces):
                place.wake()

    def wake(self) -> None:
        """Something else has changed: all look again."""
        for place in self._places:
            place.wake()

    def tick(self, now: float) -> None:
        """Called by the session's tick."""
        if self._pieces is not None and self._places:
            self._pieces.picker.shed(now)
            if self._pieces.picker.unasked:
                self._ask(hurry=True)
