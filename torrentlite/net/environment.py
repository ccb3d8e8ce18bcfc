"""Proxies of HTTP that the environment names: ``http_proxy``, ``https_proxy``, ``all_proxy`` and ``no_proxy``."""

from __future__ import annotations

import ipaddress
import re

from ..errors import NetworkError, SourceError
from ..wire.address import Scope, parse_host, scope_of
from .proxy import Proxy, is_old_ipv4
from .url import Url


def proxy_for(url: Url) -> Proxy | None:
    """Whom the environment wants to be asked for this http(s) URL; None for nobody.

    This machine itself is never asked for through a proxy. In ``no_proxy`` stand ``*``, hosts (those below them are
    meant too) with or without a port, and networks (``10.0.0.0/8``), with commas or blanks between them.

    Raises:
        NetworkError: what stands there is no proxy that can be used.
    """
    import urllib.request  # 7 ms, which who asks nobody need not wait for

    proxies = urllib.request.getproxies_environment()  # which knows its corners: capitals, CGI
    text = (proxies.get(url.scheme) or proxies.get("all") or "").strip()
    if not text or _is_here(url.host) or _is_excepted(url, proxies.get("no", "")):
        return None
    try:
        return Proxy.parse(text)
    except SourceError as error:
        variable = f"{url.scheme if proxies.get(url.scheme) else 'all'}_proxy"
        raise NetworkError(f"{variable}: {error}", hint=error.hint) from error


def _is_here(host: str) -> bool:
    """Whether it is this machine, or is written so that only the system can tell: who finds it judges it."""
    name = host.lower().rstrip(".").rpartition(".")[2]
    return name == "localhost" or is_old_ipv4(host) or scope_of(parse_host(host) or "") is Scope.LOOPBACK


def _is_excepted(url: Url, rules: str) -> bool:
    host, ip = url.host.lower().rstrip("."), parse_host(url.host)
    for rule in re.split(r"[\s,]+", rules.lower()):
        where, _, port = rule.rpartition(":")  # which may be the end of an IPv6 address
        if where and port.isdigit() and (":" not in where or where.endswith("]")):
            if port != str(url.port):
                continue
            rule = where
        if rule == "*":
            return True
        rule = rule.strip("[]").removeprefix("*").strip(".")
        if ip is not None:
            try:
                found = ipaddress.ip_address(ip) in ipaddress.ip_network(rule, strict=False)
            except ValueError:  # a name
                found = False
        else:
            found = bool(rule) and (host == rule or host.endswith("." + rule))
        if found:
            return True
    return False
