"""What fusion and modality dropout are worth when a modality is missing: synthetic corpus, unseen people, three seeds.

Four models per seed with the same encoders, clips and epochs: picture alone (a small transformer over patches), sound
alone (the convolutions over MFCC of arXiv 2201.11095), and their fusion by intermediate attention trained without and
with dropout (``softhard``). Fusions are then judged with picture or sound missing: marked as absent, as zeros, as
noise, and for a share of the clips and of the time. Prints a table, draws ``missing_modality.png``; ``--json FILE``
writes all of it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
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
from mien.training.schema import Recipe

CLASSES = ("neutral", "happiness", "sadness", "anger")  # both modalities are needed to tell these four apart
PICTURE = {"name": "videomae_test", "arguments": {"frames": 8, "size": 32, "tubelet": 2, "patch": 8, "dim": 64}}
SOUND = {"name": "avfusion_audio_cnn_test"}
PAIR = {"video": PICTURE, "sound": SOUND, "fusion": "intermediate_attention", "widths": [32, 32, 32, 32]}
FUSED: dict[str, Any] = {"name": "avfusion", "arguments": PAIR}
MODELS: dict[str, tuple[dict[str, Any], str]] = {
    "picture alone": (PICTURE, "none"),
    "sound alone": (SOUND, "none"),
    "fused, no dropout": (FUSED, "none"),
    "fused, softhard": (FUSED, "softhard"),
}
# Each pixel less its mean over the clip: what changes is all there is to see, so that people need not be told apart.
SAMPLING = {"frames": 8, "fps": 4.0, "size": 32, "centre": "clip", "std": [0.06, 0.06, 0.06]}
COLOURS = {"fused, no dropout": "#D55E00", "fused, softhard": "#0072B2"}


@dataclass(frozen=True)
class Outcome:
    """UAR of one model on unseen people, and with modalities missing where it has two."""

    model: str
    seed: int
    uar: float
    missing: Missing | None


def corpus_of(folder: Path, existing: Path | None, clips: int, subjects: int) -> Path:
    """A manifest with the clips of four classes, of a corpus that is there already or is made.

    Faces fill the picture and hardly resemble an expression at rest, so that small networks learn from few clips.
    """
    if existing is None:
        settings = SyntheticSettings(
            clips=clips,
            subjects=subjects,
            size=64,
            sound_rate=8000,
            face=(0.38, 0.44),
            rest=(0.0, 0.2),
            mimic=(0.0, 0.2),
            motion=0.3,
            test=0.3,
            validation=0.0,
        )
        synthesise(folder / "corpus", settings)
        existing = folder / "corpus" / "manifest.csv"
    manifest = Manifest.read(existing)
    frame = manifest.frame[manifest.frame["label"].isin(CLASSES)].copy()
    frame["path"] = [str((manifest.root / path).resolve()) for path in frame["path"]]
    frame = frame.drop(columns=[name for name in ("labels", "group", "audio") if name in frame])
    Manifest(frame.reset_index(), folder).write(folder / "four.csv")
    return folder / "four.csv"


def recipe_of(manifest: Path, name: str, seed: int, epochs: int) -> Recipe:
    """Equal budgets: the same clips, epochs and optimiser."""
    model, dropout = MODELS[name]
    values = {
        "name": f"missing-modality-{name.replace(', ', '-').replace(' ', '-')}-{seed}",
        "seed": seed,
        "data": {
            "manifest": str(manifest),
            "corpus": "synthetic",
            "batch": 16,
            "workers": 0,
            "cache": 400,
            "sampling": {"views": 1} | ({} if model is SOUND else SAMPLING),
        },
        "augmentation": {"crop_scale": [1.0, 1.0], "crop_ratio": [1.0, 1.0], "flip": 0.5},
        "modality_dropout": {"kind": dropout},
        "model": model,
        "task": {"kind": "classification", "outputs": list(CLASSES), "options": {"label_smoothing": 0.1}},
        "optimiser": {"lr": 1e-3, "weight_decay": 0.05, "clip": 1.0},
        "schedule": {"epochs": epochs, "warmup_epochs": 1},
        "precision": "fp32",
        "hardware": {"accelerator": "cpu", "threads": 1},
        "intervals": {"validate_epochs": epochs, "checkpoint_seconds": 3600},
        "weights": "last",
    }
    return check_recipe(values, str(values["name"]))


def run(folder: Path, manifest: Path, seeds: Sequence[int], epochs: int) -> list[Outcome]:
    """All models of all seeds; runs that are finished are not done again."""
    settings = EvaluationSettings(views=1, batch=16, device="cpu")
    outcomes = []
    for seed in seeds:
        for name in MODELS:
            recipe = recipe_of(manifest, name, seed, epochs)
            place = folder / recipe.name
            if not (place / "bundle" / "config.json").exists():
                fit(recipe, place, progress=False)
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
        if outcome.missing is None:
            continue
        losses = []
        for kept, words in (("video", "picture, sound"), ("sound", "sound, picture")):
            for distortion in ("absent", "zeros", "noise"):
                value = outcome.missing.value("uar", "grid", kept, distortion)
                rows.append(
                    (outcome.model, f"{words} {'as ' * (distortion != 'absent')}{distortion}", outcome.seed, value)
                )
                losses += [outcome.uar - value] * (distortion == "absent")
        rows.append((outcome.model, "lost on average where one is absent", outcome.seed, float(np.mean(losses))))
    frame = pd.DataFrame(rows, columns=["model", "given", "seed", "uar"])
    wide = frame.pivot_table(index=["model", "given"], columns="seed", values="uar", sort=False)
    wide.insert(0, "mean", wide.mean(axis=1))
    return wide


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
    parser.add_argument("--clips", type=int, default=1120, help="of seven classes, of which four are used")
    parser.add_argument("--subjects", type=int, default=160)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    manifest = corpus_of(arguments.folder, arguments.manifest, arguments.clips, arguments.subjects)
    outcomes = run(arguments.folder, manifest, range(arguments.seeds), arguments.epochs)
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
