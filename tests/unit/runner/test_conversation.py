"""Talking to a real runner process: runs, stops, failures; it lives on through all of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from dpk_core.catalogue.datasets import DIGITS, dataset_card
from dpk_core.catalogue.weights import file_identity
from dpk_core.data.source import load_dataset
from dpk_core.evidence import unpack
from dpk_core.models.build import build_model
from dpk_core.protocol import (
    Checkpointed,
    Failed,
    Finished,
    Measured,
    Notice,
    Noticed,
    Progressed,
    ShutdownCommand,
    Started,
    StopCommand,
    Stopped,
    encode,
)
from dpk_core.recipes import AS_IS
from dpk_core.spec import MethodName, Start
from tests.unit.catalogue.npz_files import write_npz
from tests.unit.runner.conversation import PATIENCE_SECONDS, RECIPE, Runner, command, measurements, of_kind, running

STEPS = 898 // 128
LONG = replace(RECIPE, epochs=500)


@pytest.fixture(scope="module")
def runner(alone: Runner) -> Runner:
    return alone


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("artifacts")


@pytest.fixture(scope="module")
def teacher(runner: Runner, artifacts: Path) -> Finished:
    """The last word about a teacher's own training."""
    last = runner.run(command(artifacts, "teacher", model="cifar/resnet8w8", role="teacher"))[-1]
    assert isinstance(last, Finished)
    return last


def failure(runner: Runner, artifacts: Path, kind: str, **changes: Any) -> Failed:
    """How a run fails, and that the runner goes on working afterwards."""
    last = runner.run(command(artifacts, "bad", **changes))[-1]
    assert isinstance(last, Failed)
    assert (last.run_id, last.kind) == ("bad", kind)
    assert isinstance(runner.run(command(artifacts, "good", stop_epoch=1))[-1], Finished)
    return last


def test_ready_comes_first(runner: Runner) -> None:
    assert runner.ready.pid == runner.process.pid
    assert (runner.ready.device, runner.ready.threads) == ("cpu", 1)


