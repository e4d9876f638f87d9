"""What a step of training a detector costs under each method: CPU milliseconds, side by side in one run.

    OMP_NUM_THREADS=1 python -m benchmarks.detection_steps [--rounds N]

A step is forward, backward and both optimisers under recipe `detection_small` (batches of 4, 192 × 160 px), on random
pictures with random boxes, with untrained detectors: Faster R-CNN on ResNet-18 teaches one on MobileNetV3-small. The
methods take turns within each round; a ratio is the median of those within rounds. CPU seconds of this process, on one
thread, as other load on the machine stretches the clock.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any, cast

import torch

from benchmarks import record
from benchmarks.timing import ratios, taken_milliseconds
from dpk_core.data.boxes import BoxTargets
from dpk_core.detection.models import build_detector
from dpk_core.distill.detecting import build_detection_method
from dpk_core.distill.method import StepContext
from dpk_core.recipes import recipe
from dpk_core.spec import DetectionMethodName, MethodSpec
from dpk_core.training.optimisers import make_optimisers

COMMAND = "OMP_NUM_THREADS=1 python -m benchmarks.detection_steps"
TEACHER, STUDENT = "detection/fasterrcnn_resnet18", "detection/fasterrcnn_mobilenet_v3_small"
CLASSES, BOXES, SEED = 3, 12, 0
"""About as many boxes in a picture as BCCD has."""
REFERENCE, LIMIT = "feature_mse", 1.2
"""DPK's `probe` step is to cost at most so many steps of this method."""
METHODS: dict[str, MethodSpec] = {
    **{name: MethodSpec(name=cast(DetectionMethodName, name)) for name in ("none", REFERENCE, "fgd")},
    "dpk probe": MethodSpec(name="dpk"), "dpk paper": MethodSpec(name="dpk", profile="paper"),
}  # fmt: skip
STEPS_PER_EPOCH = 51


def make_step(method: MethodSpec) -> Callable[[int], None]:
    """A function that carries out step n."""
    wanted = recipe("detection_small")
    assert wanted.detection is not None
    settings, canvas = wanted.detection.fasterrcnn, wanted.detection.canvas
    student = build_detector(STUDENT, classes=CLASSES, seed=SEED, settings=settings)
    teacher = None
    if method.name != "none":
        teacher = build_detector(TEACHER, classes=CLASSES, seed=SEED, settings=settings)
    taught = build_detection_method(
        method, wanted.detection, student=student, student_name=STUDENT, teacher=teacher,
        teacher_name=None if teacher is None else TEACHER, seed=SEED,
    )  # fmt: skip
    optimisers = make_optimisers(taught, wanted, STEPS_PER_EPOCH)
    generator = torch.Generator().manual_seed(SEED)
    pictures_BCHW = torch.randn(wanted.batch_size, 3, canvas.height, canvas.width, generator=generator)
    corners = torch.rand(wanted.batch_size, BOXES, 2, generator=generator) * torch.tensor([canvas.width, canvas.height])
    boxes = BoxTargets(
        boxes_BM4=torch.cat([corners * 0.8, corners * 0.8 + 20], dim=2),
        labels_BM=torch.arange(BOXES).expand(wanted.batch_size, -1) % CLASSES,
        crowd_BM=torch.zeros(wanted.batch_size, BOXES, dtype=torch.bool),
    )

    def step(number: int) -> None:
        optimisers.prepare(number)
        torch.manual_seed(number)  # Faster R-CNN draws regions from it
        context = StepContext(seed=SEED, step=number, total_steps=wanted.epochs * STEPS_PER_EPOCH)
        optimisers.add_gradients(taught(pictures_BCHW, boxes, context).loss)
        optimisers.update()

    return step


def measure(rounds: int) -> list[dict[str, Any]]:
    """A row for each method."""
    steps = {name: make_step(method) for name, method in METHODS.items()}
    taken = taken_milliseconds(steps, rounds, time.process_time)
    rows = []
    for name, milliseconds in taken.items():
        low, middle, high = statistics.quantiles(ratios(taken, name, REFERENCE), n=4)
        rows.append({
            "method": name, "milliseconds": round(statistics.median(milliseconds), 1),
            f"times_{REFERENCE}": round(middle, 3), "quartiles": [round(low, 3), round(high, 3)],
        })  # fmt: skip
        print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    return rows


def main() -> None:
    """Measures, and writes `results/detection-steps.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="steps of each method that are timed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = measure(options.rounds)
    ratio = next(row[f"times_{REFERENCE}"] for row in rows if row["method"] == "dpk probe")
    target = record.target(f"dpk probe, {TEACHER} → {STUDENT}", ratio, LIMIT, "feature-MSE steps")
    path = record.write("detection-steps", {
        "command": f"{COMMAND} --rounds {options.rounds}", "machine": record.machine(torch.device("cpu")),
        "versions": record.versions(), "seeds": [SEED], "targets": [target], "rows": rows,
    })  # fmt: skip
    print(f"{'met' if target['met'] else 'NOT MET'}: {ratio} (at most {LIMIT}). Written to {path.name}.")


if __name__ == "__main__":
    main()
