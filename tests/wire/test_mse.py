"""Encrypted handshakes: both sides in all ways that bytes may come, and what strangers may try."""

import hashlib
import itertools
import random

import pytest
from hypothesis import given, strategies as st

from torrentlite.errors import ProtocolError
from torrentlite.limits import MSE_MAX_INITIAL
from torrentlite.wire.mse import KEY_SIZE, MAX_PADDING, Called, Caller, Method, marked
from torrentlite.wire.rc4 import rc4

HASH = bytes(range(20))
BOTH = Method.PLAIN | Method.RC4
P = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A63A36210000000000090563",
    16,
)


def secret(seed):
    return random.Random(seed).randbytes


def find(mark):
    return HASH if mark == marked(HASH) else None


def called(choose=lambda offered: offered & Method.RC4 or None, seed=2):
    return Called(find, choose, secret(seed))


def converse(one, two, cut=lambda data: [data]):
    """Let them talk until nobody has anything to say; what each was told after it was done is in its rest."""
    said = one.received(b"")
    for speaker in itertools.cycle((two, one)):
        answer = b"".join([speaker.received(part) for part in cut(said)])
        if not answer and not said:
            return
        said = answer


@given(st.integers(0, 1 << 32), st.sampled_from([Method.PLAIN, Method.RC4]), st.binary(max_size=200), st.data())
def test_they_agree_however_the_bytes_come(seed, method, initial, data):
    caller = Caller(HASH, BOTH, initial, secret(seed))
    host = Called(find, lambda offered: method, secret(seed + 1))

    def cut(said):
        ends = sorted({0, len(said), *data.draw(st.lists(st.integers(0, len(said)), max_size=4))})
        return [said[start:stop] for start, stop in itertools.pairwise(ends)]

    converse(caller, host, cut)
    ours, theirs = caller.done, host.done
    assert ours.info_hash == theirs.info_hash == HASH
    assert ours.method == theirs.method == method
    assert (ours.rest, theirs.rest) == (b"", initial)
    if method is Method.RC4:
        assert theirs.incoming.update(ours.outgoing.update(b"up and")) == b"up and"
        assert ours.incoming.update(theirs.outgoing.update(b"away")) == b"away"
    else:
        assert ours.incoming is ours.outgoing is theirs.incoming is theirs.outgoing is None


def test_byte_by_byte():
    caller, host = Caller(HASH, BOTH, b"hello", secret(1)), called()
    converse(caller, host, lambda data: [bytes([byte]) for byte in data])
    assert host.done.rest == b"hello"


def test_nothing_of_it_looks_like_bittorrent_or_like_the_last_time():
    talks = []
    for seed in (1, 2):
        caller, host = Caller(HASH, BOTH, b"\x13BitTorrent protocol" + HASH, secret(seed)), called(seed=seed + 10)
        key = caller.received(b"")
        answer = host.received(key)
        rest = caller.received(answer)
        talks.append((key, answer, rest, host.received(rest)))
        assert all(b"BitTorrent" not in said and HASH not in said for said in talks[-1])
    assert all(one != two for one, two in zip(*talks, strict=True))
    assert len({len(b"".join(talk)) for talk in talks}) == 2


def exchange(initial=b"", seed=1):
    """A caller by hand: (host, its secret, key streams out and in), where the keys are exchanged."""
    host = called()
    exponent = int.from_bytes(secret(seed)(20), "big")
    answer = host.received(pow(2, exponent, P).to_bytes(KEY_SIZE, "big"))
    shared = pow(int.from_bytes(answer[:KEY_SIZE], "big"), exponent, P).to_bytes(KEY_SIZE, "big")
    assert KEY_SIZE <= len(answer) <= KEY_SIZE + MAX_PADDING

    def sha1(*parts):
        return hashlib.sha1(b"".join(parts)).digest()

    mark = bytes(a ^ b for a, b in zip(sha1(b"req2", HASH), sha1(b"req3", shared), strict=True))
    return host, sha1(b"req1", shared), mark, rc4(sha1(b"keyA", shared, HASH)), rc4(sha1(b"keyB", shared, HASH))


