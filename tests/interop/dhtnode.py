"""Run on a machine: a libtorrent that takes part in the DHT, and shares or fetches something if told to.

Usage: dhtnode.py ADDRESS PORT BOOTSTRAP... [seed TORRENT FOLDER | fetch INFO_HASH FOLDER]; BOOTSTRAP is HOST:PORT, or
none. Prints a line when it listens, and one when it is complete. Everything but the DHT is off.
"""

import sys
import time

import libtorrent as lt


def main(host: str, port: str, *words: str) -> None:
    bootstrap = [word for word in words if word.rpartition(":")[2].isdigit() and ":" in word]
    task = words[len(bootstrap) :]
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    session = lt.session(
        {
            "listen_interfaces": where,
            "enable_dht": True,
            "dht_bootstrap_nodes": ",".join(bootstrap),
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            "allow_multiple_connections_per_ip": True,
            "alert_mask": lt.alert.category_t.status_notification | lt.alert.category_t.dht_notification,
        }
    )
    print("listens", flush=True)
    if task:
        # It asks for a torrent when that is added, and then only after 15 minutes: not before it has joined.
        while not any(isinstance(alert, lt.dht_bootstrap_alert) for alert in session.pop_alerts()):
            session.wait_for_alert(1000)
        kind, what, folder = task
        params = lt.add_torrent_params() if kind == "seed" else lt.parse_magnet_uri(f"magnet:?xt=urn:btih:{what}")
        if kind == "seed":
            params.ti = lt.torrent_info(what)
        params.save_path = folder
        params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
        handle = session.add_torrent(params)
        while not handle.status().is_seeding:
            time.sleep(0.1)
        print("complete", flush=True)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main(*sys.argv[1:])
