"""Cutting: which frames and which sound a clip holds, checked on recordings whose every frame says its number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mien.data.cutting import Follow, cut_faces
from mien.data.gather import Source
from mien.data.manifest import Row
from mien.data.settings import PrepareSettings
from mien.data.windowing import follow_window
from mien.errors import MienError
from mien.faces import Cropper, CropRecipe
from mien.faces.types import Frame, TrackedFace, TrackedFrame
from mien.media import VideoReader, VideoWriter, read_sound

RATE = 16000
SETTINGS = PrepareSettings(crop=CropRecipe(size=32, margin=0.0, smoothing=0.0), min_seconds=0.3, max_gap=0.5)


def picture(number: int) -> np.ndarray:
    """A picture whose left 32 columns spell its number in eight bars, dark or bright."""
    bits = (number >> np.arange(8)) & 1
    row = np.repeat(40 + 170 * bits, 4)
    return np.broadcast_to(np.pad(row, (0, 64), constant_values=128)[None, :, None], (64, 96, 3)).astype(np.uint8)


def record(path: Path, times: list[float], sound_from: float | None = 0.0, seconds: float = 4.0) -> Path:
    """Frames that say their numbers; the sound is a click every 0.5 s beginning at ``sound_from``."""
    with VideoWriter(path, (96, 64), 25.0, None if sound_from is None else RATE) as out:
        for number, time in enumerate(times):
            out.write(picture(number), time)
        if sound_from is not None:
            samples = np.zeros(round(seconds * RATE), dtype=np.float32)
            for click in np.arange(max(sound_from, 0.0), seconds, 0.5):
                at = round(click * RATE)
                samples[at : at + 160] = 0.8 * np.sin(2 * np.pi * 1000 * np.arange(len(samples[at : at + 160])) / RATE)
            out.write_sound(samples)
    return path


def scripted(*tracks: Callable[[int], bool], box: Callable[[int], float] = lambda track: 32.0) -> Follow:
    """A tracker that sees face k in the frames for which ``tracks[k](number)`` holds."""

    def follow(frames: Iterable[Frame]) -> Iterator[TrackedFrame]:
        for frame in frames:
            faces = [
                TrackedFace(track, np.array([0.0, 0.0, box(track), box(track)]), 0.9, None, "detected")
                for track, seen in enumerate(tracks)
                if seen(frame.index)
            ]
            yield TrackedFrame(frame.index, frame.time, frame.image, faces)

    return follow


def source(path: Path, labelled: bool = False, **row: object) -> Source:
    return Source(Row("0123456789abcdef", path, **row), f"talks/{path.name}", labelled=labelled)  # type: ignore[arg-type]


def shown(path: Path) -> tuple[list[int], np.ndarray]:
    """Frame numbers that a clip shows, read off its bars, and their times."""
    with VideoReader(path) as video:
        bars = [frame.image.mean(axis=(0, 2)).reshape(8, 4).mean(axis=1) > 125 for frame in video.frames()]
        return [int((bits << np.arange(8)).sum()) for bits in bars], video.times.copy()


CLOCK = [number / 25 for number in range(100)]


def test_a_clip_holds_its_faces_frames_on_its_own_clock(tmp_path: Path) -> None:
    path = record(tmp_path / "talk.mp4", CLOCK)
    records = cut_faces(source(path), tmp_path, SETTINGS, scripted(lambda n: 30 <= n < 60))
    assert [(r["id"], r["track"], r["frames"]) for r in records] == [("0123456789abcdef-0", 0, 30)]
    assert records[0]["path"] == "clips/talks/talk-0123456789ab-0.mp4"
    assert (records[0]["source_start"], records[0]["source_end"]) == (1.2, 2.4)
    assert (records[0]["face_share"], records[0]["face_size"], records[0]["face_score"]) == (1.0, 32.0, 0.9)
    with VideoReader(tmp_path / records[0]["path"]) as video:
        assert records[0]["light"] == pytest.approx(
            np.mean([frame.image.mean() for frame in video.frames()]) / 255, abs=0.01
        )
    assert records[0]["sharpness"] > 0
    numbers, times = shown(tmp_path / records[0]["path"])
    assert numbers == list(range(30, 60))
    np.testing.assert_allclose(times, np.arange(30) / 25, atol=1e-4)
    assert not (tmp_path / ".work").exists() or not list((tmp_path / ".work").iterdir())


def test_sound_keeps_step_with_the_picture(tmp_path: Path) -> None:
    """Face from 1.2 s to 2.4 s; clicks at 1.5 and 2.0 s must lie at 0.3 and 0.8 s of the clip."""
    path = record(tmp_path / "talk.mp4", CLOCK)
    clip = cut_faces(source(path), tmp_path, SETTINGS, scripted(lambda n: 30 <= n < 60))[0]
    sound = read_sound(tmp_path / clip["path"], RATE)
    assert sound is not None
    level = 10 * np.log10(np.mean(sound.samples.astype(np.float64) ** 2))
    assert clip["loudness"] == pytest.approx(level, abs=0.5)
    assert len(sound.samples) / RATE == pytest.approx(1.2, abs=0.03)
    loud = np.flatnonzero(np.abs(sound.samples) > 0.2) / RATE + sound.start
    onsets = loud[np.insert(np.diff(loud) > 0.1, 0, True)]
    np.testing.assert_allclose(onsets, [0.3, 0.8], atol=0.004)


def test_sound_that_begins_later_is_led_by_silence(tmp_path: Path) -> None:
    """Sound from another file may begin after the face does."""
    path = record(tmp_path / "talk.mp4", CLOCK, sound_from=None)
    late = tmp_path / "late.mp4"
    record(late, CLOCK[:5], sound_from=0.0, seconds=2.0)
    clip = cut_faces(source(path, audio=late), tmp_path, SETTINGS, scripted(lambda n: n >= 30))[0]
    sound = read_sound(tmp_path / clip["path"], RATE)
    assert sound is not None
    loud = np.flatnonzero(np.abs(sound.samples) > 0.2) / RATE + sound.start
    assert loud.min() == pytest.approx(0.3, abs=0.004)
    assert loud.max() < 0.32 + 0.004


def test_recordings_without_sound_give_silent_clips(tmp_path: Path) -> None:
    path = record(tmp_path / "talk.mp4", CLOCK[:20], sound_from=None)
    clip = cut_faces(source(path), tmp_path, SETTINGS, scripted(lambda n: True))[0]
    assert read_sound(tmp_path / clip["path"], RATE) is None


def test_uneven_times_are_kept(tmp_path: Path) -> None:
    times = np.cumsum([0.0, *np.tile([0.03, 0.05, 0.11], 12)]).tolist()
    path = record(tmp_path / "talk.mp4", times)
    clip = cut_faces(source(path), tmp_path, SETTINGS, scripted(lambda n: n >= 5))[0]
    numbers, shown_times = shown(tmp_path / clip["path"])
    assert numbers == list(range(5, len(times)))
    np.testing.assert_allclose(shown_times, np.asarray(times[5:]) - times[5], atol=1e-4)


def test_short_losses_leave_frames_out_and_long_ones_begin_a_new_clip(tmp_path: Path) -> None:
    path = record(tmp_path / "talk.mp4", CLOCK)
    present = scripted(lambda n: n < 20 or 25 <= n < 40 or n >= 70)
    first, second = cut_faces(source(path), tmp_path, SETTINGS, present)
    assert shown(tmp_path / first["path"])[0] == [*range(20), *range(25, 40)]
    assert first["face_share"] == pytest.approx(35 / 40)
    assert shown(tmp_path / second["path"])[0] == list(range(70, 100))
    assert [first["id"], second["id"]] == ["0123456789abcdef-0", "0123456789abcdef-0.1"]


def test_brief_faces_are_passed_over_unless_they_are_the_only_one_wanted(tmp_path: Path) -> None:
    path = record(tmp_path / "talk.mp4", CLOCK[:30])
    brief = scripted(lambda n: 10 <= n < 14)
    assert cut_faces(source(path), tmp_path, SETTINGS, brief) == []
    assert cut_faces(source(path, labelled=True), tmp_path, SETTINGS, brief)[0]["frames"] == 4


def test_the_main_face_is_the_longest_and_largest(tmp_path: Path) -> None:
    path = record(tmp_path / "talk.mp4", CLOCK[:60])
    follow = scripted(lambda n: n < 50, lambda n: n >= 20, box=lambda track: [20.0, 40.0][track])
    records = cut_faces(source(path, labelled=True), tmp_path, SETTINGS, follow)
    assert [(r["id"], r["track"], r["face_size"]) for r in records] == [("0123456789abcdef", 1, 40.0)]
    assert len(list((tmp_path / "clips").rglob("*.mp4"))) == 1
    every = SETTINGS.model_copy(update={"faces": "all"})
    assert len(cut_faces(source(path, labelled=True), tmp_path, every, follow)) == 2


def test_start_and_end_bound_the_search(tmp_path: Path) -> None:
    path = record(tmp_path / "talk.mp4", CLOCK)
    clip = cut_faces(source(path, start=1.0, end=2.0), tmp_path, SETTINGS, scripted(lambda n: True))[0]
    assert shown(tmp_path / clip["path"])[0] == list(range(25, 50))


def test_annotation_moves_with_the_clip(tmp_path: Path) -> None:
    path = record(tmp_path / "talk.mp4", CLOCK)
    time = np.arange(0, 4, 0.1)
    labels = tmp_path / "talk.csv"
    pd.DataFrame({"time": time, "valence": time / 10, "note": "x"}).to_csv(labels, index=False)
    clip = cut_faces(source(path, labels=labels), tmp_path, SETTINGS, scripted(lambda n: 31 <= n < 60))[0]
    moved = pd.read_csv(tmp_path / clip["labels"])
    assert clip["labels"] == "labels/talks/talk-0123456789ab-0.csv"
    np.testing.assert_allclose(moved["valence"] * 10, moved["time"] + 31 / 25, atol=1e-6)
    assert moved["time"].iloc[0] <= 0 < moved["time"].iloc[1]
    assert moved["time"].iloc[-1] >= 29 / 25
    assert list(moved["note"].unique()) == ["x"]


def test_no_face_gives_no_clip(tmp_path: Path) -> None:
    path = record(tmp_path / "talk.mp4", CLOCK[:10])
    assert cut_faces(source(path, labelled=True), tmp_path, SETTINGS, scripted(lambda n: False)) == []
    assert not (tmp_path / "clips").exists()


def test_the_same_work_gives_the_same_bytes(tmp_path: Path) -> None:
    path = record(tmp_path / "talk.mp4", CLOCK)
    texture = np.random.default_rng(0).integers(0, 256, (80, 64, 96, 3), dtype=np.uint8)
    follow = scripted(lambda n: n > 20)

    def noisy(frames: Iterable[Frame]) -> Iterator[TrackedFrame]:
        for frame in follow(frames):
            noise = frame.image // 2 + texture[frame.index % 80] // 8
            yield TrackedFrame(frame.index, frame.time, noise, frame.faces)

    made = set()
    for attempt in range(8):
        out = tmp_path / str(attempt)
        clip = cut_faces(source(path), out, SETTINGS, noisy)[0]
        made.add((out / clip["path"]).read_bytes())
    assert len(made) == 1


def test_a_window_is_cut_pixel_for_pixel_without_a_detector(tmp_path: Path) -> None:
    """Published for VoxCeleb2: rows 0-159, columns 32-191 of 224 px."""
    image = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    (frame,) = follow_window((32, 0, 160), [TrackedFrame(3, 0.12, image, [])])
    recipe = CropRecipe(size=160, margin=0.0)
    np.testing.assert_array_equal(Cropper(recipe).crop(0, 0.12, image, frame.faces[0]), image[:160, 32:192])
    with pytest.raises(MienError, match="65 px at 32, 0 reaches over the edge of pictures of 224 x 64 px"):
        next(follow_window((32, 0, 65), [TrackedFrame(0, 0.0, image[:64], [])]))


def test_a_window_gives_one_clip_of_the_whole_recording(tmp_path: Path) -> None:
    film = record(tmp_path / "a.mp4", [number / 25 for number in range(5)], sound_from=None)
    settings = SETTINGS.model_copy(update={"window": (0, 16, 32), "crop": CropRecipe(size=32)})
    (clip,) = cut_faces(source(film), tmp_path, settings, partial(follow_window, (0, 16, 32)))
    assert (clip["id"], clip["frames"], clip["face_size"]) == (source(film).id, 5, 32.0)
    with VideoReader(tmp_path / clip["path"]) as video:
        numbers = [int(((frame.image[16, 2::4, 0] > 125) << np.arange(8)).sum()) for frame in video.frames()]
    assert numbers == list(range(5))
