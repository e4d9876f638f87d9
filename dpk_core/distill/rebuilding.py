"""One step of several stages of Dynamic Prior Knowledge, once their CKA and shares are known. S: stages."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from dpk_core.data.to_device import to_device
from dpk_core.distill.masking import draw_noise
from dpk_core.distill.method import StepContext
from dpk_core.distill.share import find_shares, given_tokens
from dpk_core.distill.stage import PriorStage
from dpk_core.dpk_settings import NEEDS_FRACTION, ShareSettings
from dpk_core.randomness import derive


def step_shares(share: ShareSettings, cka_S: Tensor, step: StepContext) -> tuple[Tensor, Tensor]:
    """π of each stage and whether it is the fallback, as `find_shares` gives them.

    Raises ValueError where the schedule needs the length of the training and the step does not know it.
    """
    generator = torch.Generator().manual_seed(derive(step.seed, "share", step.step))
    return find_shares(share, cka_S, step.fraction if share.schedule in NEEDS_FRACTION else 0.0, generator)


def rebuild(
    stages: Mapping[str, PriorStage],
    share: ShareSettings,
    maps: Mapping[str, tuple[Tensor, Tensor]],
    cka_S: Tensor,
    shares: tuple[Tensor, Tensor],
    step: StepContext,
) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Each stage's feature loss, and the parts `share.<stage>`, `cka.<stage>` (0 where it is undefined) and
    `share_fallback.<stage>`.

    `maps`: of student and teacher by stage, of one size; `shares`: π of each stage and whether it is the fallback, as
    `step_shares` gives them. All are in the order of `stages`.
    """
    shares_S, fallback_S = shares
    parts: dict[str, Tensor] = {}
    losses: list[Tensor] = []
    # How many tokens each side gets is a size, so the CPU must know the shares. It is the step's one host
    # synchronisation, and none where the share lags a step or does not follow CKA.
    given_S = given_tokens(share, shares_S, [module.tokens for module in stages.values()])
    host_given = [int(count) for count in given_S.tolist()]
    given_S, fallback_S = (to_device(values, cka_S.device) for values in (given_S, fallback_S))
    for index, (name, module) in enumerate(stages.items()):
        student_BCHW, teacher_BCHW = maps[name]
        noise_BN = draw_noise(
            len(student_BCHW) * step.world.size, module.tokens,
            seed=step.seed, step=step.step, stage=name, device=student_BCHW.device,
        )  # fmt: skip
        losses.append(module(student_BCHW, teacher_BCHW, step.world.own(noise_BN), host_given[index]).loss)
        parts[f"share.{name}"] = given_S[index] / module.tokens
        parts[f"cka.{name}"] = cka_S[index].nan_to_num(0.0)
        parts[f"share_fallback.{name}"] = fallback_S[index].to(given_S.dtype)
    return losses, parts
