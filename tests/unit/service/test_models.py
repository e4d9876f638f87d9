"""The catalogue over HTTP, and uploads: streamed, limited, checked by a confined process, and usable in a job."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient

from dpk_core import confined
from dpk_core.catalogue import own_models
from dpk_core.catalogue.own_models import OwnModel
from dpk_core.catalogue.weights import find_weights
from dpk_core.codec import to_json
from dpk_core.exported.onnx_graph import SOFTMAX_LEFT_OUT
from dpk_core.models import vet as vet_module
from dpk_core.models.build import build_model
from dpk_core.models.vet import vet
from dpk_core.runner import warm
from dpk_core.training.start import starting_model
from service.app import create_app
from service.database.session import transaction
from service.models import vetting
from service.models.receiving import Received
from service.problems import Rejected, Unavailable
from service.runs import service as runs
from service.scheduling.advance import advance_job
from service.selection_jobs.preflight import check
from service.settings import Settings
from service.wire.jobs import SelectionJobRequest
from tests.unit.catalogue.npz_files import write_npz
from tests.unit.exported.archives import members, write
from tests.unit.exported.networks import excited, forget_uploads
from tests.unit.exported.onnx_files import LIGHT
from tests.unit.exported.test_hostile import Payload
from tests.unit.training.tiny import digits, spec


@pytest.fixture
def client(embedded: Callable[..., Settings]) -> Iterator[TestClient]:
    embedded()
    with TestClient(create_app(), raise_server_exceptions=False) as opened:
        yield opened
    forget_uploads()


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same check without a process of its own, which takes seconds to load torch."""

    def ask(name: str, upload: Received) -> dict[str, Any]:
        try:
            document, kept = vet(name, f"sha256:{upload.sha256}", upload.file)
        except Exception as reason:
            return {"refused": str(reason)}
        (upload.folder / vetting.KEPT).write_bytes(kept)
        answer: dict[str, Any] = json.loads(json.dumps(to_json(document)))
        return answer

    monkeypatch.setattr(vetting, "_ask", ask)


