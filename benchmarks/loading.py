"""Training clips per second, 16 frames of 160 px with crop, mirror, colour and erasing, from every kind of store.

    python benchmarks/loading.py [--clips 64] [--workers 2] [--rounds 5] [--folder DIR] [--json loading.json]

The same pictures as MP4 clips as ``mien prepare`` writes them (every picture decodes alone, and with 8 from one such to
the next), as shards of the former, and as folders of JPEG frames; the first again with ``data.cache``; and the folders
through two plain loaders, as papers' code has them: picture by picture with Pillow, and with OpenCV, the same changes
with the same chances. All loaders run in torch's DataLoader with equally many worker processes, one after the other in
every round, and end with the batch of normalised floats that a training step takes; figures are medians. "CPU ms" is
what a clip costs the processor in all processes together, which other work on the machine disturbs less. Then memory of
a worker over epochs, and the share of the time of pretraining and fine-tuning runs that their steps wait for data, as
their logs have it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import product
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
WINDOWS = 8  # of every clip in an epoch, so that its beginning and end weigh little
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

    def __init__(self, manifest: Manifest, workers: int, cache: int = 0) -> None:
        change = Augmented(INPUTS, SETTINGS, later=True)
        data = ClipDataset(manifest, manifest.ids, INPUTS, RandomWindow(WINDOWS), change, cache=cache)
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
        return WINDOWS * len(self.folders)

    def __getitem__(self, at: int) -> Tensor:
        rng = np.random.default_rng()
        files = sorted(self.folders[at // WINDOWS].glob("*.jpg"))
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


def workers_of(loader: Any) -> list[int]:
    """Process ids of a loader's workers, of which torch tells nowhere else."""
    inner = loader.loader._loader if isinstance(loader, Ours) else loader
    return [worker.pid for worker in inner._iterator._workers]


def processor_seconds(pids: Iterable[int]) -> float:
    """Processor time of this process and of others."""
    spent = time.process_time()
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        spent += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return spent


def run(loader: Iterable[Any], clips: int) -> tuple[float, float]:
    """Clips per second over one epoch, and milliseconds of processor time of a clip in all processes."""
    pids = workers_of(loader)
    begun, spent = time.perf_counter(), processor_seconds(pids)
    for _ in loader:
        pass
    return clips / (time.perf_counter() - begun), 1000 * (processor_seconds(pids) - spent) / clips


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
        found.append(private_mib(workers_of(loader)[0]))
    return found


STAGES = {
    "pretraining": {"pretext": {"kind": "masked_autoencoder"}},
    "fine-tuning": {"task": {"kind": "classification", "outputs": ["even", "odd"]}},
}


def trained(manifest: Manifest, model: str, stage: str, workers: int, steps: int, out: Path) -> dict[str, float]:
    """Training by ``mien``'s own loop; from its log, without the first step, during which workers start."""
    from mien.training import fit
    from mien.training.recipe import load_recipe

    sides = ["odd" if number % 2 else "even" for number in range(len(manifest))]
    frame = pd.DataFrame({"path": [str(manifest.row(id_).path) for id_ in manifest.ids], "split": "train"})
    frame.assign(label=sides).to_csv(out / "manifest.csv", index=False)
    recipe = {
        "name": "loading",
        "data": {
            "manifest": str(out / "manifest.csv"),
            "sampling": {"frames": FRAMES, "stride": STRIDE, "size": SIZE},
            "batch": BATCH,
            "workers": workers,
        },
        "augmentation": SETTINGS.model_dump(mode="json"),
        "model": {"name": model, "arguments": {"frames": FRAMES, "size": SIZE}},
        "optimiser": {"lr": 1e-5},
        "schedule": {"steps": steps, "warmup_steps": 0},
        "intervals": {"log_steps": 1, "checkpoint_seconds": None},
    }
    (out / "recipe.yaml").write_text(json.dumps(recipe | STAGES[stage]))
    fit(load_recipe(out / "recipe.yaml"), out / "run", progress=False)
    log = pd.read_csv(out / "run" / "logs" / "train.csv").iloc[1:]
    seconds = BATCH / log["clips_per_second"]
    waited = float((log["waiting"] * seconds).sum())
    return {"steps": len(log), "step_seconds": float(seconds.mean()), "waiting": waited / float(seconds.sum())}


