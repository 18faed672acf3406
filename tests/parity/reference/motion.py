"""MAE-DFER-CA by its specification, with the plain encoder of ``reference.tubelets``."""

from __future__ import annotations

import torch
from tests.parity.reference.tubelets import Given, Seen, finetuned
from tests.parity.reference.weights import Weights, attend, batch_norm, gelu, layer_norm, linear
from torch import Tensor
from torch.nn import functional as F

WIDTHS = (128, 128, 256, 512)


def convolved(w: Weights, name: str, x: Tensor, width: int, kernel: int, stride: int = 1) -> Tensor:
    return F.conv2d(x, w(f"{name}.weight", width, x.shape[1], kernel, kernel), stride=stride, padding=kernel // 2)


def motion(w: Weights, video: Tensor, position: bool, seen: Seen) -> Tensor:
    """The branch's feature before its ReLU."""
    picture = video.mean(2) - video[:, :, 0]
    seen["motion image = temporal mean minus first frame (B,3,160,160)"] = picture
    x = torch.relu(batch_norm(w, "conv_act.1", convolved(w, "conv_act.0", picture, 180, 3, 2)))
    seen["motion stem output (B,180,80,80)"] = x
    x = torch.relu(batch_norm(w, "cablock.bn1", convolved(w, "cablock.conv1", x, 128, 3)))
    attention = None
    for stage, width in enumerate(WIDTHS, start=1):
        name, stride = f"cablock.layer{stage}.0", 1 if stage == 1 else 2
        inner = torch.relu(batch_norm(w, f"{name}.bn1", convolved(w, f"{name}.conv1", x, width, 3, stride)))
        inner = batch_norm(w, f"{name}.bn2", convolved(w, f"{name}.conv2", inner, width, 1))
        if stride != 1 or x.shape[1] != width:
            short = convolved(w, f"{name}.downsample.0", x, width, 1, stride)
            x = batch_norm(w, f"{name}.downsample.1", short)
        x = torch.relu(inner + x)
        both = torch.stack((x.mean(1), x.max(1).values), 1)
        own = torch.sigmoid(batch_norm(w, f"{name}.attn.1", convolved(w, f"{name}.attn.0", both, 1, 1)))
        attention = own if attention is None else F.max_pool2d(attention, 3, 2, 1) * own
        x = x * attention
        size = ",".join(map(str, x.shape[2:]))
        seen[f"CA layer{stage} features (B,{width},{size})"] = x
        seen[f"CA layer{stage} attention map (B,1,{size})"] = attention
    if position:
        x = x + place(w, video[:, :, 0], seen)
    feature = linear(w, "fc1", x.flatten(1), 512)
    seen["motion feature before ReLU (B,512)"] = feature
    return feature


def place(w: Weights, picture: Tensor, seen: Seen) -> Tensor:
    """The position branch on a picture of 160 pixels: what lies around the middle of every 16 of them."""
    rows = (picture[:, :, 7::16] + picture[:, :, 8::16]) / 2
    small = (rows[..., 7::16] + rows[..., 8::16]) / 2
    kernel, bias = w("vit_pos.patch_embed.proj.weight", 512, 3, 1, 1), w("vit_pos.patch_embed.proj.bias", 512)
    x = F.conv2d(small, kernel, bias).flatten(2).transpose(1, 2) + w("vit_pos.pos_embed", 1, 100, 512)
    for i in range(2):
        name = f"vit_pos.blocks.{i}"
        q, k, v = linear(w, f"{name}.attn.qkv", layer_norm(w, f"{name}.norm1", x, 1e-6), 1536).split(512, -1)
        x = x + linear(w, f"{name}.attn.proj", attend(q, k, v, 4)[0], 512)
        wide = gelu(linear(w, f"{name}.mlp.fc1", layer_norm(w, f"{name}.norm2", x, 1e-6), 1024))
        x = x + linear(w, f"{name}.mlp.fc2", wide, 512)
    x = layer_norm(w, "vit_pos.norm", x, 1e-6)
    seen["position branch tokens (B,100,512)"] = x
    for name, shape in {"cls_token": (1, 1, 512), "head.weight": (5, 512), "head.bias": (5,)}.items():
        w(f"vit_pos.{name}", *shape)
    w("vit_pos.to_Mask.0.weight", 1, 512)
    w("vit_pos.to_Mask.0.bias", 1)
    return x.transpose(1, 2).reshape(-1, 512, 10, 10)


def joined(w: Weights, given: Given, video: Tensor, variant: str, seen: Seen) -> Tensor:
    """Logits of a variant: ``add``, ``add(4*5)``, ``add(pos)`` or ``cat``."""
    inner, aside = Weights(), {}
    finetuned(inner, {**given, "num_classes": 1}, video, aside)
    w.made |= {name: value for name, value in inner.made.items() if not name.startswith("head.")}
    pooled = aside["pooled feature after final norm, before head"]
    moved = torch.relu(motion(w, video, variant == "add(pos)", seen))
    fused = torch.cat((pooled, moved), 1) if variant == "cat" else pooled + moved
    seen |= {"LGI-Former pooled feature (B,512)": pooled, "fused feature entering the head": fused}
    w("cablock.fc.weight", 7, 100352)
    w("cablock.fc.bias", 7)
    return linear(w, "head", fused, given["num_classes"])
