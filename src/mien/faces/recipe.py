"""How a face is cut out of a picture, as data: the same recipe serves preparation, training and prediction."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class CropRecipe(BaseModel):
    """Square face crop.

    Attributes:
        size: side of the crop in pixels.
        margin: extra border on every side as a share of the face box's longer side (0.25: crop is 1.5 boxes wide).
        align: ``none`` keeps the picture upright; ``eyes`` turns the face so that the eyes are level.
        smoothing: time constant in seconds of the low-pass filter on the crop's centre, side and angle; 0 is off.
        fill: what lies outside the picture: ``edge`` repeats the border, ``black`` is zero.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(default=160, ge=16, le=1024)
    margin: float = Field(default=0.25, ge=0.0, le=2.0)
    align: Literal["none", "eyes"] = "none"
    smoothing: float = Field(default=0.2, ge=0.0, le=5.0)
    fill: Literal["edge", "black"] = "edge"
