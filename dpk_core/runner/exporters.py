"""Exported students in formats that need none of this project: torch.export programs and ONNX.

Each file is checked before it is kept: loaded again, it must give the student's own scores, for another number of
pictures than it was exported with.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dpk_core.errors import DataFault
from dpk_core.runner.student_folder import StudentFolder

EXPORT_BATCH, CHECK_BATCH = 2, 3
ABSOLUTE, RELATIVE = 1e-4, 1e-3
"""Scores may differ by ABSOLUTE + RELATIVE · |score|."""
OPSET = 18
INPUT, OUTPUT = "pictures", "scores"


def export_pt2(student: StudentFolder, target: Path) -> None:
    """Writes a program for `torch.export.load`. Raises DataFault where torch cannot export the network."""
    content = io.BytesIO()
    torch.export.save(_program(student), content)
    again = torch.export.load(io.BytesIO(content.getvalue())).module()  # our own file: nobody else has touched it
    _check(student, "pt2", lambda pictures_BCHW: again(pictures_BCHW))
    target.write_bytes(content.getvalue())


def export_onnx(student: StudentFolder, target: Path) -> None:
    """Writes a model for ONNX runtimes, weights inside. Raises DataFault where torch or ONNX cannot express the
    network."""
    import onnx  # here, as whoever exports no ONNX need not have it
    from onnx.reference import ReferenceEvaluator

    try:
        made = torch.onnx.export(
            _program(student), (), input_names=[INPUT], output_names=[OUTPUT], opset_version=OPSET, dynamo=True,
            verbose=False,
        )  # fmt: skip
        assert made is not None
        content = made.model_proto.SerializeToString()
        onnx.checker.check_model(content)
        evaluator: Any = ReferenceEvaluator(onnx.load_model_from_string(content))
    except Exception as error:  # whatever the exporter raises about an operator that it does not know
        raise _cannot(student, "ONNX", error) from None
    _check(
        student, "ONNX",
        lambda pictures_BCHW: torch.from_numpy(evaluator.run(None, {INPUT: pictures_BCHW.numpy()})[0].copy()),
    )  # fmt: skip
    target.write_bytes(content)


EXPORTERS: dict[str, Callable[[StudentFolder, Path], None]] = {"pt2": export_pt2, "onnx": export_onnx}
"""By ending of the file."""


def _program(student: StudentFolder) -> torch.export.ExportedProgram:
    """The student for any number of pictures."""
    shapes = ({0: torch.export.Dim("batch")},)
    try:
        return torch.export.export(student.model, (_pictures(student, EXPORT_BATCH),), dynamic_shapes=shapes)
    except Exception as error:  # whatever torch raises about a network that it cannot follow
        raise _cannot(student, "torch.export", error) from None


def _check(student: StudentFolder, kind: str, again: Callable[[Tensor], Tensor]) -> None:
    pictures_BCHW = _pictures(student, CHECK_BATCH)
    with torch.no_grad():
        own_BK = student.model(pictures_BCHW)
        try:
            found_BK = again(pictures_BCHW)
        except Exception as error:  # a file that holds for one batch only, or that no evaluator understands
            raise _cannot(student, kind, error) from None
    if found_BK.shape != own_BK.shape or not torch.allclose(found_BK, own_BK, rtol=RELATIVE, atol=ABSOLUTE):
        raise DataFault(
            f"{student.architecture} cannot be exported as {kind}: the file's scores differ from the student's by more "
            f"than {ABSOLUTE:g} + {RELATIVE:g} of each."
        )


def _pictures(student: StudentFolder, batch: int) -> Tensor:
    generator = torch.Generator().manual_seed(batch)
    return torch.randn(batch, student.channels, student.side, student.side, generator=generator)


def _cannot(student: StudentFolder, kind: str, error: Exception) -> DataFault:
    first = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return DataFault(f"{student.architecture} cannot be exported as {kind} ({first[:200]}).")
