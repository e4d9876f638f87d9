"""Data sets over HTTP and on pages: facts, findings, samples, and what is said of those that cannot be read."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from tests.unit.catalogue.npz_files import write_npz
from tests.unit.catalogue.picture_sets import write_folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data root with one data set and one folder that is none."""
    root = tmp_path / "data"
    folder = write_folder(root, "flowers", counts={"train": 10, "val": 4})
    shutil.copy(folder / "train" / "ant" / "000.png", folder / "val" / "ant" / "again.png")
    (folder / "train" / "bee" / "source.txt").touch()
    (root / "papers").mkdir()
    return root


@pytest.fixture
def client(configure: Callable[..., Settings], root: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """The application; it needs no database for this."""
    monkeypatch.setenv("DPK_DATA_CACHE", str(root.parent / "cache"))
    configure(data_root=root)
    return TestClient(create_app())


def text(html: str) -> str:
    """What a page shows."""
    found: list[str] = []

    class Text(HTMLParser):
        def handle_data(self, data: str) -> None:
            found.append(data)

    Text().feed(html)
    return re.sub(r"\s+", " ", " ".join(found))


class TestList:
    def test_names_and_what_is_none(self, client: TestClient) -> None:
        assert client.get("/datasets").json() == {
            "datasets": [
                {"name": "digits", "links": {"self": "/datasets/digits", "page": "/data/digits"}},
                {
                    "name": "folder/flowers",
                    "links": {"self": "/datasets/folder/flowers", "page": "/data/folder/flowers"},
                },
            ],
            "unused": [{"name": "papers", "reason": "is empty"}],
        }

    def test_page(self, client: TestClient) -> None:
        page = client.get("/data").text
        assert 'href="/data/folder/flowers"' in page
        assert "papers is empty" in text(page)


class TestDataset:
    def test_facts_findings_and_samples(self, client: TestClient) -> None:
        found = client.get("/datasets/folder/flowers").json()
        assert (found["train_pictures"], found["validation_pictures"], found["test_pictures"]) == (24, 13, 6)
        assert found["classes"][0] == {"name": "ant", "train": 8, "validation": 5, "test": 2}
        assert found["left_out"] == [{"what": ".txt", "count": 1, "example": "train/bee/source.txt"}]
        assert (found["copies"]["validation"], found["held_out"], found["refused"]) == (1, ["test"], False)
        assert [each["level"] for each in found["findings"]] == ["warning", "info"]
        assert found["findings"][0]["message"].startswith("1 of 13 validation pictures (7.7%) are copies of training")
        assert len(found["samples"]) == 12
        assert found["samples"][0]["picture"].startswith("data:image/png;base64,")

    def test_page(self, client: TestClient) -> None:
        answer = client.get("/data/folder/flowers")
        said = text(answer.text)
        assert "folder/flowers: 24 training, 13 validation and 6 test pictures of 3 classes." in said
        assert "Warning: 1 of 13 validation pictures (7.7%) are copies of training pictures" in said
        assert "Left out: 1 file ends in .txt, e.g. train/bee/source.txt." in said
        assert "Class Training Validation Test ant 8 5 2 bee 8 4 2 cat 8 4 2" in said
        assert "Always naming the most frequent class 38.5% of validation (ant)" in said
        assert answer.text.count("<img ") == 12
        assert "img-src data:" in answer.headers["content-security-policy"]

    def test_digits(self, client: TestClient) -> None:
        assert client.get("/datasets/digits").json()["findings"] == []
        assert client.get("/data/digits").status_code == 200

    def test_a_refused_one_says_so(self, client: TestClient, root: Path) -> None:
        shutil.rmtree(root / "flowers" / "val")
        shutil.copytree(root / "flowers" / "train", root / "flowers" / "val")
        found = client.get("/datasets/folder/flowers").json()
        assert (found["refused"], found["findings"][0]["level"]) == (True, "refusal")
        page = text(client.get("/data/folder/flowers").text)
        assert "of 3 classes. No job trains on it." in page
        assert "Refused: 24 of 30 validation pictures (80.0%) are copies of training pictures" in page

    def test_names_are_escaped(self, client: TestClient, root: Path) -> None:
        (root / "flowers").rename(root / "odd #1 <é>?")
        links = client.get("/datasets").json()["datasets"][1]["links"]
        assert client.get(links["self"]).json()["links"] == links
        page = client.get(links["page"])
        assert page.status_code == 200
        assert "folder/odd #1 &lt;é&gt;?" in page.text

    def test_many_classes_are_cut_short_on_the_page(self, client: TestClient, root: Path) -> None:
        write_folder(root, "many", counts={"train": 5}, classes=[f"c{number:02}" for number in range(45)], size=(8, 8))
        page = client.get("/data/folder/many").text
        assert page.count('<th scope="row">') == 40
        assert "5 between them" in text(page)


class TestFaults:
    def test_an_unknown_one(self, client: TestClient) -> None:
        answer = client.get("/datasets/folder/flowres")
        assert (answer.status_code, answer.json()["errors"][0]["nearest"]) == (404, "folder/flowers")
        assert "There is no data set 'folder/flowres'" in answer.json()["detail"]
        page = client.get("/data/folder/flowres")
        assert page.status_code == 404
        assert "There is no such data set There is no data set 'folder/flowres'" in text(page.text)

    def test_a_broken_one(self, client: TestClient, root: Path) -> None:
        (root / "flowers" / "train" / "ant" / "000.png").write_bytes(b"x")
        answer = client.get("/datasets/folder/flowers")
        assert answer.status_code == 422
        assert "flowers/train/ant/000.png cannot be read as a picture" in answer.json()["detail"]
        page = client.get("/data/folder/flowers")
        assert page.status_code == 422
        assert "This data set cannot be read flowers/train/ant/000.png" in text(page.text)

    @pytest.mark.parametrize("name", ["..%2fsecret", "npz/..%2f..%2fx", "folder/%00"])
    def test_a_name_cannot_leave_the_data_root(self, client: TestClient, root: Path, name: str) -> None:
        write_npz(root.parent, "secret")
        assert client.get(f"/datasets/{name}").status_code in (404, 422)

    def test_a_parameter_that_is_none(self, client: TestClient) -> None:
        assert client.get("/datasets/digits?fresh=1").status_code == 422
