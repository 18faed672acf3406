"""Memory that runs out, really asked for or as devices say it: one line with what was asked for and what to do."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tests.cli.conftest import here
from tests.evaluation.brightness import classifier, corpus, make_bundle, register
from tests.inference.conftest import meter
from torch import Tensor

from mien.checkpoints.bundle import Bundle
from mien.data.manifest import Manifest
from mien.data.prepare import prepare
from mien.data.streams import Stream
from mien.errors import MienError, OutOfMemory, UsageError
from mien.evaluation.assess import EvaluationSettings, evaluate
from mien.evaluation.calibrating import calibrate
from mien.evaluation.submission import write_submission
from mien.extraction.contract import Extractor
from mien.extraction.extract import extract
from mien.extraction.material import Material
from mien.faces import MTCNN, CropRecipe
from mien.inference import predict
from mien.media import VideoWriter
from mien.memory import out_of_memory, smaller, within_memory
from mien.models.device import device_named

__all__ = ["classifier", "corpus", "here", "make_bundle", "meter", "register"]

FAR_TOO_MUCH = 2**50
CUDA = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has a total capacity of ...")

MPS = RuntimeError("MPS backend out of memory (MPS allocated: 9 GB). Tried to allocate 1.50 GB on private pool.")


def greedy(*_: object, **__: object) -> Any:
    return torch.empty(FAR_TOO_MUCH)


@pytest.mark.parametrize(
    ("work", "asked"),
    [
        (greedy, "4.0 PiB"),
        (lambda: np.zeros(FAR_TOO_MUCH), "8.00 PiB"),
        (lambda: bytearray(2**62), ""),
    ],
)
def test_what_is_really_asked_for_is_told(work: Callable[[], object], asked: str) -> None:
    with pytest.raises(OutOfMemory) as caught, within_memory("with 8 clips at once", "give --batch 4"):
        work()
    told = f" ({asked} more were asked for)" if asked else ""
    assert str(caught.value) == f"out of memory{told} with 8 clips at once; give --batch 4"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (CUDA, " (2.00 GiB more were asked for)"),
        (MPS, " (1.50 GB more were asked for)"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), ""),
        (RuntimeError("could not create a primitive"), ""),
        (OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)), ""),
    ],
)
def test_devices_and_the_system_say_it_in_their_own_words(error: Exception, told: str) -> None:
    assert str(out_of_memory(error, "here", "there")) == f"out of memory{told} here; there"


def test_other_errors_are_none_of_it() -> None:
    for error in (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), OSError(errno.ENOSPC, "no space")):
        assert out_of_memory(error, "here", "there") is None
        with pytest.raises(type(error)), within_memory("here", "there"):
            raise error
    with pytest.raises(UsageError, match="the clip is about being out of memory"), within_memory("here", "there"):
        raise UsageError("the clip is about being out of memory")


def test_the_remedy_names_what_can_still_be_made_smaller() -> None:
    assert smaller(8, 4, "cuda", "--precision bf16") == (
        "give --batch 4, --threads 2, --precision bf16 or --device cpu"
    )
    assert smaller(1, 2) == "give --threads 1"
    assert smaller() == "close other programs, or take a machine that has more"


def test_a_device_that_others_have_filled_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> Tensor:
        raise CUDA

    monkeypatch.setattr(torch, "empty", full)
    with pytest.raises(OutOfMemory, match=r"on cuda:0 before anything was put there; give --device cpu$"):
        device_named("cuda:0")


@pytest.fixture
def greedy_model(classifier: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle whose encoder asks for far too much."""
    monkeypatch.setattr("tests.evaluation.brightness.Brightness.forward_features", greedy)
    return classifier


def test_evaluation_names_its_clips(
    greedy_model: Path, corpus: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = r"with 8 clips at once on cpu; give --batch 4$"
    with pytest.raises(OutOfMemory, match=line):
        evaluate(greedy_model, corpus)
    monkeypatch.setattr("mien.evaluation.calibrating.FEWEST", 1)
    with pytest.raises(OutOfMemory, match=line):
        calibrate(greedy_model, corpus)
    with pytest.raises(OutOfMemory, match=r"with 1 clip at once on cpu; give --workers 1$"):
        evaluate(greedy_model, corpus, settings=EvaluationSettings(batch=1, workers=2))
    with pytest.raises(OutOfMemory, match=line):
        write_submission(greedy_model, corpus, tmp_path / "submission.csv")
    assert not list(tmp_path.iterdir())


def test_prediction_names_its_windows(greedy_model: Path, corpus: Manifest, here: Callable[..., Any]) -> None:
    video = corpus.row(corpus.ids[0]).path
    code, out, err = here("predict", video, "--model", greedy_model, "--batch", 2, "--threads", 2, "--out", "results")
    assert (code, out) == (1, "")
    assert err == (
        "mien: out of memory (4.0 PiB more were asked for) with 4 windows at once on cpu; "
        "give --batch 1 or --threads 1\n"
    )
    code, _, err = here("embed", video, "--model", greedy_model, "--batch", 1, "--threads", 1)
    assert (code, err.count("\n")) == (1, 1)
    code, _, err = here("explain", video, "--model", greedy_model, "--threads", 4)
    assert (code, err.rpartition("; ")[2]) == (1, "give --threads 2\n")


def test_detection_names_the_size_of_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meter: Callable[..., Bundle]
) -> None:
    video = tmp_path / "talk.mp4"
    with VideoWriter(video, (96, 64), 25.0) as out:
        for _ in range(10):
            out.write(np.zeros((64, 96, 3), dtype=np.uint8))
    monkeypatch.setattr(MTCNN, "_propose", greedy)
    with pytest.raises(OutOfMemory, match="while faces were looked for in pictures of 96 x 64; give a smaller copy"):
        predict(video, meter(crop=CropRecipe(size=16)))
    with pytest.raises(MienError, match=r"talk\.mp4: out of memory \(4\.0 PiB .*\) with 1 recording at once; close"):
        prepare([video], tmp_path / "out")


class Greedy(Extractor):
    width, described, batch = 3, "greedy", 32

    def __call__(self, clip: Material) -> Stream:
        return Stream(greedy(), clip.times)


def test_extraction_stops_and_can_go_on(tiny_corpus: Manifest, tmp_path: Path) -> None:
    store = tmp_path / "streams.safetensors"
    with pytest.raises(OutOfMemory, match=r"with 32 pictures or windows .* on cpu; give --batch 16 or --jobs 1$"):
        extract(tiny_corpus, {"visual": Greedy()}, store, jobs=2)
    assert not list(store.with_name(f"{store.name}.parts").glob("*.npz"))  # no clip is noted as one without a stream


def test_any_other_verb_ends_with_one_line_too(
    here: Callable[..., Any], corpus: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pd, "read_csv", lambda *_, **__: np.zeros(FAR_TOO_MUCH))
    code, out, err = here("prepare", corpus.root / "manifest.csv", "--out", "clips")
    assert (code, out) == (1, "")
    assert err == (
        "mien: out of memory (8.00 PiB more were asked for) in mien prepare; close other programs, or take a machine "
        "that has more\n"
    )
