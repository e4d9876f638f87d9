"""Addresses of servers as people type them."""

from __future__ import annotations

import pytest

from client.address import is_this_machine, server_address, shown
from client.errors import InputFault


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("localhost:8000", "http://localhost:8000"),
        ("localhost", "http://localhost"),
        ("gpu-box.lab:81/", "http://gpu-box.lab:81"),
        (" https://x.org/dpk// ", "https://x.org/dpk"),
        ("x.org/dpk", "http://x.org/dpk"),
        ("HTTP://X.org", "http://x.org"),
        ("::1", "http://[::1]"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("http://[fe80::1]:8000/", "http://[fe80::1]:8000"),
        ("https://me:secret@x.org", "https://x.org"),
    ],
)
def test_what_is_missing_is_added(typed: str, address: str) -> None:
    assert shown(server_address(typed)) == address


@pytest.mark.parametrize(
    "typed",
    ["", "  ", "ftp://x.org", "http://", "x.org:port", "x.org:99999", "x.org?a=b", "a b", "file:///etc", "[::1"],
)
def test_what_is_none_is_one_sentence(typed: str) -> None:
    with pytest.raises(
        InputFault, match=r"is no address of a server; write it as HOST:PORT or http://127\.0\.0\.1:8000\.$"
    ):
        server_address(typed)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True), ("x.localhost", True), ("127.0.0.1", True), ("127.8.9.1", True), ("::1", True),
        ("::ffff:127.0.0.1", True), ("::", True), ("10.0.0.1", False), ("localhost.org", False), ("::2", False),
    ],
)  # fmt: skip
def test_this_machine(host: str, local: bool) -> None:
    assert is_this_machine(host) is local
