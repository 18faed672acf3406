"""ViPER's Perceiver over other sets of streams, steps and sizes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.parity.detweights import input_for
from tests.parity.reference.perceiver import perceived, tokens_of
from tests.parity.reference.weights import Weights, fingerprint
from tests.parity.test_parity import run_whole
from tests.parity.variations.common import case_of, some_slow

WIDTHS = {"V": ("viper.visual", 768), "A": ("viper.audio", 512), "T": ("viper.textual", 768), "F": ("viper.fau", 27)}
SMALL = {"num_latents": 4, "d_latents": 32, "num_self_attends_per_block": 1, "num_labels": 7}
PERCEIVERS: dict[str, tuple[str, int, int, dict[str, Any]]] = {
    "perceiver_VA": ("VA", 2, 32, SMALL | {"d_model": 1280}),
    "perceiver_AF_of_four_heads": ("AF", 2, 9, SMALL | {"num_self_attention_heads": 4}),
    "perceiver_V_of_one_clip": ("V", 1, 1, SMALL | {"num_self_attends_per_block": 3, "num_labels": 3}),
    "perceiver_VTF": ("VTF", 3, 16, SMALL | {"d_model": 1568, "attention_probs_dropout_prob": 0.0}),
    "perceiver_without_layers_of_its_own": ("T", 1, 5, SMALL | {"num_latents": 1}),
}


@pytest.mark.parametrize("name", some_slow(PERCEIVERS, {"perceiver_VTF", "perceiver_AF_of_four_heads"}))
@torch.inference_mode()
def test_perceivers(name: str) -> None:
    letters, clips, steps, kwargs = PERCEIVERS[name]
    told = {key: {"case": WIDTHS[key][0], "shape": [clips, steps, WIDTHS[key][1]]} for key in letters}
    streams = {key: input_for(one["case"], one["shape"]) for key, one in told.items()}
    w, seen = Weights(), {}
    logits = perceived(w, tokens_of(streams), kwargs, seen)
    extra: dict[str, Any] = {}
    if "A" in letters:
        silent = streams | {"A": torch.zeros_like(streams["A"])}
        extra["logits_audio_columns_zero"] = perceived(w, tokens_of(silent), kwargs, {}).tolist()
    if steps > 16:
        first = {key: x[:, :16] for key, x in streams.items()}
        extra["logits_first_16_steps"] = perceived(w, tokens_of(first), kwargs, {}).tolist()
    labels = torch.sigmoid(input_for("viper.labels", list(logits.shape)))
    run_whole(
        case_of(
            "viper",
            name,
            w,
            repo="ViPER",
            kwargs=kwargs | {"modalities": letters},
            inputs=told,
            mode="eval",
            params=w.count,
            output=fingerprint(logits),
            logits=logits.tolist(),
            intermediates={key: fingerprint(value) for key, value in seen.items()},
            extra=extra,
            losses={"mean_mse": {"value": (logits - labels).square().mean().item()}},
        )
    )
