"""``mien corpora``: known corpora, what one is, and making the synthetic one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import typer

Layout = Literal["sewa", "msp", "recola"]
Estimator = Literal["mean", "evaluator_weighted"]

app = typer.Typer(add_completion=False, invoke_without_command=True, no_args_is_help=False)


@app.callback()
def corpora(
    context: typer.Context,
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Known corpora: list, show, look at a manifest, make the synthetic one.

    Example: mien corpora show dfew
    """
    if context.invoked_subcommand is not None:
        return
    from mien.data.corpora import corpora as known

    if as_json:
        typer.echo(json.dumps({name: corpus.title for name, corpus in known().items()}))
        return
    for name, corpus in known().items():
        typer.echo(f"{name:18} {corpus.title}")
    typer.echo(f"{'synthetic':18} Animated faces with voices; made by `mien corpora synthetic`")


@app.command()
def show(
    name: str = typer.Argument(..., help="Name of the corpus."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """What a corpus is, where to ask for it, how it unpacks, its labels, folds and published counts.

    Example: mien corpora show dfew
    """
    from mien.data.corpora import get_corpus
    from mien.data.corpora.describe import as_dict, describe

    corpus = get_corpus(name)
    typer.echo(json.dumps(as_dict(corpus), indent=1, ensure_ascii=False) if as_json else describe(corpus))


@app.command()
def continuous(
    layout: Layout = typer.Argument(..., help="How the folders lie: sewa, msp or recola."),
    videos: Path = typer.Option(..., help="Folder of recordings, with a folder per part (train, test, ...)."),
    annotations: Path = typer.Option(..., help="Folder of annotations, with the same parts."),
    out: Path = typer.Option(..., help="Folder for the manifest and the label files."),
    estimator: Estimator = typer.Option("mean", help="How several annotators are brought together."),
    delay: float = typer.Option(0.0, help="Seconds by which annotators lag behind what they saw."),
    annotated_from: str = typer.Option("V", help="What annotators had: A sound, V picture, AV both."),
    fps: float | None = typer.Option(None, help="Frames per second, where annotations or .npz pictures count frames."),
    grey_mean: float = typer.Option(0.0, help="Mean that was taken from pictures in .npz files."),
    grey_std: float = typer.Option(1.0, help="Standard deviation by which they were divided."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Make a manifest of a corpus with arousal and valence over time (SEWA, MSP-Face, RECOLA).

    Example: mien corpora continuous recola --videos video --annotations annot --out recola --delay 2.8
    """
    from mien.data.continuous import write_corpus
    from mien.data.layouts import find_sources

    sources = find_sources(layout, videos, annotations, annotated_from)
    manifest = write_corpus(sources, out, estimator, delay, fps, (grey_mean, grey_std))
    table = out / "manifest.csv"
    if as_json:
        typer.echo(json.dumps({"manifest": str(table), "recordings": len(manifest)}))
    else:
        typer.echo(f"{len(manifest)} recordings: {table}")


@app.command()
def pack(
    manifest: Path = typer.Argument(..., help="Manifest (CSV or Parquet) of the corpus."),
    out: Path = typer.Argument(..., help="Folder for shards and their manifest."),
    shard_mib: int = typer.Option(256, min=1, help="Size of a shard in MiB."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Pack a corpus of many small files into tar shards (WebDataset form), to train from disk or object storage.

    Example: mien corpora pack data/faces/manifest.csv data/shards
    """
    from mien.cli.progress import progress_bar
    from mien.data.manifest import Manifest
    from mien.data.packing import pack as pack_corpus

    with progress_bar("packing", hidden=as_json) as progress:
        packed = pack_corpus(Manifest.read(manifest), out, shard_mib, progress)
    shards = len(list(out.glob("shard-*.tar")))
    if as_json:
        typer.echo(json.dumps({"manifest": str(out / "manifest.csv"), "clips": len(packed), "shards": shards}))
    else:
        typer.echo(f"{len(packed)} clips in {shards} shard(s): {out / 'manifest.csv'}")


@app.command()
def synthetic(
    out: Path = typer.Argument(..., help="Folder for the corpus; a started one is finished."),
    clips: int = typer.Option(560, min=1, help="Number of videos."),
    subjects: int = typer.Option(80, min=1, help="Number of people."),
    seed: int = typer.Option(0, min=0, help="Seed of everything random."),
    seconds: float = typer.Option(2.4, help="Length of a video."),
    size: int = typer.Option(160, help="Side of the picture in pixels, even."),
    workers: int | None = typer.Option(None, min=1, help="Processes; all processors by default."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Make the procedural corpus: real MP4 files with sound, labels over time, and a manifest.

    Example: mien corpora synthetic faces --clips 560 --subjects 80 --seed 1
    """
    from pydantic import ValidationError

    from mien.data.synthetic import SyntheticSettings, synthesise
    from mien.errors import UsageError

    try:
        settings = SyntheticSettings(clips=clips, subjects=subjects, seed=seed, seconds=seconds, size=size)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        raise UsageError(f"{where}={problem['input']!r}: {message}" if where else message) from None
    with typer.progressbar(length=clips, label="filming", hidden=as_json) as bar:
        shown = 0

        def progress(done: int, _: int) -> None:
            nonlocal shown
            bar.update(done - shown)
            shown = done

        manifest = synthesise(out, settings, workers, progress)
    table = out / "manifest.csv"
    if as_json:
        typer.echo(json.dumps({"manifest": str(table), "clips": len(manifest)}))
    else:
        typer.echo(f"{len(manifest)} clips of {subjects} people: {table}")
