from __future__ import annotations

from pathlib import Path

import numpy as np

from mien.data.manifest import Manifest
from mien.data.synthetic import SyntheticSettings, film_two_faces
from mien.faces.mtcnn import MTCNN
from mien.media import VideoReader


def test_the_detector_finds_the_face_in_nearly_every_frame(tiny_corpus: Manifest) -> None:
    found, seen = 0, 0
    for id_ in tiny_corpus.ids:
        with VideoReader(tiny_corpus.row(id_).path) as video:
            frames = np.stack([frame.image for frame in video.frames()])
        faces = MTCNN(min_face=40).detect(frames)
        found += sum(len(one) == 1 for one in faces)
        seen += len(faces)
    assert found / seen > 0.97


def test_both_people_are_found_where_the_table_says(tmp_path: Path) -> None:
    settings = SyntheticSettings(fps=5)
    truth = film_two_faces(tmp_path / "two.mp4", settings, seconds=2.0)
    with VideoReader(tmp_path / "two.mp4") as video:
        faces = MTCNN(min_face=40).detect(np.stack([frame.image for frame in video.frames()]))
    assert [len(one) for one in faces] == [2] * 10
    for index, pair in enumerate(faces):
        now = truth[np.isclose(truth["time"], index / settings.fps)]
        for face, (_, person) in zip(sorted(pair, key=lambda one: one.box[0]), now.iterrows(), strict=True):
            assert abs((face.box[0] + face.box[2]) / 2 - person["x"]) < 0.35 * person["radius"]
            assert face.box[1] < person["y"] < face.box[3]
