"""The forward path: views, overlapping windows, several processes, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mien.checkpoints.bundle import load
from mien.data.inputs import to_tensors
from mien.data.manifest import Manifest
from mien.errors import MienError, UsageError
from mien.evaluation.assess import EvaluationSettings, evaluation_loader
from mien.evaluation.predictions import Predictions, predict_views
from mien.media import VideoReader
from mien.media.clip import Clip
from mien.models.specification import TaskConfig
from mien.tasks import create_task

FRAMES = create_task(TaskConfig(kind="dimensions", level="frame", outputs=("v",)))


class Echo(nn.Module):
    """Gives what stands in ``answer``."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.dropout = nn.Dropout(0.5)

    def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.dropout(inputs["answer"])


def windows(**changes: Any) -> dict[str, Any]:
    """A clip of frames 10..15 in two windows of four frames, the second with one frame that only repeats."""
    return {
        "ids": ["a"],
        "failures": [],
        "clip": torch.tensor([0, 0]),
        "index": torch.tensor([[10, 11, 12, 13], [12, 13, 14, 14]]),
        "times": torch.tensor([[0.0, 0.1, 0.2, 0.3], [0.2, 0.3, 0.4, 0.4]], dtype=torch.float64),
        "length": torch.tensor([4, 3]),
        "target": torch.tensor([[0.0, 1, 2, 3], [2, 3, torch.nan, torch.nan]])[..., None],
        "answer": torch.tensor([[1.0, 2, 3, 4], [5, 6, 7, 100]])[..., None],
        **changes,
    }


def test_views_equal_the_model_run_by_hand(corpus: Manifest, classifier: Path) -> None:
    """Frames 0..7 and 12..19 of a clip of 20, each through the model, softmax, mean."""
    loaded = load(classifier)
    assert loaded.task is not None
    inputs = loaded.specification.inputs
    loader = evaluation_loader(corpus, ["clip03", "clip06"], inputs, loaded.task)
    predictions = predict_views(loaded.model, loaded.task, loader)
    assert predictions.ids == ["clip03", "clip06"]
    for clip in predictions.clips:
        with VideoReader(corpus.row(clip.id).path) as video:
            frames = video.at_indices(list(range(20)))
        read = []
        for start in (0, 12):
            tensors = to_tensors(Clip(frames[start : start + 8], np.arange(8) / 25), inputs)
            with torch.no_grad():
                read.append(loaded.model({name: tensor[None] for name, tensor in tensors.items()}).softmax(-1)[0])
        np.testing.assert_allclose(clip.output[0], torch.stack(read).double().mean(0), atol=1e-7)
        assert (clip.views, clip.output.shape, clip.truth.tolist()) == (2, (1, 2), [int(clip.id == "clip03")])


@pytest.mark.parametrize(("batch", "most_views", "world"), [(1, 1, 1), (3, 2, 1), (8, 16, 1), (2, 16, 2), (1, 16, 5)])
def test_nothing_depends_on_batches_or_processes(
    corpus: Manifest, classifier: Path, batch: int, most_views: int, world: int
) -> None:
    loaded = load(classifier)
    assert loaded.task is not None
    inputs, task = loaded.specification.inputs, loaded.task
    whole = predict_views(loaded.model, task, evaluation_loader(corpus, corpus.ids, inputs, task))
    settings = EvaluationSettings(batch=batch)
    parts = [
        predict_views(
            loaded.model,
            task,
            evaluation_loader(corpus, corpus.ids, inputs, task, settings, rank, world),
            most_views=most_views,
        )
        for rank in range(world)
    ]
    assert sum(len(part.clips) for part in parts) == 12
    joined = Predictions.join(parts[::-1])
    assert joined.ids == whole.ids == sorted(corpus.ids)
    np.testing.assert_allclose(joined.output, whole.output, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(joined.truth, whole.truth)


def test_overlapping_windows_are_averaged_by_frame() -> None:
    (clip,) = predict_views(Echo(), FRAMES, [windows()]).clips
    np.testing.assert_array_equal(clip.output[:, 0], [1, 2, (3 + 5) / 2, (4 + 6) / 2, 7])
    np.testing.assert_array_equal(clip.truth[:, 0], [0, 1, 2, 3, np.nan])
    np.testing.assert_allclose(clip.times, [0, 0.1, 0.2, 0.3, 0.4])
    assert clip.views == 2


def test_padded_frames_take_no_part() -> None:
    index = torch.tensor([[10, 11, -1, -1], [11, 12, 13, 14]])
    (clip,) = predict_views(Echo(), FRAMES, [windows(index=index, length=torch.tensor([4, 4]))]).clips
    np.testing.assert_array_equal(clip.output[:, 0], [1, (2 + 5) / 2, 6, 7, 100])


def test_the_model_is_left_as_it_was() -> None:
    model = nn.Sequential(Echo())
    model.train()
    model[0].dropout.eval()
    predict_views(Wrapped(model), FRAMES, [windows()])
    assert model.training
    assert model[0].training
    assert not model[0].dropout.training


class Wrapped(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        assert not any(module.training for module in self.inner.modules())
        return self.inner(inputs)


def test_values_that_are_not_finite_are_refused() -> None:
    answer = torch.full((2, 4, 1), torch.nan)
    with pytest.raises(MienError, match="not finite for clip 'a'"):
        predict_views(Echo(), FRAMES, [windows(answer=answer)])


def test_frames_that_the_model_does_not_answer_are_refused() -> None:
    with pytest.raises(UsageError, match="per-frame tasks need pictures"):
        predict_views(Echo(), FRAMES, [windows(answer=torch.zeros(2, 3, 1))])


def test_progress_counts_clips() -> None:
    seen: list[int] = []
    second = windows() | {"ids": ["b"]}
    predict_views(Echo(), FRAMES, [windows(), second], progress=seen.append)
    assert seen == [1, 2]


def test_bfloat16_changes_little(corpus: Manifest, classifier: Path) -> None:
    loaded = load(classifier)
    assert loaded.task is not None
    loader = evaluation_loader(corpus, corpus.ids, loaded.specification.inputs, loaded.task)
    exact = predict_views(loaded.model, loaded.task, loader).output
    short = predict_views(loaded.model, loaded.task, loader, bf16=True).output
    assert not np.array_equal(exact, short)
    np.testing.assert_allclose(short, exact, atol=0.05)
