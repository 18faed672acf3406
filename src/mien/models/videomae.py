"""VideoMAE: a plain vision transformer over tubelets, pretrained by masking.

Tong, Song, Wang, Wang: VideoMAE: Masked Autoencoders are Data-Efficient Learners for Self-Supervised Video
Pre-Training, NeurIPS 2022 (arXiv 2203.12602). Published weights: MCG-NJU/VideoMAE, CC BY-NC 4.0.
"""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn

from mien.models.registry import register_model
from mien.models.tubelet import Pooling, TubeletEncoder, face_clips
from mien.nn import Block, Size3, drop_path_rates


class VideoMAE(TubeletEncoder):
    """Joint space-time self-attention over all tubelets.

    Args:
        frames, size, tubelet, patch, channels, dim, norm_eps, positions, pooling: see ``TubeletEncoder``.
        depth: number of blocks.
        heads: attention heads per block.
        mlp_ratio, qv_bias, qk_scale, layer_scale, dropout, attention_dropout: see ``mien.nn.Block``.
        drop_path: rate of the last block; earlier ones rise to it linearly from 0.
    """

    def __init__(
        self,
        *,
        frames: int = 16,
        size: int = 224,
        tubelet: int = 2,
        patch: int = 16,
        channels: int = 3,
        dim: int = 768,
        depth: int = 12,
        heads: int = 12,
        mlp_ratio: float = 4.0,
        qv_bias: bool = True,
        qk_scale: float | None = None,
        norm_eps: float = 1e-6,
        layer_scale: float = 0.0,
        drop_path: float = 0.0,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        positions: Literal["fixed", "learned"] = "fixed",
        pooling: Pooling = "mean",
    ) -> None:
        super().__init__(
            frames=frames,
            size=size,
            tubelet=tubelet,
            patch=patch,
            channels=channels,
            dim=dim,
            norm_eps=norm_eps,
            positions=positions,
            pooling=pooling,
        )
        self.depth = depth
        self.token_dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            Block(
                dim,
                heads,
                mlp_ratio=mlp_ratio,
                qv_bias=qv_bias,
                qk_scale=qk_scale,
                norm_eps=norm_eps,
                layer_scale=layer_scale,
                drop_path=rate,
                dropout=dropout,
                attention_dropout=attention_dropout,
            )
            for rate in drop_path_rates(drop_path, depth)
        )
        self.initialise()

    def encode(self, tokens: Tensor, grid: Size3) -> Tensor:
        """``(B, N, D)`` → ``(B, N, D)``; any subset of the grid's tokens will do."""
        tokens = self.token_dropout(tokens)
        for block in self.blocks:
            tokens = block(tokens)
        return tokens

    def forward_visible(self, video: Tensor, visible: Tensor) -> Tensor:
        """See ``TubeletEncoder.forward_visible``; masked tubelets are not even embedded."""
        tokens: Tensor = self.embed(video, keep=visible)
        for block in self.blocks:
            tokens = block(tokens)
        normed: Tensor = self.norm(tokens)
        return normed


@register_model(face_clips(frames=8, stride=2, size=64))
def videomae_test(**arguments: Any) -> VideoMAE:
    """Tiny: width 64, 2 blocks, 4 heads, 8 frames of 64 px. For tests; no published weights."""
    return VideoMAE(**{"frames": 8, "size": 64, "dim": 64, "depth": 2, "heads": 4} | arguments)


@register_model(face_clips(frames=16, stride=4, size=224))
def videomae_small(**arguments: Any) -> VideoMAE:
    """ViT-S: width 384, 12 blocks, 6 heads; 22.0 M parameters with a 400-class head.

    Paper: arXiv 2203.12602. Weights: MCG-NJU/VideoMAE. Published top-1: Kinetics-400 79.0, Something-Something V2 66.8.
    """
    return VideoMAE(**{"dim": 384, "depth": 12, "heads": 6} | arguments)


@register_model(face_clips(frames=16, stride=4, size=224))
def videomae_base(**arguments: Any) -> VideoMAE:
    """ViT-B: width 768, 12 blocks, 12 heads; 86.5 M parameters with a 400-class head.

    Paper: arXiv 2203.12602. Weights: MCG-NJU/VideoMAE. Published top-1: Kinetics-400 80.0 (800 epochs) and 81.5 (1600),
    Something-Something V2 69.6 (800) and 70.8 (2400), UCF101 91.3. At 160 px on faces, pretrained on VoxCeleb2 (arXiv
    2307.02227): DFEW 63.60 UAR / 74.60 WAR.
    """
    return VideoMAE(**{"dim": 768, "depth": 12, "heads": 12} | arguments)


@register_model(face_clips(frames=16, stride=4, size=224))
def videomae_large(**arguments: Any) -> VideoMAE:
    """ViT-L: width 1024, 24 blocks, 16 heads; 304 M parameters with a 400-class head.

    Paper: arXiv 2203.12602. Weights: MCG-NJU/VideoMAE. Published top-1: Kinetics-400 85.2.
    """
    return VideoMAE(**{"dim": 1024, "depth": 24, "heads": 16} | arguments)


@register_model(face_clips(frames=16, stride=4, size=224))
def videomae_huge(**arguments: Any) -> VideoMAE:
    """ViT-H: width 1280, 32 blocks, 16 heads; 632 M parameters with a 400-class head.

    Paper: arXiv 2203.12602. Weights: MCG-NJU/VideoMAE. Published top-1: Kinetics-400 86.6.
    """
    return VideoMAE(**{"dim": 1280, "depth": 32, "heads": 16} | arguments)
