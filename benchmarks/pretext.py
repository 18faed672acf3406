"""What pretraining without labels is worth where labels are few: CCC of arousal and valence on people never seen.

    python benchmarks/pretext.py --folder pretext --json pretext.json --plot pretext.png

The synthetic corpus is made and its faces are cut out. On all training clips, labels unseen, one small encoder is
pretrained by BYOL, by DINO, by LiRA, and by LiRA with the sound of another person's clip, whose gain should go away.
Then 5 % of the training clips, with labels, fine-tune every one of them, and an encoder with random weights, in the
same way. Every seed draws other labelled clips and other weights.

What LiRA predicts is chosen for every seed by that seed's labelled training clips alone: of five descriptions of the
voice the one whose course tells arousal and valence best, in clips that the rule was not fitted on.

Masked pretraining drops tokens, of which a convolution has none, so it is measured on a tiny transformer of the family,
which has a row without pretraining of its own.

What has finished is not run again, so seeds may run at once: ``--only 0``, ``--only 1``, then all together. Needs the
extra ``dev`` (librosa, for the pitch).
"""

from __future__ import annotations

import argparse
import json
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mien.data.annotation import frame_targets
from mien.data.manifest import Manifest
from mien.data.prepare import prepare
from mien.data.seeding import generator
from mien.data.settings import PrepareSettings
from mien.data.synthetic import SyntheticSettings, synthesise
from mien.data.targets import TargetSpec
from mien.evaluation import evaluate
from mien.evaluation.assess import EvaluationSettings
from mien.faces.recipe import CropRecipe
from mien.files import complete
from mien.media import VideoReader, log_mel, mfcc, read_sound
from mien.pretext.acoustic import Acoustics, Heard, with_differences
from mien.training import fit, load_recipe

SHARE = 0.05
METRICS = ("ccc/arousal", "ccc/valence")
CORPUS = SyntheticSettings(clips=980, subjects=140, seconds=2.0, fps=12.0, size=128)
# whole clips of 2 s, few pictures of each: steps are what small encoders need
FRAMES, FPS = 12, 6.0
SAMPLING = f"data.sampling={{{{frames: {FRAMES}, fps: {FPS}, size: {{size}}, centre: clip, std: [{{std}}]}}}}"
# of larger pictures most is noise of single pixels, which cannot be predicted from visible ones
TRANSFORMER = f"{{frames: {FRAMES}, size: 16, patch: 4, dim: 64, depth: 2, heads: 4}}"
# every pretext sees as many clips but the masked one, whose steps cost least: it gets about BYOL's time
COMMON = ("data.workers=0", "precision=fp32", "schedule={epochs: 12, warmup_epochs: 1}")
RATE, HOP = 16000, 160
SPECTRUM: dict[str, Any] = {"n_fft": 512, "hop": HOP, "window": 400}


@dataclass(frozen=True)
class Method:
    """A row of the table.

    Attributes:
        name: as printed.
        pretext: recipe of the pretraining; empty: none.
        changes: of that recipe.
        like: the row without pretraining that it is compared with.
    """

    name: str
    pretext: str = ""
    changes: tuple[str, ...] = ()
    like: str = "scratch"

    @property
    def transformer(self) -> bool:
        return self.like != "scratch"

    @property
    def encoder(self) -> tuple[str, ...]:
        """What recipes are told of the encoder and how it sees: three colours for the transformer, grey elsewhere."""
        if not self.transformer:
            return (SAMPLING.format(size=32, std="0.06"),)
        seen = SAMPLING.format(size=16, std="0.06, 0.06, 0.06")
        return (seen, "model.name=videomae_test", f"model.arguments={TRANSFORMER}")


