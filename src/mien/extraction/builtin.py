"""Extractors that need no download: encoders of mien's own bundles, and statistics of sound."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mien import media
from mien.checkpoints.bundle import load
from mien.checkpoints.files import WEIGHTS
from mien.data.inputs import video_tensors
from mien.data.streams import Stream
from mien.errors import UsageError
from mien.extraction.contract import Extractor, stream
from mien.extraction.material import RATE, Material
from mien.files import sha256
from mien.media.clip import Clip

_SOUND: dict[str, dict[str, Any]] = {
    "logmel": {"n_fft": 512, "hop": 160, "window": 400, "bands": 40},
    "mfcc": {"n_fft": 512, "hop": 160, "window": 400, "bands": 40, "coefficients": 20},
}


class SoundStatistics(Extractor):
    """Mean and standard deviation over a window's frames of log-mel bands (80 values) or MFCC (40 values)."""

    def __init__(self, kind: str) -> None:
        self.described = kind
        self.options = _SOUND[kind]
        self.make = media.log_mel if kind == "logmel" else media.mfcc
        self.width = 2 * self.options["coefficients" if kind == "mfcc" else "bands"]

    def __call__(self, clip: Material) -> Stream:
        windows, times = clip.sounds()
        return stream(np.stack([self._one(window) for window in windows]), times)

    def _one(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        features = self.make(window if len(window) else np.zeros(1, dtype=np.float32), RATE, **self.options)
        return np.concatenate([features.mean(axis=1), features.std(axis=1)])


class BundleEncoder(Extractor):
    """Pooled features of the encoder in a bundle, from the frames around every moment as the bundle is fed.

    Args:
        source: bundle, run or hub id.
        device: where it runs.
        batch: windows per forward pass.
    """

    def __init__(self, source: str, device: str, batch: int) -> None:
        if not source:
            raise UsageError("features: bundle needs a source, as in visual=bundle:runs/mine")
        bundle = load(source, device)
        video = bundle.specification.inputs.video
        if video is None:
            raise UsageError(f"features: {source} sees no pictures; extract from an encoder that does")
        self.encoder, self.video, self.device, self.batch = bundle.encoder, video, device, batch
        self.width = bundle.encoder.feature_dim
        self.described = f"bundle:{source}"
        self.revision = sha256(bundle.folder / WEIGHTS)

    @torch.inference_mode()
    def __call__(self, clip: Material) -> Stream:
        pictures = clip.windows(self._offsets(clip))
        features = []
        for first in range(0, len(pictures), self.batch):
            part = [
                video_tensors(Clip(window, np.arange(len(window)) / 25.0), self.video)["video"]
                for window in pictures[first : first + self.batch]
            ]
            pooled = self.encoder.forward_features({"video": torch.stack(part).to(self.device)}).pooled
            features.append(pooled.float().cpu().numpy())
        return stream(np.concatenate(features), clip.times)

    def _offsets(self, clip: Material) -> NDArray[np.int64]:
        """Frames of a window, relative to the moment in its middle."""
        frames, stride = self.video.frames or 16, self.video.stride
        if stride is None:
            assert self.video.fps is not None
            rate = 1 / float(np.median(np.diff(clip.clock))) if len(clip.clock) > 1 else self.video.fps
            stride = max(1, round(rate / self.video.fps))
        return (np.arange(frames, dtype=np.int64) - frames // 2) * stride
