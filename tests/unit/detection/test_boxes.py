"""Boxes follow their pictures: a painted rectangle stays in its box, whatever is done to both."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from dpk_core.data.box_augment import augment_boxes
from dpk_core.data.boxes import NO_BOX, BoxTargets, box_targets, cropped, fitted_size, from_canvas, mirrored, to_canvas
from dpk_core.data.canvas_reading import read_on_canvas, read_picture
from dpk_core.data.rows import BatchRows
from dpk_core.detection_settings import BoxAugmentation, Canvas
from dpk_core.errors import DataFault
from tests.unit.detection.made_up import made_up_split

CANVAS = Canvas(height=48, width=40)
Box = tuple[int, int, int, int]

sizes = st.integers(8, 90)
quick = settings(max_examples=60, deadline=None, derandomize=True)


@st.composite
def box_in(draw: Callable[..., int], height: int, width: int, least: int = 3) -> Box:
    """Whole pixels, at least `least` of them each way."""
    left, top = draw(st.integers(0, width - least)), draw(st.integers(0, height - least))
    return left, top, draw(st.integers(left + least, width)), draw(st.integers(top + least, height))


def painted(height: int, width: int, box: Box) -> NDArray[np.uint8]:
    pixels = np.zeros((height, width, 3), np.uint8)
    left, top, right, bottom = box
    pixels[top:bottom, left:right] = 255
    return pixels


def extent(pixels_CHW: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The box around what is brighter than half."""
    rows, columns = np.nonzero(pixels_CHW[0] > 100)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], float)


def targets(*boxes: Box, fill: int = 0) -> BoxTargets:
    """One picture's."""
    numbers = torch.tensor([[*boxes, *[(0, 0, 0, 0)] * fill]], dtype=torch.float32)
    labels = torch.tensor([[*range(len(boxes)), *[NO_BOX] * fill]])
    return BoxTargets(boxes_BM4=numbers, labels_BM=labels, crowd_BM=torch.zeros_like(labels, dtype=torch.bool))


