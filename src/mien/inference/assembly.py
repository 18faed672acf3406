"""Rows and boxes of one recording → its timeline, judged: which rows should not be taken for answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mien.checkpoints.bundle import Bundle
from mien.inference.abstention import reasons
from mien.inference.forward import Reader
from mien.inference.grid import Grid, frame_grid, regular_grid
from mien.inference.persons import Person
from mien.inference.settings import PredictSettings
from mien.inference.timeline import TRACK_COLUMNS, FileInfo, Floats, Rows, Timeline, make_timeline

_STEP = 0.2  # seconds between rows of models that judge a clip as a whole


class Assembly:
    """Where rows of a recording lie, and what a timeline is made of.

    Args:
        bundle: what the model takes, and its name.
        reader: what is done with windows.
        settings: see ``PredictSettings``.
    """

    def __init__(self, bundle: Bundle, reader: Reader, settings: PredictSettings) -> None:
        self._reader = reader
        self._settings = settings
        self._inputs = bundle.specification.inputs
        self._model = bundle.specification.model

    @property
    def per_frame(self) -> bool:
        """Whether rows lie at the frames."""
        step = self._settings.step
        return step == "frame" or (step is None and self._reader.per_frame)

    @property
    def step(self) -> float:
        """Seconds between rows that do not lie at frames."""
        step = self._settings.step
        return _STEP if step is None or isinstance(step, str) else step

    def grid(self, times: NDArray[np.float64], duration: float) -> Grid:
        """Rows of a recording with frames at ``times``."""
        return frame_grid(times, duration) if self.per_frame else regular_grid(times, duration, self.step)

    def timeline(
        self,
        file: FileInfo,
        blocks: Iterable[Rows],
        persons: Mapping[int, Person],
        boxes: Mapping[int, Floats],
        regular: bool = False,
    ) -> Timeline:
        """The timeline of one recording.

        Args:
            file: what is known of it.
            blocks: rows of all tracks.
            persons: tracks by number.
            boxes: ``(S, 6)`` of every track: time, x0, y0, x1, y1, score.
            regular: rows have the same length whatever the settings say (there are no frames).
        """
        tracks = _tracks(file.path, boxes)
        rows = [self._judge(block, tracks, persons.get(block.track)) for block in blocks]
        step = None if self.per_frame and not regular else self.step
        kind, outputs = self._reader.kind, self._reader.outputs
        return make_timeline({file.path: rows}, kind, outputs, {file.path: file}, tracks, self._model, step)

    def _judge(self, block: Rows, tracks: pd.DataFrame, person: Person | None) -> Rows:
        """The block with its outputs alone, how strange it is, and why it should not be taken for an answer."""
        count, reader = len(self._reader.outputs), self._reader
        if block.values.shape[1] > count:
            block.strangeness, block.values = block.values[:, count], block.values[:, :count]
        if reader.kind == "features":
            return block
        followed = self._inputs.video is not None and self._inputs.video.crop is not None
        boxes = tracks[tracks["track"] == block.track] if followed else tracks[:0]
        block.abstain = reasons(
            block,
            self._settings,
            reader.calibration,
            boxes[list(TRACK_COLUMNS[2:])].to_numpy(float),
            np.array(person.light if person else [], dtype=float).reshape(-1, 2),
            reader.kind == "classification",
        )
        return block


def _tracks(path: str, boxes: Mapping[int, Floats]) -> pd.DataFrame:
    """Boxes of all tracks as the timeline keeps them; pixels to a tenth."""
    parts = []
    for track, samples in sorted(boxes.items()):
        samples[:, 1:5] = samples[:, 1:5].round(1)
        part = pd.DataFrame(samples.round(6), columns=list(TRACK_COLUMNS[2:]))
        part.insert(0, "track", track)
        part.insert(0, "file", pd.Series([path] * len(part), dtype="str"))
        parts.append(part)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(TRACK_COLUMNS))
