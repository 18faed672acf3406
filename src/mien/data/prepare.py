"""Raw recordings → face clips and a manifest: over processes, resumable at any point, the same result every time."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from mien.data.cluster import map_cluster
from mien.data.cutting import Follow, cut_faces, wants_main
from mien.data.gather import Source, gather
from mien.data.journal import Journal, Record
from mien.data.manifest import Manifest
from mien.data.openface import AlignedFolders, follow_aligned
from mien.data.pool import map_processes
from mien.data.searching import follow_alone
from mien.data.settings import PrepareSettings
from mien.data.tables import write_table
from mien.data.windowing import follow_window
from mien.errors import MienError
from mien.faces import Detector, FaceTracker
from mien.files import write_json
from mien.lock import alone
from mien.memory import out_of_memory, smaller

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class PrepareReport:
    """What came of a preparation.

    Attributes:
        out: folder with ``manifest.csv``, ``report.json``, ``report.csv`` and ``clips/``.
        records: one for each source, in the order of the inputs.
    """

    out: Path
    records: tuple[Record, ...]

    @property
    def manifest(self) -> Path:
        """Table of the clips; absent where no input gave one."""
        return self.out / "manifest.csv"

    @property
    def clips(self) -> int:
        """Number of clips of all sources."""
        return sum(len(record.clips) for record in self.records)

    def with_status(self, status: str) -> list[Record]:
        """Records that are ``ok``, ``no face`` or ``failed``."""
        return [record for record in self.records if record.status == status]

    def summary(self) -> dict[str, Any]:
        """Counts, and each source without clips with the reason."""
        return {
            "sources": len(self.records),
            "clips": self.clips,
            **{name.replace(" ", "_"): len(self.with_status(name)) for name in ("ok", "no face", "failed")},
            "without_clips": [
                {"source": record.source, "status": record.status, "reason": record.reason}
                for record in self.records
                if not record.clips
            ],
        }


def prepare(
    inputs: Sequence[Path | str],
    out: Path | str,
    settings: PrepareSettings | None = None,
    jobs: int | None = 1,
    progress: Progress | None = None,
    engine: Literal["processes", "ray"] = "processes",
    address: str | None = None,
    aligned: AlignedFolders | Path | str | None = None,
) -> PrepareReport:
    """Cut the faces of raw recordings into clips.

    Clips, manifest and report depend on inputs and settings alone: not on ``jobs`` or ``engine``, the order in which
    work was done, or interruptions. Called again with the same folder it goes on where it was stopped, and does only
    what is new.
    What cannot be read is listed in the report with the reason.

    Args:
        inputs: recordings, folders of them, or manifests. Targets, subjects, splits and label files are carried over.
        out: folder for the results; made where it is missing.
        settings: how faces are cut.
        jobs: processes; see ``mien.data.pool.map_processes`` on scripts. None: as many as there are processors.
        progress: called with (sources finished, sources in all).
        engine: over processes of this machine, or over the machines of a Ray cluster, which see the same files.
        address: of the cluster, see ``mien.data.cluster.map_cluster``.
        aligned: where OpenFace wrote its results; its pictures are the clips, and no face is looked for. See
            ``mien.data.openface``; with its ``AlignedFolders.side`` as ``crop.size`` and ``exact`` no pixel changes.

    Raises:
        UsageError: an input does not exist, ``out`` is in use by another preparation, or there is no such cluster.
        MienError: ``out`` cannot be written, or no clip came of any input.
    """
    settings = settings or PrepareSettings()
    out = Path(out).absolute()
    sources = gather(inputs, out.resolve())
    if aligned is not None:
        found = aligned if isinstance(aligned, AlignedFolders) else AlignedFolders.find(aligned)
        sources = found.attach(sources)
    journal = Journal(out, settings)
    with alone(out):
        shutil.rmtree(out / ".work", ignore_errors=True)
        records = {source.id: record for source in sources if (record := journal.done(source)) is not None}
        todo = [source for source in sources if source.id not in records]
        tell = progress or (lambda finished, total: None)
        tell(len(records), len(sources))
        work = partial(_work, out=out, settings=settings, jobs=jobs or os.cpu_count() or 1)
        if engine == "ray":
            results = map_cluster(work, todo, jobs, address, _crashed) if todo else iter(())
        else:
            results = map_processes(work, todo, jobs or os.cpu_count() or 1, _crashed)
        for source, record in results:
            records[source.id] = journal.write(source, record)
            tell(len(records), len(sources))
        shutil.rmtree(out / ".work", ignore_errors=True)
        report = PrepareReport(out, tuple(records[source.id] for source in sources))
        _write_results(report, sources, settings)
    if not report.clips:
        inputs = "1 input" if len(sources) == 1 else f"{len(sources):,} inputs"
        raise MienError(f"no clip came of {inputs}: {report.records[0].reason} (all in {out / 'report.csv'})")
    return report


def _work(source: Source, out: Path, settings: PrepareSettings, jobs: int = 1) -> Record:
    """Cut one source, in whatever process this is."""
    follow = follow_aligned if source.aligned is not None else _follower(settings)
    try:
        clips = cut_faces(source, out, settings, follow)
    except MienError as error:
        return _failed(source, str(error))
    except Exception as error:  # one odd file must not end the work on a million others; it is reported, not hidden
        remedy = smaller(1, 1, "cpu", *([f"--jobs {jobs // 2}"] if jobs > 1 else []))
        full = out_of_memory(error, f"with {jobs} recording{'s' if jobs > 1 else ''} at once", remedy)
        if full is not None:
            return _failed(source, f"{source.row.path}: {full}")
        return _failed(source, f"internal error, please report it ({type(error).__name__}: {error})")
    if not clips:
        return Record(id=source.id, source=source.name, status="no face", reason=_unseen(source, settings))
    return Record(id=source.id, source=source.name, status="ok", clips=tuple(clips))


def _unseen(source: Source, settings: PrepareSettings) -> str:
    """What it means that a recording gave no clip, so that users know what to change."""
    if source.aligned is not None:
        return f"{source.row.path}: OpenFace saw no face in any picture"
    if settings.search != "follow":
        return f"{source.row.path}: no face is found in any picture"
    brief = 0.0 if wants_main(source, settings) else settings.min_seconds
    return f"{source.row.path}: no upright face is in sight for {max(brief, settings.tracking.min_length):g} s or more"


def _failed(source: Source, reason: str) -> Record:
    return Record(id=source.id, source=source.name, status="failed", reason=" ".join(reason.split()))


def _crashed(source: Source) -> Record:
    return _failed(source, f"{source.row.path}: the process that read it died twice (damaged file, or out of memory)")


def _follower(settings: PrepareSettings) -> Follow:
    """A fresh tracker; the detector's networks are loaded once in a process. A fixed window needs neither."""
    if settings.window is not None:
        return partial(follow_window, settings.window)
    if settings.search != "follow":
        return partial(follow_alone, _detector(settings.min_face), settings.search, settings.min_face or 0)
    return FaceTracker(_detector(settings.min_face), settings.tracking).follow


