"""SS-VAERR's model by its specification: convolutions of PyTorch, everything else written out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from tests.parity.reference.weights import Weights, batch_norm, linear
from torch import Tensor
from torch.nn import functional as F


def active(w: Weights, name: str, x: Tensor, kind: str) -> Tensor:
    if kind == "relu":
        return x.clamp(min=0)
    slope = w(f"{name}.weight", x.shape[1]).reshape(1, -1, *[1] * (x.ndim - 2))
    return torch.where(x > 0, x, slope * x)


def mean_pooled(x: Tensor) -> Tensor:
    """Means of squares of two by two; the last ones are smaller where a side is odd."""
    rows = [x[:, :, i : i + 2] for i in range(0, x.shape[2], 2)]
    cells = [[row[:, :, :, j : j + 2].mean((2, 3)) for j in range(0, x.shape[3], 2)] for row in rows]
    return torch.stack([torch.stack(row, -1) for row in cells], -2)


def trunk(w: Weights, video: Tensor, kind: str, pooled: bool, seen: dict[str, Tensor]) -> Tensor:
    """Grey clips ``(B, T, H, W)`` → a vector per frame ``(B·T, 512)``."""
    x = F.conv3d(video[:, None], w("frontend3D.0.weight", 64, 1, 5, 7, 7), stride=(1, 2, 2), padding=(2, 3, 3))
    seen["frontend3D.0"] = x
    seen["frontend3D.1"] = x = batch_norm(w, "frontend3D.1", x)
    seen["frontend3D.2"] = x = active(w, "frontend3D.2", x, kind)
    seen["frontend3D.3"] = seen["frontend3D"] = x = F.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))
    x = torch.cat([clip.transpose(0, 1) for clip in x])
    for stage, width in enumerate((64, 128, 256, 512), start=1):
        for unit in range(2):
            name, stride = f"trunk.layer{stage}.{unit}", 2 if stage > 1 and unit == 0 else 1
            inner = F.conv2d(x, w(f"{name}.conv1.weight", width, x.shape[1], 3, 3), stride=stride, padding=1)
            inner = active(w, f"{name}.relu1", batch_norm(w, f"{name}.bn1", inner), kind)
            inner = F.conv2d(inner, w(f"{name}.conv2.weight", width, width, 3, 3), padding=1)
            inner = batch_norm(w, f"{name}.bn2", inner)
            if stride != 1:
                shift = int(pooled)
                thin = mean_pooled(x) if pooled else x[:, :, ::2, ::2]
                thin = F.conv2d(thin, w(f"{name}.downsample.{shift}.weight", width, x.shape[1], 1, 1))
                x = batch_norm(w, f"{name}.downsample.{shift + 1}", thin)
            seen[name] = x = active(w, f"{name}.relu2", inner + x, kind)
        seen[f"trunk.layer{stage}"] = x
    seen["trunk"] = x.mean((2, 3))
    return seen["trunk"]


def one_way(w: Weights, name: str, suffix: str, x: Tensor, hidden: int) -> Tensor:
    """A GRU's states over the rows of ``(T, C)``: gates in the order reset, update, new."""
    ih, hh = (
        w(f"{name}.weight_ih_{suffix}", 3 * hidden, x.shape[1]),
        w(f"{name}.weight_hh_{suffix}", 3 * hidden, hidden),
    )
    b, c = w(f"{name}.bias_ih_{suffix}", 3 * hidden), w(f"{name}.bias_hh_{suffix}", 3 * hidden)
    state, states = torch.zeros(hidden).double(), []
    for row in x:
        a, h = (ih @ row + b).split(hidden), (hh @ state + c).split(hidden)
        reset, update = torch.sigmoid(a[0] + h[0]), torch.sigmoid(a[1] + h[1])
        new = torch.tanh(a[2] + reset * h[2])
        state = (1 - update) * new + update * state
        states.append(state)
    return torch.stack(states)


def both_ways(w: Weights, name: str, x: Tensor, hidden: int, layers: int) -> Tensor:
    """States of a bidirectional GRU ``(T, 2·hidden)``."""
    for layer in range(layers):
        forward = one_way(w, name, f"l{layer}", x, hidden)
        backward = one_way(w, name, f"l{layer}_reverse", x.flip(0), hidden).flip(0)
        x = torch.cat((forward, backward), 1)
    return x


def headed(
    w: Weights, name: str, frames: Tensor, lengths: Sequence[int], outputs: int, hidden: int, layers: int = 2
) -> tuple[Tensor, Tensor]:
    """States and logits up to the longest length; a lone clip is read to its end whatever its length."""
    steps = max(lengths) if len(frames) > 1 else frames.shape[1]
    rows = []
    for clip, length in zip(frames, lengths, strict=True):
        valid = length if len(frames) > 1 else steps
        states = both_ways(w, f"{name}.gru" if name else "gru", clip[:valid], hidden, layers)
        rows.append(torch.cat((states, torch.zeros(steps - valid, 2 * hidden).double())))
    states = torch.stack(rows)
    return states, linear(w, f"{name}.fc" if name else "fc", states, outputs)


def whole(
    w: Weights, video: Tensor, lengths: Sequence[int], bins: int, hidden: int, kind: str, pooled: bool
) -> tuple[Tensor, dict[str, Tensor]]:
    """The published columns: bins and value of arousal, then of valence."""
    seen: dict[str, Tensor] = {}
    frames = trunk(w, video, kind, pooled, seen).unflatten(0, (len(video), -1))
    seen["gru.gru"], logits = headed(w, "gru", frames, lengths, 2 * (bins + 1), hidden)
    seen[f"gru ({2 * (bins + 1)} logits)"] = logits
    for name, shape in {name: value.shape for name, value in w.made.items() if name.startswith("gru.")}.items():
        w(name.replace("gru.", "gru2.", 1), *shape)
    parts = [
        part
        for one in logits.split(bins + 1, -1)
        for part in (one[..., :-1].softmax(-1), 2 * torch.sigmoid(one[..., -1:]) - 1)
    ]
    return torch.cat(parts, -1), seen
