"""The conversation between a worker slot and its runner process: one JSON object a line, each with a `type`.

The worker writes commands to the runner's standard input and reads events from its standard output. The runner ends by
itself when its standard input closes, so it never outlives its worker. One run at a time.

    worker → runner   run · stop · shutdown
    runner → worker   ready · started · progressed · measured · checkpointed · noticed · finished · stopped · failed
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from dpk_core.codec import from_json, to_json
from dpk_core.detection_settings import Canvas
from dpk_core.errors import ProtocolFault
from dpk_core.spec import RunSpec

FailureKind = Literal[
    "out_of_memory", "diverged", "data", "artifact", "invalid", "internal", "missing_here", "disk_full"
]
"""`missing_here`: this machine lacks the data or weights that the run was made for. `disk_full`: files cannot be kept,
because the disk is full, read-only or gone. Which kinds are tried again, and when: `service.runs.tries`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedEvidence:
    """A result on each picture, in the split's order; `dpk_core.evidence` reads it. `data`: base64 of packed bits or
    of little-endian floats."""

    kind: Literal["bits", "floats"]
    pictures: int
    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactReference:
    """A file under the artifact root: `path` relative to it, `/` as separator; sha256 as 64 hex digits."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A state from which a training goes on bit for bit. `seconds`: training time spent from the start up to here."""

    file: ArtifactReference
    step: int
    epoch: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCommand:
    """Carry out one run. New checkpoints are written as `<checkpoint_prefix>-<step>.pt` under `artifact_root`."""

    run_id: str
    spec: RunSpec
    artifact_root: str
    checkpoint_prefix: str
    weights_path: str
    """Where a teacher's own training leaves its weights (safetensors), relative to `artifact_root`."""
    teacher_weights: ArtifactReference | None
    resume: Checkpoint | None
    """Where to go on: the run's own last checkpoint, or that of an earlier run of the same training."""
    data_root: str | None
    weights_root: str | None = None
    """Folder of the weights files that trainings may start from."""
    earlier_seconds: float = 0.0
    """Training time up to `resume` that earlier runs of the same training spent; whoever gives out runs knows it, for
    a checkpoint does not record which run goes on from it."""
    known_scores: dict[str, float] | None = None
    """`RunResult.scores` of an earlier run of the same training, which this one repeats; None: it measures them."""
    uploads: tuple[dict[str, Any], ...] = ()
    """Of the uploaded models that it builds: `dpk_core.catalogue.own_models.OwnModel` as JSON."""
    checkpoint_seconds: float = 30.0
    """Least time between two checkpoints; the end of a run always writes one."""
    type: Literal["run"] = "run"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopCommand:
    """Write a checkpoint at the next step and stop the current run; answered by `stopped`."""

    type: Literal["stop"] = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShutdownCommand:
    """Leave, stopping the current run first."""

    type: Literal["shutdown"] = "shutdown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The runner is up. `device` as torch names it; `threads`: CPU threads one operation may use."""

    pid: int
    device: str
    device_name: str
    torch: str
    threads: int
    type: Literal["ready"] = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """Models and data are loaded; training goes on from `step` of `total_steps` (those up to `stop_epoch`)."""

    run_id: str
    step: int
    total_steps: int
    steps_per_epoch: int
    parameters: int
    type: Literal["started"] = "started"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed:
    """At most about one a second. `seconds`: training time of the whole training so far."""

    run_id: str
    step: int
    total_steps: int
    seconds: float
    type: Literal["progressed"] = "progressed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Values at the end of `epoch` (1-based), e.g. `train_loss`, `validation_accuracy`, `share.last`, `cka.last`.

    Accuracies are fractions in 0 … 1. Shares and CKA are means over the epoch's steps.
    """

    run_id: str
    step: int
    epoch: int
    values: dict[str, float]
    type: Literal["measured"] = "measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpointed:
    """A checkpoint is on disk, whole and flushed."""

    run_id: str
    checkpoint: Checkpoint
    type: Literal["checkpointed"] = "checkpointed"


NoticeLevel = Literal["info", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Noticed:
    """Something a person should know while the run goes on; what its reader should know later is in the result."""

    run_id: str
    level: NoticeLevel
    message: str
    type: Literal["noticed"] = "noticed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that a reader of a result must know. `warning`: the result may not be what it seems.

    `message`: one sentence that is the same for every seed, so that a table can show it once.
    """

    level: NoticeLevel
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """What a network takes: pictures of `channels` x `side` x `side`, or on a `canvas`, in 0 … 255, less `mean` by
    channel and divided by `deviation`; and how many classes it answers with."""

    channels: int
    side: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    classes: int
    canvas: Canvas | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a finished run found. Scores are in the metric of the training's task (`dpk_core.tasks.METRICS`).

    `test_score` is None unless the run is full; decisions never read it.
    """

    epochs: int
    validation_score: float
    test_score: float | None
    validation_pictures: int
    test_pictures: int
    seconds: float
    """Device seconds (`dpk_core.training.loop.device_seconds`) of this run alone, over all its lives: what it took over
    from another run is not counted."""
    parameters: int
    device: str
    device_name: str
    weights: ArtifactReference | None
    samples: ArtifactReference | None = None
    """Of a detector's full training: `dpk_core.catalogue.detection.samples.DetectionSamples` as JSON."""
    test_details: dict[str, float] | None = None
    """What else was measured on the test split, by name: of a detector the average precision at overlaps .50 and .75,
    by size and by class, and standard errors over pictures (`error_…`)."""
    scores: dict[str, float] | None = None
    """What cheap rules say, by name, where they could be measured: of a teacher `logme`, `leep`, `h_score` and
    `ratio_1_2`; of a student under a teacher `cka_gap`, before the student had learnt anything."""
    validation_evidence: PackedEvidence | None = None
    """What the network made of each validation picture after the last epoch."""
    fallback_rates: dict[str, float] | None = None
    """Under DPK, by stage or level, the part of the steps in which its share could not follow CKA."""
    guess_score: float | None = None
    """Validation score of the best answer that ignores the picture: the accuracy of always naming the most frequent
    class."""
    near_chance: bool = False
    """Whether `validation_score` is within noise of `guess_score` or below it."""
    preprocessing: Preprocessing | None = None
    """Of a full training, whose weights are kept."""
    versions: dict[str, str] | None = None
    """Of Python and of the packages that carried it out, by name."""
    notices: tuple[Notice, ...] = ()
    """About the whole training, with what earlier runs of it found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The run reached `stop_epoch`; its last checkpoint was announced before."""

    run_id: str
    result: RunResult
    type: Literal["finished"] = "finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """The run stopped on command; its last checkpoint was announced before."""

    run_id: str
    step: int
    type: Literal["stopped"] = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The run cannot go on; the runner itself lives. `message` is one sentence for a person."""

    run_id: str
    kind: FailureKind
    message: str
    type: Literal["failed"] = "failed"


