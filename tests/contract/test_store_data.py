"""What was left out of a job's data set stays with the job, on SQLite and on Postgres, whatever the names of files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from service.problems import Rejected
from service.settings import Settings
from tests.contract import job_driver as drive
from tests.unit.catalogue.picture_sets import write_folder


@pytest.fixture(autouse=True)
def folder(
    configure: Callable[..., Settings], migrated_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A fresh database, and a data set of class folders."""
    monkeypatch.setenv("DPK_DATA_CACHE", str(tmp_path / "cache"))
    configure(database_url=migrated_url, data_root=tmp_path / "data")
    return write_folder(tmp_path / "data", counts={"train": 20})


REQUEST = drive.request(seeds=1, batch_size=8).model_copy(update={"dataset": "folder/made"})


def test_a_few_files_are_in_the_setup(folder: Path) -> None:
    (folder / "train" / "ant" / "caf\udce9.txt").touch()
    board = drive.board(drive.submit(REQUEST))
    assert board.setup.data_notes == [r"Left out: 1 file ends in .txt, e.g. train/ant/caf\xe9.txt."]


def test_more_than_a_few_are_refused(folder: Path) -> None:
    for number in range(5):
        (folder / "train" / "ant" / f"caf\udce9{number}.heic").touch()
    with pytest.raises(
        Rejected, match=r"dataset: made: too many files would be left out: 5 of 25 files .* caf\\xe90\.h"
    ):
        drive.submit(REQUEST)
