"""The link that stays of what is shared, and whether it leads here (BEP 46)."""

from __future__ import annotations

import argparse

import trio

from .. import Metainfo, Session, Torrent
from ..errors import DhtError, SourceError, TorrentError
from ..metainfo.text import display
from ..swarm.publishing import why_not
from . import sessions
from .exits import UsageError, require_extra
from .files import lies_in
from .keys import Key
from .output import Output

_AGAIN = 60.0
"""Seconds until nodes that did not take the link are told again."""
_LATE = 20.0
"""Seconds after which it is said that there are no nodes yet."""


class Lasting:
    """One link: whose key ``--publish`` names.

    Attributes:
        link: the link.
    """

    def __init__(self, args: argparse.Namespace, session: Session, output: Output, key: Key) -> None:
        self.link = str(key.link)
        self._secret = key.secret
        self._file = args.publish
        self._session = session
        self._output = output
        self._said = ""
        self._scope = trio.CancelScope()

    def check(self, metainfo: Metainfo, place: str) -> None:
        """Look whether the link can lead to this, which lies there.

        Raises:
            SourceError: it cannot.
            UsageError: the key lies in it.
        """
        if why := why_not(metainfo.info):
            raise SourceError(f"no link that stays can lead to {display(metainfo.name)}: {why}")
        check_outside(self._file, place)

    async def lead_to(self, torrent: Torrent) -> None:
        """Let the link lead there; from then on the torrent sees to it."""
        with self._scope:
            with trio.move_on_after(_LATE):
                while self._session.stats().dht.state != "joined":  # noqa: ASYNC110  nobody else waits for that
                    await trio.sleep(0.5)
            while True:
                if (dht := self._session.stats().dht).state != "joined":
                    self._say_not(torrent, f"does not lead here yet: DHT: {dht.message}")
                try:
                    await torrent.publish(self._secret)
                    break
                except DhtError as error:
                    self._say_not(torrent, f"does not lead here yet: {error}; that is tried again")
                except TorrentError:
                    return  # who shares it says so
                await trio.sleep(_AGAIN)
            self._output.event("published", torrent.info_hash, link=self.link)
            self._output.note(f"the link that stays leads to {display(torrent.name)} now")
        if self._scope.cancelled_caught:
            self._say_not(torrent, "never led here")

    def end(self) -> None:
        """The torrent is shared no more."""
        self._scope.cancel()

    def _say_not(self, torrent: Torrent, what: str) -> None:
        """Once, while it is the same."""
        if what != self._said:
            self._said = what
            self._output.event("unpublished", torrent.info_hash, link=self.link, message=what)
            self._output.note(f"the link that stays {what}")


def key_of(args: argparse.Namespace) -> Key | None:
    """The key of ``--publish``, if there is one.

    Raises:
        UsageError: the link could not lead here, or nothing can be signed.
        SourceError: the file is no key.
    """
    if args.publish is None:
        return None
    if len(args.path) > 1:
        raise UsageError("--publish lets a link lead to one PATH, and these are several")
    if args.no_dht:
        raise UsageError("--publish tells the DHT, and --no-dht forbids that")
    sessions.refuse_proxy(args, "the DHT, which --publish tells")
    require_extra("--publish", "cryptography", "crypto")
    check_outside(args.publish, args.path[0])  # before it is made
    return Key.read(args.publish)


def check_outside(key: str, shared: str) -> None:
    """Raises UsageError where the key would be shared too: whoever has it owns the link."""
    if lies_in(key, shared):
        raise UsageError(f"--publish {display(key)}: the key would be shared too, and whoever has it owns the link")
