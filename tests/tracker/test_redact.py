import pytest
from hypothesis import given, strategies as st

from torrentlite.metainfo.text import display
from torrentlite.tracker.redact import redact, scrub

KEY = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://tracker.example:6969/announce", "http://tracker.example:6969/announce"),
        ("udp://tracker.example:1337/announce", "udp://tracker.example:1337/announce"),
        ("udp://tracker.example:1337", "udp://tracker.example:1337"),
        ("http://192.168.100.100:6969/announce", "http://192.168.100.100:6969/announce"),
        ("http://[2001:db8::12:34]:6969/announce", "http://[2001:db8::12:34]:6969/announce"),
        ("https://tracker.example/announce.php", "https://tracker.example/announce.php"),
        (f"https://tracker.example/{KEY}/announce", "https://tracker.example/01…/announce"),
        (f"https://tracker.example/announce/{KEY}", "https://tracker.example/announce/01…"),
        ("https://tracker.example/abcdefghijklmnopqrst/announce", "https://tracker.example/ab…/announce"),
        ("https://tracker.example/a1b2c3d4/announce", "https://tracker.example/a1…/announce"),
        (f"http://tracker.example/announce?passkey={KEY}&b=1", "http://tracker.example/announce?passkey=…&b=…"),
        (f"http://tracker.example/announce?{KEY}", "http://tracker.example/announce?…"),
        ("http://user:secret@tracker.example/announce", "http://tracker.example/announce"),
        (f"http://{KEY}.tracker.example/announce", "http://01….tracker.example/announce"),
        ("http://bücher.example/announce", "http://xn--bcher-kva.example/announce"),
        ("http://t.example/\x1b[2J", "http://t.example/\ufffd[2J"),
        ("http://[::1/announce", "(a malformed URL)"),
        ("http://u:secret@t.example:port/", "(a malformed URL)"),
        ("announce", "(a malformed URL)"),
        ("", "(a malformed URL)"),
    ],
)
def test_what_is_shown(url, shown):
    assert redact(url) == shown


def test_texts_that_repeat_a_key():
    url = f"http://user:hunter2@t.example/{KEY}/announce?pid=abc%20def"
    text = f"unknown passkey {KEY} of hunter2 ('abc def', abc%20def) for announce"
    assert scrub(text, url) == "unknown passkey 01… of hu… ('ab…', ab…) for announce"
    assert scrub("all is well", url) == "all is well"
    assert scrub("all is well", "http://[::1/") == "all is well"


@given(
    st.text(alphabet="0123456789abcdefABCDEF", min_size=16, max_size=64).filter(lambda key: any(map(str.isdigit, key)))
)
def test_no_key_is_shown_wherever_it_stands(key):
    for url in (f"http://t.example/{key}/announce", f"http://t.example/announce?k={key}", f"http://u:{key}@t.example/a",
                f"udp://t.example:1/{key}", f"https://t.example/announce/{key}?{key}"):  # fmt: skip
        assert key not in redact(url)
        assert key not in scrub(f"bad key: {key}.", url)


@given(st.text(max_size=80))
def test_whatever_it_is_it_can_be_shown(text):
    for url in (text, "http://" + text, "http://a/" + text, "udp://a:1?" + text):
        shown = redact(url)
        assert display(shown) == shown
        scrub(text, url)
