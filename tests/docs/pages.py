"""What a page of the documentation tells its readers to type, as blocks that can be played.

Comments in the page, which no reader sees, say what a block needs:

- ``<!-- files: photos/a.jpg=2M notes.txt=10k -->`` anywhere: files that lie in the reader's folder;
- ``<!-- shared: debian.torrent=1M -->`` anywhere: a .torrent that lies there, of something that a neighbour shares
  (``film.torrent:film/film.mkv=1M``: in a folder);
- ``<!-- web: model.bin=2M -->`` anywhere: a file that lies there, and at http://host and http://mirror;
- ``<!-- exit: 4 -->`` before a block: the code with which its last command ends;
- ``<!-- first: COMMAND -->`` before a block: what has happened to the reader meanwhile;
- ``<!-- in a session -->`` before a block of Python: it stands inside ``async with open_session() as session``,
  with ``torrent`` in it;
- ``<!-- in trio -->``, ``<!-- in asyncio -->`` before a block of Python: it stands inside a coroutine;
- ``<!-- run -->``, ``<!-- example -->``: another test has an eye on it too;
- ``<!-- not run: WHY -->`` before a block: it cannot be, and this is why;
- ``<!-- recorded by: TEST -->`` anywhere: this test makes sure that the page shows what is so;
- ``<!-- demo -->``, ``<!-- test -->`` before a block of the README: ``.ci/run`` does that.
"""

import pathlib
import re
from typing import NamedTuple

ROOT = pathlib.Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

_FENCE = re.compile(
    r"^(?P<indent> *)(?P<marks>`{3,})(?P<language>[\w{}:-]*)[^\n]*\n(?P<text>.*?)^ *(?P=marks) *$", re.M | re.S
)
_COMMENTS = re.compile(r"(?:<!--(?:(?!-->).)*-->\s*)+\Z", re.S)
_COMMENT = re.compile(r"<!--\s*([a-z ]+?)\s*(?::\s*((?:(?!-->).)*?))?\s*-->", re.S)
_ANYWHERE = re.compile(r"<!--\s*(files|shared|web):\s*(.*?)\s*-->", re.S)


class Block(NamedTuple):
    """A fenced block: its language, its text, the line where it begins, and what the comments before it say."""

    language: str
    text: str
    line: int
    said: dict[str, str]


def blocks(text: str) -> list[Block]:
    found = []
    for match in _FENCE.finditer(text):
        comments = _COMMENTS.search(text, 0, match.start())
        said = dict(_COMMENT.findall(comments[0])) if comments else {}
        indent = len(match["indent"])
        body = "".join(line[indent:] if line.strip() else line for line in match["text"].splitlines(keepends=True))
        found.append(Block(match["language"], body, text.count("\n", 0, match.start()) + 1, said))
    return found


def needs(text: str) -> dict[str, dict[str, int]]:
    """The ``files``, the ``shared`` and the ``web`` of a page: names and sizes."""
    found: dict[str, dict[str, int]] = {"files": {}, "shared": {}, "web": {}}
    for kind, words in _ANYWHERE.findall(text):
        for word in words.split():
            name, _, size = word.partition("=")
            found[kind][name] = int(size.rstrip("kM")) * {"k": 1 << 10, "M": 1 << 20}.get(size[-1], 1)
    return found


def has_dht(text: str) -> bool:
    """Whether there is a DHT on the page: two nodes, which every command knows."""
    return re.search(r"<!--\s*dht:", text) is not None


def recorded_by(text: str) -> str:
    """The test that a page names as the one who looks after it."""
    found = re.search(r"<!--\s*recorded by:\s*(\S+)\s*-->", text)
    return found[1] if found else ""
