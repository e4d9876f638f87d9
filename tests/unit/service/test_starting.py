"""Settings and addresses that cannot work: a sentence each that names the setting, exit 2, and never a password."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError
from threadpoolctl import threadpool_info, threadpool_limits

from migrations import __main__ as migrations
from service import __main__ as service
from service.settings import Settings, settings
from service.starting import CannotStart, checked_settings, one_thread_for_matrices
from worker import __main__ as worker

Configure = Callable[..., Settings]


def test_matrices_take_one_thread() -> None:
    with threadpool_limits(limits=2, user_api="blas"):
        one_thread_for_matrices()
        assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}


DATABASES = [
    (
        "postgres://dpk:secret@db/dpk",
        "begins with postgres://, which is not spoken. Write sqlite:///FILE or postgresql+",
    ),
    ("mysql://dpk:secret@db/dpk", "begins with mysql://"),
    ("postgresql+psycopg2://dpk:secret@db/dpk", "begins with postgresql+psycopg2://"),
    ("postgresql+asyncpg://dpk:secret@db/dpk", "begins with postgresql+asyncpg://"),
    ("sqlite+aiosqlite:///x.sqlite", "begins with sqlite+aiosqlite://"),
    ("postgresql+psycopg://dpk:secret@db:port/dpk", "has a port that is no number"),
    ("postgresql+psycopg://dpk:secret@db:70000/dpk", "has port 70000"),
    ("db.sqlite", "is no database's address"),
    ("sqlite://", "names no file"),
    ("sqlite:///:memory:", "names no file"),
    ("sqlite://folder/db.sqlite", "names no file"),
    ("sqlite:////proc/nowhere/db.sqlite", "the folder /proc/nowhere cannot be made"),
]

BROKERS = [
    ("reddis://:secret@broker/0", "there is no broker 'reddis'. Did you mean redis://?"),
    ("broker:6379", "is no broker's address"),
    ("redis://:secret@broker:port/0", "has a host or port that cannot be read"),
    ("redis://:secret@broker:70000/0", "has a host or port that cannot be read"),
    ("redis://broker:0/0", "has a host or port that cannot be read"),
    ("redis://[::1", "has a host or port that cannot be read"),
    ("redis://:secret@:6379/0", "names no host"),
    ("amqp://:5672//", "names no host"),
    ("redis://:secret@broker/zero", "the number of a Redis database"),
    ("rediss://:secret@broker/0?ssl_cert_reqs=maybe", "cannot be used as it is"),
    ("sqs://", "needs a package that is missing"),
    ("memory://", "is not shared"),
    ("filesystem://", "is not shared"),
    ("redis://broker/0;reddis://broker/0", "there is no broker 'reddis'"),
]


@pytest.mark.parametrize(("address", "sentence"), DATABASES)
def test_database_addresses(configure: Configure, address: str, sentence: str) -> None:
    configure(database_url=address)
    with pytest.raises(CannotStart) as raised:
        checked_settings()
    said = str(raised.value)
    assert said.startswith("DPK_DATABASE_URL")
    assert sentence in said
    assert "secret" not in said
    assert "\n" not in said


@pytest.mark.parametrize(("address", "sentence"), BROKERS)
def test_broker_addresses(configure: Configure, address: str, sentence: str) -> None:
    configure(broker_url=address)
    with pytest.raises(CannotStart) as raised:
        checked_settings()
    said = str(raised.value)
    assert said.startswith("DPK_BROKER_URL")
    assert sentence in said
    assert "secret" not in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "values",
    [
        {"database_url": "postgresql+psycopg://dpk:secret@db:5432/dpk", "broker_url": "redis://:secret@broker:6379/0"},
        {"database_url": "postgresql+psycopg:///dpk?host=/run/postgresql", "broker_url": "rediss://broker"},
        {"database_url": "postgresql://db/dpk", "broker_url": "amqps://user:secret@broker//"},
        {"broker_url": "redis+socket:///run/redis.sock"},
        {"allowed_hosts": "dpk.example.org, gpu-box:8000,[fd00::1],*,"},
    ],
)
def test_addresses_that_may_work(configure: Configure, values: dict[str, str]) -> None:
    chosen = configure(**values)
    assert checked_settings() is chosen


def test_every_setting_that_is_wrong_is_named(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    configure()
    monkeypatch.setenv("DPK_PORT", "abc")
    monkeypatch.setenv("DPK_SLOTS", "0")
    monkeypatch.setenv("DPK_LEASE_SECONDS", "-1")
    monkeypatch.setenv("DPK_ALLOWED_HOSTS", "https://dpk.example.org/")
    settings.cache_clear()
    with pytest.raises(CannotStart) as raised:
        checked_settings()
    assert sorted(str(raised.value).splitlines()) == [
        "DPK_ALLOWED_HOSTS='https://dpk.example.org/': 'https://dpk.example.org/' is no host's name; "
        "write names by commas, without http:// and path.",
        "DPK_LEASE_SECONDS='-1': This must be more than 0.",
        "DPK_PORT='abc': This must be a whole number.",
        "DPK_SLOTS='0': This must be at least 1.",
    ]


def test_a_key_that_is_refused_is_not_printed(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    configure()
    monkeypatch.setenv("DPK_WEBHOOK_KEY", "secret")
    settings.cache_clear()
    with pytest.raises(CannotStart, match=r"^DPK_WEBHOOK_KEY: take 32 characters or more") as raised:
        checked_settings()
    assert "secret" not in str(raised.value)
    with pytest.raises(ValidationError) as unhandled:
        settings()
    assert "secret" not in str(unhandled.value)


def test_a_heartbeat_that_a_lease_cannot_wait_for(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(webhook_key="k" * 32)
    monkeypatch.setenv("DPK_LEASE_SECONDS", "1")
    settings.cache_clear()
    with pytest.raises(CannotStart) as raised:
        checked_settings()
    assert str(raised.value) == (
        "DPK_HEARTBEAT_SECONDS=2 must be at most a third of DPK_LEASE_SECONDS=1, "
        "or a run is given to another worker between two reports."
    )


@pytest.mark.parametrize("below", ["", "below"])
def test_a_home_that_is_a_file(configure: Configure, tmp_path: Path, below: str) -> None:
    (tmp_path / "taken").write_text("")
    configure(home=tmp_path / "taken" / below)
    with pytest.raises(CannotStart, match=r"^DPK_HOME: the folder .* cannot be made"):
        checked_settings()


def test_a_database_that_is_a_folder(configure: Configure, tmp_path: Path) -> None:
    configure(database_url=f"sqlite:///{tmp_path}")
    with pytest.raises(CannotStart, match="is a folder"):
        checked_settings()


ENTRIES: list[tuple[str, Callable[[], object]]] = [
    ("python -m service", service.main),
    ("python -m worker", lambda: worker.main([])),
    ("python -m worker --healthy", lambda: worker.main(["--healthy"])),
    ("python -m migrations upgrade", lambda: migrations.main(["upgrade"])),
    ("python -m migrations current", lambda: migrations.main(["current"])),
]


@pytest.mark.parametrize("entry", [entry for _, entry in ENTRIES], ids=[name for name, _ in ENTRIES])
def test_every_process_ends_with_the_sentence(
    configure: Configure, capsys: pytest.CaptureFixture[str], entry: Callable[[], object]
) -> None:
    configure(database_url="postgres://dpk:secret@db/dpk")
    with pytest.raises(SystemExit) as raised:
        entry()
    said = capsys.readouterr()
    assert (raised.value.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert said.err.startswith("DPK_DATABASE_URL begins with postgres://")


class TestMigrating:
    """What the database itself says is the sentence."""

    @pytest.mark.parametrize(
        ("address", "said"),
        [
            ("postgresql+psycopg://dpk:secret@127.0.0.1:1/dpk", "Connection refused"),
            ("postgresql+psycopg://dpk:secret@nowhere.invalid/dpk", "nowhere.invalid"),
        ],
    )
    def test_a_server_that_is_not_there(
        self, configure: Configure, capsys: pytest.CaptureFixture[str], address: str, said: str
    ) -> None:
        configure(database_url=address)
        self._ends(capsys, said)

    def test_a_file_that_is_no_database(
        self, configure: Configure, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        (tmp_path / "letter.txt").write_text("Dear reader, " * 100)
        configure(database_url=f"sqlite:///{tmp_path / 'letter.txt'}")
        self._ends(capsys, "file is not a database")

    def test_a_revision_that_there_is_not(self, configure: Configure, capsys: pytest.CaptureFixture[str]) -> None:
        configure()
        self._ends(capsys, "'newest'", "newest")

    @pytest.mark.servers
    def test_a_database_that_there_is_not(
        self, configure: Configure, capsys: pytest.CaptureFixture[str], postgres_url: str
    ) -> None:
        configure(database_url=postgres_url.replace("dpk_test_", "dpk_none_"))
        self._ends(capsys, "does not exist")

    def _ends(self, capsys: pytest.CaptureFixture[str], words: str, revision: str = "head") -> None:
        with pytest.raises(SystemExit) as raised:
            migrations.main(["upgrade", revision])
        said = capsys.readouterr()
        assert (raised.value.code, said.out, said.err.count("\n")) == (2, "", 1)
        assert "cannot be migrated: " in said.err
        assert words in said.err
        assert "secret" not in said.err
