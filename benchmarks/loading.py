"""Training clips per second, 16 frames of 160 px with crop, mirror, colour and erasing, from every kind of store.

    python benchmarks/loading.py [--clips 64] [--workers 2] [--rounds 3] [--json loading.json]

The same pictures as MP4 clips as ``mien prepare`` writes them (every picture decodes alone, and with 8 from one such to
the next), as shards of the former, and as folders of JPEG frames; and the folders through two plain loaders, as papers'
code has them: picture by picture with Pillow, and with OpenCV, the same changes with the same chances. All loaders run
in torch's DataLoader with equally many worker processes, one after the other in every round; figures are medians.
"CPU ms" is what a clip costs one processor in one process, which other work on the machine disturbs little. Then memory
of a worker over epochs, and the time that a step of a base model waits for its data.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
from PIL import Image, ImageEnhance
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mien.data.augment import Augmented
from mien.data.boxes import area_box, erase_box
from mien.data.dataset import ClipDataset
from mien.data.finish import finish
from mien.data.loader import ClipLoader
from mien.data.manifest import Manifest
from mien.data.order import EpochOrder
from mien.data.packing import pack
from mien.data.sampling import RandomWindow
from mien.data.settings import AugmentationSettings
from mien.data.synthetic import SyntheticSettings, synthesise
from mien.media import VideoReader, VideoWriter
from mien.models.specification import Inputs, VideoInput

FRAMES, STRIDE, SIZE, BATCH = 16, 4, 160, 8
SETTINGS = AugmentationSettings(brightness=0.4, contrast=0.4, saturation=0.4, erase=0.25)
INPUTS = Inputs(video=VideoInput(frames=FRAMES, stride=STRIDE, size=SIZE, crop=None))


def make(folder: Path, clips: int) -> dict[str, Manifest]:
    """The same clips (100 pictures of animated faces each) in every form."""
    films = synthesise(folder / "films", SyntheticSettings(clips=8, subjects=8, seconds=4.0, fps=25, size=SIZE))
    rows: dict[str, list[str]] = {"MP4, every picture alone": [], "MP4, 1 of 8 alone": [], "frame folders": []}
    for number in range(clips):
        with VideoReader(films.row(films.ids[number % len(films)]).path) as video:
            pictures = [frame.image for frame in video.frames()]
        for name, gop in (("MP4, every picture alone", 1), ("MP4, 1 of 8 alone", 8)):
            rows[name].append(f"gop{gop}/{number}.mp4")
            (folder / f"gop{gop}").mkdir(exist_ok=True)
            with VideoWriter(folder / rows[name][-1], (SIZE, SIZE), 25.0, gop=gop, quick=True) as out:
                for picture in pictures:
                    out.write(picture)
        rows["frame folders"].append(f"frames/{number}")
        (folder / f"frames/{number}").mkdir(parents=True)
        for index, picture in enumerate(pictures):
            Image.fromarray(picture).save(folder / f"frames/{number}/{index:05d}.jpg", quality=95)
    made = {name: Manifest(pd.DataFrame({"path": paths}), folder) for name, paths in rows.items()}
    made["shards"] = pack(made["MP4, every picture alone"], folder / "shards")
    return made


class Ours:
    """Batches as a training step takes them: floats, everything done."""

    def __init__(self, manifest: Manifest, workers: int) -> None:
        data = ClipDataset(manifest, manifest.ids, INPUTS, RandomWindow(), Augmented(INPUTS, SETTINGS, later=True))
        self.loader = ClipLoader(data, EpochOrder(0, len(data), BATCH), workers)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for batch in self.loader:
            tensors = {name: value for name, value in batch.items() if isinstance(value, Tensor)}
            yield finish(tensors, INPUTS.video, "cpu")


class Plain(Dataset[Tensor]):
    """Folders of frames read picture by picture, each changed by itself with the clip's draws."""

    def __init__(self, manifest: Manifest, library: str) -> None:
        self.folders = [manifest.row(id_).path for id_ in manifest.ids]
        self.library = library
        video = INPUTS.video
        assert video is not None
        self.mean = torch.tensor(video.mean).view(3, 1, 1, 1)
        self.std = torch.tensor(video.std).view(3, 1, 1, 1)

    def __len__(self) -> int:
        return len(self.folders)

    def __getitem__(self, at: int) -> Tensor:
        rng = np.random.default_rng()
        files = sorted(self.folders[at].glob("*.jpg"))
        start = int(rng.integers(len(files) - (FRAMES - 1) * STRIDE))
        box = area_box(SIZE, SIZE, SETTINGS.crop_scale, SETTINGS.crop_ratio, rng)
        factors = 1.0 + 0.4 * rng.uniform(-1.0, 1.0, 3)
        change = self._pillow if self.library == "Pillow" else self._opencv
        flip = rng.random() < SETTINGS.flip
        pictures = [change(file, box, flip, factors) for file in files[start:][: FRAMES * STRIDE : STRIDE]]
        values = torch.from_numpy(np.stack(pictures)).permute(3, 0, 1, 2).float() / 255
        values = (values - self.mean) / self.std
        if rng.random() < SETTINGS.erase and (hole := erase_box(SIZE, SIZE, SETTINGS.erase_scale, rng)):
            top, left, height, width = hole
            values[:, :, top : top + height, left : left + width] = torch.randn(3, FRAMES, height, width)
        return values

    @staticmethod
    def _pillow(file: Path, box: tuple[int, int, int, int], flip: bool, factors: np.ndarray) -> np.ndarray:
        top, left, height, width = box
        picture = Image.open(file).convert("RGB").crop((left, top, left + width, top + height))
        picture = picture.resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        if flip:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        for enhancer, factor in zip(
            (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color), factors, strict=True
        ):
            picture = enhancer(picture).enhance(float(factor))
        return np.asarray(picture)

    @staticmethod
    def _opencv(file: Path, box: tuple[int, int, int, int], flip: bool, factors: np.ndarray) -> np.ndarray:
        top, left, height, width = box
        picture = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)[top : top + height, left : left + width]
        picture = cv2.resize(picture, (SIZE, SIZE))
        picture = cv2.flip(picture, 1) if flip else picture
        picture = cv2.convertScaleAbs(picture, alpha=factors[0])
        middle = float(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).mean())
        picture = cv2.convertScaleAbs(picture, alpha=factors[1], beta=(1.0 - factors[1]) * middle)
        grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        return cv2.addWeighted(picture, factors[2], grey, 1.0 - factors[2], 0)


