"""ViPER's Perceiver by its specification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from tests.parity.reference.weights import Weights, attend, gelu, layer_norm, linear
from torch import Tensor

EPS = 1e-5


def layer(w: Weights, name: str, x: Tensor, context: Tensor | None, heads: int, seen: dict[str, Tensor]) -> Tensor:
    """Attention of latents to a context, or to themselves, and an MLP; queries are as wide as what they look at."""
    own = layer_norm(w, f"{name}.attention.self.layernorm1", x, EPS)
    other = own if context is None else layer_norm(w, f"{name}.attention.self.layernorm2", context, EPS)
    q, k, v = (
        linear(w, f"{name}.attention.self.{what}", value, other.shape[-1])
        for what, value in (("query", own), ("key", other), ("value", other))
    )
    found, probabilities = attend(q, k, v, heads)
    x = x + linear(w, f"{name}.attention.output.dense", found, x.shape[-1])
    hidden = gelu(linear(w, f"{name}.mlp.dense1", layer_norm(w, f"{name}.layernorm", x, EPS), x.shape[-1]))
    x = x + linear(w, f"{name}.mlp.dense2", hidden, x.shape[-1])
    seen[name], seen[f"{name}.probabilities"] = x, probabilities
    return x


def perceived(w: Weights, tokens: Tensor, given: Mapping[str, Any], seen: dict[str, Tensor]) -> Tensor:
    """``(B, N, d)`` → outputs without an activation."""
    count, dim = given.get("num_latents", 256), given.get("d_latents", 1280)
    heads, aside = given.get("num_self_attention_heads", 8), {}
    z = w("embeddings.latents", count, dim).expand(len(tokens), -1, -1)
    z = layer(w, "encoder.cross_attention", z, tokens, heads, aside)
    for i in range(given.get("num_self_attends_per_block", 26)):
        z = layer(w, f"encoder.self_attends.{i}", z, None, heads, aside)
    decoder = "decoder.decoder."
    query = w(f"{decoder}output_position_encodings.position_embeddings", 1, dim).expand(len(tokens), -1, -1)
    answer = layer(w, f"{decoder}decoding_cross_attention", query, z, 1, aside)
    seen |= {name: value for name, value in aside.items() if name.startswith("encoder")}
    seen["decoder.decoding_cross_attention"] = answer
    seen["decoder.cross_attention.probabilities"] = aside[f"{decoder}decoding_cross_attention.probabilities"]
    seen["last_hidden_state"] = z
    return linear(w, f"{decoder}final_layer", answer[:, 0], given["num_labels"])


def tokens_of(streams: Mapping[str, Tensor]) -> Tensor:
    """Channels side by side in the order of the letters; five columns of zeros after the action units."""
    parts = [
        torch.cat((x.double(), torch.zeros(*x.shape[:2], 5).double()), 2) if key == "F" else x.double()
        for key, x in streams.items()
    ]
    return torch.cat(parts, 2)
