"""A corpus of many small files → a few tar shards in the WebDataset form, and a manifest that says where clips lie.

A sample is what stands together under one key: ``<key>.mp4`` (or whatever the recording is; ``<key>.<number>.jpg`` for
a folder of frames), ``<key>.audio.<suffix>``, ``<key>.labels.csv`` and ``<key>.json`` with the manifest's rows. The
files' bytes are not changed. Every reader of that form can stream the shards; mien finds each clip by the manifest's
columns ``offset`` and ``bytes``, so that training may take clips in any order.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mien.data.manifest import Manifest, Row
from mien.data.seeding import generator
from mien.data.sources import is_pictures, pictures_in
from mien.errors import MienError, UsageError
from mien.files import complete, write_json
from mien.lock import alone

Progress = Callable[[int, int], None]
Stretch = tuple[int, int]  # offset and bytes
SHARD_MIB = 256
_JOURNAL = ".packing"  # a note for each whole shard, until the manifest is there
_BLOCK = 512  # bytes of a tar header; contents are filled up to whole blocks


@dataclass(frozen=True)
class Sample:
    """Files that are packed under one key, and the manifest's rows that are cut from them.

    Attributes:
        key: name inside the shard, without dots.
        files: what follows the key in the name → file on disk.
        rows: row numbers of the manifest.
    """

    key: str
    files: dict[str, Path]
    rows: tuple[int, ...]


def pack(manifest: Manifest, out: Path | str, shard_mib: int = SHARD_MIB, progress: Progress | None = None) -> Manifest:
    """Copy a corpus into ``<out>/shard-00000.tar``, ... and write ``<out>/manifest.csv`` with the same ids.

    Rows that are cut from one recording share a sample. Clips come in an order drawn once, so that any few shards are a
    fair sample of the corpus. The same corpus gives the same bytes. The manifest is written last: a folder without it
    was interrupted, and packing again goes on behind the last whole shard. Shards of files that have changed since, or
    of another size, are written anew.

    Args:
        manifest: the corpus; every file must be there.
        out: folder for the shards, without a manifest so far.
        shard_mib: size in MiB at which a shard is closed.
        progress: called with (samples written, samples in all).

    Raises:
        UsageError: ``out`` holds a corpus already, another process packs into it, or the manifest is one of shards.
        MienError: a file cannot be read, or the shards cannot be written.
    """
    out = Path(out).absolute()
    if shard_mib < 1:
        raise UsageError(f"shards of {shard_mib} MiB hold nothing; give 1 or more")
    if (out / "manifest.csv").exists():
        raise UsageError(f"{out}: holds a corpus already; choose another folder, or remove it first")
    with alone(out):
        return _pack(manifest, out, shard_mib * 2**20, progress)


def _pack(manifest: Manifest, out: Path, limit: int, progress: Progress | None) -> Manifest:
    samples = _samples(manifest)
    order = generator(0, "packing").permutation(len(samples))
    values = _values(manifest)
    places: dict[int, tuple[str, int, int, Sample]] = {}
    names = []
    done = 0
    for number, chosen in enumerate(_shards([samples[at] for at in order], limit)):
        names.append(f"shard-{number:05d}.tar")
        stretches = _whole(out, names[-1], chosen, values) or _write(out, names[-1], chosen, values)
        for sample, (offset, size) in zip(chosen, stretches, strict=True):
            places |= dict.fromkeys(sample.rows, (names[-1], offset, size, sample))
        done += len(chosen)
        if progress is not None:
            progress(done, len(samples))
    for left in set(out.glob("shard-*.tar*")) - {out / name for name in names}:  # of an interrupted run
        left.unlink()
    packed = Manifest(_packed(manifest, places), out, str(out / "manifest.csv"))
    packed.write(out / "manifest.csv")
    shutil.rmtree(out / _JOURNAL, ignore_errors=True)
    return packed


def _samples(manifest: Manifest) -> list[Sample]:
    """One sample for each set of files, in the order of their first row's id."""
    groups: dict[tuple[Path, Path | None, Path | None], list[int]] = {}
    rows: dict[int, Row] = {}
    ids = manifest.ids
    for at in sorted(range(len(ids)), key=lambda at: ids[at]):
        row = manifest.row(ids[at])
        if row.extent is not None:
            raise UsageError(f"{manifest.name}: lies in shards already; pack the corpus that they were made from")
        groups.setdefault((row.path, row.audio, row.labels), []).append(at)
        rows[at] = row
    return [
        Sample(_key(ids[numbers[0]]), _files(rows[numbers[0]], manifest), tuple(numbers)) for numbers in groups.values()
    ]


