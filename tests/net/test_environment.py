"""Proxies that the environment names, as other programs understand it."""

import pytest

from torrentlite.errors import NetworkError
from torrentlite.net.environment import proxy_for
from torrentlite.net.url import parse_url


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    def put(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return put


def asked(url: str) -> str:
    return str(proxy_for(parse_url(url)) or "")


def test_none_without_any():
    assert asked("http://w.example/") == ""


def test_each_scheme_has_its_own(environment):
    environment(http_proxy="http://a:3128", https_proxy="b:3129", all_proxy="socks5://c")
    assert asked("http://w.example/") == "http://a:3128"
    assert asked("https://w.example/") == "http://b:3129"


def test_one_for_all(environment):
    environment(all_proxy="socks://127.0.0.1:1080/ ")
    assert asked("http://w.example/") == "socks5://127.0.0.1:1080"
    environment(all_proxy="socks5h://c:9050")
    assert asked("http://w.example/") == asked("https://w.example/") == "socks5://c:9050"


def test_capitals_count_where_there_are_no_small_letters(environment):
    environment(HTTPS_PROXY="http://a", https_proxy="http://b", HTTP_PROXY="http://c")
    assert asked("https://w.example/") == "http://b:80"
    assert asked("http://w.example/") == "http://c:80"


def test_in_a_cgi_script_anybody_could_name_one(environment):
    environment(HTTP_PROXY="http://attacker", REQUEST_METHOD="GET")
    assert asked("http://w.example/") == ""


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "x.localhost", "127.0.0.1", "127.8.8.8", "[::1]", "127.1",
                                  "0x7f.1", "2130706433", "0"])  # fmt: skip
def test_this_machine_is_asked_for_by_nobody(environment, host):
    environment(all_proxy="http://a")
    assert asked(f"http://{host}:8000/") == ""


@pytest.mark.parametrize(
    ("rule", "direct", "proxied"),
    [
        ("*", ["http://w.example/"], []),
        ("example", ["http://w.example/", "http://example/"], ["http://w.test/"]),
        (".lab.example, other.test", ["http://t.lab.example:6969/"], ["http://lab.other/"]),
        ("w.example:8080", ["http://w.example:8080/"], ["http://w.example/"]),
        ("10.1.2.3", ["http://10.1.2.3/"], ["http://10.1.2.4/"]),
        ("a.test b.test", ["http://a.test/", "http://x.b.test/"], ["http://aa.test/"]),
        ("*.a.test,B.test.", ["http://x.a.test/", "http://b.test./", "http://B.TEST/"], ["http://c.test/"]),
        (".1,1.1", [], ["http://10.1.1.1/"]),
        (" , ,", [], ["http://w.example/"]),
        ("[fd00::1]:81,fd00::2", ["http://[fd00::1]:81/", "http://[fd00::2]/"], ["http://[fd00::1]/"]),
        ("10.0.0.0/8,fd00::/8", ["http://10.200.0.1:1/", "http://[fd12::1]/"], ["http://11.0.0.1/", "http://w.ten/"]),
    ],
)
def test_exceptions(environment, rule, direct, proxied):
    environment(http_proxy="http://a", no_proxy=rule)
    assert [asked(url) for url in direct] == [""] * len(direct)
    assert [asked(url) for url in proxied] == ["http://a:80"] * len(proxied)


@pytest.mark.parametrize("text", ["https://a", "socks4://a", "http://a:b:c", "http://a b"])
def test_what_cannot_be_used_is_named_and_not_passed_over(environment, text):
    environment(https_proxy=text)
    with pytest.raises(NetworkError, match="https_proxy: that is no proxy"):
        asked("https://w.example/")
    environment(https_proxy="", all_proxy="socks4://me:secret@a")
    with pytest.raises(NetworkError, match="all_proxy") as caught:
        asked("https://w.example/")
    assert "secret" not in str(caught.value)
