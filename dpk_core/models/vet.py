"""Checks an uploaded program or ONNX file and writes what is kept of it; a process of its own, as it may be hostile.

    python -m dpk_core.exported.check NAME IDENTITY UPLOAD TARGET

It gives away what it does not need before it opens the file: network, other processes, files to write, memory and time.
Its last line on standard output is JSON: `{"refused": …}`, `{"disk": [errno, message]}` where the target cannot be
written, or the document of the model (`own_models.OwnModel`).
"""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dpk_core.catalogue.own_models import OwnModel
from dpk_core.catalogue.parameters import WeightsCard
from dpk_core.codec import to_json
from dpk_core.errors import first_line
from dpk_core.exported.archive import Archive, Refused, open_archive
from dpk_core.exported.confinement import confine
from dpk_core.exported.graph import read_program
from dpk_core.exported.program import Leaf, Program
from dpk_core.exported.tensors import Stored
from dpk_core.models.describe import TRIED_SIDES, card_entry, listed_parameters, trainable
from dpk_core.models.exported import ExportedModel, packed

Read = tuple[Program, dict[str, Tensor], tuple[str, ...]]
"""A program, the numbers of its leaves, and what people must know of it."""

BATCHES = (2, 3)
"""Batches that a network is tried with: its scores must follow them."""


def is_onnx(file: Path) -> bool:
    """Whether a file begins as ONNX files do, with the field of their format's version."""
    with file.open("rb") as opened:
        return opened.read(1) == b"\x08"


def vet(name: str, identity: str, upload: Path) -> tuple[OwnModel, bytes]:
    """The document of an upload (its file is not named yet), and what is to be kept. Raises Refused, OSError."""
    from_onnx = is_onnx(upload)
    program, state, notes = _from_onnx(upload) if from_onnx else _from_archive(upload)
    model, side, classes = _running(program, state)
    if from_onnx:
        _check_pictures_apart(model, side)
    _check_gradients(model, side)
    entry = card_entry(model.eval(), side, classes, None)
    card: dict[str, Any] = {**entry, "channels": program.channels, "classes": None if program.head else classes}
    weights = WeightsCard(
        head={key: tuple(state[key].shape[1:]) for key in program.head},
        batch_norm=any(step.kind == "norm" for step in program.steps),
    )
    document = OwnModel(
        name=name, source="upload", identity=identity, card=card, weights=to_json(weights),
        parameters=listed_parameters(name, model), count=trainable(model, program.head), notes=notes,
    )  # fmt: skip
    return document, packed(program, state)


def _from_archive(upload: Path) -> Read:
    archive = open_archive(upload)
    with archive.file:
        program, stored = read_program(archive)
        state = {leaf.name: _tensor(archive, leaf, stored[leaf.name]) for leaf in program.leaves}
    return program, state, ()


def _from_onnx(upload: Path) -> Read:
    from dpk_core.exported.onnx_file import open_onnx
    from dpk_core.exported.onnx_graph import translate

    program, numbers, notes = translate(open_onnx(upload))
    state = {name: torch.from_numpy(np.array(each, order="C")) for name, each in numbers.items()}
    for name, tensor in state.items():
        _check_finite(name, tensor)
    return program, state, notes


def _tensor(archive: Archive, leaf: Leaf, stored: Stored) -> Tensor:
    """The leaf's numbers, contiguous; floating-point ones as float32. Raises Refused where weights are not finite."""
    numbers = archive.content(stored.path)
    flat = torch.frombuffer(bytearray(numbers), dtype=getattr(torch, stored.dtype)) if numbers else torch.empty(0)
    tensor = flat.as_strided(stored.shape, stored.strides).contiguous() if numbers else flat.reshape(stored.shape)
    tensor = tensor.float() if tensor.is_floating_point() else tensor
    if leaf.role != "constant":
        _check_finite(leaf.name, tensor)
    return tensor


def _check_finite(name: str, tensor: Tensor) -> None:
    if not torch.isfinite(tensor).all():
        raise Refused(f"its {name!r} holds numbers that are not finite")


def _running(program: Program, state: Mapping[str, Tensor]) -> tuple[ExportedModel, int, int]:
    """The network with its weights, a side of pictures that it takes, and its number of classes."""
    side = next((side for side in TRIED_SIDES if program.height.takes(side) and program.width.takes(side)), None)
    side = program.height.offset if side is None and program.height.factor == 0 else side
    if side is None or side < 1:
        raise Refused(f"it takes none of the usual sizes of pictures ({', '.join(map(str, sorted(TRIED_SIDES)))})")
    try:
        model = ExportedModel(program)
        model.take(state, "parameter", "buffer", "constant")
        model.eval()
        with torch.no_grad():
            shapes = [model(torch.zeros(batch, program.channels, side, side)).shape for batch in BATCHES]
    except MemoryError:
        raise
    except Exception as error:  # whatever torch raises about a graph that does not fit together
        raise Refused(f"it does not run on {side}x{side} pictures: {first_line(error)[:200]}") from None
    for batch, shape in zip(BATCHES, shapes, strict=True):
        if len(shape) != 2 or shape[0] != batch or shape[1] < 2:
            raise Refused(f"for {batch} pictures it gives {list(shape)}, and not a score for each of them and class")
    return model, side, int(shapes[0][1])


def _check_pictures_apart(model: ExportedModel, side: int) -> None:
    """The scores of a picture must not depend on those beside it: an ONNX file may state one batch and mean it."""
    pictures = torch.randn(3, model.picture_channels, side, side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        together, alone = model(pictures), torch.cat([model(each[None]) for each in pictures])
    if not torch.allclose(together, alone, rtol=1e-3, atol=1e-3):
        raise Refused("the scores of a picture in it depend on the other pictures of a batch; export it for any batch")


def _check_gradients(model: ExportedModel, side: int) -> None:
    """Every parameter must be trained: a graph may hold parts that no gradient reaches."""
    model.train()
    pictures = torch.randn(4, model.picture_channels, side, side, generator=torch.Generator().manual_seed(0))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    try:
        scores = model(pictures)
        F.cross_entropy(scores, torch.arange(len(scores)) % scores.shape[1]).backward()  # type: ignore[no-untyped-call]  # torch leaves it without annotations
    except MemoryError:
        raise
    except Exception as error:  # as above
        raise Refused(f"it cannot be trained: {first_line(error)[:200]}") from None
    for key, parameter in model.named_parameters():
        if parameter.grad is None:
            raise Refused(f"no gradient reaches its parameter {key!r}, so it would never be trained")
        parameter.grad = None
    model.load_state_dict(before)


def main(name: str, identity: str, upload: Path, target: Path) -> None:
    """Checks the file in confinement and writes the target."""
    if is_onnx(upload):
        import dpk_core.exported.onnx_graph  # noqa: F401 - while files may still be opened: a library of its own
    confine(upload.stat().st_size, target)
    answer: dict[str, Any]
    try:
        document, kept = vet(name, identity, upload)
        answer = _write(kept, target) or to_json(document)
    except Refused as reason:
        answer = {"refused": str(reason)}
    except MemoryError:
        answer = {"refused": "it needs more memory than a check is given"}
    sys.stdout.write(f"\n{json.dumps(answer)}\n")


def _write(kept: bytes, target: Path) -> dict[str, Any] | None:
    """Writes the target; what is to be answered where that fails."""
    try:
        target.write_bytes(kept)
    except OSError as error:
        if error.errno == errno.EFBIG:  # a limit of `confine`
            return {"refused": "its checked program is larger than a check may write"}
        return {"disk": [error.errno, error.strerror]}
    return None


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
