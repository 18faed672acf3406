"""DINO's loss by its plain formula, and options that make no sense. Numbers of the authors' code: tests/parity."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from mien.errors import UsageError
from mien.models.specification import VideoInput
from mien.pretext import create_pretext
from mien.pretext.dino import CentredTargets


@pytest.mark.parametrize("temperature", [0.1, 0.4])
def test_cross_entropy_is_that_of_every_target_with_every_other_crop(temperature: float) -> None:
    rng = np.random.default_rng(0)
    student, teacher = rng.normal(size=(3, 2, 5)), rng.normal(size=(2, 2, 5))
    centred = CentredTargets(5, student_temperature=temperature)
    targets = centred.targets(torch.from_numpy(teacher.reshape(4, 5)), 0.07)
    found = centred.cross_entropy(torch.from_numpy(student.reshape(6, 5)), targets, 3)
    wanted = [
        -(softmax(teacher[place] / 0.07, axis=1) * log_softmax(student[other] / temperature, axis=1)).sum(axis=1).mean()
        for place in range(2)
        for other in range(3)
        if other != place
    ]
    assert found.item() == pytest.approx(np.mean(wanted), rel=1e-5)


@pytest.mark.parametrize("option", ["student_temperature", "teacher_temperature", "warmup_temperature"])
def test_a_temperature_of_nought_is_refused(option: str) -> None:
    video = VideoInput(frames=4, size=32, stride=1)
    with pytest.raises(UsageError, match=f"{option}=0.0: must be above 0"):
        create_pretext("dino", "vaerr_test", {}, video, {"outputs": 8, option: 0.0})
