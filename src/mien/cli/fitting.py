"""What ``mien pretrain`` and ``mien train`` have in common."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.options import names

if TYPE_CHECKING:
    from mien.training.run import RunResult


Recipe = Annotated[
    str | None,
    typer.Argument(
        metavar="RECIPE", help="Name of a shipped recipe (mien recipes lists them) or a YAML file; --resume needs none."
    ),
]
Overrides = Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Changes to the recipe.")]
RunFolder = Annotated[Path | None, typer.Option(help="Folder of the run; default: runs/ and the recipe's name.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in that folder from its last checkpoint.")]


def fit_recipe(
    stage: str, recipe: str | None, overrides: list[str], run: Path | None, resume: bool, as_json: bool
) -> None:
    """Load a recipe, check that it is of the wanted stage, train, and print what came of it."""
    from mien.errors import UsageError
    from mien.training.recipe import load_recipe

    if recipe is None or "=" in recipe:
        overrides = [recipe, *overrides] if recipe else overrides
        recipe = _recipe_of(run, resume)
    loaded = load_recipe(recipe, overrides)
    if loaded.stage != stage:
        verb = "pretrain" if loaded.pretext else "train"
        raise UsageError(f"{recipe} is a recipe for {loaded.stage}; run: mien {verb} {recipe}")

    from mien.training.fitting import fit
    from mien.training.hardware import is_first_process

    result = fit(loaded, run or Path("runs") / loaded.name, resume=resume, progress=not as_json)
    if is_first_process():
        typer.echo(result.to_json() if as_json else _summary(result))


def fit_folds(
    recipe: str | None, overrides: list[str], run: Path | None, folds: str, jobs: int, resume: bool, as_json: bool
) -> None:
    """Cross-validate a recipe and print both aggregations."""
    from mien.errors import UsageError
    from mien.evaluation.folds import summarise_folds
    from mien.training.folds import cross_validate
    from mien.training.recipe import load_recipe

    if recipe is None or "=" in recipe:
        raise UsageError("--folds needs the recipe, with --resume too: mien train RECIPE --folds all --run FOLDER")
    loaded = load_recipe(recipe, overrides, each=True)
    if loaded.stage != "fine-tuning":
        raise UsageError(f"{recipe} is a recipe for {loaded.stage}; folds are trained and tested on a task")
    wanted = names(folds)
    if not wanted:
        raise UsageError("--folds: name folds with commas, or all")
    wanted = () if wanted == ("all",) else wanted
    result = cross_validate(loaded, run or Path("runs") / loaded.name, wanted, jobs, resume, as_json)
    if as_json:
        typer.echo(json.dumps(summarise_folds(result), indent=1))
        return
    typer.echo(f"{len(result.names)} folds, {sum(result.clips)} clips")
    for one in result.scores.values():
        whole, interval = one.concatenated, one.concatenated.interval
        mean = f", mean of folds {one.mean:.3f} ± {one.deviation:.3f} (sd)" if len(one.folds) > 1 else ""
        typer.echo(f"  {whole.title:24} concatenated {whole.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]{mean}")
    for name, path in result.paths.items():
        typer.echo(f"{name}: {path}")


def _recipe_of(run: Path | None, resume: bool) -> str:
    """The recipe that a run was begun with."""
    from mien.errors import UsageError

    if not resume or run is None:
        raise UsageError("no recipe is given; name one (mien recipes lists them), or go on with --run FOLDER --resume")
    if not (run / "recipe.yaml").exists():
        raise UsageError(f"{run} holds no recipe.yaml, so there is no run to go on with; name the recipe to begin one")
    return str(run / "recipe.yaml")


def _summary(result: RunResult) -> str:
    rate = result.clips / max(result.seconds, 1e-9)
    lines = [
        f"{result.stage}: {result.steps} steps, {result.clips} clips in {result.seconds:.0f} s ({rate:.1f} clips/s, "
        f"{result.precision}, {result.devices} process(es)), training loss {result.loss:.4g}"
    ]
    if result.unreadable:
        lines.append(f"left out: {len(result.unreadable)} unreadable clip(s), listed in {result.folder}/metrics.json")
    lines += [f"WARNING: {line}" for line in result.warnings]
    if result.validation:
        figures = dict(result.validation)
        count = figures.pop("n") or 0
        texts = (f"{name} {'undefined' if value is None else f'{value:.3f}'}" for name, value in figures.items())
        lines.append(f"validation: {', '.join(texts)} (n = {count:.0f} clips)")
    lines.append(f"weights: {result.weights}")
    if result.smoothing:
        lines.append(f"smoothed over time: {result.smoothing}")
    lines.append(f"bundle: {result.bundle}")
    return "\n".join(lines)
