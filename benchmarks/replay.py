"""One resampled job out of a table, and what different ways of choosing a teacher make of it.

A job draws three of the table's seeds, and lets its validation pictures count for more or less than one, so that no two
jobs are the same: they vary as much as four fifths of so many pictures do. (A bootstrap would make that a half, for the
table's own draw of pictures is in every job already.) Truth is each teacher's mean test accuracy over all seeds of the
table; nothing that chooses sees it, but three of the five trainings behind it are those that the job may carry out, so
a way that trains is helped by their noise. `unseen` is the truth of the seeds that were not drawn: noisier, but free of
that. Costs are the measured seconds of training that a way of choosing caused, as a share of what all teachers on the
job's three seeds cost; of whole jobs, no teacher is among both. Whole jobs are the product's own decisions
(`dpk_core.selection.decide.schedule`) on a number of slots.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import optuna
from numpy.typing import NDArray

from benchmarks.table import Table
from dpk_core.selection.decide.facts import VerdictKind
from dpk_core.selection.decide.job_results import EIGHTHS, Arm, JobResults, Step
from dpk_core.selection.decide.policies.policy import Limits, doublings
from dpk_core.selection.decide.schedule import POLICIES, Begun, Decision, Rules, next_decision
from dpk_core.selection.decide.summary import Summary, model, summarise
from dpk_core.selection.decide.verdict import decide
from dpk_core.selection.estimate import CONFIDENCE

SEEDS = 3
RUNGS = EIGHTHS
EVENNESS = 4.0
"""Shape of the gamma distribution of the pictures' weights, whose variance is 1/4."""
UNLIMITED = 9.0
"""A share of everything that cannot be used up."""

