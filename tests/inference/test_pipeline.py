"""The whole way with a model that measures: what comes out is known from what was filmed."""

from __future__ import annotations

import wave
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mien.checkpoints.bundle import Bundle
from mien.errors import MienError, UsageError
from mien.faces import CropRecipe
from mien.inference import PredictSettings, Timeline, embed, predict
from mien.inference.timeline import NOBODY
from mien.models.specification import Smoothing

MakeBundle = Callable[..., Bundle]
MakeFilm = Callable[..., Path]
Plant = Callable[[dict[int, range | list[int]]], None]
TIGHT = CropRecipe(size=16, margin=0.0, smoothing=0.0)
RAMP = np.linspace(0.1, 0.9, 100)
FLAT = np.full(100, 0.5)


def edges(timeline: Timeline, track: int) -> tuple[np.ndarray, np.ndarray]:
    index = timeline.of(track).index
    return index.get_level_values("start").to_numpy(), index.get_level_values("end").to_numpy()


def gapless(timeline: Timeline) -> bool:
    """Whether at every moment of the recording there is a row."""
    spans = sorted(zip(*(timeline.frame.index.get_level_values(n) for n in ("start", "end")), strict=True))
    reach = 0.0
    for start, end in spans:
        if start > reach + 1e-6:
            return False
        reach = max(reach, end)
    return abs(reach - next(iter(timeline.files.values())).duration) < 1e-5


def test_each_face_gets_its_own_curve(meter: MakeBundle, film: MakeFilm, planted: Plant) -> None:
    planted({0: range(100), 1: range(100)})
    timeline = predict(film(RAMP, 1 - RAMP), meter(crop=TIGHT))
    assert timeline.faces() == [0, 1]
    for track, truth in ((0, RAMP), (1, 1 - RAMP)):
        start, end = edges(timeline, track)
        np.testing.assert_allclose(start, np.arange(20) * 0.2, atol=1e-6)
        expected = np.interp((start + end) / 2, np.arange(100) / 25, truth)
        inside = (start > 0.3) & (end < 3.6)  # away from the ends, where only one window looks
        found = timeline.of(track)["brightness"].to_numpy()
        np.testing.assert_allclose(found[inside], expected[inside], atol=0.012)
        assert (timeline.of(track)["used"] == "video").all()
        assert (timeline.of(track)["face"] == 1).all()


def test_per_frame_models_answer_at_every_frame(meter: MakeBundle, film: MakeFilm, planted: Plant) -> None:
    planted({0: range(100)})
    wave_ = 0.5 + 0.4 * np.sin(np.arange(100) / 6)
    timeline = predict(film(wave_, FLAT), meter(level="frame", stride=1, crop=TIGHT))
    assert timeline.step is None
    start, end = edges(timeline, 0)
    np.testing.assert_allclose(start, np.arange(100) / 25, atol=1e-6)
    np.testing.assert_allclose(end - start, 0.04, atol=2e-6)
    # rows are read at the middle of a frame's span, between its value and the next frame's
    expected = np.interp(start + 0.02, np.arange(100) / 25, wave_)
    np.testing.assert_allclose(timeline.of(0)["brightness"], expected, atol=0.012)


def test_what_a_bundle_says_is_done_over_time(meter: MakeBundle, film: MakeFilm, planted: Plant) -> None:
    planted({0: [*range(40), *range(70, 100)]})
    bundle, video = meter(level="frame", stride=1, crop=TIGHT), film(np.arange(100) / 200 + 0.2, FLAT)
    step = Smoothing(shift=-0.2, gain=2.0, offset=-0.3)
    told = replace(bundle, specification=bundle.specification.model_copy(update={"smoothing": (step,)}))
    raw, smoothed = (predict(video, one).of(0)["brightness"].to_numpy() for one in (bundle, told))
    for first, last in ((0, 40), (70, 100)):
        moved = np.minimum(np.arange(first, last) + 5, last - 1)
        np.testing.assert_allclose(smoothed[first:last], 2 * raw[moved] - 0.3, atol=1e-5)
    assert np.isnan(smoothed[45:65]).all()
    assert predict(video, told).smoothing == "brightness: moved by -0.2 s, times 2, plus -0.3"


