"""A core and what one says to it, for tests."""

import random

from torrentlite.bencode import decode
from torrentlite.dht.contact import Contact
from torrentlite.dht.core import Core
from torrentlite.dht.krpc import Query, encode_query, encode_reply, parse
from torrentlite.dht.settings import DhtSettings
from torrentlite.wire.address import Address

OPEN = DhtSettings(upload_limit=0, answer_limit=0, address_limit=0, big_answers=0, read_only=False)
"""No budgets."""
ASKER = Address("8.8.8.8", 6881)
OWN = Address("9.9.9.9", 6881)


def make_core(families=(False,), *, settings: DhtSettings = OPEN, seed: int = 1, now: float = 0.0, **options) -> Core:
    rng = random.Random(seed)
    return Core(families, settings=settings, rng=rng, secret=rng.randbytes, now=now, **options)


def stranger(index: int, *, port: int = 6881) -> Contact:
    """A node in a public /24 of its own."""
    host = f"{20 + index // 65536}.{index // 256 % 256}.{index % 256}.1"
    return Contact(random.Random(f"stranger {index}").randbytes(20), Address(host, port))


def fill(core: Core, count: int, now: float = 0.0) -> list[Contact]:
    """Put nodes into its table."""
    contacts = [stranger(index) for index in range(count)]
    for contact in contacts:
        core.sides[False].table.answered(contact, now)
    return contacts


def say(core: Core, data: bytes, sender: Address = ASKER, now: float = 0.0) -> list[tuple[bytes, Address]]:
    """Hand it a datagram; what it sends."""
    core.got_datagram(data, sender, now)
    return core.outgoing()


def query(
    core: Core,
    method: str,
    arguments: dict | None = None,
    *,
    sender: Address = ASKER,
    now: float = 0.0,
    node_id=b"q" * 20,
) -> dict:
    """Ask it something; the whole answer, decoded."""
    data = encode_query(b"tttt", node_id, method.encode(), arguments or {})
    sent = [(answer, to) for answer, to in say(core, data, sender, now) if to == sender]
    answers = [decode(answer) for answer, _ in sent if not isinstance(parse(answer), Query)]
    assert len(answers) == 1
    assert answers[0][b"t"] == b"tttt"
    return answers[0]


def reply_to(core: Core, data: bytes, contact: Contact, now: float, values: dict | None = None, *, to=OWN, **changes):
    """Answer a query that it sent."""
    asked = parse(data)
    answer = encode_reply(
        changes.get("transaction", asked.transaction), changes.get("node_id", contact.id), values or {}, to
    )
    return say(core, answer, changes.get("sender", contact.address), now)