def _key(id_: str) -> str:
    """The id, where it can be the beginning of a file's name; else what can be of it, told apart by a digest."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", id_)
    return id_ if plain == id_ and len(id_) <= 60 else f"{plain[:40]}-{hashlib.sha256(id_.encode()).hexdigest()[:12]}"


def _files(row: Row, manifest: Manifest) -> dict[str, Path]:
    if not row.path.exists():
        raise MienError(f"{manifest.name}: row {row.id!r}: {row.path}: no such file or folder; every clip is packed")
    files: dict[str, Path] = {}
    if is_pictures(row):
        for number, picture in enumerate(pictures_in(row.path)):
            files[f"{number:06d}{picture.suffix.lower()}"] = picture
    else:
        files[(row.path.suffix or ".bin")[1:].lower()] = row.path
    if row.audio is not None:
        files[f"audio{row.audio.suffix.lower()}"] = row.audio
    if row.labels is not None:
        files["labels.csv"] = row.labels
    return files


def _shards(samples: Sequence[Sample], limit: int) -> Iterator[list[Sample]]:
    """Samples of one shard after the other, each closed when it is full."""
    chosen: list[Sample] = []
    size = 0
    for sample in samples:
        chosen.append(sample)
        size += sum(_stat(file).st_size + 2 * _BLOCK for file in sample.files.values())
        if size >= limit:
            yield chosen
            chosen, size = [], 0
    if chosen:
        yield chosen


def _stat(file: Path) -> os.stat_result:
    try:
        return file.stat()
    except OSError as error:
        raise MienError(f"{file}: cannot be read ({error.strerror or error})") from error


def _whole(out: Path, name: str, samples: Sequence[Sample], values: list[dict[str, Any]]) -> list[Stretch] | None:
    """Where samples lie in a shard that an interrupted run finished; None where it is another one, or none."""
    try:
        told = json.loads((out / _JOURNAL / f"{name}.json").read_text())
        there = (out / name).stat().st_size
    except (OSError, ValueError):
        return None
    if told["bytes"] != there or told["made_of"] != _made_of(samples, values):
        return None
    return [(offset, size) for offset, size in told["stretches"]]


def _made_of(samples: Sequence[Sample], values: list[dict[str, Any]]) -> str:
    """Digest of what a shard is to hold: names, sizes and times of change of its files, and its rows."""
    digest = hashlib.sha256()
    for sample in samples:
        files = {name: _stat(file) for name, file in sample.files.items()}
        stamps = [(name, found.st_size, found.st_mtime_ns) for name, found in files.items()]
        digest.update(json.dumps([sample.key, stamps, [values[at] for at in sample.rows]]).encode())
    return digest.hexdigest()


def _write(out: Path, name: str, samples: Sequence[Sample], values: list[dict[str, Any]]) -> list[Stretch]:
    """Write a shard, and then a note of what it holds; offset and bytes of each sample."""
    stretches = []
    made_of = _made_of(samples, values)
    with complete(out / name) as part, part.open("wb") as file, tarfile.open(fileobj=file, mode="w") as tar:
        for sample in samples:
            offset = tar.offset
            rows = json.dumps({"rows": [values[at] for at in sample.rows]}, ensure_ascii=False).encode()
            for ending, source in sample.files.items():
                _add(tar, f"{sample.key}.{ending}", _read(source))
            _add(tar, f"{sample.key}.json", rows)
            stretches.append((offset, tar.offset - offset))
    told = {"made_of": made_of, "bytes": (out / name).stat().st_size, "stretches": stretches}
    write_json(out / _JOURNAL / f"{name}.json", told)
    return stretches


def _read(source: Path) -> bytes:
    try:
        return source.read_bytes()
    except OSError as error:
        raise MienError(f"{source}: cannot be read ({error.strerror or error})") from error


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a member that depends on its name and content alone: no owner, no time."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _values(manifest: Manifest) -> list[dict[str, Any]]:
    """The rows as JSON takes them, without what is empty and without the paths that the sample replaces."""
    records = manifest.frame.drop(columns=["path", "audio", "labels"], errors="ignore").to_dict("records")
    return [
        {
            str(name): getattr(value, "item", lambda value=value: value)()
            for name, value in row.items()
            if pd.notna(value)
        }
        for row in records
    ]


def _packed(manifest: Manifest, places: dict[int, tuple[str, int, int, Sample]]) -> pd.DataFrame:
    """The manifest with paths inside shards; recordings of one file stay recognisable as such by their equal paths."""
    frame = manifest.frame.copy()
    found = [places[at] for at in range(len(frame))]
    frame["path"] = [f"{shard}/{_recording(sample)}" for shard, _, _, sample in found]
    for column, ending in (("audio", "audio."), ("labels", "labels.")):
        if column in frame:
            frame[column] = [_member(shard, sample, ending) for shard, _, _, sample in found]
    frame["offset"] = [offset for _, offset, _, _ in found]
    frame["bytes"] = [size for _, _, size, _ in found]
    return frame


def _recording(sample: Sample) -> str:
    """Name of the recording inside the shard; of a folder of frames, the key alone."""
    first = next(iter(sample.files))
    return sample.key if re.fullmatch(r"\d{6}\.\w+", first) else f"{sample.key}.{first}"


def _member(shard: str, sample: Sample, ending: str) -> str | None:
    return next((f"{shard}/{sample.key}.{name}" for name in sample.files if name.startswith(ending)), None)
