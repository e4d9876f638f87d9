"""Entry point: `python -m dpk_core.runner [--device auto|cpu|cuda:0|cuda:0,cuda:1] [--threads N]`."""

from __future__ import annotations

import argparse
import gc
import os
import platform
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from dpk_core.catalogue.downloads import download_allowed

# cuBLAS reads this when CUDA starts; without it, it refuses to be deterministic.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
if not download_allowed():
    # The Hugging Face client reads this when it is imported; without it, it asks the hub about files it has already.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch

from dpk_core.errors import DpkError
from dpk_core.parallel.meeting import meet
from dpk_core.parallel.world import ALONE
from dpk_core.protocol import Event, Failed, Finished, Ready, Stopped
from dpk_core.runner.carry_out import carry_out
from dpk_core.runner.failures import classify
from dpk_core.runner.inbox import Assignment, Inbox
from dpk_core.runner.life import Channel, die_with_parent, take_standard_output
from dpk_core.runner.ranks import Ranks
from dpk_core.training.training import make_current, make_deterministic


def main() -> None:
    """Serves runs until asked to leave or until standard input closes."""
    arguments = _arguments()
    die_with_parent()
    channel = take_standard_output()
    inbox = Inbox(channel)
    inbox.listen(sys.stdin.buffer)
    if "," in arguments.device:
        _serve_by_ranks(arguments, inbox, channel)
    else:
        _serve_alone(arguments, inbox, channel)
    # Every event is flushed. An ordinary exit would wait for the thread that is still reading standard input.
    with suppress(OSError):
        sys.stderr.flush()
    os._exit(0)


def _serve_alone(arguments: argparse.Namespace, inbox: Inbox, channel: Channel) -> None:
    """Trains in this process, which may be one of several ranks."""
    make_deterministic(arguments.threads)
    device = _device(arguments.device)
    make_current(device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine() + " CPU"
    world = ALONE
    if arguments.ranks > 1:
        world = meet(arguments.meeting, arguments.rank, arguments.ranks, device)
    _serve(arguments, inbox, channel, str(device), name, lambda run: carry_out(run, channel, device, name, world))


def _serve_by_ranks(arguments: argparse.Namespace, inbox: Inbox, channel: Channel) -> None:
    """Trains in one process a device."""
    devices = arguments.device.split(",")
    ranks = Ranks(devices, arguments.threads)
    ranks.start()
    _serve(arguments, inbox, channel, ",".join(devices), ranks.device_name, lambda run: ranks.carry_out(run, channel))
    ranks.shut_down()


def _serve(
    arguments: argparse.Namespace, inbox: Inbox, channel: Channel, device: str, device_name: str,
    work: Callable[[Assignment], Event],
) -> None:  # fmt: skip
    channel.send(
        Ready(
            pid=os.getpid(), device=device, device_name=device_name, torch=torch.__version__, threads=arguments.threads
        )
    )
    while (assignment := inbox.next()) is not None:
        last = _last_event(assignment, work)
        inbox.done()
        channel.send(last)
        if device.startswith("cuda") and isinstance(last, Finished | Stopped):
            _give_memory_back()


def _give_memory_back() -> None:
    """A runner that waits keeps from others on its GPU no more than the data sets and teachers that it may need again.
    What torch compiled refers to itself, and graphs hold memory until it is forgotten."""
    torch.compiler.reset()
    gc.collect()
    torch.cuda.empty_cache()


def _last_event(assignment: Assignment, work: Callable[[Assignment], Event]) -> Event:
    """The run's last event, whatever happens in it: a failed run must not take the runner with it."""
    try:
        return work(assignment)
    except Exception as error:
        if not isinstance(error, DpkError):  # those say it in a sentence, which is the run's failure
            with suppress(OSError):  # the log may lie on the disk that is full
                traceback.print_exc()
        kind, message = classify(error)
    gc.collect()
    return Failed(run_id=assignment.command.run_id, kind=kind, message=message)


def _device(wanted: str) -> torch.device:
    if wanted == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    return torch.device(wanted)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dpk_core.runner", description=__doc__)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda:<n>; several by commas share each run")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads one operation may use")
    # How a runner of several devices starts the one for each.
    parser.add_argument("--rank", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--ranks", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--meeting", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
