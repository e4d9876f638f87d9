"""How strongly each term of a loss pulls at the student."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.amp import GradScaler

from dpk_core.distill.method import StepContext
from dpk_core.dpk_settings import DpkSettings
from dpk_core.parallel.world import ALONE
from dpk_core.spec import MethodSpec
from dpk_core.training import loop
from dpk_core.training.gradients import gradient_norms
from dpk_core.training.loop import train
from tests.unit.training.tiny import RECIPE, Watcher, assert_equal_states, spec, start


def test_each_norm_is_that_of_a_step_down_the_term_alone() -> None:
    training = start(spec("dpk"))
    pictures, labels = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(8)
    done = training.method(pictures, labels, StepContext(seed=0, step=0, total_steps=10))
    parameters = list(training.model.parameters())
    norms = gradient_norms(done.terms, parameters, ALONE, training.optimisers.scaler)
    assert set(norms) == {"gradient.class", "gradient.logits", "gradient.features"}
    assert sum(term.item() for term in done.terms.values()) == pytest.approx(done.loss.item(), rel=1e-6)
    for name, term in done.terms.items():
        training.model.zero_grad()
        term.backward(retain_graph=True)
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        assert norms[f"gradient.{name}"].item() == pytest.approx(nn.utils.get_total_norm(gradients).item(), rel=1e-5)


def test_without_weight_the_feature_term_pulls_at_nothing() -> None:
    training = start(replace(spec("dpk"), method=replace(spec("dpk").method, dpk=DpkSettings(feature_weight=0.0))))
    watcher = Watcher()
    train(training, 1, watcher)
    assert watcher.epochs[0]["gradient.features"] == 0
    assert watcher.epochs[0]["gradient.class"] > 0


class TestFloat16:
    RECIPE = replace(RECIPE, precision="float16")

    def test_small_gradients_are_measured_and_do_not_vanish(self) -> None:
        method = MethodSpec(name="dpk", dpk=DpkSettings(feature_weight=1e-6))
        full, low = Watcher(), Watcher()
        train(start(replace(spec("dpk"), method=method)), 1, full)
        train(start(replace(spec("dpk", recipe=self.RECIPE), method=method)), 1, low)
        for name in ("class", "logits", "features"):
            assert low.epochs[0][f"gradient.{name}"] == pytest.approx(full.epochs[0][f"gradient.{name}"], rel=0.05)

    def test_an_overflow_is_no_divergence_and_its_term_is_left_out(self) -> None:
        training = start(spec("kd", recipe=self.RECIPE))
        next(training.model.parameters()).register_hook(lambda gradient: gradient * torch.inf)
        watcher = Watcher()
        train(training, 1, watcher)
        assert not [name for name in watcher.epochs[0] if name.startswith("gradient.")]

    def test_the_other_terms_are_kept(self) -> None:
        weight = nn.Parameter(torch.ones(2))
        terms = {"class": (3 * weight).sum(), "logits": weight.sum() * 1e30 * 1e30}
        norms = gradient_norms(terms, [weight], ALONE, GradScaler("cpu", init_scale=4.0))
        assert {name: norm.item() for name, norm in norms.items()} == {"gradient.class": pytest.approx(18**0.5)}


def test_a_single_term_is_not_measured() -> None:
    watcher = Watcher()
    train(start(spec()), 1, watcher)
    assert not [name for name in watcher.epochs[0] if name.startswith("gradient.")]


def test_measuring_changes_no_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    measured, unmeasured = start(spec("dpk")), start(spec("dpk"))
    train(measured, 1, Watcher(stop_at=3))
    monkeypatch.setattr(loop, "gradient_norms", lambda *_: {})
    train(unmeasured, 1, Watcher(stop_at=3))
    measured.averages = unmeasured.averages
    assert_equal_states(measured, unmeasured)


def test_a_step_in_parts_measures_its_first(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(loop, "gradient_norms", lambda *_: calls.append(1) or {})
    train(start(spec("kd", recipe=replace(RECIPE, accumulation=2))), 1, Watcher(stop_at=2))
    assert len(calls) == 1
