"""The CKA of the step before, for shares that lag a step, so that no step waits for a number of its own. S stages."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LaggedCka(nn.Module):
    """Keeps each stage's CKA from one step to the next: in a buffer, so that a checkpoint holds it, and as a copy on
    its way to the host.

    The copy is begun as soon as the CKA is queued, a whole backward pass before the next step asks for it, so the
    device's queue never runs empty while the host waits for it. After `load_state_dict` the buffer is read once.
    """

    cka_S: Tensor

    def __init__(self, stages: int) -> None:
        super().__init__()
        self.register_buffer("cka_S", torch.full((stages,), torch.nan, dtype=torch.float64))
        self._host_S: Tensor | None = None
        self._copied: torch.cuda.Event | None = None
        # The hook is given the module: a bound method would hold it, and with it a whole method, in a cycle.
        self.register_load_state_dict_post_hook(_forget)  # type: ignore[no-untyped-call]  # torch leaves it untyped

    def keep(self, cka_S: Tensor) -> None:
        """Remembers this step's CKA for the next."""
        self.cka_S.copy_(cka_S)
        if not cka_S.is_cuda:
            self._host_S = self.cka_S.clone()
            return
        if self._host_S is None or self._copied is None:
            self._host_S = torch.empty_like(cka_S, device="cpu").pin_memory()
            self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._host_S.copy_(cka_S, non_blocking=True)
        self._copied.record(torch.cuda.current_stream(cka_S.device))

    def last(self) -> Tensor:
        """The CKA of the step before, on the host; NaN before the first step."""
        if self._host_S is None:
            return self.cka_S.detach().clone().cpu()  # no view: `keep` writes into the buffer
        if self._copied is not None:
            self._copied.synchronize()
        return self._host_S.clone()


def _forget(lagged: LaggedCka, _: object) -> None:
    lagged._host_S = lagged._copied = None
