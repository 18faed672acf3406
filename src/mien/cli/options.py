"""Options that several verbs have, with one meaning and one wording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Device = Annotated[str, typer.Option(help="Where models run: auto, cpu, cuda, cuda:1, mps.")]
Precision = Annotated[Literal["fp32", "bf16"], typer.Option(help="Precision of matrix products.")]
Batch = Annotated[int, typer.Option(min=1, help="Clips read at once.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes that read clips.")]
Views = Annotated[int, typer.Option(min=1, help="Evenly spaced windows per clip, merged.")]
Streams = Annotated[
    Path | None, typer.Option(help="Store of feature streams. Default: streams.safetensors beside the manifest.")
]
Groups = Annotated[
    list[str] | None,
    typer.Option("--group", help="A column of the table to judge by group (gender, age, ...); may be repeated."),
]
ShowFaces = Annotated[bool, typer.Option("--show-faces", help="Do not blur the pictures of faces.")]
Classes = Annotated[
    str, typer.Option(help="Class names in the order of ids, with commas, for a file of predictions without them.")
]


def names(text: str | None) -> tuple[str, ...]:
    """Names that an option lists with commas; none where it is not given."""
    return tuple(name.strip() for name in text.split(",") if name.strip()) if text else ()
