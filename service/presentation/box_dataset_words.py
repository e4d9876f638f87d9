"""Words for the facts of a data set of boxes, for page and command alike. Knows the wire schemas only."""

from __future__ import annotations

from service.datasets.schemas import BoxDataset
from service.presentation.numbers import listed


def box_headline(found: BoxDataset) -> str:
    """What it is in a sentence."""
    refused = " No job trains on it." if found.refused else ""
    boxes = sum(each.train + each.validation + each.test for each in found.classes)
    classes = f"{len(found.classes)} class{'' if len(found.classes) == 1 else 'es'}"
    return (
        f"{found.name}: {found.train_pictures:,} training, {found.validation_pictures:,} validation and "
        f"{found.test_pictures:,} test pictures with {boxes:,} boxes of {classes}.{refused}"
    )


def box_facts(found: BoxDataset) -> list[tuple[str, str]]:
    """What is known besides findings, classes and sizes, each with its name."""
    held_out = "all three are on disk"
    if found.held_out:
        held_out = f"{listed(found.held_out)} taken out of another split, alike for every job"
    height, width = found.usual_size
    return [
        ("Splits", held_out),
        ("Usual size", f"{width} x {height} px (width x height)"),
        (
            "As detectors see them",
            f"fitted into {found.canvas.height} x {found.canvas.width} px (height x width) under recipe "
            f"{found.default_recipe}; recipe.detection.canvas sets another canvas",
        ),
        ("Recipe if none is named", found.default_recipe),
        ("Fingerprint", found.fingerprint),
    ]