@pytest.mark.usefixtures("in_process")
class TestUploads:
    def test_it_is_named_by_owner_and_content(self, client: TestClient) -> None:
        content = excited()[1]
        digest = hashlib.sha256(content).hexdigest()
        answer = client.post("/models?name=student", content=content)
        assert answer.status_code == 201
        assert answer.json() == {
            "name": f"own/student-{digest[:8]}", "source": "own", "task": "classification",
            "parameters": answer.json()["parameters"],
            "taps": [{"module": f"stages.{index}", "channels": channels, "stride": stride}
                     for index, channels, stride in ((0, 8, 1), (1, 16, 2), (2, 24, 4))],
            "obstacle": None, "pictures": {"least": 1, "step": 1, "only": 8}, "channels": 1, "classes": None,
            "weights": ["own"], "sha256": digest, "notes": [],
        }  # fmt: skip
        assert client.post("/models?name=student", content=content).status_code == 200
        assert client.post("/models?name=other", content=content).json()["name"] == f"own/other-{digest[:8]}"
        listed = client.get("/models?source=own&search=STUDENT").json()
        assert [each["name"] for each in listed["models"]] == [f"own/student-{digest[:8]}"]

    def test_a_job_takes_it_as_student_and_as_teacher(self, client: TestClient) -> None:
        name = client.post("/models?name=student", content=excited()[1]).json()["name"]
        own_models._known.clear()  # another process, which has only the database
        request = {"student": name, "dataset": "digits", "teachers": [f"{name}@own", "cifar/resnet8w4"]}
        job = client.post("/selection-jobs", json=request)
        assert job.status_code == 202, job.text
        assert client.get("/best-teacher", params={"student": name, "dataset": "digits"}).status_code == 404
        with transaction() as session:
            advance_job(session, job.json()["id"])
            claims = [runs.claim_next(session, "w", lease_seconds=30, max_attempts=3) for _ in range(2)]
        found = {claim.spec.training.model: claim for claim in claims if claim is not None}
        assert [document["name"] for document in found[name].uploads] == [name]
        assert found["cifar/resnet8w4"].uploads == ()
        start = found[name].spec.training.start
        assert start is not None
        assert (start.source, start.name) == ("own", name)

    def test_a_runner_builds_it_from_the_artifacts(self, client: TestClient, tmp_path: Path) -> None:
        name = client.post("/models?name=student", content=excited()[1]).json()["name"]
        model = own_models.own_model(name)
        assert isinstance(model, OwnModel)
        own_models._known.clear()
        started = find_weights(name, "own", None, "weights")
        assert started is not None
        training = replace(spec(), model=name, start=started.start)
        warm.models_here(training, [to_json(model)], tmp_path / "home" / "artifacts")
        source = excited()[0].eval()
        pictures_BCHW = torch.randn(3, 1, 8, 8)
        built = starting_model(training, digits().card, None)
        torch.testing.assert_close(built.model.eval()(pictures_BCHW), source(pictures_BCHW))
        assert built.notes == (
            "Every seed starts from the weights in the uploaded file, so seeds differ in batch order and augmentation "
            "alone.",
        )
        drawn = starting_model(replace(training, start=None), digits().card, None)
        assert "drawn anew from each seed" in drawn.notes[0]
        assert not torch.equal(drawn.model.state_dict()["head.weight"], source.head.weight)
        assert build_model(name, classes=7, channels=1, seed=0).eval()(pictures_BCHW).shape == (3, 7)

    def test_data_that_it_cannot_take_is_refused_before_training(self, client: TestClient) -> None:
        name = client.post("/models?name=student", content=excited()[1]).json()["name"]
        wrong = client.post(
            "/selection-jobs", json={"student": f"{name}@a1_in1k", "dataset": "digits", "teachers": [f"{name[:-1]}"]}
        ).json()
        assert [(error["field"], error["nearest"]) for error in wrong["errors"]] == [
            ("student.weights", None), ("teachers[0]", name),
        ]  # fmt: skip

    def test_pictures_that_it_was_not_exported_for_are_refused_with_what_to_export(
        self, client: TestClient, tmp_path: Path
    ) -> None:
        name = client.post("/models?name=student", content=excited()[1]).json()["name"]
        folder = tmp_path / "data"
        folder.mkdir()
        write_npz(folder, x_train=np.zeros((60, 16, 16, 3), np.uint8), x_test=np.zeros((12, 16, 16, 3), np.uint8))
        request = {"student": name, "dataset": "npz/made", "teachers": ["cifar/resnet20"]}
        with pytest.raises(Rejected) as raised:
            check(SelectionJobRequest.model_validate(request), folder)
        said = [error.message for error in raised.value.errors if error.field == "student"]
        assert said == [
            f"{name} takes pictures with 1 channel(s), and these have 3; export it anew.",
            f"{name} takes only 8x8 pictures, not 16x16. Export it for 16x16 pictures, or with height and width as "
            "dimensions (torch.export.Dim).",
        ]

    def test_a_refused_file_leaves_nothing(self, client: TestClient, tmp_path: Path) -> None:
        answer = client.post("/models?name=student", content=b"PK\x03\x04 no program")
        assert answer.status_code == 422
        assert answer.json()["errors"] == [
            {"field": "body", "message": answer.json()["errors"][0]["message"], "nearest": None}
        ]
        assert "The file is refused: it is neither a zip archive" in answer.json()["detail"]
        assert client.get("/models?source=own").json()["count"] == 0
        assert not list((tmp_path / "home" / "artifacts" / "models" / "incoming").iterdir())

    def test_a_full_disk_is_said_and_leaves_nothing(
        self, client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "replace", refuse)
        answer = client.post("/models?name=student", content=excited()[1])
        assert answer.status_code == 503
        assert [each["field"] for each in answer.json()["errors"]] == ["artifacts"]
        assert "The disk is full" in answer.json()["detail"]
        assert client.get("/models?source=own").json()["count"] == 0
        assert not [path for path in (tmp_path / "home" / "artifacts").rglob("*") if path.is_file()]

    @pytest.mark.parametrize("name", ["Student", "a.b", "a@b", "../x", "", "x" * 61])
    def test_names_that_would_mean_something_else(self, name: str, client: TestClient) -> None:
        answer = client.post("/models", params={"name": name}, content=b"x")
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "name"


def test_a_large_file_is_refused_while_it_arrives(embedded: Callable[..., Settings]) -> None:
    embedded(model_megabytes=1)
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(64):
            sent += 1
            yield bytes(2**18)

    with TestClient(create_app(), raise_server_exceptions=False) as client:
        answer = client.post("/models?name=big", content=endless())
        assert answer.status_code == 413
        assert "larger than 1 MiB, the server's DPK_MODEL_MEGABYTES" in answer.json()["detail"]
        assert client.post("/models?name=empty", content=b"").status_code == 422
        assert client.post("/selection-jobs", content=bytes(300_000)).status_code == 413


def test_the_check_runs_confined_and_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real child process, on a file whose sample inputs are a payload that torch's loader would run."""
    monkeypatch.setenv("DPK_DATABASE_URL", "postgresql+psycopg://user:secret@host/name")
    content, mark = members(), tmp_path / "mark"
    content["data/sample_inputs/model.pt"] = pickle.dumps(Payload(mark))
    folder = tmp_path / "upload"
    folder.mkdir()
    file = write(folder / "upload.pt2", content)
    upload = Received(folder, file, hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_size)
    assert not any("secret" in value for value in confined.environment(upload.folder).values())
    model = vetting.vetted("own/mine-00000000", upload)
    assert model.count > 0
    assert not mark.exists()
    assert sorted(os.listdir(folder)) == [vetting.KEPT, "upload.pt2"]


