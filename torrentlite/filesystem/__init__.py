"""A torrent as a filesystem for fsspec, so that pandas, pyarrow, dask and zarr read straight from a share.

    pandas.read_parquet("torrent://sales/2024.parquet", columns=["price"], storage_options={"source": "sales.torrent"})
    pandas.read_parquet("torrent://<40 hex digits of the info-hash>/sales/2024.parquet")

Only the pieces that are touched are fetched. Needs the extra ``torrentlite[fsspec]``; the engine is Trio in a thread.
"""

from __future__ import annotations

from .file import TorrentFile
from .filesystem import TorrentFileSystem

__all__ = ["TorrentFile", "TorrentFileSystem"]
