"""One server over HTTP: sends requests, repeats what may be repeated, and turns everything that can go wrong into the
errors of `client.errors`."""

from __future__ import annotations

import http
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from client import VERSION
from client.address import server_address, shown
from client.errors import (
    ClientError,
    ForeignAnswer,
    NothingFound,
    ServerProblem,
    ServerUnreachable,
    VersionMismatch,
)  # fmt: skip
from client.transport import Proxy, transport_to
from service.schemas import Problem
from service.validation import place

OUR_PROBLEMS = "urn:dpk-select:problem:"
"""How the types of the service's problems begin. A 404 of another type means that the address is wrong."""
NOT_FOUND = f"{OUR_PROBLEMS}not-found"
SECONDS = 30.0
_GATEWAY = frozenset({502, 503, 504})
_LONGEST_PAUSE = 10.0

W = TypeVar("W", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request. `attempts`: how often it is tried, None for the connection's number; `seconds`: given to each try."""

    method: str
    path: str
    json: object = None
    file: Path | None = None
    """What is sent as the body instead, while it is read; such a request is tried once."""
    headers: Mapping[str, str] | None = None
    params: Mapping[str, str] | None = None
    attempts: int | None = None
    seconds: float = SECONDS


class Connection:
    """Requests to one server. `attempts` and `pause`: see `client.sdk.Client`."""

    def __init__(
        self, address: str, *, transport: httpx.BaseTransport | None, attempts: int, pause: float, proxies: bool
    ) -> None:
        url = server_address(address)
        self.address = shown(url)
        self._proxy: Proxy | None = None
        if transport is None:
            transport, self._proxy = transport_to(url, proxies=proxies)
        self._http = httpx.Client(base_url=url, transport=transport, trust_env=False)
        self._attempts = attempts
        self._pause = pause

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def read(self, kind: type[W], ask: Ask) -> W:
        """The answer as a `kind`. Fields that this client does not know are left out."""
        answer = self.send(ask)
        try:
            return kind.model_validate_json(answer.content, extra="ignore")
        except ValidationError as error:
            raise self._misfit(kind, answer, error) from None

    def send(self, ask: Ask) -> httpx.Response:
        """The answer, which is a success. Raises ClientError."""
        attempts = self._attempts if ask.attempts is None else ask.attempts
        if ask.file is not None:
            return self._send_file(ask, ask.file)
        for attempt in range(1, attempts + 1):
            try:
                answer = self._http.request(
                    ask.method, ask.path, json=ask.json, headers=ask.headers, params=ask.params, timeout=ask.seconds
                )
            except httpx.RequestError as error:
                if attempt == attempts or not isinstance(error, httpx.TransportError):
                    raise self._unreachable(error) from error
                pause = 0.0
            else:
                if attempt == attempts or answer.status_code not in _GATEWAY:
                    break
                pause = _asked_pause(answer)
            # Doubling pauses, or as long as the server asked for with Retry-After.
            time.sleep(max(pause, self._pause * 2 ** (attempt - 1)))
        if not answer.is_success:
            raise self._refusal(answer)
        return answer

    def _send_file(self, ask: Ask, path: Path) -> httpx.Response:
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(path.stat().st_size)}
        with path.open("rb") as file:
            try:
                answer = self._http.request(
                    ask.method, ask.path, content=file, headers=headers, params=ask.params, timeout=ask.seconds
                )
            except httpx.RequestError as error:
                raise self._unreachable(error) from error
        if not answer.is_success:
            raise self._refusal(answer)
        return answer

    def answers(self, path: str, seconds: float) -> bool:
        """Whether a single GET of `path` succeeds."""
        try:
            return self._http.get(path, timeout=seconds).is_success
        except httpx.RequestError:
            return False

    def _refusal(self, answer: httpx.Response) -> ClientError:
        try:
            problem = Problem.model_validate_json(answer.content, extra="ignore")
        except ValidationError:
            return self._foreign_refusal(answer)
        if problem.status != http.HTTPStatus.NOT_FOUND:
            return ServerProblem(problem)
        return NothingFound(problem) if problem.type.startswith(OUR_PROBLEMS) else self._foreign(answer)

    def _foreign_refusal(self, answer: httpx.Response) -> ClientError:
        title = f"{answer.status_code} {answer.reason_phrase}".strip()
        said = f"The server answered {title} to {answer.request.method} {answer.request.url.path}."
        if answer.is_redirect:
            return ForeignAnswer(f"{self.address} points to {answer.headers.get('Location')}; give that to --server.")
        if answer.status_code == http.HTTPStatus.NOT_FOUND:
            return self._foreign(answer)
        if answer.status_code in _GATEWAY:
            said = f"A proxy in front of {self.address} answered {title}: the server behind it does not."
        elif answer.status_code == http.HTTPStatus.PROXY_AUTHENTICATION_REQUIRED and self._proxy:
            said = f"The proxy {self._proxy.shown} wants a user name and a password in {self._proxy.variable}."
        return ServerProblem(Problem(type="about:blank", title=title, status=answer.status_code, detail=said))

    def _foreign(self, answer: httpx.Response) -> ForeignAnswer:
        kind = answer.headers.get("Content-Type", "").partition(";")[0] or "an answer of no stated kind"
        through = f", reached through the proxy {self._proxy.shown} ({self._proxy.variable})," if self._proxy else ""
        return ForeignAnswer(
            f"What answers at {self.address}{through} is not a DPK Select server ({answer.status_code}, {kind}); "
            "check --server."
        )

    def _misfit(self, kind: type[BaseModel], answer: httpx.Response, error: ValidationError) -> ClientError:
        first = next((each for each in error.errors() if each["type"] == "literal_error"), error.errors()[0])
        missing = [each for each in error.errors() if each["type"] == "missing" and len(each["loc"]) == 1]
        if not first["loc"] or 2 * len(missing) > len(kind.model_fields):
            return self._foreign(answer)
        if first["type"] == "literal_error":
            return VersionMismatch(
                f"The server at {self.address} is newer than this client ({VERSION}), which does not know "
                f"{first['input']!r} as {place(first['loc'])}; update the client."
            )
        return VersionMismatch(
            f"The server at {self.address} is of another version than this client ({VERSION}): {place(first['loc'])}: "
            f"{first['msg']}. Use the client of the server's version."
        )

    def _unreachable(self, error: httpx.RequestError) -> ServerUnreachable:
        causes = list(_causes(error))
        if isinstance(error, httpx.DecodingError | httpx.RemoteProtocolError) and not _is_cut(error):
            return ForeignAnswer(f"What answers at {self.address} speaks no proper HTTP; check --server.")
        if isinstance(error, httpx.ProxyError):
            return ServerUnreachable(self._through(f"refuses the way to {self.address} ({error})"))
        for cause in causes:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return ServerUnreachable(
                    f"The certificate of {self.address} is not trusted ({cause.verify_message}); name your "
                    "authority's file in SSL_CERT_FILE."
                )
            if isinstance(cause, ssl.SSLError):
                return ServerUnreachable(f"{self.address} cannot be reached over TLS; is it http:// and not https://?")
        if self._proxy and isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return ServerUnreachable(self._through("does not answer"))
        if isinstance(error, httpx.ReadTimeout):
            return ServerUnreachable(f"{self.address} took the request and gave no answer in time; try again.")
        if any(isinstance(cause, socket.gaierror) for cause in causes):
            return ServerUnreachable(f"There is no host of the name in {self.address}; check --server.")
        return ServerUnreachable(
            f"Nothing answers at {self.address}; start one with `dpk serve` or name one with --server."
        )

    def _through(self, what: str) -> str:
        proxy = self._proxy
        name = "The proxy" if proxy is None else f"The proxy {proxy.shown} ({proxy.variable})"
        return f"{name} {what}; mend it, or add the server's host to NO_PROXY."


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_cut(error: httpx.RequestError) -> bool:
    """Whether the connection ended in the middle, as when a server stops; not the fault of what was said."""
    return "disconnected" in str(error) or "peer closed" in str(error)


def _asked_pause(answer: httpx.Response) -> float:
    """Seconds that `Retry-After` asks for, within reason."""
    text = answer.headers.get("Retry-After", "")
    return min(float(text), _LONGEST_PAUSE) if text.isdecimal() else 0.0
