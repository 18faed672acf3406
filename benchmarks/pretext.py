"""What pretraining without labels is worth where labels are few: CCC of arousal and valence on people never seen.

    python benchmarks/pretext.py --folder pretext --json pretext.json --plot pretext.png

The synthetic corpus is made and its faces are cut out. On all training clips, labels unseen, one small encoder is
pretrained by BYOL, by DINO, by LiRA, and by LiRA with the sound of another person's clip, whose gain should go away.
Then 5 % of the training clips, with labels, fine-tune every one of them, and an encoder with random weights, in the
same way. Every seed draws other labelled clips and other weights. What has finished is not run again, so seeds may run
at once: ``--only 0``, ``--only 1``, then all together. Masked pretraining needs tubelets, which this encoder does not
read. Needs the extra ``dev`` (librosa, for the pitch).
"""

from __future__ import annotations

import argparse
import json
import resource
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pandas as pd

from mien.data.manifest import Manifest
from mien.data.prepare import prepare
from mien.data.seeding import generator
from mien.data.settings import PrepareSettings
from mien.data.synthetic import SyntheticSettings, synthesise
from mien.evaluation import evaluate
from mien.evaluation.assess import EvaluationSettings
from mien.faces.recipe import CropRecipe
from mien.files import complete
from mien.media import read_sound
from mien.training import fit, load_recipe

SHARE = 0.05
METRICS = ("ccc/arousal", "ccc/valence")
SCRATCH, SHUFFLED = "scratch", "LiRA, sound shuffled"
# whole clips of 2.4 s, few pictures of each: steps are what small encoders need
SAMPLING = "data.sampling={frames: 12, fps: 5.0, size: 32, centre: clip, std: [0.06]}"
# every pretext sees as many clips; what it makes of them costs differently
COMMON = (SAMPLING, "data.workers=0", "precision=fp32", "schedule={epochs: 12, warmup_epochs: 1}")
# what LiRA predicts: pitch, which follows arousal in this corpus, less the clip's mean, since people differ in it
HEARD = "pretext.options.target=folder"
RATE = 16000
PRETEXTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "BYOL": ("byol", ()),
    "DINO": ("dino", ()),
    "LiRA": ("lira", (HEARD, "pretext.options.source={folder}/sound")),
    SHUFFLED: ("lira", (HEARD, "pretext.options.source={folder}/sound-shuffled-{seed}")),
}
FINE_TUNING = (
    SAMPLING,
    "data.workers=0",
    "data.batch=6",
    "precision=fp32",
    "schedule={epochs: 60, warmup_epochs: 3}",
    "optimiser={lr: 1e-3, min_lr: 1e-5, weight_decay: 0.01, clip: 1.0}",
    "augmentation={crop_scale: [0.8, 1.0], crop_ratio: [0.95, 1.05], flip: 0.5}",
    "intervals={validate_epochs: 1000}",
)


def make_faces(folder: Path) -> Manifest:
    """The corpus's faces, cut out with the shipped detector; what is there already is not made again."""
    table = folder / "faces" / "manifest.csv"
    if not table.exists():
        synthesise(folder / "corpus", SyntheticSettings())
        crop = PrepareSettings(crop=CropRecipe(size=64), min_face=60)
        prepare([folder / "corpus" / "manifest.csv"], folder / "faces", crop, jobs=2)
    return Manifest.read(table)


def hear(faces: Manifest, folder: Path) -> None:
    """Pitch of every training clip in octaves, a value every 10 ms, ``<id>.npy``; pauses are bridged by lines."""
    for id_ in training(faces):
        path = folder / f"{id_}.npy"
        if not path.exists():
            sound = read_sound(faces.row(id_).path, RATE)
            assert sound is not None
            pitch = np.log2(librosa.yin(sound.samples, fmin=60, fmax=450, sr=RATE, frame_length=1024, hop_length=160))
            level = librosa.feature.rms(y=sound.samples, frame_length=640, hop_length=160)[0]
            voiced = np.flatnonzero(level[: len(pitch)] > 0.1 * level.max())
            with complete(path) as part, part.open("wb") as file:
                np.save(file, np.interp(np.arange(len(pitch)), voiced, pitch[voiced])[:, None])


def training(faces: Manifest) -> list[str]:
    """Ids of the clips that may be trained on."""
    return sorted(faces.frame["id"][faces.frame["split"] == "train"])


def shuffle(faces: Manifest, folder: Path, out: Path, seed: int) -> None:
    """The same sounds, each under the name of a clip of another person."""
    subjects = faces.frame.set_index("id")["subject"]
    ids = np.array(training(faces))
    rng = generator(seed, "shuffled sound")
    given = rng.permutation(ids)
    for place in range(len(ids)):
        while subjects[given[place]] == subjects[ids[place]]:
            other = int(rng.integers(len(ids)))
            if subjects[given[other]] != subjects[ids[place]] and subjects[given[place]] != subjects[ids[other]]:
                given[[place, other]] = given[[other, place]]
    out.mkdir(parents=True, exist_ok=True)
    for id_, source in zip(ids, given, strict=True):
        (out / f"{id_}.npy").unlink(missing_ok=True)
        (out / f"{id_}.npy").symlink_to((folder / f"{source}.npy").absolute())


