"""What is found about a job's data set stays with the job, on SQLite and on Postgres, whatever the names of files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from service.problems import Rejected
from service.settings import Settings
from service.web import pages
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


def copy_to_validation(folder: Path, copies: int) -> None:
    """Ten validation pictures a class, of which so many of the first class are copies of training pictures."""
    write_folder(folder.parent, counts={"val": 10, "test": 2})
    for number in range(copies):
        shutil.copy(folder / "train" / "ant" / f"{number:03}.png", folder / "val" / "ant" / f"{number:03}.png")


def test_warnings_are_on_the_job_before_it_trains_and_on_its_verdict(folder: Path) -> None:
    copy_to_validation(folder, 3)
    (folder / "train" / "ant" / "source.txt").touch()
    warning = (
        "3 of 30 validation pictures (10.0%) are copies of training pictures, e.g. val/ant/000.png of "
        "train/ant/000.png, so accuracies are too high and favour networks that memorise."
    )
    note = "Left out: 1 file ends in .txt, e.g. train/ant/source.txt."
    job_id = drive.submit(REQUEST.model_copy(update={"seeds": 2}))
    assert [(each.level, each.message) for each in drive.job(job_id).notices] == [("warning", warning), ("info", note)]
    drive.run_to_end(job_id)
    board = drive.board(job_id)
    assert board.verdict is not None
    assert board.verdict.cautions == [warning]
    assert f"Caution: {warning}" in (board.job.verdict or "")
    assert board.setup.data_notes == [warning, note]
    page = pages.job_page(board)
    assert page.count(warning) >= 2
    assert 'href="/data/folder/made"' in page


def test_beyond_a_limit_nothing_is_made(folder: Path) -> None:
    copy_to_validation(folder, 10)
    for name in ("bee", "cat"):
        for number in range(10):
            source = folder / "train" / name / f"{number:03}.png"
            shutil.copy(source, folder / "val" / name / f"{number:03}.png")
    with pytest.raises(Rejected) as caught:
        drive.submit(REQUEST)
    (error,) = caught.value.errors
    assert error.field == "dataset"
    assert error.message.startswith(
        "30 of 30 validation pictures (100.0%) are copies of training pictures, e.g. val/ant/"
    )
