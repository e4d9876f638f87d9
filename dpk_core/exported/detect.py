"""Boxes from an exported detector: numpy, and Pillow to prepare pictures. `dpk export` writes this file beside the
networks, and nothing else of DPK Select is needed:

    import json, onnxruntime
    from PIL import Image
    from detect import detect, prepared

    def network(path):
        session = onnxruntime.InferenceSession(path)
        return lambda array: session.run(None, {session.get_inputs()[0].name: array})

    config = json.load(open("config.json"))
    regions = network("regions.onnx") if config["detector"]["kind"] == "fasterrcnn" else None
    picture = Image.open("picture.jpg")
    found = detect(network("model.onnx")(prepared(picture, config)), config, regions)
    found.on_picture(picture.width, picture.height, config)      # boxes in the picture's own pixels

Decoding of boxes, proposals, RoIAlign and non-maximum suppression follow torchvision's (BSD 3-Clause) definitions; the
export is written only where they gave the detector's own boxes.

Shapes: A anchors or candidate boxes, D detections, R regions, C channels or classes, H x W the canvas, S cells of a
region each way; boxes are left, top, right, bottom.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Network = Callable[[Array], Sequence[Array]]

LARGEST_STEP = math.log(1000 / 16)
"""Of a box's logarithmic size, against overflow."""


@dataclass(frozen=True)
class Detections:
    """Detections of one picture, the best first. `boxes_D4`: in pixels of the canvas. `classes_D`: 0 … C-1."""

    boxes_D4: Array
    classes_D: NDArray[np.int64]
    scores_D: Array

    def on_picture(self, width: int, height: int, config: Mapping[str, Any]) -> Detections:
        """The same in pixels of a picture of this size."""
        inner_height, inner_width = fitted_size(height, width, config["canvas"])
        scale_4 = np.array([inner_width / width, inner_height / height] * 2)
        boxes_D4 = np.clip(self.boxes_D4 / scale_4, 0, [width, height, width, height])
        return Detections(boxes_D4.astype(np.float32), self.classes_D, self.scores_D)


def fitted_size(height: int, width: int, canvas: Sequence[int]) -> tuple[int, int]:
    """Height and width of a picture once it is as large as the canvas (height, width) holds."""
    scale = min(canvas[0] / height, canvas[1] / width)
    inner_height, inner_width = max(1, round(height * scale)), max(1, round(width * scale))
    return min(canvas[0], inner_height), min(canvas[1], inner_width)


def prepared(picture: Any, config: Mapping[str, Any]) -> Array:
    """A Pillow picture, turned upright, at the top left of a black canvas, scaled for the network: 1 x 3 x H x W.

    What is transparent becomes white, and of 16 bits the upper 8 count, as in training.
    """
    from PIL import Image, ImageOps  # here, as who brings pixels of his own needs no Pillow

    upright = ImageOps.exif_transpose(picture)
    if upright.mode in ("I;16", "I;16L", "I;16B", "I;16N", "I"):
        upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
    elif upright.has_transparency_data:
        clear = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
    upright = upright.convert("RGB")
    height, width = config["canvas"]
    inner_height, inner_width = fitted_size(upright.height, upright.width, (height, width))
    whole_HWC = np.zeros((height, width, 3), np.float32)
    whole_HWC[:inner_height, :inner_width] = upright.resize((inner_width, inner_height), Image.Resampling.BILINEAR)
    scaled_HWC = (whole_HWC / 255 - np.array(config["mean"], np.float32)) / np.array(config["std"], np.float32)
    return np.ascontiguousarray(scaled_HWC.transpose(2, 0, 1)[None])


def detect(outputs: Sequence[Array], config: Mapping[str, Any], regions: Network | None = None) -> Detections:
    """Boxes of one picture from the outputs of `model.onnx`. `regions`: runs `regions.onnx` of a Faster R-CNN."""
    if config["detector"]["kind"] == "retinanet":
        return _of_anchors(outputs, config)
    if regions is None:
        raise ValueError("a Faster R-CNN needs the network regions.onnx too")
    return _of_regions(outputs, config, regions)


