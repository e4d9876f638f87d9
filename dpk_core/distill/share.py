"""How large a share of its tokens the teacher hands over (method sheet, section 4): one function per schedule.

S: stages. A schedule knows the settings, each stage's CKA, how much of the training is over (0 in its first step, 1 in
its last) and a generator that belongs to the step; it gives a share per stage, NaN where it cannot say.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dpk_core.dpk_settings import ShareSchedule, ShareSettings

Schedule = Callable[[ShareSettings, Tensor, float, torch.Generator], Tensor]


def find_shares(
    settings: ShareSettings, cka_S: Tensor, fraction: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """π of each stage and whether it is the fallback. No gradient, no host synchronisation.

    The one rule for a CKA that a share cannot follow, undefined, negative, near zero or not below 1, is that the share
    is `settings.fallback`. Shares that follow CKA are float64 on its device, all others on the CPU.
    """
    share_S = SCHEDULES[settings.schedule](settings, cka_S.detach().double(), fraction, generator)
    fallback_S = share_S.isnan()
    return torch.where(fallback_S, settings.fallback, share_S), fallback_S


def given_tokens(settings: ShareSettings, share_S: Tensor, tokens: Sequence[int]) -> Tensor:
    """How many of a picture's N tokens the teacher hands over in each stage (S, float64, whole numbers): floor(π·N).

    Where π is above 0, at least `settings.least_tokens`, or half of the tokens where that is less (the authors: 2 on
    CIFAR, 4 on ImageNet). No host synchronisation.
    """
    given = []
    for share, count in zip(share_S.unbind(), tokens, strict=True):
        least = min(settings.least_tokens, count // 2)
        given.append(torch.where(share > 0, (share * count).floor().clamp_min(least), 0.0))
    return torch.stack(given)


def _cka(settings: ShareSettings, cka_S: Tensor, _: float, __: torch.Generator) -> Tensor:
    return _where_usable(settings, cka_S, 1 - cka_S)


def _sigmoid_cka(settings: ShareSettings, cka_S: Tensor, _: float, __: torch.Generator) -> Tensor:
    return _where_usable(settings, cka_S, 1 - cka_S.sigmoid())


def _where_usable(settings: ShareSettings, cka_S: Tensor, share_S: Tensor) -> Tensor:
    usable_S = (cka_S > settings.least_cka) & (cka_S < 1)  # false for NaN
    return torch.where(usable_S, share_S.clamp(min=settings.floor), torch.nan)


def _fixed(settings: ShareSettings, cka_S: Tensor, _: float, __: torch.Generator) -> Tensor:
    return _same(cka_S, settings.value)


def _random(settings: ShareSettings, cka_S: Tensor, _: float, generator: torch.Generator) -> Tensor:
    drawn_S = torch.rand(cka_S.shape, generator=generator, dtype=torch.float64)
    return settings.end + (settings.start - settings.end) * drawn_S


def _step(settings: ShareSettings, cka_S: Tensor, fraction: float, _: torch.Generator) -> Tensor:
    level = min(math.floor(fraction * settings.levels), settings.levels - 1)
    return _same(cka_S, settings.start + (settings.end - settings.start) * level / (settings.levels - 1))


def _exponential(settings: ShareSettings, cka_S: Tensor, fraction: float, _: torch.Generator) -> Tensor:
    return _same(cka_S, settings.start * (settings.end / settings.start) ** fraction)


def _cosine(settings: ShareSettings, cka_S: Tensor, fraction: float, _: torch.Generator) -> Tensor:
    fallen = (1 - math.cos(math.pi * fraction)) / 2
    return _same(cka_S, settings.start + (settings.end - settings.start) * fallen)


def _none(_: ShareSettings, cka_S: Tensor, __: float, ___: torch.Generator) -> Tensor:
    return _same(cka_S, 0.0)


def _same(cka_S: Tensor, share: float) -> Tensor:
    return torch.full(cka_S.shape, share, dtype=torch.float64)


SCHEDULES: dict[ShareSchedule, Schedule] = {
    "cka": _cka,
    "sigmoid_cka": _sigmoid_cka,
    "fixed": _fixed,
    "random": _random,
    "step": _step,
    "exponential": _exponential,
    "cosine": _cosine,
    "none": _none,
}
"""Every schedule by name."""
