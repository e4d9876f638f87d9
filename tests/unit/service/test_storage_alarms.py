"""Disks that are full are told where a person looks first."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from dpk_core.disk import machine
from service.database.session import transaction
from service.health.service import alarms
from service.runs import repository
from service.settings import Settings


@pytest.fixture
def settings(embedded: Callable[..., Settings]) -> Settings:
    return embedded()


def test_what_troubles_a_worker_is_told_once_and_no_longer_than_it_lasts(settings: Settings) -> None:
    for worker, trouble in (("a", "The disk is full on box."), ("b", "The disk is full on box."), ("a", None)):
        with transaction() as session:
            repository.put_worker(session, worker, queues="runs", slots=1, device=None, trouble=trouble)
    assert alarms() == ["The disk is full on box."]
    with transaction() as session:
        repository.put_worker(session, "b", queues="runs", slots=1, device=None)
    assert alarms() == []


def test_a_disk_that_is_nearly_full_here(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=3 * 2**20))
    assert alarms() == [
        f"The disk is nearly full on {machine()} ({folder}): 3 MB are left. Free space there."
        for folder in (settings.home, settings.resolved_artifact_root)
    ]
