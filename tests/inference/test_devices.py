"""Prediction, embedding, evaluation and explanation on another device than the processor, by every system and task."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import torch
from tests.training.pretended import DEVICE, Waits, moved, pretended
from tests.training.test_devices import KNOWN_LATE, RECIPES, recipe_of
from torch import Tensor, nn

from mien.checkpoints.bundle import Bundle
from mien.evaluation import calibrating
from mien.evaluation.assess import EvaluationSettings, evaluation_loader
from mien.evaluation.predictions import MOST_VIEWS, NOT_INPUTS, predict_views
from mien.explanation import reader as explanation
from mien.explanation.gradients import integrated_gradients
from mien.explanation.reader import METHODS, Explainer, Method
from mien.inference import forward
from mien.inference.forward import Batches, Embedder, Predictor, Reader
from mien.inference.settings import PredictSettings
from mien.inference.stopwatch import Stopwatch
from mien.models.contract import Recogniser
from mien.models.registry import list_models
from mien.models.specification import Calibration
from mien.tasks import TASKS
from mien.training.rehearsal import staged

SETTINGS = PredictSettings(device=DEVICE.type, batch=2)
# every model classifies; recipes add the other tasks
CASES = [*list_models("*_test"), *(RECIPES[kind] for kind in TASKS if kind != "classification")]
QUICK = ("videomae_test", "viper_test", RECIPES["intensities"])
MARKED = [pytest.param(case, marks=() if case in QUICK else pytest.mark.slow) for case in CASES]
EXPLAINED = [
    *(("videomae_test", method) for method in METHODS),
    *(pytest.param(name, "rollout", marks=pytest.mark.slow) for name in ("svfap_test", "maedfer_test")),
    pytest.param("vaerr_test", "gradients", marks=pytest.mark.slow),
    pytest.param("avfusion_late_transformer_test", "occlusion", marks=pytest.mark.slow),
]


@dataclass(frozen=True)
class Trained:
    """A bundle, and two clips as evaluation reads them."""

    bundle: Bundle
    batch: dict[str, Any]

    @property
    def inputs(self) -> dict[str, Tensor]:
        """What its model takes of them."""
        return {
            name: value[:2]
            for name, value in self.batch.items()
            if isinstance(value, Tensor) and name not in NOT_INPUTS
        }


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Trained]:
    """By case, with what calibration knows."""
    folder = tmp_path_factory.mktemp("devices")

    def make(case: str) -> Trained:
        experiment = staged(recipe_of(case), folder).experiment
        model, task = experiment.objective.trained, experiment.task
        assert isinstance(model, Recogniser)
        assert task is not None
        usual = (0.5,) * model.encoder.feature_dim
        calibration = Calibration(clips=9, mean=usual, spread=usual, limit=2.0)
        specification = experiment.specification.model_copy(update={"calibration": calibration})
        loader = evaluation_loader(
            experiment.manifest, experiment.manifest.ids[:2], specification.inputs, task, EvaluationSettings(batch=2)
        )
        return Trained(Bundle(model.eval(), specification, task, folder), next(iter(loader)))

    return make


class AtOnce:
    """In the place of threads, which know nothing of a device that is pretended in this one."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def submit(self, work: Callable[..., Any], *given: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(work(*given))
        return future


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[Waits]:
    """Inside a test the device is there, and counts who waits for it."""
    monkeypatch.setattr(forward, "ThreadPoolExecutor", AtOnce)
    monkeypatch.setattr(nn.Module, "to", lambda module, device: moved(module, torch.device(device)))
    with pretended(monkeypatch) as counted:
        yield counted


def late(waits: Waits) -> dict[str, int]:
    """Who waited, but for what nobody can know before."""
    return {place: waits.places[place] for place in waits.places.keys() - KNOWN_LATE}


def read(reader: Reader, case: Trained) -> list[Any]:
    batches: Batches[int] = Batches(reader, SETTINGS, Stopwatch())
    for number in range(2):
        batches.put(number, {name: value[number] for name, value in case.inputs.items()})
    return [values for _, values in batches.answers(all_of_them=True)]


@pytest.mark.parametrize("case", MARKED)
def test_a_batch_is_read_and_judged_there_with_one_wait(
    case: str,
    trained: Callable[[str], Trained],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = trained(case)
    bundle, task = made.bundle, made.bundle.task
    assert task is not None
    monkeypatch.setattr(calibrating, "evaluation_loader", lambda *_: [made.batch])
    waits: Waits = request.getfixturevalue("waits")
    for reader, width in ((Predictor(bundle, SETTINGS), len(task.columns()) + 1), (Embedder(bundle, SETTINGS), None)):
        waits.places.clear()
        first, _ = read(reader, made)
        assert first.shape[1] == (width or len(reader.outputs))
        assert late(waits) == {"inference/forward.py:_run": 1}
    waits.places.clear()
    assert len(predict_views(bundle.model, task, [made.batch], features=True).clips) == 2
    parts = -(-len(made.batch["clip"]) // MOST_VIEWS)
    assert late(waits) == {"evaluation/predictions.py:read_views": parts, "evaluation/predictions.py:join": 1}
    if case not in QUICK:
        return
    settings = EvaluationSettings(device=DEVICE.type)
    assert calibrating._look(bundle, None, [], settings).clips == 2  # type: ignore[arg-type]


@pytest.mark.parametrize(("case", "method"), EXPLAINED)
def test_answers_are_explained_there(
    case: str,
    method: Method,
    trained: Callable[[str], Trained],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(explanation, "HIDDEN", 1)
    monkeypatch.setattr(explanation, "integrated_gradients", partial(integrated_gradients, steps=1))
    made = trained(case)
    waits: Waits = request.getfixturevalue("waits")
    reader = Explainer(made.bundle, method, SETTINGS)
    waits.places.clear()
    first, _ = read(reader, made)
    assert first.shape[1] == reader.width
    # what is not finite is refused, hence the question
    assert waits.places.pop("explanation/occlusion.py:heat") == (3 if method == "occlusion" else 1)
    assert late(waits) == {"inference/forward.py:_run": 1}
