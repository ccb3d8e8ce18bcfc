"""A tracker on a real socket that knows one peer."""

import contextlib
import http.server
import threading
from collections.abc import Iterator

from torrentlite.bencode import encode


@contextlib.contextmanager
def tracking(port: int) -> Iterator[str]:
    """The announce URL of a tracker that names 127.0.0.1 at this port to everybody."""
    peer = bytes([127, 0, 0, 1]) + port.to_bytes(2, "big")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(encode({"interval": 1800, "peers": peer}))

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/announce"
        finally:
            server.shutdown()
            thread.join()
