"""Heads: a linear layer on the pooled features of a clip, or on its features over time."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from mien.errors import UsageError
from mien.models.contract import Encoder, Features, ModelInputs
from mien.models.specification import TaskConfig
from mien.tasks.options import HeadOptions

INIT_STD = 0.02


def _linear(width: int, outputs: int, init_scale: float) -> nn.Linear:
    layer = nn.Linear(width, outputs)
    nn.init.trunc_normal_(layer.weight, std=INIT_STD)
    nn.init.zeros_(layer.bias)
    layer.weight.data.mul_(init_scale)
    return layer


def make_head(encoder: Encoder, config: TaskConfig, options: HeadOptions) -> nn.Module:
    """The linear head for a task's level, one row of weights per output."""
    head = ClipHead if config.level == "clip" else FrameHead
    return head(encoder.feature_dim, len(config.outputs), options.init_scale, options.dropout)


class ClipHead(nn.Module):
    """``Features.pooled (B, D)`` → ``(B, K)``.

    Args:
        width: D.
        outputs: K.
        init_scale: factor on the initial weights (normal, standard deviation 0.02, bias 0); small values such as
            0.001 keep a fine-tuned encoder undisturbed in the first steps.
        dropout: share of features dropped in training.
    """

    def __init__(self, width: int, outputs: int, init_scale: float = 1.0, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = _linear(width, outputs, init_scale)

    def forward(self, features: Features, inputs: ModelInputs) -> Tensor:
        """See the class; ``inputs`` are not needed."""
        outputs: Tensor = self.linear(self.dropout(features.pooled))
        return outputs


class FrameHead(nn.Module):
    """``Features.frames (B, T', D)`` → ``(B, T, K)``, one row per frame of ``inputs["video"]``.

    An encoder's time step covers several frames. Outputs are placed at the centre of the frames that a step covers
    and interpolated linearly to the centre of every frame; before the first and after the last centre they are held.
    Without pictures among the inputs the outputs stay at the encoder's T' steps. Arguments as for ``ClipHead``.

    Raises:
        UsageError: the encoder gives no features over time.
    """

    def __init__(self, width: int, outputs: int, init_scale: float = 1.0, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = _linear(width, outputs, init_scale)

    def forward(self, features: Features, inputs: ModelInputs) -> Tensor:
        """See the class."""
        if features.frames is None:
            raise UsageError("this encoder gives no features over time; choose level: clip or another model")
        outputs: Tensor = self.linear(self.dropout(features.frames))
        video = inputs.get("video")
        return outputs if video is None else to_frames(outputs, video.shape[2])


def to_frames(outputs: Tensor, frames: int) -> Tensor:
    """Linear interpolation over time between the centres of steps: ``(B, T', K)`` → ``(B, frames, K)``."""
    if outputs.shape[1] == frames:
        return outputs
    stretched = functional.interpolate(outputs.transpose(1, 2), size=frames, mode="linear", align_corners=False)
    return stretched.transpose(1, 2)
