"""`docs/data.md` states the limits and names that the code has."""

from __future__ import annotations

from pathlib import Path

from dpk_core.catalogue import content, copies, findings, headers, left_out, recall, survey
from dpk_core.catalogue.datasets import PHOTO_SIDE
from dpk_core.catalogue.label_columns import LABEL_COLUMNS
from dpk_core.catalogue.reading import EXAMPLE, SIDES
from dpk_core.catalogue.split_names import KEYWORDS
from dpk_core.catalogue.table_heads import PICTURE_COLUMNS, SPLIT_COLUMNS

DOCS = " ".join((Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8").split())


def test_limits() -> None:
    assert all(
        sentence in DOCS
        for sentence in (
            f"from {findings.SOME_COPIES:.0%} of them, also with the verdict | beyond {findings.MOST_COPIES:.0%} |",
            f"from {findings.HIGH_BASE_RATE:.0%}, also with the verdict | beyond {findings.HIGHEST_BASE_RATE:.0%} |",
            f"beyond {findings.MOST_WITHOUT_VALIDATION:.0%} of the classes |",
            f"below {findings.FEW_PICTURES} |",
            f"beyond {left_out.MOST_OF_ALL:.0%} of all or {left_out.MOST_OF_A_CLASS:.0%} of a class |",
            f"| from {findings.SOME_CUT:.0%} | – |",
            f"more than {survey.FAR_LARGER} times as long as nearly all others",
            f"where 95 % of the pictures have edges up to {headers.SMALL_EDGE} px",
            f"else {headers.LARGE_SIDE} px",
            f"working size are {PHOTO_SIDE} px and more",
            f"`side` {SIDES[0]} … {SIDES[-1]} px",
            f"{copies.SAMPLED} validation and {copies.SAMPLED} test pictures",
            f"first {copies.HEAD // 1024} KiB",
            f"more than {copies.MOST_CANDIDATES:,} training pictures",
            f"up to {recall.LOOKED_AT:,} files",
        )
    )
    assert (survey.MOST, content.WHOLE_BYTES, recall.SECONDS, recall.FRESH_NS) == (0.95, 2**30, 60, 2e9)


def test_names() -> None:
    for names in (PICTURE_COLUMNS, LABEL_COLUMNS, *KEYWORDS.values()):
        assert ", ".join(f"`{name}`" for name in names) in DOCS
    assert f"`{EXAMPLE}`" in DOCS
    assert "`split`, `set`, `subset` or `partition`" in DOCS
    assert SPLIT_COLUMNS == ("split", "set", "subset", "partition")