Reached = dict[tuple[str | None, int], int]
"""Rungs that a training, by teacher and seed, was carried through."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """T teachers, three seeds, E epochs, V pictures.

    `right_TSV`, `alone_right_SV`: which pictures were right after the last epoch; `cost_TSE`: seconds up to and
    including each epoch; `best_T`: the chance that each is truly the best, `truth_T` being of few seeds; `places`: the
    teachers' arms in the table, `seeds`: the seeds drawn; `pictures`: as many as vary so much; `alone_SE`,
    `alone_cost_SE`: of the student without a teacher.
    """

    teachers: tuple[str, ...]
    teacher_accuracy_T: NDArray[np.float64]
    accuracy_TSE: NDArray[np.float64]
    right_TSV: NDArray[np.bool_]
    cost_TSE: NDArray[np.float64]
    alone_SE: NDArray[np.float64]
    alone_right_SV: NDArray[np.bool_]
    alone_cost_SE: NDArray[np.float64]
    truth_T: NDArray[np.float64]
    best_T: NDArray[np.float64]
    unseen_T: NDArray[np.float64]
    places: NDArray[np.int64]
    seeds: NDArray[np.int64]
    pictures: int

    @property
    def usual_cost(self) -> float:
        """Seconds of a full training in the mean: a policy's unit, so that one that was not timed yet costs about 1."""
        return float(self.cost_TSE[..., -1].mean())

    @property
    def exhaustive_cost(self) -> float:
        """Seconds of everything but no teacher."""
        return float(self.cost_TSE[..., -1].sum())

    @property
    def all_costs(self) -> list[float]:
        """Seconds of every full training, no teacher's among them."""
        return [*self.cost_TSE[..., -1].ravel().tolist(), *self.alone_cost_SE[:, -1].tolist()]

    def regret(self, teacher: str) -> float:
        """Accuracy lost by taking `teacher`, as a fraction."""
        return float(self.truth_T.max() - self.truth_T[self.teachers.index(teacher)])

    def unseen_regret(self, teacher: str) -> float:
        """The same on the seeds that were not drawn."""
        return float(self.unseen_T.max() - self.unseen_T[self.teachers.index(teacher)])

    @cached_property
    def results(self) -> JobResults:
        """Everything; `JobResults.seen_at` is what a way of choosing has come to know."""
        epochs = rung_epochs(self.accuracy_TSE.shape[-1])
        alone = self._arm(None, None, self.alone_SE, self.alone_right_SV, self.alone_cost_SE, epochs, self.usual_cost)
        arms = [
            self._arm(teacher, float(score), accuracy_SE, right_SV, cost_SE, epochs, self.usual_cost)
            for teacher, score, accuracy_SE, right_SV, cost_SE in zip(
                self.teachers, self.teacher_accuracy_T, self.accuracy_TSE, self.right_TSV, self.cost_TSE, strict=True
            )
        ]
        p = float(self.teacher_accuracy_T.mean())
        return JobResults(
            arms=(*arms, alone), rungs=RUNGS, seeds=tuple(range(SEEDS)), sampling_variance=p * (1 - p) / self.pictures
        )

    @staticmethod
    def _arm(
        teacher: str | None, score: float | None, accuracy_SE: NDArray[np.float64], right_SV: NDArray[np.bool_],
        cost_SE: NDArray[np.float64], epochs: Sequence[int], unit: float,
    ) -> Arm:  # fmt: skip
        seeds = range(SEEDS)
        return Arm(
            teacher=teacher, teacher_score=score, evidence={seed: right_SV[seed] for seed in seeds},
            curves={seed: tuple(accuracy_SE[seed, list(epochs)].tolist()) for seed in seeds},
            paces={seed: float(cost_SE[seed, epochs[0]]) / RUNGS[0] / unit for seed in seeds},
        )  # fmt: skip

    def known(self, reached: Mapping[tuple[str | None, int], int]) -> JobResults:
        """What is known when trainings have come so far."""
        return self.results.seen_at(reached, failed=())

    def price(self, step: Step, reached: int) -> float:
        """Seconds that a step takes from where its training is."""
        epochs = rung_epochs(self.accuracy_TSE.shape[-1])
        cost_SE = self.alone_cost_SE if step.teacher is None else self.cost_TSE[self.teachers.index(step.teacher)]
        before = float(cost_SE[step.seed, epochs[reached - 1]]) if reached else 0.0
        return float(cost_SE[step.seed, epochs[step.rung]]) - before


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a way of choosing chose and what it cost, as a share of everything; `view` where it has a belief. Of whole
    jobs also the verdict, and the time as a share of what everything takes on the same slots."""

    teacher: str
    share: float
    view: Summary | None = None
    verdict: VerdictKind | None = None
    time: float | None = None


def draw(table: Table, chance: np.random.Generator) -> Job:
    """A resampled job."""
    arms = taught(table)
    arms_metadata = [table.metadata["arms"][index] for index in arms]
    order = chance.permutation(len(table.metadata["seeds"]))
    seeds, unseen = order[:SEEDS], order[SEEDS:]
    pictures: int = table.validation_right_ASEV.shape[-1]
    counts_V = chance.gamma(EVENNESS, size=pictures)
    weights_V = (counts_V / counts_V.sum()).astype(np.float32)

    def accuracy(places: NDArray[np.int64]) -> NDArray[np.float64]:
        right_ASEV = table.validation_right_ASEV[np.ix_(places, seeds)].astype(np.float32)
        return np.asarray(right_ASEV @ weights_V, dtype=np.float64)

    alone = np.array([table.teachers.index(None)])
    cost_ASE = table.seconds_ASE[:, seeds].astype(np.float64).cumsum(-1)
    right_ASV = table.validation_right_ASEV[:, :, -1]
    return Job(
        teachers=tuple(qualified(table, each["teacher"]) for each in arms_metadata),
        teacher_accuracy_T=np.array([each["validation_accuracy"] for each in arms_metadata]),
        accuracy_TSE=accuracy(arms), right_TSV=right_ASV[np.ix_(arms, seeds)],
        cost_TSE=cost_ASE[arms], alone_SE=accuracy(alone)[0], alone_right_SV=right_ASV[alone[0], seeds],
        alone_cost_SE=cost_ASE[alone[0]], truth_T=table.truth_A[arms],
        best_T=table.chances_of_best(arms),
        unseen_T=table.test_right_ASN[np.ix_(arms, unseen)].mean((1, 2)), places=arms, seeds=seeds,
        pictures=round(pictures * EVENNESS / (EVENNESS + 1)),
    )  # fmt: skip


def taught(table: Table) -> NDArray[np.int64]:
    """The arms that have a teacher and whose trainings all came to their end."""
    diverged = table.metadata.get("diverged", [[False]] * len(table.teachers))
    return np.flatnonzero([
        teacher is not None and not any(seeds) for teacher, seeds in zip(table.teachers, diverged, strict=True)
    ])  # fmt: skip


def qualified(table: Table, teacher: str) -> str:
    """A teacher's name with its data: what was trained on other data is another teacher."""
    return f"{table.metadata['dataset']}: {teacher}"


def rung_epochs(epochs: int, rungs: Sequence[float] = RUNGS) -> list[int]:
    """The last epoch (0-based) of each rung."""
    return [max(1, round(rung * epochs)) - 1 for rung in rungs]


def follow(policy: str, job: Job, budget: float, sure: float | None = None) -> Outcome:
    """Plays a policy with a share of everything as its budget, to its own end or until it is as `sure` as a job asks
    for. Only the choosing is replayed: a real job then trains its choice fully on all seeds."""
    reached: Reached = {}
    spent = 0.0
    while True:
        left = budget * job.exhaustive_cost * (1 + 1e-9) - spent
        known = replace(job.known(reached), exact_costs=True)
        steps = POLICIES[policy].next(known, Limits(cost=left / job.usual_cost, chance=sure)).steps
        if not steps:
            view = summarise(known)
            assert view is not None
            return Outcome(teacher=view.lead, share=spent / job.exhaustive_cost, view=view)
        for step in steps:
            spent += job.price(step, reached.get(step.training, 0))
            reached[step.training] = step.rung + 1


