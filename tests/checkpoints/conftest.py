"""A small model with its Specification."""

from __future__ import annotations

import pytest
import torch

from mien.models import Recogniser, default_inputs
from mien.models.specification import Exposure, Provenance, Specification, TaskConfig
from mien.tasks import create_model

TASK = TaskConfig(kind="classification", outputs=("calm", "angry", "glad"))


@pytest.fixture
def specification() -> Specification:
    return Specification(
        model="videomae_test",
        arguments={"depth": 1},
        inputs=default_inputs("videomae_test"),
        task=TASK,
        provenance=Provenance(ledger=(Exposure(corpus="synthetic", stage="fine-tuning", clips=40),)),
    )


@pytest.fixture
def model() -> Recogniser:
    torch.manual_seed(0)
    model = create_model("videomae_test", TASK, depth=1)
    assert isinstance(model, Recogniser)
    return model.eval()
