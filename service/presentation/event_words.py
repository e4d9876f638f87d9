"""What happened to a job, an event in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dpk_core.selection.decide.policies.policy import Reason as DecisionReason
from dpk_core.selection.decide.verdict import Verdict
from service.database.documents import read_stored
from service.presentation.decision_words import candidate_reason, decision_reason
from service.presentation.metric_words import MetricWords
from service.presentation.numbers import counted
from service.presentation.verdict_words import verdict_sentence
from service.scheduling.states import Reason

_PLAIN = {
    "created": "The job was submitted.",
    "cancelling": "The job is being cancelled.",
    "finished": "The job finished.",
    "failed": "The job failed.",
    "cancelled": "The job was cancelled.",
}


def event_sentence(kind: str, data: Mapping[str, Any], labels: Mapping[int, str], metric: MetricWords) -> str:
    """One event. `labels`: of the candidates, by id."""
    match kind:
        case "stage_changed":
            return f"{data['stage'].replace('_', ' ').capitalize()} begins."
        case "candidate_changed":
            return _candidate(data, labels, metric)
        case "decision":
            reason = decision_reason(read_stored(DecisionReason, data["reason"]), metric)
            return f"Decision {data['number']}, {counted(data['steps'], 'training')}: {reason}"
        case "run_finished":
            return _run(data, labels, metric)
        case "notice":
            return str(data["message"])
        case "verdict":
            return verdict_sentence(read_stored(Verdict, data), metric)
        case _:
            return _PLAIN.get(kind, f"{kind.replace('_', ' ').capitalize()}.")


def _candidate(data: Mapping[str, Any], labels: Mapping[int, str], metric: MetricWords) -> str:
    status = data["status"].replace("_", " ")
    reason = None if data["reason"] is None else candidate_reason(read_stored(Reason, data["reason"]), metric)
    return f"{labels.get(data['candidate_id'], data['teacher'])}: {status}." + (f" {reason}" if reason else "")


def _run(data: Mapping[str, Any], labels: Mapping[int, str], metric: MetricWords) -> str:
    label = labels.get(data["candidate_id"], "")
    what = f"Preparation of {label}" if data["purpose"] == "teacher" else f"Student under {label}, seed {data['seed']}"
    if label == "no teacher" and data["purpose"] != "teacher":
        what = f"Student without a teacher, seed {data['seed']}"
    if data["state"] != "finished":
        return f"{what}: {data['state']}." + (f" {data['failure']}" if data["failure"] else "")
    return f"{what}: {metric.score(data['validation_score'])}" + (" (reused)." if data["reused"] else ".")
