"""Exported students in formats that need none of this project: torch.export programs and ONNX.

Each file is checked before it is kept: loaded again, it must give the student's own outputs, for another number of
pictures than it was exported with. Of a detector the networks are written, and `detect.py` beside them, which must make
the detector's own boxes of their outputs.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dpk_core.errors import DataFault, first_line
from dpk_core.exported import detect
from dpk_core.runner.student_folder import StudentFolder

EXPORT_BATCH, CHECK_BATCH = 2, 3
ABSOLUTE, RELATIVE = 1e-4, 1e-3
"""Outputs may differ by ABSOLUTE + RELATIVE · |output|."""
PIXELS, SAME_BOXES = 0.05, 0.95
"""Boxes are the same to PIXELS, and SAME_BOXES of them must be: of two scores that are equal but for rounding, either
may come first."""
OPSET = 18
MODEL, REGIONS, DETECT = "model", "regions", "detect.py"

Run = Callable[[Tensor], Sequence[Tensor]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedNetwork:
    """A network of a student that becomes a file `<name>.<format>`. `shape`: of its input but for the batch."""

    name: str
    network: nn.Module
    input: str
    outputs: tuple[str, ...]
    shape: tuple[int, ...]

    def example(self, batch: int) -> Tensor:
        """Random numbers of the input's shape."""
        return torch.randn(batch, *self.shape, generator=torch.Generator().manual_seed(batch))

    def __call__(self, given: Tensor) -> Sequence[Tensor]:
        """What the student itself gives."""
        with torch.no_grad():
            found = self.network(given)
        return (found,) if isinstance(found, Tensor) else found


def export(student: StudentFolder, folder: Path, kind: str) -> list[str]:
    """Writes a student in a format of `FORMATS`; the names of the files. Raises DataFault, with nothing written, where
    the network cannot be expressed in it."""
    made: dict[str, bytes] = {}
    for part in _parts(student):
        try:
            made[f"{part.name}.{kind}"], again = FORMATS[kind](part)
        except Exception as error:  # whatever torch and ONNX raise about a network that they cannot follow
            raise _cannot(student, kind, error) from None
        _check(student, kind, part, again)
    if student.detector is not None:
        _check_boxes(student)
        made[DETECT] = Path(detect.__file__).read_bytes()
    for name, content in made.items():
        (folder / name).write_bytes(content)
    return list(made)


def _pt2(part: ExportedNetwork) -> tuple[bytes, Run]:
    """A program for `torch.export.load`."""
    content = io.BytesIO()
    torch.export.save(_program(part), content)
    again = torch.export.load(io.BytesIO(content.getvalue())).module()  # our own file: nobody else has touched it

    def run(given: Tensor) -> Sequence[Tensor]:
        with torch.no_grad():
            found = again(given)
        return (found,) if isinstance(found, Tensor) else found

    return content.getvalue(), run


def _onnx(part: ExportedNetwork) -> tuple[bytes, Run]:
    """A model for ONNX runtimes, weights inside."""
    import onnx  # here, as whoever exports no ONNX need not have it
    from onnx.reference import ReferenceEvaluator

    made = torch.onnx.export(
        _program(part), (), input_names=[part.input], output_names=list(part.outputs), opset_version=OPSET,
        dynamo=True, verbose=False,
    )  # fmt: skip
    assert made is not None
    content = made.model_proto.SerializeToString()
    onnx.checker.check_model(content)
    evaluator: Any = ReferenceEvaluator(onnx.load_model_from_string(content))

    def run(given: Tensor) -> Sequence[Tensor]:
        return [torch.from_numpy(each.copy()) for each in evaluator.run(None, {part.input: given.numpy()})]

    return content, run


FORMATS: dict[str, Callable[[ExportedNetwork], tuple[bytes, Run]]] = {"pt2": _pt2, "onnx": _onnx}
"""By ending of the file: its content, and how it is run again."""


