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
import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks import record
from benchmarks.gpu_device import wait
from benchmarks.steps import PAIRS, Pair, make_step
from benchmarks.timing import ratios, taken_milliseconds
from dpk_core.spec import MethodSpec

LIMITS = {"cpu": {"dpk probe": 1.5, "dpk paper": 9.0}, "cuda": {"dpk probe": 1.25, "dpk paper": 3.0}}
"""To reach, as multiples of the KD step."""


METHODS: dict[str, MethodSpec] = {
    "student alone": MethodSpec(name="none"),
    "kd": MethodSpec(name="kd"),
    "dpk probe": MethodSpec(name="dpk"),
    "dpk paper": MethodSpec(name="dpk", profile="paper"),
    "fitnet": MethodSpec(name="fitnet"),
    "crd": MethodSpec(name="crd"),
    "reviewkd": MethodSpec(name="reviewkd"),
}


def waited_step(pair: Pair, method: str, device: torch.device) -> Callable[[int], None]:
    """A function that carries out step n of the method and returns when the device is done."""
    precision = torch.bfloat16 if device.type == "cuda" else torch.float32
    queue_step = make_step(pair, METHODS[method], device, precision=precision)

    def step(number: int) -> None:
        queue_step(number)
        wait(device)

    return step


def measure(pair: Pair, device: torch.device, rounds: int) -> list[dict[str, Any]]:
    """A row for each method."""
    # Built for the call alone: the networks of all methods are gone when memory is measured.
    taken = taken_milliseconds(
        {method: waited_step(pair, method, device) for method in METHODS}, rounds, time.perf_counter
    )  # fmt: skip
    rows = []
    for method, milliseconds in taken.items():
        low, middle, high = statistics.quantiles(milliseconds, n=4)
        rows.append({
            "pair": pair.name, "batch": pair.batch[device.type], "method": method,
            "milliseconds": round(middle, 2), "quartiles": [round(low, 2), round(high, 2)],
            "times_kd": round(statistics.median(ratios(taken, method, "kd")), 3),
            "memory_mib": memory(pair, method, device),
        })  # fmt: skip
        print(_line(rows[-1]), flush=True)
    return rows


def memory(pair: Pair, method: str, device: torch.device) -> int:
    """MiB of two steps. On the CPU in a process of its own, as memory once taken does not show twice."""
    if device.type == "cpu":
        alone = [sys.executable, "-m", "benchmarks.core_steps", "--memory", str(PAIRS.index(pair)), method]
        done = subprocess.run(alone, capture_output=True, text=True, check=True)  # noqa: S603 - ourselves
        return int(json.loads(done.stdout))
    gc.collect()
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    step = waited_step(pair, method, device)
    step(0)
    step(1)
    return int(torch.cuda.max_memory_allocated(device) - before) // 2**20


def _memory_here(pair: Pair, method: str) -> int:
    before = _peak_kib()
    step = waited_step(pair, method, torch.device("cpu"))
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
