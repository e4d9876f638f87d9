"""Messages reach public addresses only, whatever name, redirect or resolver leads elsewhere."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpcore
import pytest

from service.webhooks import addresses
from service.webhooks.addresses import Refused, check_address, networks, post

HERE = networks("127.0.0.1")


class Server(ThreadingHTTPServer):
    """Notes the paths and hosts that it was asked by."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.asked: list[str] = []
        self.hosts: list[str] = []


class Receiver(BaseHTTPRequestHandler):
    """Answers by path."""

    server: Server

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(self.path)
        self.server.hosts.append(self.headers["Host"])
        if self.path == "/slow":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            for _ in range(100):
                self.wfile.write(b"x: y\r\n")
                time.sleep(0.02)
            return
        self.send_response(302 if self.path == "/moved" else 204)
        self.send_header("Location", "/secret")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Says nothing."""


@pytest.fixture
def receiver() -> Iterator[Server]:
    server = Server()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.5.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.1", "224.0.0.1",
        "::1", "::", "fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "ff02::1",
    ],
)  # fmt: skip
def test_no_private_address_whatever_it_is_written_as(address: str) -> None:
    with pytest.raises(Refused, match="is not a public address"):
        check_address(address, ())


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111"])
def test_public_addresses(address: str) -> None:
    check_address(address, ())


def test_an_allowed_network() -> None:
    allowed = networks("10.0.0.0/8, ::1")
    check_address("10.1.2.3", allowed)
    check_address("::ffff:10.1.2.3", allowed)
    check_address("::1", allowed)
    with pytest.raises(Refused):
        check_address("192.168.0.1", allowed)
    assert networks("") == ()
    assert networks("10.0.0.0/8") == (ipaddress.ip_network("10.0.0.0/8"),)


def test_a_name_is_checked_by_what_it_means_when_it_is_connected_to(
    receiver: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: however public the name was before."""

    def resolve(_host: str, port: int, **_options: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("1.1.1.1", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(Refused, match=r"127\.0\.0\.1 is not a public address"):
        post(f"http://rebound.example:{receiver.server_port}/", "{}", {}, ())
    assert receiver.asked == []


def test_a_proxy_of_the_environment_is_not_used(receiver: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{receiver.server_port}")
    with pytest.raises(Refused):
        post("http://127.0.0.1:9/", "{}", {}, ())
    assert receiver.asked == []


def test_a_message_arrives_and_a_redirect_is_not_followed(receiver: Server) -> None:
    base = f"http://127.0.0.1:{receiver.server_port}"
    assert post(f"{base}/hook", "{}", {}, HERE) == 204
    assert post(f"{base}/moved", "{}", {}, HERE) == 302
    assert receiver.asked == ["/hook", "/moved"]
    assert receiver.hosts == [f"127.0.0.1:{receiver.server_port}"] * 2


def test_the_host_of_an_ipv6_address_stands_in_brackets() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listening:
        port = listening.getsockname()[1]
        said = list[bytes]()

        def answer() -> None:
            with listening.accept()[0] as connection:
                said.append(connection.recv(4096))
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        assert post(f"http://[::1]:{port}/", "{}", {}, networks("::1")) == 204
        thread.join()
    assert f"host: [::1]:{port}\r\n".encode() in said[0].lower()


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "http://no.such.name.invalid/", "https://127.0.0.1:{port}/"])
def test_a_receiver_that_cannot_be_reached(receiver: Server, url: str) -> None:
    with pytest.raises(addresses.UNREACHABLE):
        post(url.format(port=receiver.server_port), "{}", {}, HERE)


def test_a_receiver_that_trickles_cannot_hold_a_worker(receiver: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "SECONDS", 0.2)
    with pytest.raises(httpcore.TimeoutException):
        post(f"http://127.0.0.1:{receiver.server_port}/slow", "{}", {}, HERE)
