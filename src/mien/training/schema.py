"""What a recipe may say: one frozen class per section, with units and defaults. No torch is needed to read one."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mien.data.settings import AugmentationSettings, ProtocolSettings
from mien.faces.recipe import CropRecipe
from mien.models.specification import TaskConfig


class Section(BaseModel):
    """Part of a recipe: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Sampling(Section):
    """How clips are cut; what is left out is as the registered model is fed by default.

    ``stride`` (every n-th frame of the recording) and ``fps`` (frames per second by presentation time) exclude each
    other. Training draws ``windows`` random windows from every clip in an epoch; each stands ``repeats`` times in its
    batch, drawn and augmented anew each time (repeated augmentation, Hoffer et al. 2020). Validation averages ``views``
    evenly spaced windows (per-frame tasks cover the whole clip instead). ``channels``, ``mean``, ``std`` and
    ``centre``: see ``VideoInput``; ``alignment``: see ``Inputs``.
    ``rule`` chooses published random windows in the place of any start that fits (``mien.data.windows``). ``crop`` is
    how the corpus's faces were cut out, for prediction to do likewise.
    """

    frames: int | None = Field(default=None, ge=1)
    stride: int | None = Field(default=None, ge=1)
    fps: float | None = Field(default=None, gt=0)
    size: int | None = Field(default=None, ge=16)
    windows: int = Field(default=1, ge=1)
    repeats: int = Field(default=1, ge=1)
    rule: Literal["any", "strides", "stretched"] = "any"
    views: int = Field(default=2, ge=1)
    crop: CropRecipe | None = None
    channels: Literal["rgb", "bgr", "grey"] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    centre: Literal["corpus", "clip"] | None = None
    alignment: Literal["aligned", "published"] | None = None

    @model_validator(mode="after")
    def _check(self) -> Sampling:
        if self.stride is not None and self.fps is not None:
            raise ValueError("give stride or fps, not both")
        return self


class Data(Section):
    """What is trained on.

    ``batch`` counts the clips of one optimiser step over all devices and accumulated parts together, so a recipe means
    the same on one processor and on many nodes. ``workers`` are loader processes per device. The run stops when more
    than the share ``max_unreadable`` of the clips cannot be read. ``corpus`` is the name under which clips enter the
    ledger of the weights that have none in the manifest's column ``corpus`` (default: the folder of the manifest; a
    recipe's own name holds for its own manifest, not for another one that it is given). ``streams`` is the store of
    feature streams (``mien extract``), by default ``streams.safetensors`` beside the manifest. ``cache`` MiB of decoded
    frames are kept in memory by every loader process, which speeds up small corpora of short clips. ``manifest`` may
    name shards at an address (``s3://bucket/corpus/manifest.csv``); with ``shuffle_shards`` clips are shuffled within
    that many shards at a time, for storage that is slow at jumping about, and within the whole corpus where it is 0.
    ``balanced`` shows equally many clips of every class in an epoch, which stays as long as it was.
    """

    manifest: str
    corpus: str = ""
    streams: str | None = None
    protocol: ProtocolSettings = ProtocolSettings()
    sampling: Sampling = Sampling()
    batch: int = Field(ge=1)
    workers: int = Field(default=2, ge=0)
    cache: int = Field(default=0, ge=0)
    shuffle_shards: int = Field(default=0, ge=0)
    balanced: bool = False
    max_unreadable: float = Field(default=0.02, ge=0.0, le=1.0)


class Model(Section):
    """A registered model, arguments for its builder, and where its weights start.

    ``init`` is the folder of a run or bundle, or a hub id; None starts from the builder's random weights. A model that
    joins encoders of one modality each takes one for each of them too: ``{video: ..., sound: ...}``.
    """

    name: str
    arguments: dict[str, Any] = {}
    init: str | dict[str, str] | None = None

    @property
    def origin(self) -> str:
        """``, from ...`` for those who read of the model; empty where it starts anew."""
        if not self.init:
            return ""
        if isinstance(self.init, str):
            return f", from {self.init}"
        return f", from {' and '.join(f'{path} ({name})' for name, path in self.init.items())}"


class ProbeConfig(Section):
    """Features judged by nearest neighbours every ``intervals.validate_epochs`` (``mien.training.probe``).

    ``target`` is a column of the manifest with classes or numbers; nothing is learned from it and no weights are chosen
    by it. At most ``clips`` of the training and of the validation part are looked at.
    """

    target: str
    neighbours: int = Field(default=20, ge=1)
    clips: int = Field(default=1000, ge=10)


class PretextConfig(Section):
    """A self-supervised objective: its kind, options of its builder (``mien.pretext``), and how it is probed."""

    kind: str
    options: dict[str, Any] = {}
    probe: ProbeConfig | None = None