Command = RunCommand | StopCommand | ShutdownCommand
Event = Ready | Started | Progressed | Measured | Checkpointed | Noticed | Finished | Stopped | Failed

M = TypeVar("M")

_COMMANDS: dict[str, type[Command]] = {"run": RunCommand, "stop": StopCommand, "shutdown": ShutdownCommand}
_EVENTS: dict[str, type[Event]] = {
    "ready": Ready, "started": Started, "progressed": Progressed, "measured": Measured, "checkpointed": Checkpointed,
    "noticed": Noticed, "finished": Finished, "stopped": Stopped, "failed": Failed,
}  # fmt: skip


def encode(message: Command | Event) -> str:
    """One line without its newline."""
    return json.dumps(to_json(message), allow_nan=False)


def decode_command(line: str) -> Command:
    """Raises ProtocolFault when the line is no known command."""
    return _decode(line, _COMMANDS)


def decode_event(line: str) -> Event:
    """Raises ProtocolFault when the line is no known event."""
    return _decode(line, _EVENTS)


def _decode(line: str, kinds: Mapping[str, type[M]]) -> M:
    try:
        value = json.loads(line)
        return from_json(kinds[value["type"]], value)
    except (ValueError, KeyError, TypeError) as error:
        raise ProtocolFault(f"not a message of the runner protocol: {line[:200]!r} ({error})") from error
