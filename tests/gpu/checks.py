"""What must hold on a GPU. Plain functions of a device, so that `python -m benchmarks.gpu` can run them where there is
no pytest; `test_gpu.py` hands them to pytest where there is."""

from __future__ import annotations

import copy
import io
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace

# cuBLAS reads this once, when the process first uses it, and is deterministic only with it; as in the runner.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import numpy as np
import torch
from PIL import Image
from torch.profiler import ProfilerActivity, profile

from dpk_core.catalogue.datasets import DIGITS
from dpk_core.catalogue.reading import ReadingRule
from dpk_core.data.box_augment import augment_boxes
from dpk_core.data.boxes import BoxTargets
from dpk_core.data.encoded import Rows
from dpk_core.data.split import ImageData, PictureSplit, Split, image_data
from dpk_core.data.streamed import StreamedSplit
from dpk_core.detection_settings import BoxAugmentation, Canvas
from dpk_core.distill.build import METHODS, build_method
from dpk_core.distill.cka import unbiased_cka
from dpk_core.distill.fgd import focal_masks
from dpk_core.distill.method import Method, StepContext
from dpk_core.distill.precision import tf32
from dpk_core.dpk_settings import DpkSettings, ShareSettings
from dpk_core.models.build import build_model
from dpk_core.recipes import recipe
from dpk_core.runner.failures import classify
from dpk_core.spec import Compiled, MethodName, MethodSpec, Recipe, TeacherReference, TrainingSpec
from dpk_core.training.determinism import deterministic_where_possible, refused_operation
from dpk_core.training.evaluate import Evaluation
from dpk_core.training.loop import train
from dpk_core.training.training import Training, begin, make_deterministic

STUDENT, TEACHER = "cifar/resnet8w4", "cifar/resnet8"
SMALLER_MAPS = "cifar/vgg8"
"""A student whose maps are half as large as the teacher's."""
CPU = torch.device("cpu")
RECIPE = replace(recipe("digits", epochs=2, batch_size=8), augmentation="crop_flip", clip_norm=1.0)
IMAGENET_LIKE = replace(RECIPE, augmentation="resized_crop_flip", randaugment=9, erasing=0.5, mixup=0.2, cutmix=1.0)
FIXED = DpkSettings(share=ShareSettings(schedule="fixed"))
"""A share that rounding cannot move."""
LAGGING = MethodSpec(name="dpk", dpk=DpkSettings(share=ShareSettings(lag=True)))

Check = Callable[[torch.device], None]


def pictures(device: torch.device, side: int = 16, *, streamed: bool = False) -> ImageData:
    """Made-up coloured pictures: nine steps of an epoch. `streamed`: in files, decoded when they are wanted."""
    generator = torch.Generator().manual_seed(9)
    made = torch.randint(0, 256, (80, 3, side, side), generator=generator, dtype=torch.uint8)
    labels = (torch.arange(80) % 10).to(device)
    train_split: PictureSplit = Split(made[:72].to(device), labels[:72])
    if streamed:
        train_split = StreamedSplit(_files(made[:72]), np.arange(72), labels[:72], ReadingRule(channels=3, side=side))
    validation = Split(made[72:].to(device), labels[72:])
    card = replace(DIGITS, channels=3, side=side, train_pictures=72, validation_pictures=8, test_pictures=8)
    return image_data(
        card, train=train_split, validation=validation, read_test=lambda: validation, sample_BCHW=made[:72]
    )


def _files(pictures_BCHW: torch.Tensor) -> Rows:
    files = []
    for number, picture_HWC in enumerate(pictures_BCHW.permute(0, 2, 3, 1).numpy()):
        content = io.BytesIO()
        Image.fromarray(picture_HWC).save(content, "PNG")
        files.append((f"{number}.png", content.getvalue()))
    return Rows(tuple(files))


def started(
    method: MethodSpec,
    device: torch.device,
    recipe: Recipe = RECIPE,
    student: str = STUDENT,
    data: ImageData | None = None,
) -> Training:
    """A training of the real loop before its first step."""
    teacher = None
    if method.name != "none":
        teacher = build_model(TEACHER, classes=10, channels=3, seed=1).eval().requires_grad_(False).to(device)
    spec = TrainingSpec(
        role="student", model=student, dataset="digits", data_fingerprint=DIGITS.fingerprint, method=method,
        teacher=None if teacher is None else TeacherReference(model=TEACHER, training_key="untrained"),
        recipe=recipe, seed=0,
    )  # fmt: skip
    return begin(spec, data or pictures(device), teacher)


