"""What a step costs on a GPU, for each method and each way of computing: milliseconds, memory, kernels.

Steps are queued as in training, so milliseconds are those of a block of steps over their number, with one wait at its
end. Where the host cannot launch as fast as the GPU computes, `busy_milliseconds` (time in kernels) is less than that.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks import record
from benchmarks.gpu_device import wait
from benchmarks.steps import PAIRS, Pair, make_step
from dpk_core.dpk_settings import DpkSettings, ShareSettings
from dpk_core.spec import Compiled, MethodSpec, Precision
from dpk_core.training.precision import set_float32
from dpk_core.training.training import make_deterministic

METHODS: dict[str, MethodSpec] = {
    "kd": MethodSpec(name="kd"),
    "student alone": MethodSpec(name="none"),
    "dpk probe": MethodSpec(name="dpk"),
    "dpk probe with lag": MethodSpec(name="dpk", dpk=DpkSettings(share=ShareSettings(lag=True))),
    "dpk paper": MethodSpec(name="dpk", profile="paper"),
}
COMPARED = ("kd", "dpk probe", "dpk paper")
"""The methods that targets are about. KD first: the others are multiples of it."""

WARM_UP, BLOCKS, FEW_BLOCKS, BLOCK, SMALL_BLOCK = 4, 3, 2, 8, 1
"""Steps before the timing, blocks that are timed, steps of a block."""

TINY = Pair("cifar/resnet8", "cifar/resnet8w4", 16, 10, {"cpu": 8, "cuda": 8})


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a step is computed. `deterministic`: as runs are."""

    name: str
    precision: Precision = "bfloat16"
    channels_last: bool = False
    compiled: Compiled = "no"
    deterministic: bool = True


BF16 = Way(name="bf16")
GRAPHED = Way(name="bf16, channels last, CUDA graphs", channels_last=True, compiled="reduce-overhead")
WAYS = (
    Way(name="bf16, channels last", channels_last=True),
    Way(name="tf32", precision="tf32"),
    Way(name="float32", precision="float32"),
    Way(name="bf16, channels last, not deterministic", channels_last=True, deterministic=False),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """One row of the table. `needs` seconds, roughly: it is left out where fewer are left."""

    pair: Pair
    method: str
    way: Way
    needs: float
    blocks: int = BLOCKS


def cells(small: bool) -> list[Cell]:
    """What is to be measured, the most important first."""
    if small:
        float32 = Way(name="float32", precision="float32")
        ways = (BF16, WAYS[0], GRAPHED)
        return [*(Cell(TINY, method, float32, 2) for method in METHODS), *(Cell(TINY, "kd", way, 2) for way in ways)]
    cifar = PAIRS[0]
    return [
        *(Cell(pair, method, BF16, 4) for pair in PAIRS for method in COMPARED),
        Cell(cifar, "kd", GRAPHED, 60),
        *(Cell(pair, method, BF16, 4) for pair in PAIRS for method in METHODS if method not in COMPARED),
        *(Cell(pair, method, way, 4, FEW_BLOCKS) for way in WAYS for pair in PAIRS for method in COMPARED),
        Cell(cifar, "student alone", GRAPHED, 40),
        Cell(cifar, "dpk probe with lag", GRAPHED, 60),
    ]


def rows(device: torch.device, *, small: bool, until: float) -> Iterator[dict[str, Any]]:
    """A row for each cell; one that does not fit, or fails, has a row that says so."""
    kd: dict[tuple[str, str], float] = {}
    for cell in cells(small):
        row: dict[str, Any] = {
            "pair": cell.pair.name,
            "batch": cell.pair.batch[device.type],
            "method": cell.method,
            "way": cell.way.name,
        }
        if time.monotonic() + cell.needs > until:
            yield row | {"skipped": f"needs about {cell.needs:.0f} s, which were not left"}
            continue
        try:
            row |= measured(cell, device, SMALL_BLOCK if small else BLOCK)
        except Exception as error:  # one cell that fails must not cost the others
            yield row | {"failed": f"{type(error).__name__}: {str(error)[:300]}"}
            continue
        if cell.method == "kd":
            kd[cell.pair.name, cell.way.name] = row["milliseconds"]
        if (base := kd.get((cell.pair.name, cell.way.name))) is not None:
            row["times_kd"] = round(row["milliseconds"] / base, 3)
        yield row | {"targets": [] if small else targets(row)}


def measured(cell: Cell, device: torch.device, block: int) -> dict[str, Any]:
    """Milliseconds, memory and kernels of a cell."""
    on_gpu = device.type == "cuda"
    _compute(cell.way)
    gc.collect()
    before = 0
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
    way = cell.way
    began = time.monotonic()
    precision = torch.bfloat16 if way.precision == "bfloat16" else torch.float32
    step = make_step(
        cell.pair, METHODS[cell.method], device,
        precision=precision, channels_last=way.channels_last, compiled=way.compiled,
    )  # fmt: skip
    for number in range(WARM_UP):
        step(number)
    wait(device)
    warm = time.monotonic() - began
    blocks = [_block(step, WARM_UP + block * number, block, device) for number in range(cell.blocks)]
    row: dict[str, Any] = {
        "milliseconds": round(statistics.median(blocks), 3), "blocks": [round(each, 3) for each in blocks],
        "ready_after_seconds": round(warm, 1),
    }  # fmt: skip
    if on_gpu:
        row["memory_mib"] = (torch.cuda.max_memory_allocated(device) - before) // 2**20
    return row | _kernels(step, WARM_UP + block * cell.blocks, device)


def _compute(way: Way) -> None:
    make_deterministic(1)
    torch.use_deterministic_algorithms(way.deterministic)
    torch.backends.cudnn.benchmark = not way.deterministic
    set_float32(way.precision)


def _block(step: Callable[[int], None], first: int, steps: int, device: torch.device) -> float:
    """Milliseconds a step."""
    began = time.perf_counter()
    for number in range(first, first + steps):
        step(number)
    wait(device)
    return 1000 * (time.perf_counter() - began) / steps


def _kernels(step: Callable[[int], None], number: int, device: torch.device) -> dict[str, Any]:
    """How many kernels a step has, how many CUDA graphs it launches and how long the GPU is busy."""
    if device.type != "cuda":
        return {}
    try:
        with profile(activities=[ProfilerActivity.CUDA]) as profiler:
            step(number)
            wait(device)
        found = profiler.key_averages()
    except Exception as error:  # what was timed before must not be lost with it
        return {"not_profiled": f"{type(error).__name__}: {str(error)[:300]}"}
    return {
        "kernels": sum(each.count for each in found if each.self_device_time_total),
        "graph_launches": sum(each.count for each in found if "GraphLaunch" in each.key),
        "busy_milliseconds": round(sum(each.self_device_time_total for each in found) / 1000, 3),
    }


def targets(row: dict[str, Any]) -> list[dict[str, Any]]:
    """What a row is to reach."""
    name = f"{row['method']}, {row['pair']}, {row['way']}"
    limit = {"dpk probe": 1.25, "dpk paper": 3.0}.get(row["method"]) if row["way"] == BF16.name else None
    if limit is not None and "times_kd" in row:
        return [record.target(name, row["times_kd"], limit, "KD steps")]
    if row["method"] == "kd" and row["way"] == GRAPHED.name:
        return [record.target(name, row["milliseconds"], 1.5, "milliseconds")]
    return []
