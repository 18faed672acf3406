"""One modality over time in two stages: the interface that fusions of modalities are written against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.errors import MienError
from mien.models.contract import Encoder, Features, ModelInputs

# How a modality that is not there is told: ``marked`` by what ``<name>_present`` says, a learned step in its place;
# ``zeros`` fed through the network like anything else, as the published models were trained.
Absent = Literal["marked", "zeros"]


@dataclass(frozen=True)
class Steps:
    """A modality over time.

    Attributes:
        values: ``(B, T, W)``.
        present: ``(B, T)`` bool, steps that say something; None where nothing is marked, and all of them count.
        there: ``(B,)`` bool, clips that have the modality at all; None as above. For the others the first step is
            learned, counts as present and is the only one that does.
        rows: ``(K,)`` numbers of the clips that are ``there``; None as above. They are found once, since that waits for
            the device.
    """

    values: Tensor
    present: Tensor | None = None
    there: Tensor | None = None
    rows: Tensor | None = None

    def mean(self) -> Tensor:
        """Mean over the steps that are present, ``(B, W)``."""
        if self.present is None:
            return self.values.mean(dim=1)
        weight = self.present[..., None].to(self.values)
        return (self.values * weight).sum(dim=1) / weight.sum(dim=1)

    def at(self, moments: int) -> Tensor:
        """The modality at that many evenly spaced moments, ``(B, moments, W)``.

        Each is the mean over its stretch of time; where there are fewer steps than moments, values lie on lines between
        the centres of steps. Absent steps take the mean of the others, so a modality that is absent altogether is its
        learned step at all times.
        """
        values = self.values if self.present is None else _levelled(self.values, self.present)
        over_time = values.transpose(1, 2)
        if values.shape[1] >= moments:
            return F.adaptive_avg_pool1d(over_time, moments).transpose(1, 2)
        return F.interpolate(over_time, size=moments, mode="linear", align_corners=False).transpose(1, 2)


class Branch(nn.Module):
    """One modality: ``second(first(inputs))``, with room for the other modality to step in between.

    Attributes:
        modality: key of the model inputs.
        widths: W after each stage.
    """

    modality: str
    widths: tuple[int, int]

    def first(self, inputs: ModelInputs) -> Steps:
        """Modality → steps of width ``widths[0]``."""
        raise NotImplementedError

    def second(self, steps: Steps) -> Steps:
        """Steps of width ``widths[0]`` → steps of width ``widths[1]``."""
        raise NotImplementedError


def _temporal_block(before: int, width: int, valid: bool) -> nn.Sequential:
    """Convolution over time with batch norm; ``valid`` drops the padding and pools, as the published sound does."""
    layers: list[nn.Module] = [nn.Conv1d(before, width, 3, padding=0 if valid else 1), nn.BatchNorm1d(width), nn.ReLU()]
    if valid:
        layers.append(nn.MaxPool1d(2, stride=1))
    return nn.Sequential(*layers)


class TemporalBranch(Branch):
    """Any encoder with features over time, then four convolutions over time, two per stage.

    Args:
        modality: ``video`` or ``sound``.
        encoder: makes features over time; None where the inputs are features ``(B, F, L)`` already.
        widths: channels of the four temporal blocks, preceded by the input's.
        valid: blocks without padding that pool (published for sound) instead of length-keeping ones.
        absent: see ``Absent``. Clips without the modality do not pass through a marked branch, so batch statistics
            know nothing of them.
        blank: shape of a clip of zeros, for ``zeros`` where the inputs lack the modality altogether.
        spare_classes: keep the classifier that the published branch stores but does not use in fusion.
    """

    def __init__(
        self,
        modality: str,
        encoder: Encoder | None,
        widths: tuple[int, int, int, int, int],
        *,
        valid: bool = False,
        absent: Absent = "marked",
        blank: tuple[int, ...] = (),
        spare_classes: int | None = None,
    ) -> None:
        super().__init__()
        self.modality = modality
        self.encoder = encoder
        self.widths = (widths[2], widths[4])
        self.blank = blank
        pairs = list(pairwise(widths))
        self.stages = nn.ModuleList(
            nn.Sequential(*(_temporal_block(before, width, valid) for before, width in pairs[at : at + 2]))
            for at in (0, 2)
        )
        self.stand_in: nn.ParameterList | None = None
        if absent == "marked":
            self.stand_in = nn.ParameterList(nn.Parameter(torch.zeros(width)) for width in self.widths)
        self.spare = nn.Linear(widths[4], spare_classes) if spare_classes else None

    def first(self, inputs: ModelInputs) -> Steps:
        """See ``Branch.first``; what is marked as absent is zeroed before anything looks at it."""
        x, batch = inputs.get(self.modality), batch_size(inputs)
        present = inputs.get(f"{self.modality}_present")
        if x is not None and present is not None:
            present = present.reshape(batch, -1)
            x = x * _over_time(present, x)
        if self.stand_in is None:
            if x is None:
                x = next(self.parameters()).new_zeros(batch, *self.blank)
            return Steps(self._enter(x))
        if x is None:
            return self._absent(torch.zeros(batch, dtype=torch.bool, device=self.stand_in[0].device), 0)
        if present is None:
            there = torch.ones(batch, dtype=torch.bool, device=x.device)
            return self._filled(self._enter(x, there[:, None]), there[:, None], there, None, 0)
        there = present.any(dim=1)
        rows = there.nonzero()[:, 0]
        if not len(rows):
            return self._absent(there, 0)
        return self._filled(self._enter(x[rows], present[rows]), present, there, rows, 0)

    def second(self, steps: Steps) -> Steps:
        """See ``Branch.second``."""
        if steps.there is None:
            return Steps(self._convolve(1, steps.values))
        assert steps.present is not None
        if steps.rows is None:
            values = self._convolve(1, _levelled(steps.values, steps.present))
        elif len(steps.rows):
            values = self._convolve(1, _levelled(steps.values[steps.rows], steps.present[steps.rows]))
        else:
            return self._absent(steps.there, 1)
        return self._filled(values, steps.present, steps.there, steps.rows, 1)

    def _enter(self, x: Tensor, present: Tensor | None = None) -> Tensor:
        """The first stage. Absent steps look like the mean of the others, so that convolutions beside them see no jump:
        0 would be loud among cepstral coefficients."""
        if present is not None and x.ndim == 3:
            x = _levelled(x.transpose(1, 2), present).transpose(1, 2)
        if self.encoder is None:
            return self._convolve(0, x.transpose(1, 2))
        frames = self.encoder.forward_features({self.modality: x}).frames
        if frames is None:
            raise MienError(f"{type(self.encoder).__name__} gives no features over time, so it cannot be fused")
        return self._convolve(0, frames if present is None else _levelled(frames, present))

    def _convolve(self, stage: int, values: Tensor) -> Tensor:
        out: Tensor = self.stages[stage](values.transpose(1, 2)).transpose(1, 2)
        return out

    def _absent(self, there: Tensor, stage: int) -> Steps:
        """The learned step for all clips of the batch."""
        assert self.stand_in is not None
        here = torch.ones(len(there), 1, dtype=torch.bool, device=there.device)
        none = torch.zeros(0, dtype=torch.int64, device=there.device)
        return Steps(self.stand_in[stage].expand(len(there), 1, -1), here, there, none)

    def _filled(self, values: Tensor, present: Tensor, there: Tensor, rows: Tensor | None, stage: int) -> Steps:
        """All clips of the batch: those that have the modality (``rows``; None: all), the learned step for others."""
        assert self.stand_in is not None
        steps = values.shape[1]
        mask = _spread(present, steps)
        first_only = torch.arange(steps, device=mask.device) == 0
        mask = torch.where(there[:, None], mask, first_only)
        if rows is not None:
            values = values.new_zeros(len(there), *values.shape[1:]).index_copy(0, rows, values)
        values = torch.where(there[:, None, None], values, self.stand_in[stage].to(values))
        return Steps(values * mask[..., None], mask, there, rows)


def _spread(present: Tensor, steps: int) -> Tensor:
    """Mask ``(B, T)`` at another number of steps: present where any of it is."""
    return F.adaptive_max_pool1d(present[:, None].float(), steps)[:, 0] > 0


def _levelled(values: Tensor, present: Tensor) -> Tensor:
    """``(B, T, D)`` with the mean of the present steps in the place of the others; each clip has at least one."""
    weight = _spread(present, values.shape[1])[..., None].to(values)
    mean = (values * weight).sum(dim=1, keepdim=True) / weight.sum(dim=1, keepdim=True)
    return values * weight + mean * (1 - weight)


class BranchEncoder(Encoder):
    """One branch on its own: ``pooled (B, W)`` is the mean over time, ``frames`` are its steps ``(B, T', W)``.

    At steps that are absent, ``frames`` hold the mean of the others.
    """

    def __init__(self, branch: TemporalBranch) -> None:
        super().__init__()
        self.branch = branch
        self.modalities = (branch.modality,)
        self.feature_dim = branch.widths[1]
        self.depth = depth_over(branch.encoder)

    def forward_features(self, inputs: ModelInputs) -> Features:
        """Pooled and per-step features; ``MienError`` where the batch lacks the branch's modality."""
        need_one(inputs, self.modalities)
        steps = self.branch.second(self.branch.first(inputs))
        return Features(pooled=steps.mean(), frames=steps.at(steps.values.shape[1]))

    def layer_of(self, name: str) -> int:
        """As the encoder inside the branch counts; what the branch adds belongs to the last layer."""
        return layer_over(name, "branch.encoder.", self.branch.encoder, self.depth)

    def no_weight_decay(self) -> set[str]:
        """Those of the encoder inside the branch, under their names here."""
        return undecayed("branch.encoder.", self.branch.encoder)

    def core(self) -> tuple[str, Encoder]:
        """The encoder inside the branch, where it has one: that is what pretraining knows."""
        return ("", self) if self.branch.encoder is None else ("branch.encoder.", self.branch.encoder)


def need_one(inputs: ModelInputs, modalities: tuple[str, ...]) -> None:
    """``MienError`` where a batch has none of the modalities."""
    if not any(name in inputs for name in modalities):
        there = ", ".join(sorted(inputs)) or "nothing"
        raise MienError(f"this model needs {' or '.join(modalities)}; the batch holds {there}")


def batch_size(inputs: ModelInputs) -> int:
    """Clips of a batch."""
    return len(next(inputs[name] for name in ("video", "sound") if name in inputs))


def depth_over(encoder: Encoder | None) -> int:
    """Blocks that layer-wise decay counts in a model that puts one more layer on an encoder."""
    return 1 if encoder is None else encoder.depth + 1


def layer_over(name: str, prefix: str, encoder: Encoder | None, depth: int) -> int:
    """Layer of a parameter: the inner encoder's own, or ``depth`` for what is built upon it."""
    if encoder is None or not name.startswith(prefix):
        return depth
    return encoder.layer_of(name.removeprefix(prefix))


def undecayed(prefix: str, encoder: Encoder | None) -> set[str]:
    """Names that the inner encoder never decays."""
    return set() if encoder is None else {prefix + name for name in encoder.no_weight_decay()}


def _over_time(present: Tensor, x: Tensor) -> Tensor:
    """``(B, T)`` in a shape that multiplies ``x``: video has its time on the third axis, sound on the last."""
    shape: Callable[..., Tensor] = present.to(x).view
    return shape(len(x), 1, -1, 1, 1) if x.ndim == 5 else shape(len(x), *[1] * (x.ndim - 2), -1)
