"""YuNet's plumbing, with a tiny network of its form that finds white squares on its grid of 32 px."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scenes import Frame

from mien.errors import MienError, UsageError
from mien.faces import MTCNN, FaceTracker, create_detector

cv2 = pytest.importorskip("cv2")
if not hasattr(cv2, "FaceDetectorYN"):
    pytest.skip("this OpenCV has no YuNet", allow_module_level=True)

from mien.faces.yunet import YuNet  # noqa: E402

SQUARES = Path(__file__).parent / "data" / "squares.onnx"


def squares(height: int, width: int, *places: tuple[int, int, int], side: int = 64) -> np.ndarray:
    """A dark picture with squares at (x, y) of a brightness."""
    picture = np.full((height, width, 3), 20, np.uint8)
    for x, y, brightness in places:
        picture[y : y + side, x : x + side] = brightness
    return picture


def test_boxes_landmarks_and_scores() -> None:
    picture = squares(320, 640, (132, 68, 255), (324, 164, 230))
    best, second = YuNet(SQUARES).detect(picture[None])[0]
    np.testing.assert_allclose(best.box, [132, 68, 196, 132], atol=1e-2)
    np.testing.assert_allclose(second.box, [324, 164, 388, 228], atol=1e-2)
    assert best.score == pytest.approx(1.0, abs=1e-3)
    assert second.score == pytest.approx(230 / 255, abs=1e-3)
    assert best.landmarks is not None
    np.testing.assert_allclose(best.landmarks, [[132 + 12.8 * k, 68 + 12.8 * k] for k in range(5)], atol=1e-2)


def test_pictures_of_any_size() -> None:
    yunet = YuNet(SQUARES)
    blank = np.zeros((2, 100, 150, 3), np.uint8)
    blank[1, 20:84, 60:124] = 255
    assert [len(faces) for faces in yunet.detect(blank)] == [0, 1]
    assert yunet.detect(np.zeros((1, 0, 10, 3), np.uint8)) == [[]]
    with pytest.raises(UsageError, match="give uint8"):
        yunet.detect(blank[0])


def test_large_pictures_are_shrunk() -> None:
    picture = squares(1080, 1920, (648, 328, 255), side=128)
    (found,) = YuNet(SQUARES).detect(picture[None])[0]
    np.testing.assert_allclose(found.box, [648, 328, 776, 456], atol=1e-2)


def test_refine_looks_at_the_places_alone() -> None:
    picture = squares(320, 640, (100, 60, 255), (400, 200, 255), side=48)
    boxes = np.array([[103.0, 63, 151, 111], [250, 100, 290, 140], [-900, 0, -860, 40]])
    found = YuNet(SQUARES).refine(picture, boxes)
    assert [face is not None for face in found] == [True, False, False]
    assert found[0] is not None
    np.testing.assert_allclose(found[0].box, [100, 60, 148, 108], atol=4)


def test_tracker_runs_on_it() -> None:
    frames = [Frame(i, i / 25, squares(320, 640, (132 + 2 * i, 68, 255))) for i in range(20)]
    tracked = list(FaceTracker(YuNet(SQUARES)).follow(frames))
    assert [[face.track for face in frame.faces] for frame in tracked] == [[0]] * 20
    for i, frame in enumerate(tracked):
        np.testing.assert_allclose(frame.faces[0].box, [132 + 2 * i, 68, 196 + 2 * i, 132], atol=6)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.onnx: no such file; YuNet needs its ONNX file"):
        create_detector(tmp_path / "none.onnx")


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(MienError, match="OpenCV cannot run this as YuNet") as caught:
        create_detector(tmp_path / "text.onnx")
    assert "\n" not in str(caught.value)


def test_missing_opencv_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UsageError, match=r"pip install 'mien\[yunet\]'"):
        YuNet(SQUARES)


def test_detectors_by_name() -> None:
    assert isinstance(create_detector(), MTCNN)
    assert isinstance(create_detector(SQUARES), YuNet)
    with pytest.raises(UsageError, match="'haar' is not known"):
        create_detector("haar")


def test_threshold_out_of_range_is_refused() -> None:
    with pytest.raises(UsageError, match=r"threshold=2"):
        YuNet(SQUARES, threshold=2)
