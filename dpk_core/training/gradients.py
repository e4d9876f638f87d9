"""L2 norm of each weighted term's gradient over the student's parameters, every `EVERY` steps.

A weight such as β does not determine it: at β = .3 DPK's feature term had 2 % of the class term's (docs/results.md),
and an ablation of a term with next to no gradient shows nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.amp import GradScaler

from dpk_core.parallel.world import World

EVERY = 50
"""Steps from one measurement to the next within an epoch, from its first step on."""


def gradient_norms(
    terms: Mapping[str, Tensor], parameters: Sequence[nn.Parameter], world: World, scaler: GradScaler
) -> dict[str, Tensor]:
    """Euclidean norm of each weighted term's gradient over `parameters`, as `gradient.<term>` (0-dim, no gradient).

    In a world of several ranks, of the mean gradient. Keeps the graph, so that the step can go backward afterwards. A
    single term is the whole loss and is not measured.

    Under float16 terms are scaled as the loss is, for small gradients vanish otherwise. A term whose gradient overflows
    at that scale is left out, at the cost of a host synchronisation; other precisions need none.
    """
    if len(terms) < 2:
        return {}
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    norms: dict[str, Tensor] = {}
    for name, term in terms.items():
        found = torch.autograd.grad(scaler.scale(term), trained, retain_graph=True, materialize_grads=True)
        world.average(found)
        norm = nn.utils.get_total_norm(found)
        if scaler.is_enabled() and not norm.isfinite():
            continue
        norms[f"gradient.{name}"] = norm / scaler.scale(torch.ones_like(norm))
    return norms
