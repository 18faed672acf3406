from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
from pictures import EYES, FACE, astronaut, canvas, pasted, reference_pictures, rotated
from skimage.util import random_noise

from mien.errors import UsageError
from mien.faces import MTCNN, Detection
from mien.faces.boxes import overlap

REFERENCE = json.loads((Path(__file__).parent / "data" / "mtcnn_reference.json").read_text())
VIDEOS = [name for name in REFERENCE["faces"] if "." in name]


def assert_equals_published(found: list[Detection], name: str, pixels: float) -> None:
    """Same faces as the published code, which counts pixels from 1 with both ends inside."""
    expected = sorted(REFERENCE["faces"][name], key=lambda face: face["box"])
    found = sorted(found, key=lambda face: face.box.tolist())
    assert len(found) == len(expected)
    for face, truth in zip(found, expected, strict=True):
        np.testing.assert_allclose(face.box, np.array(truth["box"]) - (1, 1, 0, 0), atol=pixels)
        assert face.landmarks is not None
        np.testing.assert_allclose(face.landmarks, truth["landmarks"], atol=pixels)
        assert face.score == pytest.approx(truth["score"], abs=1e-4)


@pytest.mark.parametrize("name", reference_pictures())
def test_equals_the_published_code(name: str) -> None:
    found = MTCNN(min_face=REFERENCE["min_face"]).detect(reference_pictures()[name][None])
    assert_equals_published(found[0], name, pixels=1e-3)


@pytest.mark.parametrize("name", VIDEOS)
def test_equals_the_published_code_on_real_frames(name: str, samples: Path) -> None:
    with av.open(str(samples / name)) as video:
        picture = next(video.decode(video=0)).to_ndarray(format="rgb24")
    found = MTCNN(min_face=REFERENCE["min_face"]).detect(picture[None])[0]
    # Candidates that reach over the border are stretched there and filled with grey here, which may leave a trace.
    assert_equals_published(found, name, pixels=3.0 if name.startswith("grid") else 1e-3)


@pytest.mark.parametrize("height", [40, 60, 90, 150, 240, 330])
@pytest.mark.parametrize("size", [(480, 640), (720, 1280), (1080, 1920)])
def test_finds_faces_from_40_pixels(mtcnn: MTCNN, height: int, size: tuple[int, int]) -> None:
    picture, box = pasted(canvas(*size), height, left=size[1] // 7, top=size[0] // 9)
    if box[3] > size[0]:
        pytest.skip("the face does not fit")
    best, *others = mtcnn.detect(picture[None])[0]
    assert overlap(best.box[None], box[None])[0, 0] > 0.6
    assert best.score > 0.9
    assert all(other.score < 0.9 for other in others)


def test_finds_a_face_that_fills_the_picture(mtcnn: MTCNN) -> None:
    x0, y0, x1, y1 = FACE.astype(int)
    (found,) = mtcnn.detect(astronaut()[None, y0 - 12 : y1 + 12, x0 - 15 : x1 + 15])[0]
    assert overlap(found.box[None], np.array([[15.0, 12, 15 + x1 - x0, 12 + y1 - y0]]))[0, 0] > 0.6


@pytest.mark.parametrize("degrees", [-25, -10, 15, 30])
def test_landmarks_follow_the_face(mtcnn: MTCNN, degrees: float) -> None:
    (found,) = mtcnn.detect(rotated(astronaut(), degrees)[None])[0]
    angle = np.radians(-degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    assert found.landmarks is not None
    np.testing.assert_allclose(found.landmarks[:2], (EYES - 256) @ turn.T + 256, atol=6)


def test_finds_nothing_where_nothing_is(mtcnn: MTCNN) -> None:
    noise = (255 * random_noise(np.full((360, 640, 3), 0.5), var=0.05, rng=0)).astype(np.uint8)
    assert mtcnn.detect(np.stack([canvas(360, 640), noise, np.zeros_like(noise)])) == [[], [], []]


def test_a_batch_equals_single_pictures(mtcnn: MTCNN) -> None:
    batch = np.stack([pasted(canvas(360, 640), height, 40 + height, 30)[0] for height in (60, 100, 150)])
    together = mtcnn.detect(batch)
    for picture, found in zip(batch, together, strict=True):
        (alone,), (face,) = mtcnn.detect(picture[None])[0], found
        np.testing.assert_allclose(face.box, alone.box, atol=1e-3)
        assert face.score == pytest.approx(alone.score, abs=1e-5)


def test_refine_settles_on_the_face(mtcnn: MTCNN) -> None:
    picture, box = pasted(canvas(720, 1280), 200, 500, 100)
    start = np.stack([box, box + 25, box + np.array([-20, -20, 15, 15]), box + 600, box - 5000])
    found = mtcnn.refine(picture, start)
    assert [face is not None for face in found] == [True, True, True, False, False]
    for face in found[:3]:
        assert face is not None
        assert overlap(face.box[None], box[None])[0, 0] > 0.6


def test_refine_of_many_equals_refine_of_one(mtcnn: MTCNN) -> None:
    picture, box = pasted(canvas(360, 640), 100, 200, 60)
    boxes = box + np.random.default_rng(0).uniform(-30, 30, (70, 1)) * (1, 0.3, 1, 0.3)
    together = mtcnn.refine(picture, boxes)
    for face, place in zip(together, boxes, strict=True):
        (alone,) = mtcnn.refine(picture, place[None])
        assert (face is None) == (alone is None)
        if face is not None and alone is not None:
            np.testing.assert_allclose(face.box, alone.box, atol=1e-3)
            assert face.score == pytest.approx(alone.score, abs=1e-5)
    assert sum(face is not None for face in together) > 35


def test_refine_is_mirrored_with_the_picture(mtcnn: MTCNN) -> None:
    """Looking at the mirrored picture gives the mirrored face: the image-left eye stays the first."""
    picture, box = pasted(canvas(360, 640), 100, 200, 60)
    flipped = np.ascontiguousarray(picture[:, ::-1])
    there = np.array([640 - box[2], box[1], 640 - box[0], box[3]])
    (face,), (other,) = mtcnn.refine(picture, box[None]), mtcnn.refine(flipped, there[None])
    assert face is not None
    assert other is not None
    np.testing.assert_allclose([640 - other.box[2], 640 - other.box[0]], face.box[[0, 2]], atol=1.5)
    assert face.landmarks is not None
    assert other.landmarks is not None
    np.testing.assert_allclose(640 - other.landmarks[[1, 0, 2, 4, 3], 0], face.landmarks[:, 0], atol=1.5)
    assert other.landmarks[0, 0] < other.landmarks[1, 0]


@pytest.mark.parametrize("shape", [(0, 20, 20, 3), (1, 0, 20, 3), (2, 1, 1, 3), (1, 11, 300, 3)])
def test_tiny_and_empty_pictures_hold_no_face(mtcnn: MTCNN, shape: tuple[int, ...]) -> None:
    assert mtcnn.detect(np.zeros(shape, np.uint8)) == [[]] * shape[0]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [({"min_face": 5}, "min_face=5"), ({"thresholds": (0.5, 1.5, 0.5)}, "thresholds"), ({"factor": 0.1}, "factor=0.1")],
)
def test_settings_out_of_range_are_refused(arguments: dict, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        MTCNN(**arguments)


def test_pictures_of_the_wrong_kind_are_refused(mtcnn: MTCNN) -> None:
    with pytest.raises(UsageError, match="give uint8"):
        mtcnn.detect(np.zeros((20, 20, 3), np.uint8))