class Mixing(Section):
    """Blending of clips in a batch, targets with them (``mien.training.mixing``).

    ``mixup`` and ``cutmix`` are Beta parameters, 0 is off; where both are on, cutmix is taken with probability
    ``switch``.
    """

    mixup: float = Field(default=0.0, ge=0.0)
    cutmix: float = Field(default=0.0, ge=0.0)
    switch: float = Field(default=0.5, ge=0.0, le=1.0)

    @property
    def on(self) -> bool:
        """Whether clips are blended at all."""
        return self.mixup > 0 or self.cutmix > 0


class ModalityDropout(Section):
    """Clips from which a modality is missing, in training (``mien.training.modality_dropout``).

    ``softhard`` and ``noise`` are published: every clip of a batch comes four or three times, so ``data.batch`` is
    multiplied by that. ``span`` takes one modality away with ``probability``, for a stretch of a length drawn from
    ``share`` of the clip.
    """

    kind: Literal["none", "softhard", "noise", "span"] = "none"
    probability: float = Field(default=0.5, ge=0.0, le=1.0)
    share: tuple[float, float] = (0.25, 1.0)

    @model_validator(mode="after")
    def _check(self) -> ModalityDropout:
        if not 0 < self.share[0] <= self.share[1] <= 1:
            raise ValueError(f"share={self.share} must be ascending and within 0..1")
        return self


class Optimiser(Section):
    """What changes the weights. ``lr`` and ``min_lr`` are multiplied by batch / ``base_batch`` where that is given.

    ``kind``: ``adamw`` (with ``betas`` and ``eps``); ``sgd`` and ``lars`` (``mien.training.lars``) with ``momentum``,
    which ``dampening`` keeps from lengthening the steps of ``sgd``.
    ``weight_decay`` moves along a cosine to ``weight_decay_end`` where that is given.

    ``layer_decay`` multiplies the learning rate of each layer below the head; ``clip`` bounds the norm of the gradient,
    of all parameters together or (``clip_scope: tensor``) of each alone; ``accumulate`` splits each batch into that
    many parts, for devices that cannot hold it at once.
    ``decay``: ``matrices`` leaves biases, norms and what the model names undecayed; ``all`` decays every parameter.
    ``ema`` keeps an exponential average of the weights with that decay, which is then validated and shipped.
    """

    kind: Literal["adamw", "sgd", "lars"] = "adamw"
    lr: float = Field(gt=0)
    min_lr: float = Field(default=0.0, ge=0)
    base_batch: int | None = Field(default=None, ge=1)
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = Field(default=1e-8, gt=0)
    momentum: float = Field(default=0.9, gt=0, lt=1)
    dampening: float = Field(default=0.0, ge=0, lt=1)
    weight_decay: float = Field(default=0.05, ge=0)
    weight_decay_end: float | None = Field(default=None, ge=0)
    decay: Literal["matrices", "all"] = "matrices"
    layer_decay: float | None = Field(default=None, gt=0, le=1)
    clip: float | None = Field(default=None, gt=0)
    clip_scope: Literal["all", "tensor"] = "all"
    accumulate: int = Field(default=1, ge=1)
    ema: float | None = Field(default=None, gt=0, lt=1)

    @model_validator(mode="after")
    def _check(self) -> Optimiser:
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas={self.betas} must lie in [0, 1)")
        if self.min_lr > self.lr:
            raise ValueError(f"min_lr={self.min_lr} is above lr={self.lr}")
        return self


class Schedule(Section):
    """Length of training and of the linear warm-up, each in epochs or in optimiser steps; then cosine to ``min_lr``.

    ``shape``: ``cosine`` moves at every step; ``held_cosine`` once an epoch and an epoch late, without warm-up and down
    to 0, as SS-VAERR published it; ``halving`` halves the rate every ``halve_epochs``, without warm-up, as ViPER did;
    ``drops`` takes a tenth of the rate from each of ``drop_epochs`` on (counted from 1), without warm-up.
    """

    epochs: int | None = Field(default=None, ge=1)
    steps: int | None = Field(default=None, ge=1)
    warmup_epochs: float | None = Field(default=None, ge=0)
    warmup_steps: int | None = Field(default=None, ge=0)
    shape: Literal["cosine", "held_cosine", "halving", "drops"] = "cosine"
    halve_epochs: int | None = Field(default=None, ge=1)
    drop_epochs: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Schedule:
        if (self.shape == "halving") != (self.halve_epochs is not None):
            raise ValueError("shape='halving' and halve_epochs belong together")
        if (self.shape == "drops") != bool(self.drop_epochs):
            raise ValueError("shape='drops' and drop_epochs belong together")
        if self.shape in ("halving", "drops") and (self.warmup_epochs or self.warmup_steps):
            raise ValueError(f"shape={self.shape!r} has no warm-up")
        if self.shape == "held_cosine" and (self.epochs is None or self.warmup_epochs or self.warmup_steps):
            raise ValueError("shape='held_cosine' needs epochs, and has no warm-up")
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give exactly one of epochs and steps")
        if self.warmup_epochs is not None and self.warmup_steps is not None:
            raise ValueError("give warmup_epochs or warmup_steps, not both")
        return self


