"""Where numbers first stop being finite: found by one more pass, when a loss or gradient was not finite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

# NaN there means "not labelled" and "no clock".
MAY_BE_NAN = frozenset({"target", "times"})


def find_origin(objective: nn.Module, batch: Mapping[str, Tensor], ids: Sequence[str]) -> str:
    """One clause on where values first are not finite.

    Looks at the inputs, then at the weights, then at every module's output of a forward pass in the order of
    computation, then at the gradients of the parameters.

    Args:
        objective: ``batch`` → loss and further scalars; its weights are as they were in the failed step.
        batch: of the failed step, on the objective's device.
        ids: of the clips in it.
    """
    for name, tensor in batch.items():
        if name in MAY_BE_NAN or not tensor.is_floating_point():
            continue
        bad = ~torch.isfinite(tensor.detach()).flatten(1).all(dim=1)
        if bad.any():
            clips = [ids[number] for number in bad.nonzero().flatten().tolist() if number < len(ids)]
            return f"the input {name!r} itself is not finite, in {', '.join(clips[:4]) or 'the batch'}"
    for name, parameter in objective.named_parameters():
        if not torch.isfinite(parameter.detach()).all():
            return f"the weights {name!r} were not finite before this step"
    return _in_forward(objective, batch) or _in_gradients(objective) or "it does not happen again on the same clips"


def _in_forward(objective: nn.Module, batch: Mapping[str, Tensor]) -> str:
    found: list[str] = []

    def look(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if not found and not all(torch.isfinite(one).all() for one in _floats(output)):
                found.append(f"the output of {name!r} ({type(module).__name__}) is the first that is not finite")

        return hook

    # the innermost module finishes first, so the first to be seen is where it begins
    handles = [module.register_forward_hook(look(name)) for name, module in objective.named_modules() if name]
    try:
        loss, _ = objective(batch)
        if not found and not torch.isfinite(loss.detach()):
            return "all outputs are finite, the loss alone is not"
        if not found:
            objective.zero_grad(set_to_none=True)
            loss.backward()
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else ""


def _in_gradients(objective: nn.Module) -> str:
    for name, parameter in objective.named_parameters():
        if parameter.grad is not None and not torch.isfinite(parameter.grad).all():
            return f"all outputs and the loss are finite; the gradient of {name!r} is not"
    return ""


def _floats(value: Any) -> list[Tensor]:
    """All floating tensors in what a module returned."""
    if isinstance(value, Tensor):
        return [value.detach()] if value.is_floating_point() else []
    if isinstance(value, Mapping):
        value = list(value.values())
    elif hasattr(value, "__dataclass_fields__"):
        value = [getattr(value, name) for name in value.__dataclass_fields__]
    if isinstance(value, (list, tuple)):
        return [tensor for one in value for tensor in _floats(one)]
    return []
