"""What a prediction may be told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from mien.checked import Checked
from mien.models.abstention import LEAST_FACE, LEAST_LIGHT


class PredictSettings(Checked):
    """Settings of ``predict`` and ``embed``.

    Attributes:
        step: seconds between rows, or ``frame`` for one row per frame of the recording. None: 0.2 s for models that
            judge a clip as a whole, ``frame`` for those that answer per frame.
        hop: seconds from one window of the model to the next. None: half a window, so that every moment away from a
            track's ends is seen twice.
        window: seconds of a window for models that take any length.
        gap: seconds for which a face may be out of sight before its windows start afresh; rows in between are NaN
            in any case.
        batch: windows per forward pass. None: 1 on the CPU, where more gain nothing, else 8.
        features: what ``embed`` gives: the clip's ``pooled`` features, or those over time, ``frames``.
        least_face: pixels; a face whose box has a shorter side than that is answered with "too small".
        least_light: mean brightness 0..255 of what the model is shown, below which the answer is "too dark".
        confidence: probability below which the answer is "low confidence". None: what ``mien calibrate`` stored in the
            bundle, if anything.
        detector: path of a YuNet ONNX file; None takes the MTCNN that ships with mien.
        device: where the model runs: ``cpu``, ``cuda``, ``cuda:1``, ...; ``auto`` takes CUDA where there is one.
        precision: ``fp32``, or ``bf16`` (autocast): faster on hardware that has it, values change in the third digit.
        threads: windows that the CPU works on side by side, each on one core. None: as many as there are cores.
    """

    step: Annotated[float, Field(gt=0)] | Literal["frame"] | None = None
    hop: float | None = Field(default=None, gt=0)
    window: float = Field(default=8.0, gt=0)
    gap: float = Field(default=1.0, ge=0)
    batch: int | None = Field(default=None, ge=1)
    features: Literal["pooled", "frames"] = "pooled"
    least_face: float = Field(default=LEAST_FACE, ge=0)
    least_light: float = Field(default=LEAST_LIGHT, ge=0, le=255)
    confidence: float | None = Field(default=None, ge=0, le=1)
    detector: Path | None = None
    device: str = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"
    threads: int | None = Field(default=None, ge=1)
