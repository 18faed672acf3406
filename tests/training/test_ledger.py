"""What a run adds to the ledger of its weights."""

from __future__ import annotations

import pandas as pd

from mien.data.manifest import Manifest
from mien.data.protocol import Protocol
from mien.training.ledger import exposures
from mien.training.recipe import load_recipe

RECIPE = load_recipe("videomae/finetune_synthetic", ["data.manifest=films/lab/manifest.csv"])


def seen(corpora: list[str | None], train: str, *overrides: str) -> list[tuple[str, int | None]]:
    ids = "abcd"[: len(corpora)]
    frame = pd.DataFrame({"id": list(ids), "path": [f"{id_}.mp4" for id_ in ids], "corpus": corpora})
    recipe = RECIPE if not overrides else load_recipe("videomae/finetune_synthetic", overrides)
    protocol = Protocol(train=tuple(train), test=tuple(set(ids) - set(train)))
    found = exposures(recipe, Manifest(frame, "films/lab"), protocol)
    assert {(one.protocol, one.stage) for one in found} == {(protocol.digest, "fine-tuning")}
    return [(one.corpus, one.clips) for one in found]


def test_every_corpus_of_a_joined_manifest_that_trained_is_named() -> None:
    assert seen(["ravdess", "dfew", "dfew", "mafw"], "abc") == [("dfew", 2), ("ravdess", 1)]


def test_clips_without_a_name_are_of_the_folder_or_of_the_recipes_corpus() -> None:
    assert seen([None, None], "ab") == [("lab", 2)]
    assert seen(["dfew", None, None], "abc") == [("lab", 2), ("dfew", 1)]
    assert seen([None, None], "ab", "data.manifest=x/m.csv", "data.corpus=mine") == [("mine", 2)]
