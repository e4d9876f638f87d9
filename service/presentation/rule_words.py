"""Which rules are compared with the probe, in words."""

from __future__ import annotations

from dpk_core.selection.evaluate.rules import OF_CLASSES, SCORES
from dpk_core.tasks import TaskName
from service.presentation.numbers import listed


def rules_note(note: str, task: TaskName) -> str:
    """What the rules' judgement leaves out, and which rules do not apply to the task."""
    if task != "detection":
        return note
    unfit = listed([title for name, (title, _) in SCORES.items() if name in OF_CLASSES])
    return f"{note} Not applied to detectors: {unfit}, which compare class scores or features of whole pictures."
