"""Intensities: loss, reading, tenths against hand-worked and published bins."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix

from mien.errors import UsageError
from mien.models.specification import TaskConfig
from mien.tasks import create_task
from mien.tasks.tenths import confusion_by_tenths, dominant_confusion, published_tenths, tenths


def task(**options: object) -> object:
    return create_task(TaskConfig(kind="intensities", outputs=("joy", "fear"), options=options))


def test_loss_is_the_mean_over_emotions_of_the_squared_error() -> None:
    outputs, target = torch.tensor([[0.5, 0.0], [1.5, 0.0]]), torch.tensor([[0.0, 0.0], [0.5, 1.0]])
    assert task().loss(outputs, {"target": target}).item() == pytest.approx(((0.25 + 1) / 2 + (0 + 1) / 2) / 2)


def test_outputs_are_unbounded_unless_asked_otherwise() -> None:
    outputs = torch.tensor([[-1.0, 2.0]])
    assert task().read(outputs).tolist() == [[-1.0, 2.0]]
    assert task(rescale=True).read(outputs).tolist() == [[-0.5, 1.0]]
    assert task(activation="sigmoid").read(outputs).tolist() == [pytest.approx([0.26894, 0.88080], abs=1e-5)]


def test_frames_are_refused() -> None:
    with pytest.raises(UsageError, match="per clip"):
        create_task(TaskConfig(kind="intensities", level="frame", outputs=("joy",)))


def test_every_tenth_falls_into_its_own_bin() -> None:
    for dtype in (np.float64, np.float32):
        exact = np.asarray([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9], dtype=dtype)
        assert tenths(exact).tolist() == list(range(10))
    assert tenths([-3.0, 1.0, 7.0]).tolist() == [0, 9, 9]
    assert published_tenths(np.asarray([0.3, 0.6, 0.7, -0.15])).tolist() == [2, 5, 6, -1]
    assert published_tenths(np.asarray([0.3, 0.6, 0.7], dtype=np.float32)).tolist() == [3, 6, 7]


def test_confusion_equals_sklearns() -> None:
    rng = np.random.default_rng(0)
    truth, output = rng.uniform(0, 1, 300), rng.uniform(-0.3, 1.3, 300)
    expected = confusion_matrix(tenths(truth), tenths(output), labels=range(10), normalize="true")
    np.testing.assert_allclose(confusion_by_tenths(truth, output), expected)
    assert confusion_by_tenths([0.05], [0.5]).sum() == 1.0
    both = rng.uniform(size=(2, 50, 4))
    expected = confusion_matrix(*(one.argmax(axis=1) for one in both), labels=range(4))
    assert dominant_confusion(*both).tolist() == expected.tolist()
