"""What every encoder answers, and the recogniser: an encoder with the head of a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from mien.errors import MienError

# A batch as models see it: "video" (B, C, T, H, W) float, "sound" (B, S) or (B, F, L), one (B, T, D) per named stream;
# "<name>_present" (B,) or (B, T) bool marks what is there (absent key: all of it is), "length" (B,) valid frames.
ModelInputs = Mapping[str, Tensor]


@dataclass(frozen=True)
class Features:
    """What an encoder makes of a batch of clips.

    Attributes:
        pooled: ``(B, D)``, normalised and ready for a clip-level linear head.
        tokens: ``(B, N, D)`` after the last block, before pooling; None where the encoder has none.
        frames: ``(B, T', D)`` features over time for per-frame heads; None where the encoder cannot give them.
    """

    pooled: Tensor
    tokens: Tensor | None = None
    frames: Tensor | None = None


def video_of(inputs: ModelInputs) -> Tensor:
    """``inputs["video"]``, for models that cannot do without; ``MienError`` says what there is instead."""
    if "video" not in inputs:
        raise MienError(f"this model needs video; the batch holds {', '.join(sorted(inputs)) or 'nothing'}")
    return inputs["video"]


class Encoder(nn.Module):
    """Clip → tokens or per-frame features. Subclasses set the attributes and override the methods below.

    Attributes:
        feature_dim: width D of all features.
        depth: number of blocks that layer-wise learning-rate decay counts.
        modalities: the keys of ``ModelInputs`` that it can use.
        fresh: prefixes of parameters that hand-over from pretraining to fine-tuning starts anew.
    """

    feature_dim: int
    depth: int
    modalities: tuple[str, ...] = ("video",)
    fresh: tuple[str, ...] = ()

    def forward_features(self, inputs: ModelInputs) -> Features:
        """Features of a batch; raises ``MienError`` when none of ``modalities`` is there."""
        raise NotImplementedError

    def layer_of(self, name: str) -> int:
        """Layer id of a parameter name for layer-wise decay: 0 embedding, i + 1 block i, ``depth + 1`` the rest."""
        raise NotImplementedError

    def no_weight_decay(self) -> set[str]:
        """Names of parameters that are never decayed, besides 1-D tensors and biases."""
        return set()

    def core(self) -> tuple[str, Encoder]:
        """The encoder that pretraining knows, and its prefix here: another one's where this one only adds a branch."""
        return "", self

    def parts(self) -> dict[str, Encoder]:
        """Encoders of one modality each that this one joins, by modality; weights of their own may start them.

        They share this one's parameters. An encoder that joins none has none.
        """
        return {}


class Recogniser(nn.Module):
    """An encoder with the head of a task.

    Args:
        encoder: any registered encoder.
        head: maps ``Features`` to raw outputs ``(B, K)`` or ``(B, T', K)``; made by ``Task.make_head``.
    """

    def __init__(self, encoder: Encoder, head: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, inputs: ModelInputs) -> Tensor:
        """Raw outputs ``(B, K)`` or ``(B, T', K)``."""
        outputs: Tensor = self.head(self.encoder.forward_features(inputs), inputs)
        return outputs

    def layer_of(self, name: str) -> int:
        """As ``Encoder.layer_of``, for names of this module; heads belong to the last layer."""
        if name.startswith("encoder."):
            return self.encoder.layer_of(name.removeprefix("encoder."))
        return self.encoder.depth + 1

    def no_weight_decay(self) -> set[str]:
        """As ``Encoder.no_weight_decay``, for names of this module."""
        return {f"encoder.{name}" for name in self.encoder.no_weight_decay()}
