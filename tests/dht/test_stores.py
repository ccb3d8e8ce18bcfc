import random
from collections import Counter

import pytest

from torrentlite import limits
from torrentlite.dht.bloom import BloomFilter
from torrentlite.dht.item import Item, make_item
from torrentlite.dht.itemstore import ItemStore
from torrentlite.dht.krpc import Code
from torrentlite.dht.peerstore import PeerStore
from torrentlite.wire.address import Address, Scope

HASH = b"h" * 20


def store() -> PeerStore:
    return PeerStore(random.Random(1))


def peer(index: int, port: int = 6881) -> Address:
    return Address(f"8.{index // 65536}.{index // 256 % 256}.{index % 256}", port)


def test_announced_and_found():
    peers = store()
    assert peers.peers_of(HASH, 10, 0.0) == []
    assert peers.announce(HASH, peer(1), 0.0)
    assert peers.peers_of(HASH, 10, 0.0) == [peer(1)]
    assert peers.peers_of(b"x" * 20, 10, 0.0) == []


def test_a_public_address_is_one_peer():
    peers = store()
    peers.announce(HASH, peer(1, 1), 0.0)
    peers.announce(HASH, peer(1, 2), 1.0)
    assert peers.peers_of(HASH, 10, 2.0) == [peer(1, 2)]
    for port in (1, 2):
        peers.announce(HASH, Address("192.168.0.1", port), 0.0)
    assert len(peers.peers_of(HASH, 10, 2.0)) == 3


def test_peers_are_forgotten():
    peers = store()
    peers.announce(HASH, peer(1), 0.0)
    peers.announce(HASH, peer(2), 1000.0)
    assert peers.peers_of(HASH, 10, limits.DHT_PEER_LIFE + 1) == [peer(2)]
    peers.expire(limits.DHT_PEER_LIFE + 1)
    assert peers.peers == 1
    peers.announce(HASH, peer(2), 3000.0)
    peers.expire(limits.DHT_PEER_LIFE + 1001)
    assert peers.peers == 1, "an announce again counts from then on"
    peers.expire(1e6)
    assert len(peers) == peers.peers == 0
    assert not peers._per_host


def test_caps():
    peers = store()
    for index in range(limits.DHT_MAX_PEERS + 100):
        assert peers.announce(HASH, peer(index), float(index))
    assert peers.peers == limits.DHT_MAX_PEERS
    assert peer(99) not in peers.peers_of(HASH, 10_000, 700.0), "the oldest went"
    for index in range(limits.DHT_MAX_TORRENTS + 100):
        assert peers.announce(index.to_bytes(20, "big"), peer(index), 0.0)
    assert len(peers) == limits.DHT_MAX_TORRENTS
    assert len(peers.peers_of(HASH, 10_000, 700.0)) == limits.DHT_MAX_PEERS, "the largest stays"


def test_one_address_does_not_fill_the_store():
    peers = store()
    taken = sum(peers.announce(index.to_bytes(20, "big"), peer(1), 0.0) for index in range(1000))
    assert taken == limits.DHT_MAX_TORRENTS_PER_HOST
    assert peers.announce((0).to_bytes(20, "big"), peer(1, 5), 1.0), "what is there may be renewed"
    assert peers.announce(HASH, peer(2), 0.0)


def test_too_many_are_drawn_by_lot():
    peers = store()
    for index in range(200):
        peers.announce(HASH, peer(index), 0.0)
    draws = [tuple(peers.peers_of(HASH, 20, 1.0)) for _ in range(10)]
    assert all(len(set(draw)) == 20 for draw in draws)
    assert len(set(draws)) == 10


def test_to_draw_a_few_of_many_costs_a_few():
    """A query is 95 bytes long, and anybody may send thousands."""
    drawn = Counter()

    class Dice(random.Random):
        def random(self):
            drawn["dice"] += 1
            return super().random()

    peers = PeerStore(Dice(7))
    for index in range(200):
        peers.announce(HASH, peer(index), 0.0)
    for _ in range(1000):
        drawn.update(peers.peers_of(HASH, 10, 1.0))
    assert drawn.pop("dice") == 10 * 1000
    assert len(drawn) == 200
    assert max(drawn.values()) < 3 * min(drawn.values()), "each as often as any other, 50 times"