class TestFinished:
    def test_a_teachers_training_leaves_weights(self, teacher: Finished, artifacts: Path) -> None:
        result = teacher.result
        assert result.weights is not None
        assert result.weights.bytes == (artifacts / "weights" / "teacher.safetensors").stat().st_size
        assert result.test_score is not None
        assert (result.epochs, result.validation_pictures, result.test_pictures) == (2, 539, 360)
        assert result.validation_evidence is not None
        assert unpack(result.validation_evidence).mean() == pytest.approx(result.validation_score)

    def test_a_students_full_training_leaves_weights_that_do_the_same_in_plain_pytorch(
        self, runner: Runner, artifacts: Path
    ) -> None:
        last = runner.run(command(artifacts, "student"))[-1]
        assert isinstance(last, Finished)
        assert last.result.weights is not None
        assert last.result.preprocessing is not None
        seen = last.result.preprocessing
        assert (seen.channels, seen.side, seen.classes) == (1, 8, 10)
        network = build_model("cifar/resnet8w4", classes=seen.classes, channels=seen.channels, seed=9).eval()
        network.load_state_dict(safetensors.torch.load_file(artifacts / last.result.weights.path))
        test = load_dataset(DIGITS, None, torch.device("cpu")).read_test()
        pictures_BCHW = test.start_reading(torch.arange(len(test.labels)))()
        mean, deviation = (torch.tensor(each)[:, None, None] for each in (seen.mean, seen.deviation))
        with torch.no_grad():
            answers_B = network((pictures_BCHW.float() - mean) / deviation).argmax(1)
        right = (answers_B == test.labels).float().mean().item()
        assert right == pytest.approx(last.result.test_score, abs=1e-6)

    def test_an_average_of_the_weights_is_what_is_judged_and_kept(self, runner: Runner, artifacts: Path) -> None:
        averaged = replace(RECIPE, ema_decay=0.5)
        events = runner.run(command(artifacts, "averaged", role="teacher", recipe=averaged))
        checkpoint = of_kind(events, Checkpointed)[-1].checkpoint
        state = torch.load(artifacts / checkpoint.file.path, weights_only=True)
        weights = safetensors.torch.load_file(artifacts / "weights" / "averaged.safetensors")
        assert all(torch.equal(value, state["average"]["network"][name]) for name, value in weights.items())
        assert not all(torch.equal(value, state["student"][name]) for name, value in weights.items())

    def test_weights_are_taken_as_they_are(self, runner: Runner, artifacts: Path, teacher: Finished) -> None:
        assert teacher.result.weights is not None
        kept = teacher.result.weights
        start = Start(source="file", name=kept.path, identity=f"sha256:{kept.sha256}")
        given: dict[str, Any] = {"model": "cifar/resnet8w8", "role": "teacher", "recipe": AS_IS, "start": start}
        events = runner.run(command(artifacts, "as_is", weights_root=artifacts, **given))
        last = events[-1]
        assert isinstance(last, Finished)
        assert last.result.weights is not None
        assert (last.result.epochs, last.result.weights.sha256) == (0, kept.sha256)
        assert last.result.validation_score == teacher.result.validation_score
        assert last.result.test_score == teacher.result.test_score
        assert of_kind(events, Checkpointed) == []
        assert [event.epoch for event in of_kind(events, Measured)] == [0]

    def test_weights_that_tell_nothing_apart_are_warned_of(self, runner: Runner, artifacts: Path) -> None:
        network = build_model("cifar/resnet8w8", classes=10, channels=1, seed=3)
        safetensors.torch.save_file(network.state_dict(), artifacts / "blind.safetensors")
        start = Start(
            source="file",
            name="blind.safetensors",
            identity=file_identity(artifacts / "blind.safetensors", "blind", "x"),
        )
        given: dict[str, Any] = {"model": "cifar/resnet8w8", "role": "teacher", "recipe": AS_IS, "start": start}
        events = runner.run(command(artifacts, "blind", weights_root=artifacts, **given))
        notices = [Notice(level=event.level, message=event.message) for event in of_kind(events, Noticed)]
        assert [notice.level for notice in notices] == ["info", "warning", "warning"]
        assert "The picture scaling of these weights is not known" in notices[0].message
        assert "The teacher tells the classes no better than chance: " in notices[1].message
        assert "classes in another order" in notices[2].message
        last = events[-1]
        assert isinstance(last, Finished)
        assert list(last.result.notices) == notices
        assert last.result.guess_score == pytest.approx(0.102, abs=0.001)

    def test_a_probe_reads_no_test_and_leaves_no_weights(self, runner: Runner, artifacts: Path) -> None:
        events = runner.run(command(artifacts, "probe", stop_epoch=1))
        started, last = events[0], events[-1]
        assert isinstance(started, Started)
        assert (started.step, started.total_steps, started.steps_per_epoch) == (0, STEPS, STEPS)
        assert isinstance(last, Finished)
        assert (last.result.epochs, last.result.test_score, last.result.weights) == (1, None, None)
        assert last.result.validation_score == measurements(events)[-1]["validation_accuracy"]
        assert last.result.parameters == started.parameters > 1000

    def test_a_full_student_reads_test_and_its_state_is_its_checkpoint(self, runner: Runner, artifacts: Path) -> None:
        events = runner.run(command(artifacts, "full"))
        last = events[-1]
        assert isinstance(last, Finished)
        assert last.result.test_score is not None
        assert last.result.weights is not None, "a full training keeps its student"
        checkpoint = of_kind(events, Checkpointed)[-1].checkpoint
        assert (checkpoint.step, checkpoint.epoch) == (2 * STEPS, 2)
        assert (artifacts / checkpoint.file.path).stat().st_size == checkpoint.file.bytes
        assert of_kind(events, Progressed)[-1].step == 2 * STEPS

    def test_a_student_under_dpk(self, runner: Runner, artifacts: Path, teacher: Finished) -> None:
        events = runner.run(command(artifacts, "dpk", method="dpk", teacher=teacher.result.weights))
        assert isinstance(events[-1], Finished)
        assert 0.15 <= measurements(events)[-1]["share.last"] <= 0.9

    def test_scores_come_with_a_teacher_and_with_a_student_under_one(
        self, runner: Runner, artifacts: Path, teacher: Finished
    ) -> None:
        assert set(teacher.result.scores or {}) == {"logme", "leep", "h_score", "ratio_1_2"}
        weights = teacher.result.weights
        first = runner.run(command(artifacts, "gap1", method="kd", teacher=weights, stop_epoch=1))
        measured = of_kind(first, Finished)[0].result.scores
        assert set(measured or {}) == {"cka_gap"}
        kept = of_kind(first, Checkpointed)[-1].checkpoint
        # Whether the run before was cancelled, and so told nothing, a checkpoint does not say.
        later = command(artifacts, "gap2", method="kd", teacher=weights, resume=kept, earlier_seconds=kept.seconds)
        assert of_kind(runner.run(later), Finished)[0].result.scores == measured
        known = replace(later, run_id="gap3", known_scores={"cka_gap": 0.25})
        assert of_kind(runner.run(known), Finished)[0].result.scores == {"cka_gap": 0.25}

    def test_a_share_that_falls_back_is_noticed_once(self, runner: Runner, artifacts: Path, teacher: Finished) -> None:
        recipe = replace(RECIPE, batch_size=4, epochs=1)
        events = runner.run(command(artifacts, "few", method="dpk", teacher=teacher.result.weights, recipe=recipe))
        assert measurements(events)[-1]["share_fallback.last"] > 0
        notices = [notice.message for notice in of_kind(events, Noticed) if "stage last " in notice.message]
        assert len(notices) == 1
        (result,) = [event.result for event in of_kind(events, Finished)]
        assert len([each for each in result.notices if "share of stage last took its fallback" in each.message]) == 1

    def test_a_data_set_of_the_data_root(self, runner: Runner, artifacts: Path, tmp_path: Path) -> None:
        write_npz(tmp_path)
        card = dataset_card("npz/made", tmp_path, "dataset")
        last = runner.run(
            command(
                artifacts, "npz", dataset="npz/made", data_root=tmp_path, fingerprint=card.fingerprint,
                recipe=replace(RECIPE, batch_size=16),
            )
        )[-1]  # fmt: skip
        assert isinstance(last, Finished)
        assert last.result.test_pictures == 12


