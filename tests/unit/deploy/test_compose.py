"""docker-compose.yml: valid by the Compose schema, and made of commands that exist. No Docker engine is needed."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
COMPOSE = ROOT / "docker-compose.yml"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    found: dict[str, Any] = document["services"]
    return found


def test_it_is_valid_by_the_compose_schema() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_redis_never_evicts(services: dict[str, Any]) -> None:
    command = services["redis"]["command"]
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"


def test_only_the_training_workers_carry_torch(services: dict[str, Any]) -> None:
    images = {name: service["image"] for name, service in services.items() if "build" in service}
    assert images == {
        "migrate": "dpk-select-api", "api": "dpk-select-api", "control": "dpk-select-api",
        "worker-cpu": "dpk-select-worker", "worker-gpu": "dpk-select-worker",
    }  # fmt: skip
    assert "[runner]" not in (ROOT / "deploy/api.Dockerfile").read_text()
    assert ".[runner]" in (ROOT / "deploy/worker.Dockerfile").read_text()


def test_a_gpu_is_reserved(services: dict[str, Any]) -> None:
    (device,) = services["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]


def test_everything_that_stays_up_has_a_health_check(services: dict[str, Any]) -> None:
    assert {name for name, service in services.items() if "healthcheck" not in service} == {"migrate"}


def test_every_python_command_is_a_module_of_ours(services: dict[str, Any]) -> None:
    modules = {service["command"][2] for service in services.values() if service.get("command", [""])[0] == "python"}
    assert modules == {"migrations", "service", "worker"}
    for module in modules:
        assert importlib.util.find_spec(f"{module}.__main__") is not None


def test_no_password_stands_in_an_address() -> None:
    text = COMPOSE.read_text()
    assert re.findall(r"\S*://\S*\$\{\w*PASSWORD.*", text) == []
    environment = yaml.safe_load(text)["services"]["api"]["environment"]
    assert environment["PGPASSWORD"].startswith("${POSTGRES_PASSWORD:?")


def test_every_variable_is_explained_in_the_example(services: dict[str, Any]) -> None:
    used = set(re.findall(r"\$\{(\w+)", COMPOSE.read_text()))
    example = (ROOT / ".env.example").read_text()
    assert {name for name in used if not re.search(rf"^{name}=", example, re.MULTILINE)} == set()


def test_the_folders_that_images_copy_exist() -> None:
    for file in (ROOT / "deploy").glob("*.Dockerfile"):
        for line in file.read_text().splitlines():
            if line.startswith("COPY "):
                for source in line.split()[1:-1]:
                    assert (ROOT / source).exists(), f"{file.name}: {source}"
