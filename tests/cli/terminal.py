"""A terminal of the little that we use, so that tests can look at what a person sees."""

from __future__ import annotations

import codecs
import re
import unicodedata

_SEQUENCE = re.compile(r"\x1b\[([0-9;]*)([A-Za-z])")
_CUT = re.compile(r"\x1b(\[[0-9;?]*)?\Z")


class Terminal:
    """Rows of characters, a cursor, wrapping and scrolling.

    Attributes:
        rows: everything ever written, also what scrolled off the top.
        unknown: control characters and sequences that a well-behaved program does not send.
    """

    def __init__(self, width: int = 80, height: int = 24) -> None:
        self.width, self.height = width, height
        self.rows: list[list[str]] = [[]]
        self.row = self.column = 0
        self.unknown: list[str] = []
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._rest = ""

    def feed(self, data: bytes) -> None:
        """Show these bytes."""
        text = self._rest + self._decode(data)
        # What came may end in the middle of a character or a sequence.
        whole = len(text) if not (cut := _CUT.search(text)) else cut.start()
        text, self._rest = text[:whole], text[whole:]
        position = 0
        while position < len(text):
            match = _SEQUENCE.match(text, position)
            if match:
                self._obey(match[2], match[1])
                position = match.end()
                continue
            self._put(text[position])
            position += 1

    @property
    def lines(self) -> list[str]:
        """The rows that are not empty."""
        shown = ["".join(row).rstrip() for row in self.rows]
        return [each for each in shown if each]

    def _obey(self, letter: str, numbers: str) -> None:
        count = int(numbers or 1) if numbers.isdigit() or not numbers else 1
        if letter == "A":
            top = max(0, len(self.rows) - self.height)
            self.row = max(top, self.row - count)
        elif letter == "K":
            del self.rows[self.row][self.column :]
        elif letter == "J":
            del self.rows[self.row][self.column :]
            del self.rows[self.row + 1 :]
        elif letter != "m":
            self.unknown.append(f"ESC[{numbers}{letter}")

    def _put(self, character: str) -> None:
        if character == "\r":
            self.column = 0
        elif character == "\n":
            # As with a tty's ONLCR: down and to the left.
            self.row += 1
            self.column = 0
            if self.row == len(self.rows):
                self.rows.append([])
        elif not character.isprintable():
            self.unknown.append(repr(character))
        else:
            if self.column >= self.width:
                self._put("\n")
            row = self.rows[self.row]
            row.extend(" " * (self.column - len(row)))
            row[self.column : self.column + 1] = [character]
            self.column += 2 if unicodedata.east_asian_width(character) in "WF" else 1
