"""What fusion and modality dropout are worth when a modality is missing: synthetic corpus, unseen people, three seeds.

Four models per seed with the same branches and budget: picture alone, sound alone, and their fusion by intermediate
attention trained without and with dropout (``softhard``). Fusions are then judged with picture or sound missing.
Prints a table, draws ``missing_modality.png``; ``--json FILE`` writes all of it.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mien.data.manifest import Manifest
from mien.data.synthetic import SyntheticSettings, synthesise
from mien.evaluation import evaluate
from mien.evaluation.assess import EvaluationSettings
from mien.evaluation.missing import SHARES, Missing, evaluate_missing
from mien.training import fit
from mien.training.recipe import check_recipe

CLASSES = ("neutral", "happiness", "sadness", "anger")  # both modalities are needed to tell these four apart
MODELS = {
    "picture alone": ("avfusion_video_cnn_test", "none"),
    "sound alone": ("avfusion_audio_cnn_test", "none"),
    "fused, no dropout": ("avfusion_intermediate_attention_test", "none"),
    "fused, softhard": ("avfusion_intermediate_attention_test", "softhard"),
}
COLOURS = {"fused, no dropout": "#D55E00", "fused, softhard": "#0072B2"}


@dataclass(frozen=True)
class Outcome:
    """UAR of one model on unseen people, and with modalities missing where it has two."""

    model: str
    seed: int
    uar: float
    missing: Missing | None


def corpus_of(folder: Path, existing: Path | None, clips: int, subjects: int) -> Path:
    """A manifest with the clips of four classes, of a corpus that is there already or is made."""
    if existing is None:
        settings = SyntheticSettings(clips=clips, subjects=subjects, size=64, motion=0.3)
        synthesise(folder / "corpus", settings)
        existing = folder / "corpus" / "manifest.csv"
    manifest = Manifest.read(existing)
    frame = manifest.frame[manifest.frame["label"].isin(CLASSES)].copy()
    frame["path"] = [str((manifest.root / path).resolve()) for path in frame["path"]]
    frame = frame.drop(columns=[name for name in ("labels", "group", "audio") if name in frame])
    Manifest(frame.reset_index(), folder).write(folder / "four.csv")
    return folder / "four.csv"


def recipe_of(manifest: Path, model: str, dropout: str, seed: int, epochs: int, size: int) -> Any:
    """Equal budgets: the same clips, epochs and optimiser."""
    sampling: dict[str, Any] = {"views": 1}
    if "audio" not in model:
        sampling |= {"size": size, "centre": "clip", "std": [0.06, 0.06, 0.06]}
    name = f"missing-modality-{model}-{dropout}-{seed}"
    values = {
        "name": name,
        "seed": seed,
        "data": {
            "manifest": str(manifest),
            "corpus": "synthetic",
            "batch": 16,
            "workers": 0,
            "cache": 400,
            "sampling": sampling,
        },
        "augmentation": {"crop_scale": [0.85, 1.0], "crop_ratio": [1.0, 1.0], "flip": 0.5},
        "modality_dropout": {"kind": dropout},
        "model": {"name": model},
        "task": {"kind": "classification", "outputs": list(CLASSES)},
        "optimiser": {"lr": 3e-3, "weight_decay": 0.05},
        "schedule": {"epochs": epochs, "warmup_epochs": 1},
        "precision": "fp32",
        "hardware": {"accelerator": "cpu", "threads": 1},
        "intervals": {"validate_epochs": epochs, "checkpoint_seconds": 3600},
        "weights": "last",
    }
    return check_recipe(values, name)


def run(folder: Path, manifest: Path, seeds: list[int], epochs: int, size: int) -> list[Outcome]:
    """All models of all seeds; runs that are finished are not done again."""
    settings = EvaluationSettings(views=1, batch=16, device="cpu")
    outcomes = []
    for seed in seeds:
        for name, (model, dropout) in MODELS.items():
            place = folder / f"{model}-{dropout}-{seed}"
            if not (place / "bundle" / "config.json").exists():
                fit(recipe_of(manifest, model, dropout, seed, epochs, size), place, progress=False)
            result = evaluate(place, manifest, "test", settings)
            missing = evaluate_missing(result, settings) if name.startswith("fused") else None
            outcomes.append(Outcome(name, seed, result["uar"].value, missing))
            print(f"seed {seed}: {name:18} UAR {result['uar'].value:.3f}", flush=True)
    return outcomes


def table_of(outcomes: list[Outcome]) -> pd.DataFrame:
    """Mean over seeds and each seed's UAR, by model and by what it is given."""
    rows = []
    for outcome in outcomes:
        rows.append((outcome.model, "everything it takes", outcome.seed, outcome.uar))
        if outcome.missing is not None:
            for kept, words in (("video", "picture, sound absent"), ("sound", "sound, picture absent")):
                value = outcome.missing.value("uar", "grid", kept, "absent")
                rows.append((outcome.model, words, outcome.seed, value))
    frame = pd.DataFrame(rows, columns=["model", "given", "seed", "uar"])
    wide = frame.pivot(index=["model", "given"], columns="seed", values="uar")
    wide.insert(0, "mean", wide.mean(axis=1))
    return wide.sort_index()


def draw(outcomes: list[Outcome], path: Path) -> None:
    """UAR against the share of clips and of time that is missing, mean over seeds and every seed."""
    figure = Figure(figsize=(9.0, 6.4), layout="constrained")
    panels = figure.subplots(2, 2, sharey=True)
    for row, lost in enumerate(("sound", "video")):
        for column, kind in enumerate(("clips", "time")):
            axes = panels[row][column]
            for name, colour in COLOURS.items():
                curves = [
                    [one.missing.value("uar", kind, lost, share=share) for share in SHARES]
                    for one in outcomes
                    if one.model == name and one.missing is not None
                ]
                for curve in curves:
                    axes.plot(SHARES, curve, color=colour, alpha=0.25, linewidth=0.8)
                axes.plot(SHARES, np.mean(curves, axis=0), color=colour, marker="o", markersize=3, label=name)
            alone = [one.uar for one in outcomes if one.model == f"{'picture' if lost == 'sound' else 'sound'} alone"]
            axes.axhline(float(np.mean(alone)), color="0.4", linestyle=":", label="trained on what is left alone")
            axes.set_xlabel(f"share of {kind} without {'sound' if lost == 'sound' else 'picture'}")
            axes.set_ylabel("UAR")
    panels[0][0].legend(fontsize=8)
    figure.savefig(path, dpi=140)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("missing-modality"), help="runs and pictures go here")
    parser.add_argument("--manifest", type=Path, help="a synthetic corpus that is there already")
    parser.add_argument("--clips", type=int, default=840)
    parser.add_argument("--subjects", type=int, default=120)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--size", type=int, default=32, help="pixels of the pictures")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    manifest = corpus_of(arguments.folder, arguments.manifest, arguments.clips, arguments.subjects)
    outcomes = run(arguments.folder, manifest, list(range(arguments.seeds)), arguments.epochs, arguments.size)
    table = table_of(outcomes)
    print(table.to_string(float_format="%.3f"))
    draw(outcomes, arguments.folder / "missing_modality.png")
    if arguments.json:
        rows = json.loads(table.reset_index().to_json(orient="records"))
        curves = [
            {"model": one.model, "seed": one.seed, "rows": json.loads(one.missing.table.to_json(orient="records"))}
            for one in outcomes
            if one.missing is not None
        ]
        arguments.json.write_text(json.dumps({"table": rows, "curves": curves}, indent=1) + "\n")


if __name__ == "__main__":
    main()
