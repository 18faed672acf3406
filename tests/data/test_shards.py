"""Shards: the same batches as from files, on disk and over the net, for any number of workers; damage told plainly."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from mien.data import shards as module
from mien.data.augment import Augmented
from mien.data.clips import read_views
from mien.data.dataset import ClipDataset
from mien.data.loader import Batch, ClipLoader
from mien.data.manifest import Manifest
from mien.data.order import EpochOrder
from mien.data.packing import pack
from mien.data.protocol import Protocol
from mien.data.sampling import RandomWindow
from mien.data.settings import AugmentationSettings, ProtocolSettings
from mien.data.shards import holding, members
from mien.data.targets import TargetSpec
from mien.errors import MienError, UsageError
from mien.models.specification import Inputs, SoundInput, VideoInput

VIDEO = VideoInput(frames=4, stride=2, size=32, crop=None)
INPUTS = Inputs(video=VIDEO, sound=SoundInput(rate=8000, features="waveform"))
VALENCE = TargetSpec(("valence",), level="frame")


@pytest.fixture(scope="module")
def packed(corpus: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return pack(corpus, tmp_path_factory.mktemp("shards") / "packed")


@pytest.fixture
def address(packed: Manifest) -> Iterator[str]:
    """The packed corpus behind a web server that knows ranges; the first request for a clip fails, as storage may."""
    asked: set[str] = set()

    class Storage(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = (packed.root / self.path.lstrip("/")).read_bytes()
            wanted = self.headers.get("Range", "bytes=0-")
            if "shard" in self.path and wanted not in asked:
                asked.add(wanted)
                self.send_error(503)
                return
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            data = data[int(first) : int(last) + 1 if last else None]
            self.send_response(206 if "Range" in self.headers else 200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Storage) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/manifest.csv"
        server.shutdown()


def batches(manifest: Manifest, workers: int = 0, cache: int = 0) -> list[Batch]:
    transform = Augmented(INPUTS, AugmentationSettings(contrast=0.2))
    data = ClipDataset(manifest, manifest.ids, INPUTS, RandomWindow(2), transform, VALENCE, seed=1, cache=cache)
    loader = ClipLoader(data, EpochOrder(1, len(data), 3), workers)
    return [*loader, *loader]


def assert_same(one: list[Batch], other: list[Batch]) -> None:
    for first, second in zip(one, other, strict=True):
        assert first["ids"] == second["ids"]
        assert len(first["ids"]) == 3
        for name in ("video", "sound", "sound_present", "target", "times"):
            assert torch.equal(first[name].nan_to_num(9.0), second[name].nan_to_num(9.0)), name


def test_ids_and_split_are_those_of_the_corpus(corpus: Manifest, packed: Manifest) -> None:
    assert packed.ids == corpus.ids
    settings = ProtocolSettings(by="subject", fold=0, folds=2)
    assert Protocol.from_manifest(packed, settings).digest == Protocol.from_manifest(corpus, settings).digest


def test_batches_are_those_of_the_files(corpus: Manifest, packed: Manifest) -> None:
    expected = batches(corpus)
    assert_same(batches(packed), expected)
    assert_same(batches(packed, workers=2, cache=8), expected)


def test_batches_come_the_same_over_the_net(corpus: Manifest, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE", 0.0)
    assert_same(batches(Manifest.read(address), workers=2), batches(corpus))


def test_a_batch_is_fetched_at_once_and_let_go(packed: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    fetch = module._fetch
    monkeypatch.setattr(module, "_fetch", lambda extents: calls.append(len(extents)) or fetch(extents))
    batches(packed)
    assert sum(count > 0 for count in calls) == 10
    assert max(calls) == 3  # a clip that comes twice in a batch is read once
    assert not module._HELD


def test_shards_are_tar_files_in_the_webdataset_form(corpus: Manifest, packed: Manifest) -> None:
    with tarfile.open(packed.root / "shard-00000.tar") as tar:
        names = tar.getnames()
        keys = [name.partition(".")[0] for name in names]
        assert sorted(set(keys)) == sorted(corpus.ids)
        assert [key for at, key in enumerate(keys) if key != keys[at - 1]] == list(dict.fromkeys(keys))
        for id_ in corpus.ids:
            row = corpus.row(id_)
            stored = tar.extractfile(f"{id_}.mp4")
            assert stored is not None
            assert stored.read() == row.path.read_bytes()
            told = tar.extractfile(f"{id_}.json")
            assert told is not None
            assert json.load(told)["rows"][0]["subject"] == row.subject


def test_packing_twice_gives_the_same_bytes(corpus: Manifest, packed: Manifest, tmp_path: Path) -> None:
    again = pack(corpus, tmp_path / "again")
    for name in ("shard-00000.tar", "manifest.csv"):
        assert (again.root / name).read_bytes() == (packed.root / name).read_bytes()
    with pytest.raises(UsageError, match="holds a corpus already"):
        pack(corpus, tmp_path / "again")
    with pytest.raises(UsageError, match="lies in shards already"):
        pack(again, tmp_path / "third")


def test_a_killed_packing_goes_on_behind_its_last_whole_shard(tmp_path: Path) -> None:
    """Killed for good while the third shard is written; changed files and other sizes are packed anew."""
    rows = [{"id": f"c{number:02d}", "path": f"{number}.mp4"} for number in range(20)]
    for number, row in enumerate(rows):
        (tmp_path / row["path"]).write_bytes(np.random.default_rng(number).bytes(300_000))
    pd.DataFrame(rows).to_csv(tmp_path / "manifest.csv", index=False)
    manifest = Manifest.read(tmp_path / "manifest.csv")
    whole = contents(pack(manifest, tmp_path / "whole", 1))
    script = """
