"""Each rival's loss: against stored values, against its formula written out again, and its gradient against
differences, in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from dpk_core.distill.at import attention_loss
from dpk_core.distill.contrast import EPS, Bank, contrast_loss, embed, likeness
from dpk_core.distill.dist import relation_losses
from dpk_core.distill.dkd import decoupled_losses
from dpk_core.distill.losses import feature_mse, logit_loss
from dpk_core.distill.reviewkd import hierarchical_loss
from dpk_core.distill.rkd import angle_loss, distance_loss
from dpk_core.distill.sp import similarity_loss
from tests.unit.distill import references
from tests.unit.distill.references import Array, inputs

LABELS = [3, 0, 1, 4, 2]
LABELS_B = torch.tensor(LABELS)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A loss of two tensors of given shapes, the same written out, and its value as `references` once gave it."""

    loss: Callable[[Tensor, Tensor], Tensor]
    reference: Callable[[Array, Array], float]
    student: tuple[int, ...]
    teacher: tuple[int, ...]
    stored: float

    def arrays(self) -> tuple[Array, Array]:
        return inputs(1, *self.student), inputs(2, *self.teacher)

    def tensors(self, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
        student, teacher = (torch.from_numpy(array).to(dtype) for array in self.arrays())
        return student, teacher


CASES = {
    "kd": Case(
        loss=lambda s, t: logit_loss(s, t, 4.0), reference=lambda s, t: references.kd(s, t, 4.0),
        student=(5, 6), teacher=(5, 6), stored=1.03413636,
    ),
    "fitnet": Case(
        loss=feature_mse, reference=references.hint, student=(3, 4, 5, 5), teacher=(3, 4, 5, 5), stored=2.698901584,
    ),
    "at": Case(
        loss=attention_loss, reference=references.at, student=(3, 4, 3, 5), teacher=(3, 7, 3, 5),
        stored=0.02495019938,
    ),
    "sp": Case(
        loss=similarity_loss, reference=references.sp, student=(5, 4, 2, 3), teacher=(5, 3, 4, 4),
        stored=0.02737518741,
    ),
    "rkd distance": Case(
        loss=distance_loss, reference=references.rkd_distance, student=(5, 4, 2, 2), teacher=(5, 3, 3, 3),
        stored=0.1039217677,
    ),
    "rkd angle": Case(
        loss=angle_loss, reference=references.rkd_angle, student=(5, 4, 2, 2), teacher=(5, 3, 3, 3),
        stored=0.127805976,
    ),
    "dkd target": Case(
        loss=lambda s, t: decoupled_losses(s, t, LABELS_B, 4.0)[0],
        reference=lambda s, t: references.dkd(s, t, LABELS, 4.0)[0], student=(5, 6), teacher=(5, 6),
        stored=0.4592831301,
    ),
    "dkd others": Case(
        loss=lambda s, t: decoupled_losses(s, t, LABELS_B, 4.0)[1],
        reference=lambda s, t: references.dkd(s, t, LABELS, 4.0)[1], student=(5, 6), teacher=(5, 6),
        stored=0.7496809293,
    ),
    "dist inter": Case(
        loss=lambda s, t: relation_losses(s, t, 4.0)[0], reference=lambda s, t: references.dist(s, t, 4.0)[0],
        student=(5, 6), teacher=(5, 6), stored=13.23510723,
    ),
    "dist intra": Case(
        loss=lambda s, t: relation_losses(s, t, 4.0)[1], reference=lambda s, t: references.dist(s, t, 4.0)[1],
        student=(5, 6), teacher=(5, 6), stored=16.88168297,
    ),
    "reviewkd": Case(
        loss=hierarchical_loss, reference=references.hierarchical, student=(2, 3, 8, 8), teacher=(2, 3, 8, 8),
        stored=1.766769735,
    ),
    "reviewkd of an averaged map": Case(
        loss=hierarchical_loss, reference=references.hierarchical, student=(2, 3, 1, 1), teacher=(2, 3, 1, 1),
        stored=1.98925511,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
class TestLoss:
    def test_has_the_stored_value(self, name: str) -> None:
        assert CASES[name].loss(*CASES[name].tensors()).item() == pytest.approx(CASES[name].stored, rel=1e-6)

    def test_agrees_with_its_formula(self, name: str) -> None:
        case = CASES[name]
        assert case.loss(*case.tensors()).item() == pytest.approx(case.reference(*case.arrays()), rel=1e-10)

    def test_its_gradient_is_right(self, name: str) -> None:
        student, teacher = CASES[name].tensors()
        assert torch.autograd.gradcheck(lambda s: CASES[name].loss(s, teacher), student.requires_grad_())

    def test_equal_networks_have_no_loss(self, name: str) -> None:
        student, _ = CASES[name].tensors()
        assert CASES[name].loss(student, student.clone()).item() == pytest.approx(0.0, abs=1e-12)

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_low_precision_goes_in_and_float32_comes_out(self, name: str, dtype: torch.dtype) -> None:
        low = CASES[name].tensors(dtype)
        expected = CASES[name].loss(*(tensor.float() for tensor in low))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = CASES[name].loss(*low)
        assert found.dtype == torch.float32
        assert torch.equal(found, expected)


class TestAttention:
    def test_the_larger_map_is_averaged_down(self) -> None:
        small = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
        large = small.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        assert attention_loss(large, small).item() == attention_loss(small, large).item() == pytest.approx(0, abs=1e-12)


class TestRelations:
    def test_pictures_that_are_alike_have_a_finite_gradient(self) -> None:
        student = torch.ones(4, 3, 2, 2, requires_grad=True)
        teacher = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
        (distance_loss(student, teacher) + angle_loss(student, teacher)).backward()
        assert student.grad is not None
        assert student.grad.isfinite().all()

    def test_scale_and_shift_of_a_network_change_no_distance(self) -> None:
        student, teacher = CASES["rkd distance"].tensors()
        plain = distance_loss(student, teacher).item()
        assert distance_loss(3 * student + 7, 0.1 * teacher).item() == pytest.approx(plain)


class TestDecoupled:
    def test_target_and_others_are_kd_taken_apart(self) -> None:
        """Eq. 6 of the paper: KD = TCKD + (1 − p of the true class) · NCKD, picture by picture."""
        student, teacher = CASES["kd"].tensors()
        for i in range(len(student)):
            one, other, label = student[i:i + 1], teacher[i:i + 1], LABELS_B[i:i + 1]  # fmt: skip
            target, others = decoupled_losses(one, other, label, 1.0)
            p = other.softmax(dim=1)[0, LABELS[i]]
            assert logit_loss(one, other, 1.0).item() == pytest.approx((target + (1 - p) * others).item())

    def test_a_teacher_that_is_sure_gives_finite_losses(self) -> None:
        student, teacher = torch.zeros(2, 4, requires_grad=True), torch.tensor([[500.0, 0, 0, 0], [0, 500.0, 0, 0]])
        target, others = decoupled_losses(student, teacher, torch.tensor([0, 2]), 1.0)
        (target + others).backward()
        assert target.isfinite()
        assert others.isfinite()
        assert student.grad is not None
        assert student.grad.isfinite().all()


class TestContrast:
    STORED = 5.086902

    def banks(self) -> tuple[Tensor, Tensor]:
        student, teacher = (embed(torch.from_numpy(inputs(seed, 12, 5))) for seed in (3, 4))
        return student, teacher

    def embeddings(self) -> tuple[Tensor, Tensor]:
        student, teacher = (embed(torch.from_numpy(inputs(seed, 3, 5))) for seed in (5, 6))
        return student, teacher

    CONTRASTED = ((2, 5, 7, 5), (0, 11, 3, 4), (9, 1, 2, 10))

    def bank(self) -> Bank:
        bank = Bank(12, 5, momentum=0.5).double()
        bank.student_NE.copy_(self.banks()[0])
        bank.teacher_NE.copy_(self.banks()[1])
        return bank

    def loss(self, student_BE: Tensor, teacher_BE: Tensor) -> Tensor:
        return self.bank().contrast(student_BE, teacher_BE, torch.tensor(self.CONTRASTED), 0.5)

    def test_has_the_stored_value(self) -> None:
        assert self.loss(*self.embeddings()).item() == pytest.approx(self.STORED, rel=1e-6)

    def test_agrees_with_its_formula(self) -> None:
        student, teacher = (e.numpy() for e in self.embeddings())
        banks = (self.banks()[0].numpy(), self.banks()[1].numpy())
        expected = references.crd(student, teacher, banks, [list(row) for row in self.CONTRASTED], 0.5)
        assert self.loss(*self.embeddings()).item() == pytest.approx(expected, rel=20 * EPS)

    def test_its_gradient_is_right(self) -> None:
        student_BE, teacher_BE = (e.requires_grad_() for e in self.embeddings())
        bank = self.bank()
        bank.contrast(student_BE, teacher_BE, torch.tensor(self.CONTRASTED), 0.5)  # sets Z, which takes no gradient

        def loss(one_BE: Tensor, other_BE: Tensor) -> Tensor:
            return bank.contrast(one_BE, other_BE, torch.tensor(self.CONTRASTED), 0.5)

        assert torch.autograd.gradcheck(loss, (student_BE, teacher_BE))

    def test_the_normalisers_are_set_once(self) -> None:
        bank = self.bank()
        assert bank.scales.tolist() == [0, 0]
        contrasted = torch.tensor(self.CONTRASTED)
        bank.contrast(*self.embeddings(), contrasted, 0.5)
        first = bank.scales.clone()
        mean = likeness(self.embeddings()[0], bank.teacher_NE, contrasted, 0.5).mean()
        assert first[0].item() == pytest.approx(12 * mean.item())
        student_BE, teacher_BE = self.embeddings()
        bank.contrast(-student_BE, -teacher_BE, contrasted, 0.5)
        assert torch.equal(bank.scales, first)

    def test_a_picture_s_embedding_moves_half_way_and_keeps_its_length(self) -> None:
        bank, (student_BE, teacher_BE) = self.bank(), self.embeddings()
        before = bank.student_NE.clone()
        bank.keep(torch.tensor([4, 0, 7]), student_BE, teacher_BE)
        torch.testing.assert_close(bank.student_NE[0], embed((before[0] + student_BE[1])[None])[0])
        torch.testing.assert_close(bank.teacher_NE.norm(dim=1), torch.ones(12, dtype=torch.float64))
        others = [i for i in range(12) if i not in (0, 4, 7)]
        assert torch.equal(bank.student_NE[others], before[others])

    def test_low_precision_goes_in_and_float32_comes_out(self) -> None:
        low = torch.rand(3, 4, generator=torch.Generator().manual_seed(0)).bfloat16()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = contrast_loss(low, torch.tensor(2.0), 12)
            near = likeness(low, low.float(), torch.tensor([[0], [1], [2]]), 0.5)
        assert found.dtype == near.dtype == torch.float32
        assert torch.equal(found, contrast_loss(low.float(), torch.tensor(2.0), 12))
        exact = ((low.float() * low.float()).sum(dim=1, keepdim=True) / 0.5).exp()
        torch.testing.assert_close(near, exact)