def few_labels(faces: Manifest, path: Path, seed: int) -> Path:
    """The manifest with 5 % of the training clips, all test clips, and no validation part."""
    table, train = faces.frame, training(faces)
    kept = set(generator(seed, "labelled clips").permutation(train)[: round(SHARE * len(train))])
    rows = table[table["id"].isin(kept) | (table["split"] == "test")].copy()
    for column in ("path", "labels"):
        rows[column] = [str((faces.root / value).absolute()) for value in rows[column]]
    path.parent.mkdir(parents=True, exist_ok=True)
    Manifest(pd.DataFrame(rows), faces.root).write(path)
    return path


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(method: str, seed: int, faces: Manifest, folder: Path) -> dict[str, Any]:
    """Pretrain, fine-tune and judge one method with one seed; kept in ``result.json`` of its folder."""
    place = folder / "runs" / f"{seed}-{method.replace(' ', '-').replace(',', '')}"
    kept = place / "result.json"
    if kept.exists():
        found: dict[str, Any] = json.loads(kept.read_text())
        return found
    begun, init, pretext_loss = processor_seconds(), "null", None
    if method != SCRATCH:
        kind, changes = PRETEXTS[method]
        overrides = [change.format(folder=folder, seed=seed) for change in changes]
        manifest = f"data.manifest={faces.root / 'manifest.csv'}"
        recipe = load_recipe(
            f"vaerr/pretrain_{kind}_synthetic",
            [*COMMON, manifest, f"seed={seed}", *overrides],
        )
        done = fit(recipe, place / "pretraining", resume=True, progress=False)
        init, pretext_loss = str(place / "pretraining"), done.loss
    pretrained = processor_seconds()
    labelled = few_labels(faces, folder / f"labelled-{seed}.csv", seed)
    recipe = load_recipe(
        "vaerr/train_synthetic",
        [*FINE_TUNING, f"data.manifest={labelled}", f"seed={seed}", f"model.init={init}"],
    )
    fit(recipe, place / "fine-tuning", resume=True, progress=False)
    result = evaluate(place / "fine-tuning", Manifest.read(labelled), "test", EvaluationSettings())
    row = {
        "method": method,
        "seed": seed,
        **{metric: result[metric].value for metric in METRICS},
        "pretext_loss": pretext_loss,
        "pretraining_seconds": round(pretrained - begun, 1),
        "fine_tuning_seconds": round(processor_seconds() - pretrained, 1),
    }
    with complete(kept) as part:
        part.write_text(json.dumps(row, indent=1) + "\n")
    return row


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over seeds, and the mean gain over scratch with the same labels."""
    lines = []
    scratch = rows[rows["method"] == SCRATCH].set_index("seed")
    for method, own in rows.groupby("method", sort=False):
        own = own.set_index("seed")
        line: dict[str, Any] = {"method": method, "seeds": len(own)}
        for name in METRICS:
            gains = own[name] - scratch[name].reindex(own.index)
            line |= {
                name: own[name].mean(),
                f"{name} deviation": own[name].std(ddof=1),
                f"{name} gain": gains.mean(),
                f"{name} seeds better": int((gains > 0).sum()),
            }
        line["pretraining_seconds"] = own["pretraining_seconds"].mean()
        lines.append(line)
    return pd.DataFrame(lines)


def show(table: pd.DataFrame, share: int) -> None:
    print(f"{'':24} {'arousal':>16} {'gain':>7} {'valence':>16} {'gain':>7} {'pretraining, CPU s':>19}")
    for line in table.to_dict("records"):
        cells = []
        for name in METRICS:
            cells.append(f"{line[name]:7.3f} ± {line[f'{name} deviation']:5.3f} {line[f'{name} gain']:+8.3f}")
        print(f"{line['method']:24} {cells[0]:>25} {cells[1]:>25} {line['pretraining_seconds']:18.0f}")
    print(f"CCC of all test frames; mean ± standard deviation over seeds; {share} labelled clips each")


def draw(rows: pd.DataFrame, path: Path) -> None:
    """A bar for every method, with a dot for every seed."""
    from matplotlib.figure import Figure

    methods = list(dict.fromkeys(rows["method"]))
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2, sharey=True), METRICS, strict=True):
        values = [rows[name][rows["method"] == method].to_numpy() for method in methods]
        axes.bar(range(len(methods)), [value.mean() for value in values], color="#9db7d5")
        for place, value in enumerate(values):
            axes.plot(np.full(len(value), place), value, "o", color="#1f3a5f", markersize=4)
        axes.set_xticks(range(len(methods)), methods, rotation=30, ha="right")
        axes.set_title(name.split("/")[1])
        axes.axhline(0, color="black", linewidth=0.6)
    figure.axes[0].set_ylabel("CCC on unseen people")
    figure.suptitle("5 % of the labels, synthetic corpus")
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="for corpus, faces and runs")
    parser.add_argument("--faces", type=Path, help="manifest of faces of the synthetic corpus that are there already")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", type=int, action="append", help="run this seed alone; may be repeated")
    parser.add_argument("--methods", nargs="*", help="some of the table's rows")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    folder = options.folder.absolute()
    faces = Manifest.read(options.faces) if options.faces else make_faces(folder)
    hear(faces, folder / "sound")
    methods = options.methods or [SCRATCH, *PRETEXTS]
    rows = []
    for seed in options.only or range(options.seeds):
        shuffle(faces, folder / "sound", folder / f"sound-shuffled-{seed}", seed)
        for method in methods:
            rows.append(measure(method, seed, faces, folder))
            print(
                f"seed {seed}, {method}: " + ", ".join(f"{name} {rows[-1][name]:.3f}" for name in METRICS), flush=True
            )
    table = summary(pd.DataFrame(rows))
    show(table, round(SHARE * len(training(faces))))
    if options.json:
        report = {"share": SHARE, "rows": rows, "summary": table.to_dict("records")}
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    if options.plot:
        draw(pd.DataFrame(rows), options.plot)


if __name__ == "__main__":
    main()