class TestStopAndResume:
    @pytest.mark.parametrize("method", ["none", "dpk"])
    def test_stopped_and_resumed_equals_uninterrupted(
        self, runner: Runner, artifacts: Path, teacher: Finished, method: MethodName
    ) -> None:
        recipe = replace(RECIPE, epochs=6)
        weights = teacher.result.weights if method == "dpk" else None
        whole = runner.run(command(artifacts, f"whole-{method}", method=method, teacher=weights, recipe=recipe))
        interrupted = command(artifacts, f"cut-{method}", method=method, teacher=weights, recipe=recipe)
        runner.say(interrupted)
        first = runner.until(Started)
        runner.say(StopCommand())
        first += runner.until(Stopped, Finished)
        checkpoint = of_kind(first, Checkpointed)[-1].checkpoint
        last = first[-1]
        assert isinstance(last, Stopped)
        assert last.step == checkpoint.step < 6 * STEPS
        second = runner.run(replace(interrupted, resume=checkpoint))
        assert of_kind(second, Started)[0].step == checkpoint.step
        assert measurements(first) + measurements(second) == measurements(whole)
        assert isinstance(whole[-1], Finished)
        assert isinstance(second[-1], Finished)
        assert second[-1].result.test_score == whole[-1].result.test_score

    def test_a_full_run_goes_on_from_its_probe(self, runner: Runner, artifacts: Path) -> None:
        whole = runner.run(command(artifacts, "at-once"))
        probe = runner.run(command(artifacts, "first", stop_epoch=1))
        checkpoint = of_kind(probe, Checkpointed)[-1].checkpoint
        full = runner.run(command(artifacts, "second", resume=checkpoint, earlier_seconds=checkpoint.seconds))
        assert measurements(probe) + measurements(full) == measurements(whole)
        assert (artifacts / checkpoint.file.path).exists()
        assert isinstance(full[-1], Finished)
        assert full[-1].result.seconds < of_kind(full, Checkpointed)[-1].checkpoint.seconds

    @pytest.mark.parametrize("stop_epoch", [4, 12])
    def test_another_run_goes_on_from_where_a_cancelled_one_was_stopped(
        self, runner: Runner, artifacts: Path, stop_epoch: int
    ) -> None:
        recipe = replace(RECIPE, epochs=12)
        runner.say(command(artifacts, f"left-{stop_epoch}", recipe=recipe))
        left = runner.until(Measured)
        runner.say(StopCommand())
        left += runner.until(Stopped)
        checkpoint = of_kind(left, Checkpointed)[-1].checkpoint
        assert 0 < checkpoint.step < 4 * STEPS
        going_on = command(
            artifacts, f"on-{stop_epoch}", recipe=recipe, stop_epoch=stop_epoch, resume=checkpoint,
            earlier_seconds=checkpoint.seconds,
        )  # fmt: skip
        runner.say(going_on)
        first = runner.until(Measured)
        runner.say(StopCommand())
        first += runner.until(Stopped)
        kept = of_kind(first, Checkpointed)[-1].checkpoint
        second = runner.run(replace(going_on, resume=kept))
        last, end = second[-1], of_kind(second, Checkpointed)[-1].checkpoint
        assert isinstance(last, Finished)
        assert last.result.epochs == stop_epoch
        # Both lives of it, and nothing of the run that was cancelled.
        assert last.result.seconds == pytest.approx(end.seconds - checkpoint.seconds)

    def test_resuming_at_the_end_finishes_with_the_same_result(self, runner: Runner, artifacts: Path) -> None:
        events = runner.run(command(artifacts, "ended"))
        again = runner.run(command(artifacts, "ended", resume=of_kind(events, Checkpointed)[-1].checkpoint))
        assert isinstance(events[-1], Finished)
        assert again[-1] == events[-1]

    def test_checkpoints_come_while_it_trains(self, runner: Runner, artifacts: Path) -> None:
        events = runner.run(command(artifacts, "often", checkpoint_seconds=0.0))
        steps = [event.checkpoint.step for event in of_kind(events, Checkpointed)]
        assert sorted(set(steps)) == list(range(1, 2 * STEPS + 1))
        assert all((artifacts / event.checkpoint.file.path).exists() for event in of_kind(events, Checkpointed))

    def test_stop_without_a_run_is_harmless(self, runner: Runner, artifacts: Path) -> None:
        runner.say(StopCommand())
        assert isinstance(runner.run(command(artifacts, "after", stop_epoch=1))[-1], Finished)


