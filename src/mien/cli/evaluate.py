"""``mien evaluate``: judge a run or bundle on a manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mien.cli.options import AsJson, Batch, Classes, Device, Groups, Precision, Streams, Views, Workers, names
from mien.cli.outputs import check_results
from mien.cli.progress import progress_bar
from mien.errors import UsageError
from mien.files import check_file

if TYPE_CHECKING:
    from mien.evaluation.abstention import Answered
    from mien.evaluation.assess import EvaluationSettings
    from mien.evaluation.missing import Missing
    from mien.evaluation.paired import Paired
    from mien.evaluation.result import EvaluationResult

app = typer.Typer(add_completion=False)

Source = Annotated[
    str,
    typer.Argument(
        metavar="RUN_OR_BUNDLE",
        help="Folder of a run or bundle, a hub id, or a file of predictions with the truth (.npz, .csv).",
    ),
]
Data = Annotated[Path | None, typer.Option(help="Manifest (CSV or Parquet) with the task's target column(s).")]
PartName = Literal["train", "validation", "test", "all"]
Split = Annotated[
    PartName,
    typer.Option(help="Rows to judge: by the run's own protocol, else by the column split; all takes every row."),
]
ProtocolFile = Annotated[Path | None, typer.Option("--protocol", help="Protocol file that says which rows these are.")]
Crops = Annotated[int, typer.Option(min=1, help="Squares across pictures that are not square.")]
Metrics = Annotated[list[str] | None, typer.Option("--metric", help="A further metric; may be repeated.")]
Corpus = Annotated[str, typer.Option(help="Name of the corpus in ledgers of weights. Default: the manifest's folder.")]
Out = Annotated[
    Path | None, typer.Option(help="Folder for the files. Default: evaluation/<split> in the run's folder.")
]
Against = Annotated[
    Path | None, typer.Option(help="Folder of an earlier evaluation of the same clips to compare with.")
]
AsPublished = Annotated[
    bool, typer.Option("--published", help="The published protocol tests people it trains on: say so, go on.")
]
Raw = Annotated[bool, typer.Option("--raw", help="Leave out the smoothing that the bundle holds.")]
SubmissionFile = Annotated[
    Path | None,
    typer.Option("--submission", help="Write predictions of the unlabelled test part to this CSV, and judge nothing."),
]
WithMissing = Annotated[
    bool, typer.Option("--missing", help="Judge with modalities missing too: the published grid, and curves.")
]
Replicates = Annotated[int, typer.Option(min=1, help="Samples of the bootstrap.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")]


@app.command()
def evaluate(
    source: Source,
    data: Data = None,
    split: Split = "test",
    protocol: ProtocolFile = None,
    views: Views = 2,
    crops: Crops = 1,
    metrics: Metrics = None,
    groups: Groups = None,
    classes: Classes = "",
    corpus: Corpus = "",
    out: Out = None,
    against: Against = None,
    published: AsPublished = False,
    batch: Batch = 8,
    workers: Workers = 2,
    device: Device = "auto",
    precision: Precision = "fp32",
    streams: Streams = None,
    raw: Raw = False,
    submission: SubmissionFile = None,
    missing: WithMissing = False,
    replicates: Replicates = 2000,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Judge a run or bundle: metrics with n and intervals, predictions per clip, pictures and a report.

    Clips that cannot be read are listed, never replaced. Clips or people that the weights trained on are refused.

    Example: mien evaluate runs/dfew-fold1 --data dfew/manifest.csv --views 2 --out runs/dfew-fold1/test
    """
    from mien.evaluation.assess import EvaluationSettings
    from mien.evaluation.given import is_file, judge_file
    from mien.evaluation.paired import against as compare_with

    chosen = {"views": views, "crops": crops, "batch": batch, "workers": workers, "device": device, "raw": raw}
    chosen |= {"precision": precision, "streams": streams, "groups": groups or (), "corpus": corpus, "seed": seed}
    settings = EvaluationSettings.model_validate(chosen | {"replicates": replicates})
    folder = out or _default_folder(source, split)
    _check_before(folder, against, submission)
    if is_file(source):
        _refuse(source, {"--data": data, "--protocol": protocol, "--submission": submission, "--missing": missing})
        result = judge_file(source, settings, names(classes), metrics or ())
    else:
        if data is None:
            raise UsageError(f"{source} needs --data MANIFEST; only a file of predictions (.npz, .csv) needs none")
        if submission is not None:
            _submit(source, data, submission, settings, as_json)
            return
        result = _judge(source, data, split, settings, metrics or (), protocol, published, as_json)
    if missing:
        from mien.evaluation.missing import evaluate_missing, with_missing

        result = with_missing(result, evaluate_missing(result, settings))
    paired = compare_with(result, against) if against else None
    paths = result.write(folder)
    if paired is not None:
        paths["comparison"] = paired.write(folder)
    _tell(result, paired, paths, as_json)


