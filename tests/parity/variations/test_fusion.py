"""Audiovisual fusions with other heads, lengths, classes and batches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.parity.detweights import input_for
from tests.parity.reference.fusion import face, fused, inputs_of
from tests.parity.reference.weights import Weights, fingerprint, linear
from tests.parity.test_parity import run_whole
from tests.parity.variations.common import case_of, some_slow
from torch import Tensor

FED = "permute(0,2,1,3,4).reshape({},3,224,224)"
# fusion, heads, clips, frames, columns of sound, classes, what is zero
FUSIONS = {
    "lt_h2_both": ("lt", 2, 2, 2, 40, 8, None),
    "lt_h4_video_zero": ("lt", 4, 1, 2, 13, 6, "video"),
    "it_h4_both": ("it", 4, 2, 3, 25, 8, None),
    "it_h4_audio_zero": ("it", 4, 2, 2, 30, 8, "audio"),
    "ia_h8_both": ("ia", 8, 1, 4, 21, 3, None),
    "ia_h4_audio_zero": ("ia", 4, 2, 1, 30, 8, "audio"),
}


def entropy(logits: Tensor, targets: list[int]) -> dict[str, Any]:
    return {"targets": targets, "value": torch.nn.functional.cross_entropy(logits, torch.tensor(targets)).item()}


@pytest.mark.parametrize("name", some_slow(FUSIONS, set(FUSIONS) - {"ia_h4_audio_zero"}))
@torch.inference_mode()
def test_fusions(name: str) -> None:
    kind, heads, clips, frames, columns, classes, zeroed = FUSIONS[name]
    told = {
        "audio": {"case": f"{name}.sound", "shape": [clips, 10, columns]},
        "video": {"case": f"{name}.video", "shape": [clips, 3, frames, 224, 224], "fed_as": FED.format(clips * frames)},
        "zeroed": zeroed,
    }
    made = inputs_of(told, {key: input_for(told[key]["case"], told[key]["shape"]) for key in ("audio", "video")})
    w, seen = Weights(), {}
    logits = fused(w, kind, made["audio"], made["video"], heads, classes, seen)
    run_whole(
        case_of(
            "avfusion",
            name,
            w,
            repo="multimodal-emotion-recognition",
            kwargs={
                "num_classes": classes,
                "fusion": kind,
                "seq_length": frames,
                "num_heads": heads,
                "pretr_ef": "None",
            },
            inputs=told,
            mode="eval",
            params=w.count,
            output=fingerprint(logits),
            logits=logits.tolist(),
            intermediates={key: fingerprint(value) for key, value in seen.items()},
            losses={"cross_entropy": entropy(logits, list(range(clips)))},
        )
    )


@pytest.mark.slow
@torch.inference_mode()
def test_a_face_network_of_other_classes() -> None:
    told, w, seen = {"case": "face", "shape": [1, 3, 224, 224]}, Weights(), {}
    seen["pooled"] = face(w, "", input_for(told["case"], told["shape"]).double(), seen)
    logits = linear(w, "fc", seen["pooled"], 8)
    run_whole(
        case_of(
            "avfusion",
            "efficientface_8",
            w,
            repo="EfficientFace",
            kwargs={"num_classes": 8, "repeats": [4, 8, 4], "channels": [29, 116, 232, 464, 1024]},
            inputs={"image": told},
            mode="eval",
            params=w.count,
            output=fingerprint(logits),
            logits=logits.tolist(),
            intermediates={key: fingerprint(value) for key, value in seen.items()},
            losses={"cross_entropy": entropy(logits, [7])},
        )
    )