def plain(manifest: Manifest, library: str, workers: int) -> Iterable[Any]:
    def start(_: int) -> None:
        torch.set_num_threads(1)
        cv2.setNumThreads(1)

    return DataLoader(
        Plain(manifest, library),
        BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        worker_init_fn=start,
    )


def rate(loader: Iterable[Any], clips: int) -> float:
    begun = time.perf_counter()
    for _ in loader:
        pass
    return clips / (time.perf_counter() - begun)


def cost(loader: Iterable[Any], clips: int) -> float:
    """Milliseconds of processor time of one clip, read in this process."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    begun = time.process_time()
    for _ in loader:
        pass
    return 1000 * (time.process_time() - begun) / clips


def private_mib(pid: int) -> float:
    """Memory that a process alone holds."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean", "Private_Dirty"))) / 1024


def memory(manifest: Manifest, epochs: int) -> list[float]:
    """Private MiB of a worker after each of several epochs."""
    loader = Ours(manifest, 1)
    found = []
    for _ in range(epochs):
        for _ in loader:
            pass
        worker = loader.loader._loader._iterator._workers[0]  # torch tells the workers' ids nowhere else
        found.append(private_mib(worker.pid))
    return found


def waits(manifest: Manifest, workers: int, steps: int) -> tuple[float, float]:
    """Seconds that steps of VideoMAE-B's pretraining took in all, and seconds of them spent waiting for clips."""
    from mien.pretext import create_pretext

    assert INPUTS.video is not None
    pretext = create_pretext("masked_autoencoder", "videomae_base", {"frames": FRAMES, "size": SIZE}, INPUTS.video, {})
    extras = pretext.extras
    data = ClipDataset(manifest, manifest.ids, INPUTS, RandomWindow(), Augmented(INPUTS, SETTINGS), extras=extras)
    batches = iter(ClipLoader(data, EpochOrder(0, len(data), BATCH), workers))
    next(batches)
    begun, waited = time.perf_counter(), 0.0
    for _ in range(steps):
        asked = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - asked
        loss, _ = pretext.loss(batch)
        loss.backward()
    return time.perf_counter() - begun, waited


def compare(
    ways: dict[str, Callable[[int], Iterable[Any]]], clips: int, workers: int, rounds: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Medians of clips per second with workers, and of processor milliseconds of a clip in one process."""
    helped = {name: make(workers) for name, make in ways.items()}
    alone = {name: make(0) for name, make in ways.items()}
    for loader in helped.values():
        rate(loader, clips)  # workers start, files come into memory
    rates: dict[str, list[float]] = {name: [] for name in ways}
    costs: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name in ways:
            rates[name].append(rate(helped[name], clips))
            costs[name].append(cost(alone[name], clips))
    return (
        {name: statistics.median(found) for name, found in rates.items()},
        {name: statistics.median(found) for name, found in costs.items()},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3, help="of the base model; 0 leaves it out")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = make(Path(folder), options.clips)
        ways: dict[str, Callable[[int], Iterable[Any]]] = {
            name: partial(Ours, manifest) for name, manifest in made.items()
        }
        for library in ("Pillow", "OpenCV"):
            ways[f"plain {library}"] = partial(plain, made["frame folders"], library)
        rates, costs = compare(ways, options.clips, options.workers, options.rounds)
        print(f"{'':26} {'clips/s':>8} {'x Pillow':>9} {'x OpenCV':>9} {'CPU ms':>8} {'x Pillow':>9} {'x OpenCV':>9}")
        for name in ways:
            by = [rates[name] / rates[f"plain {library}"] for library in ("Pillow", "OpenCV")]
            cheaper = [costs[f"plain {library}"] / costs[name] for library in ("Pillow", "OpenCV")]
            print(
                f"{name:26} {rates[name]:8.1f} {by[0]:9.2f} {by[1]:9.2f} "
                f"{costs[name]:8.2f} {cheaper[0]:9.2f} {cheaper[1]:9.2f}"
            )
        grown = memory(made["MP4, every picture alone"], 8)
        print("MiB of a worker after each epoch: " + ", ".join(f"{value:.1f}" for value in grown))
        result: dict[str, Any] = {"workers": options.workers, "clips": options.clips, "clips_per_second": rates}
        result |= {"cpu_ms": costs, "worker_mib": grown}
        if options.steps:
            took, waited = waits(made["MP4, every picture alone"], options.workers, options.steps)
            print(
                f"VideoMAE-B, {options.steps} steps of {BATCH} clips: {took:.1f} s, of it {waited / took:.2%} waiting"
            )
            result["base_model"] = {"seconds": took, "waited": waited}
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