class Hardware(Section):
    """Where it runs: ``devices`` processes on each of ``nodes`` machines.

    ``threads`` is the number of processor threads that each of them computes with, by default what torch takes. Tiny
    models are quicker with one: threads that wait for each other take the processors from the loader's processes.

    ``recompute`` keeps of every transformer block only what it is given, and computes the block anew when its gradients
    are wanted: less memory, up to a third more work, the same losses and gradients.
    """

    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    devices: int = Field(default=1, ge=1)
    nodes: int = Field(default=1, ge=1)
    threads: int | None = Field(default=None, ge=1)
    recompute: bool = False


class Intervals(Section):
    """How often things happen: logging in steps, validation and pictures of masked pretraining in epochs, checkpoints
    in steps and/or seconds.
    """

    log_steps: int = Field(default=10, ge=1)
    validate_epochs: int = Field(default=1, ge=1)
    gallery_epochs: int = Field(default=10, ge=1)
    checkpoint_steps: int | None = Field(default=None, ge=1)
    checkpoint_seconds: float | None = Field(default=300.0, gt=0)


class Recipe(Section):
    """One experiment: data, model, exactly one of pretext and task, optimiser, schedule and hardware.

    ``precision``: ``fp32``; ``bf16`` computes matrix products in bfloat16 by autocast; ``auto`` is bf16 where the
    processor does it natively, else fp32. ``weights`` says which weights become the bundle: the best on validation
    by the task's first metric (where there are validation clips), or the last. ``smoothing`` fits a time shift, a
    median filter, centring and scaling of values per frame on validation clips and stores them in the bundle.
    """

    name: str
    seed: int = Field(default=0, ge=0)
    data: Data
    augmentation: AugmentationSettings = AugmentationSettings()
    mixing: Mixing = Mixing()
    modality_dropout: ModalityDropout = ModalityDropout()
    model: Model
    pretext: PretextConfig | None = None
    task: TaskConfig | None = None
    optimiser: Optimiser
    schedule: Schedule
    precision: Literal["fp32", "bf16", "auto"] = "auto"
    hardware: Hardware = Hardware()
    intervals: Intervals = Intervals()
    weights: Literal["best", "last"] = "best"
    smoothing: bool = False

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        if (self.pretext is None) == (self.task is None):
            raise ValueError("give exactly one of pretext and task")
        if self.smoothing and (self.task is None or self.task.level != "frame"):
            raise ValueError("smoothing belongs to a task with level: frame; leave it out")
        if self.pretext is not None:
            if self.optimiser.layer_decay is not None:
                raise ValueError("optimiser.layer_decay belongs to fine-tuning; a pretext trains all layers alike")
            if self.optimiser.ema is not None:
                raise ValueError("optimiser.ema belongs to fine-tuning; a pretext keeps its own teacher")
            if self.mixing.on:
                raise ValueError("mixing belongs to fine-tuning; a pretext has no targets to mix")
            if self.modality_dropout.kind != "none":
                raise ValueError("modality_dropout belongs to fine-tuning; set its kind to none")
        elif self.data.protocol.by == "all":
            raise ValueError("data.protocol.by='all' leaves nothing to judge a task on; use split, fold or subject")
        if self.data.batch % self.data.sampling.repeats:
            raise ValueError(
                f"data.batch={self.data.batch} is no multiple of data.sampling.repeats={self.data.sampling.repeats}"
            )
        if self.data.balanced and (self.task is None or self.task.level == "frame"):
            raise ValueError("data.balanced needs a task with one class per clip")
        parts = self.hardware.devices * self.hardware.nodes * self.optimiser.accumulate
        if self.data.batch % parts:
            raise ValueError(
                f"data.batch={self.data.batch} cannot be divided over {self.hardware.nodes} node(s) x "
                f"{self.hardware.devices} device(s) x {self.optimiser.accumulate} accumulated part(s); "
                f"use a multiple of {parts}"
            )
        return self

    @property
    def stage(self) -> Literal["pretraining", "fine-tuning"]:
        """What the recipe is for, as its verb and the run call it."""
        return "fine-tuning" if self.pretext is None else "pretraining"

    @property
    def part(self) -> int:
        """Clips that one device holds at once."""
        return self.data.batch // (self.hardware.devices * self.hardware.nodes * self.optimiser.accumulate)