import os, signal, sys
from pathlib import Path
from mien.data import packing
from mien.data.manifest import Manifest
read, count = packing._read, []
def dies(source):
    count.append(source)
    if len(count) == 10:
        os.kill(os.getpid(), signal.SIGKILL)
    return read(source)
packing._read = dies
packing.pack(Manifest.read(sys.argv[1]), sys.argv[2], 1)
"""
    out = tmp_path / "out"
    run = subprocess.run([sys.executable, "-c", script, str(tmp_path / "manifest.csv"), str(out)], check=False)
    assert run.returncode == -signal.SIGKILL
    assert {path.name for path in out.glob("shard*")} == {"shard-00000.tar", "shard-00001.tar", "shard-00002.tar.part"}
    shutil.copytree(out, tmp_path / "other")
    kept = (out / "shard-00001.tar").stat().st_ino
    (out / "shard-00009.tar").write_bytes(b"left by a packing into smaller shards")
    assert contents(pack(manifest, out, 1)) == whole
    assert (out / "shard-00001.tar").stat().st_ino == kept
    with tarfile.open(out / "shard-00000.tar") as shard:
        first = int(shard.getnames()[0][1:3])
    (tmp_path / f"{first}.mp4").write_bytes(bytes(300_000))
    assert contents(pack(manifest, tmp_path / "other", 1)) == contents(pack(manifest, tmp_path / "anew", 1)) != whole


def contents(packed: Manifest) -> dict[str, bytes]:
    """Everything in a folder of shards."""
    return {str(path.relative_to(packed.root)): path.read_bytes() for path in packed.root.rglob("*") if path.is_file()}


def test_folders_of_frames_and_shared_recordings(corpus: Manifest, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    folder = tmp_path / "frames/clip.one"
    folder.mkdir(parents=True)
    for number in range(12):
        Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    film, sound = corpus.row(corpus.ids[6]).path, corpus.row(corpus.ids[0]).path
    rows = [
        {"id": "frames/a b", "path": "frames/clip.one", "fps": 25.0, "audio": str(sound)},
        {"id": "first", "path": str(film), "start": 0.0, "end": 0.6},
        {"id": "second", "path": str(film), "start": 0.6, "end": 1.2},
    ]
    manifest = Manifest(pd.DataFrame(rows), tmp_path)
    packed = pack(manifest, tmp_path / "packed")
    for id_ in manifest.ids:
        one, other = (
            read_views(kept.row(id_), INPUTS, RandomWindow(), np.random.default_rng(3)) for kept in (manifest, packed)
        )
        assert np.array_equal(one.clips[0].frames, other.clips[0].frames)
        assert one.clips[0].sound is not None
        assert np.array_equal(one.clips[0].sound, other.clips[0].sound)
    extents = [packed.row(id_).extent for id_ in ("first", "second")]
    assert extents[0] == extents[1] is not None
    assert packed.column("path")["first"] == packed.column("path")["second"]


def test_full_shards_are_closed(corpus: Manifest, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.mkdir()
    frame = corpus.frame.copy()
    frame["path"] = [f"{number}.mp4" for number in range(len(frame))]
    for number in range(len(frame)):
        (big / f"{number}.mp4").write_bytes(bytes(600_000))
    packed = pack(Manifest(frame.drop(columns="labels"), big), tmp_path / "out", shard_mib=1)
    assert [path.name for path in sorted((tmp_path / "out").glob("*.tar"))] == [f"shard-0000{n}.tar" for n in range(4)]
    second = 512 + 600_064 + 1024  # header and whole blocks of the first recording, header and block of its rows
    assert {extent.offset for id_ in packed.ids if (extent := packed.row(id_).extent)} == {0, second}


def test_a_replaced_or_cut_shard_fails_its_clips_alone(packed: Manifest, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(packed.root, folder)
    shard = folder / "shard-00000.tar"
    manifest = Manifest.read(folder / "manifest.csv")
    rows = sorted((manifest.row(id_) for id_ in manifest.ids), key=lambda row: row.extent.offset if row.extent else 0)
    last = rows[-1].extent
    assert last is not None
    shard.write_bytes(shard.read_bytes()[: last.offset + 1000])
    data = ClipDataset(manifest, manifest.ids, INPUTS, RandomWindow(), Augmented(INPUTS, AugmentationSettings()))
    loader = ClipLoader(data, EpochOrder(0, 8, 4, shuffle=False), max_unreadable=0.5)
    read = [id_ for batch in loader for id_ in batch["ids"]]
    assert sorted([*read, rows[-1].id]) == sorted(manifest.ids)
    assert "1000 of" in loader.failures[rows[-1].id].reason
    with pytest.raises(MienError, match="of another packing than the manifest"):
        members(replace(last, offset=0, key="other", size=2048))
    shard.unlink()
    with holding([last]), pytest.raises(MienError, match=r"shard-00000.tar: cannot be read \(No such file"):
        members(last)


def test_what_cannot_be_packed_is_refused(corpus: Manifest, tmp_path: Path) -> None:
    rows = [{"id": "gone", "path": "gone.mp4"}]
    with pytest.raises(MienError, match=r"row 'gone'.*no such file.*every clip is packed"):
        pack(Manifest(pd.DataFrame(rows), tmp_path), tmp_path / "out")
    assert not (tmp_path / "out/manifest.csv").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"offset": [1.5], "bytes": [3]}, "not a number of bytes"),
        ({"offset": [0]}, "none 'bytes'"),
        ({"offset": [None], "bytes": [1], "path": ["s3://a/b.mp4"]}, "not a file name"),
    ],
)
def test_wrong_places_are_refused(change: dict[str, list[object]], message: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"path": ["shard-0.tar/a.mp4"], **change})
    with pytest.raises(UsageError, match=message):
        Manifest(frame, tmp_path)


def test_an_address_without_shards_is_refused(corpus: Manifest, tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("path\na.mp4\n")
    with pytest.raises(UsageError, match="only shards are read from an address"):
        Manifest.read(f"file://{tmp_path}/manifest.csv")
    with pytest.raises(MienError, match="cannot be read"):
        Manifest.read(f"file://{tmp_path}/none.csv")
