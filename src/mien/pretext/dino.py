"""DINO: every crop of a clip should be told apart as a slow copy of oneself tells the large crops apart.

Caron et al., Emerging Properties in Self-Supervised Vision Transformers, arXiv 2104.14294. Numbers agree with the
authors' code.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.errors import UsageError
from mien.models.contract import Encoder
from mien.models.registry import create_encoder
from mien.models.specification import Inputs, VideoInput
from mien.pretext.collapse import information, spread, verdict
from mien.pretext.contract import Moment, Pretext
from mien.pretext.exchange import summed
from mien.pretext.schedules import cosine, warmed
from mien.pretext.teacher import Teacher
from mien.pretext.views import ViewKind, Views

if TYPE_CHECKING:
    from mien.data.dataset import Transform
    from mien.data.settings import AugmentationSettings

REMEDY = (
    "lower optimiser.lr, warm teacher_temperature up from a lower warmup_temperature, keep centre_momentum below 1, "
    "or set freeze_last_layer to more epochs (pretext.options)"
)
LARGE: dict[str, Any] = {"crop_scale": (0.5, 1.0)}
SMALL: dict[str, Any] = {"crop_scale": (0.2, 0.5), "blur": 0.5}
# the two large crops differ in blur and solarisation, as published
LARGE_VIEWS: tuple[dict[str, Any], ...] = ({"blur": 1.0}, {"blur": 0.1, "solarise": 0.2, "solarise_from": 0.5})


class UnitRows(nn.Module):
    """Linear layer without bias whose rows have length ``scale``: ``scale · direction / |direction|``."""

    def __init__(self, dim: int, out: int, learn_scale: bool) -> None:
        super().__init__()
        self.direction = nn.Parameter(nn.Linear(dim, out, bias=False).weight.detach().clone())
        self.scale = nn.Parameter(torch.ones(out, 1), requires_grad=learn_scale)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, dim)`` → ``(N, out)``."""
        return functional.linear(x, self.scale * self.direction / self.direction.norm(dim=1, keepdim=True))


class DinoHead(nn.Module):
    """MLP, unit length, then a linear layer with rows of unit length: ``(N, dim)`` → ``(N, outputs)``.

    Args:
        dim: width of the features.
        outputs: number of prototypes K.
        hidden, bottleneck: width of the MLP's hidden layers and of its result.
        layers: of the MLP.
        batch_norm: after every hidden layer.
        unit_prototypes: keep the length of prototypes at 1 (published ``norm_last_layer``).
    """

    def __init__(
        self,
        dim: int,
        outputs: int,
        *,
        hidden: int = 2048,
        bottleneck: int = 256,
        layers: int = 3,
        batch_norm: bool = False,
        unit_prototypes: bool = True,
    ) -> None:
        super().__init__()
        widths = [dim, *[hidden] * (max(layers, 1) - 1), bottleneck]
        modules: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            modules += [nn.Linear(before, after), *([nn.BatchNorm1d(after)] if batch_norm else []), nn.GELU()]
        while not isinstance(modules[-1], nn.Linear):
            modules.pop()
        self.mlp = nn.Sequential(*modules)
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02, a=-2.0, b=2.0)
                nn.init.zeros_(layer.bias)
        self.prototypes = UnitRows(bottleneck, outputs, not unit_prototypes)

    def forward(self, features: Tensor) -> Tensor:
        """See the class."""
        outputs: Tensor = self.prototypes(functional.normalize(self.mlp(features).float(), dim=-1))
        return outputs


class CentredTargets(nn.Module):
    """Sharpened, centred outputs of the teacher, and the cross entropy of the student's crops with them.

    Args:
        outputs: K.
        momentum: of the centre.
        student_temperature: that the student's outputs are divided by.
    """

    centre: Tensor
    _sum: Tensor | None = None
    _rows: int = 0

    def __init__(self, outputs: int, momentum: float = 0.9, student_temperature: float = 0.1) -> None:
        super().__init__()
        self.momentum, self.student_temperature = momentum, student_temperature
        self.register_buffer("centre", torch.zeros(1, outputs))

    def targets(self, rows: Tensor, temperature: float) -> Tensor:
        """Teacher's outputs ``(N, K)`` → probabilities; notes the outputs for the next centre."""
        rows = rows.detach().float()
        self._sum = rows.sum(dim=0, keepdim=True) + (0.0 if self._sum is None else self._sum)
        self._rows += len(rows)
        return ((rows - self.centre) / temperature).softmax(dim=-1)

    def cross_entropy(self, student: Tensor, targets: Tensor, crops: int) -> Tensor:
        """Mean over all pairs of a target and another crop.

        Args:
            student: ``(crops · B, K)``, all clips of the first crop, then of the second, ...
            targets: ``(2 · B, K)``, of the first two of those crops.
            crops: number of the student's crops.
        """
        told = (student.float() / self.student_temperature).log_softmax(dim=-1).chunk(crops)
        terms = [
            -(target * guess).sum(dim=-1).mean()
            for place, target in enumerate(targets.chunk(2))
            for other, guess in enumerate(told)
            if other != place
        ]
        return torch.stack(terms).sum() / len(terms)

    @torch.no_grad()
    def move_centre(self) -> None:
        """Take the outputs noted since the last time, of all processes, into the centre."""
        if self._sum is None:
            return
        total, rows = summed(self._sum, self._sum.new_full((), self._rows))
        self.centre.mul_(self.momentum).add_(total / rows, alpha=1.0 - self.momentum)
        self._sum, self._rows = None, 0


