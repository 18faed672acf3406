"""YuNet through OpenCV, for those who have its ONNX file: several times as fast as MTCNN."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import MienError, UsageError
from mien.faces.boxes import overlap
from mien.faces.types import Detection, Floats, Image
from mien.faces.warp import Square, cut, shrunk

LONGEST = 960  # px: larger pictures are shrunk by a whole number; YuNet finds faces from about 10 px
VIEW = 128  # px: side of what is cut out around an expected face, twice its size


class YuNet:
    """YuNet (Wu, Peng, Yu 2023, Machine Intelligence Research 20), run by OpenCV.

    Args:
        file: the ONNX file, such as ``face_detection_yunet_2023mar.onnx`` of OpenCV's model zoo.
        threshold: score that a face must reach, 0..1.

    Raises:
        UsageError: OpenCV 4 is not installed, or the file is not there.
        MienError: the file is no such network.
    """

    certainty = 0.8

    def __init__(self, file: str | Path, threshold: float = 0.7) -> None:
        if not Path(file).is_file():
            raise UsageError(f"{file}: no such file; YuNet needs its ONNX file (OpenCV model zoo), MTCNN needs none")
        if not 0 < threshold < 1:
            raise UsageError(f"threshold={threshold}: must lie between 0 and 1")
        self._cv2 = _opencv()
        self._size = (VIEW, VIEW)
        try:
            self._net = self._cv2.FaceDetectorYN.create(str(file), "", self._size, threshold, 0.3, 5000)
            self._net.detect(np.zeros((VIEW, VIEW, 3), np.uint8))
        except self._cv2.error as error:
            raise MienError(
                f"{file}: OpenCV cannot run this as YuNet ({_reason(error)}); give its ONNX file"
            ) from error

    def detect(self, images: NDArray[np.uint8]) -> list[list[Detection]]:
        """All faces of uint8 ``(N, H, W, 3)`` RGB pictures, best first, one list per picture."""
        if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
            raise UsageError(f"pictures are {images.dtype} {images.shape}; give uint8 (N, H, W, 3)")
        if 0 in images.shape:
            return [[] for _ in images]
        ratio = -(-max(images.shape[1:3]) // LONGEST)
        return [self._found(image, ratio, np.zeros(2)) for image in shrunk(images, ratio)]

    def refine(self, image: Image, boxes: Floats) -> list[Detection | None]:
        """Look for a face at each of ``boxes`` ``(K, 4)`` in one picture; None where there is none."""
        return [self._at(image, box) for box in np.asarray(boxes, dtype=np.float64).reshape(-1, 4)]

    def _at(self, image: Image, box: Floats) -> Detection | None:
        """The face in a cut-out around a box that overlaps the box most, by 0.3 at least."""
        x, y = (box[:2] + box[2:]) / 2
        side = 2 * float(max(box[2:] - box[:2]))
        height, width = image.shape[:2]
        if side < 8 or not (-side < x < width + side and -side < y < height + side):
            return None
        view = cut(image, Square(float(x), float(y), side), VIEW, "black")
        faces = self._found(view, side / VIEW, np.array([x - side / 2, y - side / 2]))
        shares = [overlap(face.box[None], box[None])[0, 0] for face in faces]
        return faces[int(np.argmax(shares))] if max(shares, default=0.0) >= 0.3 else None

    def _found(self, image: Image, ratio: float, origin: Floats) -> list[Detection]:
        """Faces of one picture, placed in the one that it was cut from."""
        if image.shape[1::-1] != self._size:
            self._size = (image.shape[1], image.shape[0])
            self._net.setInputSize(self._size)
        _, rows = self._net.detect(np.ascontiguousarray(image[..., ::-1]))
        faces = [] if rows is None else [_face(row.astype(np.float64), ratio, origin) for row in rows]
        return sorted(faces, key=lambda face: -face.score)


def _face(row: Floats, ratio: float, origin: Floats) -> Detection:
    """OpenCV's row: x, y, width, height, five points (its right eye is the left one in the picture), score."""
    box = np.concatenate([row[:2], row[:2] + row[2:4]]) * ratio + np.tile(origin, 2)
    return Detection(box, float(min(row[14], 1.0)), row[4:14].reshape(5, 2) * ratio + origin)


def _opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise UsageError("YuNet runs through OpenCV, which is not installed; pip install 'mien[yunet]'") from error
    if not hasattr(cv2, "FaceDetectorYN"):
        raise UsageError(f"OpenCV {cv2.__version__} has no FaceDetectorYN; pip install 'mien[yunet]'")
    return cv2


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()).rpartition("error: ")[2][:120]
