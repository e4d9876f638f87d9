"""torchvision's CIFAR: the very files or none. The real ones are not here, so small ones are made official."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dpk_core.catalogue import cifar as catalogue
from dpk_core.catalogue.datasets import dataset_card
from dpk_core.data import cifar
from dpk_core.data.source import load_dataset
from dpk_core.errors import DataFault

CPU = torch.device("cpu")
NAMES = ("torchvision/cifar10", "torchvision/cifar100")


@pytest.mark.parametrize("name", NAMES)
def test_our_list_of_official_files_is_torchvisions(name: str) -> None:
    source, official = cifar.SOURCES[name], catalogue.OFFICIAL[name]
    listed = [*source.train_list, *source.test_list, [source.meta["filename"], source.meta["md5"]]]
    assert [list(entry) for entry in official.files] == listed
    assert official.folder == source.base_folder


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root with a CIFAR-100 of 1000 and 200 pictures, whose files count as the official ones."""
    name = "torchvision/cifar100"
    official, source = catalogue.OFFICIAL[name], cifar.SOURCES[name]
    folder = tmp_path / official.folder
    folder.mkdir()
    contents: dict[str, Any] = {"meta": {"fine_label_names": [str(label) for label in range(100)]}}
    for split, count in (("train", 1000), ("test", 200)):
        pictures = np.random.default_rng(count).integers(0, 256, (count, 3072), dtype=np.uint8)
        contents[split] = {"data": pictures, "fine_labels": [row % 100 for row in range(count)]}
    digests = {}
    for file, content in contents.items():
        written = pickle.dumps(content)
        (folder / file).write_bytes(written)
        digests[file] = hashlib.md5(written, usedforsecurity=False).hexdigest()
    files = tuple((file, digests[file]) for file, _ in official.files)
    made = replace(official, files=files, train_pictures=1000, test_pictures=200)
    monkeypatch.setitem(catalogue.OFFICIAL, name, made)
    monkeypatch.setattr(source, "train_list", [["train", digests["train"]]])
    monkeypatch.setattr(source, "test_list", [["test", digests["test"]]])
    monkeypatch.setattr(source, "meta", {**source.meta, "md5": digests["meta"]})
    return tmp_path


def test_card_and_loader_agree(small: Path) -> None:
    card = dataset_card("torchvision/cifar100", small, "dataset")
    data = load_dataset(card, small, CPU)
    test = data.read_test()
    assert (len(data.train), len(data.validation), len(test)) == (800, 200, 200)
    assert (card.train_pictures, card.validation_pictures, card.test_pictures) == (800, 200, 200)
    content = pickle.loads((small / "cifar-100-python" / "test").read_bytes())  # noqa: S301 - written above
    pictures = test.start_reading(torch.arange(200))()
    assert torch.equal(pictures.flatten(1), torch.from_numpy(content["data"]))
    assert torch.bincount(data.train.labels).unique().tolist() == [8]


def test_another_file_is_never_opened(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = dataset_card("torchvision/cifar100", small, "dataset")

    class Harm:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return pytest.fail, ("the file was opened",)

    (small / "cifar-100-python" / "meta").write_bytes(pickle.dumps(Harm()))
    with pytest.raises(DataFault, match=r"cifar-100-python/meta is not the official file \(its MD5 differs\)"):
        load_dataset(card, small, CPU)


def test_missing_files_are_fetched_only_where_that_is_allowed(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = dataset_card("torchvision/cifar100", small, "dataset")
    kept = (small / "cifar-100-python" / "train").read_bytes()
    (small / "cifar-100-python" / "train").unlink()

    def fetch(dataset: Any) -> None:
        (Path(dataset.root) / dataset.base_folder / "train").write_bytes(kept)

    monkeypatch.setattr(cifar.SOURCES[card.name], "download", fetch)
    with pytest.raises(DataFault, match="train is not under the data root"):
        load_dataset(card, small, CPU)
    monkeypatch.setenv("DPK_DOWNLOAD", "1")
    assert len(load_dataset(card, small, CPU).train) == 800


def test_a_failed_download_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(dataset: Any) -> None:
        raise OSError("network unreachable")

    monkeypatch.setenv("DPK_DOWNLOAD", "1")
    monkeypatch.setattr(cifar.SOURCES[NAMES[0]], "download", fail)
    card = dataset_card(NAMES[0], tmp_path, "dataset")
    with pytest.raises(DataFault, match="cifar10 could not be fetched into the data root: network unreachable"):
        load_dataset(card, tmp_path, CPU)
