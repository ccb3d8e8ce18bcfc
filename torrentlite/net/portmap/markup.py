"""A small, strict reader of XML from a device that is not trusted. Pure.

Only elements and their text. A document type declaration is refused, and with it every entity of its own, within or
outside: there is nothing that could unfold, recurse or be fetched.
"""

from __future__ import annotations

import xml.parsers.expat
from collections.abc import Iterator
from typing import Final

from ... import limits
from .lease import GatewayError

_BLANKS: Final = " \t\r\n"


class Element:
    """An element, by its local name: what its prefix stands for is the sender's claim anyway."""

    __slots__ = ("children", "name", "text")

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = ""
        self.children: list[Element] = []

    def walk(self) -> Iterator[Element]:
        """This and everything in it, in the order of the document."""
        waiting = [self]
        while waiting:
            element = waiting.pop()
            yield element
            waiting += reversed(element.children)

    def find(self, name: str) -> Element | None:
        """The first one of that name in it."""
        return next((element for element in self.walk() if element.name == name), None)

    def value(self, name: str) -> str:
        """The text of the first child of that name, or empty."""
        return next((child.text for child in self.children if child.name == name), "")


def parse_xml(data: bytes) -> Element:
    """Read a document of UTF-8.

    Raises:
        GatewayError: it is not well-formed; too long, too deep or of too many elements; has a document type declaration
            or a processing instruction.
    """
    if len(data) > limits.MAP_MAX_XML:
        raise GatewayError(f"an XML document of {len(data)} bytes is refused")
    reader = _Reader()
    try:
        # With the encoding given, what the document says of it does not count.
        parser = xml.parsers.expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartElementHandler = reader.start
        parser.EndElementHandler = reader.end
        parser.CharacterDataHandler = reader.characters
        parser.StartDoctypeDeclHandler = reader.doctype
        parser.EntityDeclHandler = reader.refuse
        parser.ExternalEntityRefHandler = reader.refuse
        parser.SkippedEntityHandler = reader.refuse
        parser.ProcessingInstructionHandler = reader.refuse
        parser.Parse(data.strip(_BLANKS.encode() + b"\0"), True)  # some devices send the zero of their string
    except (xml.parsers.expat.ExpatError, ValueError, UnicodeError) as error:
        raise GatewayError(f"not XML: {error}") from error
    if reader.root is None:
        raise GatewayError("an empty XML document")
    return reader.root


class _Reader:
    """Builds the elements while expat reads."""

    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._count = 0

    def start(self, name: str, attributes: object) -> None:
        self._count += 1
        if self._count > limits.MAP_MAX_ELEMENTS or len(self._open) >= limits.MAP_MAX_DEPTH:
            raise GatewayError("an XML document with too many elements is refused")
        element = Element(name.rpartition(":")[2])
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def end(self, name: str) -> None:
        element = self._open.pop()
        element.text = element.text.strip(_BLANKS)

    def characters(self, text: str) -> None:
        element = self._open[-1]
        room = limits.MAP_MAX_TEXT - len(element.text)
        if len(text) > room and text.strip(_BLANKS):
            raise GatewayError("an XML document with a text that long is refused")
        element.text += text[:room]

    def doctype(self, *details: object) -> None:
        raise GatewayError("an XML document with a document type declaration is refused")

    def refuse(self, *details: object) -> int:
        raise GatewayError("an XML document with entities or instructions is refused")
