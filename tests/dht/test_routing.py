import random

from hypothesis import given, settings, strategies as st

from torrentlite import limits
from torrentlite.dht.contact import Contact, subnet
from torrentlite.dht.nodeid import make_id, number, shared_bits
from torrentlite.dht.routing import Table
from torrentlite.wire.address import Address, Scope

OWN = bytes(20)


def contact(index: int, node_id: bytes | None = None, *, secure: bool = False) -> Contact:
    """A node in a public /24 of its own."""
    host = f"{20 + index // 65536}.{index // 256 % 256}.{index % 256}.1"
    rng = random.Random(index)
    return Contact(node_id or make_id(host if secure else "", rng.randbytes), Address(host, 6881))


def far(index: int, *, secure: bool = False) -> Contact:
    """One of the far half, for a table whose own id is 0; without ``secure`` its id does not fit its address."""
    for attempt in range(10_000):
        made = contact(index + 1000 * attempt, secure=secure)
        if made.id[0] & 0x80:
            return made
    raise AssertionError


def fill(table: Table, count: int, **options) -> list[Contact]:
    contacts = [contact(index, **options) for index in range(count)]
    for one in contacts:
        table.answered(one, 0.0)
    return contacts


def brute(table: Table, target: bytes, count: int) -> list[bytes]:
    nodes = [node for node in table if not node.fails]
    return [node.contact.id for node in sorted(nodes, key=lambda node: node.number ^ number(target))][:count]


@settings(max_examples=50)
@given(st.integers(0, 800), st.integers(0, 1000), st.integers(1, 40))
def test_closest_is_what_sorting_everything_gives(size, seed, count):
    rng = random.Random(seed)
    own = rng.randbytes(20)
    table = Table(own, 0.0)
    for index in range(size):
        # Many close ones, so that there are deep buckets.
        node_id = (number(own) ^ rng.getrandbits(rng.choice([160, 160, 155, 150, 140]))).to_bytes(20, "big")
        table.answered(contact(index, node_id), 0.0)
    for node in list(table)[::7]:
        table.failed(node.contact.address, 1.0)
    for target in (own, rng.randbytes(20), (number(own) ^ 1 << 130).to_bytes(20, "big")):
        assert [node.contact.id for node in table.closest(target, count)] == brute(table, target, count)


operations = st.lists(
    st.tuples(
        st.sampled_from(["answered", "answered", "answered", "failed", "asked", "other id"]), st.integers(0, 400)
    ),
    max_size=400,
)


@settings(max_examples=60)
@given(operations, st.integers(0, 100))
def test_whatever_happens_the_table_is_in_order(steps, seed):
    rng = random.Random(seed)
    table = Table(OWN, 0.0)
    known = [contact(index, secure=index % 3 == 0) for index in range(300)]
    # Some live in the same /24, some are on a LAN.
    known += [Contact(rng.randbytes(20), Address(f"20.0.{index}.{rng.randrange(2, 9)}", 1)) for index in range(60)]
    known += [Contact(rng.randbytes(20), Address("192.168.1.1", 1000 + index)) for index in range(41)]
    for now, (what, index) in enumerate(steps):
        one = known[index]
        if what == "answered":
            table.answered(one, now)
        elif what == "failed":
            table.failed(one.address, now)
        elif what == "asked":
            table.asked(one, now)
        else:
            table.answered(Contact(rng.randbytes(20), one.address), now)
    nodes = list(table)
    assert len(nodes) == len(table)
    for unique in (
        lambda node: node.contact.id,
        lambda node: node.contact.address,
        lambda node: subnet(node.contact.address),
    ):
        assert len({unique(node) for node in nodes}) == len(nodes)
    last = len(table.buckets) - 1
    for depth, bucket in enumerate(table.buckets):
        assert len(bucket.nodes) <= bucket.capacity
        assert len(bucket.spare) <= limits.DHT_REPLACEMENTS
        for node in bucket.nodes:
            bits = shared_bits(number(OWN), node.number)
            assert bits == depth or (depth == last and bits >= depth)
            assert not node.bad
            assert table.find(node.contact.address) is node


def test_the_first_buckets_are_large():
    table = Table(OWN, 0.0)
    fill(table, 3000)
    sizes = [len(bucket.nodes) for bucket in table.buckets]
    assert sizes[:4] == [128, 64, 32, 16]
    assert all(size <= 8 for size in sizes[4:])
    assert len(sizes) > 6


def test_one_node_of_a_public_network():
    table = Table(OWN, 0.0)
    one = Contact(b"\xff" * 20, Address("8.8.8.8", 1))
    assert table.answered(one, 0.0)
    assert not table.answered(Contact(b"\x0f" * 20, Address("8.8.8.9", 1)), 0.0)
    assert not table.answered(Contact(b"\x0e" * 20, Address("8.8.8.8", 2)), 0.0)
    assert not table.wants(Contact(b"\x0f" * 20, Address("8.8.8.9", 1)))
    assert table.answered(Contact(b"\x0f" * 20, Address("8.8.9.9", 1)), 0.0)
    for port in range(1, 12):
        assert table.answered(Contact(bytes([port] * 20), Address("192.168.0.1", port)), 0.0), "not so on a LAN"
    table.failed(one.address, 1.0)
    assert table.answered(Contact(b"\x0d" * 20, Address("8.8.8.9", 1)), 2.0), "the old one does not answer any more"


