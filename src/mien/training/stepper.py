"""One optimiser step over the clips that all processes read, as a pure function of its number and the recipe's seed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mien.data.finish import finish
from mien.data.seeding import generator
from mien.errors import MienError
from mien.nn.device import finest
from mien.nn.products import quick_products
from mien.pretext import Moment
from mien.pretext.exchange import summed
from mien.training.batches import Part, Step
from mien.training.experiment import Experiment, seed_for
from mien.training.hardware import fetch, gather, said_once
from mien.training.mixing import mix
from mien.training.modality_dropout import drop_modalities
from mien.training.objective import Objective
from mien.training.optim import clip_gradients, make_optimiser, parameter_groups
from mien.training.origin import find_origin
from mien.training.state import State, read_state, write_state


@dataclass(frozen=True)
class Outcome:
    """One step: mean loss and further scalars over all processes, clips, and the norm of the gradient."""

    loss: float
    clips: int
    extra: dict[str, float]
    norm: float


class Stepper:
    """The trained module, its optimiser and its moving average.

    Torch's generator is seeded anew for every part of every step, so that what dropout draws depends on nothing that
    happened before: a run that goes on from a checkpoint needs no generator's state.
    """

    def __init__(self, experiment: Experiment, fabric: Fabric) -> None:
        self.recipe, self.task, self.fabric = experiment.recipe, experiment.task, fabric
        self._video = experiment.train.inputs.video
        self.objective: Objective = experiment.objective
        if fabric.world_size > 1 and fabric.device.type == "cuda":
            nn.SyncBatchNorm.convert_sync_batchnorm(self.objective)
        self.trained = self.objective.trained
        settings = self.recipe.optimiser
        groups = parameter_groups(
            self.trained, settings.weight_decay, settings.layer_decay, settings.lr, settings.decay == "all"
        )
        self.optimiser = make_optimiser(groups, settings)
        self._module, self._optimiser = fabric.setup(self.objective, self.optimiser)
        self.average: AveragedModel | None = None
        if settings.ema is not None:
            self._blend = get_ema_multi_avg_fn(settings.ema)
            self.average = AveragedModel(self.trained, multi_avg_fn=self._blend)
        self._ghost: Part | None = None

    def weights(self) -> nn.Module:
        """The module that is validated and shipped: the average where one is kept, else what is trained."""
        module: nn.Module = self.trained if self.average is None else self.average.module
        return module

    def write(self, path: Path, state: State) -> None:
        """Checkpoint of everything here, and of the run's counters."""
        average = self.average.state_dict() if self.average is not None else None
        write_state(path, state, self.trained, self.optimiser, average)

    def read(self, path: Path) -> State:
        """Go back to what ``write`` wrote; returns the run's counters."""
        state, average = read_state(path, self.trained, self.optimiser)
        if self.average is not None:
            self.average.load_state_dict(average)
        return state

    def take(self, data: Step, clips: float, moment: Moment, rate: float, decay: float) -> Outcome:
        """The step that comes at ``moment``.

        Args:
            data: what this process read.
            clips: read by all processes together; without any nothing is changed.
            moment: where training stands.
            rate, decay: learning rate and weight decay, before what the groups make of them.

        Raises:
            MienError: the loss or the gradient is not finite; the weights are then as they were.
        """
        if not clips:
            return Outcome(0.0, 0, {}, 0.0)
        number = moment.step
        self._module.train()
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["lr_scale"]
            group["weight_decay"] = decay if group["decayed"] else 0.0
        self.objective.before_step(moment)
        with quick_products(self.fabric.device):
            sums = self._backward(data.parts, clips, number)
        norm, means = self._told(sums, clips, clip_gradients(self.trained.parameters(), self.recipe.optimiser))
        if not math.isfinite(means["loss"]):
            raise said_once(self.fabric, self._not_finite("loss", means["loss"], data, number))
        if not math.isfinite(norm):
            raise said_once(self.fabric, self._not_finite("gradient", norm, data, number))
        self.objective.before_update(moment)
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        self.objective.after_step(moment)
        if self.average is not None:
            self._follow(self.average)
        return Outcome(means.pop("loss"), int(clips), means, norm)

    def _backward(self, parts: tuple[Part, ...], clips: float, number: int) -> dict[str, Tensor]:
        """Gradients of the mean over all clips of the step; returns sums over this process's clips."""
        sums: dict[str, Tensor] = {}
        self._ghost = parts[0] if parts else self._ghost
        # processes that exchange batch statistics meet in every part
        count = self.recipe.optimiser.accumulate if self.fabric.world_size > 1 else 1
        weighed = weigh(parts, self._ghost, count)
        for index, (part, present) in enumerate(weighed):
            batch = self._prepare(part, number, index)
            with self.fabric.no_backward_sync(self._module, enabled=index < len(weighed) - 1):
                loss, extra = self._module(batch)
                # the exchange averages over processes, hence their number
                self.fabric.backward(loss * (present * self.fabric.world_size / clips))
            for name, value in {"loss": loss.detach(), **extra}.items():
                sums[name] = sums.get(name, 0.0) + value.detach().to(finest(value.device)) * present
        return sums

    def _prepare(self, part: Part, number: int, index: int) -> dict[str, Tensor]:
        """A part on the device, mixed where the recipe says so, with torch's generator seeded for it alone."""
        keys = number, index, self.fabric.global_rank
        torch.manual_seed(seed_for(self.recipe.seed, "step", *keys))
        batch = finish(part.tensors, self._video, self.fabric.device)
        if self.recipe.mixing.on and self.task is not None and self.task.classes is not None:
            rng: Any = generator(self.recipe.seed, "mixing", *keys)
            batch = mix(batch, len(self.task.classes), self.recipe.mixing, rng)
        if self.recipe.modality_dropout.kind != "none":
            draws = torch.Generator().manual_seed(seed_for(self.recipe.seed, "modalities", *keys))
            batch = drop_modalities(batch, self.recipe.modality_dropout, draws)
        return batch

    def _follow(self, average: AveragedModel) -> None:
        """Move the average. Torch's own way sends its counter to the device at every step, and waits for that."""
        average.n_averaged += 1
        if average.n_averaged == 1:
            average.module.load_state_dict(self.trained.state_dict())
            return
        slow, quick = ([one.detach() for one in module.parameters()] for module in (average.module, self.trained))
        self._blend(slow, quick, average.n_averaged)
        for old, new in zip(average.module.buffers(), self.trained.buffers(), strict=True):
            old.detach().copy_(new.detach())

    def _told(self, sums: dict[str, Tensor], clips: float, norm: Tensor) -> tuple[float, dict[str, float]]:
        """The norm, which all processes share, and means over the clips of all of them."""
        names = sorted(sums)
        (together,) = summed(torch.stack([sums[name] for name in names]))
        *values, length = fetch(torch.cat((together, norm.to(together)[None])))
        return length, {name: value / clips for name, value in zip(names, values, strict=True)}

    def _not_finite(self, what: str, value: float, data: Step, number: int) -> MienError:
        own = [clip for part in data.parts for clip in part.ids]
        ids = [clip for clips in gather(self.fabric, own) for clip in clips]
        clips = ", ".join(ids[:8]) + (f" and {len(ids) - 8} more" if len(ids) > 8 else "")
        where = next((text for text in gather(self.fabric, self._origin(data, number)) if text), "")
        return MienError(
            f"the {what} is {value} at step {number + 1} on clips {clips}{f': {where}' if where else ''}; lower "
            "optimiser.lr, set optimiser.clip=1 or precision=fp32, or look at these clips"
        )

    def _origin(self, data: Step, number: int) -> str:
        """Where this process first meets what is not finite; empty where it meets nothing of the kind."""
        for index, part in enumerate(data.parts):
            batch = self._prepare(part, number, index)
            # processes find different things at different times, so none may wait for another's statistics
            self.objective.train(self.fabric.world_size == 1)
            with self.fabric.autocast():
                found = find_origin(self.objective, batch, part.ids)
            if found:
                return found
        return ""


def weigh(parts: tuple[Part, ...], ghost: Part | None, least: int) -> list[tuple[Part, float]]:
    """Parts with the number of their clips, and as many of a ghost with none as make ``least``: where only other
    processes could read clips, all must take part in the exchange."""
    missing = max(least, 1) - len(parts)
    if missing > 0 and ghost is None:
        raise MienError("none of the first clips could be read; look at the manifest's paths")
    return [*((part, float(len(part))) for part in parts), *([(ghost, 0.0)] * missing if ghost else ())]
