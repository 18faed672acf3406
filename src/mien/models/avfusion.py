"""Audiovisual self-attention fusion: a face branch and a sound branch, joined by attention over time.

Chumachenko, Iosifidis and Gabbouj, "Self-attention fusion for audiovisual emotion recognition with incomplete data",
ICPR 2022, arXiv 2201.11095. The three fusions are written against ``Branch``, so any pair of encoders can be fused.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from mien.models.contract import Encoder, Features, ModelInputs
from mien.models.efficientface import EfficientFace
from mien.models.registry import register_model
from mien.models.specification import IMAGENET_MEAN, IMAGENET_STD, Inputs, SoundInput, VideoInput

Fusion = Literal["late_transformer", "intermediate_transformer", "intermediate_attention"]


def _temporal_block(before: int, width: int, valid: bool) -> nn.Sequential:
    """Convolution over time with batch norm; ``valid`` drops the padding and pools, as the sound branch does."""
    layers: list[nn.Module] = [nn.Conv1d(before, width, 3, padding=0 if valid else 1), nn.BatchNorm1d(width), nn.ReLU()]
    if valid:
        layers.append(nn.MaxPool1d(2, stride=1))
    return nn.Sequential(*layers)


class Branch(nn.Module):
    """One modality in two stages, both over time.

    Args:
        modality: key of the model inputs.
        encoder: makes per-frame features of the modality; None when the inputs are features ``(B, F, L)`` already.
        widths: channels of the four temporal blocks, two per stage, preceded by the input's.
        valid: blocks without padding that pool (published for sound) instead of length-keeping ones.
        spare_classes: keep the classifier that the published branch stores but does not use in fusion.
    """

    def __init__(
        self,
        modality: str,
        encoder: Encoder | None,
        widths: tuple[int, int, int, int, int],
        valid: bool = False,
        spare_classes: int | None = None,
    ) -> None:
        super().__init__()
        self.modality = modality
        self.encoder = encoder
        self.widths = (widths[2], widths[4])
        pairs = list(pairwise(widths))
        self.stages = nn.ModuleList(
            nn.Sequential(*(_temporal_block(before, width, valid) for before, width in pairs[at : at + 2]))
            for at in (0, 2)
        )
        self.spare = nn.Linear(widths[4], spare_classes) if spare_classes else None

    def first(self, inputs: ModelInputs) -> Tensor:
        """Modality → ``(B, time, widths[0])`` after the first stage."""
        x = inputs[self.modality]
        if self.encoder is not None:
            frames = self.encoder.forward_features({"video": x}).frames
            assert frames is not None
            x = frames.transpose(1, 2)
        return self.stages[0](x).transpose(1, 2)

    def second(self, x: Tensor) -> Tensor:
        """``(B, time, widths[0])`` → ``(B, time', widths[1])``."""
        return self.stages[1](x.transpose(1, 2)).transpose(1, 2)


class CrossAttention(nn.Module):
    """Queries of one modality over keys of the other; the value path can be left unused (``weights``)."""

    def __init__(self, keys: int, queries: int, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(queries, width, bias=False)
        self.key_value = nn.Linear(keys, 2 * width, bias=False)
        self.projection = nn.Linear(width, width)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, context: Tensor, x: Tensor) -> Tensor:
        """``context (B, Nk, keys)``, ``x (B, Nq, queries)`` → ``(B, Nq, width)``."""
        key, value = self.key_value(context).chunk(2, dim=-1)
        out = nn.functional.scaled_dot_product_attention(
            self._split(self.query(x)), self._split(key), self._split(value)
        )
        attended: Tensor = self.projection(out.transpose(1, 2).flatten(2))
        return attended

    def weights(self, context: Tensor, x: Tensor) -> Tensor:
        """Attention probabilities averaged over heads, ``(B, Nq, Nk)``."""
        key, _ = self.key_value(context).chunk(2, dim=-1)
        query = self._split(self.query(x))
        scores = query @ self._split(key).transpose(-2, -1) * query.shape[-1] ** -0.5
        return scores.softmax(dim=-1).mean(dim=1)


class FusionTransformer(nn.Module):
    """Cross-attention without a residual around it, then a residual MLP (as published)."""

    def __init__(self, keys: int, queries: int, width: int, heads: int) -> None:
        super().__init__()
        self.norm_query = nn.LayerNorm(queries)
        self.norm_key = nn.LayerNorm(keys)
        self.attention = CrossAttention(keys, queries, width, heads)
        self.norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, context: Tensor, x: Tensor) -> Tensor:
        x = self.attention(self.norm_key(context), self.norm_query(x))
        out: Tensor = x + self.mlp(self.norm(x))
        return out


