"""Throughput of 1, 2, 4 and 8 runs side by side on one GPU: each a process that takes KD steps of R56 → R20.

Processes on one GPU take turns. Under NVIDIA's Multi-Process Service (MPS) their kernels run at the same time; it is
tried too where it is installed.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import torch

from benchmarks import gpu_mps
from benchmarks.gpu_device import wait
from benchmarks.gpu_steps import METHODS, TINY
from benchmarks.steps import PAIRS, make_step
from dpk_core.training.training import make_current, make_deterministic


def rows(device: torch.device, *, small: bool, until: float) -> Iterator[dict[str, Any]]:
    """A row for each number of processes, without and with MPS."""
    counts = (1, 2) if small else (1, 2, 4, 8)
    seconds = 0.5 if small else 2.5
    yield from _counted(device, counts, seconds, small, until, mps=False)
    problem = gpu_mps.start() if device.type == "cuda" else "needs a GPU"
    if problem is not None:
        yield {"mps": True, "skipped": problem}
        return
    yield from _counted(device, counts, seconds, small, until, mps=True)


def _counted(
    device: torch.device, counts: tuple[int, ...], seconds: float, small: bool, until: float, *, mps: bool
) -> Iterator[dict[str, Any]]:
    if time.monotonic() + 20 + len(counts) * seconds > until and not small:
        yield {"mps": mps, "skipped": "no time was left"}
        return
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(counts[-1])]
    processes = [context.Process(target=_serve, args=(theirs, str(device), small), daemon=True) for _, theirs in pipes]
    for process in processes:
        process.start()
    for _, theirs in pipes:
        theirs.close()  # so that the end of a process is the end of its pipe
    try:
        ours = [pipe for pipe, _ in pipes]
        for pipe in ours:
            _answer(pipe, until - time.monotonic())
        for count in counts:
            begin = time.monotonic() + 0.2
            for pipe in ours[:count]:
                pipe.send((begin, seconds))
            rates = [_answer(pipe, seconds + 30) for pipe in ours[:count]]
            yield {
                "mps": mps, "processes": count, "steps_a_second": round(sum(rates), 2),
                "slowest": round(min(rates), 2), "fastest": round(max(rates), 2),
            }  # fmt: skip
    except (OSError, EOFError) as error:
        yield {"mps": mps, "failed": f"{type(error).__name__}: {error}"}
    finally:
        for process in processes:
            process.kill()
            process.join()


def _answer(pipe: Connection, patience: float) -> float:
    if not pipe.poll(patience):
        raise TimeoutError("a process says nothing")
    answer: float = pipe.recv()
    return answer


def _serve(pipe: Connection, device_name: str, small: bool) -> None:
    """Takes steps from a given time on for some seconds and answers how many a second, until the other end closes."""
    make_deterministic(1)
    device = torch.device(device_name)
    make_current(device)
    step = make_step(TINY if small else PAIRS[0], METHODS["kd"], device, precision=torch.bfloat16, channels_last=True)
    number = 0
    for _ in range(5):
        step(number)
        number += 1
    wait(device)
    pipe.send(0.0)
    while (asked := _question(pipe)) is not None:
        begin, seconds = asked
        time.sleep(max(0.0, begin - time.monotonic()))  # all runs begin at one moment
        began, first = time.monotonic(), number
        while time.monotonic() - began < seconds:
            step(number)
            number += 1
            if number % 10 == 0:
                wait(device)  # else the queue of the device would go on long after the time is over
        wait(device)
        pipe.send((number - first) / (time.monotonic() - began))


def _question(pipe: Connection) -> tuple[float, float] | None:
    try:
        begin, seconds = pipe.recv()
    except EOFError:
        return None
    return begin, seconds
