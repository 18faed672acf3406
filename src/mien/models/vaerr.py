"""SS-VAERR encoder: a 3-D convolution in front of a per-frame ResNet-18.

Jegorova, Petridis and Pantic, "SS-VAERR: Self-Supervised Apparent Emotional Reaction Recognition from Video",
FG 2023, arXiv 2210.11341. Every output frame sees two frames to either side; a recurrent head
(``mien.tasks.recurrent``) adds the longer context.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from mien.errors import UsageError
from mien.models.contract import Encoder, Features, ModelInputs, video_of
from mien.models.registry import register_model
from mien.models.specification import Inputs, VideoInput

Activation = Literal["relu", "prelu"]
Frozen = Literal["none", "stem", "all"]


def _activation(kind: Activation, width: int) -> nn.Module:
    if kind == "relu":
        return nn.ReLU()
    if kind == "prelu":
        return nn.PReLU(width)
    raise UsageError(f"activation={kind!r} is not known; choose relu or prelu")


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm around a shortcut (He et al. 2016), ``(N, C, H, W)`` → ``(N, C', h, w)``."""

    def __init__(self, before: int, width: int, stride: int, activation: Activation, pooled_shortcut: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.act1 = _activation(activation, width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.act2 = _activation(activation, width)
        self.shortcut: nn.Sequential | None = None
        if stride != 1 or before != width:
            pool = nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False)
            projection = nn.Conv2d(before, width, 1, 1 if pooled_shortcut else stride, bias=False)
            self.shortcut = nn.Sequential(
                *([pool] if pooled_shortcut else []),
                projection,
                nn.BatchNorm2d(width),
            )

    def forward(self, x: Tensor) -> Tensor:
        """``(N, before, H, W)`` → ``(N, width, H / stride, W / stride)``, rounded up."""
        short = x if self.shortcut is None else self.shortcut(x)
        x = self.act1(self.norm1(self.conv1(x)))
        out: Tensor = self.act2(self.norm2(self.conv2(x)) + short)
        return out


class FrameResNet(Encoder):
    """3-D stem and ResNet stages that keep the number of frames.

    Args:
        widths: channels of the stages; the first is also the stem's.
        blocks: residual blocks per stage.
        channels: 1 for grey (published), 3 for colour.
        activation: ``relu`` (published) or ``prelu``.
        pooled_shortcut: average-pool before the shortcut's projection instead of striding it.
        frozen: what fine-tuning leaves as it is: ``none``, the 3-D ``stem``, or ``all`` of the encoder. Frozen batch
            norms keep their running statistics too (in the published code these move on).

    Input ``video`` is ``(B, channels, T, H, W)`` of any size; ``frames`` of the result is ``(B, T, widths[-1])``.
    """

    modalities = ("video",)

    def __init__(
        self,
        widths: tuple[int, ...] = (64, 128, 256, 512),
        blocks: int = 2,
        channels: int = 1,
        activation: Activation = "relu",
        pooled_shortcut: bool = False,
        frozen: Frozen = "none",
    ) -> None:
        super().__init__()
        if frozen not in ("none", "stem", "all"):
            raise UsageError(f"frozen={frozen!r} is not known; choose none, stem or all")
        self.feature_dim = widths[-1]
        self.depth = len(widths)
        stem = widths[0]
        self.stem = nn.Sequential(
            nn.Conv3d(channels, stem, (5, 7, 7), (1, 2, 2), (2, 3, 3), bias=False),
            nn.BatchNorm3d(stem),
            _activation(activation, stem),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
        )
        self.stages = nn.ModuleList()
        before = stem
        for i, width in enumerate(widths):
            stage = [ResidualBlock(before, width, 1 if i == 0 else 2, activation, pooled_shortcut)]
            stage += [ResidualBlock(width, width, 1, activation, pooled_shortcut) for _ in range(blocks - 1)]
            self.stages.append(nn.Sequential(*stage))
            before = width
        self.apply(_initialise)
        frozen_by_name: dict[str, list[nn.Module]] = {"none": [], "stem": [self.stem], "all": [self.stem, self.stages]}
        self._frozen = frozen_by_name[frozen]
        for module in self._frozen:
            module.requires_grad_(False)

    def train(self, mode: bool = True) -> FrameResNet:
        """As ``nn.Module.train``; what is frozen stays in eval mode."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def forward_features(self, inputs: ModelInputs) -> Features:
        """``pooled`` is the mean over valid frames (``length``), ``frames`` one vector per input frame."""
        x = self.stem(video_of(inputs).float())
        batch, _, frames = x.shape[:3]
        x = x.transpose(1, 2).flatten(0, 1)
        for stage in self.stages:
            x = stage(x)
        x = x.mean(dim=(2, 3)).view(batch, frames, self.feature_dim)
        return Features(pooled=_mean_over_time(x, inputs.get("length")), frames=x)

    def layer_of(self, name: str) -> int:
        """0 for the stem, i + 1 for stage i."""
        if name.startswith("stem."):
            return 0
        if name.startswith("stages."):
            return int(name.split(".")[1]) + 1
        return self.depth + 1


def _mean_over_time(frames: Tensor, length: Tensor | None) -> Tensor:
    if length is None:
        return frames.mean(dim=1)
    steps = torch.arange(frames.shape[1], device=frames.device)
    valid = (steps[None] < length[:, None].to(frames)).to(frames)[..., None]
    return (frames * valid).sum(dim=1) / valid.sum(dim=1).clamp(min=1)


def _initialise(module: nn.Module) -> None:
    """Gaussian with variance 2 / (kernel volume * output channels) for convolutions, as published."""
    if isinstance(module, nn.Conv2d | nn.Conv3d):
        nn.init.normal_(module.weight, std=math.sqrt(2.0 / (math.prod(module.kernel_size) * module.out_channels)))


_GREY = VideoInput(frames=None, fps=25.0, size=96, channels="grey", mean=(0.421,), std=(0.165,))


@register_model(Inputs(video=_GREY))
def vaerr_resnet18(**arguments: object) -> FrameResNet:
    """SS-VAERR's shared trunk: 3-D stem and ResNet-18, 11.18 M parameters, grey faces, every frame a 512-d vector.

    Paper: arXiv 2210.11341 (FG 2023). No checkpoint is published; pretrain with LiRA, BYOL or DINO.
    Default input statistics are those that the authors used for SEWA.
    """
    return FrameResNet(**arguments)  # type: ignore[arg-type]


@register_model(Inputs(video=_GREY.model_copy(update={"size": 48})))
def vaerr_test(**arguments: object) -> FrameResNet:
    """A small SS-VAERR trunk (stages 16, 32, 48, 64 with one block each) for tests and small machines."""
    settings: dict[str, object] = {"widths": (16, 32, 48, 64), "blocks": 1, **arguments}
    return FrameResNet(**settings)  # type: ignore[arg-type]
