import random

import pytest

from tests.dht.nodes import fill, make_core
from torrentlite import limits
from torrentlite.dht.contact import Contact
from torrentlite.dht.state import SavedState, load, save
from torrentlite.dht.statefile import NAME, StateFile
from torrentlite.wire.address import Address


def saved() -> tuple[bytes, SavedState]:
    core = make_core((False, True))
    contacts = fill(core, 60)
    six = Contact(b"6" * 20, Address("2a00::1", 7))
    core.sides[True].table.answered(six, 0.0)
    ids = {ipv6: side.own_id for ipv6, side in core.sides.items()}
    state = load(save(core))
    assert state.ids == ids
    assert set(state.nodes[False]) == set(contacts)
    assert state.nodes[True] == [six]
    return save(core), state


def test_it_is_read_as_it_was_saved():
    data, _ = saved()
    assert len(data) < limits.DHT_MAX_STATE


def test_the_best_nodes_are_saved():
    core = make_core()
    contacts = fill(core, 600)
    known = {node.contact for node in core.sides[False].table}
    for contact in contacts[:30]:
        core.sides[False].table.failed(contact.address, 1.0)
    core.sides[False].table.answered(contacts[50], 100.0)
    nodes = load(save(core)).nodes[False]
    assert len(nodes) == min(limits.DHT_SAVED_NODES, len(known))
    assert nodes[0] == contacts[50]
    assert not set(nodes[:100]) & set(contacts[:30])


def test_every_flipped_bit_makes_it_worthless():
    data, _ = saved()
    rng = random.Random(1)
    for place in [*range(60), *(rng.randrange(len(data)) for _ in range(200))]:
        damaged = bytearray(data)
        damaged[place] ^= 1 << rng.randrange(8)
        assert load(bytes(damaged)) == SavedState()
    for size in [0, 1, 8, 40, 41, 42, len(data) - 1]:
        assert load(data[:size]) == SavedState()
    assert load(data + b"x") == SavedState()
    assert load(bytes(limits.DHT_MAX_STATE + 1)) == SavedState()


def test_a_file_of_somebody_else_is_none():
    for data in (b"d2:idi1ee", b"\x00" * 500, b"tl-dht 1\n" + b"x" * 40):
        assert load(data) == SavedState()


# -- the file


def test_the_first_process_owns_it(tmp_path):
    data, state = saved()
    first = StateFile(tmp_path / "new" / "folder")
    assert first.owned
    assert first.read() == SavedState()
    assert first.write(data)
    second = StateFile(tmp_path / "new" / "folder")
    assert not second.owned
    assert second.read() == SavedState(nodes=state.nodes), "another node needs another id"
    assert not second.write(b"x")
    second.close()
    assert first.read() == state
    first.close()
    third = StateFile(tmp_path / "new" / "folder")
    assert third.owned
    assert third.read() == state
    third.close()
    third.close()


def test_what_cannot_be_saved_does_no_harm(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    file = StateFile(tmp_path / "file")
    assert not file.owned
    assert file.read() == SavedState()
    assert not file.write(b"x")
    file.close()
    file = StateFile(tmp_path)
    (tmp_path / NAME).mkdir()
    assert file.read() == SavedState()
    assert not file.write(b"x")
    assert sorted(path.name for path in tmp_path.iterdir()) == [NAME, f"{NAME}.lock", "file"]
    file.close()


@pytest.mark.parametrize("damage", [b"", b"garbage", bytes(100_000)])
def test_a_damaged_file_is_a_clean_start(tmp_path, damage):
    (tmp_path / NAME).write_bytes(damage)
    file = StateFile(tmp_path)
    assert file.read() == SavedState()
    assert file.write(saved()[0])
    assert file.read() == saved()[1]
    file.close()
