"""Do four feature streams beat the best single one? Synthetic corpus, unseen people, several seeds.

Streams that need no download: ``appearance`` (a small VideoMAE with random weights on pictures), ``motion`` (the same
on what changes), ``mfcc`` and ``logmel`` (statistics of sound). For each seed one small Perceiver is trained on each
stream alone and one on all four, under equal budgets, to read valence and arousal of whole clips. The comparison is
paired by person on predictions averaged over seeds. ``--json FILE`` writes all of it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mien.checkpoints.bundle import save
from mien.data.manifest import Manifest
from mien.data.streams import STORE
from mien.data.synthetic import SyntheticSettings, synthesise
from mien.evaluation import evaluate
from mien.evaluation.assess import EvaluationSettings
from mien.evaluation.intervals import Comparison, compare
from mien.evaluation.predictions import ClipPrediction, Predictions
from mien.evaluation.result import EvaluationResult
from mien.evaluation.scores import judge
from mien.extraction.contract import parse_requests
from mien.extraction.extract import extract
from mien.extraction.kinds import make_extractor
from mien.models import create_encoder, default_inputs
from mien.models.specification import Inputs, Specification
from mien.training import fit
from mien.training.recipe import check_recipe

SIZE, FRAMES = 64, 8


def encoder_bundle(folder: Path, centre: str) -> Path:
    """A small VideoMAE with random weights that sees pictures (``corpus``) or what changes in them (``clip``)."""
    if not (folder / "config.json").exists():
        torch.manual_seed(0)
        video = default_inputs("videomae_test").video
        assert video is not None
        changes = {"centre": centre, "crop": None, "std": (0.06,) * 3 if centre == "clip" else video.std}
        inputs = Inputs(video=video.model_copy(update=changes))
        save(create_encoder("videomae_test"), Specification(model="videomae_test", inputs=inputs), folder)
    return folder


def prepare(folder: Path, clips: int, subjects: int) -> tuple[Manifest, dict[str, int]]:
    """The corpus with its store of streams, and their widths."""
    if not (folder / "corpus" / "manifest.csv").exists():
        settings = SyntheticSettings(clips=clips, subjects=subjects, size=SIZE, motion=0.3, test=0.4, validation=0.1)
        synthesise(folder / "corpus", settings)
    manifest = Manifest.read(folder / "corpus" / "manifest.csv")
    appearance, motion = (
        encoder_bundle(folder / name, centre) for name, centre in (("appearance", "corpus"), ("motion", "clip"))
    )
    requests = parse_requests(f"appearance=bundle:{appearance},motion=bundle:{motion},mfcc=mfcc,logmel=logmel")
    extractors = {one.name: make_extractor(one, "cpu", 32) for one in requests}
    report = extract(manifest, extractors, folder / STORE, 1, 32)
    return manifest, {name: stream.width for name, stream in report.streams.items()}


def train(folder: Path, manifest: Manifest, widths: dict[str, int], seed: int, epochs: int) -> EvaluationResult:
    """One model, judged on the test part."""
    name = "+".join(widths)
    recipe: dict[str, Any] = {
        "name": f"streams-{name}-{seed}",
        "seed": seed,
        "data": {
            "manifest": str(manifest.root / "manifest.csv"),
            "streams": str(folder / STORE),
            "batch": 16,
            "workers": 0,
        },
        "model": {"name": "viper_test", "arguments": {"streams": widths, "modality_embedding": True}},
        "task": {"kind": "intensities", "outputs": ["valence", "arousal"]},
        "optimiser": {"lr": 1e-3, "weight_decay": 0.05},
        "schedule": {"epochs": epochs, "warmup_epochs": 1},
        "precision": "fp32",
        "hardware": {"accelerator": "cpu", "threads": 1},
        "intervals": {"validate_epochs": epochs, "checkpoint_seconds": 3600},
        "weights": "last",
    }
    run = folder / "runs" / f"{name}-{seed}"
    if not (run / "bundle" / "config.json").exists():
        fit(check_recipe(recipe, name), run, progress=False)
    return evaluate(run, manifest, "test", EvaluationSettings(device="cpu", batch=32, streams=folder / STORE))


def together(results: list[EvaluationResult]) -> Predictions:
    """Outputs of all seeds averaged, clip by clip."""
    clips = zip(*(result.predictions.clips for result in results), strict=True)
    return Predictions(
        tuple(
            ClipPrediction(
                same[0].id, np.mean([clip.output for clip in same], axis=0), same[0].truth, same[0].times, len(same)
            )
            for same in clips
        )
    )


def paired(first: list[EvaluationResult], second: list[EvaluationResult]) -> Comparison:
    """Mean Pearson of two kinds of models, seeds averaged, paired by person."""
    one = first[0]
    judged = [
        judge(one.task, together(results), ["pearson"], one.units(), one.videos())[0] for results in (first, second)
    ]
    return compare(judged[0].sums, judged[1].sums, judged[0].value)


def report(results: dict[str, list[EvaluationResult]]) -> dict[str, Any]:
    """Print the table and what it shows; returns all of it."""
    everything = max(results, key=len)
    rows = {}
    for name, of_seeds in results.items():
        values = [result["pearson"].value for result in of_seeds]
        rows[name] = {"mean": float(np.mean(values)), "seeds": values}
        print(f"{name:36} {np.mean(values):.3f}   {'  '.join(f'{value:.3f}' for value in values)}")
    single = max((name for name in results if name != everything), key=lambda name: rows[name]["mean"])
    found = paired(results[everything], results[single])
    low, high = found.interval.low, found.interval.high
    units = results[single][0]["pearson"].interval.units
    print(
        f"all four against {single}, seeds averaged: {found.first:.3f} - {found.second:.3f} = {found.difference:+.3f} "
        f"[{low:+.3f}, {high:+.3f}], {units} people"
    )
    verdict = "four streams beat the best single one"
    if high < 0:
        verdict = "the best single stream beats four: the others cost more than they bring with so few training clips"
    elif low <= 0:
        verdict = f"the interval holds 0: {units} people do not show that four streams beat the best single one"
    print(verdict)
    notes = list(results[everything][0].notes)
    print("\n".join(f"note (first seed): {note}" for note in notes if "streams" in note or "together" in note))
    return {"rows": rows, "best_single": single, "difference": found.difference, "low": low, "high": high} | {
        "verdict": verdict,
        "notes": notes,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("streams_benchmark"))
    parser.add_argument("--clips", type=int, default=210)
    parser.add_argument("--subjects", type=int, default=70)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    manifest, widths = prepare(given.folder, given.clips, given.subjects)
    sets = [{name: width} for name, width in widths.items()] + [widths]
    results = {
        "+".join(one): [train(given.folder, manifest, one, seed, given.epochs) for seed in given.seeds] for one in sets
    }
    outcome = report(results) | {"clips": given.clips, "subjects": given.subjects, "epochs": given.epochs}
    if given.json:
        given.json.write_text(json.dumps(outcome, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