@dataclass
class Steps:
    """An observer that ends after `most` steps."""

    most: int
    taken: int = 0

    def wants_stop(self) -> bool:
        return self.taken == self.most

    def stepped(self, training: Training) -> None:
        self.taken = training.step

    def measured(self, training: Training, values: dict[str, float], validation: Evaluation) -> None:
        pass


@dataclass
class Waits(Steps):
    """Also lists, for each step, what torch says of the host's waits for the device. `caught` is filled by torch."""

    caught: list[warnings.WarningMessage] = field(default_factory=list)
    of_steps: list[list[str]] = field(default_factory=list)
    seen: int = 0

    def wants_stop(self) -> bool:
        self.seen = len(self.caught)
        return super().wants_stop()

    def stepped(self, training: Training) -> None:
        super().stepped(training)
        found = (str(each.message) for each in self.caught[self.seen :])
        self.of_steps.append([message for message in found if "synchronizing CUDA operation" in message])


def waits(training: Training) -> list[list[str]]:
    """The waits in the third to the sixth whole step: data, networks, method, optimisers and what is measured."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        observer = Waits(6, caught=caught)
        torch.cuda.set_sync_debug_mode("warn")
        try:
            train(training, 1, observer)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return observer.of_steps[2:]


def waits_once_if_the_share_follows_cka(name: MethodName) -> Check:
    """A step under `name` makes the host wait once where its share follows CKA, else never."""

    def check(device: torch.device) -> None:
        expected = 1 if name in ("dpk", "dpk_features_only") else 0
        for found in waits(started(MethodSpec(name=name), device)):
            assert len(found) == expected, found

    return check


def never_waits_with_lag(device: torch.device) -> None:
    """A share that lags a step makes no step wait."""
    for each in (RECIPE, replace(RECIPE, precision="bfloat16", channels_last=True, ema_decay=0.9)):
        assert not any(found := waits(started(LAGGING, device, each))), found
    assert not any(found := waits(started(LAGGING, device, student=SMALLER_MAPS))), found


def never_waits_for_pictures(device: torch.device) -> None:
    """Pictures are copied without waiting, also those that threads decode. Random crops, RandAugment, erasing, mixup
    and CutMix are drawn on the host and not waited for."""
    for streamed in (False, True):
        training = started(MethodSpec(name="kd"), device, IMAGENET_LIKE, data=pictures(device, streamed=streamed))
        assert not any(found := waits(training)), found


def never_waits_for_boxes(device: torch.device) -> None:
    """Nor are windows, flips and colours of pictures with boxes, nor FGD's masks. Detectors themselves wait: how many
    boxes are left is a size."""
    pictures_BCHW = torch.randint(0, 256, (8, 3, 32, 48), dtype=torch.uint8).to(device)
    boxes_BM4 = torch.tensor([[4.0, 5.0, 20.0, 15.0]]).repeat(8, 1, 1)
    labels_BM = torch.zeros(8, 1, dtype=torch.int64)
    targets = BoxTargets(boxes_BM4=boxes_BM4, labels_BM=labels_BM, crowd_BM=labels_BM > 0).to(device)
    settings = BoxAugmentation(upright_flip=0.5, colour=0.2)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for seed in range(3):
            augment_boxes(settings, pictures_BCHW, targets, torch.Generator().manual_seed(seed))
        focal_masks(targets, Canvas(height=32, width=48), (4, 6))
    finally:
        torch.cuda.set_sync_debug_mode("default")


def same_bits_twice(method: MethodSpec, recipe: Recipe = RECIPE, student: str = STUDENT) -> Check:
    """Two trainings of an epoch end with the same weights and measurements."""

    def check(device: torch.device) -> None:
        states = []
        for _ in range(2):
            training = started(method, device, recipe, student)
            train(training, 1, Steps(-1))
            states.append((training.model.state_dict(), training.last_measured))
        (one, measured), (other, measured_again) = states
        assert measured == measured_again
        assert all(torch.equal(value, other[name]) for name, value in one.items())

    return check


def streamed_pictures_arrive_whole(device: torch.device) -> None:
    """Pictures that threads decode are the same on the device, with several batches on their way at once."""
    held, streamed = pictures(CPU), pictures(device, streamed=True)
    batches = torch.arange(len(streamed.train)).split(8)
    readings = [streamed.train.start_reading(batch) for batch in batches]
    for batch, read in zip(batches, readings, strict=True):
        found = read()
        assert found.device == streamed.device
        assert torch.equal(found.cpu(), held.train.start_reading(batch)())
    train(started(MethodSpec(name="kd"), device, data=streamed), 1, Steps(2))


def same_training_on_the_last_device(device: torch.device) -> None:
    """What is measured, the lagging share too, is the same on the machine's last device as on its first one."""
    measured = []
    for place in (device, torch.device(device.type, torch.cuda.device_count() - 1)):
        with torch.cuda.device(place):  # as every process has its device for its current one
            training = started(LAGGING, place)
            train(training, 1, Steps(-1))
            measured.append(training.last_measured)
    assert "share.last" in measured[0]
    assert measured[0] == measured[1], measured


