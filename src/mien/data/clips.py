"""Reads the views of one row: frames and sound of exactly what a model will see, each frame decoded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.cache import FrameCache
from mien.data.inputs import sound_span, square
from mien.data.manifest import Row
from mien.data.sampling import Sampling, View
from mien.data.sources import FrameSource, files_of, has_clock, is_pictures
from mien.data.windows import leading_window, middle_sound
from mien.errors import MienError, UsageError
from mien.media import HeldFile, probe, read_sound
from mien.media.clip import Clip
from mien.models.specification import Inputs, SoundInput, VideoInput


@dataclass(frozen=True)
class Reading:
    """The views of one row.

    Attributes:
        times: ``(N,)`` seconds of all frames of the row's stretch; empty where there is no picture.
        first: position in the file of the first of them.
        clips, views: what was read, and which of those frames it is.
    """

    times: NDArray[np.float64]
    first: int
    clips: tuple[Clip, ...]
    views: tuple[View, ...]


def read_views(
    row: Row, inputs: Inputs, sampling: Sampling, rng: np.random.Generator, cache: FrameCache | None = None
) -> Reading:
    """Cut views out of a row and read their frames and sound.

    A recording without picture gives one view with no frames where the model also takes sound. ``cache`` keeps frames
    for the next time.

    Raises:
        MienError: the recording is missing, damaged, empty between start and end, or holds nothing the model takes.
        UsageError: times are needed and the row is a folder of frames without a rate.
    """
    if inputs.video is None and inputs.sound is None:
        return _no_media()
    if inputs.video is None:
        return _only_sound(row, inputs)
    if (inputs.sound is not None or inputs.video.fps is not None) and not has_clock(row):
        raise UsageError(
            f"{row.path}: a folder of frames has no clock; add a column fps to the manifest, "
            "or sample by stride and without sound"
        )
    cache = cache or FrameCache(0)
    if inputs.sound is not None and not cache.holds(row) and _has_no_picture(row):
        return _only_sound(row, inputs)
    with cache.open(row) as source:
        inside = np.flatnonzero((source.times >= row.start - 1e-6) & (source.times < row.end - 1e-6))
        if not len(inside):
            raise MienError(f"{row.path}: no frame between {row.start:g} and {row.end:g} s")
        times = source.times[inside]
        if inputs.alignment == "published":
            views = [_leading(len(times), inputs.video)]
        else:
            views = sampling.views(times, max(source.size) / min(source.size), inputs.video, rng)
        pictures = _decode(source, int(inside[0]), views)
    clips = [_clip(images, times, view) for images, view in zip(pictures, views, strict=True)]
    if inputs.alignment == "published":
        clips = [_blackened(clip, view.valid) for clip, view in zip(clips, views, strict=True)]
    return Reading(times, int(inside[0]), tuple(_with_sound(row, inputs, clip) for clip in clips), tuple(views))


def _leading(count: int, video: VideoInput) -> View:
    """The published window at the start of a clip; places past its end repeat the last frame."""
    assert video.frames is not None
    assert video.fps is not None
    there = leading_window(count, video.frames, video.frames / video.fps)
    if not len(there):
        there = np.zeros(1, dtype=np.int64)
    return View(np.pad(there, (0, video.frames - len(there)), mode="edge"), valid=len(there))


def _blackened(clip: Clip, valid: int) -> Clip:
    """Black frames, marked as absent, in the places past the clip's end."""
    frames, present = clip.frames.copy(), clip.present.copy()
    frames[valid:], present[valid:] = 0, False
    return replace(clip, frames=frames, present=present)


def _decode(source: FrameSource, first: int, views: Sequence[View]) -> list[NDArray[np.uint8]]:
    if len(views) == 1:
        return [source.at_indices(views[0].indices + first)]
    wanted = np.unique(np.concatenate([view.indices for view in views]))
    pictures = source.at_indices(wanted + first)
    return [pictures[np.searchsorted(wanted, view.indices)] for view in views]


def _clip(images: NDArray[np.uint8], times: NDArray[np.float64], view: View) -> Clip:
    return Clip(images if view.crop is None else square(images, view.crop), times[view.indices])


def _with_sound(row: Row, inputs: Inputs, clip: Clip) -> Clip:
    if inputs.sound is None or (file := files_of(row).sound) is None:
        return clip
    if inputs.alignment == "published":
        return _with_middle_sound(file, row, inputs.sound, clip)
    start, end = sound_span(clip.times, inputs.sound)
    sound = read_sound(file, inputs.sound.rate, start, min(end, row.end))
    if sound is None:
        return clip
    return replace(clip, sound=sound.samples, sound_rate=sound.rate, sound_start=sound.start)


def _with_middle_sound(file: Path | HeldFile, row: Row, wanted: SoundInput, clip: Clip) -> Clip:
    """The middle of the row's sound, laid beside the clip's frames as if it had been heard with them."""
    end = None if np.isinf(row.end) else row.end
    sound = read_sound(file, wanted.rate, row.start, end)
    if sound is None or not len(sound.samples):
        return clip
    samples = middle_sound(sound.samples, int(wanted.rate * float(wanted.options["seconds"])))
    return replace(clip, sound=samples, sound_rate=wanted.rate, sound_start=float(clip.times[0]))


def _only_sound(row: Row, inputs: Inputs) -> Reading:
    assert inputs.sound is not None
    end = None if np.isinf(row.end) else row.end
    file = files_of(row).sound
    sound = None if file is None else read_sound(file, inputs.sound.rate, row.start, end)
    if sound is None:
        raise MienError(f"{row.audio or row.path}: holds no sound, and there is nothing else that the model takes")
    clip = Clip(
        np.zeros((0, 1, 1, 3), dtype=np.uint8),
        np.zeros(0),
        sound=sound.samples,
        sound_rate=sound.rate,
        sound_start=sound.start,
    )
    return Reading(clip.times, 0, (clip,), (View(np.zeros(0, dtype=np.int64)),))


def _no_media() -> Reading:
    """One view without picture and sound, for models that take feature streams alone; no recording is opened."""
    clip = Clip(np.zeros((0, 1, 1, 3), dtype=np.uint8), np.zeros(0))
    return Reading(clip.times, 0, (clip,), (View(np.zeros(0, dtype=np.int64)),))


def _has_no_picture(row: Row) -> bool:
    """True for a recording of sound alone; costs one look at the file's packets."""
    if is_pictures(row) or (row.extent is None and not row.path.is_file()):
        return False
    recording = files_of(row).recording
    return not isinstance(recording, tuple) and probe(recording).picture is None
