"""What a training step costs under each method: milliseconds and memory, side by side in one run.

    python -m benchmarks.core_steps [--device cpu|cuda:0] [--rounds N]

A step is forward, backward and both optimisers, on random pictures, with untrained networks. The methods take turns
within each round, so that other load on the machine meets all of them; a row gives the median and the quartiles over
the rounds, and its ratio to the KD step is the median of the ratios within rounds. Memory is what a process of its own
needs beyond having imported the libraries (CPU), or the peak that was allocated (GPU). On a GPU steps run under
autocast in bfloat16.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks import record
from dpk_core.distill.build import build_method
from dpk_core.distill.method import StepContext
from dpk_core.models.build import build_model
from dpk_core.recipes import recipe
from dpk_core.spec import MethodName, MethodSpec, ProfileName
from dpk_core.training.optimisers import make_optimisers

STEPS_PER_EPOCH = 100
LIMITS = {"cpu": {"dpk probe": 1.5, "dpk paper": 9.0}, "cuda": {"dpk probe": 1.25, "dpk paper": 3.0}}
"""To reach, as multiples of the KD step."""


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
METHODS: dict[str, tuple[MethodName, ProfileName]] = {
    "student alone": ("none", "probe"),
    "kd": ("kd", "probe"),
    "dpk probe": ("dpk", "probe"),
    "dpk paper": ("dpk", "paper"),
    "fitnet": ("fitnet", "probe"),
    "crd": ("crd", "probe"),
    "reviewkd": ("reviewkd", "probe"),
}


def make_step(pair: Pair, method: str, device: torch.device) -> Callable[[int], None]:
    """A function that carries out step n of the method on the pair and returns when the device is done."""
    name, profile = METHODS[method]
    batch = pair.batch[device.type]
    student = build_model(pair.student, classes=pair.classes, channels=3, seed=0).to(device)
    teacher = None
    if name != "none":
        teacher = build_model(pair.teacher, classes=pair.classes, channels=3, seed=1).to(device)
    taught = build_method(
        MethodSpec(name=name, profile=profile), student=student, student_name=pair.student, teacher=teacher,
        teacher_name=None if teacher is None else pair.teacher, picture_shape=(3, pair.side, pair.side), seed=0,
        training_labels=torch.arange(batch * STEPS_PER_EPOCH, device=device) % pair.classes,
    )  # fmt: skip
    optimisers = make_optimisers(taught, recipe("cifar100_paper"), STEPS_PER_EPOCH)
    generator = torch.Generator().manual_seed(0)
    pictures_BCHW = torch.randn(batch, 3, pair.side, pair.side, generator=generator).to(device)
    positions_B = torch.arange(batch, device=device)
    labels_B = positions_B % pair.classes

    def step(number: int) -> None:
        context = StepContext(seed=0, step=number, total_steps=24_000, positions_B=positions_B)
        optimisers.prepare(number)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
            loss = taught(pictures_BCHW, labels_B, context).loss
        optimisers.add_gradients(loss)
        optimisers.update()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return step


def measure(pair: Pair, device: torch.device, rounds: int) -> list[dict[str, Any]]:
    """A row for each method."""
    steps = {method: make_step(pair, method, device) for method in METHODS}
    taken: dict[str, list[float]] = {method: [] for method in METHODS}
    for number in range(rounds + 1):
        for method, step in steps.items():
            began = time.perf_counter()
            step(number)
            if number:  # the first one warms up
                taken[method].append(1000 * (time.perf_counter() - began))
    del steps
    rows = []
    for method, milliseconds in taken.items():
        low, middle, high = statistics.quantiles(milliseconds, n=4)
        ratios = [mine / kd for mine, kd in zip(milliseconds, taken["kd"], strict=True)]
        rows.append({
            "pair": pair.name, "batch": pair.batch[device.type], "method": method,
            "milliseconds": round(middle, 2), "quartiles": [round(low, 2), round(high, 2)],
            "times_kd": round(statistics.median(ratios), 3), "memory_mib": memory(pair, method, device),
        })  # fmt: skip
        print(_line(rows[-1]), flush=True)
    return rows


def memory(pair: Pair, method: str, device: torch.device) -> int:
    """MiB of two steps. On the CPU in a process of its own, as memory once taken does not show twice."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        step = make_step(pair, method, device)
        before = 0
    else:
        alone = [sys.executable, "-m", "benchmarks.core_steps", "--memory", str(PAIRS.index(pair)), method]
        done = subprocess.run(alone, capture_output=True, text=True, check=True)  # noqa: S603 - ourselves
        return int(json.loads(done.stdout))
    step(0)
    step(1)
    return int(torch.cuda.max_memory_allocated(device) - before) // 2**20


def _memory_here(pair: Pair, method: str) -> int:
    before = _peak_kib()
    step = make_step(pair, method, torch.device("cpu"))
    step(0)
    step(1)
    return (_peak_kib() - before) // 1024


def _peak_kib() -> int:
    """This program's own peak; the kernel's `ru_maxrss` also remembers the process that started it."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")))


def _line(row: dict[str, Any]) -> str:
    return (
        f"{row['pair']:48} {row['batch']:4}  {row['method']:14} {row['milliseconds']:9.1f} ms "
        f"{row['times_kd']:7.2f} x KD {row['memory_mib']:6} MiB"
    )


def main() -> None:
    """Measures, prints the table and writes `results/core-<device kind>.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=7, help="steps of each method that are timed")
    parser.add_argument("--memory", nargs=2, metavar=("PAIR", "METHOD"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        index, method = options.memory
        print(_memory_here(PAIRS[int(index)], method))
        return
    device = torch.device(options.device)
    rows = [row for pair in PAIRS for row in measure(pair, device, options.rounds)]
    limits = LIMITS[device.type]
    targets = [
        record.target(f"{row['method']}, {row['pair']}", row["times_kd"], limits[row["method"]], "KD steps")
        for row in rows
        if row["method"] in limits
    ]
    command = f"python -m benchmarks.core_steps --device {options.device} --rounds {options.rounds}"
    result = {"command": command, "machine": record.machine(device), "versions": record.versions(), "seeds": [0]}
    path = record.write(f"core-{device.type}", result | {"targets": targets, "rows": rows})
    for each in targets:
        print(f"{'met' if each['met'] else 'NOT MET':8} {each['name']}: {each['value']} (at most {each['target']})")
    print(f"Written to {path.relative_to(path.parents[2])}.")


if __name__ == "__main__":
    main()