def same_step_as_on_the_cpu(name: MethodName) -> Check:
    """In double precision, which no device rounds to fewer digits on its own."""

    def check(device: torch.device) -> None:
        spec = MethodSpec(name=name, dpk=FIXED if name.startswith("dpk") else None)
        here = _method(spec).double()
        there = copy.deepcopy(here).to(device)
        losses = [_loss(here, CPU), _loss(there, device)]
        assert abs(losses[1] - losses[0]) <= 1e-5 * abs(losses[0]), losses
        for (where, ours), theirs in zip(here.student.named_parameters(), there.student.parameters(), strict=True):
            assert ours.grad is not None
            assert theirs.grad is not None
            near = 1e-4 * ours.grad.abs().max().item()
            torch.testing.assert_close(theirs.grad.cpu(), ours.grad, rtol=1e-4, atol=near, msg=where)

    return check


def _method(spec: MethodSpec) -> Method:
    student = build_model(STUDENT, classes=10, channels=1, seed=0)
    teacher = None if spec.name == "none" else build_model(TEACHER, classes=10, channels=1, seed=1)
    return build_method(
        spec, student=student, student_name=STUDENT, teacher=teacher,
        teacher_name=None if teacher is None else TEACHER, picture_shape=(1, 8, 8), seed=5,
        training_labels=torch.arange(64) % 10,
    )  # fmt: skip


def _loss(method: Method, device: torch.device) -> float:
    pictures_BCHW = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(9)).to(device).double()
    positions_B = torch.arange(8, device=device)
    step = StepContext(seed=3, step=11, total_steps=20, positions_B=positions_B)
    loss = method(pictures_BCHW, positions_B % 10, step).loss
    loss.backward()
    return loss.item()


def cka_is_full_precision(precision: torch.dtype) -> Check:
    """Autocast changes no digit of CKA, and maps of low precision are compared in float32."""

    def check(device: torch.device) -> None:
        # Alike, and far from 0 as after a ReLU.
        generator = torch.Generator().manual_seed(0)
        student = 5 + torch.randn(32, 16, 8, 8, generator=generator)
        teacher = student + torch.randn(32, 16, 8, 8, generator=generator)
        there = student.to(device), teacher.to(device)
        low = [each.to(precision) for each in there]
        with torch.autocast(device.type, dtype=precision):
            found, of_low = unbiased_cka(*there), unbiased_cka(*low)
        assert found.dtype == torch.float64
        assert torch.equal(found, unbiased_cka(*there))
        exact = unbiased_cka(*(each.cpu().double() for each in low))
        assert abs(of_low.item() - exact.item()) <= 1e-5, (of_low, exact)

    return check


def compiled_learns_the_same(mode: Compiled, *names: MethodName) -> Check:
    """Compiled networks, as CUDA graphs too, give the numbers of eager ones, to rounding."""

    def check(device: torch.device) -> None:
        gentle = replace(RECIPE, learning_rate=0.002)
        for name in names:
            method = MethodSpec(name=name, dpk=FIXED if name == "dpk" else None)
            means = []
            for compiled in ("no", mode):
                training = started(method, device, replace(gentle, compiled=compiled))
                train(training, 1, Steps(4))
                means.append(training.averages.means())
            eager, other = means
            for measure, value in eager.items():
                if measure in other and measure != "train_accuracy":  # compiled networks give no gradients of terms
                    found = other[measure]
                    assert abs(found - value) <= 1e-3 * abs(value) + 1e-4, (name, measure, value, found)
        torch.compiler.reset()

    return check


