"""Whether a request was meant for this server, and whether a browser sends it for one of the server's own pages.

A foreign page can make its own name resolve to 127.0.0.1 (DNS rebinding) and is then same-origin with this server: only
the Host header tells. Without that trick a foreign page cannot read answers, but it can send a write: only `Origin` and
`Sec-Fetch-Site` tell. Programs such as curl or the SDK send neither.
"""

from __future__ import annotations

import functools
import ipaddress
import re

from starlette.datastructures import Headers

from service.problems import CrossSite, UnknownHost, shortened

ANY = "*"
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:@/?#\s]+))(?::(\d{1,5}))?")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def check_host(headers: Headers, listening_at: str, allowed: str) -> None:
    """Raises UnknownHost unless Host names the loopback device, the address listened at or a name in `allowed`.

    A server that listens at all of its addresses answers to each of them: rebinding needs a name. HTTP/1.0 has no
    Host, and no browser speaks that.
    """
    host = headers.get("host")
    if host is None:
        return
    name, _port = _split(host) or ("", None)
    if name and (_is_own_address(name, listening_at) or {name, ANY} & _names(listening_at, allowed)):
        return
    message = f"This server is not known as {shortened(host)!r}. "
    raise UnknownHost(message + "If it should be, add the name to DPK_ALLOWED_HOSTS where the server is started.")


def check_origin(method: str, headers: Headers, allowed: str) -> None:
    """Raises CrossSite for a write that a browser sends for a page of another server."""
    origin = headers.get("origin")
    if method in _READS or (origin is not None and _is_configured(origin, allowed)):
        return
    foreign = headers.get("sec-fetch-site", "none") not in ("same-origin", "none")
    if foreign or (origin is not None and not _is_same(origin, headers.get("host", ""))):
        page = "A page of another server" if origin in (None, "null") else f"A page of {shortened(origin)}"
        raise CrossSite(
            f"{page} may not change anything here. "
            "If the page is this server's own under another name, add that name to DPK_ALLOWED_HOSTS."
        )


def _split(authority: str) -> tuple[str, int | None] | None:
    """Name, in lower case and without brackets, and port."""
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        return None
    name = (found[1] or found[2]).lower().rstrip(".")
    return name, None if found[3] is None else int(found[3])


def _split_origin(origin: str) -> tuple[str, int, int] | None:
    """Name, port, and the port that its scheme has by default."""
    scheme, _, authority = origin.partition("://")
    default, place = _DEFAULT_PORTS.get(scheme), _split(authority)
    return None if default is None or place is None else (place[0], place[1] or default, default)


def _is_same(origin: str, host: str) -> bool:
    page, here = _split_origin(origin), _split(host)
    return page is not None and here is not None and page[:2] == (here[0], here[1] or page[2])


def _is_configured(origin: str, allowed: str) -> bool:
    page = _split_origin(origin)
    if page is None:
        return False
    name, port, default = page
    return any(
        _split(entry) in ((name, port), (name, None if port == default else port)) for entry in _entries(allowed)
    )


def _is_own_address(name: str, listening_at: str) -> bool:
    try:
        address = ipaddress.ip_address(name)
        return address.is_loopback or ipaddress.ip_address(listening_at or "0.0.0.0").is_unspecified  # noqa: S104 - compared
    except ValueError:
        return False


@functools.lru_cache(maxsize=8)
def _names(listening_at: str, allowed: str) -> frozenset[str]:
    configured = {place[0] for entry in _entries(allowed) if (place := _split(entry)) is not None}
    return frozenset({"localhost", listening_at.lower(), *configured})


def _entries(allowed: str) -> list[str]:
    return [entry for part in allowed.split(",") if (entry := part.strip())]
