"""Training and the runner need torch, torchvision, timm and numpy with what these need: what GPU machines with vendor
images have.

Of these, torchvision and timm are imported where they are used: together they double what a runner takes to start.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.unit.catalogue.npz_files import write_npz

ABSENT = (
    "scipy", "sklearn", "pyarrow", "cachetools", "pydantic", "sqlalchemy", "fastapi", "celery", "redis",
    "pytest",
)  # fmt: skip

PROGRAM = """
import sys
from pathlib import Path
for name in {absent!r}:
    sys.modules[name] = None  # importing it raises ImportError

import torch
from dataclasses import replace
from dpk_core.catalogue.datasets import dataset_card
from dpk_core.data.source import load_dataset
from dpk_core.models.build import build_model
from dpk_core.recipes import recipe
from dpk_core.spec import MethodSpec, TeacherReference, TrainingSpec
from dpk_core.training import checkpoint, loop
from dpk_core.training.training import begin, make_deterministic

import dpk_core.runner.__main__
from dpk_core.runner.scores import teacher_scores

assert not {{"torchvision", "timm"}} & {{*sys.modules}}


class TwoSteps:
    taken = 0

    def wants_stop(self):
        return self.taken == 2

    def stepped(self, training):
        self.taken = training.step

    def measured(self, *_):
        pass


make_deterministic(1)
root = Path({root!r})
card = dataset_card("npz/small", root, "dataset")
data = load_dataset(card, root, torch.device("cpu"))
spec = TrainingSpec(
    role="student", model="cifar/resnet8w4", dataset=card.name, data_fingerprint=card.fingerprint,
    method=MethodSpec(name="dpk"), teacher=TeacherReference(model="cifar/resnet8", training_key="t"),
    recipe=replace(recipe("digits", epochs=2, batch_size=8), randaugment=9, erasing=0.5), seed=0,
)
teacher = build_model("cifar/resnet8", classes=card.classes, channels=card.channels, seed=1).eval()
observer = TwoSteps()
loop.train(begin(spec, data, teacher), 2, observer)
print(observer.taken, *teacher_scores(teacher, "cifar/resnet8", data).notes)
"""


def test_two_steps_of_dpk_on_an_npz_data_set_and_a_runner_without_scipy(tmp_path: Path) -> None:
    write_npz(tmp_path, "small")
    program = PROGRAM.format(absent=ABSENT, root=str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[3])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    taken, _, note = done.stdout.partition(" ")
    assert taken == "2"
    assert note.startswith("LogME, LEEP, H-score and Ratio 1-2 of cifar/resnet8 could not be measured: ")
    assert "scipy" in note
