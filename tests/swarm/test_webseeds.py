"""Web seeds (BEP 19) in a simulated world: every kind of bad mirror, and never a wrong byte."""

import dataclasses
import hashlib

import pytest
import trio

import torrentlite as tl
from tests.strangers import Stranger, background, session_on, simulated, spoil, until, where
from torrentlite import bencode, limits
from torrentlite.testing import run_simulation

MIB = 1 << 20


def files_of(metainfo, data):
    """What a web server has under its root."""
    files = {}
    for entry in metainfo.info.files:
        path = "/" + "/".join(part.decode() for part in entry.raw_path)
        if not entry.pad:
            files[path] = data[entry.offset : entry.offset + entry.length]
    return files


def web_seed(world, metainfo, data, **options):
    return world.web_server(files_of(metainfo, data), **options)


async def fetched(machine, metainfo, data, *servers, within=600, **settings):
    """Fetch from these servers alone; the session's looks at the end."""
    async with session_on(machine, **settings) as session:
        torrent = session.add(metainfo, web_seeds=[server.url for server in servers])
        with trio.fail_after(within):
            await torrent.wait_complete()
        assert machine.disk.storage(metainfo.info).content() == data
        return torrent.web_seeds(), torrent.stats()


@simulated()
async def test_one_file_alone(world):
    metainfo, data = world.torrent(5 * MIB + 12345)
    server = web_seed(world, metainfo, data)
    (look,), stats = await fetched(world.host(), metainfo, data, server)
    assert (stats.downloaded, stats.wasted, look.downloaded) == (len(data), 0, len(data))
    assert server.sent == len(data), "nothing twice"
    assert 1 <= server.connections <= 4
    assert all(request.headers["accept-encoding"] == "identity" for request in server.requests)
    pieces = metainfo.info.piece_length
    for request in server.requests:
        first, last = request.range
        assert first % pieces == 0, "ranges are made of pieces"
        assert (last + 1) % pieces == 0 or last + 1 == len(data)
    assert len(server.requests) < metainfo.info.layout.piece_count, "several pieces a request"
    assert look.url == server.url


@simulated()
async def test_a_url_of_the_file_itself_also_in_the_torrent(world):
    metainfo, data = world.torrent(MIB)
    server = world.web_server({"/some where.bin": data})
    machine = world.host()
    metainfo = dataclasses.replace(metainfo, web_seeds=(f"{server.url}some%20where.bin?key=secret",))
    async with session_on(machine) as session:
        torrent = session.add(metainfo)
        await torrent.wait_complete()
        (look,) = torrent.web_seeds()
        assert "secret" not in look.url
    assert server.requests[0].path == "/some%20where.bin?key=secret"


@simulated()
async def test_many_files_with_padding_and_blocks_that_span_them(world):
    metainfo, data = world.torrent(70_001, 0, 5, 200_000, 16 << 10, 131, name="many", piece_length=32 << 10)
    server = web_seed(world, metainfo, data)
    assert len(server.files) == 6
    (look,), stats = await fetched(world.host(), metainfo, data, server)
    assert stats.wasted == 0
    assert server.sent == len(data)


