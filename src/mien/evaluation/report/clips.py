"""Single clips of a report: those that the model was wrong about, and those between whose classes it hesitates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mien.data.look.sampling import thumbnail
from mien.data.manifest import Manifest
from mien.errors import MienError
from mien.evaluation.calibration import ambiguity
from mien.evaluation.report.sources import Source
from mien.evaluation.report.tables import mark
from mien.evaluation.tallies import Floats
from mien.pages import Table, sheet

MOST = 12


@dataclass(frozen=True)
class Singled:
    """Clips that are worth a look, the first one most.

    Attributes:
        table: what is known of them.
        ids: of the manifest, one per row of the table.
        captions: a few words for the picture of each.
    """

    table: Table
    ids: tuple[str, ...]
    captions: tuple[str, ...]


def hardest(source: Source) -> Singled | None:
    """Classes: wrong clips by how sure the model was; values, and classes per frame: clips by their mean error."""
    if source.predictions is None or source.task is None:
        return None
    if source.task.classes is None:
        return _far_off(source)
    if "reliability" not in (source.summary or {}):
        return None
    return _often_wrong(source) if source.task.config.level == "frame" else _surely_wrong(source)


def ambiguous(source: Source) -> Singled | None:
    """Clips between whose classes the model hesitates most; a clip of several frames counts by their mean."""
    task, predictions = source.task, source.predictions
    if predictions is None or task is None or task.classes is None or "reliability" not in (source.summary or {}):
        return None
    output, truth, names = _by_clip(source, predictions.output), predictions.truth, task.classes
    doubt = _by_clip(source, ambiguity(predictions.output))
    rows: list[tuple[Any, ...]] = []
    at = np.argsort(-doubt, kind="stable")[:MOST]
    for clip in at:
        first, second = np.argsort(-output[clip], kind="stable")[:2]
        own = set(truth[predictions.clip_of == clip].tolist())
        true = names[own.pop()] if len(own) == 1 and min(own) >= 0 else None
        between = f"{names[first]} {output[clip, first]:.2f}, {names[second]} {output[clip, second]:.2f}"
        rows.append((true, between, float(doubt[clip])))
    head = ("true", "said between", "ambiguity (0..1)")
    note = "Ambiguity is the entropy of the probabilities over its highest value."
    captions = [f"{true or 'several'}: {between}" for true, between, _ in rows]
    return _singled(source, "ambiguous", "Most ambiguous clips", head, at, rows, captions, note)


def pictures(source: Source, singled: Singled, blurred: bool = True) -> str:
    """A sheet of the middle pictures of clips, or a line that says why there is none; empty where no files are known.

    Args:
        source: of the clips.
        singled: which.
        blurred: whole, beyond recognition.
    """
    manifest = source.manifest
    if manifest is None:
        return ""
    shown: list[tuple[bytes, str]] = []
    reason = ""
    for id_, caption in zip(singled.ids, singled.captions, strict=True):
        try:
            shown.append((thumbnail(manifest.row(id_), blurred), caption))
        except MienError as error:
            reason = reason or str(error)
    if not shown:
        return f'<p class="soft">No pictures: the recordings are not where {manifest.name} says.</p>' if reason else ""
    text = "Middle pictures."
    if blurred:
        text = (
            "Middle pictures, blurred whole, since a detector could miss a face; "
            "<code>mien report --show-faces</code> shows them as they are."
        )
    return f'{sheet(shown)}<p class="soft">{text}</p>'


def find_manifest(source: Source) -> Manifest | None:
    """The corpus of a result that was read from files: where its summary says, or there above the result's folder."""
    if source.manifest is not None or source.folder is None or source.summary is None:
        return source.manifest
    said = source.summary["data"]["manifest"]
    for home in (source.folder.cwd(), *source.folder.absolute().parents):
        if (home / said).is_file():
            try:
                manifest = Manifest.read(home / said)
            except MienError:
                continue
            if source.predictions is not None and set(source.predictions.ids) <= set(manifest.ids):
                return manifest
    return None


