"""Streams of a whole corpus: clip by clip into parts on disk, so that work goes on where it stopped; then one store."""

from __future__ import annotations

import json
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from mien.data.manifest import Manifest
from mien.data.streams import Stream, StreamStore, write_store
from mien.errors import MienError, OutOfMemory, UsageError
from mien.extraction.contract import Extractor
from mien.extraction.material import Material
from mien.extraction.timing import STEPS
from mien.files import check_file, complete
from mien.lock import alone
from mien.models.specification import StreamInput

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ExtractReport:
    """What became of an extraction: the store, clips, streams by name, and clips without a stream by reason."""

    store: Path
    clips: int
    streams: Mapping[str, StreamInput]
    failures: Mapping[str, Mapping[str, str]]


def extract(
    manifest: Manifest,
    extractors: Mapping[str, Extractor],
    store: Path | str,
    jobs: int = 1,
    steps: int = STEPS,
    progress: Progress | None = None,
) -> ExtractReport:
    """Extract streams of every clip into a store; streams that it holds already and that are not asked for stay.

    Every finished clip lies in ``<store>.parts`` until all are done: a run that was killed goes on with the rest, and
    the store then has the same bytes. A clip that cannot be read, or lacks a modality, is listed with its reason.

    Args:
        manifest: the corpus.
        extractors: by stream name.
        store: file to write.
        jobs: clips that are worked on side by side.
        steps: moments per clip.
        progress: told how many of how many clips are done.

    Raises:
        MienError: no clip gave any stream, or the disk refuses.
        UsageError: ``store`` is a folder or no store, another process extracts into it, or the parts of an extraction
            with other settings lie there.
    """
    described = {
        name: StreamInput(name=name, width=one.width, steps=steps, extractor=one.described, revision=one.revision)
        for name, one in extractors.items()
    }
    store = Path(store)
    parts = store.with_name(f"{store.name}.parts")
    check_file(store)
    if store.exists():
        try:
            StreamStore(store)
        except MienError:
            raise UsageError(f"{store} is there and is no store of streams; choose another, or remove it") from None
    with alone(parts):
        _begin(parts, described, manifest)
        work = _side_by_side(manifest, lambda id_: _one(manifest, id_, extractors, parts, steps, jobs), jobs)
        for done, _ in enumerate(work, start=1):
            if progress is not None:
                progress(done, len(manifest))
        report = _join(manifest.ids, described, parts, store)
        shutil.rmtree(parts)
    return report


def _begin(parts: Path, described: Mapping[str, StreamInput], manifest: Manifest) -> None:
    """A folder of parts belongs to one set of extractors over one table."""
    plan = {"streams": {name: one.model_dump() for name, one in described.items()}, "clips": sorted(manifest.ids)}
    text = json.dumps(plan, sort_keys=True)
    noted = parts / "plan.json"
    if noted.is_file():
        if noted.read_text() != text:
            raise UsageError(
                f"{parts} holds a half-done extraction of other features or clips; finish it or remove the folder"
            )
        return
    with complete(noted) as part:
        part.write_text(text)


def _side_by_side(manifest: Manifest, work: Callable[[str], None], jobs: int) -> Iterator[None]:
    """Clips in the order of the table, a few at a time, so that memory does not grow with the corpus."""
    waiting: deque[Future[None]] = deque()
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        try:
            for id_ in manifest.ids:
                waiting.append(pool.submit(work, id_))
                if len(waiting) > 2 * jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _file(parts: Path, id_: str) -> Path:
    return parts / f"{sha256(id_.encode()).hexdigest()[:24]}.npz"


def _one(manifest: Manifest, id_: str, extractors: Mapping[str, Extractor], parts: Path, steps: int, jobs: int) -> None:
    path = _file(parts, id_)
    if path.is_file():
        return
    clip = Material(manifest.row(id_), steps)
    arrays: dict[str, np.ndarray] = {}
    failures: dict[str, str] = {}
    for name, extractor in extractors.items():
        try:
            found = extractor.of(clip, jobs)
        except (UsageError, OutOfMemory):  # true of every clip alike
            raise
        except MienError as error:
            failures[name] = str(error)
            continue
        arrays[f"{name}/values"], arrays[f"{name}/times"] = found.values, found.times
    arrays["failures"] = np.frombuffer(json.dumps(failures).encode(), dtype=np.uint8)
    with complete(path) as part, part.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def _join(ids: Sequence[str], described: Mapping[str, StreamInput], parts: Path, store: Path) -> ExtractReport:
    content: dict[tuple[str, str], Stream] = {}
    failures: dict[str, dict[str, str]] = {name: {} for name in described}
    streams = dict(described)
    if store.is_file():
        old = StreamStore(store)
        for name in old.streams.keys() - described.keys():
            streams[name], failures[name] = old.streams[name], old.failures.get(name, {})
            content |= {(name, id_): found for id_ in old.ids(name) if (found := old.read(name, id_)) is not None}
    for id_ in ids:
        with np.load(_file(parts, id_), allow_pickle=False) as part:
            for name, reason in json.loads(part["failures"].tobytes()).items():
                failures[name][id_] = reason
            for name in described:
                if f"{name}/values" in part:
                    content[name, id_] = Stream(part[f"{name}/values"], part[f"{name}/times"])
    if not content:
        reasons = [reason for by_clip in failures.values() for reason in by_clip.values()]
        raise MienError(f"no clip gave any feature; the first: {reasons[0] if reasons else 'there are no clips'}")
    failures = {name: by_clip for name, by_clip in failures.items() if by_clip}
    write_store(store, streams, content, failures)
    return ExtractReport(store, len(ids), streams, failures)
