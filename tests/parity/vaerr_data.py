"""How SS-VAERR's cases of data, checkpoints and pictures are run."""

from __future__ import annotations

import random
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.parity.compare import FORWARD, assert_summary
from tests.parity.detweights import input_for, state_for
from tests.parity.vaerr_losses import BINS, shapes_of
from torch import Tensor

from mien.checkpoints.conversion import convert
from mien.checkpoints.convert.base import get_converter
from mien.checkpoints.reading import read_foreign
from mien.data.augment import stretch
from mien.data.continuous import frames_of
from mien.data.disturbance import black_out, centre_offset, cut_holes, salt_and_pepper
from mien.data.layouts import find_sources, partitions
from mien.data.ratings import read_ratings
from mien.errors import MienError
from mien.inference.circumplex import corners, square_at
from mien.tasks.binned import bins_of

CONVERTER = get_converter("vaerr")
ENCODER = ("frontend3D.", "trunk.")


def checkpoints(data: dict[str, Any]) -> None:
    shapes = shapes_of(CONVERTER)
    encoder = {name: shape for name, shape in shapes.items() if name.startswith(ENCODER)}
    assert encoder == {name: list(shape) for name, shape in data["encoder_keys"].items()}
    assert len(encoder) == data["encoder_tensors"]
    for attempt in data["attempts"]:
        with tempfile.TemporaryDirectory() as folder:
            one_attempt(attempt, shapes, encoder, Path(folder))


def one_attempt(attempt: dict[str, Any], shapes: dict[str, Any], encoder: dict[str, Any], folder: Path) -> None:
    """What the published loader takes, this converts; what it passes over in silence, this takes or refuses."""
    name, file = attempt["name"], folder / "checkpoint.pth"
    small = state_for(encoder)
    other = {key: torch.zeros_like(value) for key, value in small.items()}
    content, whole = {
        "netG with frontend3D/trunk names": ({"netG": small}, False),
        "state_dict key": ({"state_dict": small}, False),
        "140 variant": ({"state_dict": small}, False),
        "student key": ({"student": small}, False),
        "student key, DDP+multicrop names (module.backbone.*)": (
            {"student": {f"module.backbone.{key}": value for key, value in small.items()}},
            False,
        ),
        "netG wins over student": ({"student": other, "netG": small}, False),
        "full model, wrong head size": ({"netG": state_for(shapes | heads(30))}, True),
        "best checkpoint": (
            {"model_state_dict": state_for(shapes), "epoch_idx": 3, "best_prec": np.float64(0.5)},
            True,
        ),
        "best checkpoint, one tensor missing": (
            {"model_state_dict": {k: v for k, v in state_for(shapes).items() if k != "gru.fc.bias"}},
            True,
        ),
        "bare state dict": (small, False),
    }.get(name, (None, False))
    if content is None:
        pytest.fail(f"no way to make the checkpoint {name!r}")
    torch.save(content, file)
    if "missing" in name:
        with pytest.raises(MienError, match=r"missing head\.linear\.bias"):
            convert("vaerr", file, folder / "bundle")
        return
    done = convert("vaerr", file, folder / "bundle")
    taken = {CONVERTER.model_name(key) for key in done.carried}
    assert not done.dropped
    assert taken == set(shapes if whole else encoder)
    counted = [key for key in taken if not key.endswith("num_batches_tracked")]
    if attempt.get("tensors_taken") and "wrong head" not in name:
        assert len(counted) == attempt["tensors_taken"]
        assert sorted({key.split(".")[0] for key in counted}) == attempt["modules"]
    found = read_foreign(folder / "bundle" / "model.safetensors").state
    prefix = "encoder." if whole else ""
    assert torch.equal(found[f"{prefix}stem.0.weight"], small["frontend3D.0.weight"])


def heads(bins: int) -> dict[str, list[int]]:
    """Shapes of both heads for another number of bins."""
    rows = 2 * (bins + 1)
    return {
        f"{g}.fc.{leaf}": [rows, 512][: 2 - (leaf == "bias")] for g in ("gru", "gru2") for leaf in ("weight", "bias")
    }


def dataset(data: dict[str, Any]) -> None:
    for row in data["folders"]:
        found = partitions(row["names"])
        # published code validates on the test part where there is no other; ours then validates on nothing
        validation = found.get("validation", found["test"])
        assert [found["train"], found["test"], validation] == row["train_test_val"]
    for layout in data["layouts"]:
        with tempfile.TemporaryDirectory() as folder:
            one_layout(layout, Path(folder))


