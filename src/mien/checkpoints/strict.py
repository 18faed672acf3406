"""Put weights into a module, all of them, or say what does not fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from mien.errors import MienError


def check_fit(module: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """``MienError`` if ``state`` lacks a tensor of ``module``, has one more, or one has another shape.

    Args:
        module: what the weights are for.
        state: tensors by the module's own names.
        source: what the weights come from, for the error.
    """
    own = module.state_dict()
    problems = []
    if missing := own.keys() - state.keys():
        problems.append(f"missing {brief(missing)}")
    if unexpected := state.keys() - own.keys():
        problems.append(f"unexpected {brief(unexpected)}")
    for name in sorted(own.keys() & state.keys()):
        if own[name].shape != state[name].shape:
            problems.append(f"{name} is {tuple(state[name].shape)} but the model has {tuple(own[name].shape)}")
            break
    if problems:
        raise MienError(f"weights of {source} do not fit the model: {'; '.join(problems)}")


def load_strictly(module: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Load ``state`` into ``module`` after ``check_fit``."""
    check_fit(module, state, source)
    module.load_state_dict(dict(state))


def brief(names: Iterable[str], show: int = 3) -> str:
    """A few names in order, and how many more there are."""
    ordered = sorted(names)
    more = f" and {len(ordered) - show} more" if len(ordered) > show else ""
    return ", ".join(ordered[:show]) + more
