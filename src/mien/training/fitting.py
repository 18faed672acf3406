"""``fit``: a recipe becomes a run, and a run a bundle."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from lightning.fabric import Fabric

from mien.checkpoints.bundle import save
from mien.checkpoints.card import Figure, ModelCard
from mien.errors import UsageError
from mien.evaluation.cost import Cost, CostMeter
from mien.evaluation.smoothing import check_smoothable
from mien.evaluation.smoothing import fit as fit_smoothing
from mien.files import finite
from mien.lock import alone, refuse_if_held
from mien.models.contract import Recogniser
from mien.models.specification import Specification
from mien.training.experiment import Experiment, build
from mien.training.hardware import (
    choose_accelerator,
    choose_precision,
    computing,
    gather,
    launch,
    make_fabric,
    on_every_process,
)
from mien.training.loop import PATIENCE, Loop, Validate
from mien.training.probe import NeighbourProbe
from mien.training.report import write_report
from mien.training.run import Run, RunResult
from mien.training.schema import Recipe
from mien.training.signals import StopSignals
from mien.training.state import State, peek_state, read_tensors
from mien.training.validation import Validation


def fit(recipe: Recipe, run: Path | str, resume: bool = False, progress: bool = True) -> RunResult:
    """Train what a recipe asks for.

    Args:
        recipe: checked recipe (``load_recipe``).
        run: folder for everything that comes of it.
        resume: go on with the run in that folder from its last checkpoint, bit for bit on a CPU; a folder that is
            still empty begins a new run, and a finished run is returned as it is.
        progress: show a progress bar (on a terminal only).

    Returns:
        Figures of the finished run; they are also in ``metrics.json``.

    Raises:
        UsageError: the folder is in use, by another process too; the recipe does not fit the data, or another recipe
            began the run.
        Stopped: a signal came; the run can be resumed.
        MienError: a loss is not finite, or too many clips cannot be read.
    """
    place = Run(run)
    known = peek_state(place.last) if resume and place.last.exists() else None
    precision = known.precision if known else choose_precision(recipe.precision, choose_accelerator(recipe.hardware))
    fabric = make_fabric(recipe.hardware, precision)
    launch(fabric)
    with StopSignals() as signals, ExitStack() as held:
        on_every_process(fabric, lambda: _refuse_second(fabric, place))
        on_every_process(fabric, lambda: _same_everywhere(fabric, place, known))
        on_every_process(fabric, lambda: place.check(recipe, resume))
        finished = place.result() if resume else None
        fabric.barrier()
        if finished is not None:
            return finished
        on_every_process(fabric, lambda: _hold(held, fabric, place, known))
        experiment = on_every_process(fabric, lambda: build(recipe))
        on_every_process(fabric, lambda: place.check_protocol(recipe, experiment.protocol))
        validate = on_every_process(fabric, lambda: _judge(experiment, fabric))
        if recipe.smoothing:
            on_every_process(fabric, lambda: _check_smoothing(experiment))
        state = State(precision=precision)
        loop = on_every_process(
            fabric, lambda: Loop(experiment, fabric, place, state, known is not None, validate, signals)
        )
        # last, so that what is refused so far leaves no folder behind that the corrected command would find in use
        on_every_process(fabric, lambda: place.begin(recipe, experiment.protocol) if fabric.is_global_zero else None)
        with computing(fabric.device, recipe.hardware.threads):
            meter = CostMeter(fabric.device)
            loop.train(progress)
            cost = meter.read()
            specification = _ship(experiment, fabric, place, loop, validate)
        result = _finish(experiment, fabric, place, loop, specification, cost)
        fabric.barrier()
    return result


def _judge(experiment: Experiment, fabric: Fabric) -> Validate | None:
    """What looks at the weights between epochs; None where there is nothing to judge by."""
    if experiment.recipe.pretext is not None:
        return NeighbourProbe(experiment, fabric) if experiment.recipe.pretext.probe else None
    if experiment.task is not None and experiment.protocol.validation:
        return Validation(experiment, experiment.task, fabric)
    return None


def _same_everywhere(fabric: Fabric, place: Run, known: State | None) -> None:
    if len(set(gather(fabric, known.step if known else None))) > 1:
        raise UsageError(
            f"{place.folder} is not the same folder for all processes; put it on a disk that all nodes share"
        )


def _refuse_second(fabric: Fabric, place: Run) -> None:
    """Before anything of a run is looked at that another process may be writing; a finished one is only read."""
    if fabric.is_global_zero and not place.metrics.exists():
        refuse_if_held(place.folder)


def _hold(held: ExitStack, fabric: Fabric, place: Run, known: State | None) -> None:
    """The first process holds the run for all of them, as it was when its checkpoint was looked at."""
    if not fabric.is_global_zero:
        return
    held.enter_context(alone(place.folder))
    now = peek_state(place.last) if place.last.exists() else None
    if (now and now.step) != (known and known.step):
        raise UsageError(f"{place.folder} was written by another process just now; start again")


def _check_smoothing(experiment: Experiment) -> None:
    """Before training, what would only show after it."""
    assert experiment.task is not None
    check_smoothable(experiment.task)
    if not experiment.protocol.validation:
        raise UsageError("smoothing is fitted on validation clips, and there are none; name some, or leave it out")


def _ship(experiment: Experiment, fabric: Fabric, place: Run, loop: Loop, validate: Validate | None) -> Specification:
    """Take the chosen weights, and fit the smoothing of what they give where the recipe asks for it."""
    recipe, best = experiment.recipe, loop.state.best
    module = loop.stepper.weights()
    if best and recipe.weights == "best":
        module.load_state_dict(read_tensors(place.best(best["step"]))[0])
    specification = experiment.specification
    task = experiment.task
    if not recipe.smoothing or not isinstance(validate, Validation) or task is None:
        return specification
    predictions = validate.predictions(module)
    smoothing = on_every_process(fabric, lambda: fit_smoothing(task, predictions))
    return Specification.model_validate({**dict(specification), "smoothing": smoothing})


def _finish(
    experiment: Experiment, fabric: Fabric, place: Run, loop: Loop, specification: Specification, cost: Cost
) -> RunResult:
    """Write the chosen weights as a bundle, and down what the run came to."""
    recipe, state = experiment.recipe, loop.state
    decay = recipe.optimiser.ema
    kind = "weights" if decay is None else f"moving average (decay {decay}) of the weights"
    best = state.best if recipe.weights == "best" else {}
    module = loop.stepper.weights()
    if best:
        weights = f"{kind} after step {best['step']}, the best on validation by {next(iter(best['values']))}"
    else:
        weights = f"{kind} after the last step"
    values: dict[str, float] = best.get("values") or (state.values if state.validated == state.step else {})
    result = RunResult(
        folder=str(place.folder),
        bundle=str(place.bundle),
        stage=recipe.stage,
        steps=state.step,
        clips=state.clips,
        seconds=round(state.seconds, 1),
        loss=state.loss,
        weights=weights,
        validation=finite(values),
        protocol=experiment.protocol.digest,
        unreadable=state.unreadable,
        precision=state.precision,
        devices=fabric.world_size,
        peak_memory=cost.peak_memory,
        energy=cost.energy,
        smoothing=specification.smoothing_text(),
        warnings=[state.trouble["line"]] if state.trouble.get("logs", 0) >= PATIENCE else [],
    )
    if fabric.is_global_zero:
        model = module if isinstance(module, Recogniser) else experiment.objective.encoder
        save(model, specification, place.bundle, _card(experiment, result))
        write_report(place, recipe, result)
        place.finish(result)
    return result


def _card(experiment: Experiment, result: RunResult) -> ModelCard:
    figures = {name: value for name, value in result.validation.items() if value is not None and name != "n"}
    count = int(result.validation.get("n") or 0)
    stage = "Pretrained" if experiment.task is None else "Fine-tuned"
    return ModelCard(
        summary=f"{stage} with the recipe {experiment.recipe.name} for {result.steps} steps ({result.clips} clips).",
        protocol=f"validation part, digest {result.protocol[:12]}" if figures else "",
        weights=result.weights,
        figures=tuple(Figure(metric=name, value=value, n=count) for name, value in figures.items()),
    )
