"""What documents ask their reader to do is done, in their order, on a real server: commands, Python and requests."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import threading
import time
import tomllib
import warnings
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import safetensors.torch
import torch
import uvicorn
import yaml
from sqlalchemy import select

from client import export, torch_half
from client.mlflow import Mlflow
from client.sdk import Client
from dpk_core import artifacts
from dpk_core.models.build import build_model
from dpk_core.runner import student_command
from service.app import app
from service.database.session import transaction
from service.database.tables import SelectionJob
from service.events import repository as events
from service.settings import Settings, settings
from service.webhooks import sending
from service.wire.choices import TeacherChoice
from service.wire.jobs import SelectionJobRequest
from tests.contract import job_driver as drive
from tests.servers import free_port
from tests.unit.catalogue.detection.detection_sets import sound_documents, write_coco
from tests.unit.catalogue.picture_sets import write_folder
from tests.unit.client.test_mlflow import Tracking
from tests.unit.docs.readers_machine import Machine
from tests.unit.docs.steps import ROOT, SHELL, WRITTEN, Step, steps

NOT_RUN = {
    "make": "`make demo` takes minutes and `make serve` stays up; tests/acceptance runs what they start",
    "servers": "stay up; tests/acceptance/test_one_system.py runs the same processes",
    "machine": "needs Docker, a GPU, a package registry or leave to install packages",
    "hours": "trains for hours",
    "detector": "needs a trained detector; tests/unit/runner/test_detector_folder.py makes and measures one",
    "timm": "needs a student of timm's; tests/unit/service/test_students.py loads one so",
    "tutorial": "is in the tutorial too",
}
"""Why a block is not run here, by the word that its document has before it."""
TUTORIAL = ROOT / "docs/from-my-network.md"
"""tests/acceptance/test_own_student.py does what it says, with real trainings."""
STUDENT, BEST = "cifar/resnet8w4", "cifar/resnet20"
SKILL = {"cifar/resnet14": 0.83, "cifar/resnet8x4": 0.82, "cifar/resnet32": 0.83}
ADDRESSES = ("gpu-box:8000", "127.0.0.1:8000", "https://host/dpk")
RESULTS = "teacher,seed,epochs,validation_score,test_score\n,0,240,.80,.79\ncifar/resnet20,0,240,.88,.87\n"
DONE = [file for file in WRITTEN if file != TUTORIAL and any(steps(file.read_text(encoding="utf-8")))]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Path:
    """The store of the module's server; its jobs are made by the first test."""
    folder = tmp_path_factory.mktemp("documents")
    shutil.copy(migrated_sqlite, folder / "dpk.sqlite")
    write_folder(folder / "data", "flowers", counts={"train": 20}, channels=1)
    for name in ("cells", "pets"):
        write_coco(folder / "data" / name, sound_documents(pictures=4))
    return folder


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a real server in a thread of this process; it works on what `store` configures."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def store(home: Path, configure: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Ids of the jobs that documents speak of: two finished ones, and one on its way with a failed training."""
    configure(home=home, data_root=home / "data")
    for teacher, score in SKILL.items():
        monkeypatch.setitem(drive.SKILL, teacher, score)
    kept = home / "jobs.json"
    if not kept.exists():
        monkeypatch.setattr(drive, "WEIGHTS", weights())
        made = {
            "0f3c2a9d": finished(STUDENT, BEST, "cifar/resnet8x4"),
            "8a6d0e2b": finished("cifar/resnet8w8", "cifar/resnet14", BEST),
            "4f1c": started(),
        }
        kept.write_text(json.dumps(made))
    known: dict[str, str] = json.loads(kept.read_text())
    return known


def weights() -> Any:
    """A student's, as a training leaves them."""
    network = build_model(STUDENT, classes=10, channels=1, seed=0)
    content = safetensors.torch.save(network.state_dict())
    return artifacts.write(settings().resolved_artifact_root, "students/weights.safetensors", content)


def finished(student: str, *teachers: str) -> str:
    job_id = drive.submit(SelectionJobRequest(student=student, dataset="digits", teachers=list(teachers)))
    drive.run_to_end(job_id)
    return job_id


def started() -> str:
    job_id = drive.submit(SelectionJobRequest(student="cifar/resnet14w8", dataset="digits", teachers=[BEST]))
    drive.advance(job_id)
    drive.step(job_id, lambda _: drive.Failure("CUDA ran out of memory."))
    return job_id


@pytest.fixture
def trained(store: dict[str, str]) -> Iterator[None]:
    """What is asked while a document is read goes on once: to its end, where its trainings are a finished job's."""
    over = threading.Event()
    seen = {store["4f1c"]}

    def train() -> None:
        while not over.wait(0.05):
            with drive.reading() as session:
                asked = select(SelectionJob.id).where(SelectionJob.state == "queued", SelectionJob.id.not_in(seen))
                waiting = session.scalars(asked).all()
            for job_id in waiting:
                drive.advance(job_id)
                seen.add(job_id)

    thread = threading.Thread(target=train)
    thread.start()
    yield
    over.set()
    thread.join()


