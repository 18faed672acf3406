"""When a model should not be asked: no face, too small, too dark, unlike anything in training, not sure enough."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mien.inference.settings import PredictSettings
from mien.inference.timeline import Floats, Rows, complete
from mien.media.picture import LUMA
from mien.models.abstention import DARK, NO_FACE, SMALL, STRANGE, UNSURE
from mien.models.specification import Calibration


def brightness(image: np.ndarray) -> float:
    """Mean luma 0..255 of a uint8 RGB picture ``(H, W, 3)``; every fourth row and column is enough."""
    return float(image[::4, ::4].reshape(-1, 3).mean(axis=0) @ LUMA)


def reasons(
    rows: Rows,
    settings: PredictSettings,
    calibration: Calibration | None,
    boxes: Floats,
    light: Floats,
    probabilities: bool,
) -> list[str]:
    """Why rows should not be taken for an answer, ``""`` where they may be. The first reason that holds is given.

    Args:
        rows: of one track.
        settings: limits of size and light, and of confidence where it overrules the bundle's.
        calibration: of the bundle.
        boxes: samples of the track, ``(S, 6)`` time, x0, y0, x1, y1, score; empty where no face is followed.
        light: ``(L, 2)`` time and brightness of what the model was shown; may be empty.
        probabilities: outputs are probabilities of classes.
    """
    centre = (rows.start + rows.end) / 2
    found = np.full(len(centre), "", dtype=object)
    answered = complete(rows.values)
    if probabilities:
        least = settings.confidence
        if least is None:
            least = calibration.confidence if calibration and calibration.confidence is not None else 0.0
        with np.errstate(invalid="ignore"):
            found[rows.values.max(axis=1, initial=0.0) < least] = UNSURE
    with np.errstate(invalid="ignore"):
        found[rows.strangeness > 1.0] = STRANGE
        found[_at(centre, light) < settings.least_light] = DARK
        if len(boxes):
            sides = np.minimum(boxes[:, 3] - boxes[:, 1], boxes[:, 4] - boxes[:, 2])
            found[_at(centre, np.stack([boxes[:, 0], sides], axis=1)) < settings.least_face] = SMALL
    found[~answered] = NO_FACE
    return found.tolist()


def share(reasons_: Sequence[str]) -> float:
    """Share of rows that are answered."""
    return sum(reason == "" for reason in reasons_) / len(reasons_) if len(reasons_) else 0.0


def _at(times: Floats, samples: Floats) -> Floats:
    """Samples ``(S, 2)`` of time and value at other times; NaN where there are none."""
    known = samples[~np.isnan(samples[:, 1])] if len(samples) else samples
    if not len(known):
        return np.full(len(times), np.nan)
    return np.interp(times, known[:, 0], known[:, 1])
