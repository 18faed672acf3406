"""A copy of a corpus → manifest, protocols and a list of findings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mien.data.corpora.contract import Corpus, Finding, Scan
from mien.data.corpora.courses import label_table
from mien.data.manifest import Manifest
from mien.data.protocol import Protocol
from mien.data.settings import ProtocolSettings
from mien.data.tables import write_table
from mien.errors import MienError, UsageError
from mien.files import write_json


@dataclass(frozen=True)
class Official:
    """What came of reading a copy.

    Attributes:
        manifest: the table that was written.
        findings: what is missing, extra or different.
        cropped: the pictures are faces already.
        rows: clips in the manifest.
    """

    manifest: Path
    findings: tuple[Finding, ...]
    cropped: bool
    rows: int


def write_official(
    corpus: Corpus,
    root: Path | str,
    out: Path | str,
    choices: Mapping[str, str] | None = None,
    partial: bool = False,
    uncut: bool = False,
) -> Official:
    """Read a copy and write a manifest and ``out/findings.json``; the copy itself is not touched.

    Ids are the official names of clips, so that protocols made from different copies agree.

    Args:
        corpus: which one.
        root: folder of the copy.
        out: folder for the results.
        choices: how the corpus is taken.
        partial: go on although clips are missing that the official lists name.
        uncut: call the manifest ``corpus.csv`` where faces are still to be cut, else ``manifest.csv``.

    Raises:
        UsageError: this is not such a copy, or an official file is missing.
        MienError: clips are missing and ``partial`` is False; findings are written, the manifest is not.
    """
    out = Path(out)
    scan = corpus.scan(root, **(choices or {}))
    _write_findings(corpus, scan, out)
    lost = scan.of_level("error")
    if lost and not partial:
        raise MienError(
            f"{root}: {lost[0].line}, or take what is there with --partial, which results then say (all names in "
            f"{out / 'findings.json'}; `mien corpora show {corpus.name}` says whom to ask)"
        )
    file = out / ("corpus.csv" if uncut and not scan.cropped else "manifest.csv")
    chosen = corpus.chosen(choices or {})
    frame = _with_labels(scan, out, chosen).assign(corpus=corpus.called(root, chosen))
    manifest = Manifest(frame, Path(root), name=str(file))
    manifest.write(file)
    return Official(file, scan.findings, scan.cropped, len(manifest))


def write_protocols(corpus: Corpus, manifest: Path, out: Path | str) -> dict[str, Protocol]:
    """Write the official division of a manifest as ``out/protocols/<name>.json``: one for every fold, or for the split.

    Corpora without folds or splits get none. Notes of the copy (clips that are missing) become notes of the protocol.
    """
    table = Manifest.read(manifest)
    notes = tuple(finding.line for finding in read_findings(Path(out)) if finding.level == "error")
    protocols = {
        name: _made(table, settings, corpus, notes) for name, settings in official_settings(corpus, table).items()
    }
    for name, protocol in protocols.items():
        protocol.write(Path(out) / "protocols" / f"{name}.json")
    return protocols


def official_settings(corpus: Corpus, manifest: Manifest) -> dict[str, ProtocolSettings]:
    """Settings (recipes: ``data.protocol``) of every official division that a manifest has columns for."""
    if manifest.has("split"):
        return {"official": ProtocolSettings(by="split", published=corpus.published)}
    if manifest.has("fold"):
        folds = sorted(set(manifest.column("fold").dropna().astype("str")))
        if len(folds) > 1:
            return {
                f"fold-{fold}": ProtocolSettings(by="fold", fold=fold, published=corpus.published) for fold in folds
            }
    return {}


def read_findings(folder: Path) -> tuple[Finding, ...]:
    """Findings that ``write_official`` left in a folder; none where there are none."""
    file = folder / "findings.json"
    if not file.is_file():
        return ()
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        findings = (
            Finding(one["level"], one["text"], tuple(one["items"]), one.get("remedy", ""))
            for one in content["findings"]
        )
        return tuple(findings)
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{file}: not what mien prepare wrote ({error}); remove it and prepare again") from None


def _with_labels(scan: Scan, out: Path, choices: Mapping[str, str]) -> pd.DataFrame:
    """The rows with label files, written to ``out/labels``, where the corpus has annotation over time."""
    if not scan.courses:
        return scan.frame
    files = []
    for id_ in scan.frame["id"]:
        file = out.absolute() / "labels" / f"{id_}.csv"
        write_table(label_table(scan.courses[id_], choices), file)
        files.append(str(file))
    return scan.frame.assign(labels=files)


def _made(table: Manifest, settings: ProtocolSettings, corpus: Corpus, notes: tuple[str, ...]) -> Protocol:
    protocol = Protocol.from_manifest(table, settings)
    return protocol.model_copy(
        update={"notes": (*protocol.notes, f"division of {corpus.name}: {corpus.splits}", *notes)}
    )


def _write_findings(corpus: Corpus, scan: Scan, out: Path) -> None:
    findings = [asdict(one) for one in scan.findings]
    write_json(out / "findings.json", {"corpus": corpus.name, "findings": findings})
