"""Linear CKA with the unbiased HSIC estimator (method sheet, section 4; Song et al. 2012; Nguyen et al., 2010.15327).

Legend: B pictures (n in the formulas), F = C·H·W features of a map.
"""

import torch
from torch import Tensor

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
    with torch.no_grad(), torch.autocast(student_BCHW.device.type, enabled=False):
        K_BB, L_BB = gram(student_BCHW), gram(teacher_BCHW)
        return torch.stack([hsic1(K_BB, L_BB), hsic1(K_BB, K_BB), hsic1(L_BB, L_BB)])


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


def hsic1(K_BB: Tensor, L_BB: Tensor) -> Tensor:
    """HSIC1 of two symmetric Gram matrices with zero diagonals; n >= 4.

    `1/(n(n−3)) · [ tr(KL) + 1ᵀK1·1ᵀL1 / ((n−1)(n−2)) − 2/(n−2) · 1ᵀKL1 ]`, each term from sums over n² entries.
    """
    n = K_BB.shape[0]
    K1_B, L1_B = K_BB.sum(dim=1), L_BB.sum(dim=1)
    trace = (K_BB * L_BB).sum()
    totals = K1_B.sum() * L1_B.sum() / ((n - 1) * (n - 2))
    rows = (K1_B * L1_B).sum() * 2 / (n - 2)
    return (trace + totals - rows) / (n * (n - 3))
