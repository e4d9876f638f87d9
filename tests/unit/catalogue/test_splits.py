"""Splits are stratified, whole and the same on every machine."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpk_core.catalogue.splits import stratified


@given(st.lists(st.integers(0, 4), min_size=1, max_size=80), st.sampled_from([(0.2,), (0.5, 0.3), (0.6, 0.2)]))
def test_parts_cover_everything_once_and_share_every_class(values: list[int], shares: tuple[float, ...]) -> None:
    labels = np.array(values, np.int64)
    parts = stratified(labels, shares)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))
    for part, share in zip(parts, shares, strict=False):
        for label in set(values):
            assert (labels[part] == label).sum() == round(share * (labels == label).sum())


def test_the_split_is_the_same_everywhere() -> None:
    parts = stratified(np.arange(200, dtype=np.int64) % 7, (0.5, 0.3))
    digest = hashlib.sha256(b"".join(part.astype("<i8").tobytes() for part in parts)).hexdigest()
    assert digest == "7f5daf20431ef2ea9ae09660a64b8c95116f3dd79045503404c599d65080f40a"


def test_parts_are_shuffled_within_a_class() -> None:
    first, _ = stratified(np.zeros(100, np.int64), (0.5,))
    assert first.tolist() != list(range(50))


@pytest.mark.parametrize("repeat", range(2))
def test_no_global_random_state_is_used(repeat: int) -> None:
    np.random.seed(repeat)  # the legacy global state: a split must not depend on it
    before = np.random.get_state()[1].tolist()  # type: ignore[union-attr]  # a tuple unless asked otherwise
    parts = stratified(np.zeros(10, np.int64), (0.5,))
    assert np.random.get_state()[1].tolist() == before  # type: ignore[union-attr]  # as above
    assert parts[0].tolist() == stratified(np.zeros(10, np.int64), (0.5,))[0].tolist()
