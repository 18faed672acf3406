"""How ``src/mien/faces/weights/mtcnn.safetensors`` was made.

The published weights come from the facenet-pytorch wheel (MIT, notice in LICENSE.models):

    pip download --no-deps facenet-pytorch==2.6.0
    python scripts/convert_mtcnn.py facenet_pytorch-2.6.0-py3-none-any.whl src/mien/faces/weights/mtcnn.safetensors

Tensors are renamed to ours. The first dense layers of R-Net and O-Net were trained on maps flattened as
(width, height, channels); their columns are put into torch's order (channels, height, width) here, once.
"""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

NAMES = {
    "pnet": ("proposal", {"conv4_1": "face", "conv4_2": "box"}),
    "rnet": ("refine", {"dense4": "dense", "prelu4": "act", "dense5_1": "face", "dense5_2": "box"}),
    "onet": (
        "output",
        {"dense5": "dense", "prelu5": "act", "dense6_1": "face", "dense6_2": "box", "dense6_3": "landmarks"},
    ),
}


def ours(layer: str, heads: dict[str, str]) -> str:
    """Our name of a published layer."""
    return heads.get(layer) or "body." + layer.replace("prelu", "act")


def reordered(weight: Tensor, channels: int) -> Tensor:
    """Columns (width, height, channels) → (channels, height, width)."""
    side = round((weight.shape[1] / channels) ** 0.5)
    return weight.view(-1, side, side, channels).permute(0, 3, 2, 1).reshape(weight.shape).contiguous()


def convert(wheel: Path) -> dict[str, Tensor]:
    """The state dict of ``mien.faces.networks.Cascade``."""
    state = {}
    with zipfile.ZipFile(wheel) as archive:
        for file, (net, heads) in NAMES.items():
            content = io.BytesIO(archive.read(f"facenet_pytorch/data/{file}.pt"))
            published = torch.load(content, weights_only=True)
            for name, tensor in published.items():
                layer, kind = name.rsplit(".", 1)
                if ours(layer, heads) == "dense" and kind == "weight":
                    tensor = reordered(tensor, channels={"refine": 64, "output": 128}[net])
                state[f"{net}.{ours(layer, heads)}.{kind}"] = tensor.contiguous()
    return state


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    save_file(convert(source), target, metadata={"source": "facenet-pytorch 2.6.0", "licence": "MIT"})
