"""What goes out is what would have been put together block by block."""

from hypothesis import given, strategies as st

from torrentlite.limits import MAX_REQUEST, UPLOAD_BATCH_BLOCKS
from torrentlite.metainfo.layout import BLOCK_SIZE, Block
from torrentlite.swarm.batch import Batch
from torrentlite.wire import messages as wm

LENGTHS = st.just(BLOCK_SIZE) | st.integers(1, MAX_REQUEST)
BLOCKS = st.lists(st.builds(Block, st.integers(0, 2**21), st.integers(0, 2**24), LENGTHS), max_size=UPLOAD_BATCH_BLOCKS)


def data_of(block: Block) -> bytes:
    return (b"%d/%d." % (block.piece, block.begin) * (block.length // 4 + 1))[: block.length]


def sent(batch: Batch, blocks: list[Block]) -> int:
    views = batch.lay(blocks)
    for block, view in zip(blocks, views, strict=False):
        view[:] = data_of(block)
    laid = blocks[: len(views)]
    assert batch.messages == b"".join(wm.encode(wm.Piece(b.piece, b.begin, memoryview(data_of(b)))) for b in laid)
    assert batch.payload == sum(block.length for block in laid)
    return len(laid)


@given(st.lists(BLOCKS, min_size=1, max_size=3))
def test_headers_and_blocks_by_turns_also_when_it_is_used_again(rounds: list[list[Block]]) -> None:
    batch = Batch()
    for blocks in rounds:
        laid = sent(batch, blocks)
        if laid < len(blocks):
            most = UPLOAD_BATCH_BLOCKS * (wm.PIECE_HEADER_SIZE + BLOCK_SIZE)
            assert len(batch.messages) + wm.PIECE_HEADER_SIZE + blocks[laid].length > most


def test_there_is_room_for_a_whole_batch_and_for_the_longest_request() -> None:
    usual = [Block(7, number * BLOCK_SIZE, BLOCK_SIZE) for number in range(UPLOAD_BATCH_BLOCKS)]
    assert sent(Batch(), usual) == UPLOAD_BATCH_BLOCKS
    assert sent(Batch(), [Block(7, 0, MAX_REQUEST)]) == 1
    assert sent(Batch(), []) == 0
