"""What preparation has done so far: one small record per source, so that a run can go on after any interruption."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from mien.data.gather import Source
from mien.data.openface import table_of
from mien.data.settings import PrepareSettings
from mien.files import complete

_FORMAT = 3  # of what a record says of a clip; those of another format are made anew


class Record(BaseModel):
    """What came of one source.

    Attributes:
        id, source: of the source.
        status: ``ok``; ``no face``: it was read and shows none; ``failed``: it could not be read.
        reason: one line where there is no clip.
        clips: what the manifest says of each clip.
        fingerprint: of the source file and the settings; a record made from something else does not count.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    source: str
    status: Literal["ok", "no face", "failed"]
    reason: str = ""
    clips: tuple[dict[str, Any], ...] = ()
    fingerprint: str = ""


class Journal:
    """Records under ``<out>/.journal``, each written whole or not at all."""

    def __init__(self, out: Path, settings: PrepareSettings) -> None:
        self.out = out
        self._settings = settings.model_dump_json()

    def done(self, source: Source) -> Record | None:
        """The record of a source that is finished: same file, same settings, and all its clips are there."""
        try:
            record = Record.model_validate_json(self._file(source).read_text())
        except (OSError, ValidationError):
            return None
        if record.status == "failed" or record.fingerprint != self.fingerprint(source):
            return None
        return record if all(self._is_there(clip) for clip in record.clips) else None

    def write(self, source: Source, record: Record) -> Record:
        """Keep a record; clips of an older one that the new one does not name are removed."""
        record = record.model_copy(update={"fingerprint": self.fingerprint(source)})
        for name in self._files(self._older(source)) - self._files(record):
            (self.out / name).unlink(missing_ok=True)
        with complete(self._file(source)) as part:
            part.write_text(record.model_dump_json() + "\n")
        return record

    def fingerprint(self, source: Source) -> str:
        """Digest of the settings and of what is read: names, sizes and times of change, stretch, columns."""
        row = source.row
        files = [_stamp(path) for path in (row.path, row.audio, row.labels)]
        if source.aligned is not None:
            files += [_stamp(source.aligned), _stamp(table_of(source.aligned))]
        facts = [_FORMAT, self._settings, source.name, row.start, row.end, row.fps, source.labelled, files]
        return hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()[:32]

    def _older(self, source: Source) -> Record | None:
        try:
            return Record.model_validate_json(self._file(source).read_text())
        except (OSError, ValidationError):
            return None

    def _files(self, record: Record | None) -> set[str]:
        clips = record.clips if record is not None else ()
        return {str(clip[key]) for clip in clips for key in ("path", "labels") if clip.get(key)}

    def _is_there(self, clip: dict[str, Any]) -> bool:
        """Sizes too: after a power cut a file may have its name and nothing in it."""
        files = {name: self.out / str(clip[name]) for name in ("path", "labels") if name in clip}
        return all(file.is_file() and file.stat().st_size == clip["bytes"][name] for name, file in files.items())

    def _file(self, source: Source) -> Path:
        name = hashlib.sha256(source.id.encode()).hexdigest()[:24]
        return self.out / ".journal" / name[:2] / f"{name}.json"


def _stamp(path: Path | None) -> list[Any]:
    if path is None:
        return []
    try:
        found = path.stat()
    except OSError:
        return [str(path)]
    return [str(path), found.st_size, found.st_mtime_ns]
