"""Fine-tuned VideoMAE and LGI-Former in sizes and with options that no file holds."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.parity.collect import Case
from tests.parity.reference import tubelets
from tests.parity.reference.weights import Weights, fingerprint
from tests.parity.test_parity import run_whole
from tests.parity.variations.common import NOWHERE, case_of, clips, gradients

SMALL = {"img_size": 64, "patch_size": 16, "embed_dim": 48, "num_heads": 4, "qkv_bias": True, "num_classes": 5}
VIT = {"cls": "VisionTransformer", "norm_eps": 1e-6, "depth": 2, "all_frames": 8, "tubelet_size": 2, **SMALL}
LGI = VIT | {"attn_type": "local_global", "lg_region_size": [2, 2, 2], "lg_classify_token_type": "region"}


FINETUNED: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("videomae", VIT),
    "first token": ("videomae", VIT | {"use_mean_pooling": False}),
    "learned positions": ("videomae", VIT | {"use_learnable_pos_emb": True}),
    "no bias": ("videomae", VIT | {"qkv_bias": False, "mlp_ratio": 2}),
    "layer scale": ("videomae", VIT | {"init_values": 0.1, "qk_scale": 0.3}),
    "layer scale off": ("videomae", VIT | {"init_values": 0.0, "norm_eps": 1e-5, "drop_path_rate": 0.2}),
    "one frame per token": ("videomae", VIT | {"tubelet_size": 1, "all_frames": 3, "img_size": 48}),
    "small patches": ("videomae", VIT | {"patch_size": 8, "img_size": 40, "all_frames": 4, "num_heads": 6}),
    "joint": ("maedfer", VIT | {"attn_type": "joint"}),
    "joint first token": ("maedfer", VIT | {"attn_type": "joint", "use_mean_pooling": False}),
    "joint per frame": ("maedfer", VIT | {"attn_type": "joint", "keep_temporal_dim": True}),
    "region": ("maedfer", LGI),
    "region first token": ("maedfer", LGI | {"use_mean_pooling": False}),
    "org first token": ("maedfer", LGI | {"use_mean_pooling": False, "lg_classify_token_type": "org"}),
    "all first token": ("maedfer", LGI | {"use_mean_pooling": False, "lg_classify_token_type": "all"}),
    "no second": ("maedfer", LGI | {"lg_no_second": True}),
    "no second, no third": ("maedfer", LGI | {"lg_no_second": True, "lg_no_third": True}),
    "third self": ("maedfer", LGI | {"lg_third_attn_type": "self", "head_activation_func": "relu"}),
    "first cross, no second": ("maedfer", LGI | {"lg_first_attn_type": "cross", "lg_no_second": True}),
    "share first and third": ("maedfer", LGI | {"lg_attn_param_sharing_first_third": True}),
    "share all": ("maedfer", LGI | {"lg_attn_param_sharing_all": True, "lg_no_second": True}),
    "share all of two": ("maedfer", LGI | {"lg_attn_param_sharing_all": True, "lg_no_third": True}),
    "share both ways": (
        "maedfer",
        LGI | {"lg_attn_param_sharing_all": True, "lg_attn_param_sharing_first_third": True},
    ),
    "cross, self, shared": (
        "maedfer",
        LGI
        | {"lg_first_attn_type": "cross", "lg_third_attn_type": "self", "lg_attn_param_sharing_first_third": True}
        | {"lg_classify_token_type": "all", "qkv_bias": False},
    ),
    "one region": ("maedfer", LGI | {"lg_region_size": [4, 4, 4], "lg_classify_token_type": "all"}),
    "regions of one slice": ("maedfer", LGI | {"lg_region_size": [1, 1, 4], "qk_scale": 0.2}),
    "regions of one token": ("maedfer", LGI | {"lg_region_size": [1, 1, 1], "img_size": 32, "all_frames": 4}),
    "learned positions of regions": ("maedfer", LGI | {"use_learnable_pos_emb": True}),
    "region tokens per frame": ("maedfer", LGI | {"keep_temporal_dim": True, "lg_region_size": [1, 2, 2]}),
    "all tokens per frame": (
        "maedfer",
        LGI | {"keep_temporal_dim": True, "lg_region_size": [1, 4, 4], "lg_classify_token_type": "all"},
    ),
    "wide regions": ("maedfer", LGI | {"lg_region_size": [4, 1, 4], "tubelet_size": 1, "all_frames": 4}),
}


@pytest.mark.parametrize("name", FINETUNED)
def test_finetuned_transformers(name: str) -> None:
    system, kwargs = FINETUNED[name]
    w, seen = Weights(), {}
    video = clips(name, kwargs["all_frames"], kwargs["img_size"], count=1 if "first" in name else 2)
    output = tubelets.finetuned(w, kwargs, video.double(), seen)
    loss = torch.nn.functional.cross_entropy(output, torch.arange(len(video)) % output.shape[1])
    loss.backward()
    if system == "maedfer":
        told: dict[str, Any] = {"output_full": output.tolist()}
    else:
        told = {
            "position_encoding": fingerprint(
                tubelets.positions(w, kwargs, seen[PATCHES].shape[1], 48).reshape(1, -1, 48)
            )
        }
    training = {"targets": (torch.arange(len(video)) % output.shape[1]).tolist(), "loss": loss.item()}
    if not tubelets.shared_steps(kwargs):
        training |= gradients(w)
    run_whole(
        case_of(
            system,
            name,
            w,
            n_params=w.count,
            input_case=name,
            kind="finetune",
            kwargs=kwargs,
            input_shape=list(video.shape),
            mask=None,
            output=fingerprint(output),
            intermediates={key: fingerprint(value) for key, value in seen.items()},
            training=training,
            **told,
        )
    )


PATCHES = "patch tokens before position encoding (B,N,C)"


LAYERS: dict[str, tuple[str, dict[str, Any], float]] = {
    "shallow": ("videomae", VIT | {"depth": 3, "init_values": 0.1}, 0.7),
    "learned positions": ("videomae", VIT | {"depth": 1, "use_learnable_pos_emb": True}, 0.5),
    "first token, no bias": ("videomae", VIT | {"use_mean_pooling": False, "qkv_bias": False}, 0.9),
    "regions": ("maedfer", LGI | {"depth": 4}, 0.65),
    "joint": ("maedfer", VIT | {"depth": 2, "attn_type": "joint"}, 1.0),
}


@pytest.mark.parametrize("name", LAYERS)
@torch.no_grad()
def test_layers_and_decay(name: str) -> None:
    """Embedding and positions are layer 0, block i is layer i + 1, everything else the last; vectors, biases, learned
    positions and region tokens are not decayed."""
    system, kwargs, rate = LAYERS[name]
    w, depth = Weights(), kwargs["depth"]
    tubelets.finetuned(w, kwargs, clips(name, 8, 64, count=1).double(), {})
    told = {}
    for key, value in w.made.items():
        layer = depth + 1
        if key.startswith(("patch_embed.", "pos_embed")):
            layer = 0
        elif key.startswith("blocks."):
            layer = int(key.split(".")[1]) + 1
        plain = value.ndim == 1 or key.endswith(".bias") or key in ("pos_embed", "lg_region_tokens")
        told[key] = [layer, rate ** (depth + 1 - layer), 0.0 if plain else 0.05]
    table: dict[str, Any] = {"values": [rate ** (depth + 1 - layer) for layer in range(depth + 2)], "parameters": told}
    if system == "maedfer":
        table = {"a table": table | {"rate": rate, "weight_decay": 0.05}}
    run_whole(Case(system, "layer_decay", table, NOWHERE))
