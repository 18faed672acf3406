"""Published numbers: typed anew from the releases, and checked on the truths of published predictions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mien.data.corpora import Counts, Finding, get_corpus
from mien.data.corpora.checks import check_counts

# corpus, variant → (training, test) by fold or the sizes of splits, and clips by class in the order of ids.
PUBLISHED: dict[tuple[str, str], tuple[list[tuple[int, int]], list[int]]] = {
    ("dfew", "single label"): (
        [(9356, 2341), (9356, 2341), (9357, 2340), (9358, 2339), (9361, 2336)],
        [2445, 1894, 2669, 2173, 1469, 145, 902],
    ),
    ("mafw", "single"): (
        [(7333, 1839), (7335, 1837), (7339, 1833), (7340, 1832), (7341, 1831)],
        [1390, 639, 625, 1242, 1138, 1470, 1072, 236, 916, 262, 182],
    ),
    ("mafw", "compound"): ([(7178, 1818), (7187, 1809), (7198, 1798), (7208, 1788), (7213, 1783)], []),
    ("mafw", "single with captions"): ([(6423, 1611), (6425, 1609), (6429, 1605), (6429, 1605), (6430, 1604)], []),
    ("mafw", "compound with captions"): ([(6268, 1590), (6277, 1581), (6288, 1570), (6297, 1561), (6302, 1556)], []),
    ("crema-d", "intended"): (
        [(5979, 1463), (5972, 1470), (5966, 1476), (5966, 1476), (5885, 1557)],
        [1271, 1271, 1271, 1271, 1087, 1271],
    ),
    ("ravdess", "speech"): ([(1200, 240)] * 6, [96, 192, 192, 192, 192, 192, 192, 192]),
    ("enterface05", "sentences"): (
        [(1017, 270), (1017, 270), (1020, 267), (1017, 270), (1077, 210)],
        [215, 215, 215, 212, 215, 215],
    ),
    ("werewolf-xl", "speakers"): ([(11111, 3346), (11710, 2747), (11391, 3066), (10930, 3527), (12686, 1771)], []),
    ("ferv39k", "all scenes"): ([(31088, 7847)], [7327, 6916, 9748, 7393, 3140, 2300, 2111]),
}
FIRST_TRAINING = {
    "dfew": [1956, 1515, 2135, 1738, 1175, 116, 721],
    "mafw": [1112, 511, 500, 993, 910, 1176, 857, 188, 732, 209, 145],
    "crema-d": [1021, 1021, 1021, 1021, 874, 1021],
    "ravdess": [80, *[160] * 7],
    "enterface05": [170, 170, 170, 167, 170, 170],
}


@pytest.mark.parametrize(("name", "variant"), PUBLISHED)
def test_counts_are_the_published(name: str, variant: str) -> None:
    corpus = get_corpus(name)
    counts, (sizes, classes) = corpus.counts[variant], PUBLISHED[name, variant]
    if counts.by == "split":
        assert [(counts.parts["train"], counts.parts["test"])] == sizes
    else:
        assert [(counts.training(fold), counts.parts[fold]) for fold in counts.parts] == sizes
    assert counts.total == sum(sizes[0])
    if classes:
        assert [counts.classes[label.name] for label in corpus.labels] == classes


@pytest.mark.parametrize("name", FIRST_TRAINING)
def test_classes_of_the_first_training_part(name: str) -> None:
    corpus = get_corpus(name)
    counts = next(iter(corpus.counts.values()))
    left = [counts.classes[label.name] - counts.part_classes["1"][label.name] for label in corpus.labels]
    assert left == FIRST_TRAINING[name]
    assert sum(counts.part_classes["1"].values()) == counts.parts["1"]


@pytest.mark.parametrize(
    ("run", "name", "part"), [("dfew_split01_mae_dfer", "dfew", "1"), ("ferv39k_normal_folder", "ferv39k", "test")]
)
def test_truths_of_published_predictions_have_these_classes(run: str, name: str, part: str) -> None:
    """Ids and numbers of classes as in the authors' own files of predictions."""
    folder = Path(__file__).parents[2] / "evaluation/data"
    corpus = get_corpus(name)
    wanted = next(iter(corpus.counts.values())).part_classes[part]
    with np.load(folder / "published_predictions.npz") as content:
        assert np.bincount(content[f"{run}.y_true"]).tolist() == [wanted[label.name] for label in corpus.labels]
    names = json.loads((folder / "published_predictions.json").read_text())["runs"][run]["classes"]
    assert [one.lower() for one in names] == list(corpus.classes)


def test_sizes_of_other_corpora() -> None:
    sizes = {name: get_corpus(name).counts for name in ("msp-face", "hume-reaction", "first-impressions", "voxceleb2")}
    assert sizes["msp-face"]["attributes"].parts == {"train": 6605, "validation": 926, "test": 1839}
    assert sizes["hume-reaction"]["clips"].parts == {"train": 15806, "validation": 4657, "test": 4604}
    assert sizes["first-impressions"]["clips"].parts == {"train": 6000, "validation": 2000, "test": 2000}
    assert (sizes["voxceleb2"]["dev"].total, sizes["voxceleb2"]["dev"].subjects) == (1_092_009, 5994)
    assert sum(get_corpus("ferv39k").counts["all scenes"].columns["scene"].values()) == 38935
    assert get_corpus("avcaffe").counts["segments"] == Counts(total=58112, subjects=106)


def test_every_difference_is_said_once_with_both_numbers() -> None:
    counts = Counts(total=4, parts={"1": 2, "2": 2}, classes={"happy": 3, "sad": 1}, subjects=2)
    rows = pd.DataFrame({"fold": ["1", "1", "2"], "label": ["happy", "happy", "calm"], "subject": ["a", "b", "c"]})
    assert check_counts(rows, counts) == [
        Finding("warning", "3 clips in all, published are 4 (-1)"),
        Finding("warning", "3 subjects, published are 2"),
        Finding("warning", "clips by fold differ from the published (in brackets)", ("2 1 (2)",)),
        Finding(
            "warning",
            "clips by class differ from the published (in brackets)",
            ("happy 2 (3)", "sad 0 (1)", "calm 1 (0)"),
        ),
    ]
    remembered = Counts(total=4, remembered=True)
    assert [one.level for one in check_counts(rows, remembered)] == ["note"]
    assert check_counts(rows, Counts(total=3, subjects=3)) == []
