"""Mirrors, peers and readers with faults drawn by dice: it always completes, and no byte is ever wrong."""

import dataclasses
import random

import trio

import torrentlite as tl
from tests.strangers import Stranger, background, session_on, spoil
from torrentlite.testing import run_simulation

KINDS = (
    "wrong",
    "status",
    "redirect",
    "stop",
    "drip",
    "pack",
    "shift",
    "no ranges",
    "chunks",
    "close",
    "delay",
    "busy",
)


def moody(dice: random.Random, kinds: tuple[str, ...], odds: float):
    """A fault that strikes now and then, each time in another of these ways."""

    def fault(request, answer):
        if dice.random() >= odds:
            return answer
        match dice.choice(kinds):
            case "wrong" if answer.body:
                at = dice.randrange(len(answer.body))
                answer.body = answer.body[:at] + spoil(answer.body[at : at + 1]) + answer.body[at + 1 :]
            case "status":
                return dataclasses.replace(
                    answer, status=dice.choice([400, 403, 404, 410, 416, 429, 500, 503]), body=b""
                )
            case "redirect":
                return dataclasses.replace(answer, status=302, headers={"Location": request.path}, body=b"")
            case "stop":
                answer.stop_after = dice.randrange(len(answer.body) + 1)
            case "drip":
                answer.rate = dice.choice([50, 2_000])
            case "pack":
                answer.headers["Content-Encoding"] = "br"
            case "shift" if "Content-Range" in answer.headers:
                answer.headers["Content-Range"] = answer.headers["Content-Range"].replace("bytes ", "bytes 1")
            case "chunks":
                answer.chunked = True
            case "close":
                answer.headers["Connection"] = "close"
            case "delay":
                answer.delay = dice.choice([1, 45])
        return answer

    return fault


async def chaos(world, seed):
    dice = random.Random(f"chaos {seed}")
    many = dice.random() < 0.5
    sizes = (
        [dice.choice([0, 1, 16 << 10, 70_001, 300_000, 1_200_000]) for _ in range(dice.randint(4, 9))] if many else []
    )
    if not any(sizes):
        sizes = [dice.choice([1_000_000, 3_000_000])]
    piece = dice.choice([16 << 10, 32 << 10, 128 << 10])
    metainfo, data = world.torrent(*sizes, name="made", piece_length=piece)
    files = {
        "/" + "/".join(part.decode() for part in entry.raw_path): data[entry.offset : entry.offset + entry.length]
        for entry in metainfo.info.files
    }
    # The first can be relied upon, but slowly, so that much happens with the others meanwhile.
    rates = [
        dice.choice([30_000, 100_000]),
        *(dice.choice([20_000, 60_000, 300_000]) for _ in range(dice.randint(1, 3))),
    ]
    servers = [world.web_server(files, up=rate) for rate in rates]
    for server in servers:
        kinds = tuple(dice.sample(KINDS, 4))
        server.ranges = "no ranges" not in kinds
        server.busy = dice.choice([1, 3]) if "busy" in kinds else 0
        server.fault = moody(dice, kinds, dice.choice([0.1, 0.5, 1.0]))
    reliable = servers[0]
    reliable.fault, reliable.busy = None, 0
    dice.shuffle(servers)
    machine = world.host()
    machine.offload.duration = dice.choice([0, 0.02])
    async with (
        background() as nursery,
        session_on(
            machine,
            piece_memory=dice.choice([1 << 18, 64 << 20]),
            web_seed_connections=dice.choice([1, 2, 4]),
            download_limit=dice.choice([0, 0, 500_000]),
        ) as session,
    ):
        strangers = []
        for _ in range(dice.randint(0, 2)):
            lies = dice.random() < 0.4
            strangers.append(
                await Stranger(
                    world.host(up=dice.choice([20_000, 500_000])),
                    metainfo.info,
                    data,
                    answer=(lambda request, block: spoil(block)) if lies else None,
                ).serve(nursery)
            )
        torrent = session.add(
            metainfo,
            web_seeds=[server.url for server in servers],
            peers=[stranger.place for stranger in strangers],
            sequential=dice.random() < 0.3,
        )

        async def meddle():
            for _ in range(15):  # each pause sets a server without ranges back to its start
                await trio.sleep(dice.expovariate(0.3))
                match dice.randrange(4):
                    case 0:
                        torrent.pause()
                        torrent.resume()
                    case 1:
                        session.set_limits(download=dice.choice([0, 400_000]))
                    case 2:
                        torrent.web_seeds(), torrent.why(), torrent.stats()
                    case 3 if many:
                        torrent.select_files([0])
                        torrent.select_files(None)

        if dice.random() < 0.5:
            nursery.start_soon(meddle)
        with trio.fail_after(3600):
            while torrent.state is not tl.State.SEEDING or torrent.stats().left:
                await torrent.wait_complete()
                await trio.sleep(0.1)
        assert machine.disk.storage(metainfo.info).content() == data
        (look,) = [look for look in torrent.web_seeds() if look.url == reliable.url]
        assert look.state != "dropped"


def test_chaos():
    for seed in range(12):
        run_simulation(chaos, seed, seed=seed, time_limit=7200)