def _refuse(source: str, options: Mapping[str, object]) -> None:
    """A file of predictions says all itself and cannot be asked anew."""
    for option, value in options.items():
        if value:
            raise UsageError(f"{option}: {source} is a file of predictions, no model that could be run; leave it out")


def _check_before(folder: Path, against: Path | None, submission: Path | None) -> None:
    """Refuse before the work what would fail after it."""
    if against is not None and not (against / "predictions.csv").is_file():
        raise UsageError(f"--against {against}: no predictions to compare with; give the folder of an evaluation")
    if submission is not None:
        check_file(submission, "--submission")
    else:
        check_results(folder)


def _submit(source: str, data: Path, file: Path, settings: EvaluationSettings, as_json: bool) -> None:
    from mien.evaluation.submission import write_submission

    count = write_submission(source, data, file, settings)
    typer.echo(json.dumps({"submission": str(file), "clips": count}) if as_json else f"{file}: {count}")


def _judge(
    source: str,
    data: Path,
    split: PartName,
    settings: EvaluationSettings,
    metrics: Sequence[str],
    protocol: Path | None,
    published: bool,
    as_json: bool,
) -> EvaluationResult:
    from mien.data.protocol import Protocol
    from mien.evaluation.assess import evaluate as judge

    rows = Protocol.read(protocol) if protocol else None
    with progress_bar("judging", hidden=as_json) as progress:
        return judge(source, data, split, settings, metrics, rows, published, progress)


def _default_folder(source: str, split: str) -> Path:
    """In the run's folder; for a bundle, which holds nothing else, in the working folder."""
    if (Path(source) / "protocol.json").is_file():
        return Path(source) / "evaluation" / split
    if Path(source).is_file():
        return Path("evaluation") / Path(source).stem
    return Path("evaluation") / Path(source).name / split


def _tell(result: EvaluationResult, paired: Paired | None, paths: dict[str, Path], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(result.summary() | {"files": {name: str(path) for name, path in paths.items()}}))
    else:
        _print(result, paired, paths)


def _print(result: EvaluationResult, paired: Paired | None, paths: dict[str, Path]) -> None:
    from mien.evaluation.report import interval_text

    scored, asked = len(result.predictions.clips), len(result.part.ids)
    typer.echo(f"{result.part.name} part of {result.manifest.name}: {scored} of {asked} clips scored")
    width = max(len(score.title) for score in result.scores)
    for score in result.scores:
        units = f"{score.interval.units} {result.unit}{'s' if score.interval.units != 1 else ''}"
        typer.echo(f"  {score.title:{width}}  {interval_text(score):24} n = {score.n} {score.counted}, {units}")
    typer.echo(f"  corpus seen in training: {result.part.seen.mark}")
    if result.answered is not None:
        _print_answered(result.answered, width)
    if paired is not None:
        _print_paired(paired, width)
    if result.missing is not None:
        _print_missing(result.missing)
    for failure in result.predictions.failures:
        typer.echo(f"  not scored: {failure.path}: {failure.reason}")
    for note in result.notes:
        typer.echo(f"  note: {note}")
    for name, path in paths.items():
        typer.echo(f"{name}: {path}")


def _print_answered(answered: Answered, width: int) -> None:
    from mien.evaluation.report import interval_text

    told = ", ".join(f"{count} {reason}" for reason, count in answered.counts.items())
    typer.echo(
        f"answered, as the bundle is calibrated: {100 * answered.coverage:.1f} %{f' (left: {told})' if told else ''}"
    )
    for score in answered.scores if told else ():
        typer.echo(f"  {score.title:{width}}  {interval_text(score):24} n = {score.n} {score.counted}")


def _print_missing(missing: Missing) -> None:
    from mien.evaluation.missing_pictures import WORDS

    name, title = next(iter(missing.metrics.items()))
    typer.echo(f"{title} with modalities missing")
    for row in missing.rows(name):
        way = WORDS.get(row["distortion"])
        done = f"only {row['modality']}; the rest: {way}" if way else "all modalities"
        if row["kind"] != "grid":
            done = f"{100 * row['share']:.0f} % of {row['kind']} without {row['modality']}"
        typer.echo(f"  {done:36} {row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]")


def _print_paired(paired: Paired, width: int) -> None:
    typer.echo(f"difference to {paired.other}")
    for name, comparison in paired.comparisons.items():
        low, high = comparison.interval.low, comparison.interval.high
        text = f"{comparison.difference:+.3f} [{low:+.3f}, {high:+.3f}]"
        tests = f"p {comparison.p_value:.3g} (Holm {paired.corrected[name]:.3g})"
        typer.echo(f"  {paired.titles[name]:{width}}  {text:24} {tests}, permutation {comparison.p_permutation:.3g}")
    if paired.mcnemar is not None:
        typer.echo(
            f"  exact McNemar: {paired.mcnemar.only_first} against {paired.mcnemar.only_second} clips, "
            f"p {paired.mcnemar.p_value:.3g}"
        )
