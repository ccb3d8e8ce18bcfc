"""The rate limits of one torrent and of its session, asked together."""

from __future__ import annotations

from ..limits import UPLOAD_BATCH_BLOCKS
from ..metainfo.layout import BLOCK_SIZE
from ..strategy.rate import TokenBucket


def set_rates(up: TokenBucket, down: TokenBucket, upload: int | None, download: int | None) -> None:
    """Set what is not None, both or nothing.

    Raises:
        ValueError: a limit is negative.
        TypeError: it is no number.
    """
    for name, rate in (("upload", upload), ("download", download)):
        if rate is not None and not isinstance(rate, int | float):
            raise TypeError(f"{name}: a number of bytes per second is expected, and this is {rate!r}")
    if (upload or 0) < 0 or (download or 0) < 0:
        raise ValueError("limits must not be negative; 0 is unlimited")
    if upload is not None:
        up.rate = upload
    if download is not None:
        down.rate = download


class Throttle:
    """Upload is booked before it is sent; download is paced by granting requests, so it holds on average;
    what web seeds send is booked as it is read.

    Args:
        up: the session's and the torrent's bucket for what we send; rate 0 is unlimited.
        down: likewise for what we ask for.
    """

    def __init__(self, up: tuple[TokenBucket, ...], down: tuple[TokenBucket, ...]) -> None:
        self._up = up
        self._down = down

    def allowance(self, blocks: int, now: float) -> int:
        """How many of these blocks may be asked for now."""
        granted = blocks
        for index, bucket in enumerate(self._down):
            if not bucket.rate:
                continue
            taken = bucket.take(granted * BLOCK_SIZE, now)
            most = taken // BLOCK_SIZE
            for earlier in self._down[:index]:
                earlier.give((granted - most) * BLOCK_SIZE)
            bucket.give(taken - most * BLOCK_SIZE)
            granted = most
        return granted

    def unused(self, blocks: int) -> None:
        """Give back what was granted and not asked for."""
        for bucket in self._down:
            bucket.give(blocks * BLOCK_SIZE)

    def book_download(self, size: int, now: float) -> float:
        """Book bytes that came from where requests cannot be paced (HTTP); seconds until more may be read."""
        return max((bucket.reserve(size, now) for bucket in self._down), default=0.0)

    def download_quantum(self, most: int) -> int:
        """Bytes to read in one go from there: a quarter of a second of the tightest limit, but at least a block."""
        rate = self.download_limit
        return min(most, max(BLOCK_SIZE, int(rate / 4))) if rate else most

    @property
    def download_limit(self) -> float:
        """The tightest limit, bytes per second; 0 where there is none."""
        return min((bucket.rate for bucket in self._down if bucket.rate), default=0.0)

    def book_upload(self, size: int, now: float) -> float:
        """Book bytes to be sent; seconds until they may be."""
        return max((bucket.reserve(size, now) for bucket in self._up), default=0.0)

    def unbook_upload(self, size: int) -> None:
        """Give back what was booked and not sent."""
        for bucket in self._up:
            bucket.give(size)

    def upload_quantum(self) -> int:
        """Blocks in one send at most: a tenth of a second of the tightest limit, so that all peers get their turn."""
        rate = min((bucket.rate for bucket in self._up if bucket.rate), default=0.0)
        return max(1, int(rate / 10) // BLOCK_SIZE) if rate else UPLOAD_BATCH_BLOCKS

    def spare_upload(self, session_rate: float, torrent_rate: float) -> bool:
        """Whether what is uploaded is below all limits that are set."""
        rates = (session_rate, torrent_rate)
        return all(not bucket.rate or rate < 0.9 * bucket.rate for bucket, rate in zip(self._up, rates, strict=True))

    @property
    def download_limited(self) -> bool:
        """Whether any download limit is set."""
        return any(bucket.rate for bucket in self._down)

    def holds_back(self, session_rate: float, torrent_rate: float) -> bool:
        """Whether it is a download limit that sets the pace."""
        rates = (session_rate, torrent_rate)
        return any(bucket.rate and rate > 0.8 * bucket.rate for bucket, rate in zip(self._down, rates, strict=True))
