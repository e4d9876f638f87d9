"""Every failure has a kind and one sentence."""

from __future__ import annotations

import errno
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dpk_core.errors import ArtifactFault, DataFault, DiskFault, InvalidRequest, MissingHere, TrainingDiverged
from dpk_core.protocol import Event, Failed, FailureKind, Stopped
from dpk_core.runner import __main__ as entry
from dpk_core.runner.failures import classify
from dpk_core.runner.inbox import Assignment


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "out_of_memory"),
        (RuntimeError("[enforce fail] . DefaultCPUAllocator: can't allocate memory"), "out_of_memory"),
        (MemoryError(), "out_of_memory"),
        (TrainingDiverged("The loss."), "diverged"),
        (DataFault("The data."), "data"),
        (ArtifactFault("The file."), "artifact"),
        (MissingHere("The machine."), "missing_here"),
        (DiskFault("The disk."), "disk_full"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk_full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "disk_full"),
        (OSError(errno.EROFS, "Read-only file system"), "disk_full"),
        (caused(DataFault("It could not be fetched."), OSError(errno.ENOSPC, "No space left on device")), "disk_full"),
        (caused(DataFault("It cannot be read."), OSError(errno.EIO, "Input/output error")), "data"),
        (PermissionError(errno.EACCES, "Permission denied"), "internal"),
        (InvalidRequest("model", "No such model."), "invalid"),
        (ValueError("CRD needs labels"), "invalid"),
        (KeyError("fc.weight"), "invalid"),
        (torch.linalg.LinAlgError("The algorithm failed to converge."), "invalid"),
        (RuntimeError("odd"), "internal"),
        (RuntimeError("CUDA error: an illegal memory access; sizes must match"), "internal"),
        (ConnectionResetError("by peer"), "internal"),
    ],
)
def test_kinds(error: Exception, kind: FailureKind) -> None:
    assert classify(error)[0] == kind


def test_our_own_errors_speak_for_themselves() -> None:
    assert classify(DataFault("The data is gone."))[1] == "The data is gone."


def test_an_error_without_words_is_named_once() -> None:
    assert classify(AssertionError())[1].endswith("the same way: AssertionError")


def test_a_long_message_of_somebody_else_is_cut_to_a_line() -> None:
    message = classify(RuntimeError("first line\nsecond line"))[1]
    assert message == "The runner met an error of its own: RuntimeError: first line"


def mismatched(how: str) -> None:
    pictures = torch.zeros(2, 3, 4, 4)
    if how == "sum":
        torch.zeros(2) + torch.zeros(3)
    elif how == "product":
        torch.zeros(2, 3) @ torch.zeros(2, 3)
    elif how == "channels":
        torch.nn.Conv2d(1, 2, 1)(pictures)
    elif how == "kernel":
        torch.nn.Conv2d(3, 2, 7)(pictures)
    elif how == "view":
        pictures.view(5, 5)
    elif how == "state":
        torch.nn.Linear(2, 2).load_state_dict({})
    elif how == "stack":
        torch.cat([torch.zeros(2, 3), torch.zeros(2, 4)])
    else:
        torch.nn.functional.avg_pool2d(pictures, 9)


@pytest.mark.parametrize("how", ["sum", "product", "channels", "kernel", "view", "state", "stack", "pool"])
def test_what_does_not_fit_would_not_fit_in_another_try(how: str) -> None:
    with pytest.raises(RuntimeError) as caught:
        mismatched(how)
    kind, message = classify(caught.value)
    assert kind == "invalid"
    assert "another try would fail the same way" in message


def test_one_picture_under_batch_normalisation_names_the_batch() -> None:
    with pytest.raises(ValueError, match="Expected more than 1 value") as caught:
        torch.nn.BatchNorm2d(3)(torch.zeros(1, 3, 1, 1))
    kind, message = classify(caught.value)
    assert kind == "invalid"
    assert "budget.batch_size" in message


def test_a_real_allocation_that_is_too_large_is_seen_as_such() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50, dtype=torch.uint8)
    assert classify(caught.value)[0] == "out_of_memory"


@pytest.mark.parametrize(("error", "written"), [(TrainingDiverged("The loss."), ""), (KeyError("x"), "Traceback")])
def test_only_what_nobody_foresaw_leaves_a_traceback(
    error: Exception, written: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(_: Assignment) -> Event:
        raise error

    assignment: Any = SimpleNamespace(command=SimpleNamespace(run_id="r"))
    failed = entry._last_event(assignment, work)
    assert isinstance(failed, Failed)
    assert capsys.readouterr().err[: len("Traceback")] == written


def test_memory_is_given_back_once_the_worker_has_heard_and_not_after_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What broke a GPU's context breaks the giving back as well, and would cost the failure its sentence."""
    done: list[str] = []
    waiting = [SimpleNamespace(command=SimpleNamespace(run_id=name)) for name in ("stopped", "failed")]

    def work(assignment: Assignment) -> Event:
        if assignment.command.run_id == "failed":
            raise DataFault("The data.")
        return Stopped(run_id=assignment.command.run_id, step=0)

    inbox: Any = SimpleNamespace(next=lambda: waiting.pop(0) if waiting else None, done=lambda: None)
    channel: Any = SimpleNamespace(send=lambda event: done.append(event.type))
    arguments: Any = SimpleNamespace(threads=1)
    monkeypatch.setattr(entry, "_give_memory_back", lambda: done.append("given back"))
    entry._serve(arguments, inbox, channel, "cuda:0", "GPU", work)
    assert done == ["ready", "stopped", "given back", "failed"]
