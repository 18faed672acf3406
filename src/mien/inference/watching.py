"""From a recording's pictures to frames with the faces that are in them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, closing

import numpy as np
from numpy.typing import NDArray

from mien.faces import MTCNN, FaceTracker, TrackedFace, TrackedFrame, TrackingSettings, YuNet
from mien.faces.types import Detection, Detector, Floats, Image
from mien.inference.prefetch import prefetch
from mien.inference.settings import PredictSettings
from mien.inference.stopwatch import Stopwatch
from mien.media import Frame, VideoReader
from mien.memory import smaller, within_memory
from mien.models.device import device_named


class TimedDetector:
    """A detector whose work is measured as ``detect``."""

    def __init__(self, detector: Detector, clock: Stopwatch, device: str = "cpu") -> None:
        self._detector = detector
        self._device = device
        self.certainty = detector.certainty
        self._clock = clock

    def detect(self, images: NDArray[np.uint8]) -> list[list[Detection]]:
        """See ``Detector.detect``."""
        with self._clock("detect"), self._within_memory(*images.shape[1:3]):
            return self._detector.detect(images)

    def refine(self, image: Image, boxes: Floats) -> list[Detection | None]:
        """See ``Detector.refine``."""
        with self._clock("detect"), self._within_memory(*image.shape[:2]):
            return self._detector.refine(image, boxes)

    def _within_memory(self, height: int, width: int) -> AbstractContextManager[None]:
        remedy = smaller(1, 1, self._device, "a smaller copy of the recording")
        return within_memory(f"while faces were looked for in pictures of {width} x {height}", remedy)


def watch(video: VideoReader, settings: PredictSettings, whole: bool, clock: Stopwatch) -> Generator[TrackedFrame]:
    """All frames with their faces; with ``whole`` every frame is one "face" that fills it."""
    return find(prefetch(video.frames(), clock), settings, whole, clock)


def find(frames: Generator[Frame], settings: PredictSettings, whole: bool, clock: Stopwatch) -> Generator[TrackedFrame]:
    """Frames from anywhere with their faces, as ``watch`` gives them."""
    if whole:
        return _wholes(frames)
    return _followed(frames, settings, clock)


def _wholes(frames: Generator[Frame]) -> Generator[TrackedFrame]:
    with closing(frames):
        for frame in frames:
            height, width = frame.image.shape[:2]
            face = TrackedFace(0, np.array([0.0, 0.0, width, height]), 1.0, None, "detected")
            yield TrackedFrame(frame.index, frame.time, frame.image, (face,))


def _followed(frames: Generator[Frame], settings: PredictSettings, clock: Stopwatch) -> Generator[TrackedFrame]:
    """Measures as ``follow`` all that the tracker does, waiting for pictures and detection included."""
    device = "cpu" if settings.detector is not None else device_named(settings.device).type
    detector = TimedDetector(make_detector(settings), clock, device)
    with closing(frames):
        tracked = FaceTracker(detector, TrackingSettings()).follow(frames)
        while True:
            with clock("follow"):
                frame = next(tracked, None)
            if frame is None:
                return
            yield frame


def make_detector(settings: PredictSettings) -> Detector:
    """The detector that the settings name."""
    if settings.detector is not None:
        return YuNet(settings.detector)
    return MTCNN(device=device_named(settings.device))