class TestOneRunAtATime:
    def test_a_second_run_is_refused_and_the_first_goes_on(self, runner: Runner, artifacts: Path) -> None:
        runner.say(command(artifacts, "one", recipe=LONG))
        runner.until(Started)
        runner.say(command(artifacts, "two"))
        refusal = runner.until(Failed)[-1]
        assert isinstance(refusal, Failed)
        assert (refusal.run_id, refusal.kind) == ("two", "invalid")
        assert "busy with run one" in refusal.message
        runner.say(command(artifacts, "one", recipe=LONG))
        assert "sent again" in of_kind(runner.until(Noticed), Noticed)[-1].message
        runner.say(StopCommand())
        last = runner.until(Stopped)[-1]
        assert isinstance(last, Stopped)
        assert last.run_id == "one"


class TestFailures:
    def test_other_data_than_promised(self, runner: Runner, artifacts: Path) -> None:
        failed = failure(runner, artifacts, "missing_here", fingerprint="sha256:other")
        assert DIGITS.fingerprint in failed.message

    def test_broken_data(self, runner: Runner, artifacts: Path, tmp_path: Path) -> None:
        write_npz(tmp_path, y_train=np.zeros(60, np.uint8))
        failed = failure(runner, artifacts, "missing_here", dataset="npz/made", data_root=tmp_path)
        assert "class 1 of 3 has no picture" in failed.message

    def test_teacher_weights_that_changed(self, runner: Runner, artifacts: Path, teacher: Finished) -> None:
        assert teacher.result.weights is not None
        wrong = replace(teacher.result.weights, sha256="0" * 64)
        failed = failure(runner, artifacts, "artifact", method="dpk", teacher=wrong)
        assert "does not match its checksum" in failed.message

    def test_no_teacher_weights(self, runner: Runner, artifacts: Path) -> None:
        assert "needs the weights" in failure(runner, artifacts, "artifact", method="kd").message

    def test_a_checkpoint_that_is_gone(self, runner: Runner, artifacts: Path) -> None:
        events = runner.run(command(artifacts, "gone", stop_epoch=1))
        checkpoint = of_kind(events, Checkpointed)[-1].checkpoint
        (artifacts / checkpoint.file.path).unlink()
        assert "cannot be read" in failure(runner, artifacts, "artifact", resume=checkpoint).message

    def test_divergence(self, runner: Runner, artifacts: Path) -> None:
        recipe = replace(RECIPE, learning_rate=1e30, clip_norm=None, warmup_epochs=0)
        assert "no finite number" in failure(runner, artifacts, "diverged", recipe=recipe).message

    def test_too_large_a_batch(self, runner: Runner, artifacts: Path) -> None:
        failed = failure(runner, artifacts, "invalid", recipe=replace(RECIPE, batch_size=2000))
        assert "898 training pictures" in failed.message

    def test_an_unknown_model(self, runner: Runner, artifacts: Path) -> None:
        assert "no model 'cifar/resnet9'" in failure(runner, artifacts, "invalid", model="cifar/resnet9").message

    def test_a_specification_that_contradicts_itself(self, runner: Runner, artifacts: Path) -> None:
        runner.say_line(encode(command(artifacts, "odd")).replace('"stop_epoch": 2', '"stop_epoch": 3'))
        failed = runner.next()
        assert isinstance(failed, Failed)
        assert (failed.run_id, failed.kind) == ("odd", "invalid")
        assert "stop_epoch must be in 1 … 2, not 3" in failed.message

    def test_lines_that_are_no_commands_are_passed_over(self, runner: Runner, artifacts: Path) -> None:
        for line in ("", "nonsense", "[]", '{"type": "dance"}'):
            runner.say_line(line)
        assert isinstance(runner.run(command(artifacts, "still-there", stop_epoch=1))[-1], Finished)


def test_shutdown_stops_the_run_first(artifacts: Path) -> None:
    with running() as other:
        other.say(command(artifacts, "long", recipe=LONG))
        other.until(Started)
        other.say(ShutdownCommand())
        events = other.until(Stopped)
        assert of_kind(events, Checkpointed)
        assert other.process.wait(timeout=PATIENCE_SECONDS) == 0
