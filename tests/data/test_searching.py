"""Pictures searched one by one: which face, and what stands where there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest

from mien.data.searching import follow_alone
from mien.faces.types import Detection


@dataclass
class Picture:
    index: int
    time: float
    image: np.ndarray


class Scripted:
    """Sees in a picture the faces that its first pixel names: sides and scores by number."""

    certainty = 0.5
    FACES = ([], [(10, 0.99), (50, 0.9)], [(60, 0.8)], [], [(95, 0.7)])

    def detect(self, images: np.ndarray) -> list[list[Detection]]:
        assert images.shape == (1, 100, 120, 3)
        seen = self.FACES[int(images[0, 0, 0, 0])]
        return [[Detection(np.array([5.0, 5.0, 5.0 + side, 5.0 + side]), score) for side, score in seen]]

    def refine(self, image: np.ndarray, boxes: np.ndarray) -> list[Detection | None]:
        raise AssertionError("every picture is searched alone")


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        ("largest", [None, (50, 0.9), (60, 0.8), (60, 0.0), (95, 0.7)]),
        ("surest", ["whole", "whole", (60, 0.8), "whole", (95, 0.7)]),
    ],
)
def test_the_face_of_every_picture(which: Literal["largest", "surest"], expected: list[object]) -> None:
    pictures = [Picture(at, at / 25, np.full((100, 120, 3), at, np.uint8)) for at in range(5)]
    frames = list(follow_alone(Scripted(), which, 55.0, pictures))
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    found: list[object] = []
    for frame in frames:
        if not frame.faces:
            found.append(None)
            continue
        (face,) = frame.faces
        whole = face.box.tolist() == [0, 0, 120, 100] and face.score == 0
        found.append("whole" if whole else (face.box[2] - face.box[0], face.score))
    assert found == expected
