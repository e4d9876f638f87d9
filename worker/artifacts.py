"""Where a claim's files go. Names carry run and fence, so a worker that lost its claim overwrites nothing."""

from __future__ import annotations

from dpk_core.protocol import Checkpoint, RunCommand
from service.runs.claims import Claim
from service.settings import Settings


def run_command(claim: Claim, settings: Settings) -> RunCommand:
    """What the runner is told."""
    key = claim.spec.training.key()
    fenced = f"{claim.run_id}-f{claim.fence}"
    return RunCommand(
        run_id=claim.run_id,
        spec=claim.spec,
        artifact_root=str(settings.resolved_artifact_root),
        checkpoint_prefix=f"checkpoints/{key[:2]}/{key}/{fenced}",
        weights_path=f"weights/{key[:2]}/{key}/{fenced}.safetensors",
        teacher_weights=claim.teacher_weights,
        resume=claim.resume,
        earlier_seconds=claim.earlier_seconds,
        known_scores=claim.known_scores,
        data_root=None if settings.data_root is None else str(settings.data_root.absolute()),
        weights_root=None if settings.weights_root is None else str(settings.weights_root.absolute()),
        checkpoint_seconds=settings.checkpoint_seconds,
    )


def remove_older_checkpoints(claim: Claim, recorded: Checkpoint, settings: Settings) -> None:
    """Deletes the finished run's checkpoints, of all its claims, except the recorded one."""
    root = settings.resolved_artifact_root
    kept = root / recorded.file.path
    key = claim.spec.training.key()
    for path in (root / "checkpoints" / key[:2] / key).glob(f"{claim.run_id}-f*"):
        if path != kept:
            path.unlink(missing_ok=True)
