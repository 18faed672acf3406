"""``mien prepare``: raw videos → face clips and a manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from pydantic import ValidationError

from mien.cli.options import AsJson
from mien.cli.progress import progress_bar
from mien.cli.skipped import count, tell_skipped
from mien.errors import UsageError

if TYPE_CHECKING:
    from mien.data.openface import AlignedFolders
    from mien.data.prepare import PrepareReport
    from mien.data.settings import PrepareSettings

app = typer.Typer(add_completion=False)

Inputs = Annotated[
    list[str], typer.Argument(help="Videos, folders, manifests (CSV or Parquet), or the copy of a --corpus.")
]
Out = Annotated[Path, typer.Option(help="Folder for clips, manifest and report.")]
Faces = Annotated[
    str, typer.Option(help="main: one clip per input; all: every face; auto: main for labelled manifests.")
]
Size = Annotated[int, typer.Option(help="Side of the clips in pixels.")]
Margin = Annotated[float, typer.Option(help="Border around the face as a share of its longer side.")]
Align = Annotated[str, typer.Option(help="none: upright pictures; eyes: turn the eyes level.")]
Smoothing = Annotated[float, typer.Option(help="Smoothing of the crop's path in seconds.")]
Window = Annotated[
    str | None, typer.Option(help="left,top,side: cut this square, look for no faces (VoxCeleb2: 32,0,160).")
]
LeastSeconds = Annotated[float, typer.Option(help="Pass over faces that stay for less (not for main).")]
LeastFace = Annotated[int | None, typer.Option(help="Smallest face to look for, in pixels.")]
Gop = Annotated[int, typer.Option(help="Pictures from one that decodes alone to the next; 8: half the size.")]
Exact = Annotated[bool, typer.Option("--exact", help="Keep every pixel: RGB without loss, some ten times larger.")]
Like = Annotated[
    str | None,
    typer.Option(help="Cut as published: avfusion (RAVDESS), viper (Hume-Reaction), voxceleb2 (SVFAP, MAE-DFER)."),
]
OpenFace = Annotated[
    Path | None, typer.Option("--openface", help="Take the faces that OpenFace has cut out and left in this folder.")
]
Jobs = Annotated[int | None, typer.Option("--jobs", "-j", min=1, help="Processes; all processor cores by default.")]
Corpus = Annotated[str | None, typer.Option(help="The input is a copy of this public corpus (see mien corpora).")]
Choose = Annotated[list[str] | None, typer.Option(help="How to take the corpus, name=value; repeatable.")]
Partial = Annotated[bool, typer.Option("--partial", help="Go on although listed clips are missing.")]
AsIs = Annotated[bool, typer.Option("--as-is", help="With --corpus: manifest and protocols only, nothing is cut.")]
Engine = Annotated[Literal["processes", "ray"], typer.Option(help="processes: on this machine; ray: on a Ray cluster.")]
Address = Annotated[
    str | None,
    typer.Option(help="The Ray cluster: auto, HOST:6379 or ray://HOST:10001; none: one on this machine."),
]


@app.command()
def prepare(
    context: typer.Context,
    inputs: Inputs,
    out: Out,
    faces: Faces = "auto",
    size: Size = 160,
    margin: Margin = 0.25,
    align: Align = "none",
    smoothing: Smoothing = 0.2,
    window: Window = None,
    min_seconds: LeastSeconds = 0.5,
    min_face: LeastFace = None,
    gop: Gop = 1,
    exact: Exact = False,
    like: Like = None,
    openface: OpenFace = None,
    jobs: Jobs = None,
    corpus: Corpus = None,
    choose: Choose = None,
    partial: Partial = False,
    as_is: AsIs = False,
    engine: Engine = "processes",
    address: Address = None,
    as_json: AsJson = False,
) -> None:
    """Cut faces out of raw videos: small MP4 clips with sound, and a manifest to train on.

    Started again with the same folder it goes on where it was stopped. What cannot be read is listed in report.csv.

    With --corpus the official lists say what there should be: what is missing, extra or different is told, and
    manifest and protocols carry the official ids, labels and folds. Official face crops are used as they are.

    Over several machines, inputs and output folder must be the same files for all of them.

    Example: mien prepare recordings/ --out data/faces

    Example: mien prepare --corpus dfew DFEW/ --out data/dfew
    """
    from mien.cli.official import read_copy, tell
    from mien.data.prepare import prepare as prepare_clips

    _check(engine, address, corpus is None and bool(choose or partial or as_is))
    crop = {"size": size, "margin": margin, "align": align, "smoothing": smoothing}
    rest = {"faces": faces, "min_seconds": min_seconds, "min_face": min_face, "gop": gop, "exact": exact}
    rest["window"] = _square(window)
    given = {name for name in (*crop, *rest) if _is_given(context, name)}
    aligned = _of_openface(openface, given, like)
    settings = _settings(crop | _side(aligned, given), rest, like, given)
    copy = read_copy(corpus, inputs, out, choose or [], partial, as_is, as_json) if corpus else None
    report = None
    if copy is None or not copy.cropped:
        with progress_bar("preparing", hidden=as_json) as progress:
            raw = inputs if copy is None else [str(copy.manifest)]
            report = prepare_clips(raw, out, settings, jobs, progress, engine, address, aligned)
    elif openface is not None:
        raise UsageError(f"--openface {openface}: nothing is cut here, the pictures are used as they are")
    if copy is not None:
        tell(copy, out, report, as_json)
    elif report is not None:
        _print(report, as_json)


def _check(engine: str, address: str | None, corpus_missing: bool) -> None:
    """Options that mean nothing without another one."""
    if address is not None and engine != "ray":
        raise UsageError(f"--address {address}: only a Ray cluster has an address; add --engine ray")
    if corpus_missing:
        raise UsageError("--choose, --partial and --as-is say how to take a public corpus; add --corpus NAME")


def _print(report: PrepareReport, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"manifest": str(report.manifest), **report.summary()}, indent=1))
        return
    typer.echo(f"{count(report.clips, 'clip')} of {count(len(report.records), 'input')}: {report.manifest}")
    tell_skipped(report)


def _square(window: str | None) -> list[str] | None:
    if window is None:
        return None
    numbers = window.split(",")
    if len(numbers) != 3 or not all(number.strip().lstrip("-").isdigit() for number in numbers):
        raise UsageError(f"--window {window}: give left,top,side in pixels, such as 32,0,160")
    return numbers


def _of_openface(folder: Path | None, given: set[str], like: str | None) -> AlignedFolders | None:
    """The faces that OpenFace has cut out; options on how mien looks for faces do not go with them."""
    from mien.data.openface import AlignedFolders

    if folder is None:
        return None
    looking = sorted(given & {"faces", "margin", "align", "smoothing", "window", "min_seconds", "min_face"})
    if looking or like:
        option = looking[0].replace("_", "-") if looking else "like"
        raise UsageError(f"--{option}: says how mien looks for faces; --openface takes those that are cut out already")
    return AlignedFolders.find(folder)


def _side(aligned: AlignedFolders | None, given: set[str]) -> dict[str, int]:
    """Clips are as large as the pictures of OpenFace."""
    return {} if aligned is None or "size" in given else {"size": aligned.side}


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _settings(crop: dict[str, Any], rest: dict[str, Any], like: str | None, given: set[str]) -> PrepareSettings:
    """Settings of the options; with ``like`` those of a published preparation, except for options that were given."""
    from mien.data.published import published
    from mien.data.settings import PrepareSettings

    if like is not None:
        usual = published(like).model_dump()
        crop = usual["crop"] | {name: value for name, value in crop.items() if name in given}
        rest = usual | {name: value for name, value in rest.items() if name in given}
    try:
        return PrepareSettings.model_validate({**rest, "crop": crop})
    except ValidationError as error:
        problem = error.errors()[0]
        message = problem["msg"].removeprefix("Value error, ")
        names = [part for part in problem["loc"] if isinstance(part, str)]
        if not names or (isinstance(problem["input"], dict) and "missing" not in problem["type"]):
            raise UsageError(f"--like {like}: {message}") from None
        raise UsageError(f"--{names[-1].replace('_', '-')} {problem['input']}: {message.lower()}") from None
