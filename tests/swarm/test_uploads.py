from torrentlite.metainfo.layout import Block
from torrentlite.swarm.uploads import Uploads

BLOCKS = [Block(piece, begin * 16384, 16384) for piece in range(2) for begin in range(3)]


def filled(limit=100):
    uploads = Uploads(limit)
    for block in BLOCKS:
        assert not uploads.add([block])
    return uploads


def test_oldest_first():
    uploads = filled()
    assert uploads.take(2) == BLOCKS[:2]
    assert uploads.take(100) == BLOCKS[2:]
    assert not uploads


def test_full():
    uploads = Uploads(2)
    assert not uploads.add(BLOCKS[:1])
    assert uploads.add(BLOCKS[1:3]) == BLOCKS[2:3]
    assert uploads.add([BLOCKS[2]]) == BLOCKS[2:3]
    assert not uploads.add([BLOCKS[1]]), "asking again is no new request"
    assert len(uploads) == 2


def test_cancel_is_answered_once():
    uploads = filled()
    assert uploads.cancel(BLOCKS[3])
    assert not uploads.cancel(BLOCKS[3])
    assert BLOCKS[3] not in uploads.take(100)


def test_choked():
    uploads = filled()
    assert uploads.clear() == BLOCKS
    assert not uploads


def test_given_back_to_the_front():
    uploads = filled()
    uploads.give_back(uploads.take(3))
    assert uploads.take(100) == BLOCKS
