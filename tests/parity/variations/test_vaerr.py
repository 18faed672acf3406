"""SS-VAERR's model with other activations, bins, widths and lengths."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.parity.detweights import input_for
from tests.parity.reference.vaerr import headed, whole
from tests.parity.reference.weights import Weights, fingerprint
from tests.parity.test_parity import run_whole
from tests.parity.variations.common import case_of, some_slow

MODELS: dict[str, tuple[list[int], dict[str, Any]]] = {
    "past the longest": ([2, 6, 37, 37], {"lengths": [4, 2]}),
    "learned slopes": ([1, 3, 40, 33], {"relu_type": "prelu", "gamma_zero": True, "lengths": [2]}),
    "pooled shortcuts": ([2, 2, 34, 34], {"avg_pool_downsample": True, "lengths": [2, 1], "every_frame": True}),
    "few bins": ([1, 2, 32, 32], {"bins": 5, "n_classes": 12, "hiddenDim": 24, "lengths": [2]}),
}


@pytest.mark.parametrize("name", some_slow(MODELS, set(MODELS) - {"learned slopes"}))
@torch.inference_mode()
def test_models(name: str) -> None:
    shape, kwargs = MODELS[name]
    kwargs = {"bins": 20, "n_classes": 42} | kwargs
    bins, w = kwargs["bins"], Weights()
    video, pooled = input_for(name, shape).double(), kwargs.get("avg_pool_downsample", False)
    hidden, kind = kwargs.get("hiddenDim", 256), kwargs.get("relu_type", "relu")
    output, seen = whole(w, video, kwargs["lengths"], bins, hidden, kind, pooled)
    parts = {"arousal_bins": output[..., :bins], "arousal": output[..., bins]}
    parts |= {"valence_bins": output[..., bins + 1 : -1], "valence": output[..., -1]}
    run_whole(
        case_of(
            "vaerr",
            name,
            w,
            kind="forward_eval",
            kwargs=kwargs,
            input_shape=shape,
            input_case=name,
            params=w.count,
            output=fingerprint(output),
            parts={key: fingerprint(value) for key, value in parts.items()},
            intermediates={key: fingerprint(value) for key, value in seen.items()},
        )
    )


HEADS: dict[str, dict[str, Any]] = {
    "every step": {"every_frame": True, "lengths": [5, 5]},
    "padded": {"every_frame": True, "lengths": [5, 2]},
    "cut": {"every_frame": True, "lengths": [3, 1], "num_layers": 1},
    "last padded": {"every_frame": False, "lengths": [4, 2], "num_layers": 3, "hidden_size": 5},
    "a lone clip": {"every_frame": False, "lengths": [3]},
}


@pytest.mark.parametrize("name", HEADS)
def test_heads(name: str) -> None:
    kwargs = {"input_size": 7, "hidden_size": 6, "num_layers": 2, "num_classes": 4} | HEADS[name]
    shape, w = [len(kwargs["lengths"]), 5, 7], Weights()
    frames = input_for(name, shape).double()
    _, logits = headed(w, "", frames, kwargs["lengths"], 4, kwargs["hidden_size"], kwargs["num_layers"])
    output = logits if kwargs["every_frame"] else logits[:, -1]
    run_whole(
        case_of(
            "vaerr",
            name,
            w,
            kind="gru_only",
            kwargs=kwargs,
            input_shape=shape,
            input_case=name,
            output=fingerprint(output),
        )
    )