def _surely_wrong(source: Source) -> Singled | None:
    assert source.predictions is not None
    assert source.task is not None
    truth, output, names = source.predictions.truth, source.predictions.output, source.task.columns()
    wrong = np.flatnonzero((truth >= 0) & (output.argmax(axis=1) != truth))
    own = np.take_along_axis(output[wrong], truth[wrong, None], axis=1)[:, 0]
    at = wrong[np.lexsort((wrong, own))][:MOST]
    said = output.argmax(axis=1)
    rows = [(names[truth[n]], names[said[n]], float(output[n, truth[n]]), float(output[n, said[n]])) for n in at]
    captions = [f"{true}, said {answer} {chance:.2f}" for true, answer, _, chance in rows]
    head = ("true", "said", "chance of the true", "of the said")
    return _singled(source, "hardest", "Hardest clips: wrong, and the truth seemed unlikely", head, at, rows, captions)


def _often_wrong(source: Source) -> Singled | None:
    assert source.predictions is not None
    truth, output, clip_of = source.predictions.truth, source.predictions.output, source.predictions.clip_of
    known = truth >= 0
    own = np.take_along_axis(output, np.maximum(truth, 0)[:, None], axis=1)[:, 0]
    wrong = (output.argmax(axis=1) != truth).astype(float)
    frames = pd.DataFrame({"clip": clip_of, "wrong": wrong, "own": own})[known]
    clips = frames.groupby("clip").agg(wrong=("wrong", "mean"), own=("own", "mean"), frames=("own", "size"))
    kept = clips.sort_values(["wrong", "own"], ascending=[False, True], kind="stable").head(MOST)
    rows = [(float(one.wrong), float(one.own), int(one.frames)) for one in kept.itertuples()]  # type: ignore[arg-type]
    head = ("share of wrong frames", "mean chance of the true", "frames")
    captions = [f"{100 * share:.0f} % of frames wrong" for share, _, _ in rows]
    return _singled(source, "hardest", "Hardest clips", head, kept.index.to_numpy(), rows, captions)


def _far_off(source: Source) -> Singled | None:
    assert source.predictions is not None
    truth, output = source.predictions.truth, source.predictions.output[:, : source.predictions.truth.shape[1]]
    with np.errstate(invalid="ignore"):
        errors = pd.DataFrame(np.abs(output - truth)).groupby(source.predictions.clip_of).mean().mean(axis=1)
    kept = errors.dropna().sort_values(ascending=False, kind="stable").head(MOST)
    rows = [(float(value),) for value in kept]
    captions = [f"off by {value:.3f}" for value in kept]
    return _singled(source, "hardest", "Hardest clips", ("mean absolute error",), kept.index.to_numpy(), rows, captions)


def _singled(
    source: Source,
    name: str,
    title: str,
    head: tuple[str, ...],
    at: np.ndarray,
    rows: list[Any],
    captions: list[str],
    note: str = "",
) -> Singled | None:
    """``at`` numbers the clips in the order of the predictions."""
    assert source.predictions is not None
    ids = tuple(source.predictions.ids[number] for number in at)
    if not ids:
        return None
    lines = tuple((_clip(source, id_), *row) for id_, row in zip(ids, rows, strict=True))
    table = Table(name, title, ("clip", *head), lines, note, mark(source))
    return Singled(table, ids, tuple(captions))


def _by_clip(source: Source, values: Floats) -> Floats:
    """Mean over the frames of every clip: ``(F, ...)`` → ``(N, ...)``."""
    assert source.predictions is not None
    clip_of = source.predictions.clip_of
    sums = np.zeros((len(source.predictions.ids), *values.shape[1:]))
    np.add.at(sums, clip_of, values)
    return sums / np.bincount(clip_of, minlength=len(sums)).reshape(-1, *[1] * (values.ndim - 1))


def _clip(source: Source, id_: str) -> str:
    """A clip's file, with its id where other clips come from it, too."""
    if "path" not in source.table or "id" not in source.table:
        return id_
    clips = source.table.drop_duplicates("id")
    path = clips.loc[clips["id"].astype(str) == id_, "path"]
    if path.empty or path.iloc[0] == id_:
        return id_
    return str(path.iloc[0]) if (clips["path"] == path.iloc[0]).sum() == 1 else f"{path.iloc[0]} ({id_})"
