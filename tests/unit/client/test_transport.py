"""Proxies and certificates of the environment: whom they concern, and what is said when they cannot be used."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from client.errors import InputFault, ServerUnreachable
from client.sdk import Client
from client.transport import Proxy, transport_to
from tests.servers import free_port
from tests.unit.client.conftest import FakeServer, Outcome

Dpk = Callable[..., Outcome]
CLOSED = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUEST_METHOD"):
            monkeypatch.delenv(name)


@pytest.fixture
def proxy_to(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Proxy | None]:
    """The proxy by which an address is reached with variables set."""

    def reach(address: str, **variables: str) -> Proxy | None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        transport, proxy = transport_to(httpx.URL(address), proxies=True)
        transport.close()
        return proxy

    return reach


ProxyTo = Callable[..., Proxy | None]


class TestThisMachine:
    @pytest.mark.parametrize(
        "address", ["http://127.0.0.1:1", "http://localhost", "http://[::1]:1", "https://127.1.2.3"]
    )
    @pytest.mark.parametrize("proxy", [CLOSED, "socks5://127.0.0.1:9", "gopher://x", "::"])
    def test_is_reached_directly(self, proxy_to: ProxyTo, address: str, proxy: str) -> None:
        assert proxy_to(address, HTTP_PROXY=proxy, HTTPS_PROXY=proxy, ALL_PROXY=proxy) is None

    def test_needs_no_certificates_over_http(
        self, server: FakeServer, dpk: Dpk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
        monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
        server.problem("GET /selection-jobs/1/leaderboard", 404, "There is no selection job '1'.")
        assert dpk("leaderboard", "1").err == "There is no selection job '1'.\n"


class TestOtherHosts:
    def test_go_through_the_variable_of_their_scheme(self, proxy_to: ProxyTo) -> None:
        variables = {"HTTP_PROXY": "proxy.lab:3128", "HTTPS_PROXY": "http://me:secret@proxy.lab:3129"}
        assert proxy_to("http://x.org", **variables) == Proxy("HTTP_PROXY", "http://proxy.lab:3128")
        assert proxy_to("https://x.org", **variables) == Proxy("HTTPS_PROXY", "http://proxy.lab:3129")

    def test_a_variable_that_does_not_concern_them_breaks_nothing(self, proxy_to: ProxyTo) -> None:
        assert proxy_to("http://x.org", HTTPS_PROXY="gopher://x") is None
        assert proxy_to("http://x.org", ALL_PROXY="socks5://x", HTTP_PROXY=CLOSED) == Proxy("HTTP_PROXY", CLOSED)

    @pytest.mark.parametrize("exempt", ["x.org", ".org", "*", "a.b, x.org", "10.0.0.0/8,x.org"])
    def test_no_proxy_exempts_names(self, proxy_to: ProxyTo, exempt: str) -> None:
        assert proxy_to("http://x.org", HTTP_PROXY=CLOSED, NO_PROXY=exempt) is None

    @pytest.mark.parametrize(("exempt", "through"), [("10.0.0.0/8", False), ("10.1.2.3", False), ("11.0.0.0/8", True)])
    def test_no_proxy_exempts_networks(self, proxy_to: ProxyTo, exempt: str, through: bool) -> None:
        assert (proxy_to("http://10.1.2.3:80", HTTP_PROXY=CLOSED, NO_PROXY=exempt) is not None) is through

    @pytest.mark.parametrize("value", ["gopher://x", "http://", "http://x:port"])
    def test_a_broken_variable_is_named(self, proxy_to: ProxyTo, value: str) -> None:
        with pytest.raises(
            InputFault, match=r"^all_proxy holds no address of a proxy; .* or add x\.org to NO_PROXY\.$"
        ):
            proxy_to("http://x.org", all_proxy=value)

    def test_socks_says_what_it_takes(self, proxy_to: ProxyTo, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "socksio", None)
        with pytest.raises(InputFault, match=r"^ALL_PROXY names a SOCKS proxy, .* socksio is missing; install it"):
            proxy_to("http://x.org", ALL_PROXY="socks5://x")

    def test_a_proxy_that_is_away_is_not_taken_for_the_server(self, monkeypatch: pytest.MonkeyPatch) -> None:
        proxy = f"http://127.0.0.1:{free_port()}"
        monkeypatch.setenv("HTTP_PROXY", proxy)
        with Client("http://server.test", attempts=1) as client, pytest.raises(ServerUnreachable) as caught:
            client.jobs()
        assert str(caught.value) == (
            f"The proxy {proxy} (HTTP_PROXY) does not answer; mend it, or add the server's host to NO_PROXY."
        )

    def test_a_proxy_that_answers_itself_is_named(self, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTP_PROXY", server.url)
        server.answer("GET http://server.test/selection-jobs", "<html>log in</html>")
        with Client("http://server.test") as client, pytest.raises(ServerUnreachable, match=f"the proxy {server.url}"):
            client.jobs()


class TestCertificates:
    def test_a_file_that_is_not_there(self, proxy_to: ProxyTo) -> None:
        with pytest.raises(InputFault, match=r"^SSL_CERT_FILE is '/nowhere.pem', which cannot be used \(No such file"):
            proxy_to("https://x.org", SSL_CERT_FILE="/nowhere.pem")

    def test_a_folder_that_is_not_there(self, proxy_to: ProxyTo) -> None:
        with pytest.raises(InputFault, match=r"^SSL_CERT_DIR is '/nowhere', which cannot be used \(No such folder\)"):
            proxy_to("https://x.org", SSL_CERT_DIR="/nowhere")

    def test_a_file_without_certificates(self, proxy_to: ProxyTo, tmp_path: Path) -> None:
        (tmp_path / "ca.pem").write_text("nothing")
        with pytest.raises(InputFault, match="it holds no certificate"):
            proxy_to("https://x.org", SSL_CERT_FILE=str(tmp_path / "ca.pem"))

    def test_they_do_not_concern_http(self, proxy_to: ProxyTo) -> None:
        assert proxy_to("http://x.org", SSL_CERT_FILE="/nowhere.pem") is None

    def test_http_behind_https_is_said(self, server: FakeServer) -> None:
        with (
            Client(server.url.replace("http", "https"), attempts=1) as client,
            pytest.raises(ServerUnreachable, match=r"cannot be reached over TLS; is it http:// and not https://\?"),
        ):
            client.jobs()


def test_a_broken_variable_ends_with_2(dpk: Dpk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DPK_SERVER", "server.test")
    monkeypatch.setenv("HTTP_PROXY", "gopher://x")
    done = dpk("watch", "1")
    assert (done.code, done.err.count("\n"), done.err.split()[0]) == (2, 1, "HTTP_PROXY")