def encode_crops(encoder: Encoder, crops: Sequence[Tensor]) -> Tensor:
    """Pooled features ``(crops · B, D)``; neighbours of one shape share a pass, so batch norms see one shape each."""
    features = []
    for _, group in itertools.groupby(crops, key=lambda crop: crop.shape[1:]):
        features.append(encoder.forward_features({"video": torch.cat(list(group))}).pooled)
    return torch.cat(features)


class DINO(Pretext):
    """DINO around any encoder, on its pooled features.

    A batch holds ``views`` ``(B, 2, C, T, H, W)`` and ``small_views`` ``(B, V, C, t, h, w)``.

    Args:
        encoder: is trained.
        views: kinds of the large crops and of the small ones.
        outputs: number of prototypes K.
        head: further options of ``DinoHead``.
        momentum: of the teacher at the start; it rises to 1 along a cosine.
        teacher_temperature, warmup_temperature, warmup_epochs: sharpness of the targets; the first from the second
            over so many epochs.
        student_temperature: sharpness of the student's guesses.
        centre_momentum: of the centre.
        freeze_last_layer: epochs in which the prototypes stay.
    """

    def __init__(
        self,
        encoder: Encoder,
        views: tuple[ViewKind, ...],
        *,
        outputs: int = 65536,
        momentum: float = 0.996,
        teacher_temperature: float = 0.04,
        warmup_temperature: float = 0.04,
        warmup_epochs: int = 0,
        student_temperature: float = 0.1,
        centre_momentum: float = 0.9,
        freeze_last_layer: int = 1,
        **head: Any,
    ) -> None:
        super().__init__()
        self.encoder, self.views = encoder, views
        self.head = DinoHead(encoder.feature_dim, outputs, **head)
        self.teacher = Teacher(encoder, self.head)
        self.targets = CentredTargets(outputs, centre_momentum, student_temperature)
        self.momentum, self.freeze_last_layer = momentum, freeze_last_layer
        self.temperatures = (warmup_temperature, teacher_temperature, warmup_epochs)
        self.temperature = warmed(warmup_temperature, teacher_temperature, 0, warmup_epochs)

    def transform(self, inputs: Inputs, augmentation: AugmentationSettings) -> Transform:
        """See ``Pretext.transform``."""
        return Views(inputs, augmentation, self.views)

    def loss(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """See the class."""
        large = batch["views"].unbind(1)
        crops = [*large, *(batch["small_views"].unbind(1) if "small_views" in batch else ())]
        features = encode_crops(self.encoder, crops)
        targets = self.targets.targets(self.teacher(torch.cat(large)), self.temperature)
        loss = self.targets.cross_entropy(self.head(features), targets, len(crops))
        clips = len(large[0])
        watched = {"feature_std": spread(features[:clips].detach()), "target_entropy": information(targets[:clips])}
        return loss, watched

    def before_step(self, moment: Moment) -> None:
        """The teacher's temperature for this epoch."""
        begin, end, epochs = self.temperatures
        self.temperature = warmed(begin, end, moment.epoch, epochs)

    def before_update(self, moment: Moment) -> None:
        """Prototypes stay in the first epochs."""
        if moment.epoch < self.freeze_last_layer:
            for parameter in self.head.prototypes.parameters():
                parameter.grad = None

    def after_step(self, moment: Moment) -> None:
        """The teacher follows, the centre moves."""
        self.teacher.follow(self.encoder, self.head, cosine(self.momentum, 1.0, moment.step, moment.total))
        self.targets.move_centre()

    def trouble(self, values: Mapping[str, float]) -> str | None:
        """See ``Pretext.trouble``."""
        return verdict(values, REMEDY)


def dino(
    model: str,
    arguments: Mapping[str, Any],
    video: VideoInput,
    *,
    size: int | None = None,
    frames: int | None = None,
    small_size: int | None = None,
    small_frames: int | None = None,
    small_views: int = 8,
    large: Mapping[str, Any] = LARGE,
    small: Mapping[str, Any] = SMALL,
    **options: Any,
) -> DINO:
    """DINO around a registered encoder.

    Args:
        model, arguments: registered encoder and keyword arguments of its builder.
        video: how the encoder is fed.
        size, frames: side and length of the two large crops; None: as the encoder is fed.
        small_size, small_frames: of the small ones; None: half of the large ones'.
        small_views: number of small crops.
        large, small: what crops of that kind change in the recipe's augmentation.
        options: of ``DINO`` and ``DinoHead``.
    """
    encoder = create_encoder(model, **arguments)
    views = [ViewKind("views", tuple({**one, **large} for one in LARGE_VIEWS), size, frames)]
    if small_views:
        side = small_size or (size or video.size) // 2
        length = small_frames or max((frames or video.frames or 2) // 2, 1)
        views.append(ViewKind("small_views", ({**small},) * small_views, side, length))
    for kind in views:
        kind.check(encoder)
    if not 0.0 <= options.get("centre_momentum", 0.9) <= 1.0 or not 0.0 <= options.get("momentum", 0.996) <= 1.0:
        raise UsageError("pretext.options.momentum and centre_momentum must be within 0..1")
    for name in ("student_temperature", "teacher_temperature", "warmup_temperature"):
        if not options.get(name, 0.1) > 0:
            raise UsageError(f"pretext.options.{name}={options[name]}: must be above 0")
    return DINO(encoder, tuple(views), **options)
