"""The fsspec filesystem: pandas, pyarrow and zipfile read from a share, and fetch only what they touch."""

import gc
import importlib.metadata
import io
import pathlib
import pickle
import random
import subprocess
import sys
import tomllib
import zipfile

import fsspec
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from torrentlite import blocking as tl
from torrentlite.errors import NetworkError
from torrentlite.filesystem import TorrentFile, TorrentFileSystem

ROOT = pathlib.Path(__file__).parent.parent
ALONE = {"host": "127.0.0.1", "dht": False, "lsd": False, "port_map": False}
PIECE = 64 << 10


@pytest.fixture(autouse=True, scope="module")
def _registered():
    """As an installation does it."""
    fsspec.register_implementation("torrent", TorrentFileSystem, clobber=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("share") / "data"
    (folder / "deep" / "er").mkdir(parents=True)
    rng = random.Random(1)
    columns = {name: rng.choices(range(1 << 60), k=100_000) for name in ("a", "b", "c", "d", "e")}
    columns["year"] = [2000 + number // 10_000 for number in range(100_000)]
    pq.write_table(pa.table(columns), folder / "table.parquet", row_group_size=10_000, compression="none")
    with zipfile.ZipFile(folder / "many.zip", "w") as archive:
        for number in range(40):
            archive.writestr(f"part{number}.bin", rng.randbytes(100_000))
    (folder / "deep" / "er" / "x.csv").write_text("a,b\n1,2\n3,4\n")
    (folder / "empty").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def shared(folder):
    """The metainfo, and the storage options with which it is read."""
    metainfo = tl.create(folder, piece_length=PIECE)
    with tl.open_session(tl.Settings(**ALONE)) as session:
        session.add(metainfo, folder.parent).wait_complete(timeout=60)
        yield metainfo, {"peers": [("127.0.0.1", session.port)], "settings": ALONE, "timeout": 20}


@pytest.fixture
def fs(shared):
    metainfo, options = shared
    fs = TorrentFileSystem(metainfo.encode(), **options, skip_instance_cache=True)
    yield fs
    fs.close()


def fetched(fs):
    return fs.look(lambda: fs.torrent.stats().downloaded)


def test_listing_and_reading(fs, folder):
    assert fs.ls("", detail=False) == ["data"]
    assert sorted(fs.ls("data", detail=False)) == ["data/deep", "data/empty", "data/many.zip", "data/table.parquet"]
    assert fs.find("") == ["data/deep/er/x.csv", "data/empty", "data/many.zip", "data/table.parquet"]
    assert fs.glob("data/**/*.csv") == ["data/deep/er/x.csv"]
    assert fs.isdir("data/deep")
    assert fs.isfile("data/empty")
    assert fs.exists("deep/er/x.csv"), "without the torrent's name too"
    assert not fs.exists("data/nothing")
    assert fs.info("data/many.zip")["size"] == (folder / "many.zip").stat().st_size
    assert fs.cat("data/deep/er/x.csv") == b"a,b\n1,2\n3,4\n"
    assert fs.cat("data/empty") == b""
    body = (folder / "many.zip").read_bytes()
    with fs.open("data/many.zip") as file:
        assert file.size == len(body)
        assert file.read(10) == body[:10]
        file.seek(-100, 2)
        assert file.read() == body[-100:]
    with fs.open("data/deep/er/x.csv", "rt") as text:
        assert text.readline() == "a,b\n"
    assert fs.cat_file("data/many.zip", -5) == body[-5:]
    assert fs.head("data/many.zip", 7) == body[:7]
    spans = [(0, 10), (1_000_000, 1_000_100), (3_999_000, 4_000_000)]
    got = fs.cat_ranges(["data/many.zip"] * 3, [a for a, _ in spans], [b for _, b in spans])
    assert got == [body[a:b] for a, b in spans]
    found = fs.cat_ranges(["data/nothing", "data/empty"], 0, 1)
    assert isinstance(found[0], FileNotFoundError)
    assert found[1] == b""


def test_what_cannot_be_done(fs):
    for wrong in (lambda: fs.open("data/nothing"), lambda: fs.cat("data/nothing"), lambda: fs.ls("nothing")):
        with pytest.raises(FileNotFoundError):
            wrong()
    with pytest.raises(IsADirectoryError):
        fs.open("data")
    with pytest.raises(OSError, match="only be read"):
        fs.open("data/empty", "wb")
    with pytest.raises(ValueError, match="which torrent"):
        fsspec.filesystem("torrent")


def test_pandas_fetches_the_columns_that_it_needs(fs, shared, folder, tmp_path):
    metainfo, options = shared
    (tmp_path / "data.torrent").write_bytes(metainfo.encode())
    local = folder / "table.parquet"
    options = {**options, "source": str(tmp_path / "data.torrent")}
    frame = pandas.read_parquet("torrent://data/table.parquet", columns=["b"], storage_options=options)
    pandas.testing.assert_frame_equal(frame, pandas.read_parquet(local, columns=["b"]))
    used = fsspec.filesystem("torrent", **options)
    size = local.stat().st_size
    # A sixth of the file, in ten runs of 98 kB: each touches two or three pieces of 64 KiB.
    chunks = [pq.ParquetFile(local).metadata.row_group(group).column(1) for group in range(10)]
    touched = {(size - 65536) // PIECE, size // PIECE}  # its end is looked at first
    for chunk in chunks:
        start, length = chunk.dictionary_page_offset, chunk.total_compressed_size
        touched.update(range(start // PIECE, (start + length - 1) // PIECE + 1))
    offset = metainfo.files[[file.path[-1] for file in metainfo.files].index("table.parquet")].offset
    assert fetched(used) <= (len(touched) + 10 * (offset % PIECE > 0)) * PIECE
    assert fetched(used) < 0.5 * size
    frame = pq.read_table(
        "data/table.parquet", filesystem=fs, columns=["a"], filters=[("year", "==", 2003)]
    ).to_pandas()
    expected = pandas.read_parquet(local, columns=["a"], filters=[("year", "==", 2003)])
    pandas.testing.assert_frame_equal(frame, expected)
    assert fetched(fs) < 0.15 * size, "one row group of ten"
    used.close()


def test_a_zip_is_listed_by_its_end(fs, folder):
    with fs.open("data/many.zip") as file, zipfile.ZipFile(file) as archive:
        assert len(archive.namelist()) == 40
        assert fetched(fs) <= 3 * PIECE
        assert archive.read("part20.bin") == zipfile.ZipFile(folder / "many.zip").read("part20.bin")
    assert fetched(fs) <= 8 * PIECE


def test_by_hash_and_by_a_chained_url(shared, folder, tmp_path):
    metainfo, options = shared
    url = f"torrent://{metainfo.info_hash}/data/deep/er/x.csv"
    assert pandas.read_csv(url, storage_options=options).equals(pandas.read_csv(folder / "deep/er/x.csv"))
    fs, path = fsspec.url_to_fs(url, **options)
    assert path == "data/deep/er/x.csv"
    again = pickle.loads(pickle.dumps(fs))
    assert again.cat(path) == fs.cat(path)
    assert fs.ukey(path) == f"{metainfo.info_hash}/data/deep/er/x.csv"
    fs.close()
    assert fs.cat(path) == (folder / "deep/er/x.csv").read_bytes(), "it opens again when it is needed"
    fs.close()
    (tmp_path / "d.torrent").write_bytes(metainfo.encode())
    with fsspec.open(f"torrent://deep/er/x.csv::file://{tmp_path}/d.torrent", torrent=options) as file:
        assert file.read() == b"a,b\n1,2\n3,4\n"
        file.close()
    fsspec.filesystem(
        "torrent", fo=f"{tmp_path}/d.torrent", target_protocol="file", target_options={}, **options
    ).close()


def test_what_is_closed_leaves_no_session_behind(shared):
    metainfo, options = shared
    fs = TorrentFileSystem(metainfo.encode(), **options, skip_instance_cache=True)
    engine = fs._start()
    assert engine.portal._thread.is_alive()
    fs.close()
    assert not engine.portal._thread.is_alive()


def test_a_file_that_nobody_closed_is_closed_by_the_collector_wherever_it_runs(fs):
    file = fs.open("data/many.zip")
    inner = file._reader
    fs.look(file.close)  # the collector in the loop's own thread, where nothing can be waited for
    assert fs.look(lambda: inner.closed)
    TorrentFile.__new__(TorrentFile).close()  # one that was never opened: it timed out
    left = fs.open("data/many.zip")
    fs.close()
    left.close()


def test_it_gives_up_with_a_reason(shared):
    metainfo, options = shared
    alone = {**options, "peers": [], "timeout": 0.6}
    fs = TorrentFileSystem(metainfo.encode(), **alone, skip_instance_cache=True)
    with pytest.raises(TimeoutError, match=r"nothing came for 0\.6 s: (looking for peers|no tracker and no peer)"):
        fs.cat("data/deep/er/x.csv")
    fs.close()
    lost = TorrentFileSystem("0" * 40, **alone, skip_instance_cache=True)
    with pytest.raises(TimeoutError):
        lost.ls("")
    lost.close()


FORKED = """
import os, signal, threading
from torrentlite.errors import NetworkError
from torrentlite.filesystem import TorrentFileSystem

fs = TorrentFileSystem("ab" * 20, settings={settings}, timeout=1, skip_instance_cache=True)

def look():
    try:
        fs.info("x")
    except TimeoutError:
        return
    os._exit(3)

threading.Thread(target=look).start()
while fs._lock.acquire(blocking=False):
    fs._lock.release()
child = os.fork()
if not child:
    signal.alarm(20)
    look()
    os._exit(0)
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_process_does_not_wait_for_a_thread_that_it_has_not():
    script = FORKED.replace("{settings}", repr(ALONE))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr


def test_what_is_wrong_with_a_call_is_said_plainly(fs):
    with pytest.raises(ValueError, match="shorter"):  # and not a group
        fs.cat_ranges(["data/empty"] * 2, [0], [1])


ENDING = """
import gc, threading
from torrentlite.errors import NetworkError
from torrentlite.filesystem import TorrentFileSystem

gc.disable()
fs = TorrentFileSystem({source}, settings={settings}, {options}, skip_instance_cache=True)
fs.info("data/empty")
portal = fs._engine.portal

def look():
    looking.set()
    while fs._lock.acquire(blocking=False):
        fs._lock.release()
    return fs.torrent.stats().pieces, fs.info("data/empty")["size"]

def found():
    seen.append(fs.look(look))

looking, seen = threading.Event(), []
if {way!r} == "closed":
    thread = threading.Thread(target=found)
    thread.start()
    looking.wait()
    fs.close()
    thread.join()
    assert seen[0][0] and seen[0][1] == 0
else:
    fs.itself = fs  # only the collector finds it
    del fs
    portal.look(gc.collect)
portal._thread.join()
"""


@pytest.mark.parametrize("options", ["cache=1", "save_to={out!r}"])
@pytest.mark.parametrize("way", ["closed", "collected"])
def test_its_thread_does_not_wait_for_itself(way, options, shared, tmp_path):
    """Not in a look that goes on while it is closed, and not where it is collected in its own thread."""
    metainfo, _ = shared
    wanted = options.format(out=str(tmp_path / "out"))
    script = ENDING.format(source=metainfo.encode(), settings=ALONE, options=wanted, way=way)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr


def test_a_file_keeps_its_filesystem(shared):
    metainfo, options = shared
    fs = TorrentFileSystem(metainfo.encode(), **options, skip_instance_cache=True)
    thread, file = fs._start().portal._thread, fs.open("data/deep/er/x.csv")
    del fs
    gc.collect()
    assert file.read() == b"a,b\n1,2\n3,4\n"
    del file
    gc.collect()
    thread.join(20)
    assert not thread.is_alive(), "nobody has it any more"


def test_what_is_kept_is_not_fetched_again(shared, folder, tmp_path):
    metainfo, options = shared
    for times in range(2):
        fs = TorrentFileSystem(metainfo.encode(), **options, save_to=tmp_path, skip_instance_cache=True)
        assert fs.cat("data/many.zip") == (folder / "many.zip").read_bytes()
        assert (fetched(fs) > 0) is (times == 0)
        fs.close()


def test_it_works_in_a_notebook(shared, folder):
    """There a loop runs in this thread already."""
    import asyncio

    metainfo, options = shared

    async def cell():
        fs = TorrentFileSystem(metainfo.encode(), **options, skip_instance_cache=True)
        frame = pandas.read_csv(io.BytesIO(fs.cat("data/deep/er/x.csv")))
        fs.close()
        return frame

    assert asyncio.run(cell()).equals(pandas.read_csv(folder / "deep/er/x.csv"))


def test_without_the_extra_it_says_what_is_missing():
    script = "import sys; sys.modules['fsspec'] = None; import torrentlite.filesystem"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stderr.endswith("needs the package fsspec: pip install 'torrentlite[fsspec]'\n"), done.stderr


def test_the_package_names_it():
    wanted = {"torrent": "torrentlite.filesystem:TorrentFileSystem"}
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["fsspec.specs"] == wanted
    for point in importlib.metadata.entry_points(group="fsspec.specs", name="torrent"):
        assert point.load() is TorrentFileSystem


def test_a_proxy_is_the_way_to_the_torrent_itself_too():
    settings = {"proxy": "socks5://127.0.0.1:1"}
    there = TorrentFileSystem("http://127.0.0.1:2/x.torrent", settings=settings, timeout=5, skip_instance_cache=True)
    with pytest.raises(NetworkError, match=r"the proxy socks5://127\.0\.0\.1:1 cannot be reached"):
        there.ls("")