def _parts(student: StudentFolder) -> list[ExportedNetwork]:
    pictures = (student.channels, student.height, student.width)
    if student.detector is None:
        return [
            ExportedNetwork(name=MODEL, network=student.model, input="pictures", outputs=("scores",), shape=pictures)
        ]
    from dpk_core.detection.networks import Regions, Trunk  # here, as torchvision takes longer to import than torch

    trunk, wanted = Trunk(student.model).eval(), student.detector
    parts = [ExportedNetwork(name=MODEL, network=trunk, input="pictures", outputs=tuple(trunk.outputs), shape=pictures)]
    if trunk.has_regions:
        network = Regions(student.model).eval()
        shape = (wanted.channels, wanted.region_side, wanted.region_side)
        parts.append(
            ExportedNetwork(name=REGIONS, network=network, input="regions", outputs=Regions.outputs, shape=shape)
        )
    return parts


def _program(part: ExportedNetwork) -> torch.export.ExportedProgram:
    """The network for any number of pictures, or regions."""
    shapes = ({0: torch.export.Dim("batch")},)
    return torch.export.export(part.network, (part.example(EXPORT_BATCH),), dynamic_shapes=shapes)


def _check(student: StudentFolder, kind: str, part: ExportedNetwork, again: Run) -> None:
    given = part.example(CHECK_BATCH)
    own = part(given)
    try:
        found = again(given)
    except Exception as error:  # a file that holds for one batch only, or that no evaluator understands
        raise _cannot(student, kind, error) from None
    for name, mine, other in zip(part.outputs, own, found, strict=True):
        if mine.shape != other.shape or not torch.allclose(mine, other, rtol=RELATIVE, atol=ABSOLUTE):
            raise DataFault(
                f"{student.architecture} cannot be exported as {kind}: the file's {name} differ from the student's by "
                f"more than {ABSOLUTE:g} + {RELATIVE:g} of each."
            )


def _check_boxes(student: StudentFolder) -> None:
    """`detect.py` makes the detector's own boxes of what its networks give, also of those with low scores.

    Its networks see random maps, on which no two scores are alike: what is chosen first of two equal ones is chance.
    """
    model: Any = student.model
    trunk, *others = _parts(student)
    scoring = model.roi_heads if others else model
    config = {**student.config, "detector": {**student.config["detector"], "least_score": 0.0}}

    def regions(given: detect.Array) -> Sequence[detect.Array]:
        return [each.numpy() for each in others[0](torch.from_numpy(given))]

    hook = model.backbone.register_forward_hook(_random_maps)
    threshold, scoring.score_thresh = scoring.score_thresh, 0.0
    try:
        with torch.no_grad():
            (own,) = model(trunk.example(1))
        outputs = [each.numpy() for each in trunk(trunk.example(1))]
    finally:
        scoring.score_thresh = threshold
        hook.remove()
    if _found_again(own, detect.detect(outputs, config, regions if others else None), len(others)) < SAME_BOXES:
        raise DataFault(f"{student.architecture} cannot be exported: {DETECT} does not give the detector's own boxes.")


def _random_maps(_: nn.Module, __: object, maps: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(each.shape, generator=generator) for name, each in maps.items()}


def _found_again(own: Mapping[str, Tensor], found: detect.Detections, first_class: int) -> float:
    """Part of the detector's boxes that have their like among others; where their numbers differ, of the larger."""
    most = max(len(own["scores"]), len(found.scores_D))
    if not most:
        return 1.0
    boxes_D4, scores_D, classes_D = (
        torch.from_numpy(each) for each in (found.boxes_D4, found.scores_D, found.classes_D)
    )
    alike = (own["boxes"][:, None] - boxes_D4).abs().amax(2) < PIXELS
    alike &= (own["scores"][:, None] - scores_D).abs() < ABSOLUTE + RELATIVE * scores_D
    alike &= own["labels"][:, None] - first_class == classes_D
    return int(alike.any(1).sum()) / most


def _cannot(student: StudentFolder, kind: str, error: Exception) -> DataFault:
    return DataFault(f"{student.architecture} cannot be exported as {kind} ({first_line(error)[:200]}).")
