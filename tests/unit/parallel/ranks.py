"""Two processes on the CPU that form a world and do what a test asks of them."""

from __future__ import annotations

import multiprocessing
import pickle
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch.distributed as dist

from dpk_core.parallel.world import World
from dpk_core.training.training import make_deterministic

SIZE = 2
PATIENCE_SECONDS = 900


class Ranks:
    """The world's processes. Asking them costs nothing but the work; starting them costs seconds."""

    def __init__(self, connections: list[Connection]) -> None:
        self._connections = connections

    def do(self, work: Callable[..., Any], *arguments: Any) -> list[Any]:
        """What `work(world, *arguments)` gives in each rank. `work` must be a function of a module."""
        for connection in self._connections:
            _send(connection, (work, arguments))
        answers = []
        for rank, connection in enumerate(self._connections):
            assert connection.poll(PATIENCE_SECONDS), f"rank {rank} says nothing"
            went_well, answer = _receive(connection)
            assert went_well, f"rank {rank}: {answer}"
            answers.append(answer)
        return answers


@contextmanager
def two_ranks(folder: Path) -> Iterator[Ranks]:
    """Both processes for the block; they meet by a file in `folder`."""
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(SIZE)]
    processes = [
        context.Process(target=_serve, args=(rank, str(folder / "meeting"), pipe[1]), daemon=True)
        for rank, pipe in enumerate(pipes)
    ]
    for process in processes:
        process.start()
    try:
        yield Ranks([ours for ours, _ in pipes])
    finally:
        for process in processes:
            process.kill()
            process.join()


def _serve(rank: int, meeting: str, connection: Connection) -> None:
    make_deterministic(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=SIZE)
    world = World(rank=rank, size=SIZE)
    while True:
        work, arguments = _receive(connection)
        try:
            _send(connection, (True, work(world, *arguments)))
        except Exception:
            _send(connection, (False, traceback.format_exc()))


def _send(connection: Connection, value: Any) -> None:
    # As bytes: a connection of torch's would let both sides share the memory of tensors.
    connection.send_bytes(pickle.dumps(value))


def _receive(connection: Connection) -> Any:
    return pickle.loads(connection.recv_bytes())  # noqa: S301  (our own processes)
