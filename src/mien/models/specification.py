"""The Specification: how a model must be fed and read. It is saved with every checkpoint (``config.json``)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mien.checked import Checked
from mien.faces.recipe import CropRecipe

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class VideoInput(Checked):
    """Pictures that a model sees.

    Exactly one of ``stride`` (every n-th frame of the recording) and ``fps`` (frames per second by presentation
    time) says how densely a clip is sampled. ``frames`` is the length of one clip; None means any length.
    ``mean`` and ``std`` apply to values in 0..1, one per channel. ``centre`` says what is taken off before ``std``
    divides: ``corpus`` is ``mean``; ``clip`` is every pixel's own mean over the clip, so that a model sees only what
    changes (good for small models that must not learn who people are).
    """

    frames: int | None = Field(default=16, ge=1)
    stride: int | None = Field(default=None, ge=1)
    fps: float | None = Field(default=None, gt=0)
    size: int = Field(default=160, ge=16)
    channels: Literal["rgb", "bgr", "grey"] = "rgb"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    centre: Literal["corpus", "clip"] = "corpus"
    crop: CropRecipe | None = CropRecipe()

    @model_validator(mode="after")
    def _check(self) -> VideoInput:
        if (self.stride is None) == (self.fps is None):
            raise ValueError("give exactly one of stride and fps")
        wanted = 1 if self.channels == "grey" else 3
        if len(self.mean) != wanted or len(self.std) != wanted:
            raise ValueError(f"mean and std need {wanted} value(s) for channels={self.channels!r}")
        return self


class SoundInput(Checked):
    """Sound that a model hears: mono at ``rate`` Hz, as ``features`` (options by name, see ``mien.media.features``)."""

    rate: int = Field(default=16000, ge=4000)
    features: Literal["waveform", "log_mel", "mfcc"] = "log_mel"
    options: dict[str, Any] = Field(default_factory=dict)


class StreamInput(Checked):
    """A named stream of precomputed features, ``(T, width)``, and what computed it."""

    name: str
    width: int = Field(ge=1)
    steps: int | None = Field(default=None, ge=1)
    extractor: str = ""
    revision: str = ""


class Inputs(Checked):
    """All that a model can take; it accepts every non-empty subset (missing modalities are marked as absent).

    ``alignment`` says which sound belongs to the pictures of a clip: ``aligned``, what is heard while they are seen;
    ``published``, as the RAVDESS preparation of arXiv 2201.11095 cut its files: pictures from the clip's start, sound
    from its middle, silence and black frames where the clip is shorter. Prediction over time is always aligned.
    """

    video: VideoInput | None = None
    sound: SoundInput | None = None
    streams: tuple[StreamInput, ...] = ()
    alignment: Literal["aligned", "published"] = "aligned"

    @model_validator(mode="after")
    def _check(self) -> Inputs:
        if self.alignment == "published":
            fixed = self.video is None or (self.video.frames is not None and self.video.fps is not None)
            if not fixed or (self.sound is not None and "seconds" not in self.sound.options):
                raise ValueError("alignment='published' needs a fixed number of frames, fps and seconds of sound")
        if self.video is None and self.sound is None and not self.streams:
            raise ValueError("a model needs at least one of video, sound and streams")
        return self


class TaskConfig(Checked):
    """What is predicted, as data: ``mien.tasks.create_task`` builds the working object from it.

    ``outputs`` are class names in index order, or names of continuous values.
    """

    kind: str
    level: Literal["clip", "frame"] = "clip"
    outputs: Annotated[tuple[str, ...], Field(min_length=1)]
    options: dict[str, Any] = Field(default_factory=dict)


class Smoothing(Checked):
    """What is done to one output over time after the model, in this order (``mien.tasks.smoothing``).

    Attributes:
        shift: seconds by which the course is moved to later times; its ends are held.
        window: seconds of a median filter; 0 is none.
        gain, offset: ``gain * value + offset``.
    """

    shift: float = 0.0
    window: float = Field(default=0.0, ge=0)
    gain: float = 1.0
    offset: float = 0.0

    def __str__(self) -> str:
        steps = [
            f"moved by {self.shift:+g} s" if self.shift else "",
            f"median over {self.window:g} s" if self.window else "",
            f"times {self.gain:.3g}" if self.gain != 1 else "",
            f"plus {self.offset:.3g}" if self.offset else "",
        ]
        return ", ".join(filter(None, steps)) or "as it is"


UNKNOWN_CORPUS = "unknown"


class Exposure(Checked):
    """One entry of the ledger: a corpus that these weights have seen.

    The corpus ``UNKNOWN_CORPUS`` says that a stage of training is known to have been and nobody recorded on what.
    """

    corpus: str
    stage: Literal["pretraining", "fine-tuning"]
    protocol: str = ""
    clips: int | None = None


class Provenance(Checked):
    """Where weights come from and on what terms."""

    created_by: str = "mien"
    source: str = ""
    licence: str = ""
    paper: str = ""
    recipe: str = ""
    ledger: tuple[Exposure, ...] = ()
    notes: tuple[str, ...] = ()


class Calibration(Checked):
    """What held-out clips taught about when answers deserve trust (``mien calibrate``).

    The temperature of a classification is an option of its task. ``clips`` held-out clips of the protocol with the
    digest ``protocol`` were used. An answer below ``confidence`` is abstained from; None: none is. ``mean`` and
    ``spread`` are of every pooled feature over training clips; a clip whose ``distance`` is above ``limit`` is unlike
    anything seen in training.
    """

    clips: int = Field(ge=1)
    protocol: str = ""
    confidence: float | None = Field(default=None, ge=0, le=1)
    mean: tuple[float, ...] = ()
    spread: tuple[float, ...] = ()
    limit: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _check(self) -> Calibration:
        if len(self.mean) != len(self.spread) or (self.limit is not None and not self.mean):
            raise ValueError("mean, spread and limit belong together")
        return self


class Specification(Checked):
    """Everything needed to rebuild a model and run it on a raw recording.

    ``model`` is a registered name and ``arguments`` are keyword arguments for its builder.
    ``task`` is None for a bare encoder (embedding only); ``calibration`` where it was calibrated. ``smoothing`` holds a
    set of steps per output of a task that answers for every frame, fitted on validation clips; empty leaves outputs as
    the model gives them.
    """

    format: Literal[1] = 1
    model: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    inputs: Inputs
    task: TaskConfig | None = None
    smoothing: tuple[Smoothing, ...] = ()
    provenance: Provenance = Provenance()
    calibration: Calibration | None = None

    @model_validator(mode="after")
    def _check(self) -> Specification:
        if self.smoothing and (
            self.task is None or self.task.level != "frame" or len(self.smoothing) != len(self.task.outputs)
        ):
            raise ValueError("smoothing needs a task per frame and a set of steps for each of its outputs")
        return self

    def smoothing_text(self) -> str:
        """``smoothing`` in words; empty where there is none."""
        if self.task is None or not self.smoothing:
            return ""
        return "; ".join(f"{name}: {step}" for name, step in zip(self.task.outputs, self.smoothing, strict=True))
