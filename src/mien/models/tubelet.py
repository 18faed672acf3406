"""The common base of encoders that read video as tubelet tokens and can be pretrained by masking."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from mien.errors import MienError
from mien.faces.recipe import CropRecipe
from mien.models.contract import Encoder, Features, ModelInputs, video_of
from mien.models.specification import Inputs, VideoInput
from mien.nn import LearnedPositions, SinusoidPositions, Size3, TubeletEmbedding, grid_of, take_tokens
from mien.nn.initialise import normal_linears, xavier_linears
from mien.nn.readout import mean_over_space, slices_to_frames

Pooling = Literal["mean", "first"]

NARROW = 192  # token width; no published size is below it


def face_clips(frames: int, stride: int, size: int) -> Inputs:
    """Inputs of a model that reads clips of square face crops, every ``stride``-th frame."""
    return Inputs(video=VideoInput(frames=frames, stride=stride, size=size, crop=CropRecipe(size=size)))


class TubeletEncoder(Encoder):
    """Tubelet embedding, positions and read-out around the blocks of a subclass.

    A subclass sets ``depth``, builds its blocks and defines ``encode``; parameters under ``blocks.<i>.`` belong to
    layer i + 1. ``norm`` is a layer norm: of the pooled features when the encoder is read out, of every visible token
    in masked pretraining. Published hand-overs start it anew for fine-tuning (``fresh``).

    Args:
        frames, size: length and side of clips it is built for; with fixed positions any multiple of the tubelet works.
        tubelet: frames per token.
        patch: rows and columns per token.
        channels: colours of a picture.
        dim: token width.
        norm_eps: epsilon of all layer norms.
        positions: ``fixed`` sinusoids over the flat token index, or ``learned`` vectors (for one clip size only).
        pooling: ``mean`` over tokens, then norm; ``first``: norm, then the first token (a published variation).
    """

    fresh = ("norm.",)

    def __init__(
        self,
        *,
        frames: int,
        size: int,
        tubelet: int,
        patch: int,
        channels: int,
        dim: int,
        norm_eps: float,
        positions: Literal["fixed", "learned"],
        pooling: Pooling,
    ) -> None:
        super().__init__()
        if frames % tubelet or size % patch:
            raise ValueError(f"{frames} frames of {size} px cannot be cut into tubelets of {tubelet} by {patch} px")
        self.feature_dim = dim
        self.tubelet: Size3 = (tubelet, patch, patch)
        self.channels = channels
        self.pooling: Pooling = pooling
        self.embedding = TubeletEmbedding(channels, dim, self.tubelet)
        count = (frames // tubelet) * (size // patch) ** 2
        self.positions: SinusoidPositions | LearnedPositions = (
            LearnedPositions(count, dim) if positions == "learned" else SinusoidPositions(count, dim)
        )
        self.norm = nn.LayerNorm(dim, eps=norm_eps)

    def initialise(self) -> None:
        """Start values for training without pretraining; call at the end of a subclass's constructor.

        The published deviation of 0.02 is about Xavier's at a width of 768. It all but silences narrow layers, which
        then hardly learn from few clips: encoders below ``NARROW`` start by Xavier's rule.
        """
        if self.feature_dim < NARROW:
            xavier_linears(self)
        else:
            normal_linears(self)

    def initialise_masked(self) -> None:
        """Start values for masked pretraining."""
        xavier_linears(self)

    def embed(self, video: Tensor, keep: Tensor | None = None) -> Tensor:
        """Video ``(B, C, T, H, W)`` → tokens with positions ``(B, N, D)``, or only those at ``keep`` ``(B, K)``."""
        if video.ndim != 5 or video.shape[1] != self.channels:
            raise MienError(
                f"video of shape {tuple(video.shape)} does not fit; this model takes (clips, {self.channels} colours, "
                "frames, rows, columns)"
            )
        t, h, w = grid_of(video, self.tubelet)
        positions = self.positions(t * h * w)
        if keep is not None:
            positions = take_tokens(positions, keep)
        return self.embedding(video, keep) + positions

    def encode(self, tokens: Tensor, grid: Size3) -> Tensor:
        """Tokens ``(B, N, D)`` of a whole grid through all blocks: ``(B, N', D)``."""
        raise NotImplementedError

    def forward_visible(self, video: Tensor, visible: Tensor) -> Tensor:
        """Encode only the tokens at ``visible`` ``(B, K)`` (ascending raster indices) → ``(B, K, D)``, normed."""
        raise NotImplementedError

    def forward_features(self, inputs: ModelInputs) -> Features:
        """Features of ``inputs["video"]`` ``(B, C, T, H, W)``; ``frames`` has one entry per frame, ``(B, T, D)``."""
        video = video_of(inputs)
        grid = grid_of(video, self.tubelet)
        return self.read_out(self.encode(self.embed(video), grid), grid)

    def read_out(self, tokens: Tensor, grid: Size3) -> Features:
        """Features from raster tokens ``(B, t·h·w, D)`` after the last block."""
        if self.pooling == "first":
            normed = self.norm(tokens)
            slices = mean_over_space(normed, grid)
            return Features(normed[:, 0], tokens, slices_to_frames(slices, self.tubelet[0]))
        slices = mean_over_space(tokens, grid)
        return Features(self.norm(slices.mean(1)), tokens, self.norm(slices_to_frames(slices, self.tubelet[0])))

    def layer_of(self, name: str) -> int:
        """0 embedding and learned positions, i + 1 ``blocks.<i>``, ``depth + 1`` the rest."""
        head, _, rest = name.partition(".")
        if head in {"embedding", "positions"}:
            return 0
        if head == "blocks":
            return int(rest.split(".", 1)[0]) + 1
        return self.depth + 1

    def no_weight_decay(self) -> set[str]:
        """Learned positions."""
        return {name for name, _ in self.named_parameters() if name.startswith("positions.")}
