"""SVFAP's encoder TPSBT: temporal pyramid and spatial bottleneck transformer.

Sun, Lian, Wang, He, Xu, Sun, Liu, Tao: SVFAP: Self-supervised Video Facial Affect Perceiver, IEEE TAFFC 2024
(arXiv 2401.00416). Stage 1 is a plain transformer; every later stage halves the number of time slices, gathers each
slice in a few bottleneck tokens, refines those, and lets the full tokens read them once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from mien.errors import MienError
from mien.models.contract import Features
from mien.models.registry import register_model
from mien.models.tubelet import Pooling, TubeletEncoder, face_clips
from mien.nn import Block, CrossAttention, Size3, drop_path_rates, grid_of, layer_scale_or_identity
from mien.nn.readout import mean_over_space, slices_to_frames
from mien.nn.recompute import recomputable


class ContextBlock(Block):
    """A transformer block that first reads a context: ``x + dp(γ₀·cross(norm(x), norm(y)))``, then as ``Block``.

    The context ``y`` is not changed.
    """

    def __init__(self, dim: int, heads: int, *, layer_scale: float = 0.0, norm_eps: float = 1e-6, **block: Any) -> None:
        super().__init__(dim, heads, layer_scale=layer_scale, norm_eps=norm_eps, **block)
        self.cross_norm = nn.LayerNorm(dim, eps=norm_eps)
        self.context_norm = nn.LayerNorm(dim, eps=norm_eps)
        self.cross = CrossAttention(
            dim,
            heads,
            qv_bias=block.get("qv_bias", True),
            scale=block.get("qk_scale"),
            dropout=block.get("dropout", 0.0),
            attention_dropout=block.get("attention_dropout", 0.0),
        )
        self.cross_scale = layer_scale_or_identity(dim, layer_scale)

    @recomputable
    def read(self, tokens: Tensor, context: Tensor) -> Tensor:
        """``(B, N, C)`` tokens, ``(B, M, C)`` context → ``(B, N, C)``."""
        seen = self.cross(self.cross_norm(tokens), self.context_norm(context))
        return self.work(tokens + self.drop_path(self.cross_scale(seen)))


class TemporalReduction(nn.Conv1d):
    """Convolution over time with kernel = stride, at every place on its own: ``(B, t, S, C)`` → ``(B, t // k, S, C)``.

    Done as one matrix product; slices that do not fill a last step are left out, as a convolution does.
    """

    def __init__(self, dim: int, kernel: int) -> None:
        super().__init__(dim, dim, kernel, stride=kernel)
        self.step = kernel

    def forward(self, tokens: Tensor) -> Tensor:
        """See the class."""
        steps = tokens.shape[1] // self.step
        groups = tokens[:, : steps * self.step].unflatten(1, (steps, self.step))
        return F.linear(groups.permute(0, 1, 3, 4, 2).flatten(3), self.weight.flatten(1), self.bias)


class SpatialBottleneck(nn.Module):
    """Weighted means over the places of a slice, weights by a small network: ``(B, t, S, C)`` → ``(B, t, G, C)``.

    The paper's equation 5 with the layer norm and the softmax over places that its models have.
    """

    def __init__(self, dim: int, tokens: int, norm_eps: float, hidden: int = 128) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim, eps=norm_eps)
        self.score = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, tokens))

    def forward(self, tokens: Tensor) -> Tensor:
        """See the class."""
        weights = self.score(self.norm(tokens)).softmax(dim=2)
        return weights.transpose(2, 3) @ tokens


def _per_stage(bottlenecks: Sequence[int], later: int) -> tuple[int, ...]:
    """Bottleneck tokens of each of the later stages; one number serves all of them."""
    counts = tuple(bottlenecks) * later if len(bottlenecks) == 1 else tuple(bottlenecks)
    if len(counts) != later and later:
        raise ValueError(f"{len(counts)} bottleneck sizes for {later} later stages; give one or {later}")
    return counts[:later]


class SVFAP(TubeletEncoder):
    """TPSBT.

    Args:
        frames, size, tubelet, patch, channels, dim, norm_eps, positions, pooling: see ``TubeletEncoder``.
        depths: blocks of each stage; the last block of a later stage is the one that reads the bottleneck.
        bottlenecks: bottleneck tokens per slice of the later stages; one number serves all of them.
        temporal_kernel: slices that a stage joins to one.
        heads, mlp_ratio, qv_bias, qk_scale, layer_scale, drop_path, dropout, attention_dropout: see ``mien.nn.Block``.
        pretraining: ``corrected`` is the forward of the paper; ``released`` repeats two slips of the released code
            (full tokens read all embedded tokens, masked ones included, in place of the bottleneck; and slices are
            misaligned when stages are summed). It exists to check against that code. Fine-tuning is the same in both.
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
        depths: Sequence[int] = (12, 6, 3),
        bottlenecks: Sequence[int] = (8,),
        temporal_kernel: int = 2,
        heads: int = 8,
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
        pretraining: Literal["corrected", "released"] = "corrected",
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
        self.depths = tuple(depths)
        self.depth = sum(depths)
        self.pretraining = pretraining
        self.kernel = temporal_kernel
        counts = _per_stage(bottlenecks, len(self.depths) - 1)
        self.token_dropout = nn.Dropout(dropout)
        options: dict[str, Any] = {
            "mlp_ratio": mlp_ratio,
            "qv_bias": qv_bias,
            "qk_scale": qk_scale,
            "norm_eps": norm_eps,
            "layer_scale": layer_scale,
            "dropout": dropout,
            "attention_dropout": attention_dropout,
        }
        rates = drop_path_rates(drop_path, self.depth)
        self.blocks = nn.ModuleList(
            (Block if i < self.depths[0] else ContextBlock)(dim, heads, drop_path=rate, **options)
            for i, rate in enumerate(rates)
        )
        self.reductions = nn.ModuleList(TemporalReduction(dim, temporal_kernel) for _ in counts)
        self.bottlenecks = nn.ModuleList(SpatialBottleneck(dim, count, norm_eps) for count in counts)
        self.initialise()

    def stages(self, tokens: Tensor, slices: int, leaked: Tensor | None = None) -> list[Tensor]:
        """Outputs of all stages, ``(B, t_i·S, D)`` each, from embedded tokens ``(B, t·S, D)`` of ``slices`` slices.

        ``leaked`` replaces what the last block of later stages reads (the released slip).
        """
        for block in self.blocks[: self.depths[0]]:
            tokens = block(tokens)
        outputs = [tokens]
        first = self.depths[0]
        for depth, reduce, gather in zip(self.depths[1:], self.reductions, self.bottlenecks, strict=True):
            full = reduce(outputs[-1].unflatten(1, (slices, -1)))
            slices = full.shape[1]
            if slices == 0:
                raise MienError(f"the clip is too short for {len(self.depths)} stages; give more frames")
            refined, full = gather(full).flatten(1, 2), full.flatten(1, 2)
            *refining, reading = (_context_block(block) for block in self.blocks[first : first + depth])
            for block in refining:
                refined = block.read(refined, full)
            outputs.append(reading.read(full, refined if leaked is None else leaked))
            first += depth
        return outputs

    def encode(self, tokens: Tensor, grid: Size3) -> Tensor:
        """``(B, t·h·w, D)`` → tokens of the last stage ``(B, t'·h·w, D)``."""
        return self.stages(self.token_dropout(tokens), grid[0])[-1]

    def read_out(self, tokens: Tensor, grid: Size3) -> Features:
        """As ``TubeletEncoder.read_out``; the last stage's slices are fewer, each stands for more frames."""
        left = tokens.shape[1] // (grid[1] * grid[2])
        if left == grid[0] or self.pooling == "first":
            return super().read_out(tokens, (left, *grid[1:]))
        slices = mean_over_space(tokens, (left, *grid[1:]))
        frames = slices_to_frames(slices, self.tubelet[0] * grid[0] // left)
        return Features(self.norm(slices.mean(1)), tokens, self.norm(frames))

    def forward_visible(self, video: Tensor, visible: Tensor) -> Tensor:
        """See ``TubeletEncoder.forward_visible``: sum of all stages, later ones repeated in time (paper, equation 9).

        Every slice must show equally many places (tube masks do).
        """
        slices = grid_of(video, self.tubelet)[0]
        if visible.shape[1] % slices or slices % self.kernel ** (len(self.depths) - 1):
            raise MienError(
                f"{visible.shape[1]} visible tokens in {slices} slices do not fit the pyramid; "
                "use a tube mask and a clip whose slices can be halved for every stage"
            )
        released = self.pretraining == "released"
        if released and visible.shape[1] // slices % self.kernel ** (len(self.depths) - 2) and len(self.depths) > 1:
            raise MienError(
                f"the released forward cannot align {visible.shape[1] // slices} visible places per slice; "
                "take another mask ratio, or the corrected forward"
            )
        tokens = self.embed(video, keep=visible)
        outputs = self.stages(tokens, slices, self.embed(video) if released else None)
        total = outputs[0]
        for stage, output in enumerate(outputs[1:], start=1):
            times = self.kernel**stage
            rows = slices // (times // self.kernel if released else times)
            total = total + output.unflatten(1, (rows, -1)).repeat_interleave(times, dim=1).flatten(1, 2)
        normed: Tensor = self.norm(total)
        return normed


def _context_block(block: nn.Module) -> ContextBlock:
    assert isinstance(block, ContextBlock)
    return block


@register_model(face_clips(frames=8, stride=2, size=64))
def svfap_test(**arguments: Any) -> SVFAP:
    """Tiny: width 48, stages of 2, 2 and 1 blocks, 2 bottleneck tokens, 8 frames of 64 px. No published weights."""
    tiny: dict[str, Any] = {"frames": 8, "size": 64, "dim": 48, "depths": (2, 2, 1), "bottlenecks": (2,), "heads": 4}
    return SVFAP(**tiny | arguments)


@register_model(face_clips(frames=16, stride=4, size=160))
def svfap_small(**arguments: Any) -> SVFAP:
    """SVFAP-S: width 384, stages of 8, 4 and 2 blocks; 29.7 M parameters with 7 classes, 18 GMAC at 16x160x160.

    Paper: arXiv 2401.00416. No weights are published; 6 heads of width 64 are assumed, which no shape shows.
    """
    small: dict[str, Any] = {"dim": 384, "depths": (8, 4, 2), "heads": 6}
    return SVFAP(**small | arguments)


@register_model(face_clips(frames=16, stride=4, size=160))
def svfap_base(**arguments: Any) -> SVFAP:
    """SVFAP-B: width 512, stages of 12, 6 and 3 blocks; 77.6 M parameters with 7 classes, 43.6 GMAC at 16x160x160.

    Paper: arXiv 2401.00416. Weights: sunlicai/SVFAP (MIT). The released pretraining name builds width 768; the
    published numbers belong to this width of 512.
    """
    return SVFAP(**arguments)
