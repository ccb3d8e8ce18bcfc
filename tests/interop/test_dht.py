"""The DHT node and libtorrent's, in one network over loopback: what one stores the other finds."""

import contextlib
import hashlib

import pytest
import trio

from tests.interop.clients import DEADLINE, missing
from torrentlite import MutableLink
from torrentlite.dht import DhtSettings, SigningKey, open_node
from torrentlite.dht.item import torrent_value
from torrentlite.loading import newest

pytestmark = pytest.mark.interop

SETTINGS = {
    "listen_interfaces": "127.0.0.1:0",
    "enable_dht": True,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "dht_bootstrap_nodes": "",
    "dht_restrict_routing_ips": False,  # all of them live at one address
    "dht_restrict_search_ips": False,
    "dht_ignore_dark_internet": False,
    "dht_block_ratelimit": 1_000_000,  # else it takes them all for one who asks too much
    "dht_upload_rate_limit": 1_000_000,
}


class Libtorrent:
    """A session that is a DHT node."""

    def __init__(self) -> None:
        try:
            import libtorrent
        except ImportError:
            missing("libtorrent")
        self.lt = libtorrent
        category = libtorrent.alert.category_t
        mask = int(category.dht_notification | category.dht_operation_notification | category.status_notification)
        self.session = libtorrent.session(SETTINGS | {"alert_mask": mask})

    async def alert(self, kind: str, want=lambda alert: True):
        """The next alert of a kind that is wanted."""
        with trio.fail_after(DEADLINE):
            while True:
                for alert in self.session.pop_alerts():
                    if type(alert).__name__ == kind and want(alert):
                        return alert
                await trio.sleep(0.02)

    async def port(self) -> int:
        with trio.fail_after(DEADLINE):
            while not self.session.listen_port():
                await trio.sleep(0.02)
        return self.session.listen_port()

    def hash(self, raw: bytes):
        return self.lt.sha1_hash(raw)


@contextlib.asynccontextmanager
async def network():
    """Two of theirs and two of ours."""
    async with contextlib.AsyncExitStack() as stack:
        settings = DhtSettings(read_only=False, upload_limit=0, answer_limit=0, address_limit=0, big_answers=0)
        one = await stack.enter_async_context(open_node(host="127.0.0.1", routers=(), settings=settings))
        at = [("127.0.0.1", one.addresses[0].port)]
        two = await stack.enter_async_context(open_node(host="127.0.0.1", routers=(), settings=settings, nodes=at))
        theirs = [Libtorrent(), Libtorrent()]
        for each in theirs:
            await each.port()
            each.session.add_dht_node(at[0])
            each.session.add_dht_node(("127.0.0.1", two.addresses[0].port))
        with trio.fail_after(DEADLINE):  # all know all
            while len(one.nodes()) < 3 or len(two.nodes()) < 3:
                for each in theirs:
                    one.add_node(one.addresses[0]._replace(port=await each.port()))
                    two.add_node(one.addresses[0]._replace(port=await each.port()))
                await trio.sleep(0.1)
        yield one, two, theirs
        assert one.internal_errors == two.internal_errors == 0
        assert one.stats().counters.malformed == two.stats().counters.malformed == 0


async def test_peers_items_and_samples_both_ways():
    async with network() as (one, two, (first, second)):
        # Theirs is found by us, ours by them.
        info_hash = b"their torrent, 20 byt"[:20]
        first.session.dht_announce(first.hash(info_hash), 7001, 0)
        with trio.fail_after(DEADLINE):
            while 7001 not in [peer.port for peer in await two.get_peers(info_hash)]:
                await trio.sleep(0.1)
        ours = b"one of ours, 20 bytes"[:20]
        announced = await one.announce_peer(ours, 7002)
        assert announced.nodes == 3, "theirs take it as ours do"
        second.session.dht_get_peers(second.hash(ours))
        reply = await second.alert("dht_get_peers_reply_alert", lambda alert: alert.num_peers())
        assert 7002 in [port for _, port in reply.peers()]

        # Immutable items.
        item = await one.put(b"from us")
        second.session.dht_get_immutable_item(second.hash(item.target))
        got = await second.alert("dht_immutable_item_alert")
        assert got.item == b"from us"
        target = first.session.dht_put_immutable_item(b"from them")
        put = await first.alert("dht_put_alert", lambda alert: alert.target == target)
        assert put.num_success > 0
        assert (await two.get(target.to_bytes())).value == b"from them"

        # Mutable items, with salt; the same key on both sides.
        seed = hashlib.sha256(b"seed").digest()
        key = SigningKey(seed)
        expanded = bytearray(hashlib.sha512(seed).digest())
        expanded[0] &= 248
        expanded[31] = expanded[31] & 63 | 64
        await one.put_mutable(b"ours", key, salt=b"s")
        second.session.dht_get_mutable_item(key.public, b"s")
        got = await second.alert("dht_mutable_item_alert", lambda alert: alert.item)
        assert (got.item, got.seq) == (b"ours", 1)
        first.session.dht_put_mutable_item(bytes(expanded), key.public, b"theirs", b"s")
        put = await first.alert("dht_put_alert", lambda alert: alert.public_key == key.public)
        assert put.num_success > 0
        found = await two.get_mutable(key.public, salt=b"s")
        assert (found.value, found.sequence) == (b"theirs", 2), "they have read ours, and gone on from it"

        # Links that stay (BEP 46): what we say of a torrent is read by them. (Their binding puts only strings.)
        await one.put_mutable(torrent_value(b"u" * 20), key, salt=b"link")
        second.session.dht_get_mutable_item(key.public, b"link")
        got = await second.alert("dht_mutable_item_alert", lambda alert: alert.item and alert.salt == b"link")
        assert got.item == {b"ih": b"u" * 20}
        assert (await newest(MutableLink(key.public, b"link"), two)).hashes.v1 == b"u" * 20

        # Samples.
        address = one.addresses[0]
        samples = await two.sample_infohashes(address._replace(port=await first.port()), bytes(20))
        assert samples.total >= 1
        second.session.dht_sample_infohashes(tuple(address), second.hash(bytes(20)))
        told = await second.alert("dht_sample_infohashes_alert")
        assert told.num_samples == told.num_infohashes == one.stats().sides[0].torrents > 0
