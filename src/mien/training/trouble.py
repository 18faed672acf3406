"""What a user can do about errors that torch raises in the middle of a step: memory that runs out, lost processes."""

from __future__ import annotations

import torch
from torch import distributed

from mien.errors import MienError
from mien.training.schema import Recipe


def in_plain_words(error: RuntimeError, recipe: Recipe, step: int, processes: int) -> MienError | None:
    """One line with a remedy; None for an error that has none, such as a fault of the program.

    Args:
        error: of torch.
        recipe: that is trained.
        step: steps done.
        processes: that train together.
    """
    text = str(error)
    if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in text:
        at_once = f"{recipe.part} clip{'s' if recipe.part > 1 else ''} at once"
        return MienError(f"out of memory after step {step}, with {at_once}; {_remedy(recipe)}, then --resume")
    if processes > 1 and (isinstance(error, distributed.DistError) or "gloo" in text or "NCCL" in text):
        return MienError(
            f"after step {step} another process of this run was lost, see above for what it said; go on from the last "
            "checkpoint with --resume"
        )
    return None


def _remedy(recipe: Recipe) -> str:
    """The least that makes parts of a step smaller without changing what is trained."""
    for smaller in range(recipe.part - 1, 0, -1):
        if recipe.part % smaller == 0:
            accumulate = recipe.optimiser.accumulate * recipe.part // smaller
            return f"set optimiser.accumulate={accumulate} ({smaller} at once, the gradient stays that of all)"
    return "use more devices, precision=bf16, or fewer frames or pixels (data.sampling)"
