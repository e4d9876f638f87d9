"""What every distillation method promises the training loop, whichever it is."""

import copy
import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from dpk_core.distill.build import METHODS, build_method
from dpk_core.distill.method import Method, StepContext, StepOutcome
from dpk_core.distill.tapped import TappedMethod
from dpk_core.models.build import build_model
from dpk_core.spec import DPK_METHODS, LOGIT_METHODS, MODULE_METHODS, MethodName, MethodSpec, ProfileName

PART = re.compile(r"loss_[a-z]+|(share|cka|share_fallback)\.[a-z_]+")
"""What a part may be called."""

STEP = StepContext(seed=3, step=11, total_steps=20, positions_B=torch.arange(8))
LABELS = torch.arange(40) % 10
"""Of the training split that the batch is said to come from."""

UNUSED = {"dpk_no_teacher_tokens": "teacher_encoder"}
"""Modules that a method has on purpose and that get no gradient."""

pytestmark = pytest.mark.parametrize("name", sorted(METHODS))


def make(name: MethodName, *, profile: ProfileName = "probe", seed: int = 5) -> Method:
    teacher = None if name == "none" else build_model("cifar/resnet8", classes=10, channels=1, seed=1)
    return build_method(
        MethodSpec(name=name, profile=profile),
        student=build_model("cifar/resnet8w4", classes=10, channels=1, seed=0), student_name="cifar/resnet8w4",
        teacher=teacher, teacher_name=None if teacher is None else "cifar/resnet8",
        picture_shape=(1, 8, 8), seed=seed, training_labels=LABELS,
    )  # fmt: skip


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(9)
    return torch.randn(8, 1, 8, 8, generator=generator), torch.randint(10, (8,), generator=generator)


def state(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def run(method: Method) -> StepOutcome:
    done: StepOutcome = method(*batch(), STEP)
    return done


def test_carries_its_own_name(name: MethodName) -> None:
    assert make(name).name == name


def test_loss_is_a_finite_scalar_with_named_finite_parts(name: MethodName) -> None:
    done = run(make(name))
    assert done.loss.shape == ()
    assert done.loss.isfinite()
    assert done.loss.requires_grad
    assert "loss_class" in done.parts
    assert all(PART.fullmatch(part) for part in done.parts)
    assert all(part.shape == () and part.isfinite() and not part.requires_grad for part in done.parts.values())


def test_pre_flight_knows_what_it_needs(name: MethodName) -> None:
    method = make(name)
    assert isinstance(method, TappedMethod) == (name not in LOGIT_METHODS)
    assert any(part.startswith("cka.") for part in run(method).parts) == (name in DPK_METHODS)
    assert bool([*method.distillation_parameters()]) == (name in MODULE_METHODS)


def test_logits_are_the_student_s_and_detached(name: MethodName) -> None:
    method = make(name)
    student = copy.deepcopy(method.student)
    done = run(method)
    assert not done.logits_BC.requires_grad
    assert torch.equal(done.logits_BC, student(batch()[0]))


def test_student_and_extras_learn_and_the_teacher_does_not(name: MethodName) -> None:
    method = make(name)
    before = None if method.teacher is None else state(method.teacher)
    run(method).loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    assert all(p.grad is not None and p.grad.isfinite().all() for p in method.student.parameters())
    assert any(p.grad is not None and p.grad.any() for p in method.student.parameters())
    if method.teacher is not None and before is not None:
        assert all(p.grad is None and not p.requires_grad for p in method.teacher.parameters())
        assert same(before, state(method.teacher))
    for parameter_name, parameter in method.extras.named_parameters():
        unused = name in UNUSED and UNUSED[name] in parameter_name
        assert (parameter.grad is None) is unused, parameter_name


def test_the_teacher_stays_in_evaluation_mode(name: MethodName) -> None:
    method = make(name)
    for mode in (True, False, True):
        method.train(mode)
        assert all(module.training is mode for module in method.student.modules())
        assert all(module.training is mode for module in method.extras.modules())
        if method.teacher is not None:
            assert not any(module.training for module in method.teacher.modules())


def test_a_step_is_decided_by_seed_and_step_alone(name: MethodName) -> None:
    outcomes = []
    for noise in (1, 2):
        torch.manual_seed(noise)
        outcomes.append(run(make(name)))
    assert torch.equal(outcomes[0].loss, outcomes[1].loss)
    assert same(outcomes[0].parts, outcomes[1].parts)


def test_moves_no_global_random_state(name: MethodName) -> None:
    before = torch.get_rng_state()
    run(make(name)).loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    assert torch.equal(before, torch.get_rng_state())


def test_the_student_starts_alike_under_every_method_and_seed_of_extras(name: MethodName) -> None:
    plain = state(build_model("cifar/resnet8w4", classes=10, channels=1, seed=0))
    assert same(state(make(name).student), plain)
    assert same(state(make(name, seed=6).student), plain)


def test_extras_are_decided_by_the_seed(name: MethodName) -> None:
    first, again, other = (state(make(name, seed=seed).extras) for seed in (5, 5, 6))
    assert same(first, again)
    assert same(first, other) is not bool(first)


def test_extras_are_no_part_of_the_student(name: MethodName) -> None:
    method = make(name)
    own = {id(p) for p in method.student.parameters()}
    assert not any(id(p) in own for p in method.distillation_parameters())
    assert sum(1 for _ in method.distillation_parameters()) == sum(1 for _ in method.extras.parameters())


def test_works_in_lower_precision(name: MethodName) -> None:
    method = make(name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        done = run(method)
    done.loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    assert done.loss.dtype == torch.float32
    assert done.loss.item() == pytest.approx(run(make(name)).loss.item(), rel=0.05)


def test_leaves_no_hook_behind(name: MethodName) -> None:
    method = make(name)
    run(method)
    assert not any(module._forward_hooks for module in method.modules())


class Waits(TorchDispatchMode):
    """Notes the operations whose result the host must wait for: a number taken out, a size that depends on values."""

    NAMES = frozenset({"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_consecutive", "equal"})

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.removeprefix("aten::")
        by_mask = name == "index" and any(i is not None and i.dtype == torch.bool for i in args[1])
        if name in self.NAMES or by_mask:
            self.seen.append(name)
        return func(*args, **(kwargs or {}))


def test_no_operation_of_a_step_makes_the_host_wait(name: MethodName) -> None:
    """DPK's one `tolist`, which no dispatch shows, is what its share needs; nothing else may wait."""
    method = make(name)
    pictures, labels = batch()
    with Waits() as waits:
        done: StepOutcome = method(pictures, labels, STEP)
        done.loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    assert waits.seen == []
    with Waits() as noticed:
        torch.arange(3)[torch.tensor([True, False, True])].sum().item()
    assert noticed.seen == ["index", "_local_scalar_dense"]


def test_a_teacher_too_many_or_too_few_is_refused(name: MethodName) -> None:
    student = build_model("cifar/resnet8w4", classes=10, channels=1, seed=0)
    wrong = student if name == "none" else None
    with pytest.raises(ValueError, match="takes no teacher" if name == "none" else "needs a teacher"):
        build_method(
            MethodSpec(name=name), student=student, student_name="cifar/resnet8w4",
            teacher=wrong, teacher_name=None if wrong is None else "cifar/resnet8w4", picture_shape=(1, 8, 8), seed=0,
        )  # fmt: skip


def test_the_teacher_runs_without_a_graph(name: MethodName) -> None:
    method = make(name)
    if method.teacher is not None:
        pictures, _ = batch()
        assert not method.ask_teacher(pictures.requires_grad_()).requires_grad
