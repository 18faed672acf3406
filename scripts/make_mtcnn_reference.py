"""How ``tests/faces/data/mtcnn_reference.json`` was made: by the published code of facenet-pytorch, run unchanged.

    pip download --no-deps facenet-pytorch==2.6.0
    python scripts/make_mtcnn_reference.py facenet_pytorch-2.6.0-py3-none-any.whl [folder of sample videos]

The wheel asks for torchvision; the one function of it that detection uses is stood in for below by plain loops.
"""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

TESTS = Path(__file__).parent.parent / "tests" / "faces"
MIN_FACE = 20
VIDEOS = ("latentsync_demo1.mp4", "pyfeat_single_face.mp4", "intel_asl_thanks.mkv", "grid_bbaf2n.mpg")


def batched_nms(boxes: Tensor, scores: Tensor, groups: Tensor, limit: float) -> Tensor:
    """Greedy non-maximum suppression by groups, one box after the other."""
    kept: list[int] = []
    for i in scores.argsort(descending=True, stable=True).tolist():
        rivals = [j for j in kept if groups[j] == groups[i]]
        if not rivals:
            kept.append(i)
            continue
        one, many = boxes[i].double(), boxes[rivals].double()
        sides = (torch.minimum(one[2:], many[:, 2:]) - torch.maximum(one[:2], many[:, :2])).clamp(min=0)
        shared = sides.prod(dim=1)
        union = (one[2:] - one[:2]).prod() + (many[:, 2:] - many[:, :2]).prod(dim=1) - shared
        if bool((shared / union <= limit).all()):
            kept.append(i)
    return torch.tensor(kept, dtype=torch.long)


def stand_in_for_torchvision() -> None:
    """Modules under torchvision's names with what the published code imports."""
    names = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional", "torchvision.ops")
    for name in (*names, "torchvision.ops.boxes"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["torchvision.transforms"].functional = sys.modules["torchvision.transforms.functional"]  # type: ignore[attr-defined]
    sys.modules["torchvision.ops.boxes"].batched_nms = batched_nms  # type: ignore[attr-defined]


def unpacked(wheel: Path, folder: Path) -> None:
    """The wheel's content in a folder that Python can import from (its weights are read by file name)."""
    import zipfile

    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    sys.path[:0] = [str(folder), str(TESTS)]


def main(wheel: Path, samples: Path | None) -> None:
    import tempfile

    import av

    stand_in_for_torchvision()
    with tempfile.TemporaryDirectory() as folder:
        unpacked(wheel, Path(folder))
        from facenet_pytorch.models.mtcnn import MTCNN
        from pictures import reference_pictures

        detector = MTCNN(min_face_size=MIN_FACE, device="cpu")
        pictures = reference_pictures()
        for name in VIDEOS if samples else ():
            with av.open(str(samples / name)) as video:  # type: ignore[operator]
                pictures[name] = next(video.decode(video=0)).to_ndarray(format="rgb24")
        reference = {}
        for name, picture in pictures.items():
            boxes, scores, landmarks = detector.detect(Image.fromarray(picture), landmarks=True)
            faces = [] if boxes is None else zip(boxes, scores, landmarks, strict=True)
            reference[name] = [
                {"box": np.asarray(b, float).tolist(), "score": float(s), "landmarks": np.asarray(p, float).tolist()}
                for b, s, p in faces
            ]
    note = "boxes as the published code counts: from 1, both ends inside; landmarks from 0"
    content = {"source": "facenet-pytorch 2.6.0 on CPU", "min_face": MIN_FACE, "note": note, "faces": reference}
    (TESTS / "data" / "mtcnn_reference.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
