"""How a server is reached: directly or through the environment's proxy, and by which certificates it is trusted.

The choice is made here and not by httpx, so that a variable which does not concern an address cannot break it, and one
that does is named in the message.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.request import getproxies, proxy_bypass

import httpx

from client.address import is_this_machine
from client.errors import InputFault


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy. `variable`: where its address was found. `shown`: the address without user name and password."""

    variable: str
    shown: str


def transport_to(address: httpx.URL, *, proxies: bool) -> tuple[httpx.BaseTransport, Proxy | None]:
    """A transport to `address`, and the proxy that it goes through. This machine is always reached directly.

    Raises InputFault naming the variable when the proxy or the certificates of the environment cannot be used.
    """
    trusted = _certificates() if address.scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    found = _proxy_to(address) if proxies and not is_this_machine(address.host) else None
    if found is None:
        return httpx.HTTPTransport(verify=trusted), None
    variable, text = found
    try:
        url = httpx.URL(text if "://" in text else f"http://{text}")
        if not url.host:
            raise ValueError(text)
        proxy = Proxy(variable, str(url.copy_with(userinfo=b"")))
        return httpx.HTTPTransport(verify=trusted, proxy=httpx.Proxy(url)), proxy
    except ImportError:
        raise InputFault(
            f"{variable} names a SOCKS proxy, for which the Python package socksio is missing; install it, or add "
            f"{address.host} to NO_PROXY."
        ) from None
    except (httpx.InvalidURL, ValueError):
        raise InputFault(
            f"{variable} holds no address of a proxy; write it as http://HOST:PORT, or add {address.host} to NO_PROXY."
        ) from None


def _proxy_to(address: httpx.URL) -> tuple[str, str] | None:
    """The variable that names a proxy for `address`, and its value."""
    known = getproxies()
    text = known.get(address.scheme) or known.get("all")
    if not text or _is_exempt(address, known.get("no", "")):
        return None
    names = [f"{kind}_proxy" for kind in (address.scheme, "all")]
    variables = [name for lower in names for name in (lower, lower.upper()) if os.environ.get(name) == text]
    return (variables or ["The proxy of the system's settings"])[0], text


def _is_exempt(address: httpx.URL, exempt: str) -> bool:
    """Whether NO_PROXY names the host: by name, domain or `*` as the standard library has it, or by network."""
    if proxy_bypass(address.netloc.decode("ascii")):
        return True
    try:
        host = ipaddress.ip_address(address.host)
    except ValueError:
        return False
    return any(host in network for entry in exempt.split(",") if (network := _network(entry.strip())) is not None)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text.strip("[]"), strict=False)
    except ValueError:
        return None


def _certificates() -> ssl.SSLContext:
    folder = os.environ.get("SSL_CERT_DIR")
    file = os.environ.get("SSL_CERT_FILE")
    variable = "SSL_CERT_FILE" if file else "SSL_CERT_DIR"
    try:
        if folder and not file and not Path(folder).is_dir():
            raise FileNotFoundError(2, "No such folder")
        return httpx.create_ssl_context()
    except OSError as error:
        # An SSLError is one too: a file that holds no certificate.
        reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        what = f"{variable} is {file or folder!r}, which cannot be used ({reason})"
        raise InputFault(f"{what}; name your certificates there, or unset it.") from None
