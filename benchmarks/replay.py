"""One resampled job out of a table, and what different ways of choosing a teacher make of it.

A job draws three of the table's seeds, and lets its validation pictures count for more or less than one, so that no two
jobs are the same: they are as much luck as four fifths of so many pictures are. (A bootstrap would make them as much as
half are, for the table's own draw of pictures is in every job already.) Truth is each teacher's mean test accuracy over
all seeds of the table; nothing that chooses sees it, but three of the five trainings behind it are those that the job
may carry out, so a way that trains is helped by their luck. `unseen` is the truth of the seeds that were not drawn:
noisier, but free of that. Costs are the measured seconds of training that a way of choosing caused, as a
share of what all teachers on the job's three seeds cost; a policy knows the pace only of what it has trained. Only the
choosing is replayed: a real job then trains its choice fully on all seeds. The arm without a teacher is left out:
whether any teacher helps is another question than which.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import optuna
from numpy.typing import NDArray

from benchmarks.table import Table
from dpk_core.selection.decide.job_results import EIGHTHS, TIMED, UNTIMED, Arm, Knowledge, Prior
from dpk_core.selection.decide.policies.policy import Limits, Policy
from dpk_core.selection.decide.policies.registry import POLICIES
from dpk_core.selection.decide.promotion import promotions
from dpk_core.selection.decide.summary import Outlook, outlook
from dpk_core.selection.decide.verdict import Verdict, decide
from dpk_core.selection.fitting import fitted
from dpk_core.selection.posterior import Model
from dpk_core.selection.spreads import picture_part
from dpk_core.selection.statistics import CONFIDENCE

SEEDS = 3
RUNGS = EIGHTHS
PROMOTE = 2
"""Teachers that a job trains fully in the end, unless it says otherwise."""
EVENNESS = 4.0
"""Shape of the gamma distribution of the pictures' weights, whose variance is 1/4."""
UNLIMITED = 9.0
"""A share of everything that cannot be used up."""

Reached = Mapping[tuple[int, int], int]
"""Rungs that the training of a teacher on a seed, by their places, was carried through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """T teachers, three seeds, E epochs, V pictures.

    `right_TSV`: which pictures were told right after the last epoch; `cost_TSE`: seconds up to and including each
    epoch; `best_T`: the chance that each is truly the best, `truth_T` being of few seeds; `places`: the teachers' arms
    in the table, `seeds`: the seeds drawn; `pictures`: as many as make so much luck; `alone_SE`, `alone_cost_SE`: of
    the student without a teacher.
    """

    teachers: tuple[str, ...]
    teacher_accuracy_T: NDArray[np.float64]
    accuracy_TSE: NDArray[np.float64]
    right_TSV: NDArray[np.bool_]
    cost_TSE: NDArray[np.float64]
    alone_SE: NDArray[np.float64]
    alone_cost_SE: NDArray[np.float64]
    truth_T: NDArray[np.float64]
    best_T: NDArray[np.float64]
    unseen_T: NDArray[np.float64]
    places: NDArray[np.int64]
    seeds: NDArray[np.int64]
    prior: Prior
    pictures: int

    @property
    def exhaustive_cost(self) -> float:
        """Seconds of everything."""
        return float(self.cost_TSE[..., -1].sum())

    def regret(self, teacher: str) -> float:
        """Accuracy lost by taking `teacher`, as a fraction."""
        return float(self.truth_T.max() - self.truth_T[self.teachers.index(teacher)])

    def unseen_regret(self, teacher: str) -> float:
        """The same on the seeds that were not drawn."""
        return float(self.unseen_T.max() - self.unseen_T[self.teachers.index(teacher)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a way of choosing chose and what it cost, as a share of everything; `view` where it has a belief."""

    teacher: str
    share: float
    view: Outlook | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeJob:
    """`outcome`: the teacher named, or else the likeliest, and the cost as a share of everything, the student without a
    teacher included; `known`: all results, `reached`: how many rungs of which teacher and seed by their places."""

    outcome: Outcome
    verdict: Verdict
    known: Knowledge
    reached: Reached


def draw(table: Table, prior: Prior, chance: np.random.Generator) -> Job:
    """A resampled job."""
    arms = taught(table)
    told = [table.told["arms"][index] for index in arms]
    order = chance.permutation(len(table.told["seeds"]))
    seeds, unseen = order[:SEEDS], order[SEEDS:]
    pictures: int = table.validation_right_ASEV.shape[-1]
    counts_V = chance.gamma(EVENNESS, size=pictures)
    weights_V = (counts_V / counts_V.sum()).astype(np.float32)

    def accuracy(places: NDArray[np.int64]) -> NDArray[np.float64]:
        right_ASEV = table.validation_right_ASEV[np.ix_(places, seeds)].astype(np.float32)
        return np.asarray(right_ASEV @ weights_V, dtype=np.float64)

    alone = np.array([table.teachers.index(None)])
    cost_ASE = table.seconds_ASE[:, seeds].astype(np.float64).cumsum(-1)
    return Job(
        teachers=tuple(qualified(table, each["teacher"]) for each in told),
        teacher_accuracy_T=np.array([each["validation_accuracy"] for each in told]),
        accuracy_TSE=accuracy(arms), right_TSV=table.validation_right_ASEV[:, :, -1][np.ix_(arms, seeds)],
        cost_TSE=cost_ASE[arms], alone_SE=accuracy(alone)[0],
        alone_cost_SE=cost_ASE[alone[0]], truth_T=table.truth_A[arms],
        best_T=table.chances_of_best(arms),
        unseen_T=table.test_right_ASN[np.ix_(arms, unseen)].mean((1, 2)), places=arms, seeds=seeds, prior=prior,
        pictures=round(pictures * EVENNESS / (EVENNESS + 1)),
    )  # fmt: skip


