"""BYOL: predict what a slow copy of oneself makes of another view of the same clip.

Grill et al., Bootstrap Your Own Latent, arXiv 2006.07733; without the slow copy SimSiam (Chen and He, arXiv
2011.10566). Numbers agree with byol-pytorch 0.6.0, current when SS-VAERR's code was published, and 0.9.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.errors import MienError, UsageError
from mien.models.contract import Encoder
from mien.models.registry import create_encoder
from mien.models.specification import Inputs, VideoInput
from mien.pretext.collapse import rank_entropy, spread, verdict
from mien.pretext.contract import Moment, Pretext
from mien.pretext.schedules import cosine
from mien.pretext.tap import POOLED, tap, width
from mien.pretext.teacher import Teacher
from mien.pretext.views import ViewKind, Views

if TYPE_CHECKING:
    from mien.data.dataset import Transform
    from mien.data.settings import AugmentationSettings

REMEDY = (
    "lower optimiser.lr or optimiser.weight_decay, take larger batches, raise pretext.options.momentum, "
    "or make the views differ more"
)
# beside the recipe's augmentation: how the published figure's clean first and disturbed second view differ
FIRST: dict[str, Any] = {"blur": 0.5}
SECOND: dict[str, Any] = {"blur": 0.1, "salt_and_pepper": 0.05}


def mlp(dim: int, hidden: int, out: int) -> nn.Sequential:
    """Linear, batch norm, ReLU, linear: BYOL's projector and predictor."""
    return nn.Sequential(nn.Linear(dim, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, out))