def test_gaps_are_nan_and_nobody_fills_the_rest(meter: MakeBundle, film: MakeFilm, planted: Plant) -> None:
    seen = [*range(10, 40), *range(70, 90)]
    planted({0: seen})
    timeline = predict(film(FLAT, FLAT), meter(crop=TIGHT))
    assert gapless(timeline)
    start, end = edges(timeline, 0)
    assert (start[0], end[-1]) == (pytest.approx(0.4), pytest.approx(3.6))
    rows = timeline.of(0)
    missing = rows["brightness"].isna().to_numpy()
    np.testing.assert_array_equal(missing, (start >= 1.6 - 1e-6) & (end <= 2.8 + 1e-6))
    np.testing.assert_array_equal(missing, rows["face"] == 0)
    np.testing.assert_allclose(rows["brightness"][~missing], 0.5, atol=0.01)
    nobody_start, nobody_end = edges(timeline, NOBODY)
    assert nobody_start.min() == 0.0
    assert nobody_end.max() == pytest.approx(4.0)
    assert timeline.of(NOBODY)["brightness"].isna().all()
    assert (timeline.of(NOBODY)["face"] == 0).all()


def test_short_gaps_do_not_restart_the_windows(meter: MakeBundle, film: MakeFilm, planted: Plant) -> None:
    planted({0: [*range(10), *range(20, 100)]})
    values = predict(film(FLAT, FLAT), meter(crop=TIGHT)).of(0)
    assert values["brightness"].isna().sum() == 2  # 0.4 s .. 0.8 s
    np.testing.assert_allclose(values["brightness"].dropna(), 0.5, atol=0.01)


def test_rows_begin_where_the_face_does(meter: MakeBundle, film: MakeFilm, planted: Plant) -> None:
    planted({0: range(33, 62)})
    timeline = predict(film(FLAT, FLAT), meter(crop=TIGHT))
    start, end = edges(timeline, 0)
    assert start[0] == pytest.approx(1.32)
    assert end[-1] == pytest.approx(2.48)
    assert gapless(timeline)


def test_without_a_face_there_are_rows_all_the_same(meter: MakeBundle, film: MakeFilm, planted: Plant) -> None:
    planted({})
    timeline = predict(film(FLAT, FLAT), meter(crop=TIGHT))
    assert timeline.faces() == []
    assert len(timeline) == 20
    assert gapless(timeline)
    assert timeline.frame["brightness"].isna().all()
    assert (timeline.frame["used"] == "").all()


def test_a_recording_of_one_frame(meter: MakeBundle, film: MakeFilm, planted: Plant) -> None:
    planted({0: range(1)})
    for level in ("clip", "frame"):
        timeline = predict(film(FLAT[:1], FLAT[:1]), meter(level=level, crop=TIGHT))
        assert len(timeline) == 1
        assert timeline.frame["brightness"].iloc[0] == pytest.approx(0.5, abs=0.01)


def test_models_without_a_crop_see_the_whole_picture(meter: MakeBundle, film: MakeFilm) -> None:
    timeline = predict(film(FLAT, FLAT), meter(crop=None))
    assert timeline.faces() == [0]
    # the middle square of 240 px holds 60 px of the left and all 80 px of the right one, both 80 px high
    np.testing.assert_allclose(timeline.of(0)["brightness"], 0.5 * 140 * 80 / 240**2, atol=0.01)


def test_sampling_by_time_in_a_recording_of_changing_rate(meter: MakeBundle, film: MakeFilm, planted: Plant) -> None:
    times = np.concatenate([np.arange(20) / 10, 2 + np.arange(100) / 50])
    planted({0: range(120)})
    path = film(0.1 + 0.2 * times, np.full(120, 0.5), times=times)
    timeline = predict(path, meter(crop=TIGHT, stride=None, fps=10.0))
    start, end = edges(timeline, 0)
    inside = (start > 0.5) & (end < 3.4)
    expected = 0.1 + 0.2 * (start + end) / 2
    np.testing.assert_allclose(timeline.of(0)["brightness"][inside], expected[inside], atol=0.015)


def test_a_model_of_any_length(meter: MakeBundle, film: MakeFilm, planted: Plant) -> None:
    planted({0: range(100)})
    settings = PredictSettings(window=1.0)
    timeline = predict(film(RAMP, FLAT), meter(level="frame", frames=None, stride=1, crop=TIGHT), settings)
    expected = np.interp(np.arange(100) / 25 + 0.02, np.arange(100) / 25, RAMP)
    np.testing.assert_allclose(timeline.of(0)["brightness"], expected, atol=0.012)


