"""Audiovisual self-attention fusion: a face branch and a sound branch, joined by attention over time.

Chumachenko, Iosifidis and Gabbouj, "Self-attention fusion for audiovisual emotion recognition with incomplete data",
ICPR 2022, arXiv 2201.11095. The three fusions are written against ``Branch``, so any pair of encoders can be fused.

The published models are told of a missing modality by zeros. Here it is marked (``<name>_present``): absent steps are
neither attended to nor averaged, and a learned step stands in for a modality that is absent altogether.
``absent="zeros"`` is the published way, which published weights need.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mien.errors import UsageError, nearest
from mien.faces.recipe import CropRecipe
from mien.models.branches import (
    Absent,
    Branch,
    BranchEncoder,
    Steps,
    TemporalBranch,
    depth_over,
    layer_over,
    need_one,
    undecayed,
)
from mien.models.contract import Encoder, Features, ModelInputs
from mien.models.efficientface import FACE_MEAN, FACE_STD, EfficientFace, efficientface_test
from mien.models.registry import create_encoder, register_model
from mien.models.sound import log_mel_input
from mien.models.specification import Inputs, SoundInput, VideoInput

Fusion = Literal["late_transformer", "intermediate_transformer", "intermediate_attention"]
FUSIONS: tuple[Fusion, ...] = ("late_transformer", "intermediate_transformer", "intermediate_attention")


class CrossAttention(nn.Module):
    """Queries of one modality over keys of the other; the value path can be left unused (``gates``)."""

    def __init__(self, keys: int, queries: int, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise UsageError(f"{heads} heads do not divide a width of {width}; choose other widths or heads")
        self.heads = heads
        self.query = nn.Linear(queries, width, bias=False)
        self.key_value = nn.Linear(keys, 2 * width, bias=False)
        self.projection = nn.Linear(width, width)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, context: Tensor, x: Tensor, present: Tensor | None = None) -> Tensor:
        """``context (B, Nk, keys)`` present at ``(B, Nk)``, ``x (B, Nq, queries)`` → ``(B, Nq, width)``."""
        key, value = self.key_value(context).chunk(2, dim=-1)
        mask = None if present is None else present[:, None, None]
        out = nn.functional.scaled_dot_product_attention(
            self._split(self.query(x)), self._split(key), self._split(value), mask
        )
        attended: Tensor = self.projection(out.transpose(1, 2).flatten(2))
        return attended

    def weights(self, context: Tensor, x: Tensor, present: Tensor | None = None) -> Tensor:
        """Attention probabilities averaged over heads, ``(B, Nq, Nk)``."""
        key, _ = self.key_value(context).chunk(2, dim=-1)
        query = self._split(self.query(x))
        scores = query @ self._split(key).transpose(-2, -1) * query.shape[-1] ** -0.5
        if present is not None:
            scores = scores.masked_fill(~present[:, None, None], float("-inf"))
        return scores.softmax(dim=-1).mean(dim=1)

    def gates(self, context: Steps, x: Steps) -> Tensor:
        """One weight per step of ``context``, ``(B, Nk)``: how much the steps of ``x`` attend to it.

        Their mean is 1 over the steps that are present. The published sum over queries is not normalised (its mean is
        Nq / Nk); models that are told nothing of absence keep it, since their weights were trained with it.
        """
        probabilities = self.weights(context.values, x.values, context.present)
        if x.present is None or context.present is None:
            return probabilities.sum(dim=1)
        asking = x.present[..., None].to(probabilities)
        share = (probabilities * asking).sum(dim=1) / asking.sum(dim=1)
        return share * context.present.sum(dim=1, keepdim=True)


class FusionTransformer(nn.Module):
    """Cross-attention without a residual around it, then a residual MLP (as published)."""

    def __init__(self, keys: int, queries: int, width: int, heads: int) -> None:
        super().__init__()
        self.norm_query = nn.LayerNorm(queries)
        self.norm_key = nn.LayerNorm(keys)
        self.attention = CrossAttention(keys, queries, width, heads)
        self.norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, context: Steps, x: Steps) -> Tensor:
        """Steps of the other modality and of one's own → ``(B, Nq, width)``."""
        attended = self.attention(self.norm_key(context.values), self.norm_query(x.values), context.present)
        out: Tensor = attended + self.mlp(self.norm(attended))
        return out


