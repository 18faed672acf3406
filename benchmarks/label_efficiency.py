"""How many labels masked pretraining saves: scratch against pretrained with 1, 5, 25 and 100 % of the labels.

    python benchmarks/label_efficiency.py --folder bench [--encoders svfap maedfer] [--seeds 3] --json FILE --plot FILE

On the synthetic corpus (faces fill the pictures, people of the test part are in no other) each encoder is pretrained
once on all training clips without their labels, then fine-tuned on a share of them, classes alike, from its pretrained
and from random weights: the same clips, steps, rates and seeds for both. UAR on the unseen people; means and standard
deviations over seeds. Finished runs in the folder are taken as they are, so that a stopped benchmark goes on, and
encoders may be measured one by one and be joined by a last call that names them all. Larger: --dim 384 --size 64
--patch 16 --steps 3000 --pretraining-steps 20000 --clips 8000 --device cuda.

Masked pretraining helps as far as hidden patches can be told from those that are seen. On these films a linear map from
a quarter of the patches, of test people, explains 0.28 of the variance of the others at 32 grey pixels and 0.44 at 16,
where there is less noise, and few large patches leave little to learn about where each of them lies.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mien.data.manifest import Manifest
from mien.data.synthetic import SyntheticSettings, synthesise
from mien.evaluation import EvaluationSettings, evaluate
from mien.training import fit, load_recipe

SHARES = (0.01, 0.05, 0.25, 1.0)
STARTS = ("scratch", "pretrained")
ENCODERS = ("videomae", "svfap", "maedfer")
FRAMES = 8
# how each encoder cuts clips and is built: pyramids and regions need more than one step of time
ARGUMENTS: dict[str, dict[str, Any]] = {
    "videomae": {"depth": 2, "tubelet": 8},
    "svfap": {"depths": [2, 2], "bottlenecks": [2], "tubelet": 4},
    "maedfer": {"depth": 2, "tubelet": 4, "region": [2, 1, 2]},
}
# what both starts are trained on: faces stay where they are and are seen mirrored and in other light
AUGMENTATION = "augmentation={flip: 0.5, crop_scale: [1.0, 1.0], crop_ratio: [1.0, 1.0], brightness: 0.2}"
COLOURS = {"scratch": "#D55E00", "pretrained": "#0072B2"}  # Okabe and Ito's


def corpus(folder: Path, clips: int, seed: int) -> Manifest:
    """Films of ten pictures in 2 s, filled by a face that hardly moves about, seven per person; a fifth tests."""
    settings = SyntheticSettings(
        clips=clips,
        subjects=clips // 7,
        seed=seed,
        fps=5,
        size=64,
        sound_rate=None,
        face=(0.44, 0.48),
        rest=(0.0, 0.2),
        mimic=(0.0, 0.15),
        intensity=(0.8, 1.0),
        motion=0.15,
        test=0.2,
        validation=0.0,
    )
    return synthesise(folder, settings)


def labelled(manifest: Manifest, share: float, seed: int, path: Path) -> tuple[Path, int]:
    """The manifest with only a share of the training clips (classes alike, at least one each), and their number."""
    frame = manifest.frame.copy()
    train = frame["split"] == "train"
    rng = np.random.default_rng(seed)
    kept: list[Any] = []
    for _, rows in frame[train].groupby("label", sort=True):
        kept += list(rng.permutation(rows.index.to_numpy())[: max(1, round(share * len(rows)))])
    frame.loc[train & ~frame.index.isin(kept), "split"] = pd.NA
    Manifest(frame, manifest.root).write(path)
    return path, len(kept)


def common(encoder: str, options: argparse.Namespace) -> list[str]:
    clip = {"frames": FRAMES, "size": options.size}
    arguments = clip | {"channels": 1, "patch": options.patch, "dim": options.dim, "heads": 4} | ARGUMENTS[encoder]
    seen = clip | {"stride": 1, "channels": "grey", "mean": [0.5], "std": [0.03], "centre": "clip"}
    return [
        f"model.name={encoder}_test",
        f"model.arguments={json.dumps(arguments)}",
        f"data.sampling={json.dumps(seen)}",
        AUGMENTATION,
        "data.workers=0",
        "data.cache=2000",
        "data.corpus=synthetic",
        "intervals.checkpoint_seconds=null",
        f"hardware={{accelerator: {options.device}, threads: {options.threads}}}",
    ]


def pretrain(encoder: str, manifest: Path, run: Path, options: argparse.Namespace) -> Path:
    """The encoder's masked pretraining on all training clips; their labels are not read."""
    recipe = load_recipe(
        f"{'svfap' if encoder == 'videomae' else encoder}/pretrain_synthetic",
        [
            *common(encoder, options),
            f"data.manifest={manifest}",
            f"data.batch={options.pretraining_batch}",
            f"schedule={{steps: {options.pretraining_steps}, warmup_steps: {options.pretraining_steps // 20}}}",
            f"optimiser.lr={options.pretraining_lr}",
            f"pretext.options.mask_ratio={options.mask_ratio}",
            f"pretext.options.decoder_dim={max(64, options.dim // 2)}",
        ],
    )
    fit(recipe, run, resume=True, progress=False)
    return run