class AudioVisualFusion(Encoder):
    """Two branches and a fusion; ``pooled (B, D)`` is the concatenation (sound, video) of their means over time.

    Args:
        sound: branch of the voice.
        video: branch of the face.
        fusion: ``late_transformer`` (after both branches), ``intermediate_transformer`` (between their stages) or
            ``intermediate_attention`` (attention weights alone gate the other modality between the stages).
        heads: attention heads; no tensor's shape tells their number, so a checkpoint needs it given.
    """

    modalities = ("video", "sound")

    def __init__(self, sound: Branch, video: Branch, fusion: Fusion, heads: int = 1) -> None:
        super().__init__()
        self.sound = sound
        self.video = video
        self.fusion = fusion
        self.depth = 1
        if fusion == "late_transformer":
            width = max(sound.widths[1], video.widths[1])
            self.to_sound: nn.Module = FusionTransformer(video.widths[1], sound.widths[1], width, heads)
            self.to_video: nn.Module = FusionTransformer(sound.widths[1], video.widths[1], width, heads)
            self.feature_dim = 2 * width
            return
        join = FusionTransformer if fusion == "intermediate_transformer" else CrossAttention
        self.to_sound = join(video.widths[0], sound.widths[0], sound.widths[0], heads)
        self.to_video = join(sound.widths[0], video.widths[0], video.widths[0], heads)
        self.feature_dim = sound.widths[1] + video.widths[1]

    def forward_features(self, inputs: ModelInputs) -> Features:
        """``pooled`` only: the two modalities have different numbers of time steps."""
        sound, video = self.sound.first(inputs), self.video.first(inputs)
        if self.fusion == "late_transformer":
            sound, video = self.sound.second(sound), self.video.second(video)
            sound, video = self.to_sound(video, sound), self.to_video(sound, video)
        else:
            if self.fusion == "intermediate_transformer":
                sound, video = sound + self.to_sound(video, sound), video + self.to_video(sound, video)
            else:
                assert isinstance(self.to_sound, CrossAttention)
                assert isinstance(self.to_video, CrossAttention)
                # Probabilities summed over queries are not normalised; the published models were trained so.
                on_video = self.to_sound.weights(video, sound).sum(dim=1)
                on_sound = self.to_video.weights(sound, video).sum(dim=1)
                sound, video = sound * on_sound[..., None], video * on_video[..., None]
            sound, video = self.sound.second(sound), self.video.second(video)
        return Features(pooled=torch.cat([sound.mean(dim=1), video.mean(dim=1)], dim=-1))

    def layer_of(self, name: str) -> int:
        """0 for the per-frame face encoder, 1 for everything else before the head."""
        return 0 if name.startswith("video.encoder.") else 1


_SOUND = SoundInput(rate=22050, features="mfcc", options={"coefficients": 10})
_VIDEO = VideoInput(frames=15, fps=25 / 6, size=224, mean=IMAGENET_MEAN, std=IMAGENET_STD)


def _published(fusion: Fusion, heads: int, spare_classes: int | None) -> AudioVisualFusion:
    sound = Branch("sound", None, (10, 64, 128, 256, 128), valid=True, spare_classes=spare_classes)
    video = Branch("video", EfficientFace(), (1024, 64, 64, 128, 128), spare_classes=spare_classes)
    return AudioVisualFusion(sound, video, fusion, heads)


@register_model(Inputs(video=_VIDEO, sound=_SOUND))
def avfusion_late_transformer(heads: int = 1, spare_classes: int | None = None) -> AudioVisualFusion:
    """Late transformer fusion ("lt"), 2.05 M parameters with 8 classes, arXiv 2201.11095."""
    return _published("late_transformer", heads, spare_classes)


@register_model(Inputs(video=_VIDEO, sound=_SOUND))
def avfusion_intermediate_transformer(heads: int = 1, spare_classes: int | None = None) -> AudioVisualFusion:
    """Intermediate transformer fusion ("it"), 1.94 M parameters with 8 classes, arXiv 2201.11095."""
    return _published("intermediate_transformer", heads, spare_classes)


@register_model(Inputs(video=_VIDEO, sound=_SOUND))
def avfusion_intermediate_attention(heads: int = 1, spare_classes: int | None = None) -> AudioVisualFusion:
    """Intermediate attention fusion ("ia", published default), 1.85 M parameters with 8 classes, arXiv 2201.11095."""
    return _published("intermediate_attention", heads, spare_classes)
