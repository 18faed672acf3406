"""What a user can do about errors that torch raises in the middle of a step: memory that runs out, lost processes."""

from __future__ import annotations

from torch import distributed

from mien.errors import MienError
from mien.memory import out_of_memory
from mien.training.schema import Recipe


def in_plain_words(error: Exception, recipe: Recipe, step: int, processes: int, blocks: int = 0) -> MienError | None:
    """One line with a remedy; None for an error that has none, such as a fault of the program.

    Args:
        error: of torch, or of Python where memory ran out.
        recipe: that is trained.
        step: steps done.
        processes: that train together.
        blocks: of the model that could compute anew what the backward pass needs.
    """
    at_once = f"{recipe.part} clip{'s' if recipe.part > 1 else ''} at once"
    full = out_of_memory(error, f"after step {step}, with {at_once}", f"{_remedy(recipe, blocks)}, then --resume")
    if full is not None:
        return full
    text = str(error)
    if processes > 1 and (isinstance(error, distributed.DistError) or "gloo" in text or "NCCL" in text):
        return MienError(
            f"after step {step} another process of this run was lost, see above for what it said; go on from the last "
            "checkpoint with --resume"
        )
    return None


def _remedy(recipe: Recipe, blocks: int) -> str:
    """The least that makes parts of a step smaller without changing what is trained."""
    anew = "hardware.recompute=true (blocks compute anew what the backward pass needs)"
    anew = anew if blocks and not recipe.hardware.recompute else ""
    for smaller in range(recipe.part - 1, 0, -1):
        if recipe.part % smaller == 0:
            accumulate = recipe.optimiser.accumulate * recipe.part // smaller
            fewer = f"optimiser.accumulate={accumulate} ({smaller} at once, the gradient stays that of all)"
            return f"set {fewer}{anew and ' or '}{anew}"
    if anew:
        return f"set {anew}"
    return "use more devices, precision=bf16, or fewer frames or pixels (data.sampling)"
