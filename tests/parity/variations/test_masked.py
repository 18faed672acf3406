"""Masked pretraining of VideoMAE and LGI-Former in sizes and with options that no file holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.parity.reference import tubelets
from tests.parity.reference.weights import Weights, fingerprint
from tests.parity.test_parity import run_whole
from tests.parity.variations.common import case_of, clips, gradients, masks_of, target

PRETRAINED = {"img_size": 64, "patch_size": 16, "encoder_embed_dim": 48, "encoder_depth": 2, "encoder_num_heads": 4}
PRETRAINED |= {"decoder_num_classes": 1536, "decoder_embed_dim": 32, "decoder_depth": 1, "decoder_num_heads": 2}
PRETRAINED |= {"cls": "PretrainVisionTransformer", "norm_eps": 1e-6, "qkv_bias": True, "mlp_ratio": 4}
REGIONS = {"attn_type": "local_global", "lg_region_size": [2, 2, 4]}
MASKED: dict[str, tuple[str, dict[str, Any], str, float]] = {
    "tube": ("videomae", PRETRAINED, "tube", 0.75),
    "tube without bias": ("videomae", PRETRAINED | {"qkv_bias": False, "decoder_depth": 2}, "tube", 0.9),
    "scaled layers": ("videomae", PRETRAINED | {"init_values": 0.1}, "tube", 0.5),
    "joint": ("maedfer", PRETRAINED | {"attn_type": "joint"}, "tube", 0.75),
    "windows": ("maedfer", PRETRAINED | REGIONS, "part_window", 0.75),
    "windows of halves": ("maedfer", PRETRAINED | REGIONS | {"lg_third_attn_type": "self"}, "part_window", 0.5),
    "tube of regions": ("maedfer", PRETRAINED | REGIONS | {"lg_region_size": [4, 2, 4]}, "tube", 0.75),
    "small regions": ("maedfer", PRETRAINED | REGIONS | {"lg_region_size": [2, 2, 2]}, "tube", 0.75),
    "no second": ("maedfer", PRETRAINED | REGIONS | {"lg_no_second": True}, "part_window", 0.75),
    "first cross": ("maedfer", PRETRAINED | REGIONS | {"lg_first_attn_type": "cross"}, "part_window", 0.75),
}


JOINT = "joint target, group size 2, normalised"
SVFAP = {"encoder_to_decoder_output", "decoder_input"}  # what SVFAP's cases call them
TARGETS: dict[str, dict[str, dict[str, Any]]] = {
    "videomae": {"normalised pixels": {"normalised": True}, "raw pixels": {"normalised": False}},
    "maedfer": {
        "appearance only, normalised pixels": {"normalised": True},
        "appearance only, raw pixels": {"normalised": False},
        JOINT: {"normalised": True, "group": 2},
        "joint target, group size 4, normalised": {"normalised": True, "group": 4},
        "joint target, group size 1, normalised": {"normalised": True, "group": 1},
        "joint target, group size 2, raw": {"normalised": False, "group": 2},
    },
}


@pytest.mark.parametrize("name", MASKED)
def test_masked_transformers(name: str) -> None:
    system, kwargs, kind, ratio = MASKED[name]
    video, grid, window = clips(name, 16, 64), (8, 4, 4), (2, 4)
    masks = masks_of(kind, 2, grid, ratio, window)
    w, seen = Weights(), {}
    output = tubelets.pretrained(w, kwargs, video.double(), torch.from_numpy(masks), seen)
    hidden = torch.from_numpy(masks)
    wanted = {words: target(video, **how)[hidden].reshape_as(output) for words, how in TARGETS[system].items()}
    losses = {f"mse | {words}": (output - values).square().mean() for words, values in wanted.items()}
    trained = losses[f"mse | {JOINT if system == 'maedfer' else 'normalised pixels'}"]
    if system == "maedfer":
        first, second = (output - wanted[JOINT]).square().unflatten(2, (2, -1)).mean((0, 1, 3))
        losses["appearance part (first frame of each pair)"] = first
        losses["motion part (second frame of each pair)"] = second
        losses["weighted, target_diff_weight=0.25"] = 0.75 * first + 0.25 * second
    trained.backward()
    rule = {"kind": kind, "ratio": ratio, "window": list(grid), "masked_total": int(masks[0].sum())}
    rule |= {"win_size": list(window), "symmetry": None} if system == "maedfer" and kind != "tube" else {}
    places = [np.flatnonzero(~mask[:16]).tolist() for mask in masks]
    run_whole(
        case_of(
            system,
            name,
            w,
            n_params=w.count,
            input_case=name,
            kind="pretrain",
            kwargs=kwargs,
            input_shape=list(video.shape),
            mask=rule | {"visible_positions_per_frame": places},
            output=fingerprint(output),
            intermediates={key: fingerprint(value) for key, value in seen.items() if key not in SVFAP},
            targets={words: fingerprint(values) for words, values in wanted.items()},
            losses={words: value.item() for words, value in losses.items()},
            training={"loss": trained.item()} | gradients(w),
        )
    )
