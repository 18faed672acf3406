"""Masked autoencoding: hide most tubelets, encode the rest, predict what was hidden.

He et al., Masked Autoencoders Are Scalable Vision Learners, 2022; for video: VideoMAE (arXiv 2203.12602). The same
objective, with other encoders, masks and targets, is the pretraining of SVFAP and MAE-DFER.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mien.models.tubelet import TubeletEncoder
from mien.nn import Block, SinusoidPositions, drop_path_rates, from_patches, grid_of, take_tokens, to_patches
from mien.nn.initialise import xavier_linears
from mien.pretext.contract import ClipExtras, Pretext
from mien.pretext.masking import TubeMask
from mien.pretext.targets import Target


@dataclass(frozen=True)
class DecoderSize:
    """Width, attention heads and number of blocks of a decoder."""

    dim: int
    heads: int
    depth: int


class Decoder(nn.Module):
    """Plain blocks over visible and mask tokens; norm and head on the mask tokens alone.

    Args:
        size: width, heads, depth.
        outputs: values predicted per token.
        drop_path: rate of the last block.
        norm_eps: epsilon of layer norms.
        block: further options of ``mien.nn.Block``.
    """

    def __init__(
        self, size: DecoderSize, outputs: int, *, drop_path: float = 0.0, norm_eps: float = 1e-6, **block: Any
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            Block(size.dim, size.heads, drop_path=rate, norm_eps=norm_eps, **block)
            for rate in drop_path_rates(drop_path, size.depth)
        )
        self.norm = nn.LayerNorm(size.dim, eps=norm_eps)
        self.head = nn.Linear(size.dim, outputs)

    def forward(self, tokens: Tensor, predict: int) -> Tensor:
        """Tokens ``(B, N, D)`` → predictions for the last ``predict`` of them ``(B, predict, outputs)``."""
        for number, block in enumerate(self.blocks, start=1):
            tokens = block(tokens, predict if number == len(self.blocks) else None)
        predictions: Tensor = self.head(self.norm(tokens[:, -predict:]))
        return predictions


@dataclass(frozen=True)
class Pictures:
    """What a masked autoencoder saw and made: uint8 ``(B, T, H, W, C)`` on the CPU.

    Attributes:
        original: the clips.
        masked: hidden tubelets grey.
        reconstructed: hidden tubelets as predicted, the others as they were.
        motion, predicted_motion: what moves in the first and the last of these, around grey; None where the target is
            not about motion.
    """

    original: Tensor
    masked: Tensor
    reconstructed: Tensor
    motion: Tensor | None = None
    predicted_motion: Tensor | None = None

    @property
    def rows(self) -> dict[str, Tensor]:
        """The versions by name, those that there are."""
        names = ("original", "masked", "reconstructed", "motion", "predicted_motion")
        return {name: found for name in names if (found := getattr(self, name)) is not None}


class MaskedAutoencoder(Pretext):
    """Masked autoencoder around any ``TubeletEncoder``.

    The encoder sees only visible tokens. The decoder gets them in the order in which the encoder returns them, each
    with the position of the visible token at the same place in raster order, and the mask token with the position of
    every masked token. Loss: mean squared error over all values of masked tubelets.

    A batch holds ``video`` ``(B, C, T, H, W)`` and the token indices ``visible`` ``(B, V)`` and ``masked`` ``(B, M)``
    that ``extras`` drew.

    Args:
        encoder: is re-initialised the way masked pretraining does it.
        target: what is predicted.
        decoder: size of the decoder.
        extras: draws the mask; None is a tube mask that hides 90 %.
        decay_tokens: let weight decay take hold of the encoder's region tokens, as published pretraining did, which
            looked for their name without the prefix it has there.
        block: options of the decoder's blocks (``Decoder``).
    """

    encoder: TubeletEncoder

    def __init__(
        self,
        encoder: TubeletEncoder,
        target: Target,
        decoder: DecoderSize,
        extras: ClipExtras | None = None,
        decay_tokens: bool = False,
        **block: Any,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.target = target
        self.decay_tokens = decay_tokens
        self.extras = extras or TubeMask(encoder.tubelet)
        outputs = encoder.channels * encoder.tubelet[0] * encoder.tubelet[1] * encoder.tubelet[2]
        self.bridge = nn.Linear(encoder.feature_dim, decoder.dim, bias=False)
        self.mask_token = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, 1, decoder.dim), std=0.02, a=-0.02, b=0.02))
        self.positions = SinusoidPositions(encoder.positions.table.shape[1], decoder.dim)
        self.decoder = Decoder(decoder, outputs, **block)
        self.encoder.initialise_masked()
        xavier_linears(self.decoder)

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Predictions for the masked tokens in raster order: ``(B, M, p0·p1·p2·C)``."""
        visible, masked = batch["visible"], batch["masked"]
        seen = self.bridge(self.encoder.forward_visible(batch["video"], visible))
        predictions: Tensor = self.decoder(self._sequence(seen, visible, masked), masked.shape[1])
        return predictions

    def _sequence(self, seen: Tensor, visible: Tensor, masked: Tensor) -> Tensor:
        """Decoder input ``(B, V + M, D)``: visible tokens, then mask tokens, positions added."""
        positions = self.positions(visible.shape[1] + masked.shape[1])
        hidden = self.mask_token + take_tokens(positions, masked)
        return torch.cat((seen + take_tokens(positions, visible), hidden), dim=1)

    def loss(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean squared error over masked tubelets, in float32, or what else the target makes of it."""
        with torch.no_grad():
            target = self.target(batch["video"], batch["masked"], self.encoder.tubelet)
        return self.target.error(self(batch), target)

    def no_weight_decay(self) -> set[str]:
        """As the encoder (unless ``decay_tokens``), and the mask token."""
        return {"mask_token"} if self.decay_tokens else super().no_weight_decay() | {"mask_token"}

    @torch.no_grad()
    def reconstruct(self, batch: Mapping[str, Tensor]) -> Pictures:
        """Pictures of a batch before, under and after the mask."""
        video, masked = batch["video"], batch["masked"]
        tubelet, grid = self.encoder.tubelet, grid_of(batch["video"], self.encoder.tubelet)
        patches = to_patches(self.target.pixels(video), tubelet)
        index = masked.reshape(*masked.shape, 1, 1, 1, 1).expand(-1, -1, *patches.shape[2:])
        predicted = self.target.to_pixels(self(batch), video, masked, tubelet)
        versions = [
            from_patches(version, grid)
            for version in (
                patches,
                patches.scatter(1, index, torch.full_like(predicted, 0.5)),
                patches.scatter(1, index, predicted),
            )
        ]
        moved = [self.target.motion(version.clamp(0, 1)) for version in versions[::2]]
        return Pictures(*(None if version is None else _as_pictures(version) for version in (*versions, *moved)))  # type: ignore[arg-type]


def _as_pictures(video: Tensor) -> Tensor:
    """Values in 0..1 ``(B, C, T, H, W)`` → uint8 ``(B, T, H, W, C)`` on the CPU."""
    return (video.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 4, 1).cpu()