def _of_anchors(outputs: Sequence[Array], config: Mapping[str, Any]) -> Detections:
    """RetinaNet: of each level class scores (1 x A x C), then of each level box steps (1 x A x 4)."""
    wanted, canvas = config["detector"], config["canvas"]
    levels = len(wanted["anchors"])
    found: list[tuple[Array, NDArray[np.int64], Array]] = []
    for level, (logits_1AC, steps_1A4) in enumerate(zip(outputs[:levels], outputs[levels:], strict=True)):
        cells = len(wanted["anchors"][level])
        anchors_A4 = _anchors(wanted["anchors"][level], _grid(logits_1AC.shape[1] // cells, canvas), canvas)
        scores = _sigmoid(logits_1AC[0]).ravel()
        best = _best(np.flatnonzero(scores > wanted["least_score"]), scores, wanted["level_candidates"])
        place, classes = np.divmod(best, logits_1AC.shape[2])
        boxes = _decoded(steps_1A4[0][place], anchors_A4[place], wanted["box_weights"])
        found.append((_clipped(boxes, canvas), classes, scores[best]))
    boxes, classes, scores = (np.concatenate(each) for each in zip(*found, strict=True))
    kept = _without_overlaps(boxes, scores, classes, wanted["overlap"])[: wanted["detections"]]
    return Detections(boxes[kept], classes[kept], scores[kept])


def _of_regions(outputs: Sequence[Array], config: Mapping[str, Any], network: Network) -> Detections:
    """Faster R-CNN: maps of the pyramid's levels, then of each level (one more, pooled) how likely each anchor holds an
    object, then box steps."""
    wanted, canvas = config["detector"], config["canvas"]
    maps = outputs[: len(wanted["regions"]["levels"])]
    proposals_R4 = _proposals(outputs[len(maps) :], config)
    if not len(proposals_R4):
        return Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.float32))
    logits_RC, steps_R = network(_region_maps(maps, proposals_R4, wanted["regions"]))
    steps_RC4 = steps_R.reshape(len(proposals_R4), -1, 4)
    classes = steps_RC4.shape[1] - 1
    # Class 0 is the background.
    around = np.repeat(proposals_R4, classes, axis=0)
    boxes = _clipped(_decoded(steps_RC4[:, 1:].reshape(-1, 4), around, wanted["box_weights"]), canvas)
    scores = _softmax(logits_RC)[:, 1:].ravel()
    labels = np.tile(np.arange(classes), len(proposals_R4))
    possible = np.flatnonzero((scores > wanted["least_score"]) & _is_large(boxes, wanted["least_side"]))
    boxes, scores, labels = boxes[possible], scores[possible], labels[possible]
    kept = _without_overlaps(boxes, scores, labels, wanted["overlap"])[: wanted["detections"]]
    return Detections(boxes[kept], labels[kept], scores[kept])


def _proposals(outputs: Sequence[Array], config: Mapping[str, Any]) -> Array:
    """Where the region proposal network sees objects (R x 4)."""
    wanted, canvas = config["detector"], config["canvas"]
    chosen, levels = wanted["proposals"], len(wanted["anchors"])
    found: list[tuple[Array, Array, NDArray[np.int64]]] = []
    for level, (objects_1KHW, steps_1KHW) in enumerate(zip(outputs[:levels], outputs[levels:], strict=True)):
        kinds, height, width = objects_1KHW.shape[1:]
        objects_A = objects_1KHW[0].transpose(1, 2, 0).ravel()
        steps_A4 = steps_1KHW[0].reshape(kinds, 4, height, width).transpose(2, 3, 0, 1).reshape(-1, 4)
        best = _best(np.arange(len(objects_A)), objects_A, chosen["number"])
        anchors_A4 = _anchors(wanted["anchors"][level], (height, width), canvas)
        boxes = _decoded(steps_A4[best], anchors_A4[best], chosen["box_weights"])
        found.append((_clipped(boxes, canvas), _sigmoid(objects_A[best]), np.full(len(best), level)))
    boxes, scores, origin = (np.concatenate(each) for each in zip(*found, strict=True))
    large = _is_large(boxes, chosen["least_side"])
    boxes, scores, origin = boxes[large], scores[large], origin[large]
    return boxes[_without_overlaps(boxes, scores, origin, chosen["overlap"])[: chosen["number"]]]


def _region_maps(maps: Sequence[Array], boxes_R4: Array, wanted: Mapping[str, Any]) -> Array:
    """RoIAlign (He et al. 2017) of each box on the level that its size belongs to (Lin et al. 2017, equation 1):
    R x C x S x S."""
    first, last = wanted["levels"][0], wanted["levels"][-1]
    side_R = np.sqrt((boxes_R4[:, 2] - boxes_R4[:, 0]) * (boxes_R4[:, 3] - boxes_R4[:, 1]))
    level_R = np.floor(wanted["canonical_level"] + np.log2(side_R / wanted["canonical_side"]) + np.float32(1e-6))
    level_R = np.clip(level_R, first, last).astype(int)
    found = np.zeros((len(boxes_R4), maps[0].shape[1], wanted["side"], wanted["side"]), np.float32)
    for level in range(first, last + 1):
        here = np.flatnonzero(level_R == level)
        if len(here):
            scaled = boxes_R4[here] / np.float32(2**level)
            found[here] = _aligned(maps[level - first][0], scaled, wanted["side"], wanted["samples"])
    return found


