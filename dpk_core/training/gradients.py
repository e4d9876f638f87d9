"""How strongly each term of a loss pulls at the student: the norm of its gradient, measured every so many steps.

A weight such as β says nothing about this: on raw feature maps DPK's feature term was about 1 % of the cross-entropy's
(method sheet, section 11), and an ablation of a term that pulls at nothing shows nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from dpk_core.parallel.world import World

EVERY = 50
"""Steps from one measurement to the next within an epoch, from its first step on."""


def gradient_norms(terms: Mapping[str, Tensor], parameters: Sequence[nn.Parameter], world: World) -> dict[str, Tensor]:
    """Euclidean norm of each weighted term's gradient over `parameters`, as `gradient.<term>` (0-dim, no gradient).

    In a world of several ranks, of the mean gradient. Keeps the graph, so that the step can go backward afterwards; no
    host synchronisation. A single term is the whole loss and is not measured.
    """
    if len(terms) < 2:
        return {}
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    norms: dict[str, Tensor] = {}
    for name, term in terms.items():
        found = torch.autograd.grad(term, trained, retain_graph=True, materialize_grads=True)
        world.average(found)
        norms[f"gradient.{name}"] = nn.utils.get_total_norm(found)
    return norms
