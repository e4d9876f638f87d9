"""Sentences about what a teacher's weights take and give."""

from __future__ import annotations

from collections.abc import Iterator

from dpk_core.preprocessing import joined
from service.scheduling.plan import Preparation


def input_notices(preparation: Preparation, picture_side: int) -> Iterator[tuple[str, bool]]:
    """How pictures are prepared for the weights, and how their classes were matched; with whether it is a warning.

    What is not known is noticed by the run, which also measures it. `picture_side`: of the data set's pictures.
    """
    own = preparation.preprocessing
    if own is not None and own.mean is not None and own.std is not None:
        scaled = f"mean {joined(own.mean)} and deviation {joined(own.std)}"
        scaled += "" if own.scale == 1 else f" of 0 … {own.scale:g}"
        order = ", channels as BGR" if own.channel_order == "bgr" else ""
        yield f"Pictures are scaled for this teacher by {scaled}{order}, as {preparation.stated_by} says.", False
    if own is not None and own.side not in (None, picture_side):
        yield (
            f"Pictures are resized for this teacher from {picture_side} to {own.side} px ({own.interpolation}), as "
            f"{preparation.stated_by} says; size={picture_side} leaves them as they are.",
            False,
        )
    if preparation.kind == "head":
        return
    if preparation.classes_by == "name":
        yield "The classes of these weights were matched with those of the data by name.", False
    elif preparation.classes_by == "request":
        yield "The classes of these weights were matched with those of the data as class_map says.", False
    elif preparation.lacks is not None:
        yield (
            f"The names of these weights' classes are not those of the data ({preparation.lacks!r} is not among them), "
            "so classes were matched by number; class_map says otherwise.",
            True,
        )