class AudioVisualFusion(Encoder):
    """Two branches and a fusion; ``pooled (B, D)`` is the concatenation (sound, video) of their means over time.

    ``frames (B, T, D)`` is the same at the moment of every picture of ``inputs["video"]``, whether it is seen or not
    (without pictures among the inputs: at the steps of the sound); per-frame tasks read it.

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
        if fusion not in FUSIONS:
            raise UsageError(f"fusion {fusion!r} is not known; {nearest(fusion, FUSIONS)}")
        self.sound = sound
        self.video = video
        self.fusion = fusion
        self.depth = depth_over(self._face())
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
        """``pooled`` and ``frames``."""
        need_one(inputs, self.modalities)
        sound, video = self.sound.first(inputs), self.video.first(inputs)
        if self.fusion == "late_transformer":
            sound, video = self.sound.second(sound), self.video.second(video)
            sound, video = (
                self._changed(sound, self.to_sound(video, sound)),
                self._changed(video, self.to_video(sound, video)),
            )
        else:
            sound, video = self._exchanged(sound, video)
            sound, video = self.sound.second(sound), self.video.second(video)
        moments = inputs["video"].shape[2] if "video" in inputs else sound.values.shape[1]
        return Features(
            pooled=torch.cat([sound.mean(), video.mean()], dim=-1),
            frames=torch.cat([sound.at(moments), video.at(moments)], dim=-1),
        )

    def _exchanged(self, sound: Steps, video: Steps) -> tuple[Steps, Steps]:
        """What each modality is between its stages, once the other has stepped in."""
        if isinstance(self.to_sound, CrossAttention) and isinstance(self.to_video, CrossAttention):
            on_video, on_sound = self.to_sound.gates(video, sound), self.to_video.gates(sound, video)
            new = sound.values * on_sound[..., None], video.values * on_video[..., None]
        else:
            new = sound.values + self.to_sound(video, sound), video.values + self.to_video(sound, video)
        return self._changed(sound, new[0]), self._changed(video, new[1])

    @staticmethod
    def _changed(steps: Steps, values: Tensor) -> Steps:
        """New values of the same steps; those that are not present stay empty."""
        if steps.present is not None:
            values = values * steps.present[..., None]
        return Steps(values, steps.present, steps.there, steps.rows)

    def _face(self) -> Encoder | None:
        encoder = getattr(self.video, "encoder", None)
        return encoder if isinstance(encoder, Encoder) else None

    def parts(self) -> dict[str, Encoder]:
        """Both branches, each an encoder of its own."""
        branches = {"video": self.video, "sound": self.sound}
        return {name: BranchEncoder(one) for name, one in branches.items() if isinstance(one, TemporalBranch)}

    def core(self) -> tuple[str, Encoder]:
        """The encoder of faces: weights pretrained on faces alone start it, and the rest starts anew."""
        face = self._face()
        return ("", self) if face is None else ("video.encoder.", face)

    def layer_of(self, name: str) -> int:
        """The face encoder's own layers, then one for everything else before the head."""
        return layer_over(name, "video.encoder.", self._face(), self.depth)

    def no_weight_decay(self) -> set[str]:
        """What the face encoder says."""
        return undecayed("video.encoder.", self._face())


SECONDS = 3.6
_SOUND = SoundInput(rate=22050, features="mfcc", options={"coefficients": 10, "padding": "reflect", "seconds": SECONDS})
_VIDEO = VideoInput(frames=15, fps=15 / SECONDS, size=224, mean=FACE_MEAN, std=FACE_STD, crop=CropRecipe(size=224))
_FUSED = Inputs(video=_VIDEO, sound=_SOUND)
_BLANKS = {"sound": (10, 156), "video": (3, 15, 224, 224)}
_TEST = Inputs(
    video=_VIDEO.model_copy(update={"frames": 8, "fps": 4.0, "size": 64, "crop": CropRecipe(size=64)}),
    sound=SoundInput(rate=8000, features="mfcc", options={"coefficients": 10, "seconds": 2.0}),
)


def published_inputs(frames: int) -> Inputs:
    """How the authors fed their weights: blue, green, red without normalisation, cut tightly around the face."""
    changes = {"frames": frames, "channels": "bgr", "mean": (0.0,) * 3, "std": (1.0,) * 3}
    crop = CropRecipe(size=_VIDEO.size, margin=0.0, fill="black")
    return Inputs(video=_VIDEO.model_copy(update=changes | {"crop": crop}), sound=_SOUND)


def _sound_branch(absent: Absent, spare_classes: int | None = None) -> TemporalBranch:
    return TemporalBranch(
        "sound",
        None,
        (10, 64, 128, 256, 128),
        valid=True,
        absent=absent,
        blank=_BLANKS["sound"],
        spare_classes=spare_classes,
    )


def _video_branch(absent: Absent, spare_classes: int | None = None) -> TemporalBranch:
    return TemporalBranch(
        "video",
        EfficientFace(),
        (1024, 64, 64, 128, 128),
        absent=absent,
        blank=_BLANKS["video"],
        spare_classes=spare_classes,
    )


def _published(fusion: Fusion, heads: int, absent: Absent, spare: int | None) -> AudioVisualFusion:
    return AudioVisualFusion(_sound_branch(absent, spare), _video_branch(absent, spare), fusion, heads)


def _small_sound(absent: Absent = "marked") -> TemporalBranch:
    return TemporalBranch("sound", None, (10, 16, 24, 32, 24), valid=True, absent=absent, blank=(10, 32))


def _small_video(absent: Absent = "marked") -> TemporalBranch:
    widths = (96, 16, 16, 24, 24)
    return TemporalBranch("video", efficientface_test(), widths, absent=absent, blank=(3, 8, 64, 64))


