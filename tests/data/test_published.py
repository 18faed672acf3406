"""Preparation as the authors did it, pixel for pixel, from the recording to the clip that training reads."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from mien.data.manifest import Manifest
from mien.data.prepare import prepare
from mien.data.published import PUBLISHED, published
from mien.errors import UsageError
from mien.faces import MTCNN
from mien.media import VideoReader, VideoWriter


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pictures with a face, one with none, one with a face again."""
    path = tmp_path_factory.mktemp("raw") / "take.mp4"
    face, wall = astronaut(), np.full((240, 240, 3), 120, np.uint8)
    with VideoWriter(path, (240, 240), 25.0, exact=True) as out:
        for left in (90, 92, 94, None, 100):
            out.write(wall if left is None else np.ascontiguousarray(face[:240, left : left + 240]))
    return path


def clip(recording: Path, way: str, out: Path) -> tuple[np.ndarray, float]:
    """The clip's pictures and its share of pictures with a face."""
    manifest = Manifest.read(prepare([recording], out, published(way)).manifest)
    with VideoReader(manifest.row(manifest.ids[0]).path) as video:
        return video.at_indices(range(len(video))), float(manifest.frame["face_share"].iloc[0])


def pictures(recording: Path) -> np.ndarray:
    with VideoReader(recording) as video:
        return video.at_indices(range(5))


def test_audiovisual_fusion(recording: Path, tmp_path: Path) -> None:
    """The largest face of the published detector, its box rounded, resized with OpenCV; a lost face keeps its place."""
    frames, share = clip(recording, "avfusion", tmp_path)
    assert frames.shape == (5, 224, 224, 3)
    assert share == pytest.approx(0.8)
    detector, box = MTCNN(min_face=20), np.zeros(4, dtype=int)
    for frame, picture in zip(frames, pictures(recording), strict=True):
        if found := detector.detect(picture[None])[0]:
            box = np.rint(max(found, key=lambda face: np.prod(face.box[2:] - face.box[:2])).box).astype(int).clip(0)
        expected = cv2.resize(picture[box[1] : box[3], box[0] : box[2]], (224, 224), interpolation=cv2.INTER_LINEAR)
        assert abs(frame.astype(int) - expected).max() <= 1


def test_viper(recording: Path, tmp_path: Path) -> None:
    """The most certain face without margin, and the whole picture where there is none."""
    frames, share = clip(recording, "viper", tmp_path)
    assert share == pytest.approx(0.8)
    whole = pictures(recording)
    assert np.array_equal(frames[3], np.full((224, 224, 3), whole[3, 0, 0]))
    x0, y0, x1, y1 = MTCNN(min_face=90).detect(whole[4:])[0][0].box.astype(int)
    face = Image.fromarray(np.ascontiguousarray(whole[4, y0:y1, x0:x1]))
    assert np.array_equal(frames[4], np.asarray(face.resize((224, 224), Image.Resampling.BILINEAR)))


def test_voxceleb2(recording: Path, tmp_path: Path) -> None:
    """Rows 0-159 and columns 32-191, without a detector and without loss."""
    frames, _ = clip(recording, "voxceleb2", tmp_path)
    assert np.array_equal(frames, pictures(recording)[:, :160, 32:192])


def test_ways_that_nobody_published_are_refused() -> None:
    with pytest.raises(UsageError, match="--like openface: known are avfusion, viper, voxceleb2"):
        published("openface")
    assert all(way.exact for way in PUBLISHED.values())
