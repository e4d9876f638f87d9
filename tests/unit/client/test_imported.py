"""`dpk imported`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from service.imported_results.examples import IMPORTED, ROWS
from service.imported_results.schemas import Imported, ImportedRows
from tests.unit.client.conftest import FakeServer, Outcome

Dpk = Callable[..., Outcome]
ASK = ("--student", "a/s", "--dataset", "digits", "--method", "kd", "--source", "our cluster")


def test_a_table_is_sent_with_what_it_is(server: FakeServer, dpk: Dpk, tmp_path: Path) -> None:
    file = tmp_path / "runs.csv"
    file.write_text("teacher,seed,test_score\na/t,1,0.95\n,0,0.93\n")
    server.answer("POST /imported-results", Imported.model_validate(IMPORTED))
    done = dpk("imported", "add", str(file), *ASK, "--set", "epochs=240")
    assert done.out == "6 results under protocol 1c2d3e4f; 0 were there already.\n"
    assert json.loads(server.asked[0].body) == {
        "student": "a/s", "dataset": "digits", "method": "kd", "source": "our cluster", "settings": {"epochs": 240},
        "results": [{"teacher": "a/t", "seed": 1, "test_score": 0.95}, {"test_score": 0.93}],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("teacher,score\na/t,1\n", "the columns are teacher, seed, epochs, validation_score, test_score, not score."),
        ("", "not none."),
        ("teacher,test_score\na/t,95\n", "results[0].test_score"),
        ("teacher,seed\na/t,1\n", "Give validation_score or test_score"),
        ("teacher\n", "results"),
    ],
)
def test_what_is_wrong_with_a_table_is_one_sentence(dpk: Dpk, tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "runs.csv"
    file.write_text(text)
    done = dpk("imported", "add", str(file), *ASK)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert sentence in done.err


def test_rows_carry_their_protocol(server: FakeServer, dpk: Dpk) -> None:
    server.answer("GET /imported-results?student=a%2Fs&dataset=digits", ImportedRows.model_validate(ROWS))
    _, row = dpk("imported", "list", "--student", "a/s", "--dataset", "digits").out.splitlines()
    assert row.split("\t")[:5] == ["1c2d3e4f", "kd", "cifar/resnet20", "240", "3"]
    assert row.split("\t")[-2:] == ["+1.20", "our cluster, March"]
