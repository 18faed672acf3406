"""Reasons for which a model abstains, named alike in prediction and evaluation, and when they hold by default."""

from __future__ import annotations

NO_FACE, SMALL, DARK, STRANGE, UNSURE = "no face", "too small", "too dark", "out of distribution", "low confidence"
LEAST_FACE = 32.0  # pixels of the shorter side of a face's box
LEAST_LIGHT = 20.0  # mean brightness 0..255 of what the model is shown