def test_an_onnx_file_is_checked_by_the_same_process(tmp_path: Path) -> None:
    """One that makes its weights from shapes, so that more is written than was sent."""
    content = (LIGHT / "light_shufflenet.onnx").read_bytes()
    file = tmp_path / "upload"
    file.write_bytes(content)
    upload = Received(tmp_path, file, hashlib.sha256(content).hexdigest(), len(content))
    model = vetting.vetted("own/mine-00000000", upload)
    assert model.notes == (SOFTMAX_LEFT_OUT,)
    assert (tmp_path / vetting.KEPT).stat().st_size > 4 * model.count > 40 * len(content)


@pytest.mark.parametrize("package", ["torch", "onnx"])
def test_a_server_that_cannot_check_says_what_it_lacks(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = f"ModuleNotFoundError: No module named '{package}'".encode()
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess((), 1, b"", said))
    with pytest.raises(Unavailable, match=f"has no {package}, which checks such uploads"):
        vetting.vetted("own/x-00000000", Received(tmp_path, tmp_path / "upload", "0" * 64, 1))


@pytest.mark.parametrize(
    "action",
    [
        "import socket; socket.socket()",
        "import subprocess; subprocess.run(['true'])",
        "import os; os.system('true')",
        "open('other', 'w')",
        "import pickle; pickle.loads(b'cos\\nsystem\\n.')",
        "bytearray(8 * 2**30)",
    ],
)
def test_what_a_confined_process_cannot_do(action: str, tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from dpk_core.exported.confinement import confine, leave_network; leave_network();"
        f"confine(10, Path('target')); Path('target').write_bytes(b'x'); {action}"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode != 0
    assert "PermissionError" in done.stderr or "MemoryError" in done.stderr, done.stderr
    assert os.listdir(tmp_path) == ["target"]


def test_a_disk_that_takes_no_more_is_no_fault_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "upload"
    file.write_bytes(excited()[1])
    monkeypatch.setattr(vet_module, "confine", lambda *_: None)
    vet_module.main("own/x-00000000", "sha256:0", file, Path("/dev/full"))
    said = capsys.readouterr().out.encode()
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess((), 0, said, b""))
    with pytest.raises(Unavailable, match="The disk is full on"):
        vetting.vetted("own/x-00000000", Received(tmp_path, file, "0" * 64, 1))


def test_a_check_that_dies_or_hangs_is_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    upload = Received(tmp_path, tmp_path / "upload.pt2", "0" * 64, 1)
    said = b"Traceback\nTypeError: no"
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess((), -9, b"", said))
    with pytest.raises(Rejected, match="its check died"):
        vetting.vetted("own/x-00000000", upload)
    assert caplog.messages == ["The check of own/x-00000000 died with exit status -9: Traceback | TypeError: no"]

    def hang(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired((), 1)

    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(Rejected, match="not checked within 300 seconds"):
        vetting.vetted("own/x-00000000", upload)


class TestCatalogue:
    def test_every_library_is_listed_by_name_and_page(self, client: TestClient) -> None:
        first = client.get("/models?search=resnet18&limit=3").json()
        assert [each["name"] for each in first["models"]] == sorted(each["name"] for each in first["models"])
        assert first["count"] > 3
        second = client.get(f"/models?search=resnet18&limit=200&after={first['next_after']}").json()
        assert len(second["models"]) == first["count"] - 3
        assert second["next_after"] is None

    def test_what_is_known_of_a_model(self, client: TestClient) -> None:
        (found,) = client.get("/models?search=torchvision/resnet18").json()["models"]
        assert found["parameters"] == 11_176_512  # 11,689,512 of torchvision's table, less its head of 1,000 classes
        assert found["weights"] == ["pretrained"]
        assert [tap["stride"] for tap in found["taps"]] == [2, 4, 8, 16, 32]

    @pytest.mark.parametrize("query", ["source=keras", "limit=0", "serach=x"])
    def test_wrong_questions(self, query: str, client: TestClient) -> None:
        assert client.get(f"/models?{query}").status_code == 422


def test_detectors_are_listed_with_their_parameters_and_levels(client: TestClient) -> None:
    listed = client.get("/models?source=detection&search=retinanet_resnet18").json()
    (found,) = listed["models"]
    assert (found["task"], found["obstacle"]) == ("detection", None)
    assert found["weights"][:2] == ["pretrained", "a1_in1k"]
    assert [tap["stride"] for tap in found["taps"]] == [8, 16, 32]
    assert found["pictures"] == {"least": 32, "step": 32, "only": None}
    assert found["parameters"] > 11_000_000
    assert client.get("/models?source=detection").json()["count"] == 14
