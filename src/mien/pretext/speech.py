"""Targets of LiRA that a frozen speech network makes: a hidden layer of HuBERT or wav2vec 2.0 (``mien[hf]``)."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mien.errors import MienError, UsageError
from mien.pretext.acoustic import Acoustics

CLASSES = {"hubert": "HubertModel", "wav2vec2": "Wav2Vec2Model"}
SEEN = 0.025  # seconds of sound that one feature sees


class HiddenLayer:
    """A hidden layer of a frozen speech network at every video frame. No part of any state dict.

    The waveform of each clip is brought to zero mean and unit variance, as large checkpoints of this kind want it.

    Args:
        acoustics: kind, source, layer, and how features meet frames.
        step: seconds of a video frame.

    Raises:
        UsageError: transformers is missing, or the checkpoint has no such layer.
        MienError: the checkpoint is not on this machine.
    """

    def __init__(self, acoustics: Acoustics, step: float) -> None:
        self.acoustics, self.step = acoustics, step
        self._network = _pretrained(CLASSES[acoustics.kind], acoustics.source)
        self.width = int(self._network.config.hidden_size)
        last = int(self._network.config.num_hidden_layers)
        if not 0 <= acoustics.layer <= last:
            raise UsageError(f"pretext.options.layer={acoustics.layer}: {acoustics.source} has layers 0 to {last}")

    @torch.no_grad()
    def __call__(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """``(B, T, D)`` and bool ``(B, T)`` of a batch with ``sound`` ``(B, S)`` at 16 kHz, ``times``, ``length``."""
        sound = batch["sound"].float()
        self._network.to(sound.device)
        centred = sound - sound.mean(dim=1, keepdim=True)
        scaled = centred / (sound.var(dim=1, keepdim=True, correction=0) + 1e-7).sqrt()
        made = self._network(scaled, output_hidden_states=True).hidden_states[self.acoustics.layer].float()
        present = functional.interpolate(batch["sound_present"][:, None].float(), made.shape[1])[:, 0] > 0
        # from where a frame begins to where its first feature would, the middle of what that sees
        starts = batch["times"] - batch["times"][:, :1] + 0.5 * (self.acoustics.seconds - SEEN)
        rows = zip(made, present, starts.nan_to_num().float().to(made.device), strict=True)
        frames = [self.acoustics.meet(values, there, start, self.step) for values, there, start in rows]
        heard = torch.stack([one for one, _ in frames])
        valid = torch.arange(heard.shape[1], device=heard.device) < batch["length"][:, None]
        return heard, torch.stack([there for _, there in frames]) & valid


def _pretrained(name: str, source: str) -> Any:
    try:
        transformers = import_module("transformers")
    except ImportError as error:
        raise UsageError("a speech network as target needs an extra; install it: pip install 'mien[hf]'") from error
    transformers.logging.set_verbosity_error()
    try:
        # never as the empty shell that building on the meta device would make of it
        with torch.device("cpu"):
            model = getattr(transformers, name).from_pretrained(source, local_files_only=True)
    except Exception as error:  # the library raises OSError, ValueError and those of its parts
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise MienError(
            f"{source} cannot be loaded as {name} from this machine ({reason}); first run: hf download {source}"
        ) from error
    return model.eval().requires_grad_(False)