@cache
def _detector(min_face: int | None) -> Detector:
    from mien.faces import MTCNN  # torch: only processes that look for faces need it

    return MTCNN(min_face=min_face)


def _write_results(report: PrepareReport, sources: Sequence[Source], settings: PrepareSettings) -> None:
    rows = [
        {**_leading(clip, source), **{name: clip[name] for name in _QUALITY}}
        for source, record in zip(sources, report.records, strict=True)
        for clip in record.clips
    ]
    if rows:
        Manifest(pd.DataFrame(rows), report.out).write(report.manifest)
    else:
        report.manifest.unlink(missing_ok=True)
    table = [(record.source, record.status, len(record.clips), record.reason) for record in report.records]
    write_table(pd.DataFrame(table, columns=["source", "status", "clips", "reason"]), report.out / "report.csv")
    content = {**report.summary(), "settings": settings.model_dump(mode="json")}
    write_json(report.out / "report.json", content)


_QUALITY = (
    *("source", "source_start", "source_end", "track", "frames", "face_share", "face_size", "face_score"),
    *("sharpness", "light", "loudness"),
)


def _leading(clip: dict[str, Any], source: Source) -> dict[str, Any]:
    """What training needs of a clip; clips of one recording stay in one group unless the input says otherwise."""
    labels = {"labels": clip["labels"]} if "labels" in clip else {}
    return {"id": clip["id"], "path": clip["path"], "group": source.name, **labels, **source.values}
