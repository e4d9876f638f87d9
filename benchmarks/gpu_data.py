"""Pictures a second that the data path gives at 224 pixels: decoded from JPEG by threads, or held on the device."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.gpu_device import wait
from dpk_core.catalogue.datasets import DIGITS
from dpk_core.catalogue.reading import ReadingRule
from dpk_core.data.batches import TrainingBatches
from dpk_core.data.encoded import Rows
from dpk_core.data.split import ImageData, PictureSplit, Split
from dpk_core.data.streamed import StreamedSplit
from dpk_core.recipes import IMAGENET
from dpk_core.spec import Recipe

PLAIN = replace(IMAGENET, batch_size=128, accumulation=1, randaugment=None, erasing=0.0)
RECIPES = {"crops and flips": PLAIN, "crops, flips, RandAugment, erasing": replace(PLAIN, randaugment=9, erasing=0.25)}


def rows(device: torch.device, *, small: bool, until: float) -> Iterator[dict[str, Any]]:
    """A row for each source and recipe: as many batches as fit into its part of the time."""
    side, count, batch = (32, 64, 16) if small else (224, 1024, 128)
    chances = [(source, recipe) for source in (jpeg, held) for recipe in RECIPES]
    for index, (source, recipe) in enumerate(chances):
        if (left := (until - time.monotonic()) / (len(chances) - index)) < 1:
            yield {"source": source.__name__, "recipe": recipe, "skipped": "no time was left"}
            continue
        chosen = replace(RECIPES[recipe], batch_size=batch)
        data = _data(source(count, side, device), side, device)
        rate = pictures_a_second(data, chosen, min(left * 0.7, 0.5 if small else 5.0))
        yield {
            "source": source.__name__, "recipe": recipe, "side": side, "batch": batch, "cores": os.cpu_count(),
            "pictures_a_second": round(rate),
        }  # fmt: skip


def jpeg(count: int, side: int, device: torch.device) -> PictureSplit:
    """JPEG files in memory: smooth made-up pictures with some noise, 500 x 375 pixels, about ImageNet's mean size."""
    chance = np.random.default_rng(0)
    files = []
    for number in range(min(count, 128)):
        coarse = Image.fromarray(chance.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((500, 375), Image.Resampling.BICUBIC), np.int16)
        noisy = (smooth + chance.integers(-12, 13, smooth.shape)).clip(0, 255).astype(np.uint8)
        content = io.BytesIO()
        Image.fromarray(noisy).save(content, "JPEG", quality=90)
        files.append((f"{number}.jpg", content.getvalue()))
    repeated = tuple(files[number % len(files)] for number in range(count))
    labels = torch.zeros(count, dtype=torch.int64, device=device)
    return StreamedSplit(Rows(repeated), np.arange(count), labels, ReadingRule(channels=3, side=side, fit="middle"))


def held(count: int, side: int, device: torch.device) -> PictureSplit:
    """Decoded pictures in the device's memory."""
    pictures = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, device=device)
    return Split(pictures, torch.zeros(count, dtype=torch.int64, device=device))


def pictures_a_second(data: ImageData, recipe: Recipe, seconds: float) -> float:
    """Of training batches that are ready on the device, one after the other."""
    batches = TrainingBatches(data, recipe, 0, 10**6)
    batches.at(0)
    step, began = 1, time.perf_counter()
    while time.perf_counter() - began < seconds:
        batches.at(step)
        wait(data.device)
        step += 1
    return (step - 1) * recipe.batch_size / (time.perf_counter() - began)


def _data(split: PictureSplit, side: int, device: torch.device) -> ImageData:
    card = replace(DIGITS, channels=3, side=side)
    statistics = torch.full((3,), 128.0, device=device), torch.full((3,), 64.0, device=device)
    return ImageData(card, split, split, lambda: split, *statistics)
