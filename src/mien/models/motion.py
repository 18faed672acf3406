"""MAE-DFER-CA's motion branch: a small convolutional network with continuous attention on one motion picture.

The branch was published with an LGI-Former (MAE-DFER-CA); its blocks come from MMNet, a network for micro-expressions.
Here it can join any encoder that pools a clip. On FERV39k the published gain over plain MAE-DFER is within noise: see
``docs/systems/maedfer_ca.md``.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.models.contract import Encoder, Features, ModelInputs, video_of
from mien.models.maedfer import maedfer_base, maedfer_test
from mien.models.registry import register_model
from mien.models.tubelet import face_clips
from mien.nn import Block, SelfAttention

NORM_EPS = 1e-6


def motion_picture(video: Tensor) -> Tensor:
    """Mean over time minus the first frame: ``(B, C, T, H, W)`` → ``(B, C, H, W)``."""
    return video.mean(dim=2) - video[:, :, 0]


def _convolution(before: int, width: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    convolution = nn.Conv2d(before, width, kernel, stride, kernel // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out")
    return convolution


class ContinuousAttentionBlock(nn.Module):
    """Residual block whose spatial attention multiplies the one handed on by the block before.

    ``(N, C, H, W)`` and attention ``(N, 1, h, w)`` or None → ``(N, C', h, w)`` and the new attention ``(N, 1, h, w)``.
    """

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _convolution(before, width, 3, stride)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = _convolution(width, width, 1)
        self.norm2 = nn.BatchNorm2d(width)
        self.attention = nn.Sequential(_convolution(2, 1, 1), nn.BatchNorm2d(1), nn.Sigmoid())
        self.shortcut: nn.Sequential | None = None
        if stride != 1 or before != width:
            self.shortcut = nn.Sequential(_convolution(before, width, 1, stride), nn.BatchNorm2d(width))

    def forward(self, x: Tensor, previous: Tensor | None) -> tuple[Tensor, Tensor]:
        """See the class."""
        short = x if self.shortcut is None else self.shortcut(x)
        x = F.relu(self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))) + short)
        attention = self.attention(torch.cat((x.mean(1, keepdim=True), x.amax(1, keepdim=True)), dim=1))
        if previous is not None:
            attention = previous * attention
        return x * attention, attention


class PositionBranch(nn.Module):
    """Two transformer blocks on the first frame, shrunk to one pixel per place: ``(B, 3, H, W)`` → ``(B, C, g, g)``.

    Args:
        dim: channels C of the map.
        side: places per row and column, g.
        antialias: shrink with a low-pass filter. False is what the published runs did.
        spare: keep tensors that published checkpoints store without using them.
    """

    def __init__(self, dim: int, side: int, antialias: bool, spare: bool) -> None:
        super().__init__()
        self.side = side
        self.antialias = antialias
        self.embedding = nn.Conv2d(3, dim, 1)
        self.positions = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, side * side, dim), std=0.02))
        self.blocks = nn.ModuleList(Block(dim, 4, mlp_ratio=2.0, norm_eps=NORM_EPS) for _ in range(2))
        for block in self.blocks:
            block.attention = SelfAttention(dim, 4, full_bias=True)
        self.norm = nn.LayerNorm(dim, eps=NORM_EPS)
        if spare:
            self.spare_token = nn.Parameter(torch.zeros(1, 1, dim))
            self.spare_head = nn.Linear(dim, 5)
            self.spare_mask = nn.Linear(dim, 1)

    def forward(self, picture: Tensor) -> Tensor:
        """See the class."""
        small = F.interpolate(picture, (self.side, self.side), mode="bilinear", antialias=self.antialias)
        tokens = self.embedding(small).flatten(2).transpose(1, 2) + self.positions
        for block in self.blocks:
            tokens = block(tokens)
        out: Tensor = self.norm(tokens).transpose(1, 2).unflatten(2, (self.side, self.side))
        return out


class MotionBranch(nn.Module):
    """Clip ``(B, 3, T, H, W)`` → motion feature ``(B, D)``, not negative and not normalised.

    Args:
        size: side of the clip in pixels, a multiple of 16.
        dim: width D.
        position: add a map from the first frame before the last layer.
        antialias, spare: see ``PositionBranch``; ``spare`` also keeps an unused classifier of the published block.
        widths: channels of the stem, the entry and the four stages.
    """

    def __init__(
        self,
        size: int,
        dim: int,
        position: bool = False,
        antialias: bool = False,
        spare: bool = False,
        widths: tuple[int, ...] = (180, 128, 128, 128, 256, 512),
    ) -> None:
        super().__init__()
        stem, entry, *stages = widths
        self.stem = nn.Sequential(nn.Conv2d(3, stem, 3, 2, 1, bias=False), nn.BatchNorm2d(stem), nn.ReLU())
        self.entry = nn.Sequential(_convolution(stem, entry, 3), nn.BatchNorm2d(entry), nn.ReLU())
        self.stages = nn.ModuleList()
        before = entry
        for i, width in enumerate(stages):
            self.stages.append(ContinuousAttentionBlock(before, width, 1 if i == 0 else 2))
            before = width
        side = size // 16
        self.position = PositionBranch(before, side, antialias, spare) if position else None
        self.project = nn.Linear(before * side * side, dim)
        self.spare = nn.Linear(512 * 14 * 14, 7) if spare else None

    def forward(self, video: Tensor) -> Tensor:
        """See the class."""
        x = self.entry(self.stem(motion_picture(video)))
        attention: Tensor | None = None
        for i, stage in enumerate(self.stages):
            if attention is not None and i > 0:
                attention = F.max_pool2d(attention, 3, 2, 1)
            x, attention = stage(x, attention)
        if self.position is not None:
            x = x + self.position(video[:, :, 0])
        return F.relu(self.project(x.flatten(1)))


class MotionEncoder(Encoder):
    """An encoder joined by the motion branch.

    Args:
        encoder: pools a clip to ``(B, D)``.
        size: side of the clip in pixels.
        join: ``add`` the motion feature to the pooled one, or ``cat`` it behind (then features are twice as wide).
        branch: further options of ``MotionBranch``.
    """

    def __init__(self, encoder: Encoder, size: int, join: Literal["add", "cat"] = "add", **branch: Any) -> None:
        super().__init__()
        self.encoder = encoder
        self.motion = MotionBranch(size, encoder.feature_dim, **branch)
        self.join = join
        self.depth = encoder.depth
        self.feature_dim = encoder.feature_dim * (2 if join == "cat" else 1)

    def forward_features(self, inputs: ModelInputs) -> Features:
        """As the encoder's, ``pooled`` joined with the motion feature; per-frame features have no motion part."""
        features = self.encoder.forward_features(inputs)
        motion = self.motion(video_of(inputs))
        pooled = features.pooled + motion if self.join == "add" else torch.cat((features.pooled, motion), dim=1)
        frames = features.frames if self.join == "add" else None
        return Features(pooled, features.tokens, frames)

    def layer_of(self, name: str) -> int:
        """As the encoder for its parameters; the branch belongs to the last layer (as published)."""
        inner = name.removeprefix("encoder.")
        return self.encoder.layer_of(inner) if inner != name else self.depth + 1

    def core(self) -> tuple[str, Encoder]:
        """The encoder beside the branch."""
        return "encoder.", self.encoder

    def no_weight_decay(self) -> set[str]:
        """As the encoder."""
        return {f"encoder.{name}" for name in self.encoder.no_weight_decay()}


_BASE = face_clips(frames=16, stride=1, size=160)


def _base(join: Literal["add", "cat"], branch: dict[str, Any], arguments: dict[str, Any]) -> MotionEncoder:
    for option in ("antialias", "spare"):
        if option in arguments:
            branch[option] = arguments.pop(option)
    encoder = maedfer_base(**arguments)
    return MotionEncoder(encoder, arguments.get("size", 160), join, **branch)


@register_model(_BASE)
def maedfer_ca_add(**arguments: Any) -> MotionEncoder:
    """MAE-DFER-CA ``add``: 114.3 M parameters with 7 classes, 52.8 GMAC. Published FERV39k UAR / WAR: 42.30 / 52.40 %.

    Source: drink36/MAE-DFER-CA. ``spare=True`` keeps the unused tensors of published checkpoints.
    """
    return _base("add", {}, arguments)


@register_model(_BASE)
def maedfer_ca_add_4x5x10(**arguments: Any) -> MotionEncoder:
    """MAE-DFER-CA ``add(4*5)``: regions of 4x5x10 tokens. Published FERV39k UAR / WAR: 41.00 / 51.33 %.

    The tokens of the eight pretrained regions do not fit its four; hand-over starts them anew, as published.
    """
    model = _base("add", {}, {"region": (4, 5, 10)} | arguments)
    model.encoder.fresh = (*model.encoder.fresh, "region_tokens")
    return model


@register_model(_BASE)
def maedfer_ca_add_pos(**arguments: Any) -> MotionEncoder:
    """MAE-DFER-CA ``add(pos)``: with the position branch, 118.6 M. Published FERV39k UAR / WAR: 42.02 / 52.08 %."""
    return _base("add", {"position": True}, arguments)


@register_model(_BASE)
def maedfer_ca_cat(**arguments: Any) -> MotionEncoder:
    """MAE-DFER-CA ``cat``: features side by side, 114.3 M. Published FERV39k UAR / WAR: 42.20 / 52.30 %."""
    return _base("cat", {}, arguments)


@register_model(face_clips(frames=8, stride=2, size=64))
def maedfer_ca_test(**arguments: Any) -> MotionEncoder:
    """Tiny ``add(pos)`` motion branch on ``maedfer_test``. For tests; no published weights."""
    branch = {"position": True, "widths": (12, 8, 8, 8, 12, 16)}
    return MotionEncoder(maedfer_test(**arguments), arguments.get("size", 64), "add", **branch)
