"""``mien corpora``: known corpora, their manifests divided, checked, joined and looked at; the synthetic one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import typer

from mien.cli.options import AsJson, ShowFaces
from mien.cli.progress import progress_bar
from mien.files import check_file

Layout = Literal["sewa", "msp", "recola"]
Way = Literal["subject", "leave_one_out", "fold", "split", "corpus", "random"]
Estimator = Literal["mean", "evaluator_weighted"]

app = typer.Typer(add_completion=False, invoke_without_command=True, no_args_is_help=False)


@app.callback()
def corpora(
    context: typer.Context,
    as_json: AsJson = False,
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
    as_json: AsJson = False,
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
    as_json: AsJson = False,
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
    as_json: AsJson = False,
) -> None:
    """Pack a corpus of many small files into tar shards (WebDataset form), to train from disk or object storage.

    Example: mien corpora pack data/faces/manifest.csv data/shards
    """
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
    clips: int = typer.Option(980, min=1, help="Number of videos."),
    subjects: int = typer.Option(140, min=1, help="Number of people."),
    seed: int = typer.Option(0, min=0, help="Seed of everything random."),
    seconds: float = typer.Option(2.0, help="Length of a video."),
    size: int = typer.Option(128, help="Side of the picture in pixels, even."),
    jobs: int | None = typer.Option(None, "--jobs", "-j", min=1, help="Processes; all processor cores by default."),
    as_json: AsJson = False,
) -> None:
    """Make the procedural corpus: real MP4 files with sound, labels over time, and a manifest.

    Example: mien corpora synthetic faces --clips 280 --subjects 40 --seed 1
    """
    from mien.data.synthetic import SyntheticSettings, synthesise

    settings = SyntheticSettings(clips=clips, subjects=subjects, seed=seed, seconds=seconds, size=size)
    with progress_bar("filming", hidden=as_json) as progress:
        manifest = synthesise(out, settings, jobs, progress)
    table = out / "manifest.csv"
    if as_json:
        typer.echo(json.dumps({"manifest": str(table), "clips": len(manifest)}))
    else:
        typer.echo(f"{len(manifest)} clips of {subjects} people: {table}")


@app.command()
def join(
    manifests: list[Path] = typer.Argument(..., help="Manifests of single corpora, with the column label."),
    out: Path = typer.Option(..., help="Table to write, .csv or .parquet."),
    classes: str | None = typer.Option(None, help="6, 7, 8, 8-calm, 11, or names; by default those that all have."),
    merge: list[str] | None = typer.Option(None, help="A class that counts as another, calm=neutral; repeatable."),
    as_json: AsJson = False,
) -> None:
    """One manifest of several corpora under shared class names: train on some, test on another.

    Clips whose class is not shared are left out and counted. In a recipe, data.protocol: {by: corpus, fold: NAME}
    tests on that corpus.

    Example: mien corpora join dfew/manifest.csv ferv39k/manifest.csv --out both/manifest.csv
    """
    from mien.data.corpora.labels import join as join_manifests
    from mien.errors import UsageError

    pairs = [text.partition("=") for text in merge or []]
    if odd := [one for one, sign, other in pairs if not (one and sign and other)]:
        raise UsageError(f"--merge {odd[0]}: write class=other, such as calm=neutral")
    joined, names, left_out = join_manifests(manifests, out, classes, {one: other for one, _, other in pairs})
    if as_json:
        typer.echo(json.dumps({"manifest": str(out), "clips": len(joined), "classes": names, "left_out": left_out}))
        return
    typer.echo(f"{len(joined):,} clips, classes {', '.join(names)}: {out}")
    for name, count in left_out.items():
        if count:
            typer.echo(f"{count:,} clips of {name} have none of these classes and are left out")


@app.command()
def divide(
    manifest: Path = typer.Argument(..., help="The manifest."),
    out: Path = typer.Option(..., help="Folder for the protocols."),
    by: Way = typer.Option("subject", help="How rows are divided; random is stamped as such."),
    folds: int = typer.Option(5, min=2, help="Number of folds, for subject and random."),
    validation: float = typer.Option(0.0, help="Share of the training people held out for validation."),
    lowest: list[str] | None = typer.Option(None, help="Train on clips from here on, face_share=0.9; repeatable."),
    highest: list[str] | None = typer.Option(None, help="Train on clips up to here, light=0.9; repeatable."),
    published: bool = typer.Option(False, "--published", help="State shared people instead of refusing them."),
    seed: int = typer.Option(0, min=0, help="Seed of everything random."),
    as_json: AsJson = False,
) -> None:
    """Write protocols: every round of a cross-validation, or the manifest's own split.

    Example: mien corpora divide ravdess/manifest.csv --by leave_one_out --out ravdess/protocols

    Example: mien corpora divide faces/manifest.csv --lowest face_share=0.9 --lowest sharpness=20 --out faces/protocols
    """
    from mien.data.divide import divide as divide_rows

    bounds = {"lowest": _bounds("lowest", lowest or []), "highest": _bounds("highest", highest or [])}
    choices = {"by": by, "folds": folds, "validation": validation, "published": published, "seed": seed, **bounds}
    made = divide_rows(manifest, choices, out)
    if as_json:
        typer.echo(json.dumps({name: _sizes(one) for name, one in made.items()}, indent=1))
        return
    for name, one in made.items():
        sizes = ", ".join(f"{count:,} {part}" for part, count in _sizes(one).items() if part != "digest" and count)
        typer.echo(f"{name:12} {sizes}, digest {one.digest[:12]}: {out / name}.json")
    for text in dict.fromkeys(text for one in made.values() for text in one.notes):
        typer.echo(f"note: {text}")


@app.command()
def check(
    manifest: Path = typer.Argument(..., help="The manifest."),
    protocol: list[Path] | None = typer.Option(None, help="Protocol to check; by default the manifest's own division."),
    content: bool = typer.Option(False, "--content", help="Compare the files' bytes too."),
    as_json: AsJson = False,
) -> None:
    """What training, validation and test share: rows, people, groups, files, source videos, equal content.

    Exits with 1 where figures on the test part would not hold for unseen people.

    Example: mien corpora check dfew/manifest.csv --protocol dfew/protocols/fold-1.json --content
    """
    from mien.data.divide import report_leaks

    report = report_leaks(manifest, protocol or [], content)
    if as_json:
        typer.echo(json.dumps(report.as_dict(), indent=1))
    else:
        typer.echo(report.text())
    if report.betrayed:
        raise typer.Exit(1)


@app.command()
def view(
    manifest: Path = typer.Argument(..., help="The manifest."),
    out: Path | None = typer.Option(None, help="The page; by default look.html beside the manifest."),
    pictures: int = typer.Option(24, min=0, help="Clips on the contact sheet."),
    files: int = typer.Option(300, min=1, help="Clips whose files are opened for lengths and sizes."),
    show_faces: ShowFaces = False,
    as_json: AsJson = False,
) -> None:
    """A page on a manifest: classes by part, people, lengths, faces, labels over time, contact sheet.

    Example: mien corpora view ravdess/manifest.csv
    """
    from mien.data.look import LookSettings, look, write_page
    from mien.data.manifest import Manifest

    table = Manifest.read(manifest)
    page = out or table.root / "look.html"
    check_file(page, "--out")
    settings = LookSettings(pictures=pictures, blurred=not show_faces, files=files)
    with progress_bar("looking", hidden=as_json) as progress:
        overview = look(table, settings, progress)
    write_page(overview, page)
    if as_json:
        typer.echo(json.dumps({"page": str(page), "clips": len(table), "unreadable": overview.failed}))
    else:
        typer.echo(f"{len(table):,} clips: {page}")


def _bounds(option: str, pairs: list[str]) -> dict[str, float]:
    from mien.errors import UsageError

    bounds = {}
    for pair in pairs:
        column, _, value = pair.partition("=")
        try:
            bounds[column.strip()] = float(value)
        except ValueError:
            raise UsageError(f"--{option} {pair}: write column=number, such as face_share=0.9") from None
    return bounds


def _sizes(protocol: Any) -> dict[str, Any]:
    parts = {name: len(getattr(protocol, part)) for name, part in
             (("training", "train"), ("validation", "validation"), ("test", "test"))}  # fmt: skip
    return {**parts, "digest": protocol.digest}