def tune(
    encoder: str, manifest: Path, clips: int, start: Path | None, seed: int, run: Path, options: argparse.Namespace
) -> float:
    """Fine-tune and judge on unseen people; returns UAR."""
    recipe = load_recipe(
        "svfap/finetune_synthetic",
        [
            *common(encoder, options),
            f"data.manifest={manifest}",
            f"data.batch={min(options.batch, clips)}",
            f"schedule={{steps: {options.steps}, warmup_steps: {options.steps // 10}}}",
            f"optimiser.lr={options.lr}",
            f"seed={seed}",
            f"model.init={start if start else 'null'}",
            "weights=last",
        ],
    )
    fit(recipe, run, resume=True, progress=False)
    settings = EvaluationSettings(views=1, batch=32, device=options.device, replicates=1)
    return evaluate(run, manifest, settings=settings)["uar"].value


def measure(encoder: str, manifest: Manifest, options: argparse.Namespace) -> list[dict[str, Any]]:
    """One row for every share, start and seed."""
    folder = options.folder / encoder
    begun = time.perf_counter()
    pretrained = pretrain(encoder, manifest.root / "manifest.csv", folder / "pretrained", options)
    print(f"{encoder}: pretrained in {time.perf_counter() - begun:.0f} s", flush=True)
    rows = []
    for share in options.shares:
        for seed in range(options.seeds):
            part, clips = labelled(manifest, share, seed, manifest.root / f"labels-{share:g}-{seed}.csv")
            for start in STARTS:
                run = folder / f"{start}-{share:g}-{seed}"
                uar = tune(encoder, part, clips, pretrained if start == "pretrained" else None, seed, run, options)
                rows.append(
                    {"encoder": encoder, "share": share, "clips": clips, "seed": seed, "start": start, "uar": uar}
                )
        print(line(encoder, share, rows), flush=True)
    return rows


def figures(rows: Sequence[dict[str, Any]], encoder: str, share: float, start: str) -> list[float]:
    return [row["uar"] for row in rows if (row["encoder"], row["share"], row["start"]) == (encoder, share, start)]


def line(encoder: str, share: float, rows: Sequence[dict[str, Any]]) -> str:
    clips = next(row["clips"] for row in rows if (row["encoder"], row["share"]) == (encoder, share))
    texts = []
    for start in STARTS:
        found = figures(rows, encoder, share, start)
        texts.append(f"{start} {mean(found):.3f} ± {stdev(found) if len(found) > 1 else 0:.3f}")
    gain = mean(figures(rows, encoder, share, "pretrained")) - mean(figures(rows, encoder, share, "scratch"))
    return f"{encoder:9} {100 * share:5g} % ({clips:4} clips)  {texts[0]}   {texts[1]}   gain {gain:+.3f}"


def plot(rows: Sequence[dict[str, Any]], encoders: Sequence[str], shares: Sequence[float], path: Path) -> None:
    figure = Figure(figsize=(3.4 * len(encoders), 3.2), layout="constrained")
    for axes, encoder in zip(figure.subplots(1, len(encoders), sharey=True, squeeze=False)[0], encoders, strict=True):
        for start in STARTS:
            found = [figures(rows, encoder, share, start) for share in shares]
            spread = [stdev(values) if len(values) > 1 else 0.0 for values in found]
            percent = [100 * share for share in shares]
            axes.errorbar(
                percent, list(map(mean, found)), spread, marker="o", capsize=3, label=start, color=COLOURS[start]
            )
        axes.axhline(1 / 7, color="grey", linestyle=":", label="chance")
        axes.set_xscale("log")
        axes.set_xticks(percent, [f"{value:g}" for value in percent])
        axes.set_xlabel("labels, %")
        axes.set_title(encoder)
    axes.legend()
    figure.axes[0].set_ylabel("UAR on unseen people")
    figure.savefig(path, dpi=120)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="for corpus and runs")
    parser.add_argument("--encoders", nargs="+", default=list(ENCODERS), choices=ENCODERS)
    parser.add_argument("--shares", nargs="+", type=float, default=list(SHARES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--clips", type=int, default=3500)
    parser.add_argument("--corpus-seed", type=int, default=0, help="other people in other films")
    parser.add_argument("--dim", type=int, default=96)
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--patch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--pretraining-steps", type=int, default=5000)
    parser.add_argument("--mask-ratio", type=float, default=0.5)
    parser.add_argument("--pretraining-batch", type=int, default=32)
    parser.add_argument("--pretraining-lr", type=float, default=2e-3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args(arguments)
    begun, used = time.perf_counter(), time.process_time()
    manifest = corpus(options.folder / "corpus", options.clips, options.corpus_seed)
    rows = [row for encoder in options.encoders for row in measure(encoder, manifest, options)]
    seconds = {"wall": round(time.perf_counter() - begun), "processor": round(time.process_time() - used)}
    print(f"{seconds['wall']} s, {seconds['processor']} s of processor time, {os.cpu_count()} processors")
    if options.json:
        chosen = {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()}
        options.json.write_text(json.dumps({"options": chosen, "seconds": seconds, "rows": rows}, indent=1) + "\n")
    if options.plot:
        plot(rows, options.encoders, options.shares, options.plot)


if __name__ == "__main__":
    main()
