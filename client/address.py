"""The address of a server as people type it."""

from __future__ import annotations

import ipaddress
from contextlib import suppress

import httpx

from client.errors import InputFault

DEFAULT_SERVER = "http://127.0.0.1:8000"
_LAST_PORT = 65535


def server_address(text: str) -> httpx.URL:
    """The address without a slash at its end; `host`, `host:port` and bare IPv6 addresses mean http.

    Raises InputFault when `text` is no address of a server.
    """
    scheme, separator, rest = text.strip().rpartition("://")
    host = rest.rstrip("/")
    with suppress(ValueError):
        host = f"[{ipaddress.IPv6Address(host)}]"
    try:
        found = httpx.URL(f"{scheme.lower() if separator else 'http'}://{host}")
    except httpx.InvalidURL:
        found = httpx.URL("")
    usable = found.scheme in ("http", "https") and found.host and 0 < (found.port or 80) <= _LAST_PORT
    if not usable or found.query or found.fragment or " " in host:
        raise InputFault(f"{text!r} is no address of a server; write it as HOST:PORT or {DEFAULT_SERVER}.")
    return found


def shown(address: httpx.URL) -> str:
    """The address as messages show it: without user name and password."""
    return str(address.copy_with(userinfo=b"")).rstrip("/")


def is_this_machine(host: str) -> bool:
    """Whether `host` names the machine we run on, whatever its network looks like."""
    name = host.rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        number = ipaddress.ip_address(name)
    except ValueError:
        return False
    if isinstance(number, ipaddress.IPv6Address) and number.ipv4_mapped is not None:
        number = number.ipv4_mapped
    return number.is_loopback or number.is_unspecified
