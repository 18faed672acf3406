"""Choices about data that a recipe makes: plain settings, read without torch or pandas."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, model_validator

from mien.checked import Checked
from mien.faces.recipe import CropRecipe
from mien.faces.settings import TrackingSettings

Probability = Field(default=0.0, ge=0.0, le=1.0)
Strength = Field(default=0.0, ge=0.0, lt=1.0)


FOLDED = ("fold", "subject", "random", "leave_one_out", "corpus")  # ways of dividing in which each part tests in turn


class ProtocolSettings(Checked):
    """How rows are divided.

    Attributes:
        by: ``split`` takes the manifest's column ``split``; ``fold`` its column ``fold`` (one fold tests, the others
            train); ``subject`` makes folds of whole subjects; ``random`` makes folds of single rows, which is only
            honest where rows have nothing in common, and is noted in every result; ``named`` tests the subjects of
            ``test`` and validates those of ``validation_subjects``; ``leave_one_out`` tests one subject; ``corpus``
            tests one corpus of a manifest with the column ``corpus`` and trains on the others; ``all`` trains on
            every row.
        fold: which fold tests: a value of the column for ``fold``, a number from 0 for ``subject`` and ``random``, a
            subject for ``leave_one_out``, the corpus for ``corpus``.
        folds: number of folds for ``subject`` and ``random``.
        validation: share of the training subjects (rows where subjects are unknown) held out for validation, where
            the manifest itself names none.
        validation_fold: for ``fold``: this fold validates.
        test, validation_subjects: for ``named``: subjects as the manifest calls them; all others train.
        lowest, highest: bounds of columns of the manifest for training clips, such as those that preparation writes
            (``lowest={"face_share": 0.9, "sharpness": 20}``). Validation and test stay whole, so that results compare.
        published: the corpus's published protocol shares subjects or groups between training and test, or uses the
            test part for validation; this is then stated instead of refused.
        seed: for every random choice above.
    """

    by: Literal["split", "fold", "subject", "random", "named", "leave_one_out", "corpus", "all"] = "split"
    fold: int | str | None = None
    folds: int = Field(default=5, ge=2)
    validation: float = Field(default=0.0, ge=0.0, lt=1.0)
    validation_fold: int | str | None = None
    test: tuple[str, ...] = ()
    validation_subjects: tuple[str, ...] = ()
    lowest: dict[str, float] = Field(default_factory=dict)
    highest: dict[str, float] = Field(default_factory=dict)
    published: bool = False
    seed: int = 0

    @model_validator(mode="after")
    def _check(self) -> ProtocolSettings:
        folded = self.by in FOLDED
        if folded and self.fold is None:
            raise ValueError(f"by={self.by!r} needs fold (which one is the test)")
        if not folded and self.fold is not None:
            raise ValueError(f"fold={self.fold!r} means nothing with by={self.by!r}; use by='fold' or by='subject'")
        if self.validation_fold is not None and (self.by != "fold" or str(self.validation_fold) == str(self.fold)):
            raise ValueError(f"validation_fold={self.validation_fold!r} must be another fold, with by='fold'")
        if (self.by == "named") != bool(self.test) or (self.validation_subjects and self.by != "named"):
            raise ValueError("by='named' needs test, the subjects to test on; no other way of dividing takes subjects")
        twice = sorted(set(self.test) & set(self.validation_subjects))
        if twice:
            raise ValueError(f"subject(s) {', '.join(twice)} cannot both validate and test")
        return self


class PrepareSettings(Checked):
    """How raw recordings become face clips.

    Attributes:
        crop: how a face is cut out; models are told, so that prediction cuts alike.
        faces: ``main`` keeps the face that is seen longest and largest, one clip per input; ``all`` keeps every face;
            ``auto`` is ``main`` for rows of a manifest with subjects or targets, else ``all``.
        window: left, top and side in pixels of a square that is cut out of every picture in the place of a face that is
            looked for; for recordings that are crops already (VoxCeleb2: 32, 0, 160). ``crop`` then only sets the size.
        search: ``follow`` follows faces through the recording. The published ways search every picture alone:
            ``largest`` takes the largest face, and the last one's place where there is none; ``surest`` the most
            certain of ``min_face`` pixels or more in height, and the whole picture where there is none.
        min_seconds: faces that stay for less are passed over (not for ``main``).
        max_gap: seconds that a face may be lost before a new clip begins (not for ``main``).
        min_face: height in pixels of the smallest face to look for; None: as the detector finds fit.
        tracking: how faces are followed.
        gop: frames from one picture that decodes alone to the next. With 1, training that takes every fourth picture
            decodes those alone; 8 makes files less than half as large, which cost more to read.
        quality: constant rate factor of H.264, 0 to 51.
        exact: keep every pixel of the crops as it is: RGB without loss, in files some ten times larger.
    """

    crop: CropRecipe = CropRecipe()
    faces: Literal["auto", "main", "all"] = "auto"
    window: tuple[NonNegativeInt, NonNegativeInt, Annotated[int, Field(ge=16)]] | None = None
    search: Literal["follow", "largest", "surest"] = "follow"
    min_seconds: float = Field(default=0.5, ge=0.0)
    max_gap: float = Field(default=1.0, gt=0.0)
    min_face: int | None = Field(default=None, ge=20)
    tracking: TrackingSettings = TrackingSettings()
    gop: int = Field(default=1, ge=1)
    quality: int = Field(default=18, ge=0, le=51)
    exact: bool = False

    @model_validator(mode="after")
    def _check(self) -> PrepareSettings:
        if self.search != "follow" and self.faces == "all":
            raise ValueError(f"search={self.search!r} finds one face in a picture; faces='all' needs search='follow'")
        return self


class RandAugment(Checked):
    """Random picture operations (``mien.data.randaugment``); the published scripts take 4 of magnitude 7.

    Attributes:
        operations: how many are drawn for each clip; each then takes place with probability one half. 0 is off.
        magnitude: mean strength, 0 to 10.
        deviation: standard deviation of the strength, drawn anew for each operation.
    """

    operations: int = Field(default=0, ge=0, le=20)
    magnitude: float = Field(default=7.0, ge=0.0, le=10.0)
    deviation: float = Field(default=0.5, ge=0.0)


class AugmentationSettings(Checked):
    """Random changes, the same for all frames of a clip, in this order.

    Attributes:
        rand: random picture operations before the crop.
        crop: ``area`` draws area and shape of a crop that may lie anywhere; ``anchored`` draws its sides from
            ``crop_sizes`` and one of 13 fixed places (published pretraining).
        crop_sizes: for ``anchored``: sides as shares of the picture's shorter side, descending.
        crop_scale: smallest and largest share of the picture's area that a random crop keeps; (1, 1) keeps it whole.
        crop_ratio: narrowest and widest width over height of that crop, drawn log-uniformly.
        rotate: largest turn in whole degrees, either way; what the turned picture lacks is black.
        flip: probability of mirroring.
        brightness, contrast, saturation: half-width of the factor's range around 1; 0 is off.
        grey: probability of taking the colour out.
        blur: probability of a Gaussian blur; its standard deviation is drawn from ``blur_pixels``.
        solarise: probability of turning over everything from ``solarise_from`` of white on.
        erase: probability of filling one box with normal noise.
        erase_scale: smallest and largest share of the area of that box.
        holes: number of square holes, ``hole_side`` wide as a share of the picture's side, the same in all frames.
        drop_frames: probability of blanking a frame.
        salt_and_pepper: share of the pixels that turn white or black.
    """

    rand: RandAugment = RandAugment()
    crop: Literal["area", "anchored"] = "area"
    crop_sizes: tuple[float, ...] = Field(default=(1.0, 0.875, 0.75, 0.66), min_length=1)
    crop_scale: tuple[float, float] = (0.5, 1.0)
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    rotate: int = Field(default=0, ge=0, le=180)
    flip: float = Field(default=0.5, ge=0.0, le=1.0)
    brightness: float = Strength
    contrast: float = Strength
    saturation: float = Strength
    grey: float = Probability
    erase: float = Probability
    erase_scale: tuple[float, float] = (0.02, 1 / 3)
    holes: int = Field(default=0, ge=0)
    hole_side: float = Field(default=0.2, gt=0.0, le=1.0)
    drop_frames: float = Probability
    salt_and_pepper: float = Probability
    blur: float = Probability
    blur_pixels: tuple[float, float] = (0.1, 2.0)
    solarise: float = Probability
    solarise_from: float = Field(default=0.9, ge=0.0, le=1.0)

    @model_validator(mode="after")
    def _check(self) -> AugmentationSettings:
        for name, top in (("crop_scale", 1.0), ("crop_ratio", 100.0), ("erase_scale", 1.0), ("blur_pixels", 50.0)):
            low, high = getattr(self, name)
            if not 0 < low <= high <= top:
                raise ValueError(f"{name} = ({low}, {high}) must be ascending and within 0..{top:g}")
        if (
            list(self.crop_sizes) != sorted(self.crop_sizes, reverse=True)
            or not 0 < self.crop_sizes[-1] <= self.crop_sizes[0] <= 1
        ):
            raise ValueError(f"crop_sizes = {self.crop_sizes} must be descending and within 0..1")
        return self
