"""Every command of docker-compose.yml that is ours, run as it stands there, on a real Postgres and a real Redis."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import yaml

from tests.acceptance.system import JOB, ROOT, System

SMALLEST: dict[str, Any] = {
    **JOB,
    "teachers": ["cifar/resnet8w8"],
    "seeds": 1,
    "budget": {"epochs": 2, "rungs": [1, 2], "promote": 1, "audit": 0, "teacher_epochs": 1},
}


def test_the_stack_of_the_compose_file_answers_a_job(
    system: Callable[..., System], postgres_url: str, redis_url: str
) -> None:
    services: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    commands = {name: service["command"] for name, service in services.items() if "build" in service}
    assert commands.pop("migrate") == ["python", "-m", "migrations", "upgrade"]  # `System` runs it
    assert commands.pop("worker-gpu") == commands["worker-cpu"]
    stack = system(database_url=postgres_url, broker_url=redis_url)
    for program, dash_m, *rest in commands.values():
        assert (program, dash_m) == ("python", "-m")
        stack.start(*rest)
    stack.wait_for(stack.answers, seconds=60)

    job_id = stack.submit(SMALLEST)
    stack.wait_until(job_id, "finished")

    health = services["control"]["healthcheck"]["test"]
    assert health == services["worker-cpu"]["healthcheck"]["test"]
    healthy = subprocess.run([sys.executable, *health[2:]], env=stack.environment, capture_output=True, text=True)
    assert healthy.returncode == 0, healthy.stderr
    script = services["api"]["healthcheck"]["test"][3].replace("8000", stack.environment["DPK_PORT"])
    assert subprocess.run([sys.executable, "-c", script], env=stack.environment).returncode == 0
