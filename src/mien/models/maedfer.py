"""MAE-DFER's encoder LGI-Former: local attention inside regions, global exchange between one token per region.

Sun, Lian, Liu, Tao: MAE-DFER: Efficient Masked Autoencoder for Self-supervised Dynamic Facial Expression Recognition,
ACM MM 2023 (arXiv 2307.02227). The blocks are in ``mien.nn.region``.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from mien.errors import MienError
from mien.models.contract import Features
from mien.models.registry import register_model
from mien.models.tubelet import Pooling, TubeletEncoder, face_clips
from mien.nn import Size3, drop_path_rates, grid_of
from mien.nn.readout import mean_over_space, slices_to_frames
from mien.nn.region import RegionBlock, from_regions, regions_of, to_regions

Readout = Literal["region", "original", "all"]


class MAEDFER(TubeletEncoder):
    """LGI-Former.

    Args:
        frames, size, tubelet, patch, channels, dim, norm_eps, positions, pooling: see ``TubeletEncoder``.
        depth, heads: number of blocks and of attention heads.
        region: tokens of a region along time, height and width; the grid must divide into regions.
        readout: tokens that the pooled feature averages: ``region`` tokens (published), ``original`` ones, or ``all``.
        first, second, third, sharing: ablations of the paper, see ``RegionBlock``.
        mlp_ratio, qv_bias, qk_scale, drop_path, dropout, attention_dropout: see ``mien.nn.Block``.
        order: ``corrected`` gives tokens back in raster order. ``released`` leaves them in region order, as the
            released code does: in pretraining half of the visible tokens then meet the decoder with another token's
            position (the published checkpoint was trained so), and per-frame features mix time and space.
    """

    def __init__(
        self,
        *,
        frames: int = 16,
        size: int = 160,
        tubelet: int = 2,
        patch: int = 16,
        channels: int = 3,
        dim: int = 512,
        depth: int = 16,
        heads: int = 8,
        region: Size3 = (2, 5, 10),
        readout: Readout = "region",
        first: Literal["self", "cross"] = "self",
        second: bool = True,
        third: Literal["self", "cross", "none"] = "cross",
        sharing: Literal["none", "first_third", "all"] = "none",
        mlp_ratio: float = 4.0,
        qv_bias: bool = True,
        qk_scale: float | None = None,
        norm_eps: float = 1e-6,
        drop_path: float = 0.0,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        positions: Literal["fixed", "learned"] = "fixed",
        pooling: Pooling = "mean",
        order: Literal["corrected", "released"] = "corrected",
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
        self.region: Size3 = (region[0], region[1], region[2])
        self.readout = readout
        self.order = order
        count = regions_of((frames // tubelet, size // patch, size // patch), self.region)
        self.region_tokens = nn.Parameter(nn.init.trunc_normal_(torch.empty(count, dim), std=0.02))
        self.token_dropout = nn.Dropout(dropout)
        options: dict[str, Any] = {"first": first, "second": second, "third": third, "sharing": sharing}
        options |= {"mlp_ratio": mlp_ratio, "qv_bias": qv_bias, "qk_scale": qk_scale, "norm_eps": norm_eps}
        options |= {"dropout": dropout, "attention_dropout": attention_dropout}
        rates = drop_path_rates(drop_path, depth)
        self.blocks = nn.ModuleList(RegionBlock(dim, heads, drop_path=rate, **options) for rate in rates)
        self.initialise()

    def initialise_masked(self) -> None:
        """See ``TubeletEncoder``; region tokens start as the mask token does, cut at one deviation."""
        super().initialise_masked()
        nn.init.trunc_normal_(self.region_tokens, std=0.02, a=-0.02, b=0.02)

    def through_blocks(self, regions: Tensor) -> Tensor:
        """Tokens by region ``(B, n, S, D)`` → ``(B, n, 1 + S, D)``: the region's own token comes first."""
        if regions.shape[1] != self.region_tokens.shape[0]:
            raise MienError(
                f"the clip has {regions.shape[1]} regions, this model has tokens for {self.region_tokens.shape[0]}; "
                "give clips of the length and size that it was built for"
            )
        own = self.region_tokens[None, :, None].expand(regions.shape[0], -1, -1, -1)
        tokens = torch.cat((own.to(regions.dtype), regions), dim=2)
        for block in self.blocks:
            tokens = block(tokens)
        return tokens

    def encode(self, tokens: Tensor, grid: Size3) -> Tensor:
        """``(B, t·h·w, D)`` → ``(B, n, 1 + S, D)``."""
        return self.through_blocks(to_regions(self.token_dropout(tokens), grid, self.region))

    def read_out(self, tokens: Tensor, grid: Size3) -> Features:
        """Features from ``encode``; ``tokens`` of the result are the original ones, in raster order."""
        raster = from_regions(tokens[:, :, 1:], grid, self.region)
        chosen = {"region": tokens[:, :, 0], "original": tokens[:, :, 1:].flatten(1, 2), "all": tokens.flatten(1, 2)}
        picked = chosen[self.readout]
        if self.order == "released":
            slices = picked.unflatten(1, (grid[0], -1)).mean(2)
        else:
            slices = mean_over_space(raster, grid)
        frames = slices_to_frames(slices, self.tubelet[0])
        pooled = self.norm(picked.mean(1)) if self.pooling == "mean" else self.norm(picked[:, 0])
        return Features(pooled, raster, self.norm(frames))

    def forward_visible(self, video: Tensor, visible: Tensor) -> Tensor:
        """See ``TubeletEncoder.forward_visible``.

        The visible tokens of every slice are cut, in raster order, into equal pieces, one per region; these are the
        true regions when the mask shows equally many tokens of each (region-balanced masks do).
        """
        t, h, w = grid_of(video, self.tubelet)
        depth = self.region[0]
        pieces = (h // self.region[1]) * (w // self.region[2])
        per_slice, left = divmod(visible.shape[1], t)
        if left or per_slice % pieces or t % depth:
            raise MienError(
                f"{visible.shape[1]} visible tokens cannot be shared evenly by {pieces} regions in {t} slices; "
                "use a region-balanced mask or another ratio"
            )
        tokens = self.embed(video, keep=visible)
        cut = tokens.unflatten(1, (t // depth, depth, pieces, per_slice // pieces)).transpose(2, 3)
        done = self.through_blocks(cut.flatten(3, 4).flatten(1, 2))[:, :, 1:]
        if self.order == "corrected":
            back = done.unflatten(1, (t // depth, pieces)).unflatten(3, (depth, per_slice // pieces))
            done = back.transpose(2, 3).flatten(1, 2)
        normed: Tensor = self.norm(done.reshape(tokens.shape))
        return normed

    def no_weight_decay(self) -> set[str]:
        """Region tokens and learned positions."""
        return super().no_weight_decay() | {"region_tokens"}


@register_model(face_clips(frames=8, stride=2, size=64))
def maedfer_test(**arguments: Any) -> MAEDFER:
    """Tiny: width 48, 2 blocks, regions of 2x2x4 tokens, 8 frames of 64 px. For tests; no published weights."""
    tiny: dict[str, Any] = {"frames": 8, "size": 64, "dim": 48, "depth": 2, "heads": 4, "region": (2, 2, 4)}
    return MAEDFER(**tiny | arguments)


@register_model(face_clips(frames=16, stride=4, size=160))
def maedfer_small(**arguments: Any) -> MAEDFER:
    """Width 384, 8 blocks, 6 heads: for machines that the base model is too large for. No published weights."""
    return MAEDFER(**{"dim": 384, "depth": 8, "heads": 6} | arguments)


@register_model(face_clips(frames=16, stride=4, size=160))
def maedfer_base(**arguments: Any) -> MAEDFER:
    """MAE-DFER: width 512, 16 blocks, regions of 2x5x10; 84.9 M parameters with 7 classes, 49.7 GMAC at 16x160x160.

    Paper: arXiv 2307.02227 (ACM MM 2023). Weights: sunlicai/MAE-DFER. Published UAR / WAR in %: DFEW 63.41 / 74.43,
    FERV39k 43.12 / 52.07, MAFW 42.36 / 55.03. Load published pretraining weights with ``order="released"``.
    """
    return MAEDFER(**arguments)