def deep_mlp(dim: int, hidden: int, out: int) -> nn.Sequential:
    """SimSiam's projector: three linear layers without bias, each with batch norm, the last one without weights."""
    return nn.Sequential(
        *(nn.Linear(dim, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU()),
        *(nn.Linear(hidden, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU()),
        *(nn.Linear(hidden, out, bias=False), nn.BatchNorm1d(out, affine=False)),
    )


class SimplicialEmbedding(nn.Module):
    """Softmax over groups of ``group`` features at ``temperature`` (Lavoie et al., arXiv 2204.00616)."""

    def __init__(self, temperature: float = 0.1, group: int = 8) -> None:
        super().__init__()
        self.temperature, self.group = temperature, group

    def forward(self, features: Tensor) -> Tensor:
        """``(B, D)`` → ``(B, D)``, D a multiple of ``group``."""
        grouped = features.unflatten(-1, (-1, self.group))
        return (grouped / self.temperature).softmax(dim=-1).flatten(-2)


def distance(predictions: Tensor, targets: Tensor) -> Tensor:
    """``2 - 2 cos`` of every pair of rows ``(B, D)`` → ``(B,)`` in 0..4: squared error of unit vectors."""
    unit = functional.normalize(predictions.float(), dim=-1) * functional.normalize(targets.float(), dim=-1)
    return 2.0 - 2.0 * unit.sum(dim=-1)


class BYOL(Pretext):
    """BYOL around any encoder, on its pooled features or those of another layer.

    A batch holds ``views`` ``(B, 2, C, T, H, W)``. Loss: the distance of each view's prediction to the other view's
    target, both directions added, mean over clips (rows of the layer): 0..8.

    Args:
        encoder: is trained.
        size, frames, first, second: of the views, see ``byol``.
        projection, hidden: width of projections, and of the hidden layers of projector and predictor.
        momentum: of the slow copy at the start; None: none, the targets are the encoder's own (SimSiam).
        momentum_end: the momentum rises to this along a cosine; None: it stays.
        joint: both views share one pass, hence the statistics of batch norms.
        simplicial: width of simplicial embeddings before the projector's layers; 0 without.
        layer: which features are projected, see ``mien.pretext.tap`` (published ``hidden_layer``).
        dim: width of those features; None: the encoder's.
    """

    def __init__(
        self,
        encoder: Encoder,
        views: ViewKind,
        *,
        projection: int = 256,
        hidden: int = 4096,
        momentum: float | None = 0.99,
        momentum_end: float | None = None,
        joint: bool = False,
        simplicial: int = 0,
        layer: str = POOLED,
        dim: int | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.views, self.joint, self.layer = encoder, views, joint, layer
        dim = dim or encoder.feature_dim
        layers = (mlp if momentum is not None else deep_mlp)(simplicial or dim, hidden, projection)
        self.projector = layers
        if simplicial:
            embed = nn.Sequential(nn.Linear(dim, simplicial), nn.BatchNorm1d(simplicial))
            self.projector = nn.Sequential(embed, SimplicialEmbedding(), layers)
        self.predictor = mlp(projection, hidden, projection)
        self.momentum = (momentum, momentum if momentum_end is None else momentum_end)
        self.teacher = Teacher(encoder, self.projector, layer) if momentum is not None else None

    def transform(self, inputs: Inputs, augmentation: AugmentationSettings) -> Transform:
        """See ``Pretext.transform``."""
        return Views(inputs, augmentation, (self.views,))

    def loss(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """See the class."""
        first, second = batch["views"].unbind(1)
        if len(first) < 2 and self.training:
            raise MienError("BYOL needs two clips at once for its batch norms; raise data.batch")
        passes = [torch.cat((first, second))] if self.joint else [first, second]
        features = [tap(self.encoder, video, self.layer) for video in passes]
        predicted = torch.cat([self.predictor(self.projector(values)) for values in features]).chunk(2)
        targets = torch.cat([self.target(video) for video in passes]).chunk(2)
        loss = (distance(predicted[0], targets[1]) + distance(predicted[1], targets[0])).mean()
        seen = torch.cat(features).chunk(2)[0]
        return loss, {"feature_std": spread(seen), "target_entropy": rank_entropy(targets[0])}

    @torch.no_grad()
    def target(self, video: Tensor) -> Tensor:
        """What a view ``(B, C, T, H, W)`` should be predicted as: ``(B, projection)``, or a row for each frame."""
        if self.teacher is not None:
            return self.teacher(video)
        return self.projector(tap(self.encoder, video, self.layer))

    def after_step(self, moment: Moment) -> None:
        """The slow copy follows."""
        begin, end = self.momentum
        if self.teacher is not None and begin is not None and end is not None:
            self.teacher.follow(self.encoder, self.projector, cosine(begin, end, moment.step, moment.total))

    def trouble(self, values: Mapping[str, float]) -> str | None:
        """See ``Pretext.trouble``."""
        return verdict(values, REMEDY)


def byol(
    model: str,
    arguments: Mapping[str, Any],
    video: VideoInput,
    *,
    size: int | None = None,
    frames: int | None = None,
    first: Mapping[str, Any] | None = None,
    second: Mapping[str, Any] | None = None,
    layer: str = POOLED,
    **options: Any,
) -> BYOL:
    """BYOL around a registered encoder.

    Args:
        model, arguments: registered encoder and keyword arguments of its builder.
        video: how the encoder is fed.
        size, frames: side and length of the views; None: as the encoder is fed.
        first, second: what the two views change in the recipe's augmentation; None: more blur in the first, salt and
            pepper in the second.
        layer: which features are projected, see ``mien.pretext.tap``.
        options: of ``BYOL``.
    """
    encoder = create_encoder(model, **arguments)
    changes = (FIRST if first is None else first, SECOND if second is None else second)
    views = ViewKind("views", changes, size, frames)
    views.check(encoder)
    for name in ("momentum", "momentum_end"):
        value = options.get(name)
        if value is not None and not 0.0 <= value <= 1.0:
            raise UsageError(f"pretext.options.{name}={value} is not within 0..1")
    fed = video.model_copy(update={"size": size or video.size, "frames": frames or video.frames})
    return BYOL(encoder, views, layer=layer, dim=width(encoder, layer, fed), **options)
