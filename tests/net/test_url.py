import pytest
from hypothesis import given, strategies as st

from torrentlite import limits
from torrentlite.errors import SourceError
from torrentlite.net.url import HTTP, Url, parse_url

UDP = {**HTTP, "udp": None}


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://t.example", Url("http", "", "t.example", 80, "/")),
        ("HTTPS://T.Example:8443/a?b=c#d", Url("https", "", "t.example", 8443, "/a?b=c")),
        ("http://u:p%40@t.example/x", Url("http", "u:p%40", "t.example", 80, "/x")),
        ("http://[2001:db8::1]:6969/announce", Url("http", "", "2001:db8::1", 6969, "/announce")),
        ("udp://t.example:1337", Url("udp", "", "t.example", 1337, "/")),
        ("http://t.example/%F0%9F?h=%12%ff", Url("http", "", "t.example", 80, "/%F0%9F?h=%12%ff")),
        ("http://t.example/ä", Url("http", "", "t.example", 80, "/%C3%A4")),
        ("http://t.example?q", Url("http", "", "t.example", 80, "/?q")),
        (f"http://{'x' * limits.MAX_HOST_NAME}/", Url("http", "", "x" * limits.MAX_HOST_NAME, 80, "/")),
    ],
)
def test_taken_apart(text, url):
    assert parse_url(text, UDP) == url
    assert parse_url(str(url), UDP) == url


def test_origin_has_no_secrets():
    url = parse_url("https://user:secret@t.example/secret/announce?passkey=secret")
    assert url.origin == "https://t.example:443"
    assert parse_url("http://[::1]/").origin == "http://[::1]:80"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "announce",
        "/announce",
        "//t.example/announce",
        "file:///etc/passwd",
        "ftp://t.example/",
        "gopher://t.example/",
        "javascript:alert(1)",
        "wss://t.example/",
        "http:///announce",
        "http://:80/announce",
        "http://t.example:0/",
        "http://t.example:65536/",
        "http://t.example:port/",
        "http://[::1/",
        "http://t.example/a\r\nX-Header: 1",
        "http://t.example/a\nb",
        "http://t.exa\tmple/",
        "http://t.example/a b",
        " http://t.example/",
        "http://t.example\\@evil.example/",
        "http://t.example/\x7f",
        "http://t.example/\u2028",
        "http://\u202et.example/",
        "http://trасker.example/",
        "http://üser@t.example/",
        "http://" + "x" * (limits.MAX_HOST_NAME + 1) + "/",
        "http://t.example/" + "x" * limits.MAX_URL,
        "udp://t.example",
        "udp://t.example/announce",
    ],
)
def test_refused(text):
    with pytest.raises(SourceError):
        parse_url(text, UDP)


def test_the_schemes_are_the_callers_choice():
    with pytest.raises(SourceError) as caught:
        parse_url("udp://t.example:80")
    assert "http, https" in caught.value.hint


@given(st.text(max_size=60))
def test_anything_is_a_url_or_an_error(text):
    for prefix in ("", "http://", "http://a/", "udp://a:1/?"):
        try:
            url = parse_url(prefix + text, UDP)
        except SourceError:
            continue
        assert str(url).isascii()
        assert str(url).isprintable()
        assert " " not in str(url)
        assert parse_url(str(url), UDP) == url
