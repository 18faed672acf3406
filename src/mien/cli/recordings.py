"""What ``mien predict`` and ``mien embed`` have in common: recordings in, timelines out as files."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.progress import progress_bar
from mien.errors import MienError, UsageError
from mien.files import check_writable

if TYPE_CHECKING:
    from mien.inference import PredictSettings, Timeline

SUFFIXES = {
    "csv": ".csv",
    "json": ".json",
    "parquet": ".parquet",
    "eaf": ".eaf",
    "html": ".html",
    "overlay": ".overlay.mp4",
    "circumplex": ".circumplex.mp4",
}

Videos = Annotated[list[Path], typer.Argument(metavar="VIDEO", help="Recordings.", show_default=False)]
Model = Annotated[str, typer.Option(help="Folder of a bundle or run, or a hub id.", show_default=False)]
Out = Annotated[Path, typer.Option(help="Folder for the results; made if need be.")]
Csv = Annotated[bool, typer.Option("--csv", help="Write <name>.csv: the table.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Write <name>.json (table, files, boxes) and print a summary as JSON.")
]
Parquet = Annotated[bool, typer.Option("--parquet", help="Write <name>.parquet.")]
Step = Annotated[str | None, typer.Option(help="Seconds between rows, or frame for a row per frame.")]
Hop = Annotated[float | None, typer.Option(min=0.001, help="Seconds between windows; default: half a window.")]
DetectorFile = Annotated[Path | None, typer.Option("--detector", help="YuNet ONNX file; default: mien's detector.")]
Batch = Annotated[int | None, typer.Option(min=1, help="Windows per forward pass; default: 1 on the CPU, else 8.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Cores that the model may use; default: all.")]


def forms(wanted: Mapping[str, bool], usual: Sequence[str]) -> list[str]:
    """Forms of the result that were asked for, or the usual ones where none was."""
    return [form for form, asked in wanted.items() if asked] or list(usual)


def settings_of(
    step: str | None,
    hop: float | None,
    detector: Path | None,
    device: str,
    precision: str,
    batch: int | None,
    threads: int | None,
    **further: Any,
) -> PredictSettings:
    """Settings from the options that both verbs have, and ``further`` ones by their names in ``PredictSettings``."""
    from mien.inference import PredictSettings

    shared = {"hop": hop, "detector": detector, "device": device, "precision": precision}
    parts = {"batch": batch, "threads": threads}
    return PredictSettings.model_validate({"step": _parse_step(step), **shared, **parts, **further})


def _parse_step(text: str | None) -> Any:
    """``--step``: seconds, or ``frame``."""
    if text is None or text == "frame":
        return text
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise UsageError(f"--step {text}: give seconds above 0, such as 0.2, or the word frame")
    return seconds


def run(
    videos: Sequence[Path],
    model: str,
    out: Path,
    formats: Sequence[str],
    read: Callable[..., Timeline],
    settings: PredictSettings,
    as_json: bool,
    thumbnails: bool = False,
) -> None:
    """Read every recording and write its files; one that fails is reported and the others go on.

    Raises:
        typer.Exit: code 1 where a recording failed.
    """
    _check_before(videos, out, formats)
    from mien.checkpoints.bundle import load

    bundle = load(model)
    if "circumplex" in formats and bundle.task is not None:
        from mien.inference.overlay import check_circumplex

        check_circumplex(bundle.task.columns())  # before the work, not after it
    results = []
    for video in videos:
        begin = time.monotonic()
        try:
            with progress_bar(video.name, hidden=as_json) as progress:
                timeline = read(video, bundle, settings, progress)
            name = f"{video.stem}.features" if timeline.kind == "features" else video.stem
            paths = write(timeline, out, name, formats, thumbnails, as_json)
        except UsageError:
            raise  # true of every recording alike
        except MienError as error:
            print(f"mien: {error}", file=sys.stderr)
            results.append({"file": str(video), "error": str(error)})
            continue
        results.append(_result(timeline, paths, time.monotonic() - begin))
        if not as_json:
            typer.echo(_line(results[-1]))
    if as_json:
        typer.echo(json.dumps(results, indent=1))
    if any("error" in result for result in results):
        raise typer.Exit(1)


def write(
    timeline: Timeline, out: Path, name: str, formats: Sequence[str], thumbnails: bool, hidden: bool
) -> dict[str, Path]:
    """Write a timeline in every wanted form, as ``<name><suffix>`` in the folder ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    paths = {form: out / f"{name}{SUFFIXES[form]}" for form in formats}
    for form, path in paths.items():
        if form == "html":
            timeline.to_html(path, thumbnails)
        elif form in ("overlay", "circumplex"):
            with progress_bar(path.name, hidden) as progress:
                timeline.overlay(path, progress=progress, beside=form == "circumplex")
        else:
            getattr(timeline, f"to_{form}")(path)
    return paths


def _check_before(videos: Sequence[Path], out: Path, formats: Sequence[str]) -> None:
    """Refuse what cannot be read, would fail only after the work, or writes over a file of this very call."""
    from mien.media import check_named

    for video in videos:
        check_named(video)
    twice = [name for name, count in Counter(video.stem for video in videos).items() if count > 1]
    if twice:
        rule = "several recordings have this name and would write the same files; give each an --out of its own"
        raise UsageError(f"{twice[0]}: {rule}")
    if "parquet" in formats and find_spec("pyarrow") is None:
        raise UsageError("--parquet needs pyarrow: pip install 'mien[parquet]', or write --csv")
    check_writable(out, "--out")


def _result(timeline: Timeline, paths: dict[str, Path], seconds: float) -> dict[str, Any]:
    (info,) = timeline.files.values()
    return {
        "file": info.path,
        "duration": info.duration,
        "faces": len(timeline.faces()),
        "rows": len(timeline),
        "seen": round(float(timeline.frame["used"].ne("").mean()), 4) if len(timeline) else 0.0,
        **_unanswered(timeline),
        "seconds": round(seconds, 3),
        "files": {form: str(path) for form, path in paths.items()},
    }


def _unanswered(timeline: Timeline) -> dict[str, Any]:
    """Share of rows from which the model abstains, by reason; nothing for features."""
    if "abstain" not in timeline.frame:
        return {}
    shares = timeline.frame["abstain"].replace("", None).value_counts() / max(len(timeline), 1)
    return {"abstained": {str(reason): round(float(share), 4) for reason, share in shares.items()}}


def _line(result: dict[str, Any]) -> str:
    faces = result["faces"]
    found = "no face" if not faces else "1 face" if faces == 1 else f"{faces} faces"
    # that nobody was there is told by the number of faces
    abstained = [f"{why} {share:.0%}" for why, share in result.get("abstained", {}).items() if why != "no face"]
    work = f"{found} in {result['duration']:.1f} s, {result['rows']} rows, done in {result['seconds']:.1f} s"
    work += f"; no answer: {', '.join(abstained)}" if abstained else ""
    return f"{result['file']}: {work} → {', '.join(result['files'].values())}"
