"""Linear CKA with the unbiased HSIC estimator (method sheet, section 4; Song et al. 2012; Nguyen et al., 2010.15327).

Legend: B pictures (n in the formulas), F = C·H·W features of a map, M Gram matrices, E = B·B entries of one.
"""

import torch
from torch import Tensor

from dpk_core.distill.precision import tf32

LEAST_PICTURES = 4
"""The estimator divides by n − 3."""


def unbiased_cka(student_BCHW: Tensor, teacher_BCHW: Tensor) -> Tensor:
    """CKA of two maps of the same pictures, raw and flattened: a 0-dim float64 tensor on their device, no gradient.

    1 for maps that are equal up to scale, rotation and shift; about 0, also slightly negative, for unrelated ones; NaN
    where it is undefined, that is unless both self-similarities are positive. No value is taken absolutely and no host
    synchronisation happens. Raises ValueError below 4 pictures.
    """
    return cka_of_terms(hsic_terms(student_BCHW, teacher_BCHW))


def hsic_terms(student_BCHW: Tensor, teacher_BCHW: Tensor) -> Tensor:
    """HSIC1 of student and teacher, of the student with itself, of the teacher with itself (3, float64, no gradient).

    Raises ValueError below 4 pictures.
    """
    pictures = student_BCHW.shape[0]
    if pictures < LEAST_PICTURES:
        raise ValueError(f"CKA needs at least {LEAST_PICTURES} pictures a step, not {pictures}")
    with torch.no_grad(), torch.autocast(student_BCHW.device.type, enabled=False), tf32(False):
        found_22 = hsic1(torch.stack([gram(student_BCHW), gram(teacher_BCHW)]))
        return torch.stack([found_22[0, 1], found_22[0, 0], found_22[1, 1]])


def cka_of_terms(terms_3: Tensor) -> Tensor:
    """CKA of the terms of a batch, or of their sums over batches."""
    cross, student_self, teacher_self = terms_3.unbind()
    # Two roots, as the product of two large self-similarities could overflow. The root of a negative is NaN.
    cka = cross / (student_self.sqrt() * teacher_self.sqrt())
    return torch.where((student_self > 0) & (teacher_self > 0), cka, torch.nan)


def gram(map_BCHW: Tensor) -> Tensor:
    """K = X Xᵀ with its diagonal set to 0, in float64.

    X is centred over the batch first. HSIC1 is blind to that shift (it adds a_i + a_j to K off the diagonal, which the
    estimator cancels), but the float32 product loses far fewer digits for maps with a large mean.
    """
    X_BF = map_BCHW.flatten(1).to(torch.promote_types(map_BCHW.dtype, torch.float32))
    X_BF = X_BF - X_BF.mean(dim=0)
    K_BB = (X_BF @ X_BF.T).double()
    return K_BB.fill_diagonal_(0)


def hsic1(grams_MBB: Tensor) -> Tensor:
    """HSIC1 (MxM) of each pair of M symmetric Gram matrices with zero diagonals; n >= 4.

    `1/(n(n−3)) · [ tr(KL) + 1ᵀK1·1ᵀL1 / ((n−1)(n−2)) − 2/(n−2) · 1ᵀKL1 ]`, each term from sums over n² entries.
    All pairs at once take a third of the operations, each of which a GPU has to launch.
    """
    n = grams_MBB.shape[1]
    sums_MB, flat_ME = grams_MBB.sum(dim=2), grams_MBB.flatten(1)
    totals_M = sums_MB.sum(dim=1)
    traces_MM, rows_MM = flat_ME @ flat_ME.T, sums_MB @ sums_MB.T
    return (traces_MM + totals_M.outer(totals_M) / ((n - 1) * (n - 2)) - rows_MM * 2 / (n - 2)) / (n * (n - 3))
