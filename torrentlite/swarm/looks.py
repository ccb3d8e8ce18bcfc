"""Snapshots of a torrent, made from its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import DiskTroubleError
from ..net.encrypted import EncryptedStream
from ..stats import PeerStats, State, TorrentStats
from ..strategy.verdict import Facts
from .content import Content, Totals
from .reach import is_utp
from .swarm import Swarm

if TYPE_CHECKING:
    from .life import Life
    from .peer import Peer


def torrent_stats(torrent: Life, content: Content | None, swarm: Swarm) -> TorrentStats:
    """The scalars of one torrent."""
    now = swarm.commons.now()
    pieces = content.pieces if content else None
    total, left = (content.selection.total, content.left) if content else (0, 0)
    totals = content.totals() if content else Totals()
    metadata_done, metadata_total = torrent.beginning.progress()
    active = torrent.active  # what is paused stands still at once, however long its meters remember
    return TorrentStats(
        info_hash=torrent.info_hash,
        name=torrent.name,
        state=torrent.state,
        error=str(torrent.error) if torrent.error else "",
        total=total,
        done=total - left,
        left=left,
        pieces=content.info.layout.piece_count if content else 0,
        pieces_done=content.have.bit_count() if content else 0,
        downloaded=totals.downloaded,
        uploaded=totals.uploaded,
        wasted=swarm.wasted,
        hash_failures=totals.hash_failures,
        down_rate=pieces.down_meter.rate(now) if pieces and active else 0.0,
        up_rate=pieces.up_meter.rate(now) if pieces and active else 0.0,
        peers=len(swarm.peers),
        seeds=sum(peer.is_seed for peer in swarm.peers),
        half_open=swarm.dialler.half_open,
        known_peers=len(swarm.peerlist),
        sources=dict(swarm.peerlist.named),
        distributed_copies=pieces.picker.availability.copies() if pieces else 0.0,
        checked=content.checked if content else 0,
        check_total=content.check_total if content else 0,
        metadata_done=metadata_done,
        metadata_total=metadata_total,
        private=torrent.private,
        added_at=torrent.added_at,
        copies=len(swarm.copies),
        web_seeds=swarm.web.active,
        upload_limit=int(torrent.up.rate),
        download_limit=int(torrent.down.rate),
        reused=content.reused if content else 0,
    )


def peer_stats(peer: Peer, now: float) -> PeerStats:
    """One peer."""
    pieces = peer.swarm.pieces
    count = pieces.layout.piece_count if pieces else 0
    return PeerStats(
        host=peer.address.host,
        port=peer.address.port,
        client=peer.client,
        incoming=peer.incoming,
        source=peer.source,
        progress=peer.has.bit_count() / count if count else 0.0,
        down_rate=peer.down_meter.rate(now),
        up_rate=peer.up_meter.rate(now),
        downloaded=peer.downloaded,
        uploaded=peer.uploaded,
        queue=peer.pipeline.outstanding,
        queue_target=peer.pipeline.target,
        upload_queue=len(peer.uploads),
        am_choking=peer.am_choking,
        am_interested=peer.am_interested,
        peer_choking=peer.peer_choking,
        peer_interested=peer.peer_interested,
        snubbed=peer.pipeline.snubbed(now),
        connected_for=now - peer.connected_at,
        encrypted=isinstance(peer.stream, EncryptedStream),
        utp=is_utp(peer.stream),
    )


def torrent_facts(torrent: Life, content: Content | None, swarm: Swarm) -> Facts:
    """What the verdict on a torrent (``why``) rests on."""
    now = swarm.commons.now()
    pieces = content.pieces if content else None
    trackers = torrent.discovery.tiers.stats(now)
    # One that is just being asked again has still failed.
    failed = [tracker for tracker in trackers if tracker.failures]
    interesting = [peer for peer in swarm.peers if peer.am_interested]
    needed = pieces.picker.wanted & ~pieces.picker.have if pieces else 0
    node = swarm.dht
    dht = node.stats() if node is not None and (node.hopeful or node.node.joined) else None
    moved_at = max(torrent.moved_at, pieces.block_at if pieces else torrent.beginning.moved_at)
    left = content.left if content else 0
    state = torrent.state
    if state is State.SEEDING and torrent.reading.waiting and needed:
        state, left = State.DOWNLOADING, content.missing if content else 0  # what is selected is here, but not this
    web_seeds, web_failed, web_message = swarm.web.trouble(now)
    unfound, unfound_message = torrent.discovery.names.trouble
    return Facts(
        state=state,
        error=str(torrent.error) if torrent.error else "",
        disk=isinstance(torrent.error, DiskTroubleError),
        left=left,
        hashes=torrent.beginning.lacks_hashes,
        quiet=now - moved_at,
        interface=swarm.commons.world.interface(),
        proxy=swarm.commons.world.trouble(),
        limited=swarm.throttle.holds_back(swarm.commons.down_meter.rate(now), pieces.down_meter.rate(now))
        if pieces
        else False,
        trackers=len(trackers),
        trackers_failed=len(failed),
        tracker_message=failed[-1].message if failed else "",
        asking=sum(tracker.state == "announcing" for tracker in trackers),
        answered=sum(tracker.started for tracker in torrent.discovery.tiers),
        calling=swarm.dialler.half_open,
        closed=swarm.commons.port_map.message if swarm.commons.port_map.state in ("failed", "no gateway") else "",
        lookups=not torrent.private and swarm.commons.lsd is not None and swarm.commons.lsd.listening,
        dht=dht.state if dht else "",
        dht_nodes=dht.nodes + dht.nodes6 if dht else 0,
        known=len(swarm.peerlist),
        failing=swarm.dialler.failing,
        reached=swarm.peerlist.strange,
        unfound=unfound,
        unfound_message=unfound_message,
        peers=len(swarm.peers),
        interesting=len(interesting),
        unchoked=sum(not peer.peer_choking for peer in interesting),
        web_seeds=web_seeds,
        web_working=swarm.web.active,
        web_failed=web_failed,
        web_message=web_message,
        missing=(needed & ~pieces.picker.availability.somewhere).bit_count() if pieces else 0,
        needed=needed.bit_count(),
        waits=bool(pieces and torrent.reading.next_missing & ~pieces.picker.availability.somewhere),
    )