@pytest.mark.parametrize("step", [0.05, 0.2, 0.7, 10.0, "frame"])
def test_any_step(step: float, meter: MakeBundle, film: MakeFilm, planted: Plant) -> None:
    planted({0: range(100)})
    timeline = predict(film(FLAT, FLAT), meter(crop=TIGHT), PredictSettings(step=step))
    expected = 100 if step == "frame" else int(np.ceil(4 / step - 1e-6))
    assert len(timeline) == expected
    assert gapless(timeline)
    np.testing.assert_allclose(timeline.frame["brightness"], 0.5, atol=0.01)


def test_results_do_not_depend_on_batches(meter: MakeBundle, film: MakeFilm, planted: Plant) -> None:
    planted({0: range(90), 1: range(30, 100)})
    path = film(RAMP, 1 - RAMP)
    frames = [predict(path, meter(crop=TIGHT), PredictSettings(batch=batch)).frame for batch in (1, 3, 16)]
    pd.testing.assert_frame_equal(frames[0], frames[1], atol=1e-6)
    pd.testing.assert_frame_equal(frames[0], frames[2], atol=1e-6)


def test_boxes_are_kept_beside_the_table(meter: MakeBundle, film: MakeFilm, planted: Plant) -> None:
    planted({1: range(25, 75)})
    tracks = predict(film(FLAT, FLAT), meter(crop=TIGHT)).tracks
    assert len(tracks) <= 4
    first, last = tracks.iloc[0], tracks.iloc[-1]
    assert list(first[["track", "time", "x0", "y0", "x1", "y1"]]) == [1, 1.0, 208, 88, 272, 152]
    assert last["time"] == pytest.approx(3.0)
    assert np.isnan(last["x0"])


def test_sound_goes_with_every_face_and_stands_alone_without(meter: MakeBundle, film: MakeFilm, planted: Plant) -> None:
    planted({0: range(50, 100)})
    path = film(FLAT, FLAT, loudness=[0.1, 0.1, 0.4, 0.4])
    timeline = predict(path, meter(crop=TIGHT, sound=True))
    face, nobody = timeline.of(0), timeline.of(NOBODY)
    assert set(face["used"]) == {"video+sound"}
    assert set(nobody["used"]) == {"sound"}
    np.testing.assert_allclose(face["loudness"], 0.4, atol=0.03)
    np.testing.assert_allclose(nobody["loudness"], 0.1, atol=0.03)
    np.testing.assert_allclose(nobody["brightness"], 0.0)  # nothing was seen: the model got no picture
    assert gapless(timeline)


def test_sound_follows_the_clock(meter: MakeBundle, film: MakeFilm, planted: Plant) -> None:
    planted({0: range(100)})
    path = film(FLAT, FLAT, loudness=[0.1, 0.5, 0.1, 0.1])
    found = predict(path, meter(crop=TIGHT, sound=True), PredictSettings(hop=0.08)).of(0)["loudness"]
    start = found.index.get_level_values("start").to_numpy()
    assert (found[(start > 1.3) & (start < 1.5)] > 0.4).all()
    assert (found[start > 2.7] < 0.15).all()


def test_a_recording_of_sound_alone(meter: MakeBundle, tmp_path: Path) -> None:
    path = tmp_path / "voice.wav"
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", ""))
        tone = 0.2 * np.pi / 2 * np.sin(np.arange(24000) / 8000 * 2 * np.pi * 300)
        out.writeframes((tone * 32767).astype("<i2").tobytes())
    timeline = predict(path, meter(crop=TIGHT, sound=True))
    assert gapless(timeline)
    assert timeline.files[str(path)].duration == pytest.approx(3.0, abs=0.01)
    np.testing.assert_allclose(timeline.of(NOBODY)["loudness"], 0.2, atol=0.02)
    with pytest.raises(MienError, match=r"voice\.wav: holds sound only, and the model meter sees but does not hear"):
        predict(path, meter(crop=TIGHT))


def test_a_model_that_hears_reads_silent_recordings_too(meter: MakeBundle, film: MakeFilm, planted: Plant) -> None:
    planted({0: range(100)})
    rows = predict(film(FLAT, FLAT), meter(crop=TIGHT, sound=True)).of(0)
    assert set(rows["used"]) == {"video"}
    np.testing.assert_allclose(rows["brightness"], 0.5, atol=0.01)


