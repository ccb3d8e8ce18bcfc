"""Proxies of HTTP that the environment names: ``http_proxy``, ``https_proxy``, ``all_proxy`` and ``no_proxy``."""

from __future__ import annotations

import contextlib
import ipaddress

from ..errors import NetworkError, SourceError
from ..wire.address import Scope, parse_host, scope_of
from .proxy import Proxy
from .url import Url


def proxy_for(url: Url) -> Proxy | None:
    """Whom the environment wants to be asked for this http(s) URL, as curl and others understand it; None for nobody.

    This machine itself is never asked for through a proxy. In ``no_proxy`` networks may stand (``10.0.0.0/8``).

    Raises:
        NetworkError: what stands there is no proxy that can be used.
    """
    import urllib.request  # 15 ms, which who asks nobody need not wait for

    proxies = urllib.request.getproxies_environment()
    text = proxies.get(url.scheme) or proxies.get("all")
    if not text or _is_here(url.host):
        return None
    if urllib.request.proxy_bypass(f"{url.host}:{url.port}") or _is_in(url.host, proxies.get("no", "")):
        return None
    try:
        return Proxy.parse(text)
    except SourceError as error:
        variable = f"{url.scheme if proxies.get(url.scheme) else 'all'}_proxy"
        raise NetworkError(f"{variable}: {error}", hint=error.hint) from error


def _is_here(host: str) -> bool:
    return host.lower().rstrip(".") == "localhost" or scope_of(parse_host(host) or "") is Scope.LOOPBACK


def _is_in(host: str, networks: str) -> bool:
    ip = parse_host(host)
    if ip is None:
        return False
    for text in networks.split(","):
        with contextlib.suppress(ValueError):  # a name
            if ipaddress.ip_address(ip) in ipaddress.ip_network(text.strip(), strict=False):
                return True
    return False
