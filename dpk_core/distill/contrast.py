"""Parts of CRD: unit embeddings, the memory bank, negatives of other classes, and the contrastive loss.

Legend: B pictures of a batch, N pictures of the training split, K negatives, P = 1 + K contrasted pictures, the first
of them the anchor itself, E width of the embedding.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpk_core.distill.precision import full_precision
from dpk_core.parallel.world import ALONE, World

EPS = 1e-7
"""Keeps the logarithms finite, as in the authors' code."""


@full_precision
def embed(vectors_BE: Tensor) -> Tensor:
    """The vectors at unit length."""
    return F.normalize(vectors_BE, dim=1)


class Bank(nn.Module):
    """A slowly moving embedding of every training picture, for student and teacher, and the two normalisers Z.

    All of it is in buffers. Z is set once, from the first batch: N times the mean likeness there.
    """

    student_NE: Tensor
    teacher_NE: Tensor
    scales: Tensor

    def __init__(self, pictures: int, width: int, momentum: float) -> None:
        """Uniform in ±√(3/E), from the global generator, as in the authors' code."""
        super().__init__()
        self.pictures, self.momentum = pictures, momentum
        for name in ("student_NE", "teacher_NE"):
            bound = math.sqrt(3 / width)
            self.register_buffer(name, torch.empty(pictures, width).uniform_(-bound, bound))
        self.register_buffer("scales", torch.zeros(2))

    def contrast(
        self, student_BE: Tensor, teacher_BE: Tensor, contrasted_BP: Tensor, temperature: float, world: World = ALONE
    ) -> Tensor:
        """The loss of the student against the teacher's bank, and of the teacher against the student's."""
        pairs = ((student_BE, self.teacher_NE), (teacher_BE, self.student_NE))
        # Copies, because the backward pass needs the banks as they are now, and `keep` moves them before it.
        likenesses = [likeness(one_BE, bank_NE.clone(), contrasted_BP, temperature) for one_BE, bank_NE in pairs]
        with torch.no_grad():
            first = world.mean(torch.stack([likeness_BP.mean() for likeness_BP in likenesses])) * self.pictures
            self.scales.copy_(torch.where(self.scales > 0, self.scales, first))
        student, teacher = (
            contrast_loss(likeness_BP, scale, self.pictures)
            for likeness_BP, scale in zip(likenesses, self.scales.clone(), strict=True)
        )
        return student + teacher

    def keep(self, positions_B: Tensor, student_BE: Tensor, teacher_BE: Tensor) -> None:
        """Moves the embeddings of these pictures towards the new ones, at unit length."""
        with torch.no_grad():
            for bank_NE, new_BE in ((self.student_NE, student_BE), (self.teacher_NE, teacher_BE)):
                moved_BE = self.momentum * bank_NE[positions_B] + (1 - self.momentum) * new_BE
                bank_NE[positions_B] = F.normalize(moved_BE, dim=1).to(bank_NE.dtype)


class Negatives:
    """Draws pictures of other classes than the anchor's, uniformly and with replacement."""

    def __init__(self, labels_N: Tensor) -> None:
        counts_C = labels_N.bincount()
        self.labels_N = labels_N
        self.by_class_N = labels_N.argsort(stable=True)
        self.counts_N = counts_C[labels_N]
        self.starts_N = (counts_C.cumsum(0) - counts_C)[labels_N]

    def draw(self, positions_B: Tensor, count: int, seed: int) -> Tensor:
        """Places in the training split, BxP: each anchor, then its K = `count` negatives.

        The numbers are drawn on the device, as a batch needs a million of them: they are the same on every run of one
        kind of device, not between a CPU and a GPU.
        """
        device = positions_B.device
        generator = torch.Generator(device).manual_seed(seed)
        drawn_BK = torch.rand(len(positions_B), count, generator=generator, device=device, dtype=torch.float64)
        own_B1, start_B1 = self.counts_N[positions_B][:, None], self.starts_N[positions_B][:, None]
        # The pictures ordered by class, with the anchor's own class cut out.
        place_BK = (drawn_BK * (len(self.labels_N) - own_B1)).long()
        place_BK = place_BK + torch.where(place_BK >= start_B1, own_B1, 0)
        return torch.cat((positions_B[:, None], self.by_class_N[place_BK]), dim=1)


@full_precision
def likeness(one_BE: Tensor, bank_NE: Tensor, contrasted_BP: Tensor, temperature: float) -> Tensor:
    """exp(⟨a, b⟩ / T) of each picture with the bank's embeddings of those it is contrasted with, BxP.

    One product with the whole bank and a look-up moves far less memory than fetching P embeddings for each picture.
    """
    return ((one_BE @ bank_NE.T).gather(1, contrasted_BP) / temperature).exp()


@full_precision
def contrast_loss(likeness_BP: Tensor, scale: Tensor, pictures: int) -> Tensor:
    """−log h(anchor) − Σ log(1 − h(negative)), mean over pictures, where h = p / (p + K/N), p = likeness / Z: noise-
    contrastive estimation of the bound of section 3, with K negatives and noise uniform over the N `pictures`."""
    p_BP = likeness_BP / scale
    noise = (p_BP.shape[1] - 1) / pictures
    hits_B = (p_BP[:, 0] / (p_BP[:, 0] + noise + EPS)).log()
    misses_BK = (noise / (p_BP[:, 1:] + noise + EPS)).log()
    return -(hits_B.sum() + misses_BK.sum()) / len(p_BP)
