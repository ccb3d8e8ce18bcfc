"""HTTPS, over real sockets on loopback."""

import ssl

import pytest
import trio
import trustme

from tests.net.memory import Server, answer
from torrentlite.errors import NetworkError
from torrentlite.net.http import HttpClient
from torrentlite.net.network import RealNetwork
from torrentlite.wire.address import Address

MAX = 1000


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def trusting(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def serve_tls(nursery, authority, *names):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")

    async def handle(stream):
        tls = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
        try:
            await Server(answer())(tls)
        except (trio.BrokenResourceError, ssl.SSLError):
            pass  # the client did not like us

    await nursery.start(trio.serve_listeners, handle, [listener])
    return listener.socket.getsockname()[1]


async def test_https(nursery, authority):
    port = await serve_tls(nursery, authority, "127.0.0.1")
    http = HttpClient(RealNetwork(), user_agent="t", ssl_context=trusting(authority))
    reply = await http.get(f"https://127.0.0.1:{port}/", max_bytes=MAX)
    assert reply.body == b"hello"
    assert reply.remote == Address("127.0.0.1", port)
    await http.aclose()


@pytest.mark.parametrize("wrong", ["name", "issuer"])
async def test_a_bad_certificate_is_refused(nursery, authority, wrong):
    port = await serve_tls(nursery, authority, "other.example" if wrong == "name" else "127.0.0.1")
    context = trusting(trustme.CA() if wrong == "issuer" else authority)
    http = HttpClient(RealNetwork(), user_agent="t", ssl_context=context)
    with pytest.raises(NetworkError, match="certificate is refused"):
        await http.get(f"https://127.0.0.1:{port}/", max_bytes=MAX)
    await http.aclose()


async def test_by_default_the_system_is_asked_whom_to_trust(nursery, authority, monkeypatch, tmp_path):
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))  # not the environment
    port = await serve_tls(nursery, authority, "127.0.0.1")
    http = HttpClient(RealNetwork(), user_agent="t")
    with pytest.raises(NetworkError, match="certificate is refused"):
        await http.get(f"https://127.0.0.1:{port}/", max_bytes=MAX)
    await http.aclose()


async def test_no_tls_where_tls_was_asked_for(nursery):
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")

    async def talk_plainly(stream):
        await stream.send_all(answer())

    await nursery.start(trio.serve_listeners, talk_plainly, [listener])
    http = HttpClient(RealNetwork(), user_agent="t")
    with pytest.raises(NetworkError, match="no TLS"):
        await http.get(f"https://127.0.0.1:{listener.socket.getsockname()[1]}/", max_bytes=MAX)
    await http.aclose()
