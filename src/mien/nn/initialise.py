"""Start values that several models share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


def normal_linears(module: nn.Module) -> None:
    """Every linear layer inside: weight normal with std 0.02, bias 0. The ViT recipe for fine-tuning.

    Published code cuts the normal at ±2, a hundred deviations out, which never happens.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def xavier_linears(module: nn.Module) -> None:
    """Every linear layer inside: weight Xavier-uniform, bias 0. The recipe for masked pretraining."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class SkipInitialisation(TorchFunctionMode):
    """Modules built inside keep memory as it comes: for models whose every weight is loaded right after.

    Drawing start values of a large model takes longer than reading its weights. Normal draws become zeros: a truncated
    normal is drawn again and again until it is within bounds, which memory as it comes may never be.
    """

    _DRAWS = (Tensor.uniform_, Tensor.erfinv_)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Leave a tensor alone where ``func`` would draw start values for it."""
        if func is Tensor.normal_:
            drawn: Tensor = args[0]
            return drawn.zero_()
        if func in self._DRAWS or getattr(func, "__module__", "") == nn.init.__name__:
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))
