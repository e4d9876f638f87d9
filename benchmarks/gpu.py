"""Everything that is to be known of a GPU, in one command of at most nine minutes.

    [DPK_DATA_ROOT=…] python -m benchmarks.gpu [--small] [--results DIR] [--seconds 530] [--parts checks steps …]

| part | what | minutes |
|---|---|---|
| checks | `tests/gpu`, without pytest | 2 |
| steps | milliseconds and memory of a step: methods x precisions, layouts, CUDA graphs | 2.5 |
| data | pictures a second of the data path at 224 pixels | 0.5 |
| side_by_side | throughput of 1, 2, 4, 8 runs on one GPU, with MPS where it is installed | 1.5 |
| arms | the ablation's main arms, 60 epochs on CIFAR-100, three seeds | what is left |

Needs torch, torchvision, timm and numpy. Each part is a process of its own with a time of its own: one that fails or
hangs costs the others nothing, and time that it leaves goes to the last one. `gpu.json` is written after each part, to
`benchmarks/results` or the folder named. `--small` goes through all of it on the CPU with tiny sizes, and writes to a
temporary folder if none is named.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# cuBLAS reads this once, when the process first uses it, and is deterministic only with it; as in the runner.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import torch

from benchmarks import gpu_mps, record
from dpk_core.training.training import make_current

ROOT = Path(__file__).parents[1]
PARTS = {"checks": 110.0, "steps": 140.0, "data": 30.0, "side_by_side": 90.0, "arms": 160.0}
"""Seconds of each; the last one has all that is left. Its rows: `benchmarks/gpu_<part>.py`."""
SMALL_SECONDS = 2000.0
"""For slow machines; three minutes do elsewhere."""
GRACE_SECONDS = 12.0
"""How long a part may take to notice that its time is over."""


def serve(options: argparse.Namespace) -> None:
    """Carries out a part in this process; a line of JSON for each row, as soon as it is there."""
    until, device = time.monotonic() + options.seconds, torch.device(options.device)
    make_current(device)
    rows = importlib.import_module(f"benchmarks.gpu_{options.part}").rows(device, small=options.small, until=until)
    if options.mps:
        rows = itertools.chain([{"mps": gpu_mps.start() or "runs"}], rows)
    with options.rows.open("a") as file:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False), flush=True)
            file.write(json.dumps(row) + "\n")
            file.flush()


def part_rows(part: str, options: argparse.Namespace, seconds: float, mps: bool = False) -> list[dict[str, Any]]:
    """The rows of a part, which is carried out in a process of its own and ended when its time is over; `mps`: under
    NVIDIA's Multi-Process Service."""
    with tempfile.TemporaryDirectory(prefix="dpk-gpu-", ignore_cleanup_errors=True) as folder:
        path = Path(folder, "rows")
        path.touch()
        command = [sys.executable, "-m", "benchmarks.gpu", "--part", part, "--rows", str(path)]
        command += ["--device", options.device, "--seconds", str(seconds), *(["--small"] if options.small else [])]
        command += ["--mps"] if mps else []
        environment = gpu_mps.environment(Path(folder))
        process = subprocess.Popen(  # noqa: S603 - our own module, with the options of whoever called it
            command, cwd=ROOT, env=environment, start_new_session=True
        )
        problem = None
        try:
            code = process.wait(seconds + GRACE_SECONDS)
            problem = f"The process of this part ended with {code}." if code else None
        except subprocess.TimeoutExpired:
            problem = f"The process of this part was ended after {seconds + GRACE_SECONDS:.0f} s."
        finally:
            _end(process)
            gpu_mps.stop(Path(folder))
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [*rows, *([{"failed": problem}] if problem else [])]


def _end(process: subprocess.Popen[bytes]) -> None:
    """With the processes that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def measure(options: argparse.Namespace) -> Path:
    """All parts, one after the other; the result is written after each."""
    if options.results is not None:
        record.RESULTS = options.results
    elif options.small:
        record.RESULTS = Path(tempfile.mkdtemp(prefix="dpk-gpu-results-"))
    total = SMALL_SECONDS if options.small else options.seconds
    end = time.monotonic() + total
    scale = total / sum(PARTS.values()) if options.small else min(1.0, total / sum(PARTS.values()))
    result: dict[str, Any] = {
        "command": "python -m benchmarks.gpu", "machine": record.machine(torch.device(options.device)),
        "versions": record.versions(), "targets": [], "parts": {},
    }  # fmt: skip
    path = record.write("gpu", result)
    for part in options.parts:
        left = end - time.monotonic() - GRACE_SECONDS
        wanted = left if part == options.parts[-1] else min(left, PARTS[part] * scale)
        print(f"— {part}: {wanted:.0f} s", flush=True)
        began = time.monotonic()
        rows = [{"skipped": "no time was left"}]
        if wanted > 5:
            mps = part == "arms" and gpu_mps.pays(result["parts"].get("side_by_side", {"rows": []})["rows"])
            rows = part_rows(part, options, wanted, mps)
        result["targets"] += [each for row in rows for each in row.pop("targets", [])]
        result["parts"][part] = {"seconds": round(time.monotonic() - began, 1), "rows": rows}
        path = record.write("gpu", result)
    return path


def summary(result: dict[str, Any]) -> list[str]:
    """Lines for people: what failed, what was left out, what was met."""
    lines = []
    for part, found in result["parts"].items():
        kinds = {kind: sum(kind in row for row in found["rows"]) for kind in ("failed", "skipped")}
        lines.append(
            f"{part}: {len(found['rows'])} rows in {found['seconds']} s, {kinds['failed']} failed, "
            f"{kinds['skipped']} skipped"
        )
        lines += [f"  failed: {row}" for row in found["rows"] if "failed" in row]
    for each in result["targets"]:
        verdict = "met" if each["met"] else "NOT MET"
        lines.append(f"{verdict:8} {each['name']}: {each['value']} {each['unit']} (at most {each['target']})")
    return lines


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seconds", type=float, default=530.0)
    parser.add_argument("--small", action="store_true", help="all of it in tiny sizes, to try it on a CPU")
    parser.add_argument("--results", type=Path, metavar="DIR", help="where gpu.json is written")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--part", choices=list(PARTS), help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--mps", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.device == "cpu" and not options.small:
        parser.error("there is no GPU here; make bench-gpu SMALL=1, or --small here, tries the command on the CPU")
    if options.part is not None:
        serve(options)
        return
    path = measure(options)
    print("\n".join(summary(json.loads(path.read_text()))))
    print(f"Written to {path}.")


if __name__ == "__main__":
    main()