def test_no_seeds_where_others_suffice():
    peers = store()
    for index in range(50):
        peers.announce(HASH, peer(index), 0.0, seed=index < 30)
    chosen = peers.peers_of(HASH, 10, 1.0, no_seeds=True)
    assert all(int(one.host.rpartition(".")[2]) >= 30 for one in chosen)
    assert len(peers.peers_of(HASH, 40, 1.0, no_seeds=True)) == 40


def test_scopes():
    peers = store()
    for host in ("127.0.0.1", "10.0.0.1", "8.8.8.8"):
        peers.announce(HASH, Address(host, 1), 0.0)
    for scope, count in ((Scope.LOOPBACK, 3), (Scope.PRIVATE, 2), (Scope.PUBLIC, 1)):
        assert len(peers.peers_of(HASH, 10, 1.0, scope=scope)) == count


def test_filters():
    peers = store()
    assert peers.filters(HASH, 0.0) is None
    for index in range(100):
        peers.announce(HASH, peer(index), 0.0, seed=index < 30)
    seeds, others = (BloomFilter(data) for data in peers.filters(HASH, 1.0))
    assert seeds.estimate() == pytest.approx(30, rel=0.2)
    assert others.estimate() == pytest.approx(70, rel=0.2)
    peers.announce(HASH, peer(500), 2.0)
    assert peers.filters(HASH, 3.0) == (bytes(seeds), bytes(others)), "not made anew each time"
    assert peers.filters(HASH, 20.0) != (bytes(seeds), bytes(others))


def test_samples():
    peers = store()
    assert peers.sample(0.0)[0] == []
    for index in range(10):
        peers.announce(index.to_bytes(20, "big"), peer(index), 0.0)
    assert len(peers.sample(1.0)[0]) == 10
    for index in range(10, 200):
        peers.announce(index.to_bytes(20, "big"), peer(index), 0.0)
    first, interval = peers.sample(2.0)
    assert len(set(first)) == limits.DHT_SAMPLES
    assert 0 < interval <= limits.DHT_SAMPLE_INTERVAL
    assert peers.sample(200.0)[0] == first
    assert peers.sample(2.0 + limits.DHT_SAMPLE_INTERVAL)[0] != first


# -- items; signatures are looked at before they come here


def mutable(sequence: int, value: bytes = b"1:x", key: bytes = b"k" * 32) -> Item:
    return Item(value, key, b"", sequence, bytes(64))


def test_items():
    items = ItemStore()
    item = make_item(b"x")
    assert items.get(item.target, 0.0) is None
    assert items.put(item, "a", 0.0) is None
    assert items.get(item.target, 1.0) == item
    assert items.put(item, "b", 5000.0) is None
    assert items.get(item.target, 5000.0 + limits.DHT_ITEM_LIFE - 1) == item, "put again"
    assert items.get(item.target, 5000.0 + limits.DHT_ITEM_LIFE) is None
    items.expire(1e6)
    assert len(items) == 0
    assert not items._per_owner


def test_sequences_only_go_up():
    items = ItemStore()
    assert items.put(mutable(5), "a", 0.0) is None
    assert items.put(mutable(4), "a", 0.0) is Code.OLD_SEQUENCE
    assert items.put(mutable(5, b"1:y"), "a", 0.0) is Code.OLD_SEQUENCE
    assert items.put(mutable(5), "a", 0.0) is None, "the same again only renews it"
    assert items.put(mutable(6, b"1:y"), "a", 0.0) is None
    assert items.get(mutable(1).target, 0.0).sequence == 6
    assert items.put(mutable(1), "a", 1e6) is None, "the old one was forgotten"


def test_cas():
    items = ItemStore()
    assert items.put(mutable(5), "a", 0.0, cas=77) is None, "nothing to compare with"
    assert items.put(mutable(6), "a", 0.0, cas=4) is Code.CAS_MISMATCH
    assert items.put(mutable(6), "a", 0.0, cas=5) is None


def test_items_are_bounded():
    items = ItemStore()
    taken = [items.put(make_item(index), "one", 0.0) for index in range(200)]
    assert taken.count(None) == limits.DHT_MAX_ITEMS_PER_HOST
    assert set(taken) == {None, Code.SERVER}
    for index in range(2000):
        assert items.put(make_item([index]), f"host {index % 50}", 1.0) in (None, Code.SERVER)
    assert len(items) == limits.DHT_MAX_ITEMS