@pytest.fixture
def client(address: str, trained: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """Of the server, which `dpk` finds too."""
    monkeypatch.setenv("DPK_SERVER", address)
    with Client(address) as opened:
        while not opened.is_ready():
            time.sleep(0.02)  # the server gives no signal when it is up
        yield opened


@pytest.fixture
def machine(client: Client, store: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The reader's, with the files that documents speak of."""
    monkeypatch.chdir(tmp_path)
    Path("runs.csv").write_text(RESULTS)
    Path("benchmarks").symlink_to(ROOT / "benchmarks")
    torch.save({"state_dict": {"weight": torch.zeros(1)}}, "old.pth")
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    monkeypatch.setattr(torch_half, "ask", with_torch)
    tracking = httpx.MockTransport(Tracking(store["0f3c2a9d"]))
    monkeypatch.setattr(export, "Mlflow", lambda address: Mlflow(address, transport=tracking))
    names: dict[str, Callable[[], str]] = {name: lambda name=name: store[name] for name in store}
    names |= {name: lambda: client.base_url for name in ADDRESSES}
    names |= {
        "JOB": lambda: store["0f3c2a9d"], "NAME": lambda: "folder/flowers",
        "1c2d3e4f": lambda: client.imported_results(STUDENT, "digits").rows[0].stamp,
        "4c2a0d9e": lambda: webhook(client), "ID": lambda: webhook(client),
        "msg_9d1f0c2b9a8e4f35a6c7d8e9f0a1b2c3": lambda: client.deliveries(webhook(client)).deliveries[0].id,
    }  # fmt: skip
    return Machine(tmp_path, names)


def webhook(client: Client) -> str:
    """The server's newest; a document that does not make one speaks of one that is there."""
    if not client.webhooks().webhooks:
        client.add_webhook("https://ci.example.org/hooks/dpk")
    return client.webhooks().webhooks[-1].id


def with_torch(*arguments: str | Path) -> Any:
    """What `dpk_core.runner.student_command` answers, in this process, which has torch."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as the process of its own does
        student_command.main([str(each) for each in arguments])
    answer = json.loads(said.getvalue().splitlines()[-1])
    assert "refused" not in answer
    return answer


@pytest.mark.parametrize("file", DONE, ids=lambda file: str(file.relative_to(ROOT)))
def test_what_a_document_says_can_be_done(file: Path, client: Client, machine: Machine) -> None:
    known: dict[str, Any] = {}
    for step in steps(file.read_text(encoding="utf-8")):
        if step.not_run is None:
            do(step, client, machine, known)


def do(step: Step, client: Client, machine: Machine, known: dict[str, Any]) -> None:
    """Carries out one step; `known`: the names of the document's Python so far."""
    if step.language in SHELL:
        code, said = machine.carry_out(step.text)
        assert code == 0, f"{step.text}\n{said}"
    elif step.language == "python":
        text = machine.real(step.text)
        if "standardwebhooks" in text:
            text = text.replace("whsec_…", receive(client, known))
        with contextlib.redirect_stdout(io.StringIO()):
            exec(text, known)  # noqa: S102 - what the document tells its reader to run
    elif step.language == "json":
        request = json.loads(step.text)
        if "teachers" in request:
            client.submit(request)
        else:
            TeacherChoice.model_validate(request)
    elif step.language == "yaml":
        (used,) = yaml.safe_load(step.text)
        inputs = yaml.safe_load((ROOT / used["uses"] / "action.yml").read_text())["inputs"]
        assert set(used["with"]) <= set(inputs)
    elif step.language == "toml":
        tomllib.loads(step.text)


def receive(client: Client, known: dict[str, Any]) -> str:
    """Has a webhook told of a job's end; gives its secret, and names the body and headers that arrive."""
    secret = client.renew_webhook_secret(webhook(client)).secret
    with transaction() as session:
        events.record(session, client.jobs(state="finished").jobs[0].id, "finished", {})
    message = client.deliveries(webhook(client)).deliveries[0].id.removeprefix("msg_")

    def arrive(_url: str, body: str, headers: dict[str, str]) -> int:
        known.update(body=body, headers=headers)
        return 204

    sending.send(message, arrive)
    return secret


def test_every_reason_not_to_run_is_given_here_and_needed() -> None:
    given = {step.not_run for file in DONE for step in steps(file.read_text(encoding="utf-8"))} - {None}
    assert given == NOT_RUN.keys()
    assert (
        'TUTORIAL = ROOT / "docs" / "from-my-network.md"' in (ROOT / "tests/acceptance/test_own_student.py").read_text()
    )


def test_a_command_that_ends_otherwise_is_noticed(machine: Machine) -> None:
    assert machine.carry_out("dpk gate --student cifar/resnet56 --dataset digits\necho never")[0] == 6
    code, said = machine.carry_out("dpk jobs > list\ncat list | wc -l  # two finished ones, and one under way")
    assert (code, int(said) >= 3) == (0, True)
    assert machine.carry_out("pip install .") == (
        1, "pip is not run by a test: put <!-- not run: … --> before the block\n",
    )  # fmt: skip
