"""MTCNN: faces from about 20 px on, with five landmarks, by a cascade of three small networks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import as_file, files
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from mien.errors import UsageError
from mien.faces.boxes import shifted, squared, suppress
from mien.faces.integral import IntegralImages
from mien.faces.networks import Cascade, OutputNet, ProposalNet, RefineNet
from mien.faces.types import Detection, Floats, Image
from mien.faces.warp import shrunk

SMALLEST = 20  # px: the networks need a face about this high in the picture that they look at
LOOKS = (1.0, 1.15)  # sizes at which ``refine`` looks at a box, the largest last
BATCH = 64  # windows at a time on a processor: what they are made into stays in its cache
PROPOSALS = 1000  # best windows kept per picture and level; bounds the work on pictures that are all texture


class MTCNN:
    """Multi-task cascaded networks (Zhang et al. 2016, arXiv 1604.02878) with published weights that ship with mien.

    P-Net proposes windows over a pyramid, R-Net and O-Net sieve and refine them. Pictures are first reduced by a whole
    number as far as ``min_face`` allows, so the cost follows the number of pixels per face, not of the camera.

    Args:
        min_face: height in pixels (of the given pictures) of the smallest face to be found. None: 40, or 1/48 of the
            longer side where that is more, so that pictures above 1920 px take no longer.
        thresholds: probability that a window must reach at P-Net, R-Net and O-Net, each 0..1.
        factor: ratio of one pyramid level to the next, 0.5..0.9.
        device: where the networks run, as torch names it.

    Raises:
        UsageError: a setting is out of range.
    """

    certainty = 0.85  # of chance sightings in real recordings the most certain reached 0.83

    def __init__(
        self,
        min_face: int | None = None,
        thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7),
        factor: float = 0.709,
        device: str | torch.device = "cpu",
    ) -> None:
        if min_face is not None and min_face < SMALLEST:
            raise UsageError(f"min_face={min_face}: MTCNN finds faces from {SMALLEST} px; enlarge the picture instead")
        if not all(0 < threshold < 1 for threshold in thresholds):
            raise UsageError(f"thresholds={thresholds}: each must lie between 0 and 1")
        if not 0.5 <= factor <= 0.9:
            raise UsageError(f"factor={factor}: a pyramid needs 0.5 to 0.9 (published: 0.709)")
        self.min_face = min_face
        self.thresholds = thresholds
        self.factor = factor
        self.device = torch.device(device)
        self._batch = BATCH if self.device.type == "cpu" else 4 * BATCH
        self._nets = _published().to(self.device)

    def detect(self, images: NDArray[np.uint8]) -> list[list[Detection]]:
        """All faces of uint8 ``(N, H, W, 3)`` RGB pictures, best first, one list per picture."""
        if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
            raise UsageError(f"pictures are {images.dtype} {images.shape}; give uint8 (N, H, W, 3)")
        if 0 in images.shape:
            return [[] for _ in images]
        min_face = self.min_face or max(40, max(images.shape[1:3]) // 48)
        ratio = self._reduction(images.shape[1:3], min_face)
        with torch.inference_mode(), one_thread():
            views = IntegralImages(self._tensor(shrunk(images, ratio)))
            picture, boxes = self._propose(views, min_face / ratio)
            picture, boxes = self._sieve(views, picture, boxes)
            picture, found = self._finish(views, picture, boxes)
        scaled = [_enlarged(detection, ratio) for detection in found]
        return [[face for face, place in zip(scaled, picture, strict=True) if place == n] for n in range(len(images))]

    def refine(self, image: Image, boxes: Floats) -> list[Detection | None]:
        """Look for a face at each of ``boxes`` ``(K, 4)`` in one picture with O-Net alone; None where there is none.

        O-Net looks four times, at two sizes and mirrored, and its answers are averaged (the score over log-odds): box
        and landmarks of a video then shake a third as much as those of ``detect``, and what is taken for a face by
        chance falls through.
        """
        squares = squared(np.asarray(boxes, dtype=np.float64).reshape(-1, 4))
        found: list[Detection | None] = [None] * len(squares)
        seen = [k for k, box in enumerate(squares) if _touches(box, image)]
        if not seen:
            return found
        looks = np.concatenate([_scaled_about_centre(squares[k], LOOKS) for k in seen])
        with torch.inference_mode(), one_thread():
            windows = torch.cat([self._windows(image, part) for part in np.split(looks, len(seen))])
            batches = [torch.cat([part, part.flip(-1)]) for part in windows.split(self._batch // 2)]
            answers = [_averaged_with_mirrored(*self._run(self._nets.output, [batch])) for batch in batches]
        odds, offset, shares = (np.concatenate(parts) for parts in zip(*answers, strict=True))
        faces, points = _placed(looks, offset, shares)
        for i, k in enumerate(seen):
            own = slice(i * len(LOOKS), (i + 1) * len(LOOKS))
            score = 1 / (1 + float(np.exp(-odds[own].mean())))
            if score > self.thresholds[2]:
                found[k] = Detection(faces[own].mean(axis=0), score, points[own].mean(axis=0))
        return found

    def _windows(self, image: Image, looks: Floats) -> Tensor:
        """What O-Net sees of squares about one centre, the largest last; touches only the pixels under that one."""
        height, width = image.shape[:2]
        left, top, right, bottom = np.floor(looks[-1]).astype(int)
        x, y = max(left, 0), max(top, 0)
        part = image[y : min(bottom, height), x : min(right, width)]
        ratio = max(1, (right - left) // (3 * OutputNet.window))
        views = IntegralImages(self._tensor(shrunk(part[None], ratio)))
        return views.windows(np.zeros(len(looks)), (looks - (x, y, x, y)) / ratio, OutputNet.window)

    def _tensor(self, images: NDArray[np.uint8]) -> Tensor:
        return torch.from_numpy(images).to(self.device)

    def _reduction(self, shape: tuple[int, ...], min_face: int) -> int:
        """Whole number by which pictures may shrink: faces stay visible and the longer side at least 640 px."""
        return max(1, min(min_face // SMALLEST, max(shape) // 640))

    def _propose(self, views: IntegralImages, min_face: float) -> tuple[Floats, Floats]:
        """P-Net over the pyramid: pictures ``(K,)`` and square boxes ``(K, 4)``.

        The published code rounds windows in its own way (one pixel of the level more on the left and top, sides one
        short); R-Net was trained on what that gives, so it is kept: box and landmarks then equal its to 1e-4 px.
        """
        pictures: list[Floats] = [np.zeros(0)]
        boxes: list[Floats] = [np.zeros((0, 4))]
        scores: list[Floats] = [np.zeros(0)]
        offsets: list[Floats] = [np.zeros((0, 4))]
        for scale in self._scales(views, min_face):
            height, width = int(views.height * scale + 1), int(views.width * scale + 1)
            probability, offset = self._nets.proposal(views.level(height, width))
            for n in range(views.count):
                place, score, offset_ = _candidates(probability[n], offset[n], self.thresholds[0])
                box = np.concatenate([(place + 1) // scale - 1, (place + ProposalNet.window) // scale], axis=1)
                kept = suppress(box, score, 0.5)
                pictures.append(np.full(len(kept), n))
                boxes.append(box[kept])
                scores.append(score[kept])
                offsets.append(offset_[kept])
        picture, score = np.concatenate(pictures), np.concatenate(scores)
        box, offset_ = np.concatenate(boxes), np.concatenate(offsets)
        kept = _suppress_each(picture, box, score, 0.7)
        sides = np.tile(box[kept, 2:] - box[kept, :2] - 1, 2)
        return picture[kept], squared(box[kept] + offset_[kept] * sides)

    def _scales(self, views: IntegralImages, min_face: float) -> Iterator[float]:
        scale = ProposalNet.window / min_face
        while min(views.height, views.width) * scale >= ProposalNet.window:
            yield scale
            scale *= self.factor

    def _sieve(self, views: IntegralImages, picture: Floats, boxes: Floats) -> tuple[Floats, Floats]:
        """R-Net: the pictures and square boxes that pass."""
        score, offset = self._run(self._nets.refine, _batches(views, picture, boxes, RefineNet.window, self._batch))
        passed = score > self.thresholds[1]
        picture, boxes, score, offset = picture[passed], boxes[passed], score[passed], offset[passed]
        kept = _suppress_each(picture, boxes, score, 0.7)
        return picture[kept], squared(shifted(boxes[kept], offset[kept]))

    def _finish(self, views: IntegralImages, picture: Floats, boxes: Floats) -> tuple[Floats, list[Detection]]:
        """O-Net: the pictures and faces that pass, best first within each picture."""
        score, offset, shares = self._run(
            self._nets.output, _batches(views, picture, boxes, OutputNet.window, self._batch)
        )
        boxes, points = _placed(boxes, offset, shares)
        passed = np.flatnonzero(score > self.thresholds[2])
        kept = passed[_suppress_each(picture[passed], boxes[passed], score[passed], 0.7, over="smaller")]
        return picture[kept], [Detection(boxes[i], float(score[i]), points[i]) for i in kept]

    def _run(self, net: torch.nn.Module, batches: Iterable[Tensor]) -> tuple[Floats, ...]:
        """Outputs of a network over batches of windows, in float64."""
        parts = [net(batch) for batch in batches]
        return tuple(torch.cat(part).cpu().numpy().astype(np.float64) for part in zip(*parts, strict=True))


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread: on nets this small, two threads gain little and on a busy machine lose tenfold."""
    before = torch.get_num_threads()
    if before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@cache
