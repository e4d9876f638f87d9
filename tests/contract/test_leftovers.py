"""Which checkpoints rows let go of, and which files have to stay, on SQLite and on Postgres."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from dpk_core.protocol import FailureKind
from service.database.session import reading, transaction
from service.runs import leftovers, repository, service
from service.runs.claims import Report
from tests.contract.run_driver import claimed, create, finish, report, row
from tests.contract.run_specs import checkpoint, reference, run_spec

pytestmark = pytest.mark.usefixtures("store")

End = Literal["finished", "cancelled"] | FailureKind


def ended(name: str, end: End, *, stop: int, reached: int, seed: int = 0) -> str:
    """A run to epoch `stop` that ended with a checkpoint at epoch `reached`."""
    held = claimed(create(run_spec(seed, stop_epoch=stop)))
    kept = replace(checkpoint(name, step=100 * reached, seconds=1.0), epoch=reached)
    report(held, Report(checkpoint=kept))
    if end == "finished":
        finish(held)
    with transaction() as session:
        if end == "cancelled":
            service.request_cancel(session, [held.run_id], "mine")
            service.release(session, held)
        elif end != "finished":
            service.fail(session, held, end, "It broke.", max_attempts=1)
    return held.run_id


def unneeded() -> list[str]:
    with reading() as session:
        return leftovers.unneeded(session)


def drop(run_ids: list[str]) -> None:
    with transaction() as session:
        repository.drop_checkpoints(session, run_ids)


def kept() -> set[str]:
    """The runs that still name a checkpoint, after those that nobody needs were let go of."""
    drop(unneeded())
    with reading() as session:
        return {found.id for found in repository.resting(session) if found.reached is not None}


def test_a_rung_is_kept_until_a_longer_run_has_finished() -> None:
    first = ended("1.pt", "finished", stop=1, reached=1)
    assert kept() == {first}
    second = ended("2.pt", "finished", stop=2, reached=2)
    assert kept() == {second}
    assert claimed(create(run_spec(stop_epoch=3))).resume == replace(checkpoint("2.pt", step=200, seconds=1.0), epoch=2)


def test_nothing_is_kept_of_a_complete_training() -> None:
    ended("2.pt", "finished", stop=2, reached=2)
    ended("3.pt", "cancelled", stop=4, reached=3)
    ended("4.pt", "finished", stop=4, reached=4)
    assert kept() == set()


def test_what_was_cancelled_is_kept_as_long_as_it_is_further_than_what_finished() -> None:
    behind = ended("0.pt", "cancelled", stop=4, reached=1)
    assert kept() == {behind}
    finished = ended("2.pt", "finished", stop=2, reached=2)
    ahead = ended("3.pt", "cancelled", stop=4, reached=3)
    assert kept() == {finished, ahead}


def test_a_failure_that_speaks_against_the_checkpoint_and_a_withdrawal_let_go_of_it() -> None:
    kinds: tuple[FailureKind, ...] = ("out_of_memory", "diverged", "artifact")
    failed = [ended(f"{kind}.pt", kind, stop=4, reached=2, seed=seed) for seed, kind in enumerate(kinds)]
    withdrawn = ended("w.pt", "finished", stop=2, reached=2, seed=9)
    with transaction() as session:
        repository.withdraw(session, row(withdrawn).training_key)
    assert kept() == {failed[0]}


def test_a_training_with_a_run_on_its_way_is_left_alone() -> None:
    first, second = (ended(f"{epoch}.pt", "finished", stop=epoch, reached=epoch) for epoch in (1, 2))
    before = unneeded()
    create(run_spec(stop_epoch=3))
    assert (before, unneeded()) == ([first], [])
    drop(before)
    assert all(row(run_id).checkpoint is not None for run_id in (first, second)), "it was made since they were found"


def test_a_complete_training_leaves_its_weights_instead_of_a_checkpoint() -> None:
    held = claimed(create(run_spec()))
    report(held, Report(checkpoint=checkpoint("4.pt", step=400, seconds=1.0)))
    finish(held, weights=reference("weights/w.safetensors"), samples=reference("weights/w.boxes.json"))
    assert row(held.run_id).checkpoint is None
    with transaction() as session:
        named = repository.named_files(session, [held.run_id, "unknown"])
    assert named == {held.run_id: {"weights/w.safetensors", "weights/w.boxes.json"}}


def test_files_that_a_run_on_its_way_goes_on_from_stay_and_its_own_are_not_asked_for() -> None:
    first = ended("1.pt", "finished", stop=1, reached=1)
    going_on = claimed(create(run_spec(stop_epoch=2))).run_id
    other = ended("other.pt", "cancelled", stop=2, reached=1, seed=7)
    with transaction() as session:
        named = repository.named_files(session, [first, going_on, other])
    assert named == {first: {"1.pt"}, other: {"1.pt", "other.pt"}}
