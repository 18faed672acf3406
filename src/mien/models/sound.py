"""Encoders of sound."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from mien.errors import MienError
from mien.models.contract import Encoder, Features, ModelInputs
from mien.models.registry import register_model
from mien.models.specification import Inputs, SoundInput


class LogMelCNN(Encoder):
    """Convolutions over a log-mel spectrogram ``(B, bands, L)``.

    Two 3x3 convolutions per stage; every stage but the first halves time and frequency. What is left of frequency is
    averaged: ``frames (B, L / 2^(stages - 1), D)``, ``pooled`` is their mean.

    Args:
        bands: mel bands of the input.
        widths: channels of the stages.
    """

    modalities = ("sound",)

    def __init__(self, bands: int = 64, widths: tuple[int, ...] = (32, 64, 128)) -> None:
        super().__init__()
        self.feature_dim = widths[-1]
        self.depth = len(widths)
        self.bands = bands
        self.norm = nn.BatchNorm1d(bands)
        self.stages = nn.ModuleList(
            _stage(before, width, 1 if number == 0 else 2)
            for number, (before, width) in enumerate(pairwise((1, *widths)))
        )

    def forward_features(self, inputs: ModelInputs) -> Features:
        """``inputs["sound"]`` is ``(B, bands, L)`` in decibels."""
        if "sound" not in inputs:
            raise MienError(f"this model needs sound; the batch holds {', '.join(sorted(inputs)) or 'nothing'}")
        sound = inputs["sound"]
        if sound.ndim != 3 or sound.shape[1] != self.bands:
            raise MienError(
                f"sound of shape {tuple(sound.shape)} does not fit; this model takes {self.bands} mel bands"
            )
        x = self.norm(sound)[:, None]
        for stage in self.stages:
            x = stage(x)
        frames: Tensor = x.mean(dim=2).transpose(1, 2)
        return Features(pooled=frames.mean(dim=1), frames=frames)

    def layer_of(self, name: str) -> int:
        """0 the normalisation of bands, i + 1 stage i."""
        part = name.split(".")
        return int(part[1]) + 1 if part[0] == "stages" else 0


def _stage(before: int, width: int, stride: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for enter, step in ((before, stride), (width, 1)):
        layers += [nn.Conv2d(enter, width, 3, step, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers)


def log_mel_input(bands: int) -> SoundInput:
    """Log-mel bands every 10 ms of sound at 16 kHz."""
    options = {"bands": bands, "n_fft": 512, "window": 400, "hop": 160}
    return SoundInput(rate=16000, features="log_mel", options=options)


@register_model(Inputs(sound=log_mel_input(64)))
def logmel_cnn() -> LogMelCNN:
    """A plain CNN over 64 log-mel bands of 10 ms, 0.29 M parameters. Ours; no published weights."""
    return LogMelCNN()


@register_model(Inputs(sound=log_mel_input(32)))
def logmel_cnn_test() -> LogMelCNN:
    """A small ``logmel_cnn`` for tests: 32 bands, 8 and 16 channels."""
    return LogMelCNN(32, (8, 16))