def graphs_are_replayed(device: torch.device) -> None:
    """Under `reduce-overhead` torch finds nothing that keeps it from CUDA graphs, and every step launches at least
    three: the teacher's, the student's and that of the student's gradients."""
    from torch._dynamo.utils import counters

    counters.clear()
    training = started(MethodSpec(name="kd"), device, replace(RECIPE, compiled="reduce-overhead"))
    train(training, 1, Steps(4))  # torch warms up in the first step and records in the second
    skips = counters["inductor"]["cudagraph_skips"]
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        train(training, 1, Steps(6))
        torch.cuda.synchronize(device)
    torch.compiler.reset()
    assert skips == 0, skips
    launches = sum(each.count for each in profiler.key_averages() if "GraphLaunch" in each.key)
    assert launches >= 2 * 3, [each.key for each in profiler.key_averages() if each.key.startswith("cu")]


def adaptive_pooling_is_named(device: torch.device) -> None:
    """torchvision's AlexNet is refused by deterministic mode, by name, and trains where that is allowed."""
    data = pictures(device, side=64)
    try:
        train(started(MethodSpec(name="none"), device, student="torchvision/alexnet", data=data), 1, Steps(1))
    except RuntimeError as error:
        operation = refused_operation(error)
    else:
        raise AssertionError("AlexNet trained deterministically: determinism.py is needed no more")
    assert operation == "adaptive_avg_pool2d_backward_cuda", operation
    with deterministic_where_possible():
        train(started(MethodSpec(name="none"), device, student="torchvision/alexnet", data=data), 1, Steps(1))


def too_little_memory_is_named(device: torch.device) -> None:
    """It is a failure of its own kind."""
    try:
        torch.empty(2**46, dtype=torch.uint8, device=device)
    except torch.OutOfMemoryError as error:
        kind = classify(error)[0]
    else:
        raise AssertionError("this device has 64 TiB of memory")
    assert kind == "out_of_memory", kind


ON_A_GPU: dict[str, Check] = {
    **{f"waits in a step: {name}": waits_once_if_the_share_follows_cka(name) for name in METHODS},
    "waits in a step: dpk with lag": never_waits_with_lag,
    "waits in a step: pictures": never_waits_for_pictures,
    "waits in a step: boxes": never_waits_for_boxes,
    "graphs are replayed": graphs_are_replayed,
    "adaptive pooling is named": adaptive_pooling_is_named,
    "too little memory is named": too_little_memory_is_named,
}
if torch.cuda.device_count() > 1:
    ON_A_GPU["same training on the last device"] = same_training_on_the_last_device

ANYWHERE: dict[str, Check] = {
    "compiled, reduce-overhead": compiled_learns_the_same("reduce-overhead", "kd", "dpk"),
    "streamed pictures arrive whole": streamed_pictures_arrive_whole,
    "same bits twice: dpk, resized maps": same_bits_twice(MethodSpec(name="dpk"), student=SMALLER_MAPS),
    **{f"same bits twice: {name}": same_bits_twice(MethodSpec(name=name)) for name in METHODS},
    **{
        f"same bits twice: dpk, {precision}": same_bits_twice(
            MethodSpec(name="dpk"),
            replace(RECIPE, precision=precision),
        )
        for precision in ("bfloat16", "float16")
    },
    # CRD draws its negatives on the device.
    **{f"same step as on the CPU: {name}": same_step_as_on_the_cpu(name) for name in METHODS if name != "crd"},
    "CKA in bfloat16": cka_is_full_precision(torch.bfloat16),
    "CKA in float16": cka_is_full_precision(torch.float16),
    "compiled, default": compiled_learns_the_same("default", "kd"),
}
"""Checks that hold on the CPU too."""

CHECKS = ON_A_GPU | ANYWHERE
"""All of them, those that tell most first, as time may end before them."""


def run(check: Check, device: torch.device) -> None:
    """Carries out a check in deterministic mode and full float32, as in the runner, and puts both back. Raises what it
    raises."""
    threads = torch.get_num_threads()
    with tf32(False):
        make_deterministic(1)
        try:
            check(device)
        finally:
            torch.use_deterministic_algorithms(False)
            torch.utils.deterministic.fill_uninitialized_memory = True
            torch.set_num_threads(threads)