def whole_job(job: Job, slots: int = 1, sure: float = CONFIDENCE) -> Outcome:
    """A job as it is by default, to its verdict; its audit arm is left out."""
    decisions: list[Decision] = []
    rules = Rules(slots=slots, chance=sure)
    while (made := next_decision(job.results, decisions, lambda _: "finished", rules)) is not None:
        assert made != "wait"
        decisions.append(made)
    reached: Reached = {}
    costs = dict[Begun, float]()
    for begun in itertools.chain.from_iterable(each.steps for each in decisions):
        costs[begun] = job.price(begun.step, reached.get(begun.step.training, 0))
        reached[begun.step.training] = begun.step.rung + 1
    known = job.known(reached)
    verdict, view = decide(known, final=True), summarise(known)
    assert view is not None
    return Outcome(
        teacher=verdict.best or view.lead, share=sum(costs.values()) / sum(job.all_costs), view=view,
        verdict=verdict.kind, time=real_time(decisions, costs, slots) / packed(job.all_costs, slots),
    )  # fmt: skip


def real_time(decisions: Sequence[Decision], costs: Mapping[Begun, float], slots: int) -> float:
    """Seconds from the first decision to the end of the last training: a decision waits until what its clock calls
    finished really is."""
    running: list[tuple[float, float, int]] = []  # ends by the event clock and really, and the slot
    slot_ends, now = [0.0] * slots, 0.0
    for decision in decisions:
        over = [each for each in running if each[0] <= decision.at]
        now = max([now, *(real for _, real, _ in over)])
        running = [each for each in running if each not in over]
        for begun in decision.steps:
            busy = {slot for *_, slot in running}
            slot = min((each for each in range(slots) if each not in busy), key=lambda each: slot_ends[each])
            slot_ends[slot] = max(slot_ends[slot], now) + costs[begun]
            running.append((begun.ends, slot_ends[slot], slot))
    return max(slot_ends)


def packed(costs: Sequence[float], slots: int) -> float:
    """Seconds that trainings of these costs take side by side, the longest first."""
    ends = [0.0] * slots
    for cost in sorted(costs, reverse=True):
        ends[ends.index(min(ends))] += cost
    return max(ends)


def top_two(job: Job, budget: float, chance: np.random.Generator) -> Outcome:
    """Top-two Thompson sampling on the product's belief (Russo 2020): after a look at everybody a draw's best goes on,
    or every other time the best of a draw that has another."""
    return _one_by_one(job, budget, lambda draws_DA: _two_of(draws_DA, chance))


def _two_of(draws_DA: NDArray[np.float64], chance: np.random.Generator) -> list[int]:
    best_D = draws_DA.argmax(1)
    first = int(best_D[chance.integers(len(best_D))])
    others = best_D[best_D != first]
    order = np.argsort(-np.bincount(best_D, minlength=draws_DA.shape[1]), kind="stable").tolist()
    if chance.random() < 0.5 and len(others):
        first = int(others[chance.integers(len(others))])
    return [first, *order]


def elimination(job: Job, budget: float) -> Outcome:
    """Successive elimination on the product's belief: the least advanced of the 90 % set goes on."""
    return _one_by_one(job, budget, None)


def _one_by_one(job: Job, budget: float, rule: Callable[[NDArray[np.float64]], list[int]] | None) -> Outcome:
    """One step after the other within the budget: by `rule`, which orders the arms, or the product's contender rule."""
    reached: Reached = {}
    spent, most = 0.0, budget * job.exhaustive_cost * (1 + 1e-9)
    while True:
        known = job.known(reached)
        proposal = POLICIES["adaptive"].next(known, Limits())
        steps = list(proposal.steps)
        if rule is not None and all(arm.is_tried for arm in known.candidates):
            found = model(known)
            generator = np.random.default_rng(0)
            draws_DA = generator.multivariate_normal(found.mean_A, found.covariance_AA, 1024, method="eigh")
            steps = [
                step for index in rule(draws_DA) if (step := _next(found.arms[index].teacher, reached)) is not None
            ]
        able = [step for step in steps if spent + job.price(step, reached.get(step.training, 0)) <= most]
        if not able:
            view = summarise(known)
            assert view is not None
            return Outcome(teacher=view.lead, share=spent / job.exhaustive_cost, view=view)
        spent += job.price(able[0], reached.get(able[0].training, 0))
        reached[able[0].training] = able[0].rung + 1


def _next(teacher: str | None, reached: Reached) -> Step | None:
    rungs = doublings(RUNGS)
    for seed in range(SEEDS):
        done = reached.get((teacher, seed), 0)
        if done < len(RUNGS):
            ahead = [rung for rung in rungs if rung >= done]
            return Step(teacher=teacher, seed=seed, rung=rungs[-2] if seed and not done else ahead[0])
    return None


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
