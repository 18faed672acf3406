"""SVFAP in sizes and with options that no file holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.parity.reference import tubelets
from tests.parity.reference.weights import Weights, fingerprint
from tests.parity.test_parity import run_whole
from tests.parity.variations.common import case_of, clips, gradients, masks_of, target

EVERY = {"img_size": 64, "patch_size": 16, "qkv_bias": True, "norm_layer": "LayerNorm(eps=1e-6)"}
SMALL = EVERY | {"embed_dim": 48, "num_heads": 4, "num_classes": 3, "stage_depths": [1, 2, 1], "all_frames": 8}
FINETUNED: dict[str, dict[str, Any]] = {
    "plain": SMALL,
    "bottlenecks of each stage": SMALL
    | {"img_size": 112, "stage_depths": [2, 3, 1], "num_bottleneck_tokens": [5, 3], "init_values": 0.1}
    | {"use_learnable_pos_emb": True, "head_activation_func": "sigmoid"},
    "kernel of four": SMALL
    | {"temporal_kernel_size": 4, "stage_depths": [2, 2], "num_bottleneck_tokens": [6], "use_mean_pooling": False},
    "first token": SMALL | {"use_mean_pooling": False, "init_values": 0.0, "all_frames": 16},
    "two stages": SMALL | {"stage_depths": [1, 3], "num_bottleneck_tokens": [4], "head_activation_func": "relu"},
    "four stages": SMALL | {"stage_depths": [1, 1, 1, 2], "num_bottleneck_tokens": [4, 3, 2], "all_frames": 16},
    "a bottleneck of one": SMALL | {"num_bottleneck_tokens": [1], "qkv_bias": False, "mlp_ratio": 2},
    "scaled": SMALL | {"qk_scale": 0.2, "drop_path_rate": 0.1, "init_scale": 0.001, "head_activation_func": "none"},
    "one frame per token": SMALL | {"tubelet_size": 1, "all_frames": 4, "img_size": 48},
    "small patches": SMALL | {"patch_size": 8, "img_size": 40, "norm_layer": "LayerNorm(eps=1e-5)"},
    "slices left over": SMALL | {"all_frames": 10, "stage_depths": [1, 2]},
    "one stage": SMALL | {"stage_depths": [2], "keep_temporal_dim": True, "head_activation_func": "sigmoid"},
    "one stage, one answer": SMALL | {"stage_depths": [3]},
    "one stage, first token": SMALL | {"stage_depths": [1], "use_mean_pooling": False, "tubelet_size": 4},
}


def epsilon(kwargs: dict[str, Any]) -> dict[str, Any]:
    return kwargs | {"norm_eps": float(kwargs["norm_layer"].split("eps=")[1].rstrip(")"))}


@pytest.mark.parametrize(("name", "trained"), [*((name, False) for name in FINETUNED), ("scaled", True)])
def test_finetuned(name: str, trained: bool) -> None:
    """Training without chance is as judging: these models have no statistics of the batch."""
    kwargs = FINETUNED[name]
    w, seen, video = Weights(), {}, clips(name, kwargs["all_frames"], kwargs["img_size"])
    output = tubelets.svfap(w, epsilon(kwargs), video.double(), seen)
    labels, share, smoothing = [2, 0], 0.3, 0.1
    truth = torch.eye(output.shape[1]).double()[labels]
    soft = (share * truth + (1 - share) * truth.flip(0)) * (1 - smoothing) + smoothing / output.shape[1]
    smooth = truth * (1 - smoothing) + smoothing / output.shape[1]
    losses = {
        "labels": labels,
        "mixup_lambda": share,
        "smoothing": smoothing,
        "soft_target": soft.tolist(),
        "soft_target_cross_entropy": -(soft * output.log_softmax(1)).sum(1).mean().item(),
        "label_smoothing_cross_entropy": -(smooth * output.log_softmax(1)).sum(1).mean().item(),
        "plain_cross_entropy": -(truth * output.log_softmax(1)).sum(1).mean().item(),
    }
    run_whole(
        case_of(
            "svfap",
            name,
            w,
            n_params=w.count,
            input_case=name,
            kind="finetune",
            constructor="TPSBT",
            model_kwargs=kwargs,
            input_shape=list(video.shape),
            eval_mode=not trained,
            output=fingerprint(output),
            output_values=output.flatten().tolist(),
            intermediates={key: fingerprint(value) for key, value in seen.items()},
            loss=losses,
        )
    )


MASKED = EVERY | {"encoder_embed_dim": 48, "encoder_num_heads": 3, "encoder_num_classes": 0}
MASKED |= {"decoder_num_classes": 1536, "decoder_embed_dim": 32, "decoder_num_heads": 2, "decoder_depth": 1}
MASKED |= {"stage_depths": [1, 2, 1], "num_bottleneck_tokens": [3]}
PRETRAINED: dict[str, tuple[dict[str, Any], float, str, bool]] = {
    "corrected": (MASKED | {"img_size": 96, "num_bottleneck_tokens": [4, 3]}, 0.9, "corrected", True),
    "odd places": (MASKED, 0.82, "corrected", True),
    "raw pixels": (MASKED | {"init_values": 0.1}, 0.75, "corrected", False),
    "released": (MASKED | {"stage_depths": [2, 2, 2]}, 0.75, "released", True),
    "two stages": (MASKED | {"stage_depths": [1, 2], "qkv_bias": False}, 0.75, "corrected", True),
    "two stages as released": (MASKED | {"stage_depths": [1, 2]}, 0.75, "released", False),
    "kernel of four": (MASKED | {"stage_depths": [1, 2], "temporal_kernel_size": 4}, 0.75, "corrected", True),
    "one stage": (MASKED | {"stage_depths": [2]}, 0.82, "corrected", True),
}


@pytest.mark.parametrize("name", PRETRAINED)
def test_masked(name: str) -> None:
    kwargs, ratio, forward, normalised = PRETRAINED[name]
    side = kwargs["img_size"] // 16
    # every clip has a generator of its own, seeded by its number
    masks = np.concatenate([masks_of("tube", 1, (8, side, side), ratio, (1, 1), seed=clip) for clip in range(2)])
    w, seen, video = Weights(), {}, clips(name, 16, kwargs["img_size"])
    hidden = torch.from_numpy(masks)
    output = tubelets.svfap_pretrained(w, epsilon(kwargs), video.double(), hidden, seen, forward == "released")
    wanted = target(video, normalised)[hidden].reshape_as(output)
    loss = (output - wanted).square().mean()
    loss.backward()
    idle = {n: v.numel() for n, v in w.made.items() if v.grad is None}
    rule = {"ratio": ratio, "type": "tube", "temporal_slices": 8, "patches_per_slice": side * side}
    rule["visible_spatial_indices_per_sample"] = [np.flatnonzero(~mask[: side * side]).tolist() for mask in masks]
    names = {"after projection", "decoder input", "_final_bottleneck", "_temporal_conv"}
    run_whole(
        case_of(
            "svfap",
            name,
            w,
            n_params=w.count,
            n_params_encoder=sum(v.numel() for n, v in w.made.items() if n.startswith("encoder.")),
            n_params_decoder=sum(v.numel() for n, v in w.made.items() if n.startswith("decoder.")),
            input_case=name,
            kind="pretrain",
            constructor="PretrainVisionTransformer",
            forward=forward,
            model_kwargs=kwargs,
            input_shape=list(video.shape),
            mask=rule,
            target=fingerprint(wanted),
            target_normalised=normalised,
            loss=loss.item(),
            output=fingerprint(output),
            intermediates={
                key: fingerprint(value) for key, value in seen.items() if not any(part in key for part in names)
            },
            gradients={
                "global_l2_norm": gradients(w)["grad_norm"],
                "l2_norm_per_parameter": {
                    n: None if v.grad is None else v.grad.norm().item() for n, v in w.made.items()
                },
                "parameters_without_gradient": sorted({n.rsplit(".", 1)[0] for n in idle}),
                "count_without_gradient": sum(idle.values()),
            },
        )
    )
