"""One training step of a method on a pair of networks, as the benchmarks of step costs take it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import torch

from dpk_core.distill.build import build_method
from dpk_core.distill.method import StepContext
from dpk_core.dpk_settings import CIFAR_DPK, IMAGENET_DPK, DpkSettings
from dpk_core.models.build import build_model
from dpk_core.recipes import recipe
from dpk_core.spec import Compiled, MethodSpec
from dpk_core.training.optimisers import make_optimisers

STEPS_PER_EPOCH = 100


@dataclass(frozen=True, slots=True)
class Pair:
    """A teacher and a student on square pictures, with the batch for each kind of device."""

    teacher: str
    student: str
    side: int
    classes: int
    batch: dict[str, int]

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.teacher} → {self.student}"


PAIRS = (
    Pair("cifar/resnet56", "cifar/resnet20", 32, 100, {"cpu": 128, "cuda": 128}),
    Pair("torchvision/resnet34", "torchvision/resnet18", 224, 1000, {"cpu": 16, "cuda": 128}),
)


def make_step(
    pair: Pair,
    method: MethodSpec,
    device: torch.device,
    *,
    precision: torch.dtype = torch.float32,
    channels_last: bool = False,
    compiled: Compiled = "no",
) -> Callable[[int], None]:
    """A function that queues step n: forward, backward and both optimisers, on random pictures, untrained networks."""
    batch = pair.batch[device.type]
    layout = torch.channels_last if channels_last else torch.contiguous_format
    student = build_model(pair.student, classes=pair.classes, channels=3, seed=0).to(device)
    student.to(memory_format=layout)
    teacher = None
    if method.name != "none":
        teacher = build_model(pair.teacher, classes=pair.classes, channels=3, seed=1).to(device)
    if method.name == "dpk":
        method = replace(method, dpk=_authors_settings(pair, method.dpk))
    taught = build_method(
        method, student=student, student_name=pair.student, teacher=teacher,
        teacher_name=None if teacher is None else pair.teacher, picture_shape=(3, pair.side, pair.side), seed=0,
        training_labels=torch.arange(batch * STEPS_PER_EPOCH, device=device) % pair.classes,
    )  # fmt: skip
    if compiled != "no":
        torch.compiler.reset()
        taught.compile_networks(compiled)
    optimisers = make_optimisers(taught, recipe("cifar100_paper"), STEPS_PER_EPOCH)
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randn(batch, 3, pair.side, pair.side, generator=generator)
    pictures_BCHW = pictures.to(device, memory_format=layout)
    positions_B = torch.arange(batch, device=device)
    labels_B = positions_B % pair.classes

    def low_precision() -> AbstractContextManager[None]:
        return torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32)

    def step(number: int) -> None:
        context = StepContext(seed=0, step=number, total_steps=24_000, positions_B=positions_B)
        optimisers.prepare(number)
        with low_precision():
            loss = taught(pictures_BCHW, labels_B, context).loss
        optimisers.add_gradients(loss)
        optimisers.update()

    return step


def _authors_settings(pair: Pair, asked: DpkSettings | None) -> DpkSettings:
    """The authors' for ImageNet where pictures are as large, else for CIFAR-100; with the lag that was asked for."""
    base = IMAGENET_DPK if pair.side >= 224 else CIFAR_DPK
    return replace(base, share=replace(base.share, lag=asked is not None and asked.share.lag))
