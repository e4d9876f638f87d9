"""What is looked at before a process starts: settings and addresses. What is wrong is one sentence each, and exit 2.

A server that does not answer is no error here: API and worker wait for it, and `/readyz` says so. An address that can
never work is one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from kombu.connection import Connection
from kombu.transport import TRANSPORT_ALIASES
from pydantic import SecretStr, ValidationError
from sqlalchemy import URL
from sqlalchemy.exc import ArgumentError
from threadpoolctl import threadpool_limits

from dpk_core.nearest import nearest
from service.settings import Settings, settings
from service.validation import field_errors

WRONG_USE = 2
"""The exit code."""
_DATABASES = "Write sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST:PORT/NAME."
_ENCODED = "Characters such as / @ : % in a user's name or password are written as %2F %40 %3A %25."
_FILES = "Leave DPK_BROKER_URL empty for message files under DPK_HOME."
_NETWORKED = ("redis", "rediss", "amqp", "amqps", "pyamqp", "sentinel")


class CannotStart(Exception):
    """Why the process cannot start: one sentence a line, without any password."""


@contextmanager
def starting() -> Iterator[None]:
    """Ends the process with the sentence and exit 2 where CannotStart is raised."""
    try:
        yield
    except CannotStart as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(WRONG_USE)


def one_thread_for_matrices() -> None:
    """Small matrices are all that decisions and boards are worked out with. Spread over cores that train, they cost
    several times the processor time, most of it spent waiting for each other."""
    threadpool_limits(limits=1, user_api="blas")


def checked_settings() -> Settings:
    """The settings of this process. Raises CannotStart for values or addresses that cannot work."""
    try:
        chosen = settings()
    except ValidationError as error:
        raise CannotStart(_setting_sentences(error)) from None
    _check_database(chosen)
    if not chosen.broker_url:
        _check_folder(chosen.queue_folder, "DPK_HOME")
    for address in filter(None, chosen.broker_url.split(";")):
        _check_broker(address)
    return chosen


def _setting_sentences(error: ValidationError) -> str:
    findings = error.errors()
    found = field_errors(dict(finding) for finding in findings)
    lines = []
    for wrong, finding in zip(found, findings, strict=True):
        # What is wrong of several settings together names them itself; its input is all settings, keys among them.
        name = f"DPK_{wrong.field.upper()}{_given(wrong.field, finding['input'])}: " if finding["loc"] else ""
        lines.append(name + wrong.message.removeprefix("Value error, "))
    return "\n".join(lines)


def _given(field: str, value: object) -> str:
    """What a setting was given; nothing of a secret. Addresses, which may hold passwords, are checked below."""
    is_secret = Settings.model_fields[field].annotation is SecretStr
    return "" if is_secret else f"={str(value)[:80]!r}"


def _check_database(chosen: Settings) -> None:
    try:
        address = chosen.database_address
    except ArgumentError:
        raise CannotStart(f"DPK_DATABASE_URL is no database's address. {_DATABASES}") from None
    except ValueError:
        raise CannotStart(f"DPK_DATABASE_URL has a port that is no number. {_DATABASES} {_ENCODED}") from None
    kind, _, driver = address.drivername.partition("+")
    if (kind, driver) in (("postgresql", ""), ("postgresql", "psycopg")):
        if address.port is not None and not 0 < address.port < 65536:
            raise CannotStart(f"DPK_DATABASE_URL has port {address.port}; ports are numbers from 1 to 65535.")
    elif (kind, driver) in (("sqlite", ""), ("sqlite", "pysqlite")):
        _check_file(address, "DPK_DATABASE_URL" if chosen.database_url else "DPK_HOME")
    else:
        raise CannotStart(f"DPK_DATABASE_URL begins with {address.drivername}://, which is not spoken. {_DATABASES}")


def _check_file(address: URL, setting: str) -> None:
    if address.host or not address.database or ":memory:" in address.database:
        raise CannotStart(
            f"{setting} names no file, and the processes of a server share one. {_DATABASES} "
            "A path from the root begins with four slashes."
        )
    file = Path(address.database)
    if address.database.startswith("file:"):
        return
    _check_folder(file.parent, setting)
    if file.is_dir():
        raise CannotStart(f"{setting}: {file} is a folder, and a database is a file.")
    if file.exists() and not os.access(file, os.R_OK | os.W_OK):
        raise CannotStart(f"{setting}: {file} cannot be written by this user.")


def _check_folder(folder: Path, setting: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotStart(f"{setting}: the folder {folder} cannot be made ({error.strerror}).") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise CannotStart(f"{setting}: the folder {folder} cannot be written by this user.")


def _check_broker(address: str) -> None:
    scheme, found, _ = address.partition("://")
    known = sorted(TRANSPORT_ALIASES)
    if not found:
        raise CannotStart(f"DPK_BROKER_URL is no broker's address. Write redis://HOST:PORT/NUMBER. {_FILES}")
    if scheme.partition("+")[0] not in known:
        near = nearest(scheme, known)
        offer = f"Did you mean {near}://?" if near else f"Write redis://HOST:PORT/NUMBER. {_FILES}"
        raise CannotStart(f"DPK_BROKER_URL: there is no broker {scheme[:40]!r}. {offer}")
    if scheme in ("memory", "filesystem"):
        raise CannotStart(f"DPK_BROKER_URL: {scheme}:// is not shared by the processes of a server. {_FILES}")
    try:
        parts = urlsplit(address)
        if scheme in _NETWORKED and not parts.hostname:
            raise CannotStart("DPK_BROKER_URL names no host; for this machine write localhost.")
        if parts.port == 0:
            raise ValueError
        with Connection(address) as connection:  # type: ignore[no-untyped-call]  # kombu publishes no types
            _ = connection.transport  # imported now, and not when the first message is due
    except ImportError as error:
        raise CannotStart(f"DPK_BROKER_URL: {scheme}:// needs a package that is missing ({error}).") from None
    except ValueError:
        raise CannotStart(
            f"DPK_BROKER_URL has a host or port that cannot be read; ports are numbers from 1 to 65535. {_ENCODED}"
        ) from None
    except (LookupError, TypeError, NameError) as error:
        raise CannotStart(f"DPK_BROKER_URL cannot be used as it is ({type(error).__name__}: {error}).") from None
    if scheme in ("redis", "rediss") and not parts.path.strip("/").isdecimal() and parts.path.strip("/"):
        raise CannotStart("DPK_BROKER_URL: after the host comes the number of a Redis database, such as /0.")
