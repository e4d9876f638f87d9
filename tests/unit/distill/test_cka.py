"""CKA against the definition written out in loops, and its invariances."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dpk_core.distill.cka import unbiased_cka

Matrix = NDArray[np.float64]


def hsic1_by_loops(X: Matrix, Y: Matrix) -> float:
    """HSIC1 as an average over all ordered quadruples of different pictures (Song et al. 2012, eq. 4)."""
    K, L, n = X @ X.T, Y @ Y.T, len(X)
    total, count = 0.0, 0
    for i in range(n):
        for j in range(n):
            for q in range(n):
                for r in range(n):
                    if len({i, j, q, r}) == 4:
                        total += K[i, j] * L[i, j] + K[i, j] * L[q, r] - 2 * K[i, j] * L[i, q]
                        count += 1
    return total / count


def cka_by_loops(X: Matrix, Y: Matrix) -> float:
    student, teacher = hsic1_by_loops(X, X), hsic1_by_loops(Y, Y)
    return hsic1_by_loops(X, Y) / float(np.sqrt(student * teacher)) if student > 0 and teacher > 0 else float("nan")


def maps(seed: int, pictures: int, channels: int, side: int, mean: float = 0.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(pictures, channels, side, side, generator=generator) + mean


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31), pictures=st.integers(4, 8), channels=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    sides=st.tuples(st.integers(1, 4), st.integers(1, 4)), mean=st.sampled_from([0.0, 30.0]), positive=st.booleans(),
)  # fmt: skip
def test_agrees_with_the_definition(
    seed: int, pictures: int, channels: tuple[int, int], sides: tuple[int, int], mean: float, positive: bool
) -> None:
    student = maps(seed, pictures, channels[0], sides[0], mean).double()
    teacher = maps(seed + 1, pictures, channels[1], sides[1]).double()
    if positive:
        teacher = torch.relu(teacher)
    X, Y = student.flatten(1).numpy(), teacher.flatten(1).numpy()
    # Where a self-similarity is nothing but rounding, so is its sign.
    assume(all(abs(hsic1_by_loops(Z, Z)) > 1e-6 for Z in (X, Y)))
    assert unbiased_cka(student, teacher).item() == pytest.approx(cka_by_loops(X, Y), rel=1e-6, abs=1e-6, nan_ok=True)


def test_single_precision_is_enough() -> None:
    student = maps(4, 8, 2, 1, mean=30.0)
    teacher = torch.relu(0.5 * maps(1, 8, 2, 1) + student - 30.0)
    expected = cka_by_loops(student.flatten(1).double().numpy(), teacher.flatten(1).double().numpy())
    assert 0.1 < expected < 0.9
    assert unbiased_cka(student, teacher).item() == pytest.approx(expected, abs=1e-5)


def test_the_shift_that_centring_removes_changes_nothing_in_the_definition() -> None:
    X, Y = np.random.default_rng(0).normal(size=(2, 6, 5))
    assert cka_by_loops(X + 3.0, Y) == pytest.approx(cka_by_loops(X, Y), rel=1e-9)


def test_a_map_is_wholly_similar_to_itself() -> None:
    x = maps(0, 16, 3, 4)
    assert unbiased_cka(x, x).item() == pytest.approx(1.0, abs=1e-12)


def test_scaling_and_rotation_change_nothing() -> None:
    x, y = maps(0, 32, 2, 3), maps(1, 32, 4, 2)
    y = y + torch.nn.functional.interpolate(x, size=2)[:, :1]
    plain = unbiased_cka(x, y).item()
    rotation, _ = torch.linalg.qr(torch.randn(18, 18, generator=torch.Generator().manual_seed(2)))
    rotated = (x.flatten(1) @ rotation).view_as(x)
    assert 0.01 < plain < 0.99
    assert unbiased_cka(7.0 * x, 0.01 * y).item() == pytest.approx(plain, abs=1e-6)
    assert unbiased_cka(rotated, y).item() == pytest.approx(plain, abs=1e-6)


def test_unrelated_maps_are_about_dissimilar_however_many_features_they_have() -> None:
    assert abs(unbiased_cka(maps(0, 64, 64, 8), maps(1, 64, 64, 8)).item()) < 0.1


def test_large_means_and_large_values_cost_no_accuracy() -> None:
    x, y = maps(0, 32, 4, 2), maps(1, 32, 4, 2)
    y = x + y
    plain = unbiased_cka(x, y).item()
    assert unbiased_cka(x + 1000.0, y).item() == pytest.approx(plain, abs=1e-3)
    assert unbiased_cka(x * 1e15, y * 1e15).item() == pytest.approx(plain, abs=1e-5)


def test_constant_maps_have_no_cka() -> None:
    assert unbiased_cka(torch.ones(8, 2, 2, 2), maps(0, 8, 2, 2)).isnan()


@pytest.mark.parametrize("pictures", [1, 3])
def test_too_few_pictures_are_refused(pictures: int) -> None:
    with pytest.raises(ValueError, match="at least 4 pictures"):
        unbiased_cka(maps(0, pictures, 2, 2), maps(1, pictures, 2, 2))


def test_autocast_does_not_lower_the_precision() -> None:
    x, y = maps(0, 16, 4, 4), maps(1, 16, 4, 4) + maps(0, 16, 4, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = unbiased_cka(x, y)
    assert inside.item() == unbiased_cka(x, y).item()


def test_no_gradient_flows_through_it() -> None:
    assert not unbiased_cka(maps(0, 8, 2, 2).requires_grad_(), maps(1, 8, 2, 2)).requires_grad