def taught(table: Table) -> NDArray[np.int64]:
    """The arms that have a teacher and whose trainings all came to their end."""
    diverged = table.told.get("diverged", [[False]] * len(table.teachers))
    return np.flatnonzero([
        teacher is not None and not any(seeds) for teacher, seeds in zip(table.teachers, diverged, strict=True)
    ])  # fmt: skip


def qualified(table: Table, teacher: str) -> str:
    """A teacher's name with its data: what was trained on other data is another teacher."""
    return f"{table.told['dataset']}: {teacher}"


def knowledge(job: Job, reached: Reached, alone: Arm | None = None) -> Knowledge:
    """What a policy knows when training t, s reached so many rungs, with beliefs as wide as a job makes them. `alone`:
    the arm without a teacher, where there is one."""
    epochs = rung_epochs(job.accuracy_TSE.shape[-1])
    paces = _paces(job, reached, epochs)
    arms = tuple(
        Arm(
            teacher=teacher,
            teacher_accuracy=float(job.teacher_accuracy_T[index]),
            cost=(epochs[-1] + 1) * paces[index],
            cost_spread=TIMED if any(other == index for other, _ in reached) else UNTIMED,
            curves={
                seed: tuple(float(job.accuracy_TSE[index, seed, epoch]) for epoch in epochs[:count])
                for (other, seed), count in reached.items()
                if other == index
            },
        )
        for index, teacher in enumerate(job.teachers)
    )
    every = arms if alone is None else (*arms, alone)
    prior, part = job.prior, part_of_pictures(job, reached)
    if part is not None:
        prior = replace(prior, picture_part=(prior.picture_part + part) / 2)
    return fitted(Knowledge(arms=every, rungs=RUNGS, seeds=tuple(range(SEEDS)), prior=prior, pictures=job.pictures))


def part_of_pictures(job: Job, reached: Reached) -> float | None:
    """What the job's own full trainings tell of it, as in the service; None below two teachers with two seeds."""
    return picture_part([
        {seed: right_SV[seed] for seed in range(SEEDS) if reached.get((index, seed)) == len(RUNGS)}
        for index, right_SV in enumerate(job.right_TSV)
    ])  # fmt: skip


def _paces(job: Job, reached: Reached, epochs: list[int]) -> list[float]:
    """Seconds an epoch under each teacher as far as it was trained; an untried one has the mean of the others, and
    before anything was trained all have the mean of the table."""
    found: list[float | None] = []
    for index in range(len(job.teachers)):
        places = [(seed, epochs[count - 1]) for (other, seed), count in reached.items() if other == index]
        seconds = sum(float(job.cost_TSE[index, seed, epoch]) for seed, epoch in places)
        found.append(seconds / sum(epoch + 1 for _, epoch in places) if places else None)
    known = [pace for pace in found if pace is not None]
    usual = float(np.mean(known)) if known else float(job.cost_TSE[..., -1].mean()) / job.cost_TSE.shape[-1]
    return [usual if pace is None else pace for pace in found]


def rung_epochs(epochs: int, rungs: Sequence[float] = RUNGS) -> list[int]:
    """The last epoch (0-based) of each rung."""
    return [max(1, round(rung * epochs)) - 1 for rung in rungs]


def follow(policy: Policy, job: Job, budget: float, sure: float | None = None) -> Outcome:
    """Plays a policy with a share of everything as its budget, to its own end or until it is as `sure` as a job asks
    for."""
    reached, spent = _explored(policy, job, budget, sure)
    view = outlook(Model(knowledge(job, reached)).posterior)
    assert view.choice is not None
    return Outcome(teacher=view.choice, share=spent / job.exhaustive_cost, view=view)


def _explored(policy: Policy, job: Job, budget: float, sure: float | None) -> tuple[dict[tuple[int, int], int], float]:
    """How far each training was carried, and the seconds it took."""
    epochs, reached = rung_epochs(job.accuracy_TSE.shape[-1]), dict[tuple[int, int], int]()
    spent = 0.0
    while True:
        left = budget * job.exhaustive_cost * (1 + 1e-9) - spent
        plan = policy.next(knowledge(job, reached), Limits(cost=left, chance=sure))
        if not plan.steps:
            return reached, spent
        for step in plan.steps:
            assert step.teacher is not None
            place = (job.teachers.index(step.teacher), step.seed)
            before = job.cost_TSE[place][epochs[reached[place] - 1]] if place in reached else 0.0
            spent += float(job.cost_TSE[place][epochs[step.rung]] - before)
            reached[place] = step.rung + 1


