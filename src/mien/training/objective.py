"""What is minimised, as one module: devices, precision and gradient exchange wrap around its ``forward``."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mien.models.contract import Encoder, Recogniser
from mien.pretext import Moment, Pretext
from mien.tasks import Task

Loss = tuple[Tensor, dict[str, Tensor]]


class Objective(nn.Module):
    """A trained module with its loss.

    Attributes:
        trained: the module whose parameters are optimised.
    """

    trained: Recogniser | Pretext

    @property
    def encoder(self) -> Encoder:
        """What is handed over."""
        return self.trained.encoder

    def forward(self, batch: Mapping[str, Tensor]) -> Loss:
        """Mean loss of a batch on the device, and further detached scalars worth logging."""
        raise NotImplementedError

    def before_step(self, moment: Moment) -> None:
        """As ``Pretext.before_step``."""

    def before_update(self, moment: Moment) -> None:
        """As ``Pretext.before_update``."""

    def after_step(self, moment: Moment) -> None:
        """As ``Pretext.after_step``."""

    def trouble(self, values: Mapping[str, float]) -> str | None:
        """As ``Pretext.trouble``."""
        return None


class TaskObjective(Objective):
    """A recogniser under the loss of its task. The loss is computed in float32 whatever the precision of the model."""

    trained: Recogniser

    def __init__(self, model: Recogniser, task: Task) -> None:
        super().__init__()
        self.trained = model
        self._task = task

    def forward(self, batch: Mapping[str, Tensor]) -> Loss:
        """The task's loss, and nothing further to log."""
        outputs = self.trained(batch)
        with torch.autocast(outputs.device.type, enabled=False):
            return self._task.loss(outputs.float(), batch), {}


class PretextObjective(Objective):
    """A pretext under its own loss."""

    trained: Pretext

    def __init__(self, pretext: Pretext) -> None:
        super().__init__()
        self.trained = pretext

    def forward(self, batch: Mapping[str, Tensor]) -> Loss:
        """What ``Pretext.loss`` gives."""
        return self.trained.loss(batch)

    def before_step(self, moment: Moment) -> None:
        """As ``Pretext.before_step``."""
        self.trained.before_step(moment)

    def before_update(self, moment: Moment) -> None:
        """As ``Pretext.before_update``."""
        self.trained.before_update(moment)

    def after_step(self, moment: Moment) -> None:
        """As ``Pretext.after_step``."""
        self.trained.after_step(moment)

    def trouble(self, values: Mapping[str, float]) -> str | None:
        """As ``Pretext.trouble``."""
        return self.trained.trouble(values)
