"""Run on a machine of a LAN: announces torrents and tells of the peers that it hears of, a line of JSON each.
The first line is ``null``, when it is there: whoever announces now is heard.

Usage: neighbour.py tl|libtorrent PORT SAVE_TO INFO_HASH...; leaves when it is terminated.
"""

import json
import os
import re
import sys


def tell(info_hash: str, host: str, port: int) -> None:
    print(json.dumps([info_hash, host, port]), flush=True)


def torrentlite(port: int, hashes: list[str]) -> None:
    import trio

    from torrentlite.net.lsd import LocalDiscovery
    from torrentlite.net.network import RealNetwork

    async def main() -> None:
        one = LocalDiscovery(
            RealNetwork(),
            port,
            lambda info_hash, address: tell(info_hash.hex(), address.host, address.port),
            secret=os.urandom,
        )
        one.announce(map(bytes.fromhex, hashes))
        async with trio.open_nursery() as nursery:
            await nursery.start(one.run)
            print("null", flush=True)

    trio.run(main)


def libtorrent(port: int, save_to: str, hashes: list[str]) -> None:
    import libtorrent as lt

    session = lt.session(
        {
            "listen_interfaces": f"0.0.0.0:{port},[::]:{port}",
            "enable_lsd": True,
            "enable_dht": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            "alert_mask": lt.alert.category_t.all_categories,
        }
    )
    for info_hash in hashes:
        wanted = lt.parse_magnet_uri(f"magnet:?xt=urn:btih:{info_hash}")
        wanted.save_path = save_to
        session.add_torrent(wanted)
    there = False
    while True:
        session.wait_for_alert(1000)
        for alert in session.pop_alerts():
            # Its Python module has no class for news of local peers; its log tells of them.
            heard = re.match(r"<== LSD: (\S+):(\d+) ih: ([0-9a-f]{40})$", alert.message())
            if heard:
                tell(heard[3], heard[1], int(heard[2]))
            elif "==> LSD" in alert.message() and not there:
                there = True
                print("null", flush=True)


if __name__ == "__main__":
    kind, number, folder, *wanted = sys.argv[1:]
    if kind == "tl":
        torrentlite(int(number), wanted)
    else:
        libtorrent(int(number), folder, wanted)