def whole_job(job: Job, sure: float = CONFIDENCE) -> WholeJob:
    """A job as it is by default, to its verdict; its audit arm is left out."""
    reached, spent = _explored(POLICIES["posterior"], job, UNLIMITED, sure)
    epochs = rung_epochs(job.accuracy_TSE.shape[-1])
    promoted = [each.teacher for each in promotions(knowledge(job, reached), PROMOTE) if each.promoted]
    for place in [(job.teachers.index(teacher), seed) for teacher in promoted for seed in range(SEEDS)]:
        before = job.cost_TSE[place][epochs[reached[place] - 1]] if place in reached else 0.0
        spent += float(job.cost_TSE[place][-1] - before)
        reached[place] = len(RUNGS)
    curves = {seed: tuple(job.alone_SE[seed, epochs].tolist()) for seed in range(SEEDS)}
    known = knowledge(job, reached, Arm(teacher=None, curves=curves))
    verdict = decide(known, final=True)
    view = outlook(Model(known).posterior.teachers)
    chosen = verdict.best or view.choice
    assert chosen is not None
    alone = float(job.alone_cost_SE[:, -1].sum())
    share = (spent + alone) / (job.exhaustive_cost + alone)
    return WholeJob(
        outcome=Outcome(teacher=chosen, share=share, view=view), verdict=verdict, known=known, reached=reached
    )


def most_accurate(job: Job, scores_T: NDArray[np.float64] | None = None) -> Outcome:
    """The teacher of the highest score, by default its own accuracy; nothing is trained."""
    scores = job.teacher_accuracy_T if scores_T is None else scores_T
    return Outcome(teacher=job.teachers[int(scores.argmax())], share=0.0)


def at_random(job: Job, chance: np.random.Generator) -> Outcome:
    """Any teacher."""
    return Outcome(teacher=str(chance.choice(job.teachers)), share=0.0)


Pruner = Callable[[], optuna.pruners.BasePruner]


def by_optuna(job: Job, pruner: Pruner, seeds: int, chance: np.random.Generator, *, informed: bool = False) -> Outcome:
    """Optuna drives the same trainings: a trial is a teacher on a seed, which reports every epoch. In random order, or,
    `informed`, the most accurate teachers first.

    Its answer is the teacher with the best mean final accuracy among those with an unpruned trial.
    """
    study = _study(pruner, chance)
    spent, finals = 0.0, dict[int, list[float]]()
    best_first = np.argsort(-job.teacher_accuracy_T, kind="stable")
    order = [
        (int(teacher), seed)
        for seed in range(seeds)
        for teacher in (best_first if informed else chance.permutation(len(job.teachers)))
    ]
    for teacher, seed in order:
        trial = study.ask()
        for epoch, accuracy in enumerate(job.accuracy_TSE[teacher, seed]):
            trial.report(float(accuracy), epoch + 1)
            if trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, float(accuracy))
            finals.setdefault(teacher, []).append(float(accuracy))
        spent += float(job.cost_TSE[teacher, seed, epoch])
    return Outcome(teacher=_best(job, finals), share=spent / job.exhaustive_cost)


def by_wilcoxon(job: Job, threshold: float, chance: np.random.Generator) -> Outcome:
    """Optuna's Wilcoxon pruner as it is meant: a trial is a teacher, its steps are full trainings on the seeds.

    After two seeds its smallest p is .25, so a lower `threshold` prunes nothing.
    """
    study = _study(lambda: optuna.pruners.WilcoxonPruner(p_threshold=threshold, n_startup_steps=0), chance)
    spent, finals = 0.0, dict[int, list[float]]()
    for teacher in chance.permutation(len(job.teachers)):
        trial, values = study.ask(), list[float]()
        for seed in range(SEEDS):
            values.append(float(job.accuracy_TSE[teacher, seed, -1]))
            spent += float(job.cost_TSE[teacher, seed, -1])
            trial.report(values[-1], seed)
            if seed + 1 < SEEDS and trial.should_prune():
                break
        study.tell(trial, float(np.mean(values)))
        finals[int(teacher)] = values
    return Outcome(teacher=_best(job, finals), share=spent / job.exhaustive_cost)


def _study(pruner: Pruner, chance: np.random.Generator) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        # The Wilcoxon pruner says that it is experimental; it is here to be compared with.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        made = pruner()
    # Hyperband draws a trial's bracket from the study's name.
    name = str(chance.integers(2**32))
    sampler = optuna.samplers.RandomSampler(seed=0)
    return optuna.create_study(study_name=name, direction="maximize", pruner=made, sampler=sampler)


def _best(job: Job, finals: Mapping[int, list[float]]) -> str:
    return job.teachers[max(finals, key=lambda teacher: float(np.mean(finals[teacher])))]
