"""Per-frame CCC of arousal and valence on people never seen, from scratch, on the synthetic corpus.

    python benchmarks/dimensions.py --folder dimensions --json dimensions.json

The corpus is made, its faces are found and cut, and the recipe ``vaerr/train_synthetic`` is run as it stands and twice
with one thing changed. Every row is judged on the same test people; seconds are those of processors, of this process
and of its loaders.
"""

from __future__ import annotations

import argparse
import json
import resource
from pathlib import Path

from mien.data.manifest import Manifest
from mien.data.prepare import prepare
from mien.data.settings import PrepareSettings
from mien.data.synthetic import SyntheticSettings, synthesise
from mien.evaluation import evaluate
from mien.evaluation.assess import EvaluationSettings
from mien.evaluation.paired import against
from mien.evaluation.report import interval_text
from mien.evaluation.result import EvaluationResult
from mien.faces.recipe import CropRecipe
from mien.training import fit, load_recipe

RECIPE = "vaerr/train_synthetic"
BASELINE = "untrained encoder, same head"
VARIANTS: dict[str, tuple[str, ...]] = {
    "from scratch": (),
    BASELINE: ("model.arguments.frozen=all",),
    "without taking off the mean": ("data.sampling.centre=corpus", "data.sampling.std=[0.165]"),
}
METRICS = ("ccc/arousal", "ccc/valence")


def processor_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in used)


def make_faces(folder: Path, seed: int) -> Manifest:
    """The corpus's faces, cut out with the shipped detector; what is there already is not made again."""
    synthesise(folder / "corpus", SyntheticSettings(seed=seed))
    crop = PrepareSettings(crop=CropRecipe(size=64), min_face=60)
    prepare([folder / "corpus" / "manifest.csv"], folder / "faces", crop, jobs=2)
    return Manifest.read(folder / "faces" / "manifest.csv")


def measure(run: Path, faces: Manifest, overrides: tuple[str, ...]) -> tuple[EvaluationResult, float]:
    """Train, judge on the test people, and count the processor seconds of training."""
    recipe = load_recipe(RECIPE, [f"data.manifest={faces.name}", *overrides])
    begun = processor_seconds()
    fit(recipe, run, progress=False)
    used = processor_seconds() - begun
    result = evaluate(run, faces, "test", EvaluationSettings())
    result.write(run / "evaluation" / "test")
    return result, used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="for corpus, faces and runs")
    parser.add_argument("--faces", type=Path, help="manifest of the corpus's faces, where they are cut out already")
    parser.add_argument("--seed", type=int, default=0, help="of corpus and training")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    faces = Manifest.read(options.faces) if options.faces else make_faces(options.folder, options.seed)
    rows, results = [], {}
    print(f"{'':28} {'arousal':>22} {'valence':>22} {'processor s':>11}")
    for name, changes in VARIANTS.items():
        run = options.folder / "runs" / name.replace(" ", "-").replace(",", "")
        results[name], used = measure(run, faces, (f"seed={options.seed}", *changes))
        found = {metric: results[name][metric] for metric in METRICS}
        cells = [interval_text(score) for score in found.values()]
        print(f"{name:28} {cells[0]:>22} {cells[1]:>22} {used:11.0f}", flush=True)
        values = {key: [score.value, score.interval.low, score.interval.high] for key, score in found.items()}
        rows.append({"name": name, "processor_seconds": round(used), **values})
    baseline = options.folder / "runs" / "untrained-encoder-same-head" / "evaluation" / "test"
    gains = against(results["from scratch"], baseline).comparisons
    for key in METRICS:
        gain = gains[key]
        print(f"{key}: {gain.difference:+.3f} [{gain.interval.low:+.3f}, {gain.interval.high:+.3f}] over {BASELINE}")
    clips = {part: int((faces.frame["split"] == part).sum()) for part in ("train", "validation", "test")}
    print(f"seed {options.seed}; faces: {clips}; 95 % intervals by subject")
    if options.json:
        report = {"recipe": RECIPE, "seed": options.seed, "clips": clips, "rows": rows}
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