def png(pixels: NDArray[np.uint8], orientation: int = 1) -> bytes:
    mark = Image.Exif()
    mark[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", exif=mark)
    return file.getvalue()


class TestLetterbox:
    @quick
    @given(st.data(), sizes, sizes)
    def test_boxes_follow_and_come_back(self, data: st.DataObject, height: int, width: int) -> None:
        box = data.draw(box_in(height, width))
        boxes_14 = np.array([box], float)
        found = read_on_canvas("a.png", png(painted(height, width, box)), height, width, CANVAS)
        on_canvas = to_canvas(boxes_14, height, width, CANVAS)
        if (on_canvas[0, 2:] - on_canvas[0, :2] >= 2).all():
            assert extent(found) == pytest.approx(on_canvas[0], abs=1.01)
        assert from_canvas(on_canvas, height, width, CANVAS) == pytest.approx(boxes_14)

    @quick
    @given(sizes, sizes)
    def test_it_fills_the_canvas_one_way(self, height: int, width: int) -> None:
        inner = fitted_size(height, width, CANVAS)
        assert inner[0] == CANVAS.height or inner[1] == CANVAS.width
        assert inner[0] <= CANVAS.height
        assert inner[1] <= CANVAS.width
        assert abs(inner[0] / inner[1] - height / width) <= 0.5 / inner[1] * (1 + height / width)

    def test_boxes_are_cut_to_the_picture(self) -> None:
        beyond_14 = np.array([[-5.0, -5, 500, 500]])
        assert to_canvas(beyond_14, 24, 40, CANVAS).tolist() == [[0, 0, 40, 24]]
        assert from_canvas(beyond_14, 24, 40, CANVAS).tolist() == [[0, 0, 40, 24]]


class TestExif:
    @quick
    @given(st.data(), st.integers(1, 8), st.booleans())
    def test_boxes_of_the_upright_or_the_stored_picture(
        self, data: st.DataObject, orientation: int, of_the_stored: bool
    ) -> None:
        height, width = 30, 44
        sideways = orientation >= 5
        stored = painted(height, width, data.draw(box_in(height, width, 6)))
        content = png(stored, orientation)
        with Image.open(io.BytesIO(content)) as opened:
            upright = np.asarray(ImageOps.exif_transpose(opened))
        # The sizes of both are the same where the picture is not turned sideways: then it is the upright one.
        frame = stored if of_the_stored and sideways else upright
        box_14 = extent(frame.transpose(2, 0, 1))[None]
        found = read_on_canvas("a.png", content, *frame.shape[:2], CANVAS)
        assert extent(found) == pytest.approx(to_canvas(box_14, *frame.shape[:2], CANVAS)[0], abs=1.01)

    def test_another_size_is_refused(self) -> None:
        with pytest.raises(DataFault, match=r"a.png is 9 x 8 px, and its annotations are of 9 x 7 px"):
            read_on_canvas("a.png", png(painted(8, 9, (0, 0, 3, 3))), 7, 9, CANVAS)

    def test_a_large_jpeg_is_read_at_a_fraction_of_its_size(self) -> None:
        file = io.BytesIO()
        Image.fromarray(painted(1200, 1000, (100, 200, 500, 900))).save(file, "JPEG")
        found = read_on_canvas("a.jpg", file.getvalue(), 1200, 1000, CANVAS)
        expected = to_canvas(np.array([[100.0, 200, 500, 900]]), 1200, 1000, CANVAS)[0]
        assert extent(found) == pytest.approx(expected, abs=1.01)


class TestAugmentation:
    @quick
    @given(st.data(), st.integers(0, 2**31), st.floats(0, 1), st.floats(0, 1), st.floats(1, 1.6))
    def test_boxes_follow(self, data: st.DataObject, seed: int, flip: float, upright_flip: float, zoom: float) -> None:
        box = data.draw(box_in(CANVAS.height, CANVAS.width, 8))
        chosen = BoxAugmentation(flip=flip, upright_flip=upright_flip, zoom=zoom)
        pictures = torch.from_numpy(painted(CANVAS.height, CANVAS.width, box).transpose(2, 0, 1)[None].copy())
        seen, found = augment_boxes(chosen, pictures, targets(box, fill=1), torch.Generator().manual_seed(seed))
        assert found.labels_BM[0, 1] == NO_BOX
        if found.labels_BM[0, 0] == NO_BOX:
            assert (found.boxes_BM4 == 0).all()
            assert zoom > 1
            return
        left, top, right, bottom = found.boxes_BM4[0, 0].tolist()
        assert 0 <= left < right <= CANVAS.width
        assert 0 <= top < bottom <= CANVAS.height
        if right - left >= 2 and bottom - top >= 2:
            assert extent(seen[0].numpy()) == pytest.approx([left, top, right, bottom], abs=1.3)

    def test_a_box_without_an_area_is_none(self) -> None:
        """Rounding may leave none: at the far edge of a canvas, or where a window cuts a sliver off."""
        thin = replace(targets((10, 5, 20, 15)), boxes_BM4=torch.tensor([[[1e-7, 5.0, 2e-7, 15.0]]]))
        assert mirrored(thin, torch.tensor([True]), 40).labels_BM.tolist() == [[NO_BOX]]
        flat = replace(thin, boxes_BM4=torch.tensor([[[5.0, 5, 5, 15]]]))
        assert cropped(flat, torch.tensor([[0.0, 0, 20, 24]]), CANVAS).labels_BM.tolist() == [[NO_BOX]]
        split = made_up_split(1, 4, 1)
        split.boxes_M4[0, 2] = split.boxes_M4[0, 0]
        found = box_targets(split, range(4), CANVAS)
        assert int(found.present_BM.sum()) == len(split.boxes_M4) - 1

    def test_a_box_of_which_a_quarter_stays_is_kept(self) -> None:
        windows_14 = torch.tensor([[20.0, 0, 20, 24]])
        found = cropped(targets((0, 0, 26, 10), (0, 0, 27, 10), (12, 0, 22, 10)), windows_14, CANVAS)
        # Of the three boxes 6 of 26, 7 of 27 and 2 of 10 columns stay.
        assert found.labels_BM.tolist() == [[NO_BOX, 1, NO_BOX]]
        assert found.boxes_BM4[0, 1].tolist() == [0, 0, 14, 20]

    def test_nothing_is_done_without_settings(self) -> None:
        pictures = torch.randint(0, 256, (2, 3, 12, 10), dtype=torch.uint8)
        given_targets = BoxTargets(
            boxes_BM4=torch.tensor([[[1.0, 2, 5, 6]], [[0.0, 0, 3, 3]]]), labels_BM=torch.tensor([[0], [1]]),
            crowd_BM=torch.tensor([[True], [False]]),
        )  # fmt: skip
        nothing = BoxAugmentation(flip=0, zoom=1, colour=0)
        seen, found = augment_boxes(nothing, pictures, given_targets, torch.Generator().manual_seed(0))
        assert torch.equal(seen, pictures)
        assert torch.equal(found.boxes_BM4, given_targets.boxes_BM4)
        assert torch.equal(found.crowd_BM, given_targets.crowd_BM)

    def test_colour_changes_brightness_by_a_tenth_and_moves_no_box(self) -> None:
        pictures = torch.full((64, 3, 4, 4), 100, dtype=torch.uint8)
        many = targets((0, 0, 2, 2))[torch.zeros(64, dtype=torch.long)]
        coloured = BoxAugmentation(flip=0, zoom=1, colour=0.1)
        seen, found = augment_boxes(coloured, pictures, many, torch.Generator().manual_seed(1))
        assert 88 <= seen.min() < 93
        assert 107 < seen.max() <= 112
        assert torch.equal(found.boxes_BM4, many.boxes_BM4)

    def test_a_rank_sees_its_pictures_as_if_it_saw_all(self) -> None:
        pictures = torch.randint(0, 256, (4, 3, 12, 10), dtype=torch.uint8)
        many = targets((1, 2, 9, 9))[torch.zeros(4, dtype=torch.long)]
        whole, boxes = augment_boxes(BoxAugmentation(), pictures, many, torch.Generator().manual_seed(5))
        places = torch.tensor([1, 3])
        part, own = augment_boxes(
            BoxAugmentation(), pictures[places], many[places], torch.Generator().manual_seed(5),
            BatchRows(4, places),
        )  # fmt: skip
        assert torch.equal(part, whole[places])
        assert torch.equal(own.boxes_BM4, boxes.boxes_BM4[places])

    @pytest.mark.parametrize(
        "wrong", [{"flip": 2}, {"upright_flip": -1}, {"zoom": 0.5}, {"zoom": 1e9}, {"colour": 1.0}]
    )
    def test_settings_that_mean_nothing(self, wrong: dict[str, float]) -> None:
        with pytest.raises(ValueError, match=next(iter(wrong))):
            BoxAugmentation(**wrong)


def test_a_picture_of_a_split_is_read(tmp_path: Path) -> None:
    split = made_up_split(1, 3, 1)
    boxes: list[Box] = [(10, 20, 200, 100), (0, 0, 300, 200), (100, 10, 320, 240)]
    for picture, box in enumerate(boxes):
        (tmp_path / split.name(picture)).write_bytes(png(painted(240, 320, box)))
    for picture, box in enumerate(boxes):
        pixels = read_picture(tmp_path, split, picture, CANVAS)
        assert pixels.shape == (3, CANVAS.height, CANVAS.width)
        assert extent(pixels) == pytest.approx(to_canvas(np.array([box], float), 240, 320, CANVAS)[0], abs=1.01)
    (tmp_path / "1.png").unlink()
    with pytest.raises(DataFault, match=r"1.png cannot be read: No such file"):
        read_picture(tmp_path, split, 1, CANVAS)