@simulated()
async def test_padding_is_not_asked_for(world):
    dice = world.dice.rng("padded")
    piece = 32 << 10
    one, two = dice.randbytes(piece + 100), dice.randbytes(piece // 2)
    pad = bytes(piece - 100)
    metainfo = padded([("one", one, ""), (".pad/1", pad, "p"), ("two", two, "")], piece)
    server = world.web_server({"/padded/one": one, "/padded/two": two})
    (look,), stats = await fetched(world.host(), metainfo, one + pad + two, server)
    assert {request.path for request in server.requests} == {"/padded/one", "/padded/two"}
    assert server.sent == len(one) + len(two)
    assert look.message == ""


def padded(files, piece_length):
    data = b"".join(content for _, content, _ in files)
    pieces = b"".join(hashlib.sha1(data[at : at + piece_length]).digest() for at in range(0, len(data), piece_length))
    listed = [
        {b"path": path.encode().split(b"/"), b"length": len(content)} | ({b"attr": attr.encode()} if attr else {})
        for path, content, attr in files
    ]
    info = {b"name": b"padded", b"piece length": piece_length, b"pieces": pieces, b"files": listed}
    return tl.Metainfo(info=tl.Info.from_bytes(bencode.encode(info)))


def wrong_bytes(request, answer):
    answer.body = spoil(answer.body) if answer.body else b""
    return answer


def status(code, **headers):
    def fault(request, answer):
        return dataclasses.replace(answer, status=code, body=b"no", headers=headers)

    return fault


def endless_redirect(request, answer):
    return dataclasses.replace(answer, status=302, headers={"Location": request.path + "x"}, body=b"")


def stops_midway(request, answer):
    answer.stop_after = 50_000
    return answer


def stops_at_once(request, answer):
    answer.stop_after = 0
    return answer


def drips(request, answer):
    answer.rate = 100
    return answer


def packs(request, answer):
    answer.headers["Content-Encoding"] = "gzip"
    return answer


def other_place(request, answer):
    if request.range:
        first, last = request.range
        answer.headers["Content-Range"] = f"bytes {first + 1}-{last + 1}/{4 * MIB}"
    return answer


def longer_file(request, answer):
    first, last = request.range
    answer.headers["Content-Range"] = f"bytes {first}-{last}/{4 * MIB + 1}"
    return answer


def crumbs(request, answer):
    first, _ = request.range
    answer.headers["Content-Range"] = f"bytes {first}-{first}/{4 * MIB}"
    answer.body = answer.body[:1]
    return answer


def in_several_parts(request, answer):
    answer.headers["Content-Type"] = "multipart/byteranges; boundary=x"
    return answer


def silent(request, answer):
    answer.delay = 1e6
    return answer


BAD = {
    "wrong bytes": (wrong_bytes, "it sent wrong data"),
    "404": (status(404), "it answers 404 (Not Found)"),
    "403": (status(403), "it answers 403 (Forbidden)"),
    "416": (status(416, **{"Content-Range": "bytes */77"}), "its file has 77 bytes, the torrent's 4,194,304"),
    "500": (status(500), "it answers 500 (Internal Server Error)"),
    "a status that is none": (status(799), "it answers 799"),
    "endless redirects": (endless_redirect, "more than 5 redirects"),
    "drips": (drips, f"less than a block in {limits.WEB_SEED_BLOCK:.0f} s"),
    "packs": (packs, "it packs the file (Content-Encoding), which nobody asked for"),
    "other place": (other_place, "it sends bytes"),
    "longer file": (longer_file, "its file has 4,194,305 bytes"),
    "crumbs": (crumbs, "it sends 1 bytes at a time"),
    "several parts": (in_several_parts, "it answers in several parts"),
    "silent": (silent, f"no answer for {limits.WEB_SEED_HEAD:.0f} s"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_mirror_beside_a_good_one(kind):
    """It completes from the other; the reason is shown; not a byte is wrong."""
    fault, words = BAD[kind]

    async def run(world):
        metainfo, data = world.torrent(4 * MIB)
        # Slow enough that the bad one is given up before all is here, and not only at the end.
        good, bad = web_seed(world, metainfo, data, up=60_000), web_seed(world, metainfo, data)
        bad.fault = fault
        looks, stats = await fetched(world.host(), metainfo, data, bad, good, within=150)
        assert bad.requests, "the fault happened"
        look = looks[0]
        assert words in look.message
        assert (look.state == "dropped") == (kind == "wrong bytes")
        assert look.state == "dropped" or look.failures
        assert look.downloaded + looks[1].downloaded - stats.wasted >= len(data)
        if kind == "wrong bytes":
            assert 1 <= stats.hash_failures <= limits.FIRST_TRUST
        else:
            assert (stats.hash_failures, look.downloaded) == (0, 0)

    run_simulation(run, time_limit=3600)


@simulated()
async def test_stops_midway_and_goes_on(world):
    metainfo, data = world.torrent(2 * MIB)
    server = web_seed(world, metainfo, data)
    server.fault = stops_midway
    (look,), stats = await fetched(world.host(), metainfo, data, server)
    assert look.downloaded == len(data)
    assert stats.hash_failures == 0


@pytest.mark.parametrize("chunked", [False, True])
def test_a_server_without_ranges(chunked):
    async def run(world):
        metainfo, data = world.torrent(3 * MIB + 7)
        server = web_seed(world, metainfo, data)
        server.ranges = False

        def in_chunks(request, answer):
            answer.chunked = chunked
            return answer

        server.fault = in_chunks
        (look,), stats = await fetched(world.host(), metainfo, data, server)
        assert not look.ranges
        assert "no parts of files" in look.message
        assert stats.downloaded - stats.wasted == len(data)
        assert len(server.requests) <= 4, "it is read in one go"

    run_simulation(run, time_limit=3600)


@simulated()
async def test_a_server_without_ranges_and_many_files(world):
    metainfo, data = world.torrent(100_000, 300_001, 5, 70_000, name="many", piece_length=32 << 10)
    server = web_seed(world, metainfo, data)
    server.ranges = False
    _, stats = await fetched(world.host(), metainfo, data, server)
    assert stats.hash_failures == 0


@simulated()
async def test_without_ranges_it_skips_what_is_here_and_does_not_read_far_in_vain(world):
    """A peer brings most of it; what is left is near the end, and the server would send all before it."""
    metainfo, data = world.torrent(8 * MIB)
    server = web_seed(world, metainfo, data, up=400_000)
    server.ranges = False
    seed = world.host(up=2_000_000)
    seed.put(metainfo.info, data)
    machine = world.host()
    async with session_on(seed) as sharing, session_on(machine) as session:
        sharing.add(metainfo)
        torrent = session.add(metainfo, web_seeds=[server.url], peers=[where(seed, sharing)])
        await torrent.wait_complete()
    assert machine.disk.storage(metainfo.info).content() == data


@simulated()
async def test_a_server_without_ranges_may_not_drip_through_what_is_here(world):
    metainfo, data = world.torrent(4 * MIB)
    half = (1 << metainfo.info.layout.piece_count // 2) - 1
    server = web_seed(world, metainfo, data)
    server.ranges = False
    server.fault = drips
    async with background() as nursery, session_on(world.host()) as session:
        peer = await Stranger(world.host(), metainfo.info, data, has=half).serve(nursery)
        torrent = session.add(metainfo, peers=[peer.place])
        await until(lambda: torrent.pieces().have == half)
        torrent.add_web_seed(server.url)
        await trio.sleep(2 * limits.WEB_SEED_BLOCK + 5)
        (look,) = torrent.web_seeds()
        assert not look.ranges
        assert look.failures
        assert look.message == f"less than a block in {limits.WEB_SEED_BLOCK:.0f} s"


@simulated()
async def test_mirror_and_swarm_together_beat_each_alone(world):
    metainfo, data = world.torrent(8 * MIB)
    took = {}
    for mirror, peer in ((True, False), (False, True), (True, True)):
        server = web_seed(world, metainfo, data, up=500_000)
        seed, machine = world.host(up=500_000), world.host()
        seed.put(metainfo.info, data)
        async with session_on(seed) as sharing, session_on(machine) as session:
            sharing.add(metainfo)
            await trio.sleep(5)
            began = trio.current_time()
            torrent = session.add(
                metainfo,
                web_seeds=[server.url] * mirror,
                peers=[where(seed, sharing)] * peer,
            )
            await torrent.wait_complete()
            took[mirror, peer] = trio.current_time() - began
            assert torrent.stats().wasted < MIB // 4
    assert took[True, True] < 0.65 * min(took[True, False], took[False, True])


@simulated()
async def test_a_wrong_piece_of_two_sources_finds_the_one_that_lied(world):
    """A liar among peers does not take the mirror with it, and the other way round."""
    metainfo, data = world.torrent(4 * MIB)
    server = web_seed(world, metainfo, data, up=200_000)
    liar = Stranger(world.host(up=200_000), metainfo.info, data, answer=lambda request, block: spoil(block))
    machine = world.host()
    async with background() as nursery, session_on(machine) as session:
        await liar.serve(nursery)
        torrent = session.add(metainfo, web_seeds=[server.url], peers=[liar.place])
        await torrent.wait_complete()
        assert liar.spoiled
        (look,) = torrent.web_seeds()
        assert look.state != "dropped"
        assert machine.disk.storage(metainfo.info).content() == data


@simulated()
async def test_a_busy_server_gives_fewer_connections(world):
    metainfo, data = world.torrent(6 * MIB)
    server = web_seed(world, metainfo, data, up=500_000)
    server.busy = 2
    (look,), _ = await fetched(world.host(), metainfo, data, server)
    assert server.connections > 2
    assert "2 connections at a time" in look.message
    assert look.failures == 0


@simulated()
async def test_retry_after_is_kept_to(world):
    metainfo, data = world.torrent(MIB)
    server = web_seed(world, metainfo, data)
    turns = iter([status(503, **{"Retry-After": "77"})] * 1)
    server.fault = lambda request, answer: next(turns, lambda request, answer: answer)(request, answer)
    machine = world.host()
    async with session_on(machine) as session:
        torrent = session.add(metainfo, web_seeds=[server.url])
        await until(lambda: torrent.web_seeds()[0].state == "failed")
        (look,) = torrent.web_seeds()
        assert 70 < look.retry_in <= 77
        why = torrent.why()
        assert why.reason is tl.Reason.WEB_SEEDS_FAIL
        assert "it answers 503 (Service Unavailable)" in why.message
        await torrent.wait_complete()
    assert server.requests[1].moment - server.requests[0].moment >= 77


@simulated()
async def test_redirects_are_remembered_and_looked_for_again_when_they_end(world):
    metainfo, data = world.torrent(4 * MIB)
    store = world.web_server({"/blob?until=1": b"", "/blob": data}, name="store.example", up=500_000)
    front = world.web_server({}, name="front.example")

    def to_store(request, answer):
        until = int(trio.current_time()) + 3
        return dataclasses.replace(answer, status=302, headers={"Location": f"http://store.example/blob?{until}"})

    def expires(request, answer):
        if trio.current_time() > int(request.path.partition("?")[2]):
            return dataclasses.replace(answer, status=403, headers={}, body=b"expired")
        return answer

    front.fault, store.fault = to_store, expires
    (look,), stats = await fetched(world.host(), metainfo, data, front)
    assert look.failures == 0
    assert 2 <= len(front.requests) < len(store.requests), "asked again when it was over, and not each time"


def another_page(request, answer):
    return dataclasses.replace(answer, status=200, headers={}, body=b"try again")


@pytest.mark.parametrize("fault", [stops_at_once, another_page, silent, status(404), status(503)])
def test_where_a_redirect_led_dies_and_the_way_is_asked_again(fault):
    @simulated()
    async def run(world):
        metainfo, data = world.torrent(8 * MIB)
        first, second = (world.web_server({"/blob": data}, name=f"{name}.example", up=500_000) for name in "ab")
        front = world.web_server({}, name="front.example")

        def to_one(request, answer):
            name = "a" if trio.current_time() < 5 else "b"
            return dataclasses.replace(answer, status=302, headers={"Location": f"http://{name}.example/blob"})

        def dies(request, answer):
            return answer if trio.current_time() < 5 else fault(request, answer)

        front.fault, first.fault = to_one, dies
        await fetched(world.host(), metainfo, data, front, within=120)
        assert first.sent > 1_000_000
        assert second.sent > 1_000_000

    run()


@simulated()
async def test_what_a_torrent_names_may_not_lead_inside(world):
    """Neither by its own address, nor by its name, nor by a redirect; what a person names may."""
    metainfo, data = world.torrent(MIB)
    private = world.web_server(files_of(metainfo, data), "10.0.0.5", name="intranet.example")
    lure = world.web_server({}, "93.184.216.34", name="lure.example")
    lure.fault = lambda request, answer: dataclasses.replace(
        answer, status=302, headers={"Location": "http://intranet.example/made-up"}
    )
    machine = world.host("10.0.0.9", "93.184.216.99")
    named = dataclasses.replace(
        metainfo,
        web_seeds=("http://10.0.0.5/", "http://intranet.example/", "http://lure.example/", "ftp://x.example/f"),
    )
    async with session_on(machine) as session:
        torrent = session.add(named)
        await until(lambda: sum(look.state == "failed" for look in torrent.web_seeds()) == 3)
        looks = {look.url: look for look in torrent.web_seeds()}
        assert looks["ftp://x.example/f"].state == "dropped"
        assert all("private" in look.message for look in looks.values() if look.state == "failed")
        assert lure.requests, "the lure was tried"
        assert not private.requests
        with pytest.raises(tl.SourceError):
            torrent.add_web_seed("ftp://x.example/f")
        torrent.add_web_seed("http://10.0.0.5/")
        await torrent.wait_complete()
    assert private.requests


@simulated()
async def test_complete_paused_and_removed_torrents_ask_for_nothing(world):
    metainfo, data = world.torrent(4 * MIB)
    server = web_seed(world, metainfo, data, up=200_000)
    machine = world.host()
    async with session_on(machine) as session:
        torrent = session.add(metainfo, web_seeds=[server.url])
        await until(lambda: torrent.stats().pieces_done > 4)
        assert torrent.stats().web_seeds == 1
        assert "1 web seed" in torrent.why().message
        torrent.pause()
        await trio.sleep(1)
        asked = len(server.requests)
        assert machine.network.streams == ()
        await trio.sleep(30)
        assert len(server.requests) == asked
        torrent.resume()
        await until(lambda: torrent.stats().pieces_done > 12)
        torrent.recheck()
        await torrent.wait_complete()
        await trio.sleep(1)
        assert (torrent.stats().web_seeds, torrent.web_seeds()[0].connections) == (0, 0)
        assert machine.network.streams == (), "a complete torrent keeps no connection to a web seed"
        assert machine.disk.storage(metainfo.info).content() == data


@simulated()
async def test_only_wanted_files_are_fetched(world):
    metainfo, data = world.torrent(100_000, 3 * MIB, 200_000, name="many")
    server = web_seed(world, metainfo, data)
    machine = world.host()
    async with session_on(machine) as session:
        torrent = session.add(metainfo, web_seeds=[server.url], select=[0])
        await torrent.wait_complete()
        assert server.sent < MIB
        torrent.select_files([0, 2])
        await until(lambda: torrent.state is tl.State.SEEDING)
        assert server.sent < MIB


@simulated()
async def test_a_download_limit_holds(world):
    metainfo, data = world.torrent(4 * MIB)
    server = web_seed(world, metainfo, data)
    machine = world.host()
    async with session_on(machine, download_limit=200_000) as session:
        began = trio.current_time()
        torrent = session.add(metainfo, web_seeds=[server.url])
        await trio.sleep(10)
        assert 1_600_000 < torrent.stats().downloaded < 2_600_000
        session.set_limits(download=0)
        await torrent.wait_complete()
        assert trio.current_time() - began < 16


@simulated()
async def test_memory_for_pieces_is_kept_to(world):
    metainfo, data = world.torrent(8 * MIB, piece_length=256 << 10)
    server = web_seed(world, metainfo, data)
    machine = world.host()
    machine.offload.duration = 0.05
    most = 0
    async with session_on(machine, piece_memory=MIB) as session:
        torrent = session.add(metainfo, web_seeds=[server.url])
        while torrent.state is not tl.State.SEEDING:
            most = max(most, session.stats().piece_memory)
            await trio.sleep(0.01)
    assert 0 < most <= MIB


@simulated()
async def test_one_of_several_files_is_missing(world):
    metainfo, data = world.torrent(300_000, 400_000, 500_000, name="many")
    partly, whole = web_seed(world, metainfo, data), web_seed(world, metainfo, data, up=100_000)
    del partly.files["/many/1.bin"]
    machine = world.host()
    async with session_on(machine) as session:
        torrent = session.add(metainfo, web_seeds=[partly.url])
        # Side by side the whole one may have the file in hand before anybody asks the other for it.
        await until(lambda: "1.bin: it answers 404" in torrent.web_seeds()[0].message)
        torrent.add_web_seed(whole.url)
        await torrent.wait_complete()
        assert machine.disk.storage(metainfo.info).content() == data
        look = torrent.web_seeds()[0]
        assert look.state != "failed"
        assert look.downloaded > 300_000, "its other files are fetched all the same"


@simulated()
async def test_a_magnet_with_web_seeds(world):
    metainfo, data = world.torrent(2 * MIB)
    server = web_seed(world, metainfo, data, up=500_000)
    seed, machine = world.host(), world.host()
    seed.put(metainfo.info, data)
    link = dataclasses.replace(metainfo, web_seeds=(server.url,)).magnet
    async with session_on(seed, upload_slots=0) as sharing, session_on(machine) as session:
        sharing.add(metainfo)
        torrent = session.add(link, peers=[where(seed, sharing)])
        await torrent.wait_complete()
        assert torrent.web_seeds()[0].downloaded == len(data)


@simulated()
async def test_a_server_that_hangs_up_between_requests_is_no_failure(world):
    metainfo, data = world.torrent(2 * MIB)
    server = web_seed(world, metainfo, data)

    def closes(request, answer):
        answer.headers["Connection"] = "close"
        return answer

    server.fault = closes
    (look,), _ = await fetched(world.host(), metainfo, data, server)
    assert look.failures == 0
    assert server.connections == len(server.requests)


@simulated()
async def test_names_that_are_no_names_are_not_asked_for(world):
    data = world.dice.rng("x").randbytes(40_000)
    pieces = b"".join(hashlib.sha1(data[at : at + 16384]).digest() for at in range(0, len(data), 16384))
    info = {
        b"name": b"..",
        b"piece length": 16384,
        b"pieces": pieces,
        b"files": [{b"path": [b"a"], b"length": len(data)}],
    }
    metainfo = tl.Metainfo(info=tl.Info.from_bytes(bencode.encode(info)))
    server = world.web_server({"/a": data})
    machine = world.host()
    async with session_on(machine) as session:
        torrent = session.add(metainfo, web_seeds=[server.url + "sub/"])
        await until(lambda: torrent.web_seeds()[0].state == "failed")
        assert "does not fit into a URL" in torrent.web_seeds()[0].message
    assert not server.requests


@simulated()
async def test_no_connections_means_no_web_seeds(world):
    metainfo, data = world.torrent(MIB)
    server = web_seed(world, metainfo, data)
    machine = world.host()
    async with session_on(machine, web_seed_connections=0) as session:
        torrent = session.add(metainfo, web_seeds=[server.url])
        await trio.sleep(30)
        assert torrent.stats().downloaded == 0
    assert not server.requests


@simulated()
async def test_a_reader_is_served_by_a_web_seed_alone(world):
    metainfo, data = world.torrent(20 * MIB, piece_length=128 << 10)
    server = web_seed(world, metainfo, data, up=500_000)
    machine = world.host()
    async with session_on(machine) as session:
        torrent = session.add(metainfo, web_seeds=[server.url])
        await trio.sleep(5)
        async with torrent.open() as file:
            for offset in (15 * MIB, 3 * MIB + 5, 20 * MIB - 1000):
                began = trio.current_time()
                file.seek(offset)
                assert await file.read(100_000) == data[offset : offset + 100_000]
                assert trio.current_time() - began < 3, "nobody waits behind ranges of other pieces"


@simulated()
async def test_in_order_when_asked_to(world):
    metainfo, data = world.torrent(4 * MIB)
    server = web_seed(world, metainfo, data, up=500_000)
    machine = world.host()
    async with session_on(machine, web_seed_connections=1) as session:
        torrent = session.add(metainfo, web_seeds=[server.url], sequential=True)
        await torrent.wait_complete()
    starts = [request.range[0] for request in server.requests]
    assert starts == sorted(starts)


@simulated()
async def test_a_full_disk_stops_asking(world):
    metainfo, data = world.torrent(4 * MIB)
    server = web_seed(world, metainfo, data, up=500_000)
    machine = world.host()
    async with session_on(machine) as session:
        torrent = session.add(metainfo, web_seeds=[server.url])
        await until(lambda: torrent.stats().pieces_done > 5)
        machine.disk.room = 0
        await until(lambda: torrent.why().reason is tl.Reason.DISK)
        await trio.sleep(5)
        sent = server.sent
        await trio.sleep(60)
        assert server.sent == sent, "what cannot be stored is not asked for"
        assert torrent.web_seeds()[0].failures == 0
        machine.disk.room = None
        await torrent.wait_complete()
        assert machine.disk.storage(metainfo.info).content() == data


@simulated()
async def test_under_a_limit_peers_have_their_share(world):
    metainfo, data = world.torrent(6 * MIB)
    server = web_seed(world, metainfo, data)
    seed, machine = world.host(), world.host()
    seed.put(metainfo.info, data)
    async with session_on(seed) as sharing, session_on(machine, download_limit=200_000) as session:
        sharing.add(metainfo)
        torrent = session.add(metainfo, web_seeds=[server.url], peers=[where(seed, sharing)])
        began = trio.current_time()
        await torrent.wait_complete()
        assert 22 < trio.current_time() - began < 36, "the limit is kept to, and used"
        (look,) = torrent.web_seeds()
        assert 0.15 < look.downloaded / len(data) < 0.85


@simulated()
async def test_a_slow_mirror_does_not_hold_up_the_end(world):
    metainfo, data = world.torrent(16 * MIB, piece_length=MIB)
    fast, slow = web_seed(world, metainfo, data, up=MIB), web_seed(world, metainfo, data, up=20_000)
    machine = world.host()
    async with session_on(machine) as session:
        torrent = session.add(metainfo, web_seeds=[slow.url, fast.url])
        began = trio.current_time()
        await torrent.wait_complete()
        assert trio.current_time() - began < 22, "a piece from the slow one alone would take 52 s"
        assert torrent.stats().wasted < MIB


@simulated()
async def test_all_torrents_together_have_a_bound(world):
    made = [world.torrent(2 * MIB, name=f"t{number}") for number in range(20)]
    server = world.web_server({f"/t{n}": data for n, (_, data) in enumerate(made)}, up=500_000)
    machine = world.host()
    async with session_on(machine) as session:
        for metainfo, _ in made:
            session.add(metainfo, web_seeds=[server.url])
        most = 0
        for _ in range(100):
            most = max(most, len(machine.network.streams))
            await trio.sleep(0.1)
        assert most <= limits.WEB_SEED_CONNECTIONS
        for torrent in session.torrents:
            await torrent.wait_complete()


@simulated()
async def test_a_reader_reads_from_a_web_seed_and_fetches_only_that(world):
    metainfo, data = world.torrent(20 * MIB, piece_length=256 << 10)
    server = web_seed(world, metainfo, data)
    async with session_on(world.host()) as session:
        torrent = session.add(metainfo, select=[], web_seeds=[server.url])
        await torrent.wait_complete()
        async with torrent.open() as file:
            for at in (0, 15 * MIB, 7 * MIB + 5, 19 * MIB):
                file.seek(at)
                with trio.fail_after(10):
                    assert await file.read(100_000) == data[at : at + 100_000]
                await trio.sleep(2)
        assert torrent.stats().downloaded < 3 * MIB


@simulated()
async def test_a_mirror_that_a_person_names_is_never_one_too_many(world):
    metainfo, data = world.torrent(MIB)
    server = web_seed(world, metainfo, data)
    full = dataclasses.replace(metainfo, web_seeds=tuple(f"http://w/{n}/" for n in range(limits.MAX_WEB_SEEDS)))
    async with session_on(world.host()) as session:
        torrent = session.add(full)
        torrent.add_web_seed(server.url)
        assert len(torrent.web_seeds()) == limits.MAX_WEB_SEEDS + 1
        await torrent.wait_complete()


@simulated()
async def test_so_many_mirrors_at_once(world):
    metainfo, data = world.torrent(64 * MIB, piece_length=256 << 10)
    servers = [web_seed(world, metainfo, data, up=20_000) for _ in range(limits.WEB_SEEDS_AT_ONCE + 1)]
    async with session_on(world.host()) as session:
        session.add(metainfo, web_seeds=[server.url for server in servers])
        await trio.sleep(30)
        assert sum(server.connections > 0 for server in servers) == limits.WEB_SEEDS_AT_ONCE


@simulated()
async def test_a_web_seed_that_sends_is_heard_of(world):
    """So whoever else is silent meanwhile, it is not our network that is away."""
    metainfo, data = world.torrent(2 * MIB)
    server = web_seed(world, metainfo, data, up=100_000)
    async with session_on(world.host()) as session:
        torrent = session.add(metainfo, web_seeds=[server.url])
        await until(lambda: torrent.stats().done > MIB)
        assert trio.current_time() - session._commons.heard_at < 2
