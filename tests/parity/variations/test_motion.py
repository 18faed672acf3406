"""MAE-DFER-CA's variants on a shallow encoder, in judging and in training."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.parity.reference.motion import joined
from tests.parity.reference.weights import Weights, fingerprint
from tests.parity.test_parity import run_whole
from tests.parity.variations.common import case_of, clips, gradients

KWARGS = {"registered_name": "vit_base_dim512_no_depth_patch16_160", "num_classes": 7, "depth": 1, "all_frames": 16}
KWARGS |= {"attn_type": "local_global", "lg_region_size": [2, 5, 10], "lg_classify_token_type": "region"}
FIXED = {"embed_dim": 512, "num_heads": 8, "img_size": 160, "patch_size": 16, "qkv_bias": True, "norm_eps": 1e-6}


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["cat", "add(pos)"])
def test_variants(variant: str) -> None:
    w, seen, video = Weights(), {}, clips(variant, 16, 160)
    output = joined(w, KWARGS | FIXED, video.double(), variant, seen)
    told: dict[str, Any] = {}
    if variant == "cat":  # where every gradient is far enough from a kink for 32 bits
        loss = torch.nn.functional.cross_entropy(output, torch.tensor([3, 5]))
        loss.backward()
        idle = [name for name, value in w.made.items() if value.requires_grad and value.grad is None]
        told["training"] = {"targets": [3, 5], "loss": loss.item(), "without_gradient": idle} | gradients(w)
    batch = Weights(training=True)
    with torch.no_grad():
        trained = joined(batch, KWARGS | FIXED, video.double(), variant, {})
    run_whole(
        case_of(
            "maedfer_ca",
            variant,
            w,
            n_params=w.count,
            input_case=variant,
            kind="finetune",
            variant=variant,
            kwargs=KWARGS,
            input_shape=list(video.shape),
            output=fingerprint(output),
            output_full=output.tolist(),
            intermediates={key: fingerprint(value) for key, value in seen.items()},
            train_mode_forward={
                "output": fingerprint(trained),
                "buffers": {name: fingerprint(value) for name, value in batch.moved.items()},
            },
            **told,
        )
    )
