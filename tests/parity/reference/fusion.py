"""EfficientFace and the audiovisual fusions by their specification."""

from __future__ import annotations

from typing import Any

import torch
from tests.parity.reference.weights import Weights, attend, batch_norm, gelu, layer_norm, linear
from torch import Tensor
from torch.nn import functional as F

Seen = dict[str, Tensor]


def convolved(
    w: Weights, name: str, x: Tensor, out: int, kernel: int, stride: int = 1, groups: int = 1, dilation: int = 1,
    bias: bool = False,
) -> Tensor:  # fmt: skip
    weight = w(f"{name}.weight", out, x.shape[1] // groups, kernel, kernel)
    padding = kernel // 2 * (dilation if dilation > 1 else 1)
    offset = w(f"{name}.bias", out) if bias else None
    return F.conv2d(x, weight, offset, stride, padding, dilation, groups)


def shuffle_unit(w: Weights, name: str, x: Tensor, out: int, stride: int) -> Tensor:
    """A unit of ShuffleNet with two groups."""
    half = out // 2

    def main(x: Tensor) -> Tensor:
        b = f"{name}.branch2"
        x = torch.relu(batch_norm(w, f"{b}.1", convolved(w, f"{b}.0", x, half, 1)))
        x = batch_norm(w, f"{b}.4", convolved(w, f"{b}.3", x, half, 3, stride, groups=half))
        return torch.relu(batch_norm(w, f"{b}.6", convolved(w, f"{b}.5", x, half, 1)))

    if stride == 2:
        b, width = f"{name}.branch1", x.shape[1]
        short = batch_norm(w, f"{b}.1", convolved(w, f"{b}.0", x, width, 3, 2, groups=width))
        short = torch.relu(batch_norm(w, f"{b}.3", convolved(w, f"{b}.2", short, half, 1)))
        both = torch.cat((short, main(x)), 1)
    else:
        both = torch.cat((x[:, :half], main(x[:, half:])), 1)
    order = [g * half + j for j in range(half) for g in range(2)]
    return both[:, order]


def local_features(w: Weights, name: str, x: Tensor) -> Tensor:
    """Four quadrants, each with convolutions of its own; the second is the bottom left one."""
    mid, rows = x.shape[2] // 2, {}
    places = {1: (0, 0), 2: (1, 0), 3: (0, 1), 4: (1, 1)}
    for k, (row, column) in places.items():
        part = x[:, :, row * mid : (row + 1) * mid, column * mid : (column + 1) * mid]
        part = convolved(w, f"{name}.conv{k}_1", part, 116, 3, 2, groups=x.shape[1])
        part = torch.relu(batch_norm(w, f"{name}.bn{k}_1", part))
        part = convolved(w, f"{name}.conv{k}_2", part, 116, 3, groups=116)
        rows[row, column] = torch.relu(batch_norm(w, f"{name}.bn{k}_2", part))
    return torch.cat([torch.cat([rows[row, column] for column in (0, 1)], 3) for row in (0, 1)], 2)


def modulator(w: Weights, name: str, x: Tensor) -> Tensor:
    c, s = f"{name}.channel_att.gate_c", f"{name}.spatial_att.gate_s"
    narrow = x.shape[1] // 16
    channel = batch_norm(w, f"{c}.gate_c_bn_1", linear(w, f"{c}.gate_c_fc_0", x.mean((2, 3)), narrow))
    channel = linear(w, f"{c}.gate_c_fc_final", torch.relu(channel), x.shape[1])
    spatial = convolved(w, f"{s}.gate_s_conv_reduce0", x, narrow, 1, bias=True)
    spatial = torch.relu(batch_norm(w, f"{s}.gate_s_bn_reduce0", spatial))
    for k in range(2):
        spatial = convolved(w, f"{s}.gate_s_conv_di_{k}", spatial, narrow, 3, dilation=4, bias=True)
        spatial = torch.relu(batch_norm(w, f"{s}.gate_s_bn_di_{k}", spatial))
    spatial = convolved(w, f"{s}.gate_s_conv_final", spatial, 1, 1, bias=True)
    return x * torch.sigmoid(channel[:, :, None, None] * spatial)


def face(w: Weights, prefix: str, x: Tensor, seen: Seen | None = None) -> Tensor:
    """Pictures ``(N, 3, 224, 224)`` → ``(N, 1024)``."""
    seen = {} if seen is None else seen
    x = torch.relu(batch_norm(w, f"{prefix}conv1.1", convolved(w, f"{prefix}conv1.0", x, 29, 3, 2)))
    seen["conv1"] = x
    seen["maxpool"] = x = F.max_pool2d(x, 3, 2, 1)
    start = x
    for stage, (width, repeats) in enumerate(((116, 4), (232, 8), (464, 4)), start=2):
        for unit in range(repeats):
            x = shuffle_unit(w, f"{prefix}stage{stage}.{unit}", x, width, 1 if unit else 2)
        seen[f"stage{stage}"] = x
        if stage == 2:
            seen["modulator"] = modulator(w, f"{prefix}modulator", x)
            seen["local"] = local_features(w, f"{prefix}local", start)
            x = seen["modulator"] + seen["local"]
    x = torch.relu(batch_norm(w, f"{prefix}conv5.1", convolved(w, f"{prefix}conv5.0", x, 1024, 1)))
    seen["conv5"] = x
    return x.mean((2, 3))


def over_time(w: Weights, name: str, x: Tensor, out: int, padding: int) -> Tensor:
    kernel, bias = w(f"{name}.0.weight", out, x.shape[1], 3), w(f"{name}.0.bias", out)
    return torch.relu(batch_norm(w, f"{name}.1", F.conv1d(x, kernel, bias, padding=padding)))


def sound_stage(w: Weights, prefix: str, x: Tensor, stage: int) -> Tensor:
    for k, out in (((0, 64), (1, 128)), ((2, 256), (3, 128)))[stage - 1]:
        x = over_time(w, f"{prefix}conv1d_{k}", x, out, 0)
        x = torch.maximum(x[..., :-1], x[..., 1:])
    return x


def video_stage(w: Weights, prefix: str, x: Tensor, stage: int) -> Tensor:
    for k, out in (((0, 64), (1, 64)), ((2, 128), (3, 128)))[stage - 1]:
        x = over_time(w, f"{prefix}conv1d_{k}", x, out, 1)
    return x


def attention(w: Weights, name: str, keys: Tensor, queries: Tensor, dim: int, heads: int) -> tuple[Tensor, Tensor]:
    q = linear(w, f"{name}.q", queries, dim, bias=False)
    k, v = linear(w, f"{name}.kv", keys, 2 * dim, bias=False).split(dim, -1)
    y, probabilities = attend(q, k, v, heads)
    return linear(w, f"{name}.proj", y, dim), probabilities


def transformer(w: Weights, name: str, keys: Tensor, queries: Tensor, dim: int, heads: int, seen: Seen) -> Tensor:
    normed = layer_norm(w, f"{name}.norm1_k", keys, 1e-5), layer_norm(w, f"{name}.norm1_q", queries, 1e-5)
    z, seen[f"{name}.probabilities"] = attention(w, f"{name}.attn", *normed, dim, heads)
    hidden = gelu(linear(w, f"{name}.mlp.fc1", layer_norm(w, f"{name}.norm2", z, 1e-5), 2 * dim))
    seen[name] = z + linear(w, f"{name}.mlp.fc2", hidden, dim)
    return seen[name]


def gate(w: Weights, name: str, keys: Tensor, queries: Tensor, dim: int, heads: int, seen: Seen) -> Tensor:
    """What all queries together look at, per key."""
    seen[f"{name}.values_unused"], probabilities = attention(w, name, keys, queries, dim, heads)
    seen[f"{name}.probabilities"] = probabilities
    seen[f"{name}.weights"] = probabilities.mean(1).sum(1)
    return seen[f"{name}.weights"][:, :, None]


def fused(w: Weights, kind: str, sound: Tensor, video: Tensor, heads: int, classes: int, seen: Seen) -> Tensor:
    """MFCC ``(B, 10, L)`` and pictures ``(B, 3, T, 224, 224)`` → logits."""
    a_name, v_name = "audio_model.", "visual_model."
    pictures = torch.cat(list(video.transpose(1, 2)))
    v = face(w, v_name, pictures).unflatten(0, (len(video), -1)).transpose(1, 2)
    a, v = sound_stage(w, a_name, sound, 1), video_stage(w, v_name, v, 1)
    if kind == "lt":
        a, v = sound_stage(w, a_name, a, 2).mT, video_stage(w, v_name, v, 2).mT
        a, v = transformer(w, "av", v, a, 128, heads, seen), transformer(w, "va", a, v, 128, heads, seen)
    else:
        a, v = a.mT, v.mT
        if kind == "it":
            other = transformer(w, "av1", v, a, 128, heads, seen), transformer(w, "va1", a, v, 64, heads, seen)
            a, v = a + other[0], v + other[1]
        else:
            to_video, to_sound = gate(w, "av1", v, a, 128, heads, seen), gate(w, "va1", a, v, 64, heads, seen)
            a, v = a * to_sound, v * to_video
        a, v = sound_stage(w, a_name, a.mT, 2).mT, video_stage(w, v_name, v.mT, 2).mT
    seen["pooled_concat"] = torch.cat((a.mean(1), v.mean(1)), 1)
    for name in (a_name, v_name):
        linear(w, f"{name}classifier_1.0", torch.zeros(1, 128).double(), classes)
    return linear(w, "classifier_1.0", seen["pooled_concat"], classes)


def inputs_of(told: dict[str, Any], made: dict[str, Tensor]) -> dict[str, Tensor]:
    """The inputs in float64, what is zeroed at zero."""
    return {key: x.double() * (told.get("zeroed") != key) for key, x in made.items()}
