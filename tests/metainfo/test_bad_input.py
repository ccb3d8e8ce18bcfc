from __future__ import annotations

import pytest

from torrentlite import bencode
from torrentlite.metainfo.magnet import Magnet
from torrentlite.metainfo.metainfo import Info, Metainfo

from . import bad_input
from .bad_input import BENCODED, HASHES, LINKS, TORRENTS, BadInput


def named(cases: list[BadInput]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


def check(case: BadInput, raised: pytest.ExceptionInfo[Exception]) -> None:
    assert raised.type is case.error
    text = str(raised.value)
    assert "\n" not in text
    assert len(text) < 200
    place = 0
    for word in case.words.split(" "):
        found = text.find(word, place)
        assert found >= 0, f"{text!r} does not say {case.words!r}"
        place = found + len(word)


@named(BENCODED)
def test_bencoding(case: BadInput) -> None:
    with pytest.raises(case.error) as raised:
        bencode.decode(case.data)
    check(case, raised)


@named(TORRENTS)
def test_torrents(case: BadInput) -> None:
    with pytest.raises(case.error) as raised:
        Metainfo.from_bytes(case.data)
    check(case, raised)


@named([*LINKS, *HASHES])
def test_links(case: BadInput) -> None:
    with pytest.raises(case.error) as raised:
        Magnet.parse(case.data)
    check(case, raised)


def test_what_the_table_is_made_of_is_good() -> None:
    assert Metainfo.from_bytes(bad_input.torrent(bad_input.info())).total == 40_000
    assert Metainfo.from_bytes(bad_input.folder(bad_input.entry("a"))).total == 40_000
    assert Metainfo.from_bytes(bad_input.hybrid({"file": bad_input.leaf()})).info.hashes.v2
    assert Magnet.parse(f"magnet:?xt=urn:btih:{bad_input.HEX}").hashes.hex == bad_input.HEX
    assert Info.from_bytes(bencode.encode(bad_input.info())).multi is False


def test_names_are_told_apart() -> None:
    for cases in (BENCODED, TORRENTS, LINKS, HASHES):
        assert len({case.name for case in cases}) == len(cases)