def compare(
    ways: dict[str, Callable[[int], Iterable[Any]]], clips: int, workers: int, rounds: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Medians of clips per second, and of processor milliseconds of a clip."""
    loaders = {name: make(workers) for name, make in ways.items()}
    for loader in loaders.values():
        for _ in loader:  # workers start, files come into memory
            pass
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, loader in loaders.items():
            found[name].append(run(loader, clips))
    rates = {name: statistics.median(rate for rate, _ in pairs) for name, pairs in found.items()}
    costs = {name: statistics.median(cost for _, cost in pairs) for name, pairs in found.items()}
    return rates, costs


def show(rates: dict[str, float], costs: dict[str, float]) -> None:
    """The table."""
    print(f"{'':26} {'clips/s':>8} {'x Pillow':>9} {'x OpenCV':>9} {'CPU ms':>8} {'x Pillow':>9} {'x OpenCV':>9}")
    for name in rates:
        by = [rates[name] / rates[f"plain {library}"] for library in ("Pillow", "OpenCV")]
        cheaper = [costs[f"plain {library}"] / costs[name] for library in ("Pillow", "OpenCV")]
        print(
            f"{name:26} {rates[name]:8.1f} {by[0]:9.2f} {by[1]:9.2f} "
            f"{costs[name]:8.2f} {cheaper[0]:9.2f} {cheaper[1]:9.2f}"
        )


def opened(folder: Path, clips: int) -> dict[str, Manifest]:
    """The material of a folder, made where it is not there yet."""
    index = folder / "made.json"
    if not index.exists():
        made = make(folder, clips)
        index.write_text(json.dumps({name: manifest.frame.to_dict("list") for name, manifest in made.items()}))
    found = {}
    for name, columns in json.loads(index.read_text()).items():
        found[name] = Manifest(pd.DataFrame(columns), folder / "shards" if name == "shards" else folder)
    return found


def main() -> None:
    """Run what the options ask for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5, help="of the comparison; 0 leaves it out")
    parser.add_argument("--epochs", type=int, default=20, help="over which memory is watched; 0 leaves it out")
    parser.add_argument("--steps", type=int, default=5, help="of a training run; 0 leaves it out")
    models = ["videomae_base", "svfap_base", "maedfer_base"]
    parser.add_argument("--models", nargs="*", default=models, help="of the training runs")
    parser.add_argument("--stages", nargs="*", default=list(STAGES), choices=list(STAGES), help="of the training runs")
    parser.add_argument("--folder", type=Path, help="where the material is kept; made once")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result: dict[str, Any] = {"workers": options.workers, "clips": options.clips}
    with tempfile.TemporaryDirectory() as scratch:
        made = opened(options.folder or Path(scratch), options.clips)
        alone = made["MP4, every picture alone"]
        if options.rounds:
            ways: dict[str, Callable[[int], Iterable[Any]]] = {
                name: partial(Ours, manifest) for name, manifest in made.items()
            }
            ways["MP4, held in memory"] = partial(Ours, alone, cache=8 * options.clips)  # MiB, enough for all
            for library in ("Pillow", "OpenCV"):
                ways[f"plain {library}"] = partial(plain, made["frame folders"], library)
            rates, costs = compare(ways, WINDOWS * len(alone), options.workers, options.rounds)
            show(rates, costs)
            result |= {"clips_per_second": rates, "cpu_ms": costs}
        if options.epochs:
            grown = memory(alone, options.epochs)
            print("MiB of a worker after each epoch: " + ", ".join(f"{value:.1f}" for value in grown))
            result["worker_mib"] = grown
        for model, stage in product(options.models if options.steps else (), options.stages):
            out = Path(scratch) / f"{model} {stage}"
            out.mkdir()
            told = trained(alone, model, stage, options.workers, options.steps + 1, out)
            print(
                f"{model}, {options.steps} steps of {stage} with {BATCH} clips: {told['step_seconds']:.2f} s a step, "
                f"of it {told['waiting']:.2%} waiting for data"
            )
            result.setdefault("training", {}).setdefault(stage, {})[model] = told
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
