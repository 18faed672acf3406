"""Where a model is not to be asked: the reasons are true of what was filmed, and stand in every output."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from mien.checkpoints.bundle import Bundle
from mien.faces import CropRecipe
from mien.inference import PredictSettings, Timeline, predict
from mien.inference.abstention import brightness, reasons
from mien.inference.timeline import Rows, make_timeline
from mien.models.specification import Calibration

TIGHT = CropRecipe(size=16, margin=0.0, smoothing=0.0)
RAMP = np.linspace(0.0, 1.0, 100)
NONE = np.zeros((0, 6))


def answer(values: list[list[float]], **changes: object) -> Rows:
    count = len(values)
    start = np.arange(count) * 0.2
    rows = Rows(0, start, start + 0.2, np.array(values), np.ones(count), ["video"] * count)
    return replace(rows, **changes)  # type: ignore[arg-type]


def test_the_dark_part_of_a_ramp(meter: Callable[..., Bundle], film: Callable[..., Path], planted: Callable) -> None:
    planted({0: range(100)})
    settings = PredictSettings(least_light=51)  # a fifth of full brightness, reached after 0.8 s
    rows = predict(film(RAMP, RAMP), meter(crop=TIGHT), settings).of(0)
    centre = np.arange(20) * 0.2 + 0.1
    sure = np.abs(centre - 0.8) > 0.15  # the coded picture is not exact
    np.testing.assert_array_equal((rows["abstain"] == "too dark")[sure], (centre < 0.8)[sure])
    assert rows["brightness"].notna().all(), "the value stays; the column says not to trust it"


def test_a_small_face(meter: Callable[..., Bundle], film: Callable[..., Path], planted: Callable) -> None:
    planted({0: range(100)})
    video, bundle = film(RAMP / 2 + 0.5, RAMP), meter(crop=TIGHT)
    box = predict(video, bundle).tracks.iloc[0]
    side = min(box["x1"] - box["x0"], box["y1"] - box["y0"])
    for least, reason in ((side + 1, "too small"), (side - 1, "")):
        assert set(predict(video, bundle, PredictSettings(least_face=least)).of(0)["abstain"]) == {reason}


def test_unlike_anything_in_training(
    meter: Callable[..., Bundle], film: Callable[..., Path], planted: Callable
) -> None:
    """Trained at brightness 0.5 ± 0.1 and silence: 0.7 is one limit of sqrt(2) spreads away."""
    planted({0: range(100)})
    bundle = meter(crop=TIGHT)
    known = Calibration(clips=10, mean=(0.5, 0.0), spread=(0.1, 0.1), limit=float(np.sqrt(2)))
    bundle = replace(bundle, specification=bundle.specification.model_copy(update={"calibration": known}))
    rows = predict(film(RAMP, RAMP), bundle, PredictSettings(least_light=0)).of(0)
    value = rows["brightness"].to_numpy()
    sure = np.abs(np.abs(value - 0.5) - 0.2) > 0.03
    np.testing.assert_array_equal((rows["abstain"] == "out of distribution")[sure], (np.abs(value - 0.5) > 0.2)[sure])


def test_low_confidence_and_the_order_of_reasons() -> None:
    rows = answer([[0.6, 0.4], [0.45, 0.55], [0.9, 0.1], [np.nan, np.nan]], strangeness=np.array([0.5, 0.5, 2, np.nan]))
    known = Calibration(clips=10, confidence=0.58)

    def told(settings: PredictSettings, light: float = 100.0) -> list[str]:
        return reasons(rows, settings, known, NONE, np.array([[0.0, light]]), True)

    assert told(PredictSettings()) == ["", "low confidence", "out of distribution", "no face"]
    assert told(PredictSettings(confidence=0.0)) == ["", "", "out of distribution", "no face"]
    assert told(PredictSettings(confidence=0.95))[:2] == ["low confidence"] * 2
    assert told(PredictSettings(), light=3.0) == ["too dark"] * 3 + ["no face"]


def test_brightness_is_luma() -> None:
    picture = np.zeros((32, 32, 3), dtype=np.uint8)
    picture[..., 1] = 200
    assert brightness(picture) == pytest.approx(0.587 * 200)  # Rec. ITU-R BT.601, as everywhere


def test_every_output_says_it(classified: Timeline, tmp_path: Path) -> None:
    (file,) = classified.files.values()
    block = answer([[0.6, 0.4]] * 6, abstain=["", "", "too dark", "too dark", "low confidence", "no face"])
    timeline = make_timeline({"talk.mp4": [block]}, "classification", ("a", "b"), {"talk.mp4": file})
    assert timeline.frame["prediction"].notna().tolist() == [True, True, False, False, False, False]
    for back in (
        Timeline.from_csv(timeline.to_csv(tmp_path / "t.csv")),
        Timeline.from_json(timeline.to_json(tmp_path / "t.json")),
    ):
        assert back.frame["abstain"].tolist() == block.abstain
        assert back.frame["prediction"].notna().tolist() == timeline.frame["prediction"].notna().tolist()
    assert "abstain" in json.loads((tmp_path / "t.json").read_text())["rows"]["columns"]
    assert "no answer: low confidence 0.2 s, too dark 0.4 s" in timeline.to_html(tmp_path / "t.html").read_text()
    eaf = ElementTree.parse(timeline.to_eaf(tmp_path / "t.eaf"))
    tier = eaf.find(".//TIER[@TIER_ID='face 0 abstain']")
    assert tier is not None
    assert [one.text for one in tier.iter("ANNOTATION_VALUE")] == ["too dark", "low confidence"]
