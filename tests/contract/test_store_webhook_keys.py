"""The key that secrets of webhooks are derived from: made, read and missing."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from service.database.session import transaction
from service.database.webhook_tables import WebhookDelivery
from service.problems import Conflict
from service.settings import Settings
from service.webhooks import secrets
from tests.contract.job_driver import ON_SQLITE
from tests.contract.test_store_webhooks import add, log, send, send_test, store

__all__ = ["store"]


@ON_SQLITE
def test_another_key_signs_nothing(configure: Callable[..., Settings], migrated_url: str) -> None:
    added = add()
    message = send_test(added.webhook.id).id
    configure(database_url=migrated_url, webhook_key="other" * 8)
    assert send(message, 200) == []
    assert "It has another DPK_WEBHOOK_KEY" in (log(added.webhook.id)[0].error or "")


@ON_SQLITE
def test_without_a_key_the_embedded_store_makes_one_that_only_its_owner_reads(
    configure: Callable[..., Settings], migrated_url: str
) -> None:
    chosen = configure(database_url=migrated_url, webhook_key="")
    first, second = add(), add()
    assert first.secret != second.secret
    file = chosen.home / "webhook.key"
    assert file.stat().st_mode & 0o077 == 0
    with transaction() as session:
        stored = json.dumps([dict(row) for row in session.execute(select(WebhookDelivery.__table__)).mappings()])
    assert first.secret not in stored


@ON_SQLITE
def test_a_key_that_cannot_be_read_or_written_is_said(
    configure: Callable[..., Settings], migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(*_arguments: object) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    def fill(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    file = configure(database_url=migrated_url, webhook_key="").home / secrets.FILE
    with monkeypatch.context() as patch:
        patch.setattr(secrets, "_write", fill)
        with pytest.raises(Conflict, match=f"The key {file} cannot be written: No space left on device"):
            add()
    added = add().webhook.id
    message = send_test(added).id
    monkeypatch.setattr(Path, "read_bytes", deny)
    with pytest.raises(Conflict, match=f"The key {file} cannot be read: Permission denied"):
        add()
    assert send(message, 200) == []
    (tried,) = log(added)
    assert (tried.state, tried.attempts) == ("waiting", 1)
    assert (tried.error or "").startswith(f"This worker cannot sign messages. The key {file} cannot be read")


@ON_SQLITE
def test_a_key_is_whole_before_anybody_can_read_it(
    configure: Callable[..., Settings], migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = configure(database_url=migrated_url, webhook_key="")
    found = list[bytes | None]()

    def look(_handle: int) -> None:
        file = chosen.home / secrets.FILE
        found.append(file.read_bytes() if file.exists() else None)

    with monkeypatch.context() as patch:
        patch.setattr(secrets.os, "fsync", look)
        key = secrets.server_key(chosen)
    assert found == [None]
    assert [file.name for file in chosen.home.iterdir()] == [secrets.FILE]
    secrets._make_key(chosen.home / secrets.FILE)
    assert secrets.server_key(chosen) == key, "the first of several that are made at once stays"


@ON_SQLITE
def test_a_file_system_without_links_keeps_the_first_key_too(
    configure: Callable[..., Settings], migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_paths: object) -> None:
        raise PermissionError(errno.EPERM, "no links here")

    chosen = configure(database_url=migrated_url, webhook_key="")
    monkeypatch.setattr(secrets.os, "link", link)
    key = secrets.server_key(chosen)
    secrets._make_key(chosen.home / secrets.FILE)
    assert secrets.server_key(chosen) == key
    file = chosen.home / secrets.FILE
    assert file.stat().st_mode & 0o077 == 0
    assert list(chosen.home.iterdir()) == [file]
