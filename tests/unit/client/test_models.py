"""`dpk models` and `dpk model add`: what they send, what they say and end with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from service.models.examples import MODEL
from service.models.schemas import ModelList, ModelView
from service.schemas import FieldError
from tests.unit.client.conftest import FakeServer, Outcome

Dpk = Callable[..., Outcome]


def view(**change: Any) -> ModelView:
    return ModelView.model_validate(MODEL | change)


def test_the_list_shows_names_parameters_maps_and_pictures(server: FakeServer, dpk: Dpk) -> None:
    any_size = {"least": 32, "step": 4, "only": None}
    other = view(name="timm/vit", parameters=None, taps=[], obstacle="it has none", pictures=any_size, channels=None)
    listed = ModelList(models=[view(), other], count=7, next_after="timm/vit")
    server.answer("GET /models?search=stud+ent&source=own&limit=2", listed)
    said = dpk("models", "stud ent", "--source", "own", "--limit", "2")
    assert said.out.splitlines() == [
        "model\tparameters\tstrides of maps\tpictures",
        "own/student-5f0c9a3b\t84,416\t1 2 4\t32x32, 3 channels",
        "timm/vit\t–\tnone: it has none\tfrom 32x32 in steps of 4",
    ]
    assert said.err == "2 of 7 models; name more words to see fewer, or take --limit.\n"


def test_a_file_is_sent_as_it_is(server: FakeServer, dpk: Dpk, tmp_path: Path) -> None:
    file = tmp_path / "student.pt2"
    file.write_text("the file's bytes")
    server.answer("POST /models?name=student", view(), status=201)
    said = dpk("model", "add", str(file), "--name", "student")
    assert server.asked[0].body == "the file's bytes"
    assert server.asked[0].headers["Content-Type"] == "application/octet-stream"
    assert said.out.splitlines() == [
        "own/student-5f0c9a3b: 84,416 parameters, maps at strides 1 2 4, 32x32, 3 channels.",
        "Take it as student or teacher: own/student-5f0c9a3b draws its weights anew, "
        "own/student-5f0c9a3b@own keeps them.",
    ]
    said = dpk("model", "add", str(file), "--name", "student", "--json")
    assert json.loads(said.out) == MODEL


def test_what_was_left_out_of_a_file_is_said(server: FakeServer, dpk: Dpk, tmp_path: Path) -> None:
    (tmp_path / "student.onnx").write_text("x")
    noted = view().model_copy(update={"notes": ["The final Softmax of the file was left out."]})
    server.answer("POST /models?name=student", noted, status=201)
    said = dpk("model", "add", str(tmp_path / "student.onnx"), "--name", "student")
    assert said.out.splitlines()[1] == "The final Softmax of the file was left out."


def test_a_refused_file_is_one_sentence_and_exit_code_2(server: FakeServer, dpk: Dpk, tmp_path: Path) -> None:
    file = tmp_path / "evil.pt2"
    file.write_text("x")
    reason = "The file is refused: it is neither a zip archive, as torch.export.save writes one, nor ONNX."
    server.problem("POST /models?name=evil", 422, f"body: {reason}", FieldError(field="body", message=reason))
    said = dpk("model", "add", str(file), "--name", "evil")
    assert said.code == 2
    assert reason in " ".join(said.err.split())
    assert dpk("model", "add", str(tmp_path / "none.pt2"), "--name", "none").code == 2
