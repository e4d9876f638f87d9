"""Fixtures for every test: real servers, fresh databases, a process whose settings point at them."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, make_url

from migrations.commands import upgrade
from service.database import session
from service.outbox import broker
from service.settings import Settings, settings
from tests import servers

os.environ["TORCHINDUCTOR_VEC_ISA_OK"] = "0"  # plain loops take torch's compiler half the time that vector ones take
os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # more are processes of their own, and each imports torch


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """What collecting makes stays until the end: the garbage collector need not look at it again and again."""
    session.config.add_cleanup(gc.unfreeze)
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def no_cache_of_the_users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is found out about data sets and weights is remembered in a folder of this run, never among the user's."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DPK_DATA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[URL]:
    """A real Postgres for the whole run; tests take `postgres_url`."""
    with _or_fail(servers.postgres_server) as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: URL) -> Iterator[str]:
    """The address of a fresh, empty Postgres database."""
    with servers.fresh_database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """A real Redis for the whole run; tests take `redis_url`."""
    with _or_fail(servers.redis_server) as url:
        yield url


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """The address of an empty Redis database."""
    servers.empty_redis(redis_server)
    return redis_server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.servers)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a fresh, empty database: the test runs on SQLite and on Postgres."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.sqlite'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Settings]]:
    """Gives this process other settings: `configure(database_url=…)`; `home` is a fresh folder."""

    def apply(**values: Any) -> Settings:
        _forget()
        for name, value in {"home": tmp_path / "home", "allowed_hosts": "testserver", **values}.items():
            monkeypatch.setenv(f"DPK_{name.upper()}", str(value))
        return settings()

    yield apply
    _forget()


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file built by the real migrations; tests take copies."""
    path = tmp_path_factory.mktemp("migrated") / "dpk.sqlite"
    with servers.opened(f"sqlite:///{path}") as engine:
        upgrade(engine=engine)
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: URL) -> Iterator[URL]:
    """A database built by the real migrations; tests take copies."""
    with servers.fresh_database(postgres_server) as url:
        with servers.opened(url) as engine:
            upgrade(engine=engine)
        yield make_url(url)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.servers)])
def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a fresh database at the newest revision: the test runs on SQLite and on Postgres."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "test.sqlite")
        yield f"sqlite:///{tmp_path / 'test.sqlite'}"
        return
    template = request.getfixturevalue("migrated_postgres")
    with servers.fresh_database(request.getfixturevalue("postgres_server"), template=template.database) as url:
        yield url


@pytest.fixture
def embedded(configure: Callable[..., Settings], migrated_sqlite: Path, tmp_path: Path) -> Callable[..., Settings]:
    """`configure`, with a fresh database at the newest revision in the home: the embedded default."""

    def apply(**values: Any) -> Settings:
        chosen = configure(**values)
        chosen.home.mkdir(parents=True, exist_ok=True)
        shutil.copy(migrated_sqlite, chosen.home / "dpk.sqlite")
        return chosen

    return apply


@pytest.fixture
def store(configure: Callable[..., Settings], migrated_url: str) -> Settings:
    """A fresh database, built by the real migrations, as the database of this process: on SQLite and on Postgres."""
    return configure(database_url=migrated_url)


def _forget() -> None:
    engines = (session.engine, session.prompt_engine, session.glance_engine)
    for opened in engines:
        if opened.cache_info().currsize:
            opened().dispose()
    for cached in (settings, *engines, broker.producer):
        cached.cache_clear()


@contextmanager
def _or_fail(server: Callable[[], AbstractContextManager[Any]]) -> Iterator[Any]:
    """Not a skip: a test that needs a server and has none has failed, with the sentence that says what to do."""
    with ExitStack() as stack:
        missing = ""
        try:
            address = stack.enter_context(server())
        except servers.NoServer as error:
            missing = str(error)
        if missing:
            pytest.fail(missing, pytrace=False)
        yield address