def _weights() -> dict[str, Tensor]:
    with as_file(files("mien.faces") / "weights" / "mtcnn.safetensors") as path:
        return load_file(path)


def _published() -> Cascade:
    with torch.device("meta"):  # start values would be drawn from the generator of whoever detects, for nothing
        nets = Cascade()
    nets.load_state_dict(_weights(), assign=True)
    return nets.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _batches(views: IntegralImages, picture: Floats, boxes: Floats, side: int, size: int) -> Iterator[Tensor]:
    """Windows of the boxes, ``size`` at a time; one empty batch where there is none."""
    for i in range(0, max(len(boxes), 1), size):
        yield views.windows(picture[i : i + size], boxes[i : i + size], side)


def _candidates(probability: Tensor, offsets: Tensor, threshold: float) -> tuple[Floats, Floats, Floats]:
    """Windows of one level that pass: left-top corners ``(K, 2)`` there, scores ``(K,)``, offsets ``(K, 4)``."""
    place = (probability > threshold).nonzero()
    score = probability[place[:, 0], place[:, 1]]
    if len(score) > PROPOSALS:
        score, best = score.topk(PROPOSALS)
        place = place[best]
    offset = offsets[:, place[:, 0], place[:, 1]].T
    corner = place.flip(1) * ProposalNet.stride
    return corner.cpu().numpy().astype(float), score.cpu().numpy().astype(float), offset.cpu().numpy().astype(float)