def _aligned(map_CHW: Array, boxes_R4: Array, side: int, samples: int) -> Array:
    """Means of `samples` x `samples` bilinear values in each of `side` x `side` cells."""
    size_R2 = np.maximum(boxes_R4[:, 2:] - boxes_R4[:, :2], 1)
    steps = (np.arange(side * samples, dtype=np.float32) + np.float32(0.5)) / np.float32(side * samples)
    across_RP, down_RP = (boxes_R4[:, axis, None] + size_R2[:, axis, None] * steps for axis in (0, 1))
    (top, bottom, lower, in_rows), (left, right, further, in_columns) = (
        _neighbours(down_RP, map_CHW.shape[1]), _neighbours(across_RP, map_CHW.shape[2])
    )  # fmt: skip
    inside = in_rows[:, :, None] * in_columns[:, None, :]

    def at(rows_RP: NDArray[np.int64], columns_RP: NDArray[np.int64]) -> Array:
        return map_CHW[:, rows_RP[:, :, None], columns_RP[:, None, :]]

    lower, further = lower[:, :, None], further[:, None, :]
    above = at(top, left) * (1 - further) + at(top, right) * further
    below = at(bottom, left) * (1 - further) + at(bottom, right) * further
    values_CRPP = (above * (1 - lower) + below * lower) * inside
    cells = values_CRPP.reshape(len(map_CHW), len(boxes_R4), side, samples, side, samples).mean(axis=(3, 5))
    return np.ascontiguousarray(cells.transpose(1, 0, 2, 3), np.float32)


def _neighbours(at_RP: Array, length: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Array, Array]:
    """The two places that a coordinate lies between, how far it is beyond the first, and whether it is on the map."""
    inside = ((at_RP >= -1) & (at_RP <= length)).astype(np.float32)
    at_RP = np.clip(at_RP, 0, length - 1)
    first = np.floor(at_RP).astype(np.int64)
    return first, np.minimum(first + 1, length - 1), at_RP - first, inside


def _grid(cells: int, canvas: Sequence[int]) -> tuple[int, int]:
    """Height and width of a level with so many cells: the canvas halved until it has no more."""
    height, width = canvas[0], canvas[1]
    while height * width > cells:
        height, width = -(-height // 2), -(-width // 2)
    return height, width


def _anchors(around: Sequence[Sequence[float]], grid: tuple[int, int], canvas: Sequence[int]) -> Array:
    """The anchors of a level, cell by cell."""
    height, width = grid
    down, across = np.meshgrid(
        np.arange(height) * (canvas[0] // height), np.arange(width) * (canvas[1] // width), indexing="ij"
    )
    corners = np.stack([across, down, across, down], axis=-1).reshape(-1, 1, 4)
    anchors_A4: Array = (corners + np.array(around)).reshape(-1, 4).astype(np.float32)
    return anchors_A4


def _decoded(steps_A4: Array, around_A4: Array, weights: Sequence[float]) -> Array:
    """Boxes from steps away from anchors or proposals: of the middle in sizes, of the size in logarithms."""
    size_A2 = around_A4[:, 2:] - around_A4[:, :2]
    scaled_A4 = steps_A4 / np.array(weights, np.float32)
    middle_A2 = scaled_A4[:, :2] * size_A2 + around_A4[:, :2] + np.float32(0.5) * size_A2
    half_A2 = np.float32(0.5) * np.exp(np.minimum(scaled_A4[:, 2:], np.float32(LARGEST_STEP))) * size_A2
    return np.concatenate([middle_A2 - half_A2, middle_A2 + half_A2], axis=1)


def _clipped(boxes_A4: Array, canvas: Sequence[int]) -> Array:
    height, width = canvas
    return np.clip(boxes_A4, 0, np.array([width, height, width, height], np.float32))


def _is_large(boxes_A4: Array, least_side: float) -> NDArray[np.bool_]:
    sides_A2 = boxes_A4[:, 2:] - boxes_A4[:, :2]
    return np.asarray(sides_A2.min(axis=1) >= np.float32(least_side))


def _best(places: NDArray[np.int64], scores: Array, most: int) -> NDArray[np.int64]:
    """The places with the highest scores, the best first."""
    order: NDArray[np.int64] = np.argsort(-scores[places], kind="stable")
    return places[order[:most]]


def _without_overlaps(boxes_A4: Array, scores_A: Array, group_A: NDArray[np.int64], most: float) -> NDArray[np.int64]:
    """Non-maximum suppression in each group: the places that stay, the best first. One that overlaps a better one of
    its group by more than `most` (intersection over union) goes."""
    order = np.argsort(-scores_A, kind="stable")
    boxes_A4, group_A = boxes_A4[order], group_A[order]
    area_A = (boxes_A4[:, 2] - boxes_A4[:, 0]) * (boxes_A4[:, 3] - boxes_A4[:, 1])
    stays_A = np.ones(len(order), np.bool_)
    for place in range(len(order)):
        if stays_A[place]:
            rest = slice(place + 1, None)
            low, high = (
                np.maximum(boxes_A4[place, :2], boxes_A4[rest, :2]), np.minimum(boxes_A4[place, 2:], boxes_A4[rest, 2:])
            )  # fmt: skip
            common = np.maximum(high - low, 0).prod(axis=1)
            union = area_A[place] + area_A[rest] - common
            stays_A[rest] &= ~((common > np.float32(most) * union) & (group_A[rest] == group_A[place]))
    kept: NDArray[np.int64] = order[stays_A]
    return kept


def _sigmoid(values: Array) -> Array:
    return np.float32(1) / (np.float32(1) + np.exp(-values))


def _softmax(values_RC: Array) -> Array:
    raised = np.exp(values_RC - values_RC.max(axis=1, keepdims=True))
    scores_RC: Array = raised / raised.sum(axis=1, keepdims=True)
    return scores_RC
