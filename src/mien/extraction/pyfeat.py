"""Action units and expressions by py-feat's detector, where that is installed (``pip install py-feat``)."""

from __future__ import annotations

import os
import tempfile
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mien.data.streams import Stream
from mien.errors import MienError, UsageError
from mien.extraction.contract import Extractor, stream
from mien.extraction.material import Material
from mien.extraction.tables import EXPRESSIONS, UNITS


class PyFeat(Extractor):
    """First face of every picture: 20 action units (logistic model) and 7 expressions (residual masking network)."""

    width = len(UNITS) + len(EXPRESSIONS)
    described = "pyfeat"

    def __init__(self, device: str) -> None:
        try:
            feat: Any = import_module("feat")
        except ImportError as error:
            raise UsageError(
                "features: pyfeat needs the library py-feat (pip install py-feat); or give tables that it or OpenFace "
                "has written, as in fau=pyfeat-csv:folder or fau=openface:folder"
            ) from error
        self.revision = version("py-feat")
        self.detector: Any = feat.Detector(au_model="logistic", emotion_model="resmasknet", device=device)

    def __call__(self, clip: Material) -> Stream:
        values = np.zeros((clip.steps, self.width))
        with tempfile.TemporaryDirectory() as folder:
            for step, picture in enumerate(clip.frames):
                path = os.fspath(Path(folder) / f"{step}.png")
                Image.fromarray(picture).save(path)
                try:
                    found = self.detector.detect_image(path)
                except Exception as error:  # the library raises whatever its parts do
                    raise MienError(f"{clip.row.path}: py-feat failed: {error}") from error
                if len(found):
                    values[step] = found.iloc[0].reindex([*UNITS, *EXPRESSIONS]).to_numpy(dtype=np.float64)
        return stream(values, clip.times)
