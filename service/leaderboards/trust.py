"""How far a job's answer can be trusted: stamp, fidelity and rivals; pure."""

from __future__ import annotations

from collections.abc import Sequence

from dpk_core.codec import to_json
from dpk_core.selection.evaluate.correlation import correlations
from dpk_core.selection.evaluate.records import ComparisonGroup
from dpk_core.selection.evaluate.rule_evaluation import Judgement, Record, RuleEvaluation, evaluate_rules, records
from dpk_core.selection.evaluate.rules import rules_of
from dpk_core.tasks import TaskName
from service.presentation.fidelity_words import correlation_note, correlation_titles
from service.presentation.metric_words import WORDS
from service.presentation.rule_words import rule_note, rule_title, rules_note
from service.scheduling.protocol_id import HOLDS, plan_stamp, training_stamp
from service.scheduling.snapshot import ArmRuns, Snapshot
from service.wire import boards
from service.wire import trust as trust_schemas


def fidelity(question: ComparisonGroup, earlier: Sequence[ComparisonGroup], task: TaskName) -> list[boards.Correlation]:
    """Every correlation of the job and of the store."""
    found = correlations(question, earlier)
    return [
        boards.Correlation.model_validate(to_json(each) | {"title": title, "note": correlation_note(each)})
        for each, title in zip(found, correlation_titles(found, WORDS[task].name), strict=True)
    ]


def trust(
    snapshot: Snapshot, question: ComparisonGroup, before: Sequence[RuleEvaluation], previous: str | None
) -> trust_schemas.Trust:
    """Stamp and rivals. `before`: how the rules did on earlier questions; `previous`: the teacher that won this
    student's newest earlier job."""
    task = snapshot.plan.task
    now = evaluate_rules(question, rules_of(question, previous, task))
    over_all = {record.name: record for record in records([now, *before])}
    return trust_schemas.Trust(
        stamp=job_stamp(snapshot),
        stamp_holds=list(HOLDS),
        teachers=now.teachers,
        trained=now.trained,
        audited=now.audited,
        winner=now.winner,
        note=rules_note(now, task),
        rivals=[_rival(judgement, over_all[judgement.name], task) for judgement in now.judgements],
    )


def job_stamp(snapshot: Snapshot) -> str:
    """What its student trainings share."""
    return plan_stamp(snapshot.plan)


def row_stamp(snapshot: Snapshot, arm: ArmRuns) -> str:
    """The stamp of an arm's newest student run, the job's while it has none.

    It differs from the job's only in a job that is older than the rule that a change of the training version ends it.
    """
    return _stamp(snapshot, arm) or job_stamp(snapshot)


def _stamp(snapshot: Snapshot, arm: ArmRuns) -> str | None:
    mine = [
        run.spec["training"]
        for link, run in snapshot.links
        if link.candidate_id == arm.candidate.id and link.purpose != "teacher"
    ]
    if not mine:
        return None
    newest = max(mine, key=lambda training: int(training["version"]))
    return training_stamp(newest, to_json(snapshot.plan.method))


def _rival(judgement: Judgement, record: Record, task: TaskName) -> trust_schemas.Rival:
    words = {"title": rule_title(judgement.name, task), "note": rule_note(judgement)}
    return trust_schemas.Rival.model_validate(to_json(judgement) | words | {"record": to_json(record)})
