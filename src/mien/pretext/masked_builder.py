"""Masked autoencoders as they were published: which decoder, mask and target go with which encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from mien.errors import UsageError
from mien.models.maedfer import MAEDFER
from mien.models.registry import create_encoder
from mien.models.specification import VideoInput
from mien.models.tubelet import TubeletEncoder
from mien.pretext.contract import ClipExtras
from mien.pretext.masked_autoencoder import DecoderSize, MaskedAutoencoder
from mien.pretext.masking import RegionTubeMask, Symmetry, TubeMask
from mien.pretext.targets import MotionTarget, PixelTarget

# The decoders that were pretrained with each published encoder.
DECODERS: dict[str, DecoderSize] = {
    "maedfer_base": DecoderSize(dim=384, heads=6, depth=4),
    "maedfer_small": DecoderSize(dim=192, heads=3, depth=4),
    "maedfer_test": DecoderSize(dim=32, heads=2, depth=1),
    "svfap_base": DecoderSize(dim=384, heads=6, depth=4),
    "svfap_small": DecoderSize(dim=384, heads=6, depth=4),
    "svfap_test": DecoderSize(dim=32, heads=2, depth=1),
    "videomae_test": DecoderSize(dim=32, heads=2, depth=1),
    "videomae_small": DecoderSize(dim=192, heads=3, depth=4),
    "videomae_base": DecoderSize(dim=384, heads=6, depth=4),
    "videomae_large": DecoderSize(dim=512, heads=8, depth=12),
    "videomae_huge": DecoderSize(dim=640, heads=8, depth=12),
}

# What an encoder's arguments say about its blocks holds for the decoder's too, as in the published constructors.
BLOCK_OPTIONS = (
    "mlp_ratio", "qv_bias", "qk_scale", "norm_eps", "layer_scale", "drop_path", "dropout", "attention_dropout"
)  # fmt: skip


def masked_autoencoder(
    model: str,
    arguments: Mapping[str, Any],
    video: VideoInput,
    *,
    mask: Literal["auto", "tube", "region"] = "auto",
    mask_ratio: float = 0.9,
    symmetry: Symmetry | None = None,
    target: Literal["pixels", "motion"] = "pixels",
    group: int = 2,
    motion_weight: float | None = None,
    standardise: bool | Literal["input"] = True,
    decoder_dim: int | None = None,
    decoder_heads: int | None = None,
    decoder_depth: int | None = None,
    decay_tokens: bool = False,
) -> MaskedAutoencoder:
    """Masked autoencoder around a registered encoder, with the decoder that the publication gave it.

    Args:
        model, arguments: registered encoder and keyword arguments of its builder.
        video: how clips are normalised.
        mask: ``tube``, ``region`` (balanced over the regions of an LGI-Former), or the one that the encoder needs.
        mask_ratio: share of places that are hidden.
        symmetry: see ``region_tube_mask``; for region masks.
        target: ``pixels``, or ``motion``: pixels of the first frame of a group and differences of the others to it.
        group: frames per group of the motion target.
        motion_weight: share of the motion in the loss, see ``MotionTarget``; None weighs all values alike.
        standardise: predict pixels standardised per tubelet and colour; False: raw ones; ``input``: those that the
            encoder gets, on their scale.
        decoder_dim, decoder_heads, decoder_depth: change the published decoder.
        decay_tokens: see ``MaskedAutoencoder``.
    """
    encoder = create_encoder(model, **arguments)
    if not isinstance(encoder, TubeletEncoder) or model not in DECODERS:
        raise UsageError(f"model {model!r} cannot be pretrained by masking; take one of {', '.join(sorted(DECODERS))}")
    if not 0.0 < mask_ratio < 1.0:
        raise UsageError(f"mask_ratio {mask_ratio} is not between 0 and 1; published runs take 0.9")
    size = DECODERS[model]
    decoder = DecoderSize(decoder_dim or size.dim, decoder_heads or size.heads, decoder_depth or size.depth)
    values = (
        MotionTarget(video.mean, video.std, standardise, group, motion_weight)
        if target == "motion"
        else PixelTarget(video.mean, video.std, standardise)
    )
    draws: ClipExtras = TubeMask(encoder.tubelet, mask_ratio)
    if mask == "region" or (mask == "auto" and isinstance(encoder, MAEDFER)):
        if not isinstance(encoder, MAEDFER):
            raise UsageError(f"model {model!r} has no regions; take mask=tube")
        draws = RegionTubeMask(encoder.tubelet, encoder.region[1:], mask_ratio, symmetry)
    block = {name: arguments[name] for name in BLOCK_OPTIONS if name in arguments}
    return MaskedAutoencoder(encoder, values, decoder, draws, decay_tokens, **block)
