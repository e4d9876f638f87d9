"""Which column of a Parquet file is the label, what its values are, and one numbering for the classes of all files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dpk_core.catalogue.datasets import DatasetCard, dataset_card
from dpk_core.catalogue.parquet import list_parquet
from dpk_core.data.source import load_dataset
from dpk_core.errors import DataFault
from tests.unit.catalogue.picture_sets import encoded, notes, write_parquet

torch = pytest.importorskip("torch")
arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")

PETS = ("cat", "dog", "owl")
PLACES = [row % 3 for row in range(30)]
TEXTS = [PETS[place] for place in PLACES]


def card(root: Path) -> DatasetCard:
    return dataset_card("parquet/made", root, "dataset")


def loaded(root: Path) -> dict[str, set[tuple[int, int]]]:
    """Grey value and label of the pictures of each split, as training sees them."""
    data = load_dataset(card(root), root, torch.device("cpu"))
    return {
        name: {
            (int(picture[0, 0, 0]), int(label))
            for picture, label in zip(split.start_reading(torch.arange(len(split)))(), split.labels, strict=True)
        }
        for name, split in (("train", data.train), ("validation", data.validation), ("test", data.read_test()))
    }


class TestColumn:
    @pytest.mark.parametrize("column", ["label", "labels", "class", "category", "target", "fine_label", "Label"])
    def test_a_known_name_is_taken_whatever_else_is_there(self, tmp_path: Path, column: str) -> None:
        fold = {"fold": arrow.array([row % 5 for row in range(30)])}
        write_parquet(tmp_path / "made" / "train.parquet", arrow.array(TEXTS), label_column=column, more=fold)
        assert (list_parquet(tmp_path / "made").classes, notes(card(tmp_path))) == (PETS, ())

    def test_of_two_known_names_the_first_is_taken_and_said(self, tmp_path: Path) -> None:
        more = {"label": arrow.array(TEXTS)}
        write_parquet(tmp_path / "made" / "train.parquet", PLACES, label_column="fine_label", more=more)
        assert notes(card(tmp_path)) == ("Labels are read from the column label, not from fine_label.",)
        assert list_parquet(tmp_path / "made").classes == PETS

    def test_a_class_label_needs_no_known_name(self, tmp_path: Path) -> None:
        more = {"fold": arrow.array([0] * 30), "file": arrow.array(["x"] * 30)}
        write_parquet(tmp_path / "made" / "train.parquet", PLACES, names=PETS, label_column="species", more=more)
        assert list_parquet(tmp_path / "made").classes == PETS

    def test_the_only_candidate_is_taken_and_said(self, tmp_path: Path) -> None:
        more = {"score": arrow.array([0.5] * 30)}
        write_parquet(tmp_path / "made" / "train.parquet", arrow.array(TEXTS), label_column="kind", more=more)
        assert notes(card(tmp_path))[0].startswith("Labels are read from the column kind: none is named label,")

    def test_several_candidates_are_refused_by_name(self, tmp_path: Path) -> None:
        more = {"fold": arrow.array(PLACES)}
        write_parquet(tmp_path / "made" / "train.parquet", arrow.array(TEXTS), label_column="kind", more=more)
        with pytest.raises(DataFault, match=r"made/train\.parquet has no column named .* \(kind, fold\); rename it to"):
            card(tmp_path)

    def test_no_candidate_is_said(self, tmp_path: Path) -> None:
        write_parquet(tmp_path / "made" / "train.parquet", arrow.array([0.5] * 3), label_column="score")
        with pytest.raises(DataFault, match="and no other could be the label; rename it to label"):
            card(tmp_path)

    def test_of_several_columns_of_pictures_the_one_with_a_known_name_is_taken(self, tmp_path: Path) -> None:
        other = arrow.array([{"bytes": b"no picture", "path": ""}] * 30)
        path = tmp_path / "made" / "train.parquet"
        write_parquet(path, PLACES, more={"annotated": other})
        assert list_parquet(tmp_path / "made").pictures == "image"
        from pyarrow import parquet

        table = parquet.read_table(path)
        parquet.write_table(table.rename_columns(["before", "label", "after"]), path)
        with pytest.raises(DataFault, match=r"has the columns of pictures before, after; there must be one"):
            card(tmp_path)


COLUMNS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "text": (arrow.array(TEXTS), PETS),
    "large text": (arrow.array(TEXTS, arrow.large_string()), PETS),
    "dictionary of text": (arrow.array(TEXTS).dictionary_encode(), PETS),
    "dictionary of numbers": (arrow.array(PLACES).dictionary_encode(), ("0", "1", "2")),
    "truth values": (arrow.array([row % 2 == 0 for row in range(30)]), ("false", "true")),
    "whole floats": (arrow.array(np.array(PLACES, np.float32)), ("0", "1", "2")),
    "numbers from 1": (arrow.array([place + 1 for place in PLACES], arrow.uint8()), ("1", "2", "3")),
    "numbers with gaps": (arrow.array([10**place for place in PLACES]), ("1", "10", "100")),
}


class TestValues:
    @pytest.mark.parametrize(("column", "classes"), COLUMNS.values(), ids=COLUMNS)
    def test_each_type_of_label_is_encoded(self, tmp_path: Path, column: Any, classes: tuple[str, ...]) -> None:
        write_parquet(tmp_path / "made" / "train.parquet", column)
        found = list_parquet(tmp_path / "made")
        assert found.classes == classes
        names = [str(value).lower().removesuffix(".0") for value in column.to_pylist()]
        assert [classes[label] for label in found.labels["train"]] == names
        assert card(tmp_path).classes == len(classes)

    @pytest.mark.parametrize(
        ("column", "sentence"),
        [
            (arrow.array([0.0, 0.5]), "row 1: the label is 0.5; numbers must be whole"),
            (arrow.array([0.0, float("nan")]), "row 1: the label is nan; numbers must be whole"),
            (arrow.array([[0], [1]]), "the label column holds values of type list<element: int64>; labels are numbers"),
            (arrow.array(["a", None]), "row 1 has no label"),
            (arrow.array(["a", " "]), "row 1 has an empty label"),
            (arrow.array([0, -1]), r"row 1 has no label \(-1\)"),
            (arrow.array([None, None], arrow.string()), r"row 0 has no label"),
        ],
    )  # fmt: skip
    def test_what_is_no_label_is_refused(self, tmp_path: Path, column: Any, sentence: str) -> None:
        write_parquet(tmp_path / "made" / "train.parquet", column)
        with pytest.raises(DataFault, match=rf"made/train\.parquet.*{sentence}"):
            card(tmp_path)

    @pytest.mark.parametrize("withheld", [[-1] * 5, arrow.array([None] * 5, arrow.string())])
    def test_withheld_test_labels_are_said(self, tmp_path: Path, withheld: Any) -> None:
        write_parquet(tmp_path / "made" / "train.parquet", PLACES)
        write_parquet(tmp_path / "made" / "test.parquet", withheld)
        assert notes(card(tmp_path))[0].startswith("The test files have no labels")

    @pytest.mark.parametrize(
        "metadata", [b"{", b"[]", b'{"info": {"features": {"label": {"names": 3}}}}'], ids=["cut", "list", "number"]
    )
    def test_metadata_of_nonsense_is_refused(self, tmp_path: Path, metadata: bytes) -> None:
        from pyarrow import parquet

        path = write_parquet(tmp_path / "made" / "train.parquet", PLACES)
        parquet.write_table(parquet.read_table(path).replace_schema_metadata({"huggingface": metadata}), path)
        with pytest.raises(DataFault, match="write the file again"):
            card(tmp_path)


EXPECTED = {(0, 0), (60, 1), (120, 2)}
"""Grey value and label of cat, dog and owl."""


class TestMatching:
    """Card and training see the same classes, however each file numbers them."""

    def write(self, root: Path, split: str, rows: list[str], names: Sequence[str] | None) -> None:
        """Each class has pictures of its own grey value. `names`: numbered by this list, else as text."""
        column = arrow.array(rows) if names is None else [names.index(row) for row in rows]
        values = {"cat": 0, "dog": 60, "owl": 120, "yak": 180}
        pictures = [encoded(np.full((12, 12, 3), values[row], np.uint8)) for row in rows]
        write_parquet(root / "made" / f"{split}.parquet", column, names=names, pictures=pictures)

    def test_lists_that_differ_are_matched_by_name(self, tmp_path: Path) -> None:
        self.write(tmp_path, "train", TEXTS, PETS)
        self.write(tmp_path, "validation", ["dog", "owl"] * 3, ["dog", "owl"])
        self.write(tmp_path, "test", TEXTS, ["owl", "cat", "dog"])
        assert loaded(tmp_path) == {
            "train": EXPECTED, "validation": {(60, 1), (120, 2)}, "test": EXPECTED,
        }  # fmt: skip
        assert notes(card(tmp_path)) == (
            "Classes are numbered differently in made/validation.parquet, made/test.parquet; they were matched by "
            "their names.",
        )

    def test_text_and_lists_are_matched_too(self, tmp_path: Path) -> None:
        self.write(tmp_path, "train", TEXTS, None)
        self.write(tmp_path, "valid", ["dog", "owl"], None)
        self.write(tmp_path, "test", TEXTS, ["owl", "cat", "dog"])
        assert loaded(tmp_path) == {
            "train": EXPECTED, "validation": {(60, 1), (120, 2)}, "test": EXPECTED,
        }  # fmt: skip

    def test_training_files_may_differ_among_themselves(self, tmp_path: Path) -> None:
        self.write(tmp_path, "train-0", ["owl", "cat"] * 10, ["owl", "cat"])
        self.write(tmp_path, "train-1", ["cat", "dog"] * 10, ["cat", "dog"])
        assert list_parquet(tmp_path / "made").classes == ("owl", "cat", "dog")
        assert loaded(tmp_path)["train"] == {(120, 0), (0, 1), (60, 2)}

    def test_plain_numbers_count_in_the_list_that_the_others_have(self, tmp_path: Path) -> None:
        self.write(tmp_path, "train", TEXTS, ["owl", "cat", "dog"])
        write_parquet(tmp_path / "made" / "test.parquet", [2, 0])
        assert list_parquet(tmp_path / "made").labels["test"].tolist() == [2, 0]
        self.write(tmp_path, "validation", ["dog", "owl"], ["dog", "owl"])
        with pytest.raises(DataFault, match=r"made/test\.parquet numbers its classes without naming them, and other"):
            card(tmp_path)

    @pytest.mark.parametrize("names", [None, ["cat", "yak"]])
    def test_a_class_that_training_lacks_is_refused_by_name(self, tmp_path: Path, names: list[str] | None) -> None:
        self.write(tmp_path, "train", TEXTS, PETS)
        self.write(tmp_path, "val", ["cat", "yak"], names)
        with pytest.raises(
            DataFault, match=r"made/val\.parquet, row 1: the class yak is in no training file \(there: cat, dog, owl\)"
        ):
            card(tmp_path)

    def test_a_name_that_is_listed_and_never_used_does_no_harm(self, tmp_path: Path) -> None:
        self.write(tmp_path, "train", TEXTS, PETS)
        self.write(tmp_path, "val", ["cat"], ["cat", "yak"])
        assert card(tmp_path).validation_pictures == 1

    def test_a_name_twice_is_refused(self, tmp_path: Path) -> None:
        self.write(tmp_path, "train", ["cat"], ["cat", "dog", "cat"])
        with pytest.raises(DataFault, match=r"made/train\.parquet names the class cat twice"):
            card(tmp_path)

    def test_numbers_without_names_keep_their_order(self, tmp_path: Path) -> None:
        write_parquet(tmp_path / "made" / "train.parquet", [row % 12 for row in range(120)])
        write_parquet(tmp_path / "made" / "test.parquet", [11, 2, 10])
        found = list_parquet(tmp_path / "made")
        assert found.classes == tuple(str(number) for number in range(12))
        assert found.labels["test"].tolist() == [11, 2, 10]
