"""Which files are pictures: every ending that is listed decodes, the others are counted, and refused beyond a few."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dpk_core.catalogue import headers
from dpk_core.catalogue.datasets import dataset_card
from dpk_core.catalogue.formats import ENDINGS, FORMATS, ending
from dpk_core.data.decode import decode
from dpk_core.errors import DataFault
from tests.unit.catalogue.picture_sets import encoded, notes, pixels, rule, write_folder


def test_the_endings_are_those_of_pillow() -> None:
    Image.init()
    registered = Image.registered_extensions()
    assert {kind: {end for end, of in registered.items() if of == kind} for kind in FORMATS} == {
        kind: set(endings) for kind, endings in FORMATS.items()
    }
    assert tuple(FORMATS) == headers.READABLE


@pytest.mark.parametrize(("name", "expected"), [("a.b.JPG", ".jpg"), (".png", ""), ("a", ""), ("a.", ".")])
def test_ending(name: str, expected: str) -> None:
    assert ending(name) == expected


GREY, COLOUR = pixels(0, channels=1), pixels(0)
SMOOTH = (np.mgrid[:12, :12].sum(0) * 2900).astype(np.uint16)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *((kind, "RGB") for kind in FORMATS), *((kind, "L") for kind in FORMATS),
        ("PNG", "P"), ("GIF", "P"), ("TIFF", "P"), ("BMP", "P"),
        ("JPEG", "CMYK"), ("TIFF", "CMYK"), ("JPEG2000", "CMYK"),
        ("PNG", "1"), ("PPM", "1"), ("TIFF", "1"), ("PNG", "LA"), ("PNG", "RGBA"), ("WEBP", "RGBA"), ("AVIF", "RGBA"),
    ],
)  # fmt: skip
def test_every_format_and_kind_of_pixels_decodes(kind: str, mode: str) -> None:
    """To what Pillow makes of the file itself: formats lose more or less."""
    buffer = io.BytesIO()
    Image.fromarray(COLOUR).convert(mode).save(buffer, kind)
    header = headers.check_header("x", buffer)
    assert (header.width, header.height) == (12, 12)
    expected = np.asarray(Image.open(buffer).convert("RGB")).transpose(2, 0, 1)
    assert np.array_equal(decode("x", buffer.getvalue(), rule(3, 12)), expected)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM", "JPEG2000"])
def test_of_16_bits_the_upper_8_are_read(kind: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(SMOOTH).save(buffer, kind)
    found = decode("x", buffer.getvalue(), rule(1, 12))
    assert np.abs(found[0].astype(int) - (SMOOTH >> 8)).max() <= 1


def test_deep_pictures_are_grey_and_noted(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, channels=1)
    Image.fromarray(SMOOTH).save(folder / "train" / "ant" / "000.png")
    card = dataset_card("folder/made", tmp_path, "dataset")
    assert (card.channels, notes(card)) == (1, ("Of grey pictures with 16 bits the upper 8 bits are read.",))


def test_of_an_animation_the_first_picture_is_read() -> None:
    buffer = io.BytesIO()
    first, *rest = (Image.fromarray(pixels(seed, channels=1)) for seed in range(3))
    first.save(buffer, "GIF", save_all=True, append_images=rest)
    assert np.array_equal(decode("x", buffer.getvalue(), rule(1, 12))[0], GREY)


@pytest.mark.parametrize(
    "content", [b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"8BPS\0\1", b"BM", b"\0" * 99]
)
def test_other_formats_are_not_even_tried(tmp_path: Path, content: bytes) -> None:
    folder = write_folder(tmp_path)
    (folder / "train" / "ant" / "000.png").write_bytes(content)
    with pytest.raises(DataFault, match=r"made/train/ant/000\.png cannot be read as a picture"):
        dataset_card("folder/made", tmp_path, "dataset")


def test_every_ending_is_listed_in_lower_and_upper_case(tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    for place, end in enumerate([*sorted(ENDINGS), ".PNG", ".Jpg"]):
        member = folder / "train" / ("ant", "bee", "cat")[place % 3]
        (member / f"{place // 3:03}.png").rename(member / f"{place // 3:03}{end}")
    card = dataset_card("folder/made", tmp_path, "dataset")
    assert (card.train_pictures + card.validation_pictures + card.test_pictures, notes(card)) == (30, ())


def rename(folder: Path, count: int, to: str) -> None:
    """Renames the last pictures of the class ant."""
    for path in sorted((folder / "train" / "ant").iterdir())[-count:]:
        path.rename(path.with_name(to.format(path.stem)))


class TestLeftOut:
    @pytest.mark.parametrize("count", [2, 19])
    def test_beyond_a_few_the_data_set_is_refused(self, tmp_path: Path, count: int) -> None:
        folder = write_folder(tmp_path, counts={"train": 20})
        rename(folder, count, "{}.xyz")
        with pytest.raises(
            DataFault,
            match=rf"made: too many files would be left out: {count} of 20 files in train/ant end in \.xyz, e\.g\. 0",
        ):
            dataset_card("folder/made", tmp_path, "dataset")

    def test_a_few_are_noted(self, tmp_path: Path) -> None:
        folder = write_folder(tmp_path, counts={"train": 40})
        rename(folder, 1, "{}.xyz")
        assert notes(dataset_card("folder/made", tmp_path, "dataset")) == (
            "Left out: 1 file ends in .xyz, e.g. train/ant/039.xyz.",
        )

    def test_clutter_is_no_reason_to_refuse(self, tmp_path: Path) -> None:
        folder = write_folder(tmp_path)
        for name in ("Thumbs.db", ".DS_Store", "desktop.ini", "a.txt", "b.json", "c.csv", "d.xml"):
            for member in ("ant", "bee", "cat"):
                (folder / "train" / member / name).write_bytes(b"x")
        said = notes(dataset_card("folder/made", tmp_path, "dataset"))
        assert len(said) == 6
        assert said[-1] == "Left out: 6 files of other kinds (.xml, hidden)."
        assert all(note.startswith("Left out: 3 files ") for note in said[:-1])

    def test_hidden_pictures_are_pictures_left_out(self, tmp_path: Path) -> None:
        folder = write_folder(tmp_path)
        rename(folder, 5, ".{}.png")
        with pytest.raises(DataFault, match=r"5 of 10 files in train/ant are hidden by a leading dot"):
            dataset_card("folder/made", tmp_path, "dataset")

    def test_a_class_of_other_files_says_what_they_are(self, tmp_path: Path) -> None:
        folder = write_folder(tmp_path)
        rename(folder, 10, "{}.heic")
        with pytest.raises(
            DataFault, match=r"made/train/ant holds no pictures \(AVIF.*10 of 10 files .* end in \.heic"
        ):
            dataset_card("folder/made", tmp_path, "dataset")


def test_a_picture_cut_short_is_named() -> None:
    for kind in FORMATS:
        content = encoded(pixels(0, 64, 64), kind)
        with pytest.raises(DataFault, match=r"x cannot be (decoded|read as a picture)"):
            decode("x", content[: len(content) // 2], rule(3, 12))