def test_embedding(meter: MakeBundle, film: MakeFilm, planted: Plant) -> None:
    planted({0: range(100)})
    path = film(RAMP, FLAT)
    pooled = embed(path, meter(crop=TIGHT))
    assert (pooled.kind, pooled.outputs) == ("features", ("f0", "f1"))
    expected = predict(path, meter(crop=TIGHT)).frame["brightness"]
    np.testing.assert_allclose(pooled.frame["f0"], expected)
    over_time = embed(path, meter(crop=TIGHT), PredictSettings(features="frames"))
    assert over_time.step is None
    assert len(over_time) == 100


def test_several_recordings_are_one_timeline(meter: MakeBundle, film: MakeFilm, planted: Plant) -> None:
    planted({0: range(100)})
    paths = [film(FLAT, FLAT, name="a.mp4"), film(FLAT[:50], FLAT[:50], name="b.mp4")]
    timeline = predict(paths, meter(crop=TIGHT))
    assert list(timeline.files) == [str(path) for path in paths]
    assert [len(timeline.only(path)) for path in paths] == [20, 10]
    with pytest.raises(UsageError, match="named twice"):
        predict([paths[0], paths[0]], meter(crop=TIGHT))


def test_progress_ends_at_the_end(meter: MakeBundle, film: MakeFilm, planted: Plant) -> None:
    planted({0: range(100)})
    told: list[tuple[float, float]] = []
    predict(film(FLAT, FLAT), meter(crop=TIGHT), progress=lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (pytest.approx(4.0), pytest.approx(4.0))


def test_a_bare_encoder_cannot_predict(meter: MakeBundle, film: MakeFilm) -> None:
    bundle = meter()
    bare = Bundle(bundle.encoder, bundle.specification, None, bundle.folder)
    with pytest.raises(UsageError, match="without a task; use embed"):
        predict(film(FLAT, FLAT), bare)


def test_an_absent_device_is_refused(meter: MakeBundle, film: MakeFilm) -> None:
    with pytest.raises(UsageError, match="device 'abacus' is not there on this machine"):
        predict(film(FLAT, FLAT), meter(), PredictSettings(device="abacus"))


def test_used_says_over_time_what_was_there(meter: MakeBundle, film: MakeFilm, planted: Plant) -> None:
    """Face until 1.2 s and from 3.2 s, sound until 2 s: one, the other, both or nothing at every moment."""
    planted({0: [*range(30), *range(80, 100)]})
    timeline = predict(film(FLAT, FLAT, loudness=[0.2, 0.2]), meter(crop=TIGHT, sound=True))
    face, nobody = timeline.of(0), timeline.of(NOBODY)
    used = {
        round(start, 1): word for start, word in zip(face.index.get_level_values("start"), face["used"], strict=True)
    }
    assert [used[start] for start in (0.0, 1.0, 1.4, 3.0, 3.2, 3.8)] == [
        "video+sound",
        "video+sound",
        "",
        "",
        "video",
        "video",
    ]
    gap = nobody.reset_index()
    np.testing.assert_allclose([gap["start"].min(), gap["end"].max()], [1.2, 3.2], atol=0.05)
    assert set(gap["used"][gap["start"] < 1.95]) == {"sound"}
    assert set(gap["used"][gap["start"] > 2.05]) == {""}
    np.testing.assert_array_equal(gap["loudness"].isna(), gap["used"] == "")
    np.testing.assert_array_equal(face["loudness"].isna(), face["used"] == "")


def test_a_face_that_is_lost_for_a_moment_is_still_heard(meter: MakeBundle, film: MakeFilm, planted: Plant) -> None:
    planted({0: [*range(40), *range(56, 100)]})
    rows = predict(film(FLAT, FLAT, loudness=[0.2] * 4), meter(crop=TIGHT, sound=True))
    assert rows.faces() == [0]
    assert set(rows.of(0)["used"]) == {"video+sound", "sound"}
    lost = rows.of(0)[rows.of(0)["face"] == 0]
    assert len(lost) >= 2
    np.testing.assert_allclose(lost["loudness"], 0.2, atol=0.02)
    assert not len(rows.of(NOBODY))
