"""The small corpus and its recipes as fixtures."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from tests.training.corpus import PRETEXT, TASK, MakeRecipe, make_recipe, write_corpus


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture
def own_corpus(tmp_path: Path) -> Path:
    """A manifest that a test may damage."""
    (tmp_path / "corpus").mkdir()
    return write_corpus(tmp_path / "corpus")


@pytest.fixture(scope="session")
def task_recipe(manifest: Path) -> MakeRecipe:
    """Makes a classification by the smallest VideoMAE, 3 epochs of 4 steps; arguments replace whole sections."""
    return partial(make_recipe, TASK, manifest)


@pytest.fixture(scope="session")
def pretext_recipe(manifest: Path) -> MakeRecipe:
    """Makes masked pretraining of the smallest VideoMAE on all clips, 2 epochs of 6 steps."""
    return partial(make_recipe, PRETEXT, manifest)
