"""What is explained: one number per clip, the answer for one output."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mien.errors import UsageError
from mien.models.contract import Recogniser
from mien.tasks import Task

Inputs = Mapping[str, Tensor]


class Score:
    """The answer of a model for one output, as a number per clip.

    Args:
        model: in eval mode.
        task: reads its outputs.
        output: name of the output; None takes for every clip the most probable class, or the first value.

    Raises:
        UsageError: the task has no output of that name.
    """

    def __init__(self, model: Recogniser, task: Task, output: str | None = None) -> None:
        names = task.columns()
        if output is not None and output not in names:
            raise UsageError(f"the model has no output {output!r}; it tells {', '.join(names)}")
        self.model, self.task = model, task
        self.output = None if output is None else names.index(output)

    @torch.no_grad()
    def chosen(self, inputs: Inputs) -> Tensor:
        """Number of the output that is explained for each clip, ``(B,)``."""
        read = self._over_time(self.task.read(self.model(inputs)))
        if self.output is not None or self.task.classes is None:
            return torch.full((len(read),), self.output or 0, device=read.device)
        return read.argmax(dim=-1)

    def raw(self, inputs: Inputs, chosen: Tensor) -> Tensor:
        """Raw output ``(B,)`` of the chosen ones, which does not level off where a probability nears 1."""
        made = self._over_time(self.model(inputs).float())
        if made.shape[-1] < len(self.task.columns()):
            made = self._over_time(self.task.read(self.model(inputs)))
        return made.gather(-1, chosen[:, None])[:, 0]

    def read(self, inputs: Inputs, chosen: Tensor) -> Tensor:
        """Probability or value ``(B,)`` of the chosen ones."""
        return self._over_time(self.task.read(self.model(inputs))).gather(-1, chosen[:, None])[:, 0]

    @staticmethod
    def _over_time(values: Tensor) -> Tensor:
        """``(B, K)`` or ``(B, T, K)`` → ``(B, K)``."""
        return values.mean(dim=1) if values.ndim == 3 else values