LIRA = "vaerr/pretrain_lira_synthetic"
HEARD, MADE = "pretext.options.target=folder", "pretext.options.source={folder}/sound"
# braces doubled: the changes of a row are filled with its folder and seed
MASKING = "pretext.options={{mask_ratio: 0.75, standardise: input, decoder_dim: 64, decoder_heads: 4}}"
LONGER = "schedule={{epochs: 40, warmup_epochs: 2}}"
PLAIN = "augmentation={{crop_scale: [0.8, 1.0], flip: 0.5}}"
METHODS = (
    Method("scratch"),
    Method("BYOL", "vaerr/pretrain_byol_synthetic", (f"pretext.options.frames={FRAMES}",)),
    Method("DINO", "vaerr/pretrain_dino_synthetic", (f"pretext.options.frames={FRAMES}",)),
    Method("LiRA", LIRA, (HEARD, MADE + "/{heard}")),
    Method("LiRA, sound shuffled", LIRA, (HEARD, MADE + "-shuffled-{seed}/{heard}")),
    Method("transformer, scratch", like="transformer, scratch"),
    Method("transformer, masked", "videomae/pretrain_synthetic", (MASKING, PLAIN, LONGER), like="transformer, scratch"),
)
FINE_TUNING = (
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
        synthesise(folder / "corpus", CORPUS)
        crop = PrepareSettings(crop=CropRecipe(size=64), min_face=60)
        prepare([folder / "corpus" / "manifest.csv"], folder / "faces", crop, jobs=2)
    return Manifest.read(table)


def describe(samples: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """What LiRA might predict of a voice, ``(steps, width)`` each, a step every 10 ms.

    Pitch is in octaves (YIN), loudness in decibels; pauses, in which a voice has no pitch, are bridged by lines.
    """
    bands = log_mel(samples, RATE, bands=80, **SPECTRUM).T
    coefficients = torch.from_numpy(mfcc(samples, RATE, coefficients=13, bands=40, **SPECTRUM).T)
    loudness = librosa.amplitude_to_db(librosa.feature.rms(y=samples, frame_length=640, hop_length=HOP)[0])
    pitch = np.log2(librosa.yin(samples, fmin=60, fmax=450, sr=RATE, frame_length=1024, hop_length=HOP))
    voiced = np.flatnonzero(loudness > loudness.max() - 20)
    pitch = np.interp(np.arange(len(pitch)), voiced, pitch[voiced])
    both = np.stack([pitch * 12, loudness[: len(pitch)]], axis=1)
    return {
        "log-mel": bands,
        "mfcc": with_differences(coefficients).numpy(),
        "loudness": both[:, 1:],
        "pitch": both[:, :1],
        "pitch-loudness": both,
    }


def hear(faces: Manifest, folder: Path) -> list[str]:
    """``folder/<description>/<id>.npy`` of every training clip; the descriptions' names."""
    names: list[str] = []
    for id_ in training(faces):
        if (folder / "done").exists():
            break
        sound = read_sound(faces.row(id_).path, RATE)
        assert sound is not None
        names = list(described := describe(sound.samples))
        for name, values in described.items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            with complete(folder / name / f"{id_}.npy") as part, part.open("wb") as file:
                np.save(file, values.astype(np.float32))
    if names:
        (folder / "done").write_text("\n".join(names))
    return (folder / "done").read_text().split()


def choose(labelled: Manifest, folder: Path, names: list[str]) -> dict[str, float]:
    """How well each description of the voice tells the labels of the labelled training clips, best first.

    Pearson correlation, mean over arousal and valence, of a ridge regression from what LiRA would predict at each
    frame to the labels, both as they depart from their clip's mean, judged on clips left out in turns.
    """
    ids = training(labelled)
    found = {}
    for name in names:
        heard = Heard(Acoustics("folder", str(folder / name), reduce="mean", span=1.0, centre="clip"), 1.0 / FPS)
        rows = [_frames(labelled, id_, heard) for id_ in ids]
        told = [_ridge(rows[:at] + rows[at + 1 :], rows[at][0]) for at in range(len(rows))]
        truth, told_ = np.concatenate([labels for _, labels in rows]), np.concatenate(told)
        found[name] = float(np.mean([np.corrcoef(truth[:, at], told_[:, at])[0, 1] for at in range(truth.shape[1])]))
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _frames(labelled: Manifest, id_: str, heard: Heard) -> tuple[NDArray[Any], NDArray[Any]]:
    """What is heard, ``(T, D)``, and the labels, ``(T, 2)``, less their mean, at the frames that have both."""
    row = labelled.row(id_)
    with VideoReader(row.path) as video:
        times = video.times[video.indices_at(np.arange(FRAMES) / FPS + 1e-3)]
    item = {"times": torch.from_numpy(times), "length": torch.tensor(len(times))}
    told = heard(generator(0, id_), item, row)
    assert row.labels is not None
    labels = frame_targets(row.labels, TargetSpec(("arousal", "valence"), None, "frame"), times)
    known = told["heard_present"].numpy() & ~np.isnan(labels).any(axis=1)
    return told["heard"].double().numpy()[known], labels[known] - labels[known].mean(axis=0)


def _ridge(rows: list[tuple[NDArray[Any], NDArray[Any]]], asked: NDArray[Any]) -> NDArray[Any]:
    """Labels of ``asked`` by a ridge regression without constant; a tenth of the columns' power is added."""
    seen, labels = (np.concatenate([row[part] for row in rows]) for part in (0, 1))
    scale = np.sqrt(np.square(seen).mean(axis=0)) + 1e-6
    x = seen / scale
    weights = np.linalg.solve(x.T @ x + 0.1 * len(x) * np.eye(x.shape[1]), x.T @ labels)
    answer: NDArray[Any] = asked / scale @ weights
    return answer


def training(faces: Manifest) -> list[str]:
    """Ids of the clips that may be trained on."""
    return sorted(faces.frame["id"][faces.frame["split"] == "train"])


def shuffle(faces: Manifest, folder: Path, out: Path, names: list[str], seed: int) -> None:
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
    for name in names:
        (out / name).mkdir(parents=True, exist_ok=True)
        for id_, source in zip(ids, given, strict=True):
            (out / name / f"{id_}.npy").unlink(missing_ok=True)
            (out / name / f"{id_}.npy").symlink_to((folder / name / f"{source}.npy").absolute())


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


def measure(method: Method, seed: int, faces: Manifest, labelled: Path, folder: Path, heard: str) -> dict[str, Any]:
    """Pretrain, fine-tune and judge one method with one seed; kept in ``result.json`` of its folder."""
    place = folder / "runs" / f"{seed}-{method.name.replace(' ', '-').replace(',', '')}"
    kept = place / "result.json"
    if kept.exists():
        found: dict[str, Any] = json.loads(kept.read_text())
        return found
    begun, init, pretext_loss = processor_seconds(), "null", None
    if method.pretext:
        changes = [change.format(folder=folder, seed=seed, heard=heard) for change in method.changes]
        manifest = f"data.manifest={faces.root / 'manifest.csv'}"
        recipe = load_recipe(method.pretext, [*COMMON, *method.encoder, manifest, f"seed={seed}", *changes])
        done = fit(recipe, place / "pretraining", resume=True, progress=False)
        init, pretext_loss = str(place / "pretraining"), done.loss
    pretrained = processor_seconds()
    tuning = [*FINE_TUNING, *method.encoder, f"data.manifest={labelled}", f"seed={seed}", f"model.init={init}"]
    fit(load_recipe("vaerr/train_synthetic", tuning), place / "fine-tuning", resume=True, progress=False)
    result = evaluate(place / "fine-tuning", Manifest.read(labelled), "test", EvaluationSettings())
    row = {
        "method": method.name,
        "seed": seed,
        **{metric: result[metric].value for metric in METRICS},
        "heard": heard if "lira" in method.pretext else None,
        "pretext_loss": pretext_loss,
        "pretraining_seconds": round(pretrained - begun, 1),
        "fine_tuning_seconds": round(processor_seconds() - pretrained, 1),
    }
    with complete(kept) as part:
        part.write_text(json.dumps(row, indent=1) + "\n")
    return row


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over seeds, and the mean gain over the same encoder without pretraining."""
    lines = []
    for method in METHODS:
        own = rows[rows["method"] == method.name].set_index("seed")
        if own.empty:
            continue
        scratch = rows[rows["method"] == method.like].set_index("seed")
        line: dict[str, Any] = {"method": method.name, "seeds": len(own)}
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
    print(f"CCC of all test frames; mean ± standard deviation over seeds; {share} labelled clips each; gain: over the")
    print("same encoder without pretraining. Masked pretraining drops tokens, which a convolution does not have.")


def draw(rows: pd.DataFrame, path: Path) -> None:
    """A bar for every method, with a dot for every seed."""
    from matplotlib.figure import Figure

    methods = [method.name for method in METHODS if method.name in set(rows["method"])]
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
    names = hear(faces, folder / "sound")
    methods = [method for method in METHODS if options.methods is None or method.name in options.methods]
    rows, chosen = [], {}
    for seed in options.only or range(options.seeds):
        shuffle(faces, folder / "sound", folder / f"sound-shuffled-{seed}", names, seed)
        labelled = few_labels(faces, folder / f"labelled-{seed}.csv", seed)
        chosen[seed] = choose(Manifest.read(labelled), folder / "sound", names)
        heard = next(iter(chosen[seed]))
        print(
            f"seed {seed}: LiRA predicts {heard}; correlation with the labels of the labelled training clips: "
            + ", ".join(f"{name} {value:.3f}" for name, value in chosen[seed].items())
        )
        for method in methods:
            rows.append(measure(method, seed, faces, labelled, folder, heard))
            values = ", ".join(f"{name} {rows[-1][name]:.3f}" for name in METRICS)
            print(f"seed {seed}, {method.name}: {values}", flush=True)
    table = summary(pd.DataFrame(rows))
    show(table, round(SHARE * len(training(faces))))
    if options.json:
        report = {"share": SHARE, "heard": chosen, "rows": rows, "summary": table.to_dict("records")}
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    if options.plot:
        draw(pd.DataFrame(rows), options.plot)


if __name__ == "__main__":
    main()
