"""LARS: stochastic gradient descent whose step for every matrix is in proportion to its norm."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class LARS(Optimizer):
    """Layer-wise adaptive rates (You, Gitman and Ginsburg, arXiv 1708.03888) as DINO's code has them.

    ``g ← (gradient + weight_decay · w) · trust · |w| / |gradient + weight_decay · w|``, then momentum without damping
    and ``w ← w - lr · momentum``. One-dimensional parameters are neither decayed nor adapted; where one of the two
    norms is 0 the factor is 1.

    Args:
        params: parameters or groups.
        lr: learning rate.
        weight_decay: of parameters with more than one dimension.
        momentum: of the moving sum of steps.
        trust: step relative to the norm of the weights.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float,
        weight_decay: float = 0.0,
        momentum: float = 0.9,
        trust: float = 0.001,
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "trust": trust})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step with the gradients that are there."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, group)
        return loss

    def _move(self, parameter: Tensor, group: dict[str, Any]) -> None:
        assert parameter.grad is not None
        step = parameter.grad
        if parameter.ndim > 1:
            step = step.add(parameter, alpha=group["weight_decay"])
            size, change = parameter.norm(), step.norm()
            factor = torch.where((size > 0) & (change > 0), group["trust"] * size / change, torch.ones_like(size))
            step = step * factor
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        momentum: Tensor = state["momentum_buffer"]
        momentum.mul_(group["momentum"]).add_(step)
        parameter.add_(momentum, alpha=-group["lr"])
