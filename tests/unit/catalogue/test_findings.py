"""What facts mean, by the stated limits: exactly at a limit it is the milder thing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dpk_core.catalogue.built_in import DIGITS_CHECK
from dpk_core.catalogue.copies import Copies
from dpk_core.catalogue.dataset_check import ClassPictures, DatasetCheck
from dpk_core.catalogue.finding import Finding
from dpk_core.catalogue.findings import findings
from dpk_core.catalogue.left_out import NO_LABEL, LeftOutKind
from dpk_core.catalogue.survey import uniform_survey

SOUND = replace(DIGITS_CHECK, channels=3, survey=uniform_survey(1797, 8, 3))
COPIES = Copies(validation_pictures=200, validation=0, test_pictures=200, test=0, train=0, two_classes=0)


def one(check: DatasetCheck, code: str) -> Finding:
    (found,) = (each for each in findings(check) if each.code == code)
    return found


def classes(*validation: int, train: int = 50) -> DatasetCheck:
    """A data set with so many validation pictures of each class."""
    made = [ClassPictures(name=f"c{n}", train=train, validation=count, test=9) for n, count in enumerate(validation)]
    return replace(SOUND, classes=tuple(made))


def test_of_a_sound_data_set_there_is_nothing_to_say() -> None:
    assert findings(DIGITS_CHECK) == findings(SOUND) == ()


@pytest.mark.parametrize(
    ("count", "level", "caution"),
    [(1, "info", False), (2, "warning", True), (100, "warning", True), (101, "refusal", False)],
)
def test_copies_in_validation(count: int, level: str, caution: bool) -> None:
    found = one(
        replace(SOUND, copies=replace(COPIES, validation=count, example=("val/a", "train/b"))), "validation_copies"
    )
    assert (found.level, found.caution) == (level, caution)
    assert found.message.startswith(f"{count} of 200 validation pictures ({count / 200:.1%}) are copies of training")
    assert "e.g. val/a of train/b" in found.message


@pytest.mark.parametrize(("count", "level"), [(1, "info"), (2, "warning"), (200, "warning")])
def test_copies_in_test_decide_nothing(count: int, level: str) -> None:
    found = one(replace(SOUND, copies=replace(COPIES, test=count, example=("test/a", "val/b"))), "test_copies")
    assert (found.level, found.caution) == (level, False)
    assert "e.g. test/a of val/b, so test accuracy is too high" in found.message


def test_copies_under_two_classes_and_in_training() -> None:
    check = replace(SOUND, copies=replace(COPIES, two_classes=4, train=6))
    assert one(check, "two_classes").level == "info"
    assert one(replace(check, copies=replace(COPIES, two_classes=40)), "two_classes").level == "warning"
    assert one(check, "train_copies").message == "6 training pictures are there more than once."


@pytest.mark.parametrize(("validation", "level"), [((80, 20), "warning"), ((99, 1), "warning"), ((995, 5), "refusal")])
def test_the_base_rate(validation: tuple[int, ...], level: str) -> None:
    found = one(classes(*validation), "imbalance")
    assert (found.level, found.caution) == (level, level == "warning")
    assert f"the most frequent class, c0, is right on {validation[0] / sum(validation):.1%}" in found.message
    assert not [each for each in findings(classes(79, 21)) if each.code == "imbalance"]


def test_classes_without_validation_pictures() -> None:
    assert one(classes(5, 5, 0), "no_validation") == Finding(
        code="no_validation", level="warning", caution=True,
        message="The class c2 has no validation picture, so no accuracy says anything about it.",
    )  # fmt: skip
    assert one(classes(5, 5, 0, 0), "no_validation").message.startswith("2 classes (c2, c3) have no validation")
    refused = one(classes(5, 0, 0), "no_validation")
    assert (refused.level, refused.message[:59]) == (
        "refusal", "2 of 3 classes have no validation picture (c1, c2). Beyond ",
    )  # fmt: skip


def test_small_classes() -> None:
    assert one(classes(5, 5, train=4), "small_class").message == (
        "The smallest class, c0, has 4 training pictures; 2 of 2 classes have fewer than 5."
    )
    assert findings(classes(5, 5, train=5)) == ()


def test_files_left_out_are_worse_than_clutter() -> None:
    kinds = (".heic", ".txt", NO_LABEL, "hidden", ".mov", ".avi", ".mp4")
    left_out = tuple(LeftOutKind(what=what, count=2, example=f"train/a/x{what}") for what in kinds)
    found = findings(replace(SOUND, left_out=left_out))
    assert [each.level for each in found] == ["warning", "warning", "warning", "info", "info", "info"]
    assert found[0].message == "Left out: 2 files end in .heic, e.g. train/a/x.heic."
    assert found[2].message == "Left out: 4 files of other kinds (.avi, .mp4)."
    clutter = tuple(LeftOutKind(what=f".{place}", count=2, example="x") for place in range(5))
    last = replace(SOUND, left_out=(*clutter, LeftOutKind(what="", count=1, example="x")))
    assert findings(last)[-1].message == "Left out: 1 file of other kinds (no ending)."


def test_oblong_pictures_are_cut_only_where_that_is_the_rule() -> None:
    seen = replace(uniform_survey(100, 8, 3), oblong=5, most_oblong=4.0)
    whole = one(replace(SOUND, survey=seen), "oblong")
    assert (whole.level, whole.message[:48]) == ("info", "5 of 100 pictures are longer than 4:3, up to 4:1")
    assert "All of each is read" in whole.message
    cut = one(replace(SOUND, survey=seen, fit="middle"), "oblong")
    assert (cut.level, "up to 75% of one is lost" in cut.message) == ("warning", True)
    few = replace(seen, oblong=4)
    assert one(replace(SOUND, survey=few, fit="middle"), "oblong").level == "info"


def test_kinds_of_pictures() -> None:
    seen = replace(
        uniform_survey(100, 8, 3), turned=1, transparent=2, far_larger=1, deep=1, grey=3, largest=(400, 300),
        largest_name="made/x.png",
    )  # fmt: skip
    assert [each.message for each in findings(replace(SOUND, survey=seen, background="grey"))] == [
        "1 of 100 pictures is turned by an EXIF mark and read upright.",
        "2 of 100 pictures have transparency, which is read as grey.",
        "1 of 100 pictures is more than 4 times as long as nearly all others, e.g. made/x.png with 400 x 300 px; the "
        "others set the working size, 8 px.",
        "Of grey pictures with 16 bits the upper 8 bits are read.",
        "3 of 100 pictures are grey and read as coloured ones.",
        "Sizes and kinds of pictures are those of 100 that were looked at.",
    ]


def test_what_was_not_looked_for_is_said() -> None:
    large = replace(SOUND, survey=uniform_survey(100, 8, 3), copies=None)
    assert one(large, "copies").message == "Copies of pictures were not looked for: the data is too large for that."


def test_the_worst_comes_first() -> None:
    check = replace(classes(995, 5), copies=replace(COPIES, test=2), notes=("Read so.",))
    assert [each.level for each in findings(check)] == ["refusal", "warning", "info"]