def test_by_the_letter_of_the_protocol():
    """The called side against a caller that is written down here step by step."""
    host, begin, mark, out, back = exchange()
    said = bytes(8) + b"\0\0\0\x03" + b"\0\x05" + b"noise" + b"\0\x03" + b"abc"
    answer = host.received(b"n" * MAX_PADDING + begin + mark + out.update(said + b"more"))
    assert (host.done.method, host.done.rest) == (Method.RC4, b"abcmore")
    answer = back.update(answer)
    assert answer[:12] == bytes(8) + b"\0\0\0\x02"
    assert len(answer) == 14 + int.from_bytes(answer[12:14], "big")


@pytest.mark.parametrize("number", [0, 1, P - 1, P, P + 1, (1 << 768) - 1])
def test_keys_that_anybody_could_guess_are_refused(number):
    with pytest.raises(ProtocolError, match="public key"):
        called().received(number.to_bytes(KEY_SIZE, "big"))
    caller = Caller(HASH, BOTH, b"", secret(1))
    caller.received(b"")
    with pytest.raises(ProtocolError, match="public key"):
        caller.received(number.to_bytes(KEY_SIZE, "big"))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (b"\1" + bytes(7) + b"\0\0\0\x03" + bytes(4), "another key"),
        (bytes(8) + b"\0\0\0\x03" + (MAX_PADDING + 1).to_bytes(2, "big"), "too much padding"),
        (bytes(8) + b"\0\0\0\x03" + bytes(2) + (MSE_MAX_INITIAL + 1).to_bytes(2, "big"), "before our answer"),
        (bytes(8) + b"\0\0\0\x01" + bytes(4), "no method"),
        (bytes(8) + b"\xff\xff\xff\xfc" + bytes(4), "no method"),
    ],
)
def test_what_a_caller_may_not_say(said, message):
    host, begin, mark, out, _ = exchange()
    with pytest.raises(ProtocolError, match=message):
        host.received(begin + mark + out.update(said))


def test_the_most_that_a_caller_may_say_at_once():
    host, begin, mark, out, _ = exchange()
    initial = bytes(MSE_MAX_INITIAL)
    host.received(begin + mark + out.update(bytes(8) + b"\0\0\0\x03\0\0" + len(initial).to_bytes(2, "big") + initial))
    assert host.done.rest == initial


def test_a_torrent_that_is_not_here():
    host, begin, mark, _, _ = exchange()
    with pytest.raises(ProtocolError, match="not shared here"):
        host.received(begin + bytes(20))


def test_noise_without_end():
    host, begin, mark, *_ = exchange()
    host.received(bytes(MAX_PADDING + 19))
    with pytest.raises(ProtocolError, match="no end of the padding"):
        host.received(b"\0")
    host, begin, mark, *_ = exchange()
    with pytest.raises(ProtocolError, match="too much padding"):
        host.received(bytes(MAX_PADDING + 1) + begin)
    caller, host = Caller(HASH, BOTH, b"", secret(1)), called()
    key = host.received(caller.received(b""))[:KEY_SIZE]
    caller.received(key + bytes(MAX_PADDING + 7))
    with pytest.raises(ProtocolError, match="no end of the padding"):
        caller.received(b"\0")


@pytest.mark.parametrize("selected", [0, 1, 3, 4, 1 << 31])
def test_a_method_that_was_not_offered(selected):
    caller, host = Caller(HASH, Method.RC4, b"", secret(1)), called(lambda offered: selected)
    with pytest.raises(ProtocolError, match=f"method {selected} was not offered"):
        converse(caller, host)


@given(st.integers(0, 100), st.binary(max_size=1500))
def test_whatever_strangers_say_ends_or_waits(seed, data):
    for side in (called(seed=seed), Caller(HASH, BOTH, b"hello", secret(seed))):
        try:
            side.received(data)
        except ProtocolError:
            continue
        assert side.done is None
        assert len(side._buffer) <= max(len(data), 1)