def _small(fusion: Fusion, heads: int, absent: Absent) -> AudioVisualFusion:
    return AudioVisualFusion(_small_sound(absent), _small_video(absent), fusion, heads)


@register_model(_FUSED)
def avfusion_late_transformer(
    heads: int = 1, absent: Absent = "marked", spare_classes: int | None = None
) -> AudioVisualFusion:
    """Late transformer fusion ("lt"), 2.05 M parameters with 8 classes, arXiv 2201.11095."""
    return _published("late_transformer", heads, absent, spare_classes)


@register_model(_FUSED)
def avfusion_intermediate_transformer(
    heads: int = 1, absent: Absent = "marked", spare_classes: int | None = None
) -> AudioVisualFusion:
    """Intermediate transformer fusion ("it"), 1.94 M parameters with 8 classes, arXiv 2201.11095.

    Reported on RAVDESS with dropout: 74.92 % of clips right from the picture alone.
    """
    return _published("intermediate_transformer", heads, absent, spare_classes)


@register_model(_FUSED)
def avfusion_intermediate_attention(
    heads: int = 1, absent: Absent = "marked", spare_classes: int | None = None
) -> AudioVisualFusion:
    """Intermediate attention fusion ("ia", published default), 1.85 M parameters with 8 classes, arXiv 2201.11095.

    Reported on RAVDESS with dropout: 81.58 % of clips right from both modalities.
    """
    return _published("intermediate_attention", heads, absent, spare_classes)


@register_model(_TEST)
def avfusion_late_transformer_test(heads: int = 1, absent: Absent = "marked") -> AudioVisualFusion:
    """A small late transformer fusion for tests: 8 frames of 64 px, 2 s of sound at 8 kHz."""
    return _small("late_transformer", heads, absent)


@register_model(_TEST)
def avfusion_intermediate_transformer_test(heads: int = 1, absent: Absent = "marked") -> AudioVisualFusion:
    """A small intermediate transformer fusion for tests: 8 frames of 64 px, 2 s of sound at 8 kHz."""
    return _small("intermediate_transformer", heads, absent)


@register_model(_TEST)
def avfusion_intermediate_attention_test(heads: int = 1, absent: Absent = "marked") -> AudioVisualFusion:
    """A small intermediate attention fusion for tests: 8 frames of 64 px, 2 s of sound at 8 kHz."""
    return _small("intermediate_attention", heads, absent)


@register_model(Inputs(sound=_SOUND))
def avfusion_audio_cnn(absent: Absent = "marked") -> BranchEncoder:
    """The sound branch on its own: four convolutions over MFCC, 0.23 M parameters with 8 classes, arXiv 2201.11095."""
    return BranchEncoder(_sound_branch(absent))


@register_model(Inputs(video=_VIDEO))
def avfusion_video_cnn(absent: Absent = "marked") -> BranchEncoder:
    """The face branch on its own: EfficientFace, then convolutions over time, 1.55 M parameters, arXiv 2201.11095."""
    return BranchEncoder(_video_branch(absent))


@register_model(Inputs(sound=_TEST.sound))
def avfusion_audio_cnn_test() -> BranchEncoder:
    """The sound branch of the small fusions on its own."""
    return BranchEncoder(_small_sound())


@register_model(Inputs(video=_TEST.video))
def avfusion_video_cnn_test() -> BranchEncoder:
    """The face branch of the small fusions on its own."""
    return BranchEncoder(_small_video())


@register_model(Inputs(video=_VIDEO, sound=log_mel_input(64)))
def avfusion(
    video: Mapping[str, Any] | None = None,
    sound: Mapping[str, Any] | None = None,
    fusion: Fusion = "intermediate_attention",
    heads: int = 1,
    widths: tuple[int, int, int, int] = (64, 64, 128, 128),
) -> AudioVisualFusion:
    """Any two registered encoders with features over time, fused by any of the three methods.

    ``video`` and ``sound`` are ``{name: ..., arguments: {...}}``, by default ``efficientface`` and ``logmel_cnn``; the
    model is fed as these are. ``widths`` are the temporal convolutions of both branches. Method: arXiv 2201.11095.
    """
    branches = {}
    for modality, chosen, usual in (("video", video, "efficientface"), ("sound", sound, "logmel_cnn")):
        chosen = chosen or {"name": usual}
        if set(chosen) - {"name", "arguments"} or "name" not in chosen:
            raise UsageError(f"model.arguments.{modality}={dict(chosen)} must be {{name: ..., arguments: {{...}}}}")
        encoder = create_encoder(str(chosen["name"]), **dict(chosen.get("arguments", {})))
        if modality not in encoder.modalities:
            raise UsageError(f"model.arguments.{modality}: {chosen['name']} takes {', '.join(encoder.modalities)}")
        branches[modality] = TemporalBranch(modality, encoder, (encoder.feature_dim, *widths))
    return AudioVisualFusion(branches["sound"], branches["video"], fusion, heads)
