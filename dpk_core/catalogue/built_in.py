"""Checks of the data sets whose content is known beforehand: scikit-learn's digits and the official CIFAR files."""

from __future__ import annotations

from dpk_core.catalogue import cifar
from dpk_core.catalogue.copies import Copies
from dpk_core.catalogue.dataset_check import ClassPictures, DatasetCheck, class_pictures
from dpk_core.catalogue.splits import fingerprint
from dpk_core.catalogue.splitting import split_parts
from dpk_core.catalogue.survey import uniform_survey

DIGITS_CONTENT = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"
"""SHA-256 of scikit-learn's pictures (uint8, 0 … 16) followed by its labels (uint8)."""

DIGITS_LICENSE = "CC BY 4.0 (UCI, Optical Recognition of Handwritten Digits)"

DIGITS_SHARES = (0.5, 0.3)
"""Parts of train and validation, the rest is test. A wide validation part, because decisions are read there."""

DIGITS_CLASSES = (178, 182, 177, 183, 181, 182, 181, 179, 174, 180)
"""Pictures of each digit."""

_TRAIN, _VALIDATION = ([round(share * count) for count in DIGITS_CLASSES] for share in DIGITS_SHARES)

DIGITS_CHECK = DatasetCheck(
    name="digits", fingerprint=fingerprint(f"sha256:{DIGITS_CONTENT}"), default_recipe="digits", channels=1, side=8,
    classes=tuple(
        ClassPictures(name=str(digit), train=train, validation=validation, test=count - train - validation)
        for digit, (count, train, validation) in enumerate(zip(DIGITS_CLASSES, _TRAIN, _VALIDATION, strict=True))
    ),
    held_out=("validation", "test"),
    survey=uniform_survey(sum(DIGITS_CLASSES), 8, 1),
    copies=Copies(
        validation_pictures=sum(_VALIDATION), validation=0, test_pictures=360, test=0, train=0, two_classes=0
    ),
)  # fmt: skip
"""Facts of scikit-learn's digits (UCI, Alpaydin & Kaynak 1998); the loader checks them against what is installed."""


def cifar_check(name: str) -> DatasetCheck:
    """Facts of torchvision's CIFAR, whose files only the runner opens: they are pickles."""
    official = cifar.OFFICIAL[name]
    labels = {"train": official.expected_labels(), "test": official.expected_test_labels()}
    return DatasetCheck(
        name=name, fingerprint=fingerprint(official.content), default_recipe="cifar100", channels=3, side=32,
        classes=class_pictures([str(label) for label in range(official.classes)], labels, split_parts(name, labels)),
        held_out=("validation",), survey=uniform_survey(sum(map(len, labels.values())), 32, 3), copies=None,
    )  # fmt: skip
