"""Sampling, crops, masks, mixing and losses for arguments that no file holds, by plain loops over their rules."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
import torch
from tests.parity.collect import Case
from tests.parity.detweights import input_for
from tests.parity.reference.weights import fingerprint
from tests.parity.test_parity import run_whole
from tests.parity.variations.common import NOWHERE

SEEDS = range(2)


def table(system: str, name: str, **data: Any) -> Case:
    return Case(system, name, {"case": name} | data, NOWHERE)


def training_window(count: int, rate: int, seed: int, frames: int = 16) -> list[int]:
    """Points from end to end of a stretch of ``frames * rate`` frames, or of a shorter clip, cut to whole frames."""
    span = frames * rate
    if count <= span:
        points = count // rate
        found = [count * i / (points - 1) if points > 1 else 0.0 for i in range(points)]
        found += [float(count)] * (frames - points)
        return [int(min(max(place, 0), count - 1)) for place in found]
    end = np.random.RandomState(seed).randint(span, count)
    found = np.linspace(end - span, end, frames).tolist()  # a loop would round elsewhere
    return [int(min(place, end - 1)) for place in found]


def pretraining_window(count: int, seed: int) -> list[int]:
    """Every fourth frame from a place that counts from 1; it stays where the next one would be the last or beyond."""
    start = np.random.RandomState(seed).randint(0, count - 63) if count >= 64 else 0
    place, found = start + 1, []
    for _ in range(16):
        found.append(place - 1)
        if place + 4 < count:
            place += 4
    return found


def test_windows(count: int, rate: int, segments: int) -> list[list[int]]:
    """Every ``rate``-th frame, the last one repeated; segments from the first to the last start."""
    found = list(range(0, count, rate))
    found += [found[-1]] * (16 - len(found))
    step = max((len(found) - 16) / (segments - 1), 0)
    return [found[int(c * step) : int(c * step) + 16] for c in range(segments)]


test_windows.__test__ = False  # type: ignore[attr-defined]
COUNTS = [1, 2, 3, 7, 16, 31, 33, 47, 48, 49, 63, 64, 65, 68, 79, 80, 81, 111, 200]


def test_frames_of_clips() -> None:
    views = [(n, rate, segments) for n in COUNTS for rate in (1, 2, 3, 5) for segments in (2, 5)]
    training = [(n, rate, seed) for n in COUNTS for rate in (1, 2, 3, 4, 5) for seed in SEEDS]
    pretraining = [(n, seed) for n in COUNTS for seed in SEEDS]
    run_whole(
        table(
            "svfap",
            "frame_sampling",
            test=[{"n": n, "rate": r, "clips": test_windows(n, r, s)} for n, r, s in views],
            train=[
                {"n": n, "rate": r, "seed": seed, "indices": training_window(n, r, seed)} for n, r, seed in training
            ],
            pretrain=[{"n": n, "seed": seed, "indices": pretraining_window(n, seed)} for n, seed in pretraining],
        )
    )


def drawn_box(height: int, width: int, seed: int) -> list[int]:
    """Ten tries of an area of 8 % or more and a shape; else the largest centred box of an allowed shape."""
    rng = random.Random(seed)
    for _ in range(10):
        area = rng.uniform(0.08, 1.0) * height * width
        shape = math.exp(rng.uniform(math.log(0.75), math.log(1.3333)))
        w, h = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
        if 0 < w <= width and 0 < h <= height:
            return [rng.randint(0, height - h), rng.randint(0, width - w), h, w]
    if width / height < 0.75:
        w, h = width, round(width / 0.75)
    elif width / height > 1.3333:
        w, h = round(height * 1.3333), height
    else:
        w, h = width, height
    return [(height - h) // 2, (width - w) // 2, h, w]


def anchored(side: int, target: int, seed: int) -> list[int]:
    """One of the pairs of neighbouring sizes, at one of thirteen places."""
    rng = random.Random(seed)
    sizes = [int(side * share) for share in (1, 0.875, 0.75, 0.66)]
    sizes = [target if abs(size - target) < 3 else size for size in sizes]
    pairs = [(sizes[j], sizes[i]) for i in range(4) for j in range(4) if abs(i - j) <= 1]
    w, h = rng.choice(pairs)
    across, down = (side - w) // 4, (side - h) // 4
    quarters = [(0, 0), (4, 0), (0, 4), (4, 4), (2, 2), (0, 2), (4, 2), (2, 4), (2, 0), (1, 1), (3, 1), (1, 3), (3, 3)]
    x, y = rng.choice(quarters)
    return [w, h, x * across, y * down]


def test_boxes() -> None:
    told: dict[str, Any] = {}
    for height, width in ((160, 160), (120, 160), (200, 90), (30, 160)):
        name = f"fine-tune random resized crop of a {height}x{width} clip, scale 0.08-1, ratio 0.75-1.3333: seed -> box"
        told[name] = {str(seed): drawn_box(height, width, seed) for seed in range(30)}
    for side, target in ((160, 160), (224, 160), (192, 192), (161, 160)):
        name = f"pretrain multi-scale crop of a {side}x{side} frame, input {target}: seed -> (crop_w, crop_h, x, y)"
        told[name] = {str(seed): anchored(side, target, seed) for seed in range(30)}
    run_whole(table("maedfer", "crops", **told))


def mixed(video: torch.Tensor, labels: list[int], classes: int, seed: int) -> dict[str, Any]:
    """The published draws: whether to mix, which way, the share, and for a box its middle."""
    rng = np.random.RandomState(seed)
    rng.rand()
    cut = rng.rand() < 0.5
    share = rng.beta(1.0, 1.0) if cut else rng.beta(0.8, 0.8)
    partner = video.flip(0)
    if cut:
        height, width = video.shape[-2:]
        half = [int(side * math.sqrt(1 - share)) // 2 for side in (height, width)]
        middle = [rng.randint(0, height), rng.randint(0, width)]
        y0, x0 = (max(m - h, 0) for m, h in zip(middle, half, strict=True))
        y1, x1 = (min(m + h, side) for m, h, side in zip(middle, half, (height, width), strict=True))
        out = video.clone()
        out[..., y0:y1, x0:x1] = partner[..., y0:y1, x0:x1]
        share = 1 - (y1 - y0) * (x1 - x0) / (height * width)
    else:
        out = video * share + partner * (1 - share)
    truth = np.full((len(labels), classes), 0.1 / classes)
    truth[range(len(labels)), labels] += 0.9
    return {"output": fingerprint(out), "target": (share * truth + (1 - share) * truth[::-1]).tolist()}


def test_blended_batches() -> None:
    shape, labels = [6, 2, 3, 11, 18], [3, 3, 0, 1, 4, 2]
    video = input_for("blended", shape)
    told = {str(s): mixed(video.double(), labels, 5, s) | {"labels": labels, "shape": shape} for s in range(12)}
    run_whole(table("maedfer", "mixup", **{s: one | {"input_case": "blended"} for s, one in told.items()}))


def windows_of(
    grid: tuple[int, int, int], ratio: float, window: tuple[int, int], symmetry: str | None
) -> dict[str, Any]:
    """Three masks in a row from seed 0; with symmetry only one half of a window shows anything."""
    rng, shown = np.random.RandomState(0), []
    for _ in range(3):
        left = rng.rand() < 0.5 if symmetry == "global" else True
        hidden = int(ratio * window[0] * window[1])
        rows = []
        for _ in range(grid[1] // window[0]):
            span = window[1] if symmetry is None else window[1] // 2
            part = np.ones(window[0] * span)
            part[: window[0] * window[1] - hidden] = 0
            rng.shuffle(part)
            part = part.reshape(window[0], span)
            if symmetry == "local":
                left = rng.rand() < 0.5
            other = np.ones((window[0], window[1] - span))
            rows.append(np.concatenate((part, other) if left or symmetry is None else (other, part), 1))
        shown.append(np.flatnonzero(np.concatenate(rows).ravel() == 0).tolist())
    return {"shape": [3, grid[0] * grid[1] * grid[2]], "visible_first_frame": shown, "tiled": True}


def test_masks_of_windows() -> None:
    names = {
        "part_window 4x6x8 r0.75 win3x8": ((4, 6, 8), 0.75, (3, 8), None),
        "part_window 2x4x6 r0.8 win2x6 local symmetry": ((2, 4, 6), 0.8, (2, 6), "local"),
        "part_window 2x8x4 r0.6 win4x4 global symmetry": ((2, 8, 4), 0.6, (4, 4), "global"),
    }
    run_whole(table("maedfer", "masks", **{name: windows_of(*how) for name, how in names.items()}))


@pytest.mark.parametrize(("clips", "frames"), [(2, 21)])
def test_seventh_loss(clips: int, frames: int) -> None:
    """CCC and half the entropy of arousal, CCC alone of valence; the entropy is of probabilities taken for logits."""
    bins = 20
    raw = input_for("seventh", (clips, frames, 42))
    truth = torch.tanh(0.5 * input_for("seventh truth", (clips, frames, 2)).double())

    def loss(pred: torch.Tensor, entropy: str) -> torch.Tensor:
        total = torch.zeros(()).double()
        for column, weight in ((0, 0.5), (1, 0.0)):
            own, y = pred[..., 21 * column : 21 * column + 21].flatten(0, 1), truth[..., column].flatten()
            x, eps = own[:, 20], 1e-10
            mx, my = x.mean() + eps, y.mean() + eps
            rho = ((x - mx) * (y - my)).sum() / (((x - mx) ** 2).sum().sqrt() * ((y - my) ** 2).sum().sqrt())
            spread = 2 * rho * (x.std() + eps) * (y.std() + eps)
            total = total + 1 - spread / (x.var() + eps + y.var() + eps + (my - mx) ** 2)
            place = ((y + 1) * 10).floor().clamp(0, bins - 1).long()
            scores = own[:, :20].log_softmax(1) if entropy == "published" else own[:, :20].log()
            total = total - weight * scores.gather(1, place[:, None]).mean()
        return total

    probabilities = [raw[..., 21 * c : 21 * c + 20].softmax(-1) for c in (0, 1)]
    values = [2 * torch.sigmoid(raw[..., 21 * c + 20 : 21 * c + 21]) - 1 for c in (0, 1)]
    parts = [part for pair in zip(probabilities, values, strict=True) for part in pair]
    pred = torch.cat(parts, -1).double().requires_grad_()
    literal = loss(pred, "published")
    literal.backward()
    told = {"loss": literal.item(), "dtype": "torch.float64", "grad_pred": fingerprint(pred.grad)}
    run_whole(
        table(
            "vaerr",
            "vaerr_loss_7",
            kind="loss",
            loss_type=7,
            kwargs={"B": clips, "T": frames, "pred_case": "seventh", "target_case": "seventh truth"},
            literal=told,
            fixed=[{"name": "proper_ce", "loss": loss(pred, "proper").item()}],
        )
    )


@pytest.mark.parametrize("keep", ["audio", "video", "both"])
@pytest.mark.parametrize("distortion", ["zeros", "noise", "addnoise", None])
def test_missing_modalities(keep: str, distortion: str | None) -> None:
    shapes = {"audio": [3, 4, 7], "video": [3, 3, 2, 5, 4]}
    given = {key: input_for(f"missing {key}", shape) for key, shape in shapes.items()}
    torch.manual_seed(99)
    made = dict(given)
    lost = {"audio": "video", "video": "audio"}.get(keep)
    if lost is not None and distortion is not None:
        x = given[lost]
        if distortion == "zeros":
            made[lost] = torch.zeros_like(x)
        else:
            noise = torch.randn(x.shape)
            deviation = ((x - x.mean()) ** 2).sum().div(x.numel() - 1).sqrt()
            made[lost] = noise if distortion == "noise" else x + (x.mean() + deviation * noise)
    output: dict[str, Any] = {f"{key}_unchanged": torch.equal(made[key], given[key]) for key in shapes}
    output |= {"audio": fingerprint(made["audio"])}
    output["video"] = fingerprint(torch.cat([clip.transpose(0, 1) for clip in made["video"]]))
    inputs = {key: {"case": f"missing {key}", "shape": shape} for key, shape in shapes.items()}
    kwargs = {"keep": keep, "distortion": distortion, "torch_seed": 99}
    run_whole(table("avfusion", "missing_eval_other", kwargs=kwargs, inputs=inputs, output=output))


def test_saved_frames_and_windows_of_sound() -> None:
    rows = []
    for reported, decodable in ((47, 47), (61, 61), (100, 98), (30, 30), (1, 1), (2, 2), (300, 300), (9, 9)):
        saved: list[int] = []
        error = None
        for i in range(decodable):
            if i not in (0, reported - 1):
                every = round(reported / 15 * len(saved))
                if every == 0:
                    error = "ZeroDivisionError"
                    break
                if i % every:
                    continue
            saved.append(i)
        rows.append({"reported_frames": reported, "decodable_frames": decodable, "saved": saved, "error": error})
    for row in rows:
        row["count"] = len(row["saved"])
    run_whole(table("viper", "frame_selection", kwargs={"n_frames": 16}, output=rows))
    sounds = []
    for samples, batch in ((16000, 8), (12345, 3), (7, 10)):
        width = 2 * samples / 11
        places = [[int(i * width / 2), int(i * width / 2 + width) - int(i * width / 2)] for i in range(10)]
        calls = math.ceil(10 / batch)
        sounds.append({"samples": samples, "batch_size": batch, "saved_shape": [10 * calls, 512]})
        sounds[-1] |= {"windows_per_call": [10] * calls, "start_and_length": places}
    run_whole(table("viper", "audio_windows", kwargs={"n_fragments": 10}, output=sounds))
