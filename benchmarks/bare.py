"""The same bytes by bare system calls: what the machine can do, and nothing of BitTorrent.

One process reads 32 × 16 KiB and sends them with one ``sendmsg``. The other receives 256 KiB at a time into buffers of
1 MiB, of which two threads make the SHA-1 and write them.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import queue
import socket
import threading

BLOCK = 16 << 10
PIECE = 1 << 20


def seed(file: pathlib.Path, listener: socket.socket) -> None:
    """Send the file to whoever connects first."""
    descriptor = os.open(file, os.O_RDONLY)
    buffer = memoryview(bytearray(32 * BLOCK))
    at, total = 0, os.fstat(descriptor).st_size
    sock, _ = listener.accept()
    with sock:
        while at < total:
            count = os.preadv(descriptor, [buffer], at)
            at += count
            rest = buffer[:count]
            while rest:
                sent = sock.sendmsg([rest[begin : begin + BLOCK] for begin in range(0, len(rest), BLOCK)])
                rest = rest[sent:]
    os.close(descriptor)


def fetch(file: pathlib.Path, port: int, total: int) -> None:
    """Receive, hash and write so many bytes."""
    descriptor = os.open(file, os.O_CREAT | os.O_WRONLY)
    spare: queue.SimpleQueue[memoryview] = queue.SimpleQueue()
    full: queue.SimpleQueue[tuple[int, memoryview] | None] = queue.SimpleQueue()
    for _ in range(64):
        spare.put(memoryview(bytearray(PIECE)))

    def work() -> None:
        while (job := full.get()) is not None:
            at, piece = job
            hashlib.sha1(piece).digest()
            os.pwrite(descriptor, piece, at)
            spare.put(piece)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    with socket.create_connection(("127.0.0.1", port)) as sock:
        for start in range(0, total, PIECE):
            piece = spare.get()
            have, size = 0, min(PIECE, total - start)
            while have < size:
                have += sock.recv_into(piece[have:size], min(256 << 10, size - have))
            full.put((start, piece[:size] if size < PIECE else piece))
    for _ in threads:
        full.put(None)
    for thread in threads:
        thread.join()
    os.close(descriptor)
