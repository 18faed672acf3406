"""Cases of audiovisual fusion beside its networks: dropout, missing modalities, features, preparation, schedules."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tests.parity.collect import Case
from tests.parity.compare import FORWARD, assert_summary, close
from tests.parity.detweights import input_for
from tests.parity.running import Drawn
from torch import Tensor

from mien.data.augment import draw_angle, turn
from mien.data.windows import leading_window, middle_sound
from mien.evaluation.distortions import keep_only
from mien.evaluation.metrics import top_k, war
from mien.media import log_mel, mfcc
from mien.media.waveform import resample
from mien.training.modality_dropout import drop_modalities
from mien.training.recipe import load_recipe
from mien.training.schedules import drop_schedule
from mien.training.schema import ModalityDropout

KINDS = {"softhard": "softhard", "noise": "noise", "nodropout": "none"}
KEPT = {"both": "both", "audio": "sound", "video": "video"}
SECONDS, FRAMES, RATE = 3.6, 15, 22050
RAMP = 8  # samples


def pair(inputs: dict[str, Any]) -> dict[str, Tensor]:
    """Sound and video of a case, all of it present."""
    batch = {}
    for name, key in (("sound", "audio"), ("video", "video")):
        shape = inputs[key]["shape"]
        batch[name] = input_for(inputs[key]["case"], shape)
        steps = shape[2]
        batch[f"{name}_present"] = torch.ones(shape[0], steps, dtype=torch.bool)
    return batch


def as_published(video: Tensor) -> Tensor:
    """Clips as the published loop feeds them: one picture after the other."""
    return video.transpose(1, 2).flatten(0, 1)


def dropout(case: Case) -> None:
    data = case.data
    batch = pair(data["inputs"]) | {"target": torch.tensor(data["inputs"]["targets"])}
    settings = ModalityDropout(kind=KINDS[data["kwargs"]["mask"]])
    done = drop_modalities(batch, settings, torch.Generator().manual_seed(data["kwargs"]["torch_seed"]))
    expected = data["output"]
    assert_summary(done["sound"], expected["audio"], FORWARD, "sound")
    assert_summary(as_published(done["video"]), expected["video"], FORWARD, "video")
    assert done["target"].tolist() == expected["targets"]
    for name, key in (("sound", "audio"), ("video", "video")):
        rms = done[name].square().flatten(1).mean(dim=1).sqrt()
        close(rms.numpy(), expected[f"{key}_rms_per_sample"], FORWARD, 1e-7, f"rms of {name}")
        assert done[f"{name}_present"].any(dim=1).tolist() == [value > 0 for value in expected[f"{key}_rms_per_sample"]]
    clips = len(batch["target"])
    if "coefficients" in data:
        rows = [data["permutation"].index(clips + clip) for clip in range(clips)]
        weakened = done["sound"][rows].square().sum(dim=(1, 2)) / batch["sound"].square().sum(dim=(1, 2))
        close(weakened.sqrt().numpy(), data["coefficients"], FORWARD, 1e-7, "coefficients")
    if "permutation" in data:
        assert [place % clips for place in data["permutation"]] == done["target"].tolist()


def missing(case: Case) -> None:
    data = case.data
    batch = pair(data["inputs"])
    generator = torch.Generator().manual_seed(data["kwargs"]["torch_seed"])
    done = keep_only(batch, KEPT[data["kwargs"]["keep"]], data["kwargs"]["distortion"], generator)
    expected = data["output"]
    assert_summary(done["sound"], expected["audio"], FORWARD, "sound")
    assert_summary(as_published(done["video"]), expected["video"], FORWARD, "video")
    assert torch.equal(done["sound"], batch["sound"]) is expected["audio_unchanged"]
    assert torch.equal(done["video"], batch["video"]) is expected["video_unchanged"]


def metrics(case: Case) -> None:
    inputs, expected = case.data["inputs"], dict(case.data["output"])
    scores = input_for(inputs["logits"]["case"], inputs["logits"]["shape"]).numpy()
    rows, classes = inputs["logits"]["shape"]
    assert inputs["targets"] == f"arange({rows})%{classes}"
    truth = np.arange(rows) % classes
    close(100 * war(truth, scores.argmax(axis=1)), expected.pop("prec1"), FORWARD, 0.0, "prec1")
    for name in list(expected):
        close(100 * top_k(truth, scores, int(name.removeprefix("prec"))), expected.pop(name), FORWARD, 0.0, name)


def learning_rate(case: Case) -> None:
    kwargs = case.data["kwargs"]
    rates = drop_schedule(kwargs["lr"], kwargs["steps"], 3, 3 * kwargs["epochs"])
    for epoch, rate in case.data["output"].items():
        close(rates[3 * (int(epoch) - 1) : 3 * int(epoch)], rate, 1e-9, 0.0, f"epoch {epoch}")


def transforms(case: Case) -> None:
    assert case.data["inputs"]["image"] == "frame [0,0] of avfusion.frames_u8"
    image = pictures("avfusion.frames_u8", [2, 15, 224, 224, 3])[0, :1]
    for name, expected in case.data["output"].items():
        kind, _, amount = name.partition("_")
        if kind == "rotate":
            changed = turn(image, int(amount))
        elif name.endswith("_is_identity"):
            assert not float(amount.removesuffix("_is_identity").removeprefix("p")) < 0.5
            assert expected is True
            continue
        elif kind == "flip":
            assert float(amount.removeprefix("p")) < 0.5
            changed = image[:, :, ::-1]
        elif name.startswith("python_random_seed"):
            rng = Drawn(random.Random(int(name.removeprefix("python_random_seed"))))
            assert rng.random() == expected["flip_p"]
            assert draw_angle(10, rng) == expected["angle"]
            continue
        else:
            pytest.fail(f"no way to do {name!r}")
        values = torch.from_numpy(np.ascontiguousarray(changed[0])).permute(2, 0, 1) / 255
        assert_summary(values, expected, FORWARD, name)


def pictures(name: str, shape: list[int]) -> np.ndarray:
    """uint8 pictures of a case."""
    return np.clip(np.round(127.5 + 50 * input_for(name, shape).numpy()), 0, 255).astype(np.uint8)


def features(case: Case) -> None:
    arrays = np.load(case.beside("avfusion_mfcc.npz"))
    kwargs, told = case.data["kwargs"], case.data["waveform"]
    made = waveform(told)
    for name, expected in case.data["data"].items():
        sound = arrays[f"y_{name}"]
        assert_summary(torch.from_numpy(sound), expected["waveform"], FORWARD, name)
        np.testing.assert_allclose(sound[: np.flatnonzero(sound)[-1]], made[: np.flatnonzero(sound)[-1]], atol=1e-6)
        power = log_mel(sound, kwargs["sr"], padding="reflect", top_db=None)
        assert_summary(
            torch.from_numpy(10.0 ** (power.astype(np.float64) / 10)),
            expected["melspectrogram_power_reflect"],
            FORWARD,
            "mel spectrogram",
        )
        stored = np.floor(sound.astype(np.float64) * 32768) / 32768  # as libsndfile writes 16 bits
        differences = {}
        for kind, samples in (("", sound), ("pcm16_", stored.astype(np.float32))):
            both = {}
            for padding, published in (("reflect", "reflect"), ("zeros", "constant")):
                found = mfcc(samples, kwargs["sr"], kwargs["n_mfcc"], padding=padding)
                array = arrays[f"mfcc_{kind}{published}_{name}"]
                np.testing.assert_allclose(found, array, rtol=1e-5, atol=2e-3)
                key = f"mfcc_after_pcm16_{published}" if kind else f"mfcc_{published}"
                assert_summary(torch.from_numpy(array), expected[key], FORWARD, key)
                both[padding] = found
            if not kind:
                differences = np.abs(both["reflect"] - both["zeros"]).max(axis=0)
                close(both["reflect"], expected["mfcc_reflect_values"], 1e-5, 2e-3, "coefficients")
        for frame, value in expected["max_abs_difference_reflect_constant_per_frame_nonzero"].items():
            close(differences[int(frame)], value, 1e-3, 0.0, f"frame {frame}")
        others = np.delete(
            differences, [int(f) for f in expected["max_abs_difference_reflect_constant_per_frame_nonzero"]]
        )
        assert others.max() < 1e-3


def waveform(told: dict[str, Any]) -> np.ndarray:
    """The sound of the case by its formula."""
    time = np.arange(told["n"]) / told["sr"]
    parts = [
        amplitude
        * np.sin(2 * np.pi * frequency * time + 0.37 * k)
        * (1 + 0.5 * np.sin(2 * np.pi * (0.5 + 0.25 * k) * time))
        for k, (frequency, amplitude) in enumerate(zip(told["freqs_hz"], told["amps"], strict=True))
    ]
    noise = np.random.RandomState(20220126).standard_normal(told["n"])
    return (np.sum(parts, axis=0) + 0.003 * noise).astype(np.float32)


def preprocess_audio(case: Case) -> None:
    wanted = int(SECONDS * RATE)
    for one in case.data["output"]["cases"]:
        count, samples = one["in_samples"], np.arange(1, one["in_samples"] + 1, dtype=np.float32)
        cut = middle_sound(samples, wanted)
        assert one["sr"] == RATE
        assert len(cut) == wanted
        if count == wanted:
            # the published file is empty here; sound of the right length stays as it is
            assert one["out_samples"] == 0
            assert np.array_equal(cut, samples)
            continue
        assert one["out_samples"] == wanted
        kept = cut[cut > 0] - 1
        # the reference file has 16 bits, in which the ramp's place is known to a few samples
        assert abs(kept[0] - one["first_index"]) <= RAMP
        assert abs(kept[-1] - one["last_nonzero"]) <= RAMP
        assert kept[0] == max(count - wanted, 0) // 2
    # the signal that the reference resampled is not told: only its length can be held
    told = case.data["output"]["resample"]
    rate = told["in"] * RATE // told["out"]
    blocks = list(resample(iter([np.zeros(told["in"], dtype=np.float32)]), rate, RATE))
    assert sum(map(len, blocks)) == told["out"]


def preprocess_video(case: Case) -> None:
    for one in case.data["output"]["cases"]:
        frames, side = one["shape"][0], one["shape"][1]
        picked = leading_window(one["frames"], frames, SECONDS).tolist()
        assert picked + [None] * (frames - len(picked)) == one["picked"]
        assert one["shape"] == [FRAMES, side, side, 3]


def annotations(case: Case) -> None:
    """Published parts went by a folder's place in a listing; mien's protocol names the actors that this gave."""
    protocol = load_recipe("avfusion/ia_softhard_ravdess").data.protocol
    parts = list(case.data["output"]["position_to_subset"].values())
    assert len(protocol.test) == parts.count("testing")
    assert len(protocol.validation_subjects) == parts.count("validation")
    assert not set(protocol.test) & set(protocol.validation_subjects)
    # one row per take, where the published file had two
    assert sum(case.data["output"]["both_01_and_02_kept"]) == case.data["output"]["n"]


TABLES: dict[str, Callable[[Case], None]] = {
    "modality_dropout": dropout,
    "missing_eval": missing,
    "metrics": metrics,
    "learning_rate": learning_rate,
    "transforms": transforms,
    "mfcc": features,
    "preprocess_audio": preprocess_audio,
    "preprocess_video": preprocess_video,
    "preprocess_annotations": annotations,
}
