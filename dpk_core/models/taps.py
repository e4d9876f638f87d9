"""Feature maps read from a model while it runs, without bending its `forward`. B pictures, C channels, H x W map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from dpk_core.catalogue.models import Tap, model_card
from dpk_core.errors import InvalidRequest


class FeatureTaps:
    """Collects the outputs of `modules` (dotted names) while its `with` block is open; its hooks never outlive it.

    Raises AttributeError on entry for a name the model does not have.
    """

    def __init__(self, model: nn.Module, modules: Sequence[str]) -> None:
        self._model = model
        self._modules = tuple(modules)
        self._outputs: dict[str, Tensor] = {}
        self._handles: list[RemovableHandle] = []

    def __enter__(self) -> Self:
        tapped = [self._model.get_submodule(name) for name in self._modules]
        for name, module in zip(self._modules, tapped, strict=True):
            self._handles.append(module.register_forward_hook(self._keeper(name)))
        return self

    def __exit__(self, *_: object) -> None:
        while self._handles:
            self._handles.pop().remove()

    @property
    def maps(self) -> list[Tensor]:
        """The maps of the latest run, BxCxHxW each, in the order of the names.

        Raises RuntimeError for a module that the run did not reach or whose output is not a map.
        """
        for name in self._modules:
            output = self._outputs.get(name)
            if not isinstance(output, Tensor) or output.ndim != 4:
                raise RuntimeError(f"the run gave no BxCxHxW map at {name!r}")
        return [self._outputs[name] for name in self._modules]

    def _keeper(self, name: str) -> Any:
        def keep(_: nn.Module, __: object, output: Tensor) -> None:
            self._outputs[name] = output

        return keep


def two_taps(name: str) -> tuple[Tap, Tap]:
    """The second-last and the last tap of the model `name`: the maps that DPK stitches.

    Raises InvalidRequest for an unknown name and for a model with fewer taps.
    """
    card = model_card(name, "model")
    if len(card.taps) < 2:
        reason = card.obstacle or "it has fewer than two feature maps"
        raise InvalidRequest("model", f"{name} cannot be tapped: {reason}.")
    return card.taps[-2], card.taps[-1]
