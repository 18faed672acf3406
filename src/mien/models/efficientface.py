"""EfficientFace: a shuffle network with a local-feature branch and a channel-spatial modulator.

Zhao, Liu and Zhou, "Robust Lightweight Facial Expression Recognition Network with Label Distribution Training",
AAAI 2021. Works on still images and, frame by frame, on clips.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mien.faces.recipe import CropRecipe
from mien.models.contract import Encoder, Features, ModelInputs, video_of
from mien.models.registry import register_model
from mien.models.specification import Inputs, VideoInput


def _pointwise(before: int, width: int) -> list[nn.Module]:
    return [nn.Conv2d(before, width, 1, bias=False), nn.BatchNorm2d(width)]


def _depthwise(width: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(width, width, 3, stride, 1, groups=width, bias=False), nn.BatchNorm2d(width)]


class ShuffleUnit(nn.Module):
    """ShuffleNet v2 unit: half the channels pass, half are transformed, then the halves are interleaved.

    With ``stride=2`` both branches see the whole input and the picture is halved. ``(N, before, H, W)`` →
    ``(N, width, H / stride, W / stride)``.
    """

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        half = width // 2
        enter = before if stride == 2 else half
        self.skip: nn.Sequential | None = None
        if stride == 2:
            self.skip = nn.Sequential(*_depthwise(before, 2), *_pointwise(before, half), nn.ReLU())
        self.main = nn.Sequential(
            *_pointwise(enter, half), nn.ReLU(), *_depthwise(half, stride), *_pointwise(half, half), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        if self.skip is None:
            first, second = x.chunk(2, dim=1)
        else:
            first, second = self.skip(x), x
        pair = torch.stack([first, self.main(second)], dim=2)
        return pair.flatten(1, 2)


class LocalFeatures(nn.Module):
    """Each quadrant of the map through convolutions of its own, ``(N, C, 2h, 2w)`` → ``(N, width, h, w)``.

    Padding stays inside a quadrant. Order of ``quadrants``: top left, bottom left, top right, bottom right.
    """

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.quadrants = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, width, 3, 2, 1, groups=before, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
                *_depthwise(width, 1),
                nn.ReLU(),
            )
            for _ in range(4)
        )

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        left, right = x.chunk(2, dim=3)
        parts = [*left.chunk(2, dim=2), *right.chunk(2, dim=2)]
        done = [quadrant(part) for quadrant, part in zip(self.quadrants, parts, strict=True)]
        return torch.cat([torch.cat(done[:2], dim=2), torch.cat(done[2:], dim=2)], dim=3)


class Modulator(nn.Module):
    """Gate ``x * sigmoid(channel * spatial)``, reduction 16, dilation 4; ``(N, C, H, W)`` keeps its shape."""

    def __init__(self, width: int) -> None:
        super().__init__()
        reduced = width // 16
        self.channel = nn.Sequential(
            nn.Linear(width, reduced), nn.BatchNorm1d(reduced), nn.ReLU(), nn.Linear(reduced, width)
        )
        dilated: list[nn.Module] = []
        for _ in range(2):
            dilated += [nn.Conv2d(reduced, reduced, 3, padding=4, dilation=4), nn.BatchNorm2d(reduced), nn.ReLU()]
        self.spatial = nn.Sequential(
            nn.Conv2d(width, reduced, 1), nn.BatchNorm2d(reduced), nn.ReLU(), *dilated, nn.Conv2d(reduced, 1, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        channel = self.channel(x.mean(dim=(2, 3)))[:, :, None, None]
        return x * torch.sigmoid(channel * self.spatial(x))


class EfficientFace(Encoder):
    """Frames ``(B, 3, T, H, W)`` → ``frames (B, T, D)``; ``pooled`` is their mean. H and W are multiples of 32.

    Args:
        repeats: shuffle units in the three stages.
        widths: channels of the stem, the three stages and the last convolution.
    """

    def __init__(
        self,
        repeats: tuple[int, int, int] = (4, 8, 4),
        widths: tuple[int, int, int, int, int] = (29, 116, 232, 464, 1024),
    ) -> None:
        super().__init__()
        stem, *stages, last = widths
        self.feature_dim = last
        self.depth = len(stages) + 1
        self.stem = nn.Sequential(nn.Conv2d(3, stem, 3, 2, 1, bias=False), nn.BatchNorm2d(stem), nn.ReLU())
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.stages = nn.ModuleList()
        before = stem
        for count, width in zip(repeats, stages, strict=True):
            units = [ShuffleUnit(before if i == 0 else width, width, 2 if i == 0 else 1) for i in range(count)]
            self.stages.append(nn.Sequential(*units))
            before = width
        self.local = LocalFeatures(stem, stages[0])
        self.modulator = Modulator(stages[0])
        self.last = nn.Sequential(*_pointwise(before, last), nn.ReLU())

    def forward_images(self, images: Tensor) -> Tensor:
        """``(N, 3, H, W)`` → ``(N, D)``."""
        x = self.pool(self.stem(images))
        x = self.modulator(self.stages[0](x)) + self.local(x)
        for stage in self.stages[1:]:
            x = stage(x)
        features: Tensor = self.last(x).mean(dim=(2, 3))
        return features

    def forward_features(self, inputs: ModelInputs) -> Features:
        """One vector per frame and their mean."""
        video = video_of(inputs)
        images = video.transpose(1, 2).flatten(0, 1)
        frames = self.forward_images(images).view(video.shape[0], video.shape[2], self.feature_dim)
        return Features(pooled=frames.mean(dim=1), frames=frames)

    def layer_of(self, name: str) -> int:
        """0 stem; 1 first stage, local branch, modulator; 2 and 3 the other stages; 4 the last convolution."""
        part = name.split(".")
        if part[0] == "stages":
            return int(part[1]) + 1
        return {"stem": 0, "local": 1, "modulator": 1, "last": 4}.get(part[0], self.depth + 1)


# Mean and standard deviation of the colours of each corpus, with which the face weights published for it were trained.
COLOURS = {
    "raf-db": ((0.57535914, 0.44928582, 0.40079932), (0.20735591, 0.18981615, 0.18132027)),
    "affectnet": ((0.55391484, 0.43522123, 0.3821877), (0.24837189, 0.21625527, 0.20221159)),
    "caer-s": ((0.35964426, 0.22359873, 0.19040863), (0.15188067, 0.11678473, 0.1103445)),
}
FACE_MEAN, FACE_STD = COLOURS["raf-db"]
_FACE = VideoInput(frames=1, stride=1, size=224, mean=FACE_MEAN, std=FACE_STD, crop=CropRecipe(size=224))


@register_model(Inputs(video=_FACE))
def efficientface() -> EfficientFace:
    """EfficientFace, 1.27 M parameters with 7 classes, 224 px stills or frames.

    Paper: AAAI 2021. Reported accuracy: RAF-DB 88.36, CAER-S 85.87, AffectNet-7 63.70, AffectNet-8 59.89 %.
    Classes in order: neutral, happiness, sadness, surprise, fear, disgust, anger.
    """
    return EfficientFace()


@register_model(Inputs(video=_FACE.model_copy(update={"size": 64, "crop": CropRecipe(size=64)})))
def efficientface_test() -> EfficientFace:
    """A small EfficientFace for tests: 64 px, stages of 32, 48 and 64 channels."""
    return EfficientFace(repeats=(2, 2, 2), widths=(8, 32, 48, 64, 96))
