"""Judging the weights on the validation part while training, shared out over all processes."""

from __future__ import annotations

from lightning.fabric import Fabric
from torch import nn

from mien.data.augment import Deterministic
from mien.data.dataset import ClipDataset
from mien.data.loader import ClipLoader
from mien.data.order import EpochOrder
from mien.data.sampling import CoveringWindows, EvenViews, Sampling
from mien.errors import MienError
from mien.evaluation.averaging import average_groups
from mien.evaluation.predictions import MOST_VIEWS, Predictions, predict_views
from mien.evaluation.scores import figures
from mien.tasks import Task
from mien.training.experiment import Experiment, target_spec
from mien.training.hardware import gather


class Validation:
    """Metrics of a module on the validation part of an experiment's protocol.

    Every clip is judged once, whatever the number of processes, and the metrics are those of all clips together. Clips
    are read as ``mien evaluate`` reads them; those that cannot be read are missing from ``n``.
    """

    def __init__(self, experiment: Experiment, task: Task, fabric: Fabric) -> None:
        recipe, inputs = experiment.recipe, experiment.specification.inputs
        self._task, self._fabric, self._manifest = task, fabric, experiment.manifest
        self._bf16 = fabric.strategy.precision.precision == "bf16-mixed"
        sampling: Sampling = EvenViews(segments=recipe.data.sampling.views)
        if task.config.level == "frame":
            sampling = CoveringWindows()
        dataset = ClipDataset(
            experiment.manifest,
            experiment.protocol.validation,
            inputs,
            sampling,
            Deterministic(inputs),
            targets=target_spec(task),
            seed=recipe.seed,
            streams=recipe.data.streams,
        )
        order = EpochOrder(
            recipe.seed,
            len(dataset),
            dataset.at_once(recipe.part),
            shuffle=False,
            drop_last=False,
            rank=fabric.global_rank,
            world=fabric.world_size,
        )
        self._most_views = min(MOST_VIEWS, 2 * recipe.part)
        self._loader = ClipLoader(dataset, order, recipe.data.workers, max_unreadable=None)

    def __call__(self, module: nn.Module) -> dict[str, float]:
        """Metrics by name, the one that selects weights first; ``n`` is the number of clips judged."""
        predictions = self.predictions(module)
        if self._task.per_group:
            predictions = average_groups(predictions, self._manifest)
        return {**figures(self._task, predictions), "n": float(len(predictions.clips))}

    def predictions(self, module: nn.Module) -> Predictions:
        """What a module says about all validation clips; all processes take part and get the same."""
        self._loader.set_epoch(0)
        own = predict_views(module, self._task, self._loader, self._bf16, self._most_views)
        predictions = Predictions.join(gather(self._fabric, own))
        if not predictions.clips:
            raise MienError(f"no validation clip could be read; the first: {predictions.failures[0].reason}")
        return predictions