def _placed(boxes: Floats, offset: Floats, shares: Floats) -> tuple[Floats, Floats]:
    """O-Net's answers in pixels: boxes ``(K, 4)`` and landmarks ``(K, 5, 2)``."""
    points = boxes[:, None, :2] + shares * (boxes[:, 2:] - boxes[:, :2])[:, None]
    return shifted(boxes, offset), points


def _scaled_about_centre(box: Floats, scales: tuple[float, ...]) -> Floats:
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    return np.stack([np.concatenate([centre - half * scale, centre + half * scale]) for scale in scales])


def _averaged_with_mirrored(score: Floats, offset: Floats, shares: Floats) -> tuple[Floats, Floats, Floats]:
    """Log-odds, offsets and landmarks: the first half of the answers averaged with the second, for mirrored windows."""
    bounded = score.clip(1e-6, 1 - 1e-6)
    odds = np.log(bounded / (1 - bounded)).reshape(2, -1).mean(axis=0)
    offset, mirrored = np.split(offset, 2)
    shares, turned = np.split(shares, 2)
    mirrored = mirrored[:, [2, 1, 0, 3]] * (-1, 1, -1, 1)
    turned = turned[:, [1, 0, 2, 4, 3]] * (-1, 1) + (1, 0)  # what was the left eye is now the right one
    return odds, (offset + mirrored) / 2, (shares + turned) / 2


def _suppress_each(
    picture: Floats, boxes: Floats, scores: Floats, limit: float, over: Literal["union", "smaller"] = "union"
) -> NDArray[np.int64]:
    """Non-maximum suppression within every picture; kept indices, picture by picture, best score first."""
    kept = [np.zeros(0, dtype=np.int64)]
    for n in np.unique(picture):
        own = np.flatnonzero(picture == n)
        kept.append(own[suppress(boxes[own], scores[own], limit, over)])
    return np.concatenate(kept)


def _enlarged(face: Detection, ratio: int) -> Detection:
    points = None if face.landmarks is None else face.landmarks * ratio
    return Detection(face.box * ratio, face.score, points)


def _touches(box: Floats, image: Image) -> bool:
    """Whether any of the picture lies under a box at least 4 px wide."""
    height, width = image.shape[:2]
    inside = min(box[2], width) - max(box[0], 0) >= 1 and min(box[3], height) - max(box[1], 0) >= 1
    return bool(inside and box[2] - box[0] >= 4)
