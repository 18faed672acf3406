"""A copy of a public corpus as the command prepares and reports it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mien.cli.skipped import count, tell_skipped
from mien.errors import UsageError
from mien.files import check_writable

if TYPE_CHECKING:
    from mien.data.corpora import Corpus
    from mien.data.prepare import PrepareReport


@dataclass(frozen=True)
class Copy:
    """A copy that was read.

    Attributes:
        corpus: which one.
        manifest: of the copy's clips.
        cropped: nothing is left to cut.
    """

    corpus: Corpus
    manifest: Path
    cropped: bool


def read_copy(
    name: str, inputs: Sequence[str], out: Path, choose: Sequence[str], partial: bool, as_is: bool, quiet: bool = False
) -> Copy:
    """Read a copy, tell what was found on standard error, and write its manifest.

    Clips that are to be cut get the manifest ``corpus.csv``, since ``manifest.csv`` is that of the cut ones.
    """
    from mien.data.corpora import get_corpus
    from mien.data.corpora.official import write_official

    corpus = get_corpus(name)
    if len(inputs) != 1:
        raise UsageError(f"--corpus {name}: give one folder, that of the copy, not {len(inputs)} inputs")
    choices = dict(_pair(text) for text in choose)
    check_writable(out, "--out")
    done = write_official(corpus, inputs[0], out, choices, partial, uncut=not as_is)
    for finding in () if quiet else done.findings:
        typer.echo(f"{finding.level}: {finding.line}", err=True)
    return Copy(corpus, done.manifest, done.cropped or as_is)


def tell(copy: Copy, out: Path, report: PrepareReport | None, as_json: bool) -> None:
    """Write the protocols of the finished manifest and print where everything is; ``report``: where faces were cut."""
    from mien.data.corpora.official import read_findings, write_protocols
    from mien.data.manifest import Manifest

    manifest = out / "manifest.csv"
    protocols = write_protocols(copy.corpus, manifest, out)
    rows = len(Manifest.read(manifest))
    made: dict[str, Any] = {
        name: {"train": len(one.train), "validation": len(one.validation), "test": len(one.test), "digest": one.digest}
        for name, one in protocols.items()
    }
    if as_json:
        findings = [{"level": one.level, "text": one.line, "count": len(one.items)} for one in read_findings(out)]
        result = {"manifest": str(manifest), "clips": rows, "findings": findings, "protocols": made}
        if report is not None:
            result |= {name: value for name, value in report.summary().items() if name != "clips"}
        typer.echo(json.dumps(result, indent=1))
        return
    typer.echo(f"{count(rows, 'clip')} of {copy.corpus.name}: {manifest}")
    if report is not None:
        tell_skipped(report)
    for name, one in made.items():
        validation = f" / {one['validation']:,} validation" if one["validation"] else ""
        sizes = f"{one['train']:,} training{validation} / {one['test']:,} test"
        typer.echo(f"{name:9} {sizes}, digest {one['digest'][:12]}: {out / 'protocols' / name}.json")


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise UsageError(f"--choose {text!r}: write name=value; `mien corpora show` lists what can be chosen")
    return name.strip(), value.strip()
