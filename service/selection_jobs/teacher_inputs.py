"""What a teacher's weights take and give: how pictures are prepared for them and which of their classes is which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dpk_core.catalogue.datasets import DatasetCard
from dpk_core.catalogue.side_cars import preprocessing_of
from dpk_core.catalogue.weight_names import RANDOM
from dpk_core.catalogue.weights import FoundWeights
from dpk_core.errors import InvalidRequest
from dpk_core.preprocessing import AS_DATA, ModelPreprocessing
from service.scheduling.states import ClassesBy
from service.wire.choices import PreprocessingChoice, TeacherChoice

REQUEST = "the request"


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherInput:
    """`source`: who says how pictures are prepared; empty where nobody does. `class_map`: as in `TrainingSpec`.
    `lacks`: a class of the data that is none of the weights', where names are known and do not agree."""

    preprocessing: ModelPreprocessing | None = None
    source: str = ""
    class_map: tuple[int, ...] | None = None
    classes_by: ClassesBy = "number"
    lacks: str | None = None

    def side(self, data: DatasetCard) -> int:
        """Of the pictures that the teacher sees."""
        return (self.preprocessing or AS_DATA).side or data.side

    def channels(self, data: DatasetCard) -> int:
        """Of the pictures that the teacher sees."""
        return (self.preprocessing or AS_DATA).channels(data.channels)


PLAIN = TeacherInput()


def teacher_input(
    choice: TeacherChoice, found: FoundWeights | None, data: DatasetCard, names: Callable[[], Sequence[str]], field: str
) -> TeacherInput:
    """What the request says, before what is stated of the weights. `names`: gives those of the data's classes.

    Raises InvalidRequest on the field below `field` that cannot be.
    """
    if choice.weights == RANDOM:
        for name in ("preprocessing", "class_map"):
            if getattr(choice, name) is not None:
                message = f"{choice.model} is trained from random weights on pictures as they are; name its weights."
                raise InvalidRequest(f"{field}.{name}", message)
    if found is None:
        return PLAIN
    stated = found.stated
    known, source = stated.preprocessing, stated.source if stated.preprocessing else ""
    if choice.preprocessing is not None:
        known, source = asked_preprocessing(choice.preprocessing, known or AS_DATA, f"{field}.preprocessing"), REQUEST
    mapped = TeacherInput(preprocessing=known, source=source)
    if choice.class_map is not None:
        check_map(choice.class_map, found.made_for.classes, data, f"{field}.class_map")
        mapped = replace(mapped, class_map=choice.class_map, classes_by="request")
    elif stated.classes is not None and len(stated.classes) == found.made_for.classes:
        mapped = _by_name(mapped, stated.classes, names())
    return _measured(choice, found, data, mapped, field)


def asked_preprocessing(choice: PreprocessingChoice, known: ModelPreprocessing, field: str) -> ModelPreprocessing:
    """What is known, with what is asked for in its place; mean, std and scale belong together."""
    given: dict[str, Any] = {}
    for name, own in (("size", "side"), ("interpolation", "interpolation"), ("channel_order", "channel_order")):
        if getattr(choice, name) is not None:
            given[own] = getattr(choice, name)
    try:
        scaled = preprocessing_of(mean=_numbers(choice.mean), std=_numbers(choice.std), scale=choice.scale)
        if scaled is not None and choice.scaling is not None:
            raise ValueError("scaling is either given or measured")
        if scaled is not None:
            given |= {"mean": scaled.mean, "std": scaled.std, "scale": scaled.scale, "measured": False}
        elif choice.scaling is not None:
            given |= {"mean": None, "std": None, "scale": 1.0, "measured": choice.scaling == "measured"}
        return replace(known, **given)
    except ValueError as error:
        message = str(error)
        raise InvalidRequest(f"{field}.{message.partition(' ')[0]}", f"{message}.") from None


def _numbers(value: float | tuple[float, ...] | None) -> tuple[float, ...] | None:
    return (value,) if isinstance(value, int | float) else value


def check_map(order: Sequence[int], classes: int, data: DatasetCard, field: str) -> None:
    """Raises InvalidRequest for a map that does not name one class of the weights for each class of the data, no two
    alike."""
    if len(order) != data.classes:
        message = f"{data.name} has {data.classes} classes, and this names {len(order)}: one for each, in their order."
        raise InvalidRequest(field, message)
    wrong = [each for each in order if not 0 <= each < classes]
    if wrong:
        raise InvalidRequest(field, f"The weights have classes 0 … {classes - 1}, not {wrong[0]}.")
    twice, named = Counter(order).most_common(1)[0]
    if named > 1:
        raise InvalidRequest(field, f"Class {twice} of the weights is named twice.")


def _by_name(mapped: TeacherInput, theirs: Sequence[str], ours: Sequence[str]) -> TeacherInput:
    """Every class of the data as the one of the weights that is called so; names that occur twice match nothing."""
    places: dict[str, list[int]] = {}
    for place, name in enumerate(theirs):
        places.setdefault(_plain(name), []).append(place)
    found = [places.get(_plain(name), []) for name in ours]
    lacks = next((name for name, at in zip(ours, found, strict=True) if len(at) != 1), None)
    if lacks is not None:
        return replace(mapped, lacks=lacks)
    order = tuple(at[0] for at in found)
    if len(set(order)) != len(order):
        return mapped
    same = order == tuple(range(len(theirs)))
    return replace(mapped, classes_by="name", class_map=None if same else order)


def _plain(name: str) -> str:
    return name.strip().casefold().replace("_", " ").replace("-", " ")


def _measured(
    choice: TeacherChoice, found: FoundWeights, data: DatasetCard, mapped: TeacherInput, field: str
) -> TeacherInput:
    """A scaling that nobody knows is measured, unless the data set's own is asked for; it can be measured only by the
    scores of the weights alone."""
    known = mapped.preprocessing or AS_DATA
    fits = mapped.class_map is not None or found.made_for.classes == data.classes
    if choice.preparation in ("auto", "as_is") and fits:
        asked = choice.preprocessing is not None and choice.preprocessing.scaling is not None
        return (
            mapped if asked or known.mean is not None else replace(mapped, preprocessing=replace(known, measured=True))
        )
    if known.measured:
        message = "A scaling can only be measured of weights that are taken as they are; give mean and std."
        raise InvalidRequest(f"{field}.preprocessing.scaling", message)
    return mapped
