"""Pictures of what a masked pretraining makes of the same few clips while it learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from mien.data.dataset import Item
from mien.data.finish import finish
from mien.data.loader import collate
from mien.errors import MienError
from mien.pretext.gallery import save_gallery
from mien.pretext.masked_autoencoder import MaskedAutoencoder
from mien.training.experiment import Experiment

CLIPS = 4
TRIED = 16


class Gallery:
    """``gallery/<step>.png`` in a run's folder: original, masked, reconstructed (and motion) pictures.

    The first clips that can be read are shown under the same masks every time, so pictures of different steps compare.
    Nothing is drawn from a generator that training uses.

    Args:
        experiment: of a masked pretraining.
        folder: where pictures go.
    """

    def __init__(self, experiment: Experiment, folder: Path) -> None:
        self._dataset = experiment.train
        self._folder = folder
        self._batch: dict[str, Any] | None = None

    @classmethod
    def of(cls, experiment: Experiment, folder: Path) -> Gallery | None:
        """The gallery of a run; None where what is trained makes no pictures."""
        return cls(experiment, folder) if isinstance(experiment.objective.trained, MaskedAutoencoder) else None

    def show(self, module: nn.Module, step: int, device: torch.device) -> Image.Image | None:
        """Write the picture of a step and return it; None where there is nothing that can be shown."""
        assert isinstance(module, MaskedAutoencoder)
        batch = self._clips()
        if not batch["ids"]:
            return None
        found = {name: value for name, value in batch.items() if isinstance(value, torch.Tensor)}
        tensors = finish(found, self._dataset.inputs.video, device)
        modes = [(part, part.training) for part in module.modules()]
        module.eval()
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            return save_gallery(module.reconstruct(tensors), self._folder / f"{step:08}.png")
        except MienError:  # targets of which no picture can be made (groups that are longer than a tubelet)
            return None
        finally:
            for part, mode in modes:
                part.training = mode

    def _clips(self) -> dict[str, Any]:
        if self._batch is None:
            clips: list[Item] = []
            for position in range(min(TRIED, len(self._dataset))):
                item = self._dataset.item(0, position)
                if isinstance(item, Item) and len(clips) < CLIPS:
                    clips.append(item)
            self._batch = collate(clips)
        return self._batch


def as_array(picture: Image.Image) -> np.ndarray:
    """uint8 ``(H, W, 3)``, for TensorBoard."""
    return np.asarray(picture.convert("RGB"))
