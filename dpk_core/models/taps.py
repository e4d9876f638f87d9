"""Feature maps read from a model while it runs, without bending its `forward`. B pictures, C channels, H x W map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from dpk_core.catalogue.models import Tap, model_card
from dpk_core.errors import InvalidRequest
from dpk_core.models.layout import as_map


class FeatureTaps:
    """Collects the outputs at `taps` while its `with` block is open; its hooks never outlive it.

    A bare module name stands for a tap with channels first. Raises AttributeError on entry for a module the model does
    not have.
    """

    def __init__(self, model: nn.Module, taps: Sequence[Tap | str]) -> None:
        self._model = model
        self._layouts = {_module(tap): tap.layout if isinstance(tap, Tap) else "nchw" for tap in taps}
        self._modules = tuple(_module(tap) for tap in taps)
        self._outputs: dict[str, Any] = {}
        self._handles: list[RemovableHandle] = []
        self._collects = False

    def __enter__(self) -> Self:
        self.open()
        self.begin()
        return self

    def open(self) -> None:
        """Hooks the model, for good unless a `with` block ends it; nothing is kept before `begin`."""
        tapped = [self._model.get_submodule(name) for name in self._modules]
        for name, module in zip(self._modules, tapped, strict=True):
            self._handles.append(module.register_forward_hook(self._keeper(name)))

    def __exit__(self, *_: object) -> None:
        self._collects = False
        while self._handles:
            self._handles.pop().remove()

    def begin(self) -> None:
        """From now on the maps of each run are kept, until they are taken."""
        self._collects = True

    def take(self) -> list[Tensor]:
        """The maps, which are kept no longer."""
        found = self.maps
        self._outputs.clear()
        self._collects = False
        return found

    @property
    def maps(self) -> list[Tensor]:
        """The maps of the latest run, BxCxHxW each whatever their layout was, in the order of the taps.

        Raises RuntimeError for a module that the run did not reach or whose output is not a map of its layout.
        """
        return [self._map(name) for name in self._modules]

    def _map(self, name: str) -> Tensor:
        map_BCHW = as_map(self._outputs.get(name), self._layouts[name])
        if map_BCHW is None:
            raise RuntimeError(f"the run gave no BxCxHxW map at {name!r} (layout {self._layouts[name]})")
        return map_BCHW

    def _keeper(self, name: str) -> Any:
        def keep(_: nn.Module, __: object, output: Any) -> None:
            if self._collects:
                self._outputs[name] = output

        return keep


def last_tap(name: str) -> Tap:
    """The deepest tap of the model `name`. Raises InvalidRequest for an unknown name and for a model without taps."""
    card = model_card(name, "model")
    if not card.taps:
        raise InvalidRequest("model", f"{name} cannot be tapped: {card.obstacle}.")
    return card.taps[-1]


def _module(tap: Tap | str) -> str:
    return tap.module if isinstance(tap, Tap) else tap