def one_layout(layout: dict[str, Any], root: Path) -> None:
    kind = re.match(r"\w+", layout["layout"])[0]
    if kind not in ("sewa", "msp", "recola"):
        pytest.fail(f"no way to lay out {layout['layout']!r}")
    if "np_seed" in layout:
        # a stretch of the first recording, drawn with NumPy's legacy generator
        video = input_for(f"vaerr_ds_{kind}", (30, 16, 16))
        start = legacy_start(layout["np_seed"], 30, layout["frames"])
        assert start * 0.02 == pytest.approx(layout["first_timestamp"])
        assert_summary(video[start : start + layout["frames"]], layout["video"], FORWARD, "stretch")
        return
    frames = {"sewa": 30, "msp": 25, "recola": 20}[kind]
    names = layout.get("order", [Path(layout["paths"][0]).name] if "paths" in layout else [])
    given = layout.get("paths") or layout["paths0"]
    video_folder = root / Path(given[0]).relative_to("<root>").parent
    for file in dict.fromkeys(names):
        video_folder.mkdir(parents=True, exist_ok=True)
        np.savez(video_folder / file, input_for(f"vaerr_ds_{kind}", (frames, 16, 16)).numpy())
        for value, path in zip(("a", "v"), given[1:], strict=True):
            if kind == "recola":
                path = re.sub(r"_\d+\.csv$", f"_{file.split('_')[-1][:-4]}.csv", path)
            target = root / Path(path).relative_to("<root>")
            target.parent.mkdir(parents=True, exist_ok=True)
            write_binned(target, kind, value, frames)
    videos, annotations = (root / Path(given[index]).relative_to("<root>").parts[0] for index in (0, 1))
    sources = find_sources(kind, videos, annotations)
    repeats = layout["len"] // len(sources)
    assert [source.video.name for source in sources] * repeats == names
    first = sources[0]
    assert f"S{first.subject}".endswith(layout["subj_id"])
    assert str(first.video).removeprefix(str(root)) == given[0].removeprefix("<root>")
    for value, path in zip(("arousal", "valence"), given[1:], strict=True):
        assert str(first.annotations[value][0]).removeprefix(str(root)) == path.removeprefix("<root>")
    if "video" in layout:
        assert_summary(torch.from_numpy(frames_of(first.video)), layout["video"], FORWARD, "video")
    for value in ("arousal", "valence"):
        if f"{value}_annot" in layout and kind != "recola":
            ratings = read_ratings(first.annotations[value][0], fps=1.0)
            assert_summary(rows_of(ratings.values[:, 0]), layout[f"{value}_annot"], FORWARD, value)
            assert_summary(torch.from_numpy(ratings.times), layout["timestamps"], FORWARD, "times")
        elif f"{value}_annot" in layout:
            assert [len(read_ratings(first.annotations[value][0], fps=1.0).times), BINS + 1] == layout[
                f"{value}_annot"
            ]["shape"]


def legacy_start(seed: int, frames: int, length: int) -> int:
    return int(np.random.RandomState(seed).randint(0, frames - length)) if frames > length else 0


def rows_of(values: np.ndarray) -> Tensor:
    """The reference's rows: 20 flags and the value."""
    flags = np.eye(BINS)[bins_of(values, BINS)]
    return torch.from_numpy(np.column_stack([flags, values]))


def write_binned(path: Path, kind: str, value: str, frames: int) -> None:
    values = torch.tanh(0.5 * input_for(f"vaerr_ds_{kind}_{value}", (frames,)).double()).numpy()
    rows = rows_of(values).numpy()
    whole = kind != "sewa"
    lines = []
    for i, row in enumerate(rows):
        stamp = str(i) if whole else repr(i * 0.02)
        flags = [str(int(flag)) for flag in row[:-1]]
        lines.append(",".join([stamp, *flags, repr(float(row[-1]))]))
    path.write_text("\n".join(lines) + "\n")


def clip_sampling(data: dict[str, Any]) -> None:
    for seconds, frames in data["round_half_even"]:
        assert round(seconds * 50) == frames
    for row in data["rows"]:
        length = round(row["sec"] * row["fps"])
        if "error" in row:
            continue
        start = legacy_start(row["np_seed"], row["frames"], length)
        assert [start, start + length] == [row["start"], row["end"]]


def transforms(data: dict[str, Any]) -> None:
    video = (0.5 + 0.2 * input_for("vaerr_tf", data["input_shape"])).clamp(0, 1)
    assert_summary(video, data["input"], FORWARD, "input")
    for row in data["rows"]:
        found = transformed(row, video.clone())
        if "output" in row:
            assert_summary(found, row["output"], FORWARD, row["name"])


def transformed(row: dict[str, Any], video: Tensor) -> Tensor:
    """Published draws (Python's generator unless noted), our operations."""
    name, numbers = row["name"].split("(")[0], [float(n) for n in re.findall(r"[\d.]+", row["name"].split(":")[0])]
    draw = random.Random(row.get("random_seed", 0))
    height, width = video.shape[1:]
    if name == "Normalize":
        return (video - numbers[0]) / numbers[1]
    if name in ("CenterCrop", "RandomCrop"):
        h, w = (int(n) for n in numbers)
        top, left = centre_offset(height, h), centre_offset(width, w)
        if name == "RandomCrop":
            left, top = draw.randint(0, width - w), draw.randint(0, height - h)
        return video[:, top : top + h, left : left + w]
    if name == "HorizontalFlip":
        return video.flip(-1) if draw.random() < numbers[0] else video
    if name == "Cutout":
        centres = []
        for _ in range(int(numbers[0])):
            y = draw.randint(0, height - 1)
            centres.append((y, draw.randint(0, width - 1)))
        cut_holes(video, centres, int(numbers[1]))
        return video
    if name == "TimeOut":
        # the published transform drops all frames or none
        black_out(video, np.full(len(video), draw.random() < numbers[0]))
        return video
    if name == "SaltAndPepper":
        rng = np.random.RandomState(row["np_seed"])
        count = int(np.ceil(numbers[0] * video.numel() / 2))
        places = [np.array([rng.randint(0, size - 1, count) for size in video.shape]) for _ in range(2)]
        salt_and_pepper(video, places[0], places[1])
        return video
    if name == "Resize":
        return stretch(video[:, None], (int(numbers[0]), int(numbers[1])))[:, 0]
    pytest.fail(f"no way to do {row['name']!r}")


def overlay(data: dict[str, Any]) -> None:
    for row in data["rows"]:
        found = corners(row["arousal"], row["valence"])
        assert list(found) == [*row["rows"], *row["cols"]]
        assert (square_at(row["arousal"], row["valence"]) is not None) == row["drawn"]


KINDS = {
    "checkpoint": checkpoints,
    "dataset": dataset,
    "clip": clip_sampling,
    "transforms": transforms,
    "overlay": overlay,
}
