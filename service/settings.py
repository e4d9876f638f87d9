"""Process settings, read from the environment (`DPK_…`) once per process. No run's specification is taken from here."""

from __future__ import annotations

import functools
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL, make_url

_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\[\]:@/?#*\s]+)(?::\d{1,5})?")
LEAST_KEY = 32
"""Characters of `webhook_key`."""
REPORTS_PER_LEASE = 3
"""Of a worker at least; one that is late or lost costs no claim."""
_PLAIN_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)*/?")


def plain_path(path: str) -> str:
    """The path without a slash at its end. Raises ValueError unless it is plain and thus can go in a link."""
    if _PLAIN_PATH.fullmatch(path) is None:
        raise ValueError("write a path as /dpk, of letters, digits and . _ ~ - after single slashes")
    return path.rstrip("/")


class Settings(BaseSettings):
    """Defaults are the embedded ones: everything under one home folder, no server needed."""

    model_config = SettingsConfigDict(
        env_prefix="DPK_", frozen=True, extra="ignore", use_attribute_docstrings=True, hide_input_in_errors=True,
    )  # fmt: skip

    home: Path = Path(".dpk")
    """Where the embedded database, queue, artifacts and reports live."""
    database_url: str = ""
    """SQLAlchemy address; empty: SQLite under `home`. For Postgres: `postgresql+psycopg://…`."""
    broker_url: str = ""
    """Celery address; empty: message files under `home`. For Redis: `redis://…`."""
    artifact_root: Path | None = None
    """Checkpoints and weights; None: under `home`. All workers and machines must see the same files."""
    data_root: Path | None = None
    """Folder of data sets (`.npz` files, picture folders, Parquet, CIFAR); None: only `digits`."""
    weights_root: Path | None = None
    """Folder of safetensors and PyTorch files that teachers and students may start from; None: there are none."""
    model_megabytes: int = Field(default=256, ge=1, le=2047)
    """Largest file of an uploaded model, in MiB."""
    root_path: Annotated[str, AfterValidator(plain_path)] = ""
    """Path under which a proxy serves this, as `/dpk`; the proxy takes it away before it passes a request on."""
    trust_proxy: bool = False
    """Whether every request comes through a proxy of ours, whose `X-Forwarded-…` headers hold."""
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    allowed_hosts: str = ""
    """Names, by commas, that the server is known as beside `localhost` and `host`; `*`: any. A page under one of them
    (`name` or `name:port`) may send writes."""
    database_pool_size: int = Field(default=10, ge=1)
    """Connections that a process keeps open to the database. On Postgres, two more look up answers that are known."""
    database_pool_overflow: int = Field(default=10, ge=0)
    """Connections that it may open beyond these for a while. The API serves as many requests at once as both allow."""
    database_pool_seconds: float = Field(default=10.0, gt=0)
    """A request that gets no connection within this time is answered with 503."""
    database_statement_seconds: float | None = Field(default=60.0, gt=0)
    """Postgres ends a statement after this time."""
    database_lock_seconds: float | None = Field(default=30.0, gt=0)
    """Postgres ends a statement that waits longer for a lock; SQLite one that waits longer for another writer."""
    webhook_key: SecretStr = SecretStr("")
    """From which the secrets of webhooks are derived, 32 characters or more; the same for the API and all control
    workers. Empty: a file under `home`, where the database is the embedded one."""
    webhook_networks: str = ""
    """Networks by commas, as `10.0.0.0/8`, whose private addresses webhooks may reach all the same."""
    lease_seconds: float = Field(default=30.0, gt=0)
    """A run whose worker has not been heard of for this long is given to another worker."""
    sweep_seconds: float = Field(default=5.0, gt=0)
    """Time between two sweeps for lost messages and expired leases."""
    heartbeat_seconds: float = Field(default=2.0, gt=0)
    """Time between two reports of a worker that carries out a run; at most a third of `lease_seconds`."""
    checkpoint_seconds: float = Field(default=30.0, ge=0)
    """Time between two checkpoints of a training; 0: one after each batch. What lies behind the last one is repeated
    where a worker is lost."""
    stop_grace_seconds: float = Field(default=10.0, gt=0)
    """Time a runner gets to write a checkpoint when it is asked to stop; then its process group is killed."""
    stall_seconds: float = Field(default=900.0, gt=0)
    """A runner that says nothing for this long while it carries out a run is killed, and the run tried again."""
    slots: int = Field(default=2, ge=1)
    """Runs one worker carries out at the same time, each in its own runner process."""
    device: str = "auto"
    """`auto`: the first CUDA device if there is one, else the CPU; or a torch device name; or several by commas
    (`cuda:0,cuda:1`), which share each run. They give the same numbers as one, to rounding."""
    threads: int = Field(default=1, ge=1)
    """CPU threads per runner. Results are bit-identical only between runs with the same number."""
    max_attempts: int = Field(default=5, ge=1)
    """Times a run may be started without a checkpoint that is further than those before; then it has failed. With 1
    it is started once, whatever its checkpoints."""
    retry_seconds: float = Field(default=5.0, ge=0)
    """Wait before a failed run is tried again. It doubles with each further try, up to five minutes."""

    @field_validator("allowed_hosts")
    @classmethod
    def _are_names(cls, value: str) -> str:
        for entry in filter(None, map(str.strip, value.split(","))):
            if entry != "*" and not _HOST.fullmatch(entry):
                raise ValueError(f"{entry!r} is no host's name; write names by commas, without http:// and path")
        return value

    @field_validator("webhook_key")
    @classmethod
    def _is_long(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < LEAST_KEY:
            raise ValueError(f"take {LEAST_KEY} characters or more, as `openssl rand -hex 32` makes")
        return value

    @field_validator("webhook_networks")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        for entry in filter(None, map(str.strip, value.split(","))):
            ip_network(entry)
        return value

    @model_validator(mode="after")
    def _reports_in_time(self) -> Self:
        # 0.1 × 3 is above 0.3 in binary fractions.
        if self.heartbeat_seconds * REPORTS_PER_LEASE > self.lease_seconds * (1 + 1e-9):
            raise ValueError(
                f"DPK_HEARTBEAT_SECONDS={self.heartbeat_seconds:g} must be at most a third of "
                f"DPK_LEASE_SECONDS={self.lease_seconds:g}, or a run is given to another worker between two reports"
            )
        return self

    @property
    def database_address(self) -> URL:
        """The database address with the embedded default filled in; a path is taken as it is, not as part of a URL."""
        if self.database_url:
            return make_url(self.database_url)
        return URL.create("sqlite", database=str(self.home.absolute() / "dpk.sqlite"))

    @property
    def silence_seconds(self) -> float:
        """A worker that was not heard of for this long counts as gone."""
        return max(self.lease_seconds, 2 * self.sweep_seconds)

    @property
    def resolved_artifact_root(self) -> Path:
        """The artifact folder with the embedded default filled in."""
        return (self.artifact_root or self.home / "artifacts").absolute()

    @property
    def queue_folder(self) -> Path:
        """Where the embedded queue keeps its message files."""
        return (self.home / "queue").absolute()


@functools.cache
def settings() -> Settings:
    """The settings of this process."""
    return Settings()
