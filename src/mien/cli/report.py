"""``mien report``: runs, evaluations or files of predictions as one page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from mien.cli.options import AsJson, Classes, Groups, ShowFaces, names
from mien.cli.outputs import check_results
from mien.errors import UsageError
from mien.files import check_file

app = typer.Typer(add_completion=False)


@app.command()
def report(
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="RUN", help="Runs, folders of evaluations, or files of predictions (.npz, .csv)."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="The page, or a folder for report.html. Default: evaluation in the run's folder; here for several."
        ),
    ] = None,
    classes: Classes = "",
    groups: Groups = None,
    map_: Annotated[
        Literal["pca", "tsne", "umap"],
        typer.Option("--map", help="How features come to a plane; tsne and umap need their packages."),
    ] = "pca",
    faces: ShowFaces = False,
    as_json: AsJson = False,
) -> None:
    """Put results on one page that works offline and prints well; several systems stand side by side.

    The same tables are written as CSV, LaTeX and Markdown to the folder tables beside the page.

    Example: mien report runs/a runs/b runs/c --out comparison/report.html
    """
    from mien.evaluation.report import Look, load_source, write_report

    if len(set(sources)) < len(sources):
        raise UsageError(f"{max(sources, key=sources.count)} is named twice; name every result once")
    if out is not None:
        out = out if out.suffix.lower() in {".html", ".htm"} else out / "report.html"
        check_results(out.parent)
        check_file(out, "--out")
    loaded = [load_source(source, names(classes), tuple(groups or ())) for source in sources]
    if out is None:
        alone = len(sources) == 1 and sources[0].is_dir()
        out = sources[0] / "evaluation" / "report.html" if alone and loaded[0].run else Path("report.html")
    paths = write_report(loaded, out, Look(map_, faces))
    if as_json:
        typer.echo(json.dumps({name: str(path) for name, path in paths.items()}))
        return
    for source in loaded:
        if source.summary is None:
            folder = source.run.folder if source.run else ""
            typer.echo(f"{source.name}: not judged yet; run: mien evaluate {folder} --data MANIFEST")
    for name, path in paths.items():
        typer.echo(f"{name}: {path}")
