"""How a face is cut out of a picture, as data: the same recipe serves preparation, training and prediction."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mien.checked import Checked


class CropRecipe(Checked):
    """Square face crop.

    Attributes:
        size: side of the crop in pixels.
        shape: ``square`` cuts a square about the face. The published ways stretch the detector's box itself, whatever
            its sides, without margin, turning or smoothing: ``avfusion`` rounds its corners to whole pixels (halves to
            even) and takes the four nearest pixels for each of the crop; ``viper`` cuts the corners' decimals off and
            averages. What reaches over the picture is left out (the published code then cut something else).
        margin: extra border on every side as a share of the face box's longer side (0.25: crop is 1.5 boxes wide).
        align: ``none`` keeps the picture upright; ``eyes`` turns the face so that the eyes are level.
        smoothing: time constant in seconds of the low-pass filter on the crop's centre, side and angle; 0 is off.
        fill: what lies outside the picture: ``edge`` repeats the border, ``black`` is zero.
    """

    size: int = Field(default=160, ge=16, le=1024)
    shape: Literal["square", "avfusion", "viper"] = "square"
    margin: float = Field(default=0.25, ge=0.0, le=2.0)
    align: Literal["none", "eyes"] = "none"
    smoothing: float = Field(default=0.2, ge=0.0, le=5.0)
    fill: Literal["edge", "black"] = "edge"

    @model_validator(mode="after")
    def _check(self) -> CropRecipe:
        if self.shape != "square" and (self.margin or self.smoothing or self.align != "none"):
            raise ValueError(f"shape={self.shape!r} is the box itself: it needs margin=0, smoothing=0, align='none'")
        return self