def test_a_secure_neighbour_takes_the_place():
    table = Table(OWN, 0.0)
    table.answered(Contact(b"\xff" * 20, Address("8.8.8.8", 1)), 0.0)
    secure = Contact(make_id("8.8.8.9", random.Random(1).randbytes), Address("8.8.8.9", 1))
    assert table.answered(secure, 0.0)
    assert [node.contact for node in table] == [secure]


def test_who_changes_its_id_is_thrown_out():
    table = Table(OWN, 0.0)
    one = contact(1)
    table.answered(one, 0.0)
    assert not table.answered(Contact(b"\xaa" * 20, one.address), 1.0)
    assert len(table) == 0
    assert not table.answered(Contact(OWN, contact(2).address), 0.0), "our own id"


def test_an_id_that_is_taken_stays_where_it_is():
    table = Table(OWN, 0.0)
    table.answered(contact(1, b"\xaa" * 20), 0.0)
    assert not table.answered(contact(2, b"\xaa" * 20), 0.0)
    assert next(iter(table)).contact.address == contact(1).address


def test_a_full_bucket_keeps_the_good_and_replaces_the_bad():
    table = Table(OWN, 0.0)
    members = [far(index) for index in range(128)]
    for member in members:
        assert table.answered(member, 0.0)
    spare = far(500)
    assert not table.answered(spare, 1.0)
    assert len(table) == 128
    victim = members[40].address
    table.failed(victim, 2.0)
    assert table.find(victim) is not None, "one lost datagram is no reason"
    table.failed(victim, 3.0)
    assert table.find(victim) is None, "with a spare at hand two are"
    assert table.find(spare.address) is not None
    other = members[50].address
    for moment in range(limits.DHT_MAX_FAILS):
        assert table.find(other) is not None
        table.failed(other, moment)
    assert table.find(other) is None


def test_secure_nodes_are_preferred_in_a_full_bucket():
    table = Table(OWN, 0.0)
    for index in range(128):
        table.answered(far(index), 0.0)
    secure = far(3, secure=True)
    assert table.wants(secure)
    assert table.answered(secure, 0.0)
    assert table.find(secure.address) is not None
    assert len(table) == 128
    assert not table.wants(far(700))


def test_asking_proves_nothing():
    table = Table(OWN, 0.0)
    one = contact(1)
    assert not table.asked(one, 0.0)
    assert len(table) == 0
    table.answered(one, 0.0)
    assert table.asked(one, 1000.0)
    assert next(iter(table)).good(1800.0)
    assert not table.asked(Contact(b"\xaa" * 20, one.address), 5000.0)
    assert not next(iter(table)).good(1901.0)


def test_the_node_unheard_of_for_longest_is_looked_after():
    table = Table(OWN, 0.0)
    one, other = contact(1), contact(2)
    table.answered(one, 0.0)
    table.answered(other, 100.0)
    assert table.stale(899.0) is None
    assert table.stale(1001.0).contact == one
    table.tried(one.address, 1001.0)
    assert table.stale(1002.0).contact == other
    table.answered(other, 1002.0)
    assert table.stale(1003.0) is None, "it was just tried"


def test_who_says_that_it_answers_no_more_is_pinged_first():
    table = Table(OWN, 0.0)
    fill(table, 20)
    one = contact(7)
    table.doubt(Contact(b"x" * 20, one.address))
    assert table.stale(10.0) is None, "somebody else"
    table.doubt(one)
    assert table.stale(10.0).contact == one
    table.tried(one.address, 10.0)
    assert table.stale(20.0) is None
    table.answered(one, 11.0)
    assert table.stale(20.0) is None, "it was forged"


def test_refresh():
    table = Table(OWN, 0.0)
    fill(table, 300)
    depths = []
    while (depth := table.unchanged(901.0)) is not None:
        depths.append(depth)
    assert depths == list(range(len(table.buckets)))
    assert table.unchanged(1000.0) is None


def test_scopes():
    table = Table(OWN, 0.0)
    for address in ("8.8.8.8", "192.168.1.1", "127.0.0.1"):
        table.answered(Contact(random.Random(address).randbytes(20), Address(address, 1)), 0.0)
    for scope, count in ((Scope.LOOPBACK, 3), (Scope.PRIVATE, 2), (Scope.PUBLIC, 1)):
        assert len(table.closest(OWN, 8, scope=scope)) == count
        assert len(table.named(OWN, scope)) == count


def test_sybils_do_not_fill_an_answer():
    target = b"\x80" * 20
    table = Table(OWN, 0.0)
    honest = [far(index, secure=True) for index in range(60)]
    sybils = [contact(5000 + index, target[:18] + bytes([1, index])) for index in range(20)]
    for one in honest + sybils:
        table.answered(one, 0.0)
    named = table.named(target, Scope.PUBLIC)
    assert len(named) == 8
    assert sum(not node.secure for node in named) == limits.DHT_INSECURE_SHARE
    assert len(table.closest(target, 8)) == 8
    assert not any(node.secure for node in table.closest(target, 8)), "they are nearest indeed"


def test_where_nobody_is_secure_the_nearest_are_named():
    table = Table(OWN, 0.0)
    fill(table, 200)
    target = b"\x12" * 20
    assert [node.contact.id for node in table.named(target, Scope.PUBLIC)] == brute(table, target, 8)


def test_the_table_is_split_so_often_and_no_more():
    table = Table(OWN, 0.0)
    while len(table._buckets) < limits.DHT_MAX_SPLITS:
        assert table._split(0.0)
    assert not table._split(0.0)
