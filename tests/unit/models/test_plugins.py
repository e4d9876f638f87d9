"""Plug-ins: installed packages whose models are in catalogue, pre-flight and training like all others."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dpk_core.catalogue import plugins
from dpk_core.catalogue.fitting import made_for
from dpk_core.catalogue.models import model_card, model_names
from dpk_core.catalogue.names import canonical
from dpk_core.catalogue.parameters import Parameter, model_parameters, weights_card
from dpk_core.errors import InvalidRequest, MissingHere
from dpk_core.models.build import build_model
from dpk_core.models.plugin import build_plugin
from dpk_core.models.taps import FeatureTaps
from dpk_core.runner import warm
from dpk_core.training.training import begin
from service.selection_jobs.preflight import check
from service.wire.jobs import SelectionJobRequest
from tests.unit.models.plugged import EXAMPLE, install, install_example
from tests.unit.training.tiny import digits, spec


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The full name of the example's model, installed and measured by a child process once for this module."""
    with pytest.MonkeyPatch.context() as patch:
        install_example(tmp_path_factory.mktemp("site"), patch)
        (name,) = plugins.plugin_names()
        model_card(name, "student")
        yield name


def test_the_service_side_learns_all_without_importing_torch_or_the_package(plugin: str) -> None:
    code = (
        "import sys; from dpk_core.catalogue.models import model_card; "
        f"card = model_card({plugin!r}, 'student'); print(len(card.taps), 'torch' in sys.modules, "
        "'dpk_select_example' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["3", "False", "False"]


def test_its_card_tells_the_maps_that_it_gives(plugin: str) -> None:
    card = model_card(plugin, "student")
    model = build_model(plugin, classes=10, channels=1, seed=0, side=28)
    with FeatureTaps(model, card.taps) as taps:
        assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert [found.shape[1:3] for found in taps.maps] == [(tap.channels, tap.side(28)) for tap in card.taps]
    assert [tap.side(28) for tap in card.taps] == [28, 14, 7]


def test_its_parameters_are_known_to_weights_files(plugin: str) -> None:
    assert weights_card(plugin, "weights").batch_norm
    state = build_model(plugin, classes=7, channels=3, seed=0, side=32).state_dict()
    assert state.keys() == model_parameters(plugin).keys()
    assert made_for(plugin, {key: Parameter(tuple(value.shape)) for key, value in state.items()}, "x", "w").classes == 7


def test_the_short_name_means_what_is_installed_now(plugin: str) -> None:
    assert canonical("plugin/squeeze_mini", "random") == (plugin, "random")
    assert canonical("plugin/squeeze_mini", "file:mine.safetensors") == (plugin, "file:mine.safetensors")
    assert plugin in model_names()
    with pytest.raises(InvalidRequest) as raised:
        model_card("plugin/squeezemini", "student")
    assert raised.value.nearest == plugin


def test_a_job_takes_it_as_student_and_as_teacher(plugin: str) -> None:
    request = SelectionJobRequest.model_validate(
        {"student": "plugin/squeeze_mini", "dataset": "digits", "teachers": ["plugin/squeeze_mini", "cifar/resnet20"]}
    )
    plan = check(request, None)
    assert plan.student == plugin
    assert [stage.student.module for stage in plan.taps[plugin]] == ["stages", "stages.1"]
    assert begin(replace(spec(), model=plugin), digits(), None).step == 0


def test_its_first_weights_follow_the_seed(plugin: str) -> None:
    first, again, other = (
        build_model(plugin, classes=10, channels=1, seed=seed, side=8).state_dict()["head.weight"] for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_machine_without_it_leaves_the_run_to_another_one(plugin: str) -> None:
    warm.models_here(replace(spec(), model=plugin))
    with pytest.raises(MissingHere, match="does not have the plug-in plugin/squeeze_mini-00000000"):
        warm.models_here(replace(spec(), model="plugin/squeeze_mini-00000000"))


def test_changed_code_is_another_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = []
    for folder, line in (("a", ""), ("b", "WIDTH = 2\n")):
        package = tmp_path / folder / "changing"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(line)
        with monkeypatch.context() as patch:
            install(tmp_path / f"site-{folder}", patch, package, changing="changing:build")
            names.extend(name for name in plugins.plugin_names() if name.startswith("plugin/changing-"))
    assert len(set(names)) == 2


def test_what_cannot_be_used_says_why_at_its_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "broken"
    package.mkdir()
    (package / "__init__.py").write_text("def build(*, classes, channels, side):\n    return 'no network'\n")
    install(tmp_path / "site", monkeypatch, package, broken="broken:build", **{"Odd.Name": "broken:build"})
    (name,) = (name for name in plugins.plugin_names() if "squeeze" not in name)
    with pytest.raises(TypeError, match="broken:build gave str, not"):
        build_plugin(name.partition("/")[2], 10, 3, 32)
    died = subprocess.CompletedProcess((), 1, b"", b"Traceback\nTypeError: broken:build gave str\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: died)
    with pytest.raises(InvalidRequest) as raised:
        model_card(name, "teachers[1]")
    assert raised.value.field == "teachers[1]"
    assert raised.value.message == (
        f"The plug-in {name} of the package broken cannot be used: TypeError: broken:build gave str."
    )


def test_the_example_is_documented_and_installable() -> None:
    assert "plugin/squeeze_mini" in (EXAMPLE.parents[1] / "docs" / "own-models.md").read_text()
