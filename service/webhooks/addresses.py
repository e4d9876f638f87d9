"""HTTP to addresses that strangers may have chosen: public ones only, unless the operator allows a network.

The check is made where the connection is opened, on the address that is connected to: a name that meant a public
address a moment ago (DNS rebinding) is found out, and so is one that a proxy would look up again, as none is used.
httpcore follows no redirect. A whole exchange has one deadline, so that a receiver cannot hold a worker.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpcore

SECONDS = 15.0
"""For a whole exchange."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_TRANSLATED = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("2002::/16"))
"""Prefixes behind which lies an IPv4 address that may be private."""


UNREACHABLE = (
    httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol, OSError,
)  # fmt: skip
"""Errors of an exchange that did not take place, or not to its end."""


class Refused(Exception):
    """The address must not be reached; the text says why."""


def networks(text: str) -> tuple[Network, ...]:
    """Networks by commas, as `10.0.0.0/8,127.0.0.1`. Raises ValueError."""
    return tuple(ipaddress.ip_network(entry.strip()) for entry in text.split(",") if entry.strip())


def check_address(address: str, allowed: Sequence[Network]) -> None:
    """Raises Refused unless the address is public or in one of the networks."""
    found = ipaddress.ip_address(address.partition("%")[0])
    plain = found.ipv4_mapped or found if isinstance(found, ipaddress.IPv6Address) else found
    if any(plain in network or found in network for network in allowed):
        return
    if not plain.is_global or plain.is_multicast or any(found in network for network in _TRANSLATED):
        raise Refused(f"{address} is not a public address; the operator may allow its network in DPK_WEBHOOK_NETWORKS.")


def post(url: str, body: str, headers: dict[str, str], allowed: Sequence[Network]) -> int:
    """The status of the answer; the rest of it is not read. Raises Refused, UnicodeError or one of `UNREACHABLE`."""
    backend = _Checked(allowed, time.monotonic() + SECONDS)
    with (
        httpcore.ConnectionPool(max_connections=1, network_backend=backend) as pool,
        # httpcore would write an IPv6 address without its brackets.
        pool.stream(
            "POST", url, content=body.encode(), headers=[("host", urlsplit(url).netloc), *headers.items()]
        ) as answer,
    ):
        return answer.status


class _Checked(httpcore.NetworkBackend):
    """Connects to checked addresses only, until the deadline."""

    def __init__(self, allowed: Sequence[Network], deadline: float) -> None:
        self._allowed, self._deadline, self._inner = allowed, deadline, httpcore.SyncBackend()

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:  # fmt: skip
        """Every address of the name is checked, and the first one is connected to as a number."""
        found = list(
            dict.fromkeys(str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        )
        for address in found:
            check_address(address, self._allowed)
        stream = self._inner.connect_tcp(found[0], port, _left(self._deadline, timeout), local_address, socket_options)
        return _Limited(stream, self._deadline)


class _Limited(httpcore.NetworkStream):
    """A stream that ends at the deadline, however slowly the other side trickles."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: float) -> None:
        self._inner, self._deadline = inner, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(self._deadline, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(self._deadline, timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, _left(self._deadline, timeout))
        return _Limited(inner, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _left(deadline: float, timeout: float | None) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout(f"The exchange took longer than {SECONDS:.0f} s.")
    return left if timeout is None else min(left, timeout)
