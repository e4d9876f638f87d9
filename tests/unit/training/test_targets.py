"""Label smoothing, mixup and CutMix, by hand and under every method."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dpk_core.distill.method import class_numbers
from dpk_core.spec import MethodName, TaughtMethodName
from dpk_core.training.loop import train
from dpk_core.training.targets import cut_in, make_targets, own_share
from tests.unit.training.tiny import RECIPE, Watcher, spec, start

PICTURES, LABELS = torch.randn(5, 1, 4, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 1, 0])
LOGITS = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))


def made(step: int = 0, **switches: float) -> tuple[Tensor, Tensor]:
    return make_targets(replace(RECIPE, **switches), PICTURES, LABELS, 3, 7, step)


def test_without_a_switch_both_are_left_as_they_came() -> None:
    pictures, labels = made()
    assert pictures is PICTURES
    assert labels is LABELS


def test_smoothing_is_that_of_torch() -> None:
    pictures, shares = made(label_smoothing=0.1)
    assert pictures is PICTURES
    assert F.cross_entropy(LOGITS, shares).item() == pytest.approx(
        F.cross_entropy(LOGITS, LABELS, label_smoothing=0.1).item()
    )


class TestMixup:
    def test_pictures_are_mixed_and_judged_against_both_labels(self) -> None:
        pictures, shares = made(mixup=0.5)
        own = own_share(0.5, 7, 0)
        assert 0.5 < own < 1
        torch.testing.assert_close(pictures, own * PICTURES + (1 - own) * PICTURES.flip(0))
        both = own * F.cross_entropy(LOGITS, LABELS) + (1 - own) * F.cross_entropy(LOGITS, LABELS.flip(0))
        assert F.cross_entropy(LOGITS, shares).item() == pytest.approx(both.item())

    def test_the_main_class_stays_the_pictures_own(self) -> None:
        shares = made(mixup=0.5, label_smoothing=0.1)[1]
        assert class_numbers(shares).tolist() == class_numbers(LABELS).tolist() == LABELS.tolist()
        torch.testing.assert_close(shares.sum(1), torch.ones(5))

    def test_each_step_draws_its_own_share_again_and_again_the_same(self) -> None:
        drawn = [own_share(0.2, 3, step) for step in range(200)]
        assert drawn == [own_share(0.2, 3, step) for step in range(200)]
        assert len(set(drawn)) > 150
        # With small α most pictures stay nearly themselves: E max(λ, 1 - λ) of Beta(.2, .2) is .9.
        assert sum(drawn) / 200 == pytest.approx(0.9, abs=0.03)


class TestCutMix:
    def test_a_rectangle_is_the_partner_s_and_labels_follow_its_area(self) -> None:
        large = torch.zeros(5, 1, 16, 16) + torch.arange(5.0)[:, None, None, None]
        pictures, own = cut_in(large, large.flip(0), 1.0, 7, 0)
        pasted = pictures[0, 0] == 4
        assert pasted.sum().item() == round((1 - own) * 256)
        rows, columns = pasted.any(1), pasted.any(0)
        assert torch.equal(pasted, rows[:, None] & columns)
        assert (pictures[0, 0][~pasted] == 0).all()
        assert 0.5 <= own < 1

    def test_labels_are_shared_by_the_area_that_was_cut(self) -> None:
        pictures, shares = made(cutmix=1.0)
        _, own = cut_in(PICTURES, PICTURES.flip(0), 1.0, 7, 0)
        expected = own * F.one_hot(LABELS, 3) + (1 - own) * F.one_hot(LABELS.flip(0), 3)
        torch.testing.assert_close(shares, expected)
        assert not torch.equal(pictures, PICTURES)

    def test_beside_mixup_each_step_takes_one_of_the_two(self) -> None:
        cut = [torch.equal(made(step, mixup=0.5, cutmix=1.0)[0], made(step, cutmix=1.0)[0]) for step in range(40)]
        mixed = [torch.equal(made(step, mixup=0.5, cutmix=1.0)[0], made(step, mixup=0.5)[0]) for step in range(40)]
        assert all(one != other for one, other in zip(cut, mixed, strict=True))
        assert 10 < sum(cut) < 30


@pytest.mark.parametrize("method", ["none", *get_args(TaughtMethodName)])
def test_methods_learn_from_shares_of_classes(method: MethodName) -> None:
    training, seen = start(spec(method, recipe=replace(RECIPE, label_smoothing=0.1, mixup=0.2))), []
    training.method.register_forward_pre_hook(lambda _, args: seen.append(args[1]))
    train(training, 1, Watcher(stop_at=2))
    assert [labels.shape for labels in seen] == [(32, 10), (32, 10)]
    assert all(labels.sum(1).allclose(torch.ones(32)) for labels in seen)
    training.averages.check(training.step)


@pytest.mark.parametrize(
    ("switch", "sentence"),
    [({"label_smoothing": 1.0}, "label_smoothing must be"), ({"mixup": -0.1}, "mixup must be at least 0")],
)
def test_what_cannot_be_is_refused(switch: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        replace(RECIPE, **switch)
